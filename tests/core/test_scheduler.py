"""Who goes next: places, budget, order, and one open create a type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sumeasync.core.budget.budget import Budget, Rate
from sumeasync.core.events import Listed
from sumeasync.core.job import LANES, Hint, Job, Step
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.core.scheduler import Scheduler
from sumeasync.core.sweep.sweeps import Sweeps
from sumeasync.models import JobView, Lane, Spec

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
    """Within a lane: results, searches, places to upload to, cancellations, then polls; downloads before uploads."""
    one = scheduler()
    for step in reversed(Step):
        if step not in (Step.UPLOAD, Step.SWEEP):
            one.push(job(step, step.name), 0.0)
    assert taken(one) == ["RESULT", "RECONCILE", "PRESIGN", "CANCEL", "POLL", "CREATE", "SAVE"]
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


@pytest.mark.parametrize(("reads", "least", "most"), [(1000, 200, 200), (60, 20, 39), (40, 5, 19), (20, 0, 0)])
def test_a_days_allowance_lasts(reads: int, least: int, most: int) -> None:
    """Twenty jobs that may be asked ten times: all polls go where enough is left, else so few that results follow."""
    one, asked = scheduler(budget=Budget(read_day=Rate(reads, 86_400.0))), 0
    for number in range(20):
        one.push(job(Step.POLL, str(number)), 0.0)
    for now in map(float, range(0, 150, 15)):
        while (found := one.take(now)) is not None:
            asked += 1
            one.budget.record("read", 200, {}, now, 0.0)
            one.release("read")
            found.seen = found.asked = now
            one.push(found, now + 15.0)
    assert least <= asked <= most
    assert one.budget.left("read", 150.0) >= 20


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


# Polls and pages together.

TYPE = "video_generation"
WORDS = {"running": "running", "completed": "completed", "failed": "failed", "odd": None}


def sweeping(budget: Budget | None = None, *, places: dict[Lane, int] = ROOMY, learned: int = 0) -> Scheduler:
    """A scheduler that may ask the list, of a type asked about every ten seconds and known to take about ninety."""
    durations = Durations({TYPE: 90.0})
    for number in range(learned):
        durations.model(TYPE).observe(80.0 + number % 20, 81.0 + number % 20)
    fleet = Fleet(Pacer({"*": Policy(first_delay=5, interval=10, cap=10)}, Random(1), durations), Random(1))
    return Scheduler(budget or Budget(), fleet, Sweeps(fleet), places)


def video(number: int, now: float = 0.0) -> Job:
    """A job created at `now`."""
    return Job(Spec(str(number), TYPE), Step.POLL, f"job_{number}", born=now, seen=now, asked=now, type=TYPE)


def test_hints_go_first() -> None:
    """A job believed to have ended is asked about before pages and other polls, and after results."""
    one = sweeping()
    jobs = [video(number) for number in range(3)]
    for job_ in jobs:
        one.push(job_, 5.0)
    one.push(job(Step.RESULT, "result"), 5.0)
    one.hasten(jobs[2], Hint.COMPLETED)
    assert taken(one, 5.0) == ["result", "2", "0", "1"]
    assert (jobs[2].hint, jobs[0].hint) == (Hint.COMPLETED, Hint.NONE)


def test_a_job_is_hastened_once() -> None:
    """A hint about a job that is being asked about, or waits to be at once, changes nothing."""
    one = sweeping()
    waiting = video(1)
    one.push(waiting, 5.0)
    one.hasten(waiting, Hint.ENDED)
    one.hasten(waiting, Hint.COMPLETED)
    assert (taken(one), len(one), waiting.hint) == (["1"], 0, Hint.ENDED)
    one.hasten(waiting, Hint.COMPLETED)
    assert len(one) == 0


def test_a_fault_is_waited_out() -> None:
    """What waits after a fault is not hastened, and then asked for its status: the fault may be the result's alone."""
    one = sweeping(learned=50)
    waiting = video(1)
    waiting.faults = 1
    one.push(waiting, 150.0)
    one.hasten(waiting, Hint.COMPLETED)
    assert taken(one, 149.0) == []
    assert (taken(one, 150.0), waiting.hint) == (["1"], Hint.NONE)


def test_a_refused_guess_goes_again_at_once() -> None:
    """A job pushed with a hint waits for no time of its own."""
    one = sweeping()
    waiting = video(1)
    waiting.hint = Hint.ENDED
    one.push(waiting, 99.0)
    assert taken(one) == ["1"]


def test_a_page_goes_where_it_tells_more_than_a_poll() -> None:
    """With many jobs about to be asked one page goes, and no second one meanwhile; with few, polls."""
    many, few = sweeping(), sweeping()
    for number in range(50):
        many.push(video(number), 5.0)
    for number in range(3):
        few.push(video(number), 5.0)
    found = many.take(5.0)
    assert found is many.sweeps.job
    assert "sweep" not in taken(many, 5.0)
    assert taken(few, 5.0) == ["0", "1", "2"]


def test_old_jobs_are_asked_for_their_result() -> None:
    """A job that is likelier done than not when its poll goes is asked for its result instead."""
    one = sweeping(learned=50)
    old, young = video(1), video(2)
    old.seen = old.asked = 60.0
    for job_ in (old, young):
        one.push(job_, 150.0 if job_ is old else 20.0)
    assert taken(one, 20.0) == ["2"]
    assert taken(one, 150.0) == ["1"]
    assert (old.hint, young.hint) == (Hint.COMPLETED, Hint.NONE)


class Sweeping(RuleBasedStateMachine):
    """A server that answers polls and pages anyhow, and the run's side of it, in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jobs: dict[str, Job] = {}
        self.open: list[Job] = []
        self.made = 0

    @initialize(rate=st.sampled_from([None, "30/m", "2/s"]), places=st.integers(1, 4), learned=st.sampled_from([0, 30]))
    def begin(self, rate: str | None, places: int, learned: int) -> None:
        budget = Budget(read=Rate.parse(rate) if rate else None)
        self.places = places
        self.one = sweeping(budget, places={"read": places, "create": 1, "media": 1}, learned=learned)

    @rule(count=st.integers(1, 60), age=st.floats(0, 200))
    def create(self, count: int, age: float) -> None:
        for _ in range(count):
            self.made += 1
            new = video(self.made, self.now - age)
            self.jobs[new.id or ""] = new
            self.one.push(new, self.now + 5.0)

    @rule(seconds=st.floats(0, 40))
    def rest(self, seconds: float) -> None:
        self.now += seconds

    @rule(turns=st.integers(1, 20), data=st.data())
    def go(self, turns: int, data: st.DataObject) -> None:
        for _ in range(turns):
            while (found := self.one.take(self.now)) is not None:
                assert found not in self.open
                self.open.append(found)
                assert len(self.open) <= self.places
            when = self.one.wait()
            assert when is None or when > self.now
            if self.open and data.draw(st.booleans()):
                self.answer(data.draw)
            elif when is not None:
                self.now = max(self.now, when)

    @rule(data=st.data())
    def answered(self, data: st.DataObject) -> None:
        if self.open:
            self.answer(data.draw)

    def answer(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        """One open request comes back."""
        found = self.open.pop(draw(st.integers(0, len(self.open) - 1)))
        self.one.release("read")
        self.one.budget.record("read", 200, {}, self.now, self.now)
        if found is self.one.sweeps.job:
            self.page(draw)
            return
        hint, found.hint = found.hint, Hint.NONE
        if draw(st.booleans()) and (hint is not Hint.NONE or draw(st.booleans())):
            self.one.sweeps.trust.settle(found.id or "", ended=True)
            del self.jobs[found.id or ""]
        elif hint is Hint.COMPLETED:
            found.hint = Hint.ENDED
            self.one.push(found, self.now)
        else:
            self.one.sweeps.trust.settle(found.id or "", ended=False)
            found.seen = found.asked = self.now
            self.one.push(found, self.now + self.one.fleet.pacer.next(found))

    def page(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        """A page, honest or not, or a refusal."""
        kind = draw(st.sampled_from(["page", "page", "page", "fault", "refused"]))
        if kind != "page":
            self.one.sweeps.failed(self.now, refused=kind == "refused", seconds=1.0)
            return
        ids = draw(st.lists(st.sampled_from([*self.jobs, "job_x"]), max_size=30))
        words = draw(st.sampled_from([["running"], ["running", "completed"], list(WORDS), ["failed"]]))
        views = [JobView(id, WORDS[word], word) for id in ids for word in [words[len(id) * ids.index(id) % len(words)]]]  # type: ignore[arg-type]  # the table holds such words
        cursor = draw(st.sampled_from([None, None, "again", str(self.now)]))
        found = self.one.sweeps.read(Listed(tuple(views), cursor), self.now, self.now, self.jobs)
        for job_, _ in found.active:
            job_.seen = self.now
        for job_ in found.completed:
            self.one.hasten(job_, Hint.COMPLETED)
        for job_ in found.ended:
            self.one.hasten(job_, Hint.ENDED)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "one"):
            polls = [found for found in self.open if found is not self.one.sweeps.job]
            assert len(self.one) + len(polls) == len(self.jobs)
            waiting = self.one.remove(lambda job_: False)
            assert waiting == []
            assert len(set(map(id, self.open))) == len(self.open)

    def teardown(self) -> None:
        """Once every answer is an end, all come to one."""
        if not hasattr(self, "one"):
            return
        for _ in range(40 * len(self.jobs) + 400):
            while self.open:
                found = self.open.pop()
                self.one.release("read")
                self.one.budget.record("read", 200, {}, self.now, self.now)
                if found is self.one.sweeps.job:
                    self.one.sweeps.failed(self.now, refused=True, seconds=1.0)
                else:
                    del self.jobs[found.id or ""]
            if not self.jobs:
                break
            if (found := self.one.take(self.now)) is not None:
                self.open.append(found)
            else:
                when = self.one.wait()
                assert when is not None
                assert when > self.now
                self.now = max(self.now, when)
        assert not self.jobs


TestSweeping = Sweeping.TestCase
TestSweeping.settings = settings(stateful_step_count=20)
