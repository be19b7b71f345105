"""Creates whose answer was lost, against job lists of every kind: found, or unknown and explained; never another's."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import TypeAlias

import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sumeasync.core.reconcile import MOST_PAGES, PATIENCE_SECONDS
from sumeasync.core.settings import Settings
from sumeasync.dialects.so import CREATES
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.simulator.ledger import body_hash
from sumeasync.testing import Rig
from sumeasync.testing.invariants import read_results

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
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
    two = msgspec.structs.replace(QUICK, creates_per_type=2)
    specs = [image(0), image(1)]

    async def staggered() -> AsyncIterator[JSON]:
        yield specs[0]
        await asyncio.sleep(seconds)
        yield specs[1]

    async with Rig(WORLD, rules=rules) as rig:
        outcomes = await rig.run(staggered(), two)
        assert {one.status for one in outcomes} == {"unknown"}
        assert "nothing tells their jobs apart" in str({one.key: one.error for one in outcomes}["image_generation-1"])
        await rig.check(specs)


async def kill(rig: Rig, specs: list[JSON], quick: Settings, rng: Random, kills: int) -> None:
    """Let run after run be cut off within a second, while what it sent may still arrive."""
    for _ in range(kills):
        async with rig.engine(quick) as engine:
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


@pytest.mark.parametrize(("count", "seconds"), [(2, 20), (1, 46)])
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
        outcomes = await rig.run([image(0)], QUICK)
        assert began > 40
        assert rig.now() - began < 1
        assert [one.status for one in outcomes] == ([] if found else ["unknown"])
        assert [line["found"] for line in read_results(rig.disk, crashed=False)[0]] == [True] * found
        await rig.check([image(0)])


class Service(Rig):
    """A service that tells whole seconds, shows prompts, or lives in another time, as the scene says."""

    scene: Scene
    prompts: dict[str, str]

    def wall_clock(self) -> float:
        """The engines' clock: not the service's."""
        return super().wall_clock() - self.scene.ahead

    def app(self) -> web.Application:
        """The simulator's, whose lists are reworded."""
        app = super().app()

        @web.middleware
        async def reworded(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            if request.path.endswith("/jobs") and isinstance(answer, web.Response) and isinstance(answer.body, bytes):
                answer.body = json.dumps(self.reword(json.loads(answer.body))).encode()
            return answer

        app.middlewares.append(reworded)
        return app

    def reword(self, page: JSON) -> JSON:
        """A page as this service shows it."""
        for entry in page.get("data", ()):
            if self.scene.whole_seconds:
                entry["created_at"] = entry["created_at"].split(".")[0] + "Z"
            if self.scene.prompts:
                entry["prompt"] = self.scene.bodies.get(self.made_from(entry["id"]), "somebody else's")
        return page

    def made_from(self, job_id: str) -> str:
        """The hash of the body that made a job; empty for a stranger's."""
        accepted = self.world.ledger.accepted.items()
        return next((body for body, creates in accepted if [job_id] in creates), "")


class Scene(msgspec.Struct):
    """What a batch goes through. `clear` says that the list cannot but tell whose job each is."""

    world: WorldSettings
    rules: list[JSON]
    kills: int
    old_jobs: int
    per_type: int
    ahead: float
    whole_seconds: bool
    prompts: bool
    latency: float
    seed: int
    bodies: dict[str, str] = {}

    @property
    def shown(self) -> bool:
        """Whether every job that matters is on the pages that are read."""
        page = min(20 if "limit" in self.world.list_ignores else 100, self.world.list_most)
        most = page if "cursor" in self.world.list_ignores else page * MOST_PAGES
        return 40 + (0 if self.world.list_order == "newest" else self.old_jobs) < most

    @property
    def clear(self) -> bool:
        lags = self.world.list_lag_seconds > PATIENCE_SECONDS
        return self.shown and not lags and not self.world.foreign_every_seconds and self.per_type == 1


ACTIONS = ({"kind": "reset", "act": True}, {"kind": "reset"}, {"kind": "status", "status": 502, "act": True})
LOSSES = st.lists(
    st.builds(lambda nth, do: {"on": ["create"], "nth": nth, "do": do}, st.integers(1, 14), st.sampled_from(ACTIONS)),
    max_size=8,
)
WORLDS = st.builds(
    lambda **changes: msgspec.structs.replace(WORLD, **changes),
    list_order=st.sampled_from(["newest", "oldest", "random"]),
    list_lag_seconds=st.sampled_from([0.0, 3.0, 30.0, 1e6]),
    list_most=st.sampled_from([100, 5]),
    list_ignores=st.frozensets(st.sampled_from(["limit", "cursor", "type"])),
    foreign_every_seconds=st.sampled_from([None, None, 3.1, 47.0]),
)
SCENES = st.builds(
    Scene,
    world=WORLDS,
    rules=LOSSES,
    kills=st.integers(0, 8),
    old_jobs=st.sampled_from([0, 60, 150]),
    per_type=st.sampled_from([1, 1, 3]),
    ahead=st.sampled_from([0.0, 0.7, 3600.0, -86400.0]),
    whole_seconds=st.booleans(),
    prompts=st.booleans(),
    latency=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1 << 16),
)


def check_strangers(rig: Service, lines: list[JSON]) -> int:
    """A job that none of the specs made is taken only where the list could not tell; returns how many were."""
    origins = {line["job_id"]: rig.world.find(line["job_id"]).origin for line in lines if line.get("job_id")}
    strangers = sum(origin != "api" for origin in origins.values())
    assert set(origins.values()) <= {"api", "foreign"}
    assert not (strangers and rig.scene.prompts)
    for line in lines:
        told = rig.scene.shown and rig.scene.world.list_lag_seconds == 0
        if told and origins.get(line["job_id"]) == "foreign":
            body = body_hash(CREATES[line["type"]], {"prompt": rig.prompts[line["key"]]})
            assert not rig.world.ledger.accepted.get(body), "the spec's own job was in the list"
    return strangers


def quiet(world: WorldSettings, ahead: float) -> Scene:
    """A scene in which the engines' clock is off, and nothing else happens."""
    return Scene(world, [LOST], 0, 0, 1, ahead, whole_seconds=True, prompts=False, latency=0.0, seed=0)


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -86400.0])
async def test_clocks_that_differ(ahead: float) -> None:
    """However wrong the engine's clock is, the list is read back to the create by the service's."""
    others = {"foreign_every_seconds": 1.0, "foreign_type": "video_generation"}
    world = msgspec.structs.replace(WORLD, list_most=1, list_ignores=frozenset({"type"}), **others)
    async with Service(world, rules=load_rules([LOST])) as rig:
        rig.scene = quiet(world, ahead)
        assert [one.status for one in await rig.run([image(0)], QUICK)] == ["completed"]
        check_owners(rig, [image(0)])


async def test_a_search_that_is_given_up_lets_others_go() -> None:
    """A search that ends with its deadline, while others of the type still wait for it, keeps them no longer."""
    rules = load_rules([NEVER, {"on": ["list"], "do": {"kind": "status", "status": 500}}])
    specs = [image(0) | {"deadline_seconds": 1}, image(1)]
    async with Rig(WORLD, rules=rules) as rig:
        await kill(rig, specs, QUICK, Random(0), 1)
        outcomes = {one.key: one.status for one in await rig.run(specs, QUICK)}
        assert outcomes == {"image_generation-0": "unknown", "image_generation-1": "completed"}
        assert rig.engine_run is not None
        assert rig.engine_run.statistics.unanswered == 1


@settings(max_examples=SEEDS * 3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(SCENES)
async def test_nothing_is_taken_for_another(scene: Scene) -> None:
    """Whatever is lost, killed, late or strange: no second charge, no job of another spec, no unknown without need."""
    specs = [image(number, type) for number in range(5) for type in TYPES]
    quick = msgspec.structs.replace(QUICK, creates_per_type=scene.per_type)
    scene.bodies = {body_hash(CREATES[one["type"]], one["input"]): one["input"]["prompt"] for one in specs}
    async with Service(scene.world, rules=load_rules(scene.rules), seed=scene.seed, latency=(0, scene.latency)) as rig:
        rig.scene = scene
        rig.prompts = {one["key"]: one["input"]["prompt"] for one in specs}
        rig.world.preload(scene.old_jobs, type="image_generation", spread_seconds=90000.0)
        await kill(rig, specs, quick, Random(scene.seed), scene.kills)
        outcomes = await rig.run(specs, quick)
        lines, _ = read_results(rig.disk, crashed=False)
        strangers = check_strangers(rig, lines)
        if not strangers:
            check_owners(rig, specs)
            await rig.check(specs)
        for outcome in outcomes:
            if outcome.status == "unknown":
                assert "the job list" in str(outcome.error)
                body = body_hash(CREATES[outcome.type], {"prompt": rig.prompts[outcome.key]})
                assert not (scene.clear and rig.world.ledger.accepted.get(body)), "it was there to be found"
        assert all(len(creates) == 1 for creates in rig.world.ledger.accepted.values())
