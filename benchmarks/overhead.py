"""What the engine costs: CPU a poll, a queue operation, memory of jobs in flight, and the import.

    python benchmarks/overhead.py [--polls 30000] [--jobs 1000000] [--rounds 5] [--json] [--smoke]

Caveats first. Client and server are on this machine, over loopback TCP, one process each, so a real network and TLS
would hide most of the difference. The server never sleeps: to wake it costs the client some 8 µs a request, the more
often the slower the client is, and over a network nothing; so two idle cores are needed. CPU is user + system of the
client process while it polls (the engine's jobs are all taken in by then). The contenders take turns, and only ratios
within a round are worth quoting: absolute times are this machine's. The bare loop is the least that asks for a job and
reads the answer: 32 workers sharing one aiohttp session, `await response.json()`. The raw protocol is 32 connections of
a hand-written HTTP/1.1 client on `asyncio.Protocol` that checks nothing. All three run with the C library's allocator
in the same state (`SAME_HEAP` in `_alone.py` says why): as it comes, the bare loop pays some 11 µs a poll more, by
chance, and is shown too. The engine has more due than it can ask, and leaves the job list alone; in shortage, so much
that it chooses which polls tell most, which costs something too. A swept status is one told by a page of 100, of ten
thousand jobs asked about once a second; here the server sleeps between pages, as the client does: all CPU of the
process is counted, with the polls that put pages to the test. A queue operation is the pop of the first of so many
entries and its push at a later time. Memory is the peak of the whole process. The import is timed inside a new
interpreter, with compiled files in place: of the package, and of `sumeasync.Engine`, the first name that loads
everything.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from functools import partial
from random import Random
from statistics import median

from _alone import SAME_HEAP, Contender, Figures, alone, main, serving
from _polls import bare, engine, memory, raw, serve, swept

FLEETS = {"engine": 1000, "engine_in_shortage": 10_000}
RATIOS = (("engine", "bare"), ("engine", "bare_as_it_comes"), ("engine", "raw"), ("engine_in_shortage", "bare"))
QUEUE_SIZES = (1_000, 10_000, 100_000, 1_000_000)


class Entry:
    """The least a queue takes."""

    __slots__ = ("ticket",)

    def __init__(self) -> None:
        self.ticket = 0


async def queue(size: int, operations: int) -> Figures:
    """µs of CPU to take the first of `size` entries and put it back for later."""
    from sumeasync.core.queue import DelayQueue

    rng, entries = Random(7), DelayQueue[Entry]()
    for _ in range(size):
        entries.push(Entry(), rng.random() * size)
    gaps = [rng.random() * size for _ in range(operations)]
    began, now = time.process_time(), 0.0
    for gap in gaps:
        now = entries.next_due() or 0.0
        entry = entries.pop(now)
        if entry is not None:
            entries.push(entry, now + gap)
    return {"us": 1e6 * (time.process_time() - began) / operations}


def importing(name: str) -> float:
    """Seconds to have `sumeasync`, or what one of its names loads, in a new interpreter."""
    code = f"from time import perf_counter as now; t = now(); import sumeasync; sumeasync.{name}; print(now() - t)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(arguments: argparse.Namespace) -> Figures:
    """All rounds against one server."""
    figures: Figures = {}
    with serving("serve", sleeps=False) as base:
        rounds = []
        for _ in range(arguments.rounds):
            ask = partial(alone, base=base, polls=arguments.polls)
            one = {name: ask(name, env=SAME_HEAP) for name in ("raw", "bare")}
            one |= {name: ask("engine", env=SAME_HEAP, jobs=jobs) for name, jobs in FLEETS.items()}
            one["bare_as_it_comes"] = ask("bare")
            rounds.append({name: 1e6 * found["cpu"] / found["polls"] for name, found in one.items()})
        figures |= {f"{name}_cpu_us_a_poll": round(median(one[name] for one in rounds), 1) for name in rounds[0]}
        for ours, other in RATIOS:
            ratios = [round(one[ours] / one[other], 3) for one in rounds]
            figures |= {f"{ours} / {other}": median(ratios), f"{ours} / {other}, by round": ratios}
        in_flight = alone("memory", base=base, jobs=arguments.jobs)
        figures |= {"jobs_in_flight": in_flight["jobs"], "peak_mib": in_flight["peak_mib"]}
    with serving("serve", sleeps=True) as base:
        ask = partial(alone, "swept", base=base, env=SAME_HEAP, statuses=arguments.statuses)
        found = [ask() for _ in range(arguments.rounds)]
        figures["swept_cpu_us_a_status"] = round(median(1e6 * one["cpu"] / one["told"] for one in found), 2)
        figures["polls_a_swept_status"] = round(median(one["polls"] / one["told"] for one in found), 4)
    for size in QUEUE_SIZES:
        if size <= arguments.jobs:
            cost = alone("queue", size=size, operations=arguments.operations)
            figures[f"queue_us_at_{size}"] = round(cost["us"], 2)
    for row, name in (("import_seconds", "__name__"), ("import_seconds_engine", "Engine")):
        figures[row] = round(median(importing(name) for _ in range(arguments.rounds)), 3)
    return figures


CONTENDERS: dict[str, Contender] = {
    "serve": serve,
    "raw": raw,
    "bare": bare,
    "engine": engine,
    "memory": memory,
    "swept": swept,
    "queue": queue,
}

if __name__ == "__main__":
    main(
        __doc__,
        CONTENDERS,
        measure,
        polls=(30_000, 300),
        jobs=(1_000_000, 1000),
        operations=(200_000, 1000),
        statuses=(100_000, 2000),
        rounds=(5, 1),
    )
