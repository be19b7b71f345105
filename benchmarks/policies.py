"""How many requests a job, and how long until its end is noticed: this engine beside the schedules of its peers.

    python benchmarks/policies.py [--fleets …] [--jobs 3000] [--rates 20 50 0] [--json] [--smoke] [--million] [--plot]

Caveats first. Virtual time, exact for a seed: no network, and answers at once. Durations are lognormal with the same
spread for every type, jobs run from their creation on and complete; real ones do not. What decides is the engine's own
code, its budget, scheduler, fleet, pacing, learning, list sweeps and life cycle, with default policies, learning from
the jobs of this very run; the harness (`_fleet.py`) answers in place of the server and keeps no journal. "published
limits" is the whole engine against the simulated service instead, over the two limits that the vendor publishes.

Peers are their published schedules, a coroutine a job, first come, first served under the same budget (of reads;
creates are free): without a budget of their own they would only be refused. All fetch each result. As many jobs of a
fleet are in flight as stand beside its name, from the first to the last: so delays make a run longer, and where more
results are due than the budget allows, even the clairvoyant is late, who asks for each result once, at its end.
Lists show 100 jobs a page: ended jobs by creation, or (last row) by their end, which the vendor does not say.

"requests" a job are all: create, status, list, result. "wasted" were answered "not yet". "pages" of the list. "mean"
and "p95" are seconds from a job's end until the job itself told of it, "makespan" is in units of the clairvoyant's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _engine import published
from _fleet import Figures, clairvoyant, engine, fleet, peer
from _plots import fleet_plot, job_plot
from _schedules import PEERS

from sumeasync.core.settings import Settings

SIGMA = 0.35
IMAGE, VIDEO, SLOW = (
    ("image_generation", 12.0, SIGMA),
    ("video_generation", 90.0, SIGMA),
    ("reference_analysis", 300.0, SIGMA),
)
FLEETS = {
    "image": ([IMAGE], 100),
    "video": ([VIDEO], 500),
    "slow": ([SLOW], 1000),
    "mixed": ([IMAGE, VIDEO, SLOW], 300),
}
"""What is in a fleet, and how many at once."""

MILLION_IN_FLIGHT, MILLION_RATE = 10_000, 1000.0
CONTENDERS = {
    **{name: partial(peer, schedule) for name, schedule in PEERS.items()},
    "as configured": partial(engine, settings=Settings(learn=False, sweep=False)),
    "learned": partial(engine, settings=Settings(sweep=False)),
    "learned, lists": engine,
    "learned, lists by end": partial(engine, order="ended"),
    "clairvoyant": clairvoyant,
}
COLUMNS = ("requests", "wasted", "pages", "mean", "p95", "makespan")


def measure(arguments: argparse.Namespace) -> Iterator[Figures | dict[str, str | float]]:
    """One row after the other."""
    for name in arguments.fleets:
        mix, in_flight = FLEETS[name]
        in_flight = arguments.in_flight or in_flight
        kinds = fleet(mix, arguments.jobs, in_flight)
        jobs = sum(kind.jobs for kind in kinds)
        for rate in arguments.rates:
            bound = clairvoyant(kinds, arguments.seed, rate or None)["makespan"]
            for contender in arguments.rows:
                figures = CONTENDERS[contender](kinds, arguments.seed, rate or None)
                figures["makespan"] /= bound
                yield {"fleet": name, "jobs": jobs, "in_flight": in_flight, "rate": rate, "row": contender, **figures}


def show(row: dict[str, str | float], last: tuple[object, ...]) -> tuple[object, ...]:
    """Print one row, below a heading if it begins a table; which table it is of."""
    table = (row["fleet"], row["jobs"], row["in_flight"], row["rate"])
    if table != last:
        allowed = f"{row['rate']:g} reads/s" if row["rate"] else "no budget"
        title = f"{row['fleet']}: {row['jobs']} jobs, {row['in_flight']} in flight, {allowed}"
        print(f"\n{title:52}" + "".join(f"{column:>10}" for column in COLUMNS))
    print(f"  {row['row']:50}" + "".join(f"{row[column]:10.2f}" for column in COLUMNS), flush=True)
    return table


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", nargs="+", choices=FLEETS, default=list(FLEETS))
    parser.add_argument("--rows", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="ROW")
    parser.add_argument("--jobs", type=int, default=3000, help="in each fleet")
    parser.add_argument("--in-flight", type=int, help="instead of each fleet's own")
    parser.add_argument("--rates", type=float, nargs="+", default=[20.0, 50.0, 0.0], help="reads a second; 0: any")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--million", action="store_true", help="a million videos, 10 000 in flight, 1000 reads/s")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="only draw delay-job.svg and delay-fleet.svg there")
    arguments = parser.parse_args()
    if arguments.plot:
        (arguments.plot / "delay-job.svg").write_text(job_plot(VIDEO, arguments.seed), "utf-8")
        (arguments.plot / "delay-fleet.svg").write_text(fleet_plot([IMAGE, VIDEO, SLOW], arguments.seed), "utf-8")
        return
    if arguments.smoke:
        arguments.jobs, arguments.in_flight, arguments.rates = 150, 60, [20.0]
    if arguments.million:
        arguments.fleets, arguments.jobs = ["video"], 1_000_000
        arguments.in_flight, arguments.rates = MILLION_IN_FLIGHT, [MILLION_RATE]
    run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Every table, as it comes."""
    table: tuple[object, ...] = ()
    for row in measure(arguments):
        if arguments.json:
            print(json.dumps(row), flush=True)
        else:
            table = show(row, table)
    if arguments.million:
        return
    jobs = 50 if arguments.smoke else 1000
    figures = published(jobs, arguments.seed)
    bound = figures.pop("bound")
    row = {"fleet": "published limits", "jobs": jobs, "in_flight": 16, "rate": 2.0, "row": "sumeasync, whole"}
    row |= figures | {"makespan": figures["makespan"] / bound}
    if arguments.json:
        print(json.dumps(row))
    else:
        show(row, table)


if __name__ == "__main__":
    main()
