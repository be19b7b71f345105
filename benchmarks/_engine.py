"""The whole engine in virtual time against the simulated service: limits, queue, life cycle and learning as shipped."""

from __future__ import annotations

from random import Random

from _fleet import Figures

from sumeasync.core.settings import Settings
from sumeasync.engine import Engine
from sumeasync.simulator.direct import DirectClient
from sumeasync.simulator.settings import Duration, Limits, TypeSettings, WorldSettings
from sumeasync.simulator.world import World
from sumeasync.testing import run_virtual

__all__ = ["LIMITS", "published"]

LIMITS = Limits(reads_per_minute=120, creates_per_minute=10)
RUN_SECONDS, QUEUE_SECONDS, LATENCY_SECONDS = 94.0, 1.0, 0.1
KEY, BASE_URL = "sume_live_0123456789abcdef0123456789abcdef", "https://simulator.invalid/api/v1"


def published(jobs: int, seed: int) -> Figures:
    """So many videos of 95 s each under the limits that the vendor publishes, to the end."""
    kind = TypeSettings(run=Duration(RUN_SECONDS, 0.0), queue=Duration(QUEUE_SECONDS, 0.0), media=None)
    world = World(WorldSettings(types={"video_generation": kind}, limits=LIMITS), seed=seed)
    carrier = DirectClient(world, latency_seconds=LATENCY_SECONDS)
    settings = Settings(download=False, read_rate="120/m", create_rate="10/m")
    specs = [{"key": f"{n}", "type": "video_generation", "input": {"prompt": f"{n}"}} for n in range(jobs)]
    requests: dict[str, int] = {}
    early = 0

    async def main() -> float:
        nonlocal early
        options = {"carrier": carrier, "wall_clock": carrier.wall_clock, "settings": settings, "rng": Random(seed)}
        async with Engine(api_key=KEY, base_url=BASE_URL, **options) as engine:  # type: ignore[arg-type]  # as named
            run = engine.run(specs)
            completed = [outcome async for outcome in run if outcome.status == "completed"]
            assert len(completed) == jobs  # noqa: S101 - else there is nothing to compare
            early = sum(outcome.polls - 1 for outcome in completed)
            requests.update(run.report().requests)
            return run.report().seconds

    makespan = run_virtual(main)
    delays = sorted(one.detected_at - one.ended_at for one in world.ledger.detections.values())
    return {
        "requests": sum(requests.values()) / jobs,
        "wasted": (early + world.ledger.statuses[409]) / jobs,
        "pages": requests["sweep"] / jobs,
        "mean": sum(delays) / len(delays),
        "p95": delays[len(delays) * 95 // 100],
        "makespan": makespan,
        "bound": (jobs - 1) * 60.0 / 10 + QUEUE_SECONDS + RUN_SECONDS,
        "refused": world.ledger.statuses[429],
    }
