"""How many polls a job, and how long until its end is noticed: this engine's schedule beside those of its peers.

    python benchmarks/policies.py [--jobs 20000] [--seed 7] [--json] [--smoke]

Caveats first. Exact arithmetic in virtual time, the same for the same seed: no server, no network, no request limit,
so a poll costs nothing but itself and is answered at once. Durations are lognormal (the figures are the median and
sigma in the name); real ones are not. The engine's own code decides (`core/pacing.py`, with its default policies);
learned means that it learns from the jobs of this very run, the first ones included. Peers are their published
schedules, written anew: fixed intervals, 6 ± 1.5 s, x1.5 up to 5 s, google-api-core (x1.5 up to 20 s, full jitter),
Azure (30 s), Smithy waiters (2 to 120 s, doubling, full jitter). "product" is polls x delay: what a better schedule
lowers, whatever it is tuned to.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from random import Random

from sumeasync.core.durations import Durations
from sumeasync.core.job import Job, Step
from sumeasync.core.pacing import Pacer
from sumeasync.core.records import Ended
from sumeasync.core.settings import Settings
from sumeasync.models import Spec

FLEETS = {
    "image_generation": (12.0, 0.5),
    "video_generation": (90.0, 0.35),
    "reference_analysis": (300.0, 0.5),
}
Schedule = Callable[[int, float, Random], float]
"""(polls so far, the last gap, rng) -> the next gap."""

PEERS: dict[str, Schedule] = {
    "fixed 0.5 s": lambda n, last, rng: 0.5,
    "fixed 1 s": lambda n, last, rng: 1.0,
    "fixed 2 s": lambda n, last, rng: 2.0,
    "fixed 5 s": lambda n, last, rng: 5.0,
    "6 ± 1.5 s": lambda n, last, rng: rng.uniform(4.5, 7.5),
    "x1.5 up to 5 s": lambda n, last, rng: min(5.0, 1.5**n),
    "google-api-core": lambda n, last, rng: rng.uniform(0.0, min(20.0, 1.5**n)),
    "Azure 30 s": lambda n, last, rng: 30.0,
    "Smithy 2…120 s": lambda n, last, rng: rng.uniform(2.0, min(120.0, 2.0 * 2.0 ** min(n, 10))),
}


def peer(schedule: Schedule, ends: list[float], seed: int) -> tuple[int, list[float]]:
    """Polls and delays of a published schedule."""
    rng, polls, delays = Random(seed), 0, []
    for end in ends:
        age, gap, asked = 0.0, 0.0, 0
        while age < end:
            gap = schedule(asked, gap, rng)
            age, asked = age + gap, asked + 1
        polls += asked
        delays.append(age - end)
    return polls, delays


def engine(type: str, ends: list[float], seed: int, *, learn: bool) -> tuple[int, list[float]]:
    """Polls and delays of the engine's own pacing with its default policies."""
    pacer = Pacer(Settings().policies(), Random(seed), Durations({type: 60.0}) if learn else None)
    job = Job(Spec("k", type), Step.POLL, "job_1", type=type, created_at=0.0)
    polls, delays = 0, []
    for end in ends:
        alive, age = 0.0, pacer.first(type)
        polls += 1
        while age < end:
            alive, age = age, age + pacer.next(job, age, age)
            polls += 1
        delays.append(age - end)
        pacer.learn(Ended("k", "job_1", "completed", age, type, None, 0.0, None, alive))
    return polls, delays


def measure(jobs: int, seed: int) -> list[dict[str, object]]:
    """Every schedule on every fleet."""
    rows: list[dict[str, object]] = []
    for type, (median, sigma) in FLEETS.items():
        rng = Random(seed)
        ends = [median * rng.lognormvariate(0.0, sigma) for _ in range(jobs)]
        results = {name: peer(schedule, ends, seed) for name, schedule in PEERS.items()}
        results["sumeasync, as configured"] = engine(type, ends, seed, learn=False)
        results["sumeasync, learned"] = engine(type, ends, seed, learn=True)
        for name, (polls, delays) in results.items():
            delays.sort()
            mean = sum(delays) / jobs
            rows.append(
                {
                    "fleet": f"{type} ({median:g} s, {sigma:g})",
                    "schedule": name,
                    "polls_a_job": round(polls / jobs, 2),
                    "mean_delay": round(mean, 2),
                    "p95_delay": round(delays[jobs * 95 // 100], 2),
                    "product": round(polls / jobs * mean, 1),
                }
            )
    return rows


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    arguments = parser.parse_args()
    rows = measure(300 if arguments.smoke else arguments.jobs, arguments.seed)
    if arguments.json:
        print(json.dumps(rows))
        return
    fleet = None
    for row in rows:
        if row["fleet"] != fleet:
            fleet = row["fleet"]
            print(f"\n{fleet:40} {'polls/job':>10} {'mean s':>8} {'p95 s':>8} {'product':>8}")
        figures = (row["polls_a_job"], row["mean_delay"], row["p95_delay"], row["product"])
        print(
            f"  {row['schedule']:38}"
            + "".join(f"{figure:>{width}}" for figure, width in zip(figures, (11, 9, 9, 9), strict=True))
        )


if __name__ == "__main__":
    main()
