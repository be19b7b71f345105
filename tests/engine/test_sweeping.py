"""Sweeps: what a job list saves when it is honest, and that nothing is lost or late for long when it is not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from sumeasync.core.events import Listed, Seen
from sumeasync.core.job import Job, Step
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.core.settings import Settings
from sumeasync.core.sweep.sweeps import Sweeps
from sumeasync.engine.sweeping import Sweeping
from sumeasync.models import JSON, JobView, Outcome, Spec
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.simulator.settings import Limits, StatusWords
from sumeasync.testing import Rig

BRISK = Settings(creates_per_type=8, download=False)
ALONE = msgspec.structs.replace(BRISK, sweep=False)
MIXED = TypeSettings(
    Duration(90, shift_seconds=30), credits=1, failure_rate=0.2, expiry_rate=0.1, cancellation_rate=0.1, media="mp4"
)
COUNT = 60
Document = dict[str, Any]
Lie = Callable[["Liar", web.Request, Document], Document | web.Response]


class Liar(Rig):
    """A rig whose job list passes through a lie; a liar that makes up cursors does not hand them on."""

    def __init__(self, lie: Lie, world: WorldSettings | None = None, *, seed: int = 3) -> None:
        super().__init__(world, seed=seed, latency=(0.01, 0.1))
        self.lie = lie
        self.pages = 0
        self.kept: Document | None = None

    def app(self) -> web.Application:
        """The service behind the lie."""
        app = super().app()
        app.middlewares.append(self.front)
        return app

    @web.middleware
    async def front(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer for the list, and hand on all the rest."""
        if request.method != "GET" or not request.path.endswith("/jobs"):
            return await handler(request)
        self.pages += 1
        if not request.query.get("cursor", "cur_").startswith("cur_"):
            request = request.clone(rel_url=request.rel_url.without_query_params("cursor"))
        response = await handler(request)
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        told = self.lie(self, request, json.loads(response.body))
        return told if isinstance(told, web.Response) else web.json_response(told)


def videos(count: int) -> list[JSON]:
    """Specs for as many videos."""
    return [{"key": f"v{n}", "type": "video_generation", "input": {"prompt": f"p{n}"}} for n in range(count)]


def asked(rig: Rig) -> int:
    """Requests of the last run that asked how jobs do: polls, pages, and results asked for in vain."""
    assert rig.engine_run is not None
    counts = rig.engine_run.statistics.requests
    completed = sum(job.state(rig.now()) == "completed" for job in rig.world.jobs if job.origin != "foreign")
    return counts["poll"] + counts["sweep"] + counts["result"] - completed


def delays(rig: Rig, outcomes: list[Outcome]) -> list[float]:
    """Seconds from the end of each job to its notice."""
    found = []
    for outcome in outcomes:
        assert outcome.timings.detected is not None
        found.append(
            outcome.timings.detected - rig.world.settings.epoch - rig.world.find(outcome.job_id or "").ended_at
        )
    return found


def mean(numbers: list[float]) -> float:
    """The mean."""
    return sum(numbers) / len(numbers)


@pytest.fixture(scope="module")
def alone() -> dict[str, float]:
    """Requests and delay of the same batch without sweeps, once they are known."""
    return {}


async def usual(known: dict[str, float]) -> dict[str, float]:
    """Fill `known`, the first time."""
    if not known:
        async with Rig(seed=3, latency=(0.01, 0.1)) as rig:
            outcomes = await rig.run(videos(COUNT), ALONE)
            known |= {"asked": asked(rig), "delay": mean(delays(rig, outcomes))}
    return known


# Honest lists.


@pytest.mark.parametrize(("count", "most"), [(20, 4.5), (200, 1.6), (500, 1.8)])
async def test_sweeps_save_most_requests(count: int, most: float) -> None:
    """Many jobs in flight are followed with a fraction of the requests that one poll at a time takes, and sooner."""
    async with Rig(seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(count), BRISK)
        await rig.check(videos(count))
        assert asked(rig) <= most * count
        assert len(outcomes) == count
        assert mean(delays(rig, outcomes)) < 1.5


async def test_without_sweeps_it_takes_many_more(alone: dict[str, float]) -> None:
    """The switch leaves the list alone, and shows what it is worth."""
    assert (await usual(alone))["asked"] > 10 * COUNT


async def test_sweeps_under_a_rate_limit() -> None:
    """With a limit that single polls cannot keep up with, jobs are noticed much sooner, and no limit is passed."""
    world, found = WorldSettings(limits=Limits(reads_per_minute=120, creates_per_minute=60)), []
    for settings in (BRISK, ALONE):
        async with Rig(world, seed=3, latency=(0.01, 0.1)) as rig:
            outcomes = await rig.run(videos(120), settings)
            await rig.check(videos(120))
            found.append(mean(delays(rig, outcomes)))
    assert found[0] < 0.6 * found[1]


@pytest.mark.parametrize(
    ("world", "most"),
    [
        (WorldSettings(list_order="oldest"), 2.5),
        (WorldSettings(list_order="random"), 2.5),
        (WorldSettings(list_ignores=frozenset({"limit"})), 5.0),
        (WorldSettings(list_ignores=frozenset({"cursor"})), 6.0),
        (WorldSettings(list_ignores=frozenset({"status", "type"})), 3.0),
        (WorldSettings(list_most=10), 6.0),
        (WorldSettings(list_most=1), 16.0),
        (WorldSettings(foreign_every_seconds=0.5), 5.0),
        (WorldSettings(words=StatusWords(queued="PENDING", running="Rendering", completed="Succeeded")), 3.0),
    ],
    ids=["oldest", "random", "limit", "cursor", "status", "most-10", "most-1", "foreign", "words"],
)
async def test_odd_lists_are_used_as_far_as_they_go(world: WorldSettings, most: float) -> None:
    """Whatever the order, the length of pages or what is ignored: every job is noticed soon, at no loss of requests."""
    async with Rig(world, seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert {outcome.status for outcome in outcomes} == {"completed"}
        assert asked(rig) <= most * COUNT
        assert mean(delays(rig, outcomes)) < 3.5


@pytest.mark.parametrize("count", [60, 300])
async def test_other_ends_are_noticed_as_soon(count: int) -> None:
    """Failed, canceled and expired jobs are noticed by sweeps like completed ones."""
    async with Rig(WorldSettings(types={"video_generation": MIXED}), seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(count), BRISK)
        await rig.check(videos(count))
        assert {"completed", "failed", "canceled", "expired"} == {outcome.status for outcome in outcomes}
        assert mean(delays(rig, [outcome for outcome in outcomes if outcome.status != "completed"])) < 2.5
        assert asked(rig) <= 3 * count


async def test_adopted_ids_are_swept() -> None:
    """Jobs that only their ids are known of are followed by the list as well."""
    async with Rig(seed=3, latency=(0.01, 0.1)) as rig:
        jobs = rig.world.preload(80)
        specs: list[JSON] = [{"key": job.id, "job_id": job.id} for job in jobs]
        outcomes = await rig.run(specs, BRISK)
        await rig.check(specs)
        assert {outcome.status for outcome in outcomes} == {"completed"}
        assert asked(rig) <= 3.5 * len(jobs)
        assert mean(delays(rig, outcomes)) < 2


async def test_a_late_list_costs_its_lateness() -> None:
    """A list five seconds late delays what it tells by that, and little more."""
    async with Rig(WorldSettings(list_lag_seconds=5.0), seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert mean(delays(rig, outcomes)) < 5 + 4


@pytest.mark.parametrize(("lag", "most"), [(0.0, 0.6), (1.0, 1.1), (2.0, 1.15), (3.0, 1.15), (8.0, 1.15)])
async def test_a_late_list_is_no_worse_than_none(lag: float, most: float) -> None:
    """Short jobs, followed by a list that shows them late, are noticed as soon as without it, or sooner."""
    kind, found = TypeSettings(Duration(20, 0.3), credits=1, media=None), []
    images: list[JSON] = [{"key": f"i{n}", "type": "image_generation", "input": {"prompt": f"{n}"}} for n in range(200)]
    for settings in (BRISK, ALONE):
        world = WorldSettings(types={"image_generation": kind}, list_lag_seconds=lag)
        async with Rig(world, seed=3, latency=(0.01, 0.1)) as rig:
            outcomes = await rig.run(images, msgspec.structs.replace(settings, max_in_flight=60))
            found.append(mean(delays(rig, outcomes)))
    assert found[0] <= most * found[1]


@pytest.mark.parametrize(("status", "rings"), [("completed", 1), ("failed", 1), ("running", 0)])
async def test_workers_are_called_for_what_a_page_found(status: str, rings: int) -> None:
    """Suspicions are looked into at once by whoever is free; a page that finds nothing wakes nobody."""
    fleet = Fleet(Pacer({"*": Policy(interval=5.0)}, Random(1)), Random(1))
    jobs = {f"job_{n}": Job(Spec("k"), Step.POLL, f"job_{n}", seen=0.0, asked=0.0, type="x") for n in range(20)}
    for job in jobs.values():
        fleet.push(job, 100.0)
    views = tuple(JobView(id, status if id == "job_3" else "running", "", "x") for id in jobs)  # type: ignore[arg-type]
    sweeps, rung = Sweeps(fleet), list[bool]()

    async def page(look: object) -> Listed:
        return Listed(views, None)

    kit = SimpleNamespace(
        clock=lambda: 50.0,
        wall_clock=lambda: 50.0,
        steps=SimpleNamespace(sweep=page),
        sweeps=sweeps,
        lifecycle=SimpleNamespace(glimpse=lambda *_: None),
        scheduler=SimpleNamespace(hasten=lambda *_: None),
        statistics=SimpleNamespace(swept=0),
    )
    assert sweeps.first(50.0, 1.0) is not None
    await Sweeping(kit, jobs, lambda: rung.append(True)).perform(sweeps.take())  # type: ignore[arg-type]
    assert (len(rung), kit.statistics.swept) == (rings, 20)


def test_an_end_is_kept_in_mind_to_test_later_pages() -> None:
    """A job that tells its end settles what was claimed of it; a page that shows it as active later is late."""
    fleet = Fleet(Pacer({"*": Policy(interval=5.0)}, Random(1)), Random(1))
    kit = SimpleNamespace(sweeps=Sweeps(fleet), clock=lambda: 100.0)
    job = Job(Spec("k"), Step.RESULT, "job_1", born=0.0, seen=100.0, asked=0.0, status="completed")
    kit.sweeps.trust.claim("job_1", "active")
    Sweeping(kit, {}, lambda: None).learn(job, Seen(JobView("job_1", "completed", "completed")))  # type: ignore[arg-type]
    assert kit.sweeps.trust.open == {}
    kit.sweeps.lag.echoed(["job_1"], 100.5)
    assert kit.sweeps.lag.seconds == 0.5


def test_a_job_past_its_deadline_has_not_ended() -> None:
    """A job that is to be canceled still runs: the list that shows it is right, and one that shows it ended is not."""
    fleet = Fleet(Pacer({"*": Policy(interval=5.0)}, Random(1)), Random(1))
    kit = SimpleNamespace(sweeps=Sweeps(fleet), clock=lambda: 100.0)
    job = Job(Spec("k"), Step.CANCEL, "job_1", born=0.0, seen=100.0, asked=100.0)
    kit.sweeps.trust.claim("job_1", "shown")
    Sweeping(kit, {}, lambda: None).learn(job, Seen(JobView("job_1", "running", "running")))  # type: ignore[arg-type]
    kit.sweeps.lag.echoed(["job_1"], 105.0)
    assert (kit.sweeps.trust.claims, kit.sweeps.trust.right, kit.sweeps.lag.seconds) == (1, 0, 0.0)


async def test_a_list_two_minutes_late_is_given_up() -> None:
    """A list as late as jobs take is not asked for long, and costs little delay."""
    async with Rig(WorldSettings(list_lag_seconds=120.0), seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        assert rig.engine_run is not None
        assert rig.engine_run.statistics.requests["sweep"] < 60
        assert mean(delays(rig, outcomes)) < 4


async def test_deadlines_hold_for_swept_jobs() -> None:
    """A job that the list shows as active is given up at its deadline all the same."""
    settings = msgspec.structs.replace(BRISK, poll={"video_generation": {"deadline": 80}})
    async with Rig(seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(COUNT), settings)
        late = [outcome for outcome in outcomes if outcome.status == "timed_out"]
        assert len(late) > 10
        assert rig.now() < 80 + 12
        for outcome in late:
            assert rig.world.find(outcome.job_id or "").created_at + 80 <= rig.now()


async def test_a_result_is_asked_for_first_after_a_long_pause() -> None:
    """Jobs that must be done by now cost one request each: their result."""
    async with Rig(seed=3, latency=(0.01, 0.1)) as rig:
        async with rig.engine(ALONE) as engine:
            run = engine.run(videos(40))
            for _ in range(20):  # what they took is learned from
                await anext(run)
        await anyio.sleep(7200)
        before = rig.requests()
        outcomes = await rig.run(videos(40), ALONE)
        await rig.check(videos(40))
        assert rig.requests() - before == len(outcomes) >= 15


@pytest.mark.parametrize("do", [{"kind": "status", "status": 500}, {"kind": "body", "text": "<html>"}])
async def test_a_result_that_cannot_be_had_hides_no_end(do: JSON) -> None:
    """Where `/result` never answers, its guesses do not come in place of questions for the status, nor in a storm."""
    world = WorldSettings(types={"video_generation": MIXED})
    async with Rig(world, rules=load_rules([{"on": ["result"], "do": do}]), seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        assert {outcome.status for outcome in outcomes} == set(ENDS)
        assert max(delays(rig, outcomes)) < 10
        assert rig.engine_run is not None
        assert rig.engine_run.statistics.requests["result"] < 15 * COUNT


async def test_pages_crowd_out_no_job_whose_poll_was_refused() -> None:
    """Where every third poll is refused for its rate, the few requests left go to those jobs, and each end is told."""
    refused = {"kind": "status", "status": 429, "headers": {"Retry-After": "30"}}
    world = WorldSettings(types={"video_generation": MIXED})
    rules = load_rules([{"on": ["poll"], "do": refused, "every": 3}])
    async with Rig(world, rules=rules, seed=3, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert {outcome.status for outcome in outcomes} == set(ENDS)
        assert rig.engine_run is not None
        assert rig.engine_run.statistics.requests["sweep"] < 200


# Lists that lie.

ENDS = ("completed", "failed", "canceled", "expired")


def refusal(status: int, **headers: str) -> Lie:
    """The list is always answered with this error."""
    return lambda rig, request, page: web.json_response(
        {"error": {"code": "no", "message": "no"}}, status=status, headers=headers
    )


def entries(change: Callable[[list[Document]], list[Any]]) -> Lie:
    """The entries of each page are changed."""
    return lambda rig, request, page: {**page, "data": change(page["data"])}


def each(change: Callable[[Document], Document]) -> Lie:
    """Every entry is changed."""
    return entries(lambda data: [change(entry) for entry in data])


def following(name: Callable[[int], str], **other: Any) -> Lie:
    """There is always another page."""
    return lambda rig, request, page: {**page, "has_more": True, "next_cursor": name(rig.pages), **other}


def refused_with(name: str) -> Lie:
    """A query parameter is refused."""
    no = refusal(400)
    return lambda rig, request, page: no(rig, request, page) if name in request.query else page


def frozen(rig: Liar, request: web.Request, page: Document) -> Document:
    """From the twentieth second on the list shows what it showed then."""
    if rig.kept is None or rig.now() < 20:
        rig.kept = page
    return rig.kept


OFF: dict[str, Lie] = {
    "frozen": frozen,
    "active-as-completed": each(lambda entry: {**entry, "status": "completed"}),
    "active-as-failed": each(lambda entry: {**entry, "status": "failed"}),
    "ended-as-active": each(lambda entry: entry | ({"status": "running"} if entry["status"] in ENDS else {})),
    "no-status": each(lambda entry: {"id": entry["id"]}),
    "no-id": each(lambda entry: {"status": entry["status"]}),
    "others-only": entries(lambda data: [{"id": f"job_{n:016x}", "status": "running"} for n in range(100)]),
    "empty": entries(lambda data: []),
    "403": refusal(403),
    "404": refusal(404),
    "401": refusal(401),
    "500": refusal(500),
    "429": refusal(429),
    "429-hint": refusal(429, **{"Retry-After": "5"}),
    "html": lambda rig, request, page: web.Response(text="<html>", content_type="text/html"),
}
KEPT: dict[str, Lie] = {
    "empty-with-cursor": following(lambda page: f"more{page}", data=[]),
    "loop": following(lambda page: "again"),
    "endless": following(lambda page: f"more{page}"),
    "no-filter": refused_with("status"),
    "no-cursor": refused_with("cursor"),
    "twice": entries(lambda data: data + data),
    "twice-and-apart": entries(lambda data: data + [entry | {"status": "completed"} for entry in data]),
    "junk": entries(lambda data: [None, 1, "x", [], {}, {"id": 7}, {"id": "\n"}, *data]),
    "5000": entries(lambda data: [{"id": f"job_{n:016x}", "status": "running"} for n in range(5000)] + data),
    "a-third-hidden": entries(lambda data: [entry for entry in data if int(entry["id"][-2:], 16) % 3]),
    "one-always-completed": each(lambda entry: entry | ({"status": "completed"} if entry["id"][-1] < "2" else {})),
}


async def lied_to(lie: Lie, known: dict[str, float], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Run a batch and check all that must hold; returns what was said of sweeps."""
    caplog.set_level(logging.WARNING, "sumeasync")
    async with Liar(lie) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert sorted(outcome.key for outcome in outcomes) == sorted(spec["key"] for spec in videos(COUNT))
        assert {outcome.status for outcome in outcomes} == {"completed"}
        assert asked(rig) <= 1.3 * (await usual(known))["asked"] + 60
        assert mean(delays(rig, outcomes)) <= known["delay"] + 10
        assert max(delays(rig, outcomes)) <= 60
    return [
        message
        for record in caplog.records
        if (message := record.getMessage().split()[0]) in ("sweep.off", "sweep.paused")
    ]


@pytest.mark.parametrize("lie", OFF.values(), ids=OFF)
async def test_a_useless_list_is_given_up(lie: Lie, alone: dict[str, float], caplog: pytest.LogCaptureFixture) -> None:
    """It costs a few requests and some delay, no job; that it is left is said once, and once if for a while first."""
    assert await lied_to(lie, alone, caplog) in (["sweep.off"], ["sweep.paused"], ["sweep.paused", "sweep.off"])


@pytest.mark.parametrize("lie", KEPT.values(), ids=KEPT)
async def test_an_odd_list_does_no_harm(lie: Lie, alone: dict[str, float], caplog: pytest.LogCaptureFixture) -> None:
    """A list that is partly wrong or hard to walk through costs no job, and no more than to do without."""
    said = await lied_to(lie, alone, caplog)
    assert len(said) == len(set(said))


async def test_a_flaky_list_is_used_all_the_same(alone: dict[str, float], caplog: pytest.LogCaptureFixture) -> None:
    """A list that fails two times in three is asked again and again, and not given up."""
    no = refusal(500)
    caplog.set_level(logging.WARNING, "sumeasync")
    async with Liar(lambda rig, request, page: no(rig, request, page) if rig.pages % 3 else page) as rig:
        await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert rig.pages > 20
        assert asked(rig) < 0.85 * (await usual(alone))["asked"]
    assert "sweep.off" not in caplog.text
    assert "sweep.paused" not in caplog.text


async def test_no_job_is_taken_for_done_by_a_guess() -> None:
    """Where the list lies, and `/result` answers with the running job in a word nobody knows, none ends early."""
    world = WorldSettings(unready_result="job", words=StatusWords(queued="zoned", running="zoomed"))
    async with Liar(OFF["active-as-completed"], world) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert min(delays(rig, outcomes)) >= 0
        assert {outcome.status for outcome in outcomes} == {"completed"}


async def test_a_list_of_others_starves_no_poll() -> None:
    """A handful of jobs, few requests, and a list that shows those of others only: its pages do not crowd polls out."""
    world = WorldSettings(list_most=7, foreign_every_seconds=1.0, limits=Limits(reads_per_minute=120))
    async with Liar(OFF["others-only"], world, seed=310235) as rig:
        outcomes = await rig.run(videos(6), BRISK)
        await rig.check(videos(6))
        assert max(delays(rig, outcomes)) < 30
        assert asked(rig) < 180


def five_in_a_hundred_hidden(rig: Liar, request: web.Request, page: Document) -> Document:
    """Ended jobs that are never shown, whatever is asked for."""
    kept = [one for one in page["data"] if one["status"] not in ENDS or int(one["id"][-4:], 16) % 20]
    return {**page, "data": kept}


async def test_no_hidden_job_waits_for_long() -> None:
    """Where the list hides one end in twenty, each is noticed within about the cap of its type's policy."""
    async with Liar(five_in_a_hundred_hidden) as rig:
        outcomes = await rig.run(videos(300), BRISK)
        await rig.check(videos(300))
        assert max(delays(rig, outcomes)) <= 40
        assert mean(delays(rig, outcomes)) <= 1.5


# Around the run.


async def test_draining_with_a_page_under_way() -> None:
    """A run that is stopped while a page is awaited ends, and a later one finishes its jobs."""
    rules = load_rules([{"on": ["list"], "do": {"kind": "delay", "seconds": 20}}])
    async with Rig(rules=rules, seed=3) as rig:
        async with rig.engine(BRISK) as engine:
            run = engine.run(videos(20))
            await anyio.sleep(30)
            assert run.statistics.requests["sweep"] >= 1
            run.drain()
            async for _ in run:
                pass
        outcomes = await rig.run(videos(20), BRISK)
        await rig.check(videos(20))
        assert len(outcomes) == 20


async def test_a_list_slower_than_jobs_end() -> None:
    """Where every page takes half a minute, jobs are asked by themselves meanwhile."""
    rules = load_rules([{"on": ["list"], "do": {"kind": "delay", "seconds": 30}}])
    async with Rig(rules=rules, seed=3) as rig:
        outcomes = await rig.run(videos(COUNT), BRISK)
        await rig.check(videos(COUNT))
        assert mean(delays(rig, outcomes)) < 4


async def test_a_paused_run_sweeps_nothing() -> None:
    """While nobody reads outcomes no page is asked for."""
    async with Rig(seed=3) as rig, rig.engine(msgspec.structs.replace(BRISK, max_unread=2)) as engine:
        run = engine.run(videos(20))
        await anyio.sleep(600)
        before = rig.requests()
        await anyio.sleep(600)
        assert rig.requests() == before
        assert len([outcome async for outcome in run]) == 20
