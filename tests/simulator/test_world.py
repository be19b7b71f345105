"""The simulated world."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.errors import CreditsError, NotFoundError
from sumeasync.simulator import Duration, Rule, StatusWords, TypeSettings, World, WorldSettings
from sumeasync.simulator.faults import Reset
from sumeasync.simulator.jobs import Job

KINDS = st.sampled_from(["image_generation", "video_generation", "face_swap"])
STAGES = {"queued": 0, "running": 1, "completed": 2, "failed": 2, "canceled": 2, "expired": 2}
MIXED = TypeSettings(Duration(10), failure_rate=0.25, expiry_rate=0.25, cancellation_rate=0.25, credits=3)


def spans(world: World) -> list[tuple[str, float, float, str]]:
    """Everything that was drawn for each job."""
    return [(job.id, job.started_at, job.ended_at, job.fate) for job in world.jobs]


def creates(world: World, count: int) -> list[Job]:
    """That many image jobs, one a second."""
    return [world.create("image_generation", ("",), float(second))[0] for second in range(count)]


def test_same_seed_same_world() -> None:
    """A seed decides ids, times and fates; another seed gives others."""
    worlds = [World(seed=seed) for seed in (1, 1, 2)]
    for world in worlds:
        creates(world, 20)
    assert spans(worlds[0]) == spans(worlds[1])
    assert spans(worlds[0]) != spans(worlds[2])


def test_faults_do_not_change_the_jobs() -> None:
    """Faults that are left to chance draw from a source of their own."""
    plain, troubled = World(seed=1), World(seed=1, rules=[Rule(do=Reset(), probability=0.5)])
    troubled.faults.rng.random()
    creates(plain, 5)
    creates(troubled, 5)
    assert spans(plain) == spans(troubled)


@given(st.integers(0, 5), st.lists(st.floats(0, 60), min_size=2))
def test_status_never_goes_back(seed: int, looks: list[float]) -> None:
    """A job goes from queued to running to one end, and stays there."""
    world = World(WorldSettings(types={"image_generation": MIXED}, concurrency=3), seed=seed)
    for job in creates(world, 10):
        states = [job.state(now) for now in sorted(looks)]
        assert all(STAGES[one] < STAGES[two] or one == two for one, two in pairwise(states))


@given(st.lists(st.tuples(KINDS, st.floats(0, 30), st.integers(1, 3)), max_size=30), st.integers(0, 200))
def test_credits_add_up(steps: list[tuple[str, float, int]], total: int) -> None:
    """Remaining, reserved and captured always add up; a create that was refused started nothing."""
    types = dict.fromkeys(("image_generation", "video_generation"), MIXED)
    world, now = World(WorldSettings(types=types, credits=total)), 0.0
    for kind, pause, count in steps:
        now += pause
        before = len(world.jobs)
        try:
            world.create(kind, ("",) * count, now)
        except CreditsError:
            assert len(world.jobs) == before
        balance = world.balance(now)
        assert balance.remaining + balance.reserved + balance.captured == total
        assert balance.remaining >= 0


def test_concurrency_keeps_jobs_queued() -> None:
    """Beyond the limit a job stays queued until an earlier one ends."""
    world = World(WorldSettings(concurrency=2))
    first, second, third = creates(world, 3)
    now = min(first.ended_at, second.ended_at)
    assert third.state(now - 0.001) == "queued"
    assert third.state(now) == "running"


def test_one_job_for_each_avatar() -> None:
    """Several details make several jobs, each priced and each remembering its own."""
    world = World()
    jobs = world.create("face_swap", ("a", "b"), 0)
    assert [job.detail for job in jobs] == ["a", "b"]
    assert world.balance(0).reserved == 30


def test_foreign_jobs_come_on_schedule() -> None:
    """Somebody else's jobs appear at their times, whenever one looks, as long as the common balance lasts."""
    world = World(WorldSettings(foreign_every_seconds=10, credits=5))
    world.advance(45)
    assert [(job.created_at, job.origin) for job in world.jobs] == [(10, "foreign"), (20, "foreign")]


def test_time_never_goes_back() -> None:
    """An earlier `now` leaves the world where it is."""
    world = World()
    world.advance(10)
    assert world.advance(5) == 10


def test_preloaded_jobs_exist_and_cost_nothing() -> None:
    """Preloaded jobs were created before, evenly, and are found like any other."""
    world = World()
    jobs = world.preload(4, type="image_generation", spread_seconds=8)
    assert [job.created_at for job in jobs] == [-8, -6, -4, -2]
    assert world.find(jobs[2].id) is jobs[2]
    assert world.balance(1000).captured == 0


def test_unknown_job() -> None:
    """An unknown id is a 404."""
    with pytest.raises(NotFoundError):
        World().find("job_x")


@given(st.integers(0, 40), st.integers(1, 9), st.sampled_from(["newest", "oldest", "random"]))
def test_pages_yield_every_job_once(count: int, limit: int, order: str) -> None:
    """Following the cursors meets every job exactly once."""
    world = World(WorldSettings(list_order=order))  # type: ignore[arg-type]  # drawn by Hypothesis
    creates(world, count)
    seen, cursor = world.page(100, limit=limit)
    while cursor:
        found, cursor = world.page(100, limit=limit, cursor=cursor)
        seen += found
    assert sorted(job.seq for job in seen) == list(range(count))


def test_page_filters() -> None:
    """Type and status narrow the list; the status is the service's word, in any case; an unknown one finds nothing."""
    world = World(WorldSettings(words=StatusWords(completed="Succeeded")))
    image = world.create("image_generation", ("",), 0)[0]
    video = world.create("video_generation", ("",), 0)[0]
    now = image.ended_at
    assert world.page(now, limit=9, type="video_generation")[0] == [video]
    assert world.page(now, limit=9, status="succeeded")[0] == [image]
    assert world.page(now, limit=9, status="completed")[0] == []


def test_list_may_lag() -> None:
    """A lagging list does not show the newest jobs yet."""
    world = World(WorldSettings(list_lag_seconds=5))
    jobs = creates(world, 8)
    assert world.page(7, limit=9)[0] == jobs[2::-1]
    assert world.page(7, limit=9, status="queued")[0][0] is jobs[2]
    end = jobs[0].ended_at
    assert jobs[0] not in world.page(end + 4.9, limit=9, status="completed")[0]


def test_repr_shows_how_far_it_is() -> None:
    """A world prints its seed, time and size."""
    world = World(seed=4)
    world.preload(2)
    assert repr(world) == "<World seed=4 now=0.000 jobs=2 faults=0>"


def test_request_ids_differ() -> None:
    """Every request id is new."""
    world = World()
    assert world.request_id() != world.request_id()


def test_a_job_that_exists_already_is_known_by_its_id() -> None:
    """A job added with its id can be found by that alone, and has run since it was created."""
    world = World(WorldSettings(), seed=1)
    job = world.adopt("job_mine", type="image_generation", age_seconds=100.0)
    assert world.find("job_mine") is job
    assert (job.created_at, job.origin, len(world.jobs)) == (-100.0, "preload", 1)
    assert world.page(0.0, limit=9)[0] == [job]
    assert job.state(0.0) == "completed"


def test_an_adopted_id_is_not_given_again() -> None:
    """Jobs adopted from a world of the same seed keep their ids; new ones get others."""
    ids = [job.id for job in World(seed=1).preload(6)][3:]
    world = World(seed=1)
    adopted = [world.adopt(id, type="face_swap") for id in ids[::-1]]
    fresh = world.preload(3)
    assert len({job.id for job in adopted + fresh}) == 6
    assert [world.find(id) for id in ids[::-1]] == adopted
