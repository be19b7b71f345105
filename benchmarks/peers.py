"""Side by side on one simulated service: this engine, the vendor's own client, and the loop that people write.

    python benchmarks/peers.py [--jobs 100 1000 10000] [--speed 1] [--limits none scaled] [--rows …] [--patience 1800]
        [--json] [--smoke]

Caveats first. Client and server are on this machine, over loopback TCP, a process each, one contender after the other,
each against a fresh server of the same seed: job n takes as long for each of them. The service is this project's own
simulator and not the vendor's; its CPU stands beside each row, and where it or the client's comes near the wall time,
that process is the limit, not the schedule. All jobs are videos (median 91 s, at least 30 s, lognormal) and are created
as fast as the contender likes; nothing fails and nothing is downloaded. At a speed other than 1 the jobs are as many
times shorter, and so are the contenders' own waiting times (for the engine its policy; not its prior of 90 s, nor the
second it leaves between lists), but not Retry-After: quote figures of speed 1 where requests are limited. The limit
"scaled" is 1.2 reads a job and minute, for 100 jobs the published 120 a minute; creates are not limited.

The vendor's client is `sume-client` from PyPI (`pip install -e '.[bench]'`), asynchronous, `subscribe` once a job, on
the surface it speaks; without it that row is left out. The loop is aiohttp with its defaults, a coroutine a job, a poll
every 2 s until "completed". Each of the two gives a job up when its own code does: the vendor's client has 100
connections, which cannot be set, and at a thousand jobs many do not get one within its 90 s; so it is shown again with
100 jobs at once, up to a thousand, which loses none and takes as many times longer. The engine is as it comes, with its
journal on this disk; `open` is its second dialect, whose list shows 100 jobs at most and no more pages.

"status/job" is all reads but the results, by jobs that got one: polls, pages of lists, results asked for too early, and
refusals; where many jobs are lost it says little. "told" is the delay from a job's end until an answer first said so
(by the server's ledger), "got" until the client had the result in hand; simulated seconds both: mean, median, 95th
percentile. CPU is user + system of the batch, memory the peak of the process, imports included. "lost" jobs were paid,
or never created, and have no result. Who takes longer than the patience, in seconds, is stopped: the figures are those
of that time, and what was not done by then is lost ("TimeoutError").
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import urllib.request
from importlib.util import find_spec
from statistics import mean, median
from typing import Any

from _alone import Contender, Figures, alone, serving
from _peers import engine, loop, sdk, serve

CONTENDERS: dict[str, Contender] = {"serve": serve, "engine": engine, "sdk": sdk, "loop": loop}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "sumeasync": ("engine", {"dialect": "so"}),
    "sumeasync, open": ("engine", {"dialect": "open"}),
    "sume-client": ("sdk", {}),
    "sume-client/100": ("sdk", {"at_once": 100}),
    "aiohttp loop": ("loop", {}),
}
MOST_JOBS = {"sume-client/100": 1000}
"""Beyond so many, a row would take hours, and tell nothing new."""
READS_A_JOB_AND_MINUTE = 1.2
KINDS = {
    "creates": ("POST /videos/generations", "POST /video-router/generate"),
    "polls": ("GET /jobs/{id}", "GET /jobs/{id}/status"),
    "lists": ("GET /jobs",),
    "results": ("GET /jobs/{id}/result",),
}
CATALOG = "GET /open/catalog/{model}"


def measure(name: str, jobs: int, speed: float, limits: str, patience: float) -> Figures:
    """One row: one contender against a server of its own."""
    contender, options = ROWS[name]
    limit = math.ceil(READS_A_JOB_AND_MINUTE * jobs) if limits == "scaled" else None
    with serving("serve", speed=speed, reads_per_minute=limit) as base:
        client = alone(contender, base=base, jobs=jobs, speed=speed, patience=patience, **options)
        with urllib.request.urlopen(f"{base}/figures") as answer:  # noqa: S310 - our own server
            server = json.load(answer)
    ledger, got = server["ledger"], client["got_at"]
    requests, detections = ledger["requests"], ledger["detections"]
    told = [one["detected_at"] - one["ended_at"] for one in detections.values()]
    in_hand = [(at - server["began"]) * speed - detections[job_id]["ended_at"] for job_id, at in got.items()]
    return {
        "contender": name,
        "wall s": client["seconds"],
        **{kind: sum(requests.get(route, 0) for route in routes) for kind, routes in KINDS.items()},
        "429": ledger["statuses"].get("429", 0),
        "status/job": (ledger["times"]["read"] - len(got) - requests.get(CATALOG, 0)) / max(1, len(got)),
        "cpu s": client["cpu"],
        "MiB": client["peak_mib"],
        **{f"told {what}": seconds for what, seconds in spread(told).items()},
        **{f"got {what}": seconds for what, seconds in spread(in_hand).items()},
        "lost": jobs - len(got),
        "server s": server["cpu"],
        "errors": client["errors"],
    }


def spread(seconds: list[float]) -> Figures:
    """Mean, median and 95th percentile; nothing of nothing."""
    ordered = sorted(seconds) or [math.nan]
    return {"mean": mean(ordered), "med": median(ordered), "p95": ordered[len(ordered) * 95 // 100]}


def show(row: Figures) -> str:
    """One line of the table."""
    shown = {head: f"{cell:.2f}" if isinstance(cell, float) else str(cell) for head, cell in row.items()}
    lost = ", ".join(f"{count} {name}" for name, count in row["errors"].items())
    return line(row["contender"], {head: shown[head] for head in heads(row)}) + (f"  ({lost})" if lost else "")


def heads(row: Figures) -> list[str]:
    """The heads of the columns of figures."""
    return [head for head in row if head not in ("contender", "errors")]


def line(name: str, cells: dict[str, str]) -> str:
    """Cells under their heads."""
    return f"{name:16}" + "".join(f"{cell:>{max(len(head), 6) + 2}}" for head, cell in cells.items())


def main() -> None:
    """Read the command line, measure, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a real one")
    parser.add_argument("--limits", nargs="+", choices=("none", "scaled"), default=["none", "scaled"])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="which contenders")
    parser.add_argument("--patience", type=float, default=1800.0, help="seconds for a row, or it is stopped")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="small and quick: proves that it runs, measures nothing")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(asyncio.run(CONTENDERS[arguments.contender](**arguments.options))))
        return
    if arguments.smoke:
        arguments.jobs, arguments.speed, arguments.limits = [12], 60.0, ["none"]
    run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Every row that can be had, as it comes."""
    names = [name for name in arguments.rows if ROWS[name][0] != "sdk" or find_spec("sume_client")]
    for name in set(arguments.rows) - set(names):
        print(f"{name} is not installed and therefore left out: pip install -e '.[bench]'", file=sys.stderr)
    for jobs in arguments.jobs:
        for limits in arguments.limits:
            setting = {"jobs": jobs, "limits": limits, "speed": arguments.speed}
            for number, name in enumerate(name for name in names if jobs <= MOST_JOBS.get(name, jobs)):
                row = measure(name, jobs, arguments.speed, limits, arguments.patience)
                if arguments.json:
                    known = {head: None if cell != cell else cell for head, cell in row.items()}  # NaN is no JSON
                    print(json.dumps(setting | known), flush=True)
                    continue
                if number == 0:
                    print(f"\n{jobs} jobs, limits: {limits}, speed {arguments.speed:g}")
                    print(line("", {head: head for head in heads(row)}))
                print(show(row), flush=True)


if __name__ == "__main__":
    main()
