"""Creates whose answer was lost, against job lists of every kind: found, or unknown and explained; never another's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from random import Random

import msgspec
import pytest

from sumeasync.core.settings import Settings
from sumeasync.dialects.so import CREATES
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.simulator.ledger import body_hash
from sumeasync.testing import Rig
from sumeasync.testing.invariants import read_results

SEEDS = 6 * int(os.environ.get("SUMEASYNC_SEEDS", "1"))
SHORT = TypeSettings(Duration(4, 0.3), queue=Duration(1, 0.3), media="png")
TYPES = {"image_generation": SHORT, "video_generation": SHORT}
WORLD = WorldSettings(types=TYPES)
POLICY = {"first_delay": 1, "interval": 1, "cap": 1}
QUICK = Settings(poll={"*": POLICY} | dict.fromkeys(TYPES, POLICY), sweep=False)
LOST = {"on": ["create"], "nth": 1, "do": {"kind": "reset", "act": True}}
NEVER = {"on": ["create"], "nth": 1, "do": {"kind": "reset"}}


def image(number: int, type: str = "image_generation") -> JSON:
    """A spec whose body is its own."""
    return {"key": f"{type}-{number}", "type": type, "input": {"prompt": f"p{number}"}}


def check_owners(rig: Rig, specs: list[JSON]) -> None:
    """Every job that a spec got, in any run, was made from the spec's own body."""
    inputs = {spec["key"]: spec for spec in specs}
    lines, _ = read_results(rig.disk, crashed=False)
    for line in lines:
        spec = inputs[line["key"]]
        own = rig.world.ledger.accepted.get(body_hash(CREATES[spec["type"]], spec["input"]), [])
        assert line.get("job_id") is None or [line["job_id"]] in own, f"{line['key']} got the job of another"


@pytest.mark.parametrize("ignores", [frozenset(), frozenset({"type"}), frozenset({"limit"})], ids=str)
@pytest.mark.parametrize("order", ["oldest", "random", "newest"])
async def test_found_on_a_later_page(order: str, ignores: frozenset[str]) -> None:
    """A job is found wherever in the list it stands, whatever the list ignores."""
    world = msgspec.structs.replace(WORLD, list_order=order, list_ignores=ignores)
    async with Rig(world, rules=load_rules([LOST])) as rig:
        rig.world.preload(350, type="image_generation", spread_seconds=90000.0)
        (outcome,) = await rig.run([image(0)], QUICK)
        assert outcome.status == "completed"
        check_owners(rig, [image(0)])
        await rig.check([image(0)])


@pytest.mark.parametrize(("order", "pages"), [("newest", 1), ("oldest", 4)])
async def test_no_more_pages_than_needed(order: str, pages: int) -> None:
    """A list that shows the newest first is read back to the create and no further."""
    world = msgspec.structs.replace(WORLD, list_order=order)
    async with Rig(world, rules=load_rules([LOST])) as rig:
        rig.world.preload(350, type="image_generation", spread_seconds=90000.0)
        await rig.run([image(0)], QUICK)
        assert rig.world.ledger.requests["GET /jobs"] == pages


async def test_an_unknown_create_is_explained() -> None:
    """What the list showed is said: how far it was read, and what was found there."""
    lost = {"on": ["create"], "nth": 1, "do": {"kind": "reset"}}
    async with Rig(WORLD, rules=load_rules([lost])) as rig:
        outcomes = {one.key: one for one in await rig.run([image(0), image(1)], QUICK)}
        error = outcomes["image_generation-0"].error
        assert error is not None
        assert "read to its end" in error.message
        assert "0 unclaimed jobs" in error.message


async def test_a_refused_list_is_explained() -> None:
    """When the list is refused, that is what the unknown create says."""
    rules = load_rules([LOST, {"on": ["list"], "do": {"kind": "status", "status": 403}}])
    async with Rig(WORLD, rules=rules) as rig:
        (outcome,) = await rig.run([image(0)], QUICK)
        assert outcome.status == "unknown"
        assert "could not be read" in str(outcome.error)


@pytest.mark.parametrize("seconds", [0, 6])
async def test_open_together_nothing_is_guessed(seconds: float) -> None:
    """Of two creates lost at the same time, one of which never arrived, neither takes the only job there is."""
    rules = load_rules([{"on": ["create"], "nth": 1, "do": {"kind": "reset"}}, LOST | {"nth": 2}])
    settings = msgspec.structs.replace(QUICK, creates_per_type=2)
    specs = [image(0), image(1)]

    async def staggered() -> AsyncIterator[JSON]:
        yield specs[0]
        await asyncio.sleep(seconds)
        yield specs[1]

    async with Rig(WORLD, rules=rules) as rig:
        outcomes = await rig.run(staggered(), settings)
        assert {one.status for one in outcomes} == {"unknown"}
        assert "nothing tells their jobs apart" in str({one.key: one.error for one in outcomes}["image_generation-1"])
        await rig.check(specs)


async def kill(rig: Rig, specs: list[JSON], settings: Settings, rng: Random, kills: int) -> None:
    """Let run after run be cut off within a second, while what it sent may still arrive."""
    for _ in range(kills):
        async with rig.engine(settings) as engine:
            engine.run(specs)
            await asyncio.sleep(rng.uniform(0.1, 0.9))
            disk = rig.disk.crash(rng)
        rig.disk = disk


async def test_kills_twice_a_second_starve_no_type() -> None:
    """Though no run lives long enough to wait for anything, a create that never arrived holds its type only so long."""
    specs = [image(number) for number in range(20)]
    async with Rig(WORLD, rules=load_rules([{"on": ["create"], "nth": 1, "do": {"kind": "reset"}}])) as rig:
        await kill(rig, specs, QUICK, Random(0), 60)
        assert len(rig.world.ledger.charges) == len(specs) - 1
        await rig.run(specs, QUICK)
        check_owners(rig, specs)
        await rig.check(specs)


@pytest.mark.parametrize("lag", [0.0, 5.0, 30.0])
async def test_a_list_that_lags(lag: float) -> None:
    """A paid create is found by the run that lost it, though the list lags; others of its type do not wait for that."""
    specs = [image(number) for number in range(4)]
    async with Rig(msgspec.structs.replace(WORLD, list_lag_seconds=lag), rules=load_rules([LOST])) as rig:
        outcomes = await rig.run(specs, QUICK)
        assert [one.status for one in outcomes] == ["completed"] * 4
        assert max(rig.world.ledger.times["create"]) < 6
        check_owners(rig, specs)
        await rig.check(specs)


@pytest.mark.parametrize(("count", "seconds"), [(2, 10), (1, 46)])
async def test_what_never_arrived_is_unknown_once_the_list_can_tell(count: int, seconds: float) -> None:
    """When the list shows a job made later, it is up to date; without any, only patience can tell."""
    async with Rig(WORLD, rules=load_rules([NEVER])) as rig:
        outcomes = {one.key: one.status for one in await rig.run([image(number) for number in range(count)], QUICK)}
        assert outcomes["image_generation-0"] == "unknown"
        assert seconds / 2 < rig.now() < seconds


@pytest.mark.parametrize(("rule", "found"), [(LOST, True), (NEVER, False)])
async def test_patience_is_counted_over_runs(rule: JSON, found: bool) -> None:
    """Runs that are killed do not begin to wait anew: the time since the answer was lost counts."""
    async with Rig(msgspec.structs.replace(WORLD, list_lag_seconds=30.0), rules=load_rules([rule])) as rig:
        await kill(rig, [image(0)], QUICK, Random(1), 100)
        began = rig.now()
        (outcome,) = await rig.run([image(0)], msgspec.structs.replace(QUICK, download=False))
        assert began > 40
        assert (outcome.status, outcome.found is True) == (("completed", True) if found else ("unknown", False))
        assert rig.now() - began < 5
        await rig.check([image(0)])


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nothing_is_taken_for_another(seed: int) -> None:
    """Lost answers, kills, lag, order and pages at random: no spec is charged twice or given the job of another."""
    rng = Random(seed)
    world = msgspec.structs.replace(
        WORLD,
        list_order=rng.choice(["newest", "oldest", "random"]),
        list_lag_seconds=rng.choice([0.0, 0.0, 3.0, 30.0]),
        list_ignores=frozenset(rng.sample(["limit", "cursor", "type"], rng.randrange(3))),
    )
    actions = ({"kind": "reset", "act": True}, {"kind": "reset"}, {"kind": "status", "status": 502, "act": True})
    rules = [{"on": ["create"], "nth": nth, "do": rng.choice(actions)} for nth in rng.sample(range(1, 20), 6)]
    settings = msgspec.structs.replace(QUICK, creates_per_type=rng.choice([1, 1, 3]))
    specs = [image(number, type) for number in range(6) for type in TYPES]
    async with Rig(world, rules=load_rules(rules), seed=seed, latency=(0.001, 0.1)) as rig:
        rig.world.preload(rng.choice([0, 150]), type="image_generation", spread_seconds=90000.0)
        await kill(rig, specs, settings, rng, 5)
        outcomes = await rig.run(specs, settings)
        check_owners(rig, specs)
        for outcome in outcomes:
            assert outcome.status != "unknown" or "the job list" in str(outcome.error)
        await rig.check(specs)
