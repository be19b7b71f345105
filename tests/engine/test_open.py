"""The engine on the surface ``open``: a create goes out again under its key, and is charged once whatever happens."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections import Counter
from random import Random

import msgspec
import pytest

from sumeasync.core.keys import KEY_SECONDS
from sumeasync.core.settings import Settings
from sumeasync.errors import SettingsError
from sumeasync.io.replay import replay
from sumeasync.models import JSON
from sumeasync.simulator import Duration, Limits, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import MemoryDisk, Rig

from .test_crash import LOST, CrashRig, lost_create

SEEDS = int(os.environ.get("SUMEASYNC_SEEDS", "1"))
SHORT = TypeSettings(Duration(4, 0.3), queue=Duration(1, 0.3), media="png")
WORLD = WorldSettings(types=dict.fromkeys(("image_generation", "video_generation"), SHORT))
POLICY = {"first_delay": 1.0, "interval": 1.0, "cap": 1.0}
QUICK = Settings(poll=dict.fromkeys(("*", "image_generation", "video_generation"), POLICY))
BRIEF = msgspec.structs.replace(QUICK, poll={"*": POLICY, "image_generation": POLICY | {"deadline": 60.0}})
RECREATE = msgspec.structs.replace(QUICK, recreate_unknown=True)
NEVER = lost_create({"kind": "reset", "act": True})
LATENCY = (0.001, 0.2)
STRIDE = 8
MOST_OPERATIONS = 300


def image(number: int, **fields: JSON) -> JSON:
    """A spec for one image."""
    return {
        "key": f"img-{number}",
        "type": "image_generation",
        "input": {"model": "gpt-image-2", "prompt": f"p{number}"},
        **fields,
    }


def batch(count: int = 6) -> list[JSON]:
    """Images and videos in turn."""
    video: JSON = {"type": "video_generation"}
    return [
        image(n) if n % 2 else video | {"key": f"vid-{n}", "input": {"model": "seedance", "prompt": f"p{n}"}}
        for n in range(count)
    ]


async def keys_of(disk: MemoryDisk) -> list[str | None]:
    """The idempotency keys of the specs whose create is open."""
    return [facts.idempotency_key for facts in (await replay(disk)).history.all()]


async def test_whole_batch() -> None:
    """Images and videos are created, awaited, fetched and saved, and a second run costs nothing."""
    async with Rig(WORLD, dialect="open", latency=LATENCY) as rig:
        outcomes = await rig.run(batch(40), QUICK)
        assert all(outcome.ok and outcome.files for outcome in outcomes)
        assert len(outcomes) == 40
        assert not [path for path in rig.world.ledger.requests if "catalog" in path]
        await rig.check(batch(40))
        await rig.check_repeat(batch(40), QUICK)


async def test_creates_go_side_by_side() -> None:
    """With keys to tell them apart, creates of one type need not wait for each other's answers."""
    async with Rig(WORLD, dialect="open", latency=(1.0, 1.0)) as rig:
        await rig.run([image(n) for n in range(8)], QUICK)
        times = rig.world.ledger.times["create"]
        assert max(times) - min(times) < 1


@pytest.mark.parametrize("action", LOST, ids=[str(number) for number in range(len(LOST))])
async def test_lost_answers_cost_nothing(action: JSON) -> None:
    """A create whose answer is lost is sent again under its key: one charge, the same job, nothing unknown."""
    async with Rig(WORLD, dialect="open", rules=load_rules([lost_create(action, every=2)])) as rig:
        outcomes = await rig.run(batch(), QUICK)
        assert [outcome.status for outcome in outcomes] == ["completed"] * 6
        assert len(rig.world.jobs) == 6
        assert sum(rig.world.ledger.received.values()) > 6
        await rig.check(batch())
        await rig.check_repeat(batch(), QUICK)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("first", range(1, STRIDE + 1))
async def test_crash_at_every_operation(first: int, seed: int) -> None:
    """After a crash at any operation of the disk the next run ends the batch: each spec charged once, none unknown."""
    for nth in range(first, MOST_OPERATIONS, STRIDE):
        async with CrashRig(WORLD, dialect="open", seed=seed, latency=LATENCY) as rig:
            if not await rig.crash_at(batch(4), nth, Random(f"{seed}/{nth}")):
                return
            await rig.check(batch(4))
            await rig.run(batch(4), QUICK)
            assert rig.report is not None
            assert (rig.report.unresolved, len(rig.world.ledger.charges)) == ((), 4), f"crash before operation {nth}"
            await rig.check(batch(4))
            await rig.check_repeat(batch(4), QUICK)
    pytest.fail("the batch needs more operations than are tried")


async def test_a_later_run_uses_the_same_key() -> None:
    """A create that no run got an answer to is sent by the next run under the key in the journal."""
    async with Rig(WORLD, dialect="open", rules=load_rules([NEVER])) as rig:
        (outcome,) = await rig.run([image(1)], BRIEF)
        assert rig.report is not None
        assert (outcome.status, rig.report.exit_code) == ("unknown", 6)
        (key,) = await keys_of(rig.disk)
        await rig.check([image(1)])
        assert list(rig.world.keys) == [key]
        rig.world.faults.rules = ()
        (outcome,) = await rig.run([image(1)], QUICK)
        assert (outcome.ok, len(rig.world.jobs)) == (True, 1)
        await rig.check_repeat([image(1)], QUICK)


@pytest.mark.parametrize("settings", [QUICK, RECREATE], ids=["wait", "recreate"])
async def test_an_old_key_proves_nothing(settings: Settings) -> None:
    """After a day the create is not sent again by itself, nor matched to a listed job: the user decides."""
    async with Rig(WORLD, dialect="open", rules=load_rules([NEVER])) as rig:
        await rig.run([image(1)], BRIEF)
        await asyncio.sleep(KEY_SECONDS)
        before, rig.world.faults.rules = rig.requests(), ()
        (outcome,) = await rig.run([image(1)], settings)
        assert rig.report is not None
        if settings is QUICK:
            assert (outcome.status, rig.report.exit_code, rig.requests()) == ("unknown", 6, before)
        else:
            assert (outcome.ok, len(rig.world.jobs)) == (True, 2)


async def test_the_age_of_a_key_counts_from_its_first_try() -> None:
    """Trying again in vain makes no key younger."""
    async with Rig(WORLD, dialect="open", rules=load_rules([NEVER])) as rig:
        tries = []
        for _ in range(3):
            before = rig.requests()
            await rig.run([image(1)], BRIEF)
            tries.append(rig.requests() > before)
            await asyncio.sleep(0.6 * KEY_SECONDS)
        assert tries == [True, True, False]
        await rig.check([image(1)])


async def test_a_refused_try_does_not_make_its_key_younger() -> None:
    """Where the first try was refused, and a later one lost, the key is as old as the first: the server saw it then."""
    busy = {"kind": "status", "status": 429, "retry_after": "3600"}
    rules = [lost_create(busy, nth=1), lost_create({"kind": "reset"})]
    async with Rig(WORLD, dialect="open", rules=load_rules(rules)) as rig:
        began = rig.wall_clock()
        await rig.run([image(1, deadline_seconds=4000.0)], QUICK)
        await asyncio.sleep(began + KEY_SECONDS + 1 - rig.wall_clock())
        before, rig.world.faults.rules = rig.requests(), ()
        (outcome,) = await rig.run([image(1)], QUICK)
        assert (outcome.status, rig.requests()) == ("unknown", before)


async def test_a_key_that_grew_old_without_any_doubt_is_replaced() -> None:
    """A create that was refused, and may be sent again only a day later, goes out under a new key of full age."""
    patient = msgspec.structs.replace(QUICK, create_day_rate="1/d")
    rules = load_rules([lost_create({"kind": "status", "status": 429}, nth=1)])
    async with Rig(WORLD, dialect="open", rules=rules) as rig:
        (outcome,) = await rig.run([image(1, deadline_seconds=3 * KEY_SECONDS)], patient)
        assert outcome.ok
        assert len(set(re.findall(r'"idempotency_key":"(\w+)"', rig.disk.content("journal.log").decode()))) == 2


async def test_a_final_refusal_after_a_lost_answer() -> None:
    """A 4xx to the second try says nothing of the first: the create is unknown, not rejected, and settled later."""
    rules = [
        lost_create({"kind": "reset", "act": True}, nth=1),
        lost_create({"kind": "status", "status": 422, "code": "bad_request"}),
    ]
    async with Rig(WORLD, dialect="open", rules=load_rules(rules)) as rig:
        (outcome,) = await rig.run([image(1)], QUICK)
        assert rig.report is not None
        assert (outcome.status, outcome.final, rig.report.exit_code) == ("unknown", False, 6)
        await rig.check([image(1)])
        rig.world.faults.rules = ()
        (outcome,) = await rig.run([image(1)], QUICK)
        assert (outcome.ok, len(rig.world.ledger.charges)) == (True, 1)


async def test_a_create_that_is_refused_for_good_is_sent_anew_on_demand() -> None:
    """The user's decision to create what is unknown again holds at once: it goes out under a new key."""
    rules = [
        lost_create({"kind": "reset"}, nth=1),
        lost_create({"kind": "status", "status": 422, "code": "bad_request"}, until_seconds=600),
    ]
    async with Rig(WORLD, dialect="open", rules=load_rules(rules)) as rig:
        (outcome,) = await rig.run([image(1)], QUICK)
        assert outcome.status == "unknown"
        (old,) = await keys_of(rig.disk)
        await asyncio.sleep(600)
        (outcome,) = await rig.run([image(1)], RECREATE)
        assert outcome.ok
        assert old not in rig.world.keys
        await rig.check_repeat([image(1)], RECREATE)


async def test_a_create_that_a_crash_cut_off_keeps_its_key() -> None:
    """Nobody has called it unknown yet, so that also where such may be created again it is not paid twice."""
    async with Rig(WORLD, dialect="open") as rig:
        rig.disk.on_write = lambda _, data: rig.disk.fail("write", errno.EIO) if b'"created"' in data else None
        await rig.run([image(1)], QUICK)
        (key,) = await keys_of(rig.disk)
        rig.disk.heal()
        rig.disk.on_write = None
        (outcome,) = await rig.run([image(1)], RECREATE)
        assert (outcome.ok, list(rig.world.keys), len(rig.world.ledger.charges)) == (True, [key], 1)
        await rig.check([image(1)])


async def test_creates_that_were_not_even_tried_again() -> None:
    """When a run is stopped before it could send them again, creates in doubt are told of, and stay as they were."""
    specs = [image(1), image(2)]
    async with Rig(WORLD, dialect="open", rules=load_rules([NEVER])) as rig:
        await rig.run(specs, BRIEF)
        rig.world.faults.rules = load_rules([lost_create({"kind": "status", "status": 401}, nth=1)])
        rig.world.faults.matched, rig.world.faults.fired = [{}], [0]
        assert await rig.run(specs, msgspec.structs.replace(QUICK, creates=1)) == []
        assert rig.report is not None
        assert {(one.key, one.status) for one in rig.report.unresolved} == {("img-1", "unknown"), ("img-2", "unknown")}
        assert rig.report.not_started == 0
        await rig.check(specs)
        await rig.run(specs, QUICK)
        assert len(rig.world.ledger.charges) == 2


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_key_that_grows_old_in_the_queue(lost: int) -> None:
    """A create that had to wait for a day after its first try is not sent again under its key, whichever was lost."""
    rules = [
        lost_create({"kind": "reset", "act": True}, nth=lost),
        lost_create({"kind": "status", "status": 429, "retry_after": "3600"}, nth=3 - lost),
    ]
    patient = msgspec.structs.replace(QUICK, create_day_rate="2/d")
    async with Rig(WORLD, dialect="open", rules=load_rules(rules)) as rig:
        (outcome,) = await rig.run([image(1, deadline_seconds=3 * KEY_SECONDS)], patient)
        assert (outcome.status, len(rig.world.ledger.times["create"])) == ("unknown", 2)
        await rig.check([image(1)])


@pytest.mark.parametrize(("status", "code"), [(402, "insufficient_credits"), (401, "unauthorized")])
async def test_a_refusal_after_a_lost_answer(status: int, code: str) -> None:
    """What stops creates tells nothing of the one whose answer was lost: it stays open, and the next run settles it."""
    rules = [
        lost_create({"kind": "reset", "act": True}, nth=1),
        lost_create({"kind": "status", "status": status, "code": code}, until_seconds=50),
    ]
    async with Rig(WORLD, dialect="open", rules=load_rules(rules)) as rig:
        assert await rig.run([image(1)], QUICK) == []
        assert rig.report is not None
        assert [(one.key, one.status) for one in rig.report.unresolved] == [("img-1", "unknown")]
        assert rig.report.not_started == 0
        await rig.check([image(1)])
        rig.world.faults.rules = ()
        (outcome,) = await rig.run([image(1)], QUICK)
        assert (outcome.ok, len(rig.world.ledger.charges)) == (True, 1)


async def test_no_credits_at_all() -> None:
    """A create that was refused for certain is not started, and a later run gives it a key of its own."""
    rules = load_rules([lost_create({"kind": "status", "status": 402, "code": "insufficient_credits"}, times=1)])
    async with Rig(WORLD, dialect="open", rules=rules) as rig:
        await rig.run([image(1)], QUICK)
        assert rig.report is not None
        assert (rig.report.not_started, rig.report.unresolved) == (1, ())
        (refused,) = await keys_of(rig.disk)
        await rig.run([image(1)], QUICK)
        assert list(rig.world.keys) != [refused]


async def test_a_conflict_is_waited_out() -> None:
    """A 409 to a create means that an earlier try under its key is under way: it is sent again, not given up."""
    rules = load_rules([lost_create({"kind": "status", "status": 409, "code": "idempotency_key_in_use"}, times=2)])
    async with Rig(WORLD, dialect="open", rules=rules) as rig:
        (outcome,) = await rig.run([image(1)], QUICK)
        assert (outcome.ok, len(rig.world.jobs)) == (True, 1)


async def test_every_try_of_a_create_has_one_key() -> None:
    """The key is in the journal before the first try, the same for every try, and different for every spec."""
    failing = lost_create({"kind": "status", "status": 500}, nth=1)
    async with Rig(WORLD, dialect="open", rules=load_rules([failing])) as rig:
        await rig.run(batch(3), QUICK)
        journal = rig.disk.content("journal.log").decode()
        told = Counter(re.findall(r'"key":"([^"]+)".*"idempotency_key":"([0-9a-f]{64})"', journal))
        assert sorted(told.values()) == [1, 1, 2]
        assert sorted(key for _, key in told) == sorted(rig.world.keys)


async def test_content_that_is_refused() -> None:
    """A job refused for its content fails with a code of its own, for good."""
    spec = image(1, input={"model": "gpt-image-2", "prompt": "nsfw"})
    async with Rig(WORLD, dialect="open") as rig:
        (outcome,) = await rig.run([spec], QUICK)
        assert outcome.error is not None
        assert (outcome.status, outcome.error.code, outcome.final) == ("failed", "content_policy_rejected", True)
        await rig.check_repeat([spec], QUICK)


async def test_what_cannot_be_created_here() -> None:
    """A spec without a model, or with a file, is refused before anything is sent; the others go on."""
    specs = [image(1, input={"prompt": "p"}), {"key": "clip", "type": "asset_ingest", "file": __file__}, image(2)]
    async with Rig(WORLD, dialect="open") as rig:
        outcomes = await rig.run(specs, QUICK)
        assert {outcome.key: outcome.status for outcome in outcomes} == {
            "img-1": "rejected",
            "clip": "rejected",
            "img-2": "completed",
        }
        assert "POST /files/generate-upload-url" not in rig.world.ledger.requests
        await rig.check(specs)


async def test_result_that_lags() -> None:
    """A result that is refused as not complete for a while is asked for again."""
    async with Rig(msgspec.structs.replace(WORLD, result_lag_seconds=5.0), dialect="open") as rig:
        (outcome,) = await rig.run([image(1)], QUICK)
        assert outcome.ok
        await rig.check([image(1)])


async def test_the_recommended_interval_is_a_floor() -> None:
    """A job is asked about no sooner than the server would like."""
    world = msgspec.structs.replace(WORLD, recommended_poll_seconds=4.0)
    quick = msgspec.structs.replace(QUICK, sweep=False, learn=False)
    polls = []
    for settings in (WORLD, world):
        async with Rig(settings, dialect="open") as rig:
            await rig.run([image(1)], quick)
            polls.append(rig.world.ledger.requests["GET /jobs/{id}/status"])
    assert polls[0] >= 4
    assert polls[1] <= 3


async def test_limits_are_kept() -> None:
    """Under limits nobody is refused twice in a row for long, and everything completes."""
    limited = msgspec.structs.replace(WORLD, limits=Limits(reads_per_minute=30, creates_per_minute=5))
    async with Rig(limited, dialect="open") as rig:
        outcomes = await rig.run(batch(20), QUICK)
        assert all(outcome.ok for outcome in outcomes)
        assert rig.world.ledger.statuses[429] <= 5
        await rig.check(batch(20))


@pytest.mark.parametrize(
    ("queue", "then", "text"), [(500, "canceled", "was canceled"), (1, "completed", "could not be")]
)
async def test_past_its_deadline_a_job_is_canceled(queue: float, then: str, text: str) -> None:
    """Where that is asked for, the server is asked to cancel, once; the next run reads how the job ended."""
    slow = TypeSettings(Duration(100, 0), queue=Duration(queue, 0), media="png")
    cancel = msgspec.structs.replace(QUICK, on_timeout="cancel")
    async with Rig(WorldSettings(types={"image_generation": slow}), dialect="open", latency=LATENCY) as rig:
        specs = [image(1, deadline_seconds=20.0)]
        (late,) = await rig.run(specs, cancel)
        assert late.error is not None
        assert (late.status, late.final, text in late.error.message) == ("timed_out", False, True)
        assert rig.report is not None
        assert rig.report.requests["cancel"] == 1
        await asyncio.sleep(200)
        (outcome,) = await rig.run(specs, cancel)
        assert outcome.status == then


async def test_jobs_that_cannot_be_canceled_are_left() -> None:
    """Where the API has no cancellation, asking for it is refused before anything is made or sent."""
    async with Rig(WORLD) as rig:
        with pytest.raises(SettingsError, match="on_timeout"):
            rig.engine(msgspec.structs.replace(QUICK, on_timeout="cancel"))
