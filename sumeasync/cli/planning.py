"""Rehearsals of a batch: the engine in virtual time, a simulated API with learned durations, a few seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from random import Random

import msgspec

from sumeasync.cli.forecast import Forecast, Range, TypeForecast
from sumeasync.cli.learned import Learned
from sumeasync.cli.resampling import resampled
from sumeasync.core.budget.budget import Rate
from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.engine import Engine
from sumeasync.models import ADOPTED, Outcome, Spec
from sumeasync.simulator import DirectClient, Duration, Limits, Observed, TypeSettings, World, WorldSettings
from sumeasync.simulator.clocks import LoopClock
from sumeasync.testing import run_virtual

__all__ = ["Plan", "Rehearsal", "foresee", "limits_of", "rehearse"]

LATENCY_SECONDS = 0.15
KEY = "sume_simulated"
BASE_URL = "https://simulator.invalid/api/v1"
PREFIXES = {"so": "/api/v1", "open": "/v1"}
MOST_REHEARSALS, MOST_SPECS = 15, 3600
"""So many rehearsals, and of so many specs in all; the next one falls within the range of n with (n - 1) / (n + 1)."""

MINUTE, DAY = 60.0, 86_400.0
UNTOLD = "video_generation"
"""What a job is taken for whose type nothing tells."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be rehearsed. `costs` are credits a job by type, `begin` epoch seconds."""

    specs: list[Spec]
    settings: Settings
    learned: Learned
    concurrency: int | None = None
    costs: Mapping[str, float] = {}
    seed: int = 0
    begin: float = 0.0


class Rehearsal(msgspec.Struct, frozen=True):
    """One run in virtual time: its report and world, and of each outcome when it came, in seconds from the start."""

    report: Report
    world: World
    outcomes: list[tuple[float, Outcome]]


def foresee(plan: Plan) -> Forecast:
    """Rehearse with a few seeds: fifteen for a small batch, one for a very large one; the median is told in full."""
    count = rehearsals(len(plan.specs))
    runs = sorted((rehearse(plan, plan.seed + n) for n in range(count)), key=lambda run: run.report.seconds)
    seconds = [run.report.seconds for run in runs]
    return sum_up(plan, runs[count // 2], Range(seconds[0], seconds[count // 2], seconds[-1]), count)


def rehearsals(specs: int) -> int:
    """How often so many specs are rehearsed: an odd number of times, so that there is a middle one."""
    return max(1, (min(MOST_REHEARSALS, MOST_SPECS // max(1, specs)) - 1) | 1)


def rehearse(plan: Plan, seed: int) -> Rehearsal:
    """Run the batch once, from beginning to end; the same seed gives the same run. Raises SumeError as a run would."""
    world = World(world_settings(plan, seed), seed=seed)
    adopt(plan, world)
    specs = [understood(spec) for spec in plan.specs] if plan.settings.dialect == "open" else plan.specs

    async def main() -> Rehearsal:
        clock = LoopClock(world)
        carrier = DirectClient(
            world, prefix=PREFIXES[plan.settings.dialect], latency_seconds=LATENCY_SECONDS, clock=clock
        )
        engine = Engine(
            carrier=carrier,
            api_key=KEY,
            base_url=BASE_URL,
            settings=plan.settings,
            disk=plan.learned.disk(),
            rng=Random(f"plan {seed}"),
            wall_clock=carrier.wall_clock,
        )
        async with engine:
            run = engine.run(specs)
            outcomes = [(clock(), outcome) async for outcome in run]
            return Rehearsal(run.report(), world, outcomes)

    return run_virtual(main)


def understood(spec: Spec) -> Spec:
    """The spec with a model that the simulator knows: of that surface's models it has but the kinds."""
    model = "image" if spec.type == "image_generation" else "video"
    return msgspec.structs.replace(spec, input={**spec.input, "model": model})


def world_settings(plan: Plan, seed: int) -> WorldSettings:
    """The service as far as it is known: limits as given, durations as learned, no want of credits."""
    rng = Random(f"world {seed}")
    kinds = {
        type: TypeSettings(resampled(seen, rng), queue=Duration(0.0, 0.0), credits=0)
        for type, seen in durations(plan).items()
    }
    for spec in plan.specs:
        if spec.type not in kinds:
            kinds[spec.type] = msgspec.structs.replace(WorldSettings().of(spec.type), credits=0)
    limits = limits_of(plan.settings)
    return WorldSettings(types=kinds, limits=limits, concurrency=plan.concurrency, epoch=plan.begin)


def durations(plan: Plan) -> dict[str, Observed]:
    """How long jobs were seen to take, by type: with places to wait for, from their start; else from their creation."""
    return plan.learned.durations if plan.concurrency is None else plan.learned.runs


def limits_of(settings: Settings) -> Limits:
    """What the server enforces when it allows just the rates that are set."""
    reads = _windows(settings.read_rate, settings.read_day_rate)
    creates = _windows(settings.create_rate, settings.create_day_rate)
    return Limits(*reads, *creates)


def _windows(*texts: str | None) -> tuple[int | None, int | None]:
    """The tightest of the rates by the minute and by the day; an hour's is spread over its minutes."""
    rates = [Rate.parse(text) for text in texts if text is not None]
    minute = [rate.limit * MINUTE / rate.seconds for rate in rates if rate.seconds < DAY]
    day = [rate.limit for rate in rates if rate.seconds >= DAY]
    return math.ceil(min(minute)) if minute else None, math.ceil(min(day)) if day else None


def adopt(plan: Plan, world: World) -> None:
    """Let the world know the jobs that run already: those an earlier run created, and those named by their ids."""
    for spec in plan.specs:
        facts = plan.learned.history.spec(spec.key)
        if facts is None:
            if spec.job_id is not None:
                world.adopt(spec.job_id, type=spec.type or UNTOLD)
            continue
        for known in facts.jobs:
            if known.delivered is None:
                age = max(0.0, plan.begin - facts.at)
                job = world.adopt(known.id, type=facts.type or spec.type or UNTOLD, age_seconds=age)
                if known.ended is not None:
                    job.started_at = job.ended_at = world.now


def sum_up(plan: Plan, run: Rehearsal, finish: Range, count: int) -> Forecast:
    """All that is told, from one rehearsal."""
    report, world, limits = run.report, run.world, run.world.settings.limits
    created = Counter(job.type for job in world.jobs if job.origin == "api")
    seen = [
        (world.find(one.job_id), one.timings.detected - plan.begin)
        for _, one in run.outcomes
        if one.job_id and one.timings.detected is not None
    ]
    media = {type: plan.learned.media[type] for type in created if type in plan.learned.media}
    return Forecast(
        specs=len(plan.specs),
        skipped=report.skipped,
        begin=plan.begin,
        rehearsals=count,
        latency_seconds=LATENCY_SECONDS,
        finish_seconds=finish,
        result_seconds=_range([told for told, _ in run.outcomes]),
        outcomes=report.statuses,
        refused=Counter(one.error.message for _, one in run.outcomes if one.status == "rejected" and one.error),
        requests=report.requests,
        requests_per_job=report.requests_per_job,
        rate_limited=report.rate_limited,
        read_rate=plan.settings.read_rate,
        create_rate=plan.settings.create_rate,
        read_share=_share(len(world.ledger.times["read"]), limits.reads_per_minute, report.seconds),
        create_share=_share(len(world.ledger.times["create"]), limits.creates_per_minute, report.seconds),
        concurrency=plan.concurrency,
        peak_in_flight=peak([(job.created_at, at) for job, at in seen]),
        detection_seconds=_delays([at - job.ended_at for job, at in seen if job.ended_at > 0.0]),
        types={type: _type(plan, world, type, created[type]) for type in _types(plan, created)},
        adopted=sum(spec.type == ADOPTED for spec in plan.specs),
        media_bytes={type: round(seen.bytes / seen.jobs * created[type]) for type, seen in media.items()},
        credits={type: plan.costs[type] * number for type, number in created.items() if type in plan.costs},
    )


def _delays(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        "median": round(ordered[len(ordered) // 2], 3),
        "p95": round(ordered[len(ordered) * 95 // 100], 3),
    }


def _types(plan: Plan, created: Counter[str]) -> list[str]:
    return list(dict.fromkeys([*(spec.type for spec in plan.specs if spec.type), *created]))


def _type(plan: Plan, world: World, type: str, created: int) -> TypeForecast:
    seen = durations(plan).get(type)
    run = seen or world.settings.of(type).run
    learned = len(seen.spans) if seen else 0
    return TypeForecast(created, round(run.median_seconds, 1), learned, plan.learned.starts.get(type, 0))


def _share(requests: int, per_minute: int | None, seconds: float) -> float | None:
    return round(60.0 * requests / (per_minute * seconds), 3) if per_minute and seconds else None


def _range(times: list[float]) -> Range | None:
    return Range(*(round(times[place], 3) for place in (0, len(times) // 2, -1))) if times else None


def peak(spans: list[tuple[float, float]]) -> int:
    """The most spans that overlap at any moment."""
    most = level = 0
    for _, change in sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans]):
        level += change
        most = max(most, level)
    return most
