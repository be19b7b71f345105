"""Who goes next: places, budget, order, and one open create a type."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.budget import Budget, Rate
from sumeasync.core.fleet import Fleet
from sumeasync.core.job import LANES, Job, Step
from sumeasync.core.pacing import Pacer
from sumeasync.core.scheduler import Scheduler
from sumeasync.core.sweep import Sweeps
from sumeasync.models import Lane, Spec

PLACES: dict[Lane, int] = {"read": 2, "create": 2, "media": 1}
ROOMY: dict[Lane, int] = {"read": 100, "create": 100, "media": 100}


def job(step: Step, key: str = "k", type: str = "image_generation") -> Job:
    """A job that stands before `step`."""
    return Job(Spec(key, type), step, type=type)


def scheduler(places: dict[Lane, int] = ROOMY, budget: Budget | None = None, per_type: int = 1) -> Scheduler:
    """A scheduler with nothing in it."""
    fleet = Fleet(Pacer({}, Random(1)), Random(1))
    return Scheduler(budget or Budget(), fleet, Sweeps(fleet, enabled=False), places, creates_per_type=per_type)


def taken(one: Scheduler, now: float = 0.0) -> list[str]:
    """The keys of everything that may go at `now`."""
    keys = []
    while (found := one.take(now)) is not None:
        keys.append(found.spec.key)
    return keys


def test_nothing_goes_before_it_is_due() -> None:
    """A job goes once its time has come, and `wait` says when that is."""
    one = scheduler()
    one.push(job(Step.POLL), 5.0)
    assert (one.take(4.9), one.wait(), len(one), one.ready) == (None, 5.0, 1, 0)
    assert taken(one, 5.0) == ["k"]
    assert (one.wait(), len(one)) == (None, 0)


def test_urgent_steps_go_first() -> None:
    """Within a lane: results, searches, places to upload to, then polls; downloads before uploads."""
    one = scheduler()
    for step in reversed(Step):
        if step not in (Step.UPLOAD, Step.SWEEP):
            one.push(job(step, step.name), 0.0)
    assert taken(one) == ["RESULT", "RECONCILE", "PRESIGN", "POLL", "CREATE", "SAVE"]
    one.push(job(Step.UPLOAD, "UPLOAD"), 0.0)
    one.push(job(Step.SAVE, "SAVE"), 0.0)
    assert taken(one) == ["SAVE", "UPLOAD"]


def test_no_place_to_upload_to_is_asked_for_in_advance() -> None:
    """While an upload waits for its turn, no further address is asked for: it would expire in the queue."""
    one = scheduler()
    one.push(job(Step.UPLOAD, "UPLOAD"), 0.0)
    one.push(job(Step.PRESIGN, "PRESIGN"), 0.0)
    assert taken(one) == ["UPLOAD", "PRESIGN"]


def test_same_steps_go_in_the_order_they_were_due() -> None:
    """Among steps of one kind the one due longest goes first."""
    one = scheduler()
    for due in (3.0, 1.0, 2.0):
        one.push(job(Step.RESULT, str(due)), due)
    assert taken(one, 9.0) == ["1.0", "2.0", "3.0"]


def test_places_bound_what_is_open() -> None:
    """No more steps of a lane are open than it has places; other lanes are not held up; a release lets one more go."""
    one = scheduler(PLACES)
    for number in range(4):
        one.push(job(Step.POLL, f"poll{number}"), 0.0)
    one.push(job(Step.SAVE, "save"), 0.0)
    assert taken(one) == ["poll0", "poll1", "save"]
    assert (one.wait(), len(one)) == (None, 2)
    one.release("read")
    assert taken(one) == ["poll2"]


def test_one_open_create_a_type() -> None:
    """Until a create is settled no other of its type goes; other types do, in turn."""
    one = scheduler()
    for key, type in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b")):
        one.push(job(Step.CREATE, key, type), 0.0)
    assert taken(one) == ["a1", "b1"]
    one.settle("a")
    one.settle("b")
    assert taken(one) == ["a2", "b2"]


def test_creates_of_all_types_take_turns() -> None:
    """A type with many specs does not keep the others waiting."""
    one = scheduler(per_type=9)
    for key, type in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b")):
        one.push(job(Step.CREATE, key, type), 0.0)
    assert taken(one) == ["a1", "b1", "a2", "b2", "a3"]


def test_a_search_holds_its_type() -> None:
    """A create that an earlier run left open holds its type as well."""
    one = scheduler()
    one.hold("a")
    one.push(job(Step.CREATE, "a1", "a"), 0.0)
    assert taken(one) == []
    one.settle("a")
    assert taken(one) == ["a1"]


def test_a_closed_lane_keeps_what_waits() -> None:
    """After closing nothing of the lane goes, and nothing of it is lost."""
    one = scheduler()
    one.push(job(Step.CREATE, "create"), 0.0)
    one.push(job(Step.POLL, "poll"), 0.0)
    one.close("create")
    assert taken(one) == ["poll"]
    assert (len(one), one.wait()) == (1, None)


def test_the_budget_says_when() -> None:
    """Without a token a lane waits until there is one; the lane that is free soonest decides; timers count as well."""
    one = scheduler(budget=Budget(read=Rate(60, 60), create=Rate(6, 60)))
    for step in (Step.POLL, Step.POLL, Step.CREATE, Step.CREATE):
        one.push(job(step, step.name, type=f"{id(step)}{step}{len(one)}"), 0.0)
    assert taken(one) == ["POLL", "CREATE"]
    soon = one.wait()
    assert soon == pytest.approx(1 / 0.98)
    one.push(job(Step.SAVE), 0.5)
    assert one.take(0.1) is None
    assert one.wait() == 0.5
    assert one.take(soon) is not None


def test_what_is_unwanted_is_taken_out() -> None:
    """Jobs are removed wherever they wait: not yet due, due, and creates; the others keep their order."""
    one = scheduler(PLACES)
    jobs = [job(Step.POLL, f"p{number}") for number in range(5)] + [job(Step.CREATE, f"c{number}") for number in (5, 6)]
    for each in jobs:
        one.push(each, 0.0)
    assert taken(one) == ["p0", "p1", "c5"]
    late = [job(Step.SAVE, f"s{number}") for number in (7, 8)]
    for each in late:
        one.push(each, 9.0)
    removed = one.remove(lambda each: each.spec.key in ("p3", "c6", "s7"))
    assert sorted(each.spec.key for each in removed) == ["c6", "p3", "s7"]
    assert late[0].ticket == 0
    for lane in ("read", "read", "media"):
        one.release(lane)
    one.settle("image_generation")
    assert taken(one, 9.0) == ["p2", "p4", "s8"]


def test_repr_counts() -> None:
    """The scheduler shows what waits and what is due."""
    one = scheduler({"read": 0, "create": 0, "media": 0})
    one.push(job(Step.RESULT), 0.0)
    one.push(job(Step.RESULT), 5.0)
    one.take(0.0)
    assert repr(one) == "<Scheduler 1 waiting, 1 due>"


steps = st.sampled_from(Step)
actions = st.one_of(
    st.tuples(st.just("push"), steps, st.sampled_from("ab"), st.floats(0, 20)),
    st.tuples(st.just("end"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.floats(0, 5)),
)


@given(st.lists(actions, max_size=60), st.integers(1, 2))
def test_no_bound_is_ever_passed(script: list[tuple[object, ...]], per_type: int) -> None:
    """Whatever comes and ends: places, open creates and the rate hold; nothing is lost or handed out twice."""
    one = scheduler(PLACES, Budget(read=Rate(4, 10.0)), per_type)
    now, pushed, reads, open_jobs = 0.0, 0, [], []
    for action in script:
        match action:
            case ("push", Step() as step, str(type), float(after)):
                one.push(job(step, f"{pushed}", type), now + after)
                pushed += 1
            case ("end", int(index)) if open_jobs:
                ended = open_jobs.pop(index % len(open_jobs))
                pushed -= 1
                one.release(LANES[ended.step])
                if ended.step is Step.CREATE:
                    one.settle(ended.type)
            case ("pass", float(seconds)):
                now += seconds
        while (found := one.take(now)) is not None:
            assert found not in open_jobs
            open_jobs.append(found)
            reads += [now] if LANES[found.step] == "read" else []
        lanes = Counter(LANES[each.step] for each in open_jobs)
        creates = Counter(each.type for each in open_jobs if each.step is Step.CREATE)
        assert all(lanes[lane] <= PLACES[lane] for lane in PLACES)
        assert all(count <= per_type for count in creates.values())
        assert sum(now - 10 < time for time in reads) <= 4
        assert len(one) + len(open_jobs) == pushed
        assert (when := one.wait()) is None or when > now


@given(st.lists(st.tuples(steps, st.floats(0, 50)), max_size=30), st.sampled_from(["30/m", "2/s"]))
def test_waiting_as_told_lets_everything_go(waiting: list[tuple[Step, float]], rate: str) -> None:
    """To ask again when `wait` says is enough: every job goes in the end, and none before it is due."""
    one = scheduler(ROOMY, Budget(read=Rate.parse(rate), create=Rate.parse(rate)), per_type=99)
    for number, (step, due) in enumerate(waiting):
        one.push(job(step, str(number)), due)
    now, gone = 0.0, 0
    for _ in range(10 * len(waiting) + 1):
        while (found := one.take(now)) is not None:
            assert waiting[int(found.spec.key)][1] <= now
            gone += 1
        now = max(now, one.wait() or now)
    assert len(one) == 0
    assert gone == len(waiting)
