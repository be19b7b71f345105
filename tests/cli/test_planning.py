"""Rehearsals of a batch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from sumeasync.cli import planning
from sumeasync.cli.forecast import Range
from sumeasync.cli.learned import Learned, MediaSeen, learn
from sumeasync.cli.planning import Plan, foresee, limits_of, peak, rehearse, world_settings
from sumeasync.core.records import Created, Ended, Intent, Record
from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.core.specs import make_spec
from sumeasync.io.journal import Journal
from sumeasync.io.replay import JOURNAL
from sumeasync.models import Spec
from sumeasync.simulator import Duration, Limits, Observed, TypeSettings, WorldSettings
from sumeasync.testing import MemoryDisk, Rig, run_virtual

BEGIN = 1_800_000_000.0
PUBLISHED = Settings(read_rate="120/m", create_rate="10/m", download=False)
FREE = Settings(download=False)
COSTS = {"image_generation": 2.5}


def specs(count: int, type: str = "image_generation") -> list[Spec]:
    """So many specs of a type."""
    return [make_spec({"key": f"{type}-{n}", "type": type, "input": {"prompt": f"take {n}"}}) for n in range(count)]


def plan(specs: list[Spec], settings: Settings = FREE, learned: Learned | None = None, **more: Any) -> Plan:
    """A plan that begins at a fixed time."""
    return Plan(specs, settings, learned or Learned(), begin=BEGIN, **more)


def earlier(specs: list[Spec], world: WorldSettings | None = None, *, upto: int | None = None) -> Learned:
    """What a run of these specs that began an hour before teaches; it is drained after `upto` outcomes."""

    async def run() -> bytes:
        settings = WorldSettings(epoch=BEGIN - 3600.0) if world is None else world
        async with Rig(settings, seed=1) as rig:
            async with rig.engine(FREE) as engine:
                run = engine.run(specs)
                count = 0
                async for _ in run:
                    count += 1
                    if count == upto:
                        run.drain()
            return rig.disk.content(JOURNAL)

    return asyncio.run(learn(run_virtual(run)))


@pytest.mark.parametrize("concurrency", [None, 6])
@pytest.mark.parametrize("settings", [FREE, PUBLISHED], ids=["free", "published"])
def test_a_plan_comes_true(settings: Settings, concurrency: int | None) -> None:
    """A run over HTTP against the same service takes the time and the requests that were planned, within 5 %."""
    planned = plan(specs(30) + specs(20, "video_generation"), settings, concurrency=concurrency)
    foreseen = rehearse(planned, seed=3).report

    async def over_http() -> Report:
        async with Rig(world_settings(planned, 3), seed=3, latency=(0.075, 0.075)) as rig:
            async with rig.engine(settings, disk=None, rng=Random("plan 3")) as engine:
                run = engine.run(planned.specs)
                assert all([outcome.ok async for outcome in run])
            return run.report()

    real = run_virtual(over_http)
    assert foreseen.seconds == pytest.approx(real.seconds, rel=0.05)
    assert sum(foreseen.requests.values()) == pytest.approx(sum(real.requests.values()), rel=0.05)
    assert foreseen.statuses == real.statuses


def test_the_same_seed_is_the_same_plan() -> None:
    """A plan is exact: the same seed gives the same figures, another one others."""
    batch = plan(specs(10, "ads_video"))
    first, again, other = (rehearse(batch, seed).report for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("rates", "limits"),
    [
        ({}, Limits()),
        ({"read_rate": "120/m", "create_rate": "10/min"}, Limits(120, None, 10, None)),
        ({"read_rate": "2/s", "create_rate": "90/h"}, Limits(120, None, 2, None)),
        ({"read_rate": "10000/d", "create_rate": "0.5/m"}, Limits(None, 10_000, 1, None)),
        ({"read_rate": "5/s", "read_day_rate": "9000/d", "create_day_rate": "300/d"}, Limits(300, 9000, None, 300)),
    ],
)
def test_the_server_enforces_what_was_given(rates: dict[str, str], limits: Limits) -> None:
    """Rates in any unit become the windows of the simulated server."""
    assert limits_of(Settings(**rates)) == limits  # type: ignore[arg-type]


@pytest.mark.parametrize("rates", [("120/m", "10/m"), ("1/s", "300/h"), ("0.7/s", "7/m")])
def test_a_rate_that_is_kept_is_never_refused(rates: tuple[str, str]) -> None:
    """What the engine allows itself is within what the server then allows."""
    settings = Settings(read_rate=rates[0], create_rate=rates[1], download=False)
    report = rehearse(plan(specs(30), settings), seed=1).report
    assert (report.rate_limited, report.statuses) == (0, {"completed": 30})


def test_what_is_finished_is_left_out() -> None:
    """Specs that the earlier run finished cost nothing; the others are created."""
    done = earlier(specs(6))
    forecast = foresee(plan(specs(9), learned=done))
    assert (forecast.skipped, forecast.jobs, forecast.outcomes) == (6, 3, {"completed": 3})
    assert forecast.requests["create"] == 3


def test_jobs_that_run_already_are_waited_for() -> None:
    """Jobs of an interrupted run are not created again; an hour old, they have ended, which is noticed at once."""
    batch = specs(4) + specs(4, "ads_video")
    forecast = foresee(plan(batch, learned=earlier(batch, upto=4)))
    assert (forecast.skipped, forecast.jobs, forecast.outcomes) == (4, 0, {"completed": 4})
    assert forecast.finish_seconds.high < 30.0
    assert (forecast.detection_seconds, forecast.peak_in_flight) == ({}, 4)


def recorded(*records: Record) -> Learned:
    """What a journal of these records teaches."""

    async def write() -> bytes:
        disk = MemoryDisk()
        opened = await Journal.open(disk)
        await opened.append(*records)
        await opened.aclose()
        return disk.content(JOURNAL)

    return asyncio.run(learn(run_virtual(write)))


def test_a_job_that_has_ended_is_only_fetched() -> None:
    """A job whose end is in the journal, however young, takes one request for its result."""
    (spec,) = specs(1, "ads_video")
    learned = recorded(
        Intent(spec.key, spec.type, spec.payload_hash, BEGIN - 1.0),
        Created(spec.key, ("job_1",), BEGIN - 1.0),
        Ended(spec.key, "job_1", "completed", BEGIN, spec.type),
    )
    forecast = foresee(plan([spec], learned=learned))
    assert (forecast.requests, forecast.outcomes) == ({"result": 1}, {"completed": 1})


def test_a_create_without_an_answer_is_looked_for_as_in_a_run() -> None:
    """An open create is not sent again: the list is asked, and it stays unknown."""
    (spec,) = specs(1)
    forecast = foresee(plan([spec], learned=recorded(Intent(spec.key, spec.type, spec.payload_hash, BEGIN - 60.0))))
    assert (set(forecast.requests), forecast.outcomes) == ({"reconcile"}, {"unknown": 1})
    assert forecast.refused == {}


def test_the_finish_is_that_of_several_rehearsals() -> None:
    """The first, the middle and the last finish of as many seeds are told, and the middle one's figures."""
    batch = plan(specs(4, "ads_video"), seed=14)
    reports = sorted((rehearse(batch, 14 + n).report for n in range(15)), key=lambda report: report.seconds)
    forecast = foresee(batch)
    assert forecast.finish_seconds == Range(*(reports[n].seconds for n in (0, 7, 14)))
    assert forecast.requests == reports[7].requests
    assert len({report.seconds for report in reports}) == 15


@pytest.mark.parametrize(("count", "rehearsals"), [(225, 15), (300, 11), (500, 7), (1000, 3), (1801, 1), (9000, 1)])
def test_a_large_batch_is_rehearsed_less_often(monkeypatch: pytest.MonkeyPatch, count: int, rehearsals: int) -> None:
    """What takes long to rehearse is rehearsed once; its parts are many enough to even out."""
    one = rehearse(plan(specs(1)), 0)
    seeds = []
    monkeypatch.setattr(planning, "rehearse", lambda _, seed: seeds.append(seed) or one)
    assert foresee(plan(specs(count))).rehearsals == len(seeds) == rehearsals


def test_durations_are_the_learned_ones() -> None:
    """A type of which enough jobs were seen takes as long as they took; others take their typical time."""
    slow = {"image_generation": TypeSettings(Duration(400.0, 0.1), media="png")}
    learned = earlier(specs(20), WorldSettings(types=slow, epoch=BEGIN - 3600.0))
    batch = plan(
        [make_spec({"key": f"new-{n}", "type": "image_generation", "input": {"prompt": "x"}}) for n in range(9)]
    )
    forecast = foresee(Plan(batch.specs + specs(1, "ads_video"), FREE, learned, begin=BEGIN))
    assert forecast.types["image_generation"].learned_from == 20
    assert forecast.types["image_generation"].median_seconds == pytest.approx(400, rel=0.1)
    assert forecast.types["ads_video"].learned_from == 0
    assert 350 < forecast.finish_seconds.low < 600


def test_media_and_costs_are_told_where_something_is_known() -> None:
    """Bytes come from what was saved of the type, credits from what a job was said to cost; else nothing is told."""
    known = foresee(plan(specs(5), learned=Learned(media={"image_generation": MediaSeen(2, 300)}), costs=COSTS))
    assert (known.media_bytes, known.credits) == ({"image_generation": 750}, {"image_generation": 12.5})
    unknown = foresee(plan(specs(1, "ads_video"), learned=Learned(media={"face_swap": MediaSeen(1, 9)}), costs=COSTS))
    assert (unknown.media_bytes, unknown.credits) == ({}, {})


def test_a_spec_that_never_becomes_a_job_is_counted_with_its_reason() -> None:
    """What the service is known to refuse is told before it is sent."""
    bad = make_spec({"key": "bad", "type": "video_generation", "input": {"prompt": "x", "duration": 99}})
    forecast = foresee(plan([*specs(2), bad]))
    assert (forecast.outcomes, forecast.jobs) == ({"completed": 2, "rejected": 1}, 2)
    assert forecast.refused == {"duration must be 4 to 15 seconds": 1}


def test_uploads_count_and_files_are_not_read(tmp_path: Path) -> None:
    """An ingest takes an address, an upload and a create; adopted jobs take no create."""
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"x")
    ingest = make_spec({"key": "clip", "type": "asset_ingest", "file": str(clip), "input": {"title": "t"}})
    forecast = foresee(plan([ingest, make_spec({"job_id": "job_17"})]))
    assert [forecast.requests[kind] for kind in ("presign", "upload", "create")] == [1, 1, 1]
    assert (forecast.adopted, forecast.outcomes) == (1, {"completed": 2})


def test_the_other_surface_can_be_planned() -> None:
    """With the dialect ``open`` the same batch is rehearsed on that surface, whatever its models are called."""
    batch = [make_spec({"key": n, "type": "image_generation", "input": {"prompt": n, "model": "kite"}}) for n in "abc"]
    forecast = foresee(plan(batch, Settings(dialect="open", download=False)))
    assert forecast.outcomes == {"completed": 3}


def test_figures_agree() -> None:
    """Shares, peak and delays are those of the run: all bounded, and the first result is not after the last."""
    forecast = foresee(plan(specs(40), PUBLISHED))
    assert forecast.rehearsals == 15
    assert 0.9 < (forecast.create_share or 0.0) <= 1.0
    assert 0.0 < (forecast.read_share or 0.0) <= 1.0
    assert 1 <= forecast.peak_in_flight <= 10
    assert forecast.result_seconds is not None
    assert forecast.result_seconds.low < forecast.result_seconds.middle < forecast.result_seconds.high
    assert 0.0 < forecast.detection_seconds["median"] <= forecast.detection_seconds["p95"] < 20.0


def test_nothing_left_to_do_is_a_plan_too() -> None:
    """When all is finished the plan takes no time and no request."""
    forecast = foresee(plan(specs(3), learned=earlier(specs(3))))
    assert (forecast.skipped, forecast.jobs, forecast.requests, forecast.result_seconds) == (3, 0, {}, None)


@pytest.mark.parametrize(
    ("spans", "most"),
    [([], 0), ([(0.0, 1.0)], 1), ([(0.0, 1.0), (1.0, 2.0)], 1), ([(0.0, 3.0), (1.0, 2.0), (1.5, 9.0)], 3)],
)
def test_the_peak_is_the_most_that_overlap(spans: list[tuple[float, float]], most: int) -> None:
    """What ends when another begins does not overlap it."""
    assert peak(spans) == most


FROM_CREATION, FROM_START = Observed(((50.0, 50.0),)), Observed(((5.0, 5.0),))


@pytest.mark.parametrize(("concurrency", "seen"), [(None, FROM_CREATION), (4, FROM_START)])
def test_learned_durations_are_drawn_in_the_world(concurrency: int | None, seen: Observed) -> None:
    """Jobs take what they took from their creation, or, where they wait for a place here too, from their start."""
    learned = Learned(durations={"image_generation": FROM_CREATION}, runs={"image_generation": FROM_START})
    kind = world_settings(plan(specs(1), learned=learned, concurrency=concurrency), 0).of("image_generation")
    assert (kind.run, kind.queue.draw(Random(1)), kind.credits) == (seen, 0.0, 0)


def test_every_rehearsal_knows_the_learned_durations_a_little_differently() -> None:
    """What a few jobs teach is uncertain: rehearsals differ by more than what they draw."""
    seen = {"image_generation": Observed(tuple((n, n + 1.0) for n in range(5, 25)))}
    batch = plan(specs(1), learned=Learned(durations=seen))
    one, again, other = (world_settings(batch, seed).of("image_generation").run for seed in (1, 1, 2))
    assert one == again != other
    assert foresee(batch).types["image_generation"].learned_from == 20


def test_waiting_at_the_server_is_not_counted_twice() -> None:
    """Where jobs waited for a place when they were learned from, a plan with the same places comes true."""
    kinds = {"video_generation": TypeSettings(Duration(60.0, 0.1), queue=Duration(0.0, 0.0), credits=0)}
    world = WorldSettings(types=kinds, concurrency=4, epoch=BEGIN - 3600.0)
    learned = earlier(specs(24, "video_generation"), world)
    batch = [msgspec.structs.replace(spec, key=f"new-{spec.key}") for spec in specs(24, "video_generation")]
    forecast = foresee(plan(batch, learned=learned, concurrency=4))
    assert forecast.types["video_generation"].median_seconds == pytest.approx(60.0, rel=0.1)
    assert forecast.types["video_generation"].starts_seen >= 16
    assert forecast.finish_seconds.middle == pytest.approx(24 / 4 * 60.0, rel=0.12)
