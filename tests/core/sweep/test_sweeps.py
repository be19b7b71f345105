"""When a page of the job list is asked for, which way, and what is concluded from it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Literal, cast

import pytest

from sumeasync.core.events import Listed
from sumeasync.core.job import Job, Step
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.core.sweep.audits import FIRST_ROUNDS
from sumeasync.core.sweep.rounds import Findings, Look, Round
from sumeasync.core.sweep.sweeps import FIRST_PAUSE_SECONDS, LEAST_JOBS, PROBES, PROVEN, Sweeps
from sumeasync.models import JobView, Spec

POLICY = Policy(first_delay=10, interval=10, cap=500, growth=0, jitter=0)


class Bench:
    """Sweeps over waiting jobs that were last seen at 0, and a list to answer with."""

    def __init__(self, count: int, *, enabled: bool = True) -> None:
        self.fleet = Fleet(Pacer({"*": POLICY}, Random(1)), Random(1))
        self.sweeps = Sweeps(self.fleet, enabled=enabled)
        self.jobs: dict[str, Job] = {}
        for number in range(count):
            id = f"job_{number}"
            self.jobs[id] = Job(Spec(str(number), "a"), Step.POLL, id, seen=0.0, asked=0.0, type="a")
            self.fleet.push(self.jobs[id], 10.0)

    def look(self, now: float, price: float = 1.0) -> Look | None:
        """The page that is asked for at `now`."""
        if self.sweeps.first(now, price) is None:
            return None
        carry = self.sweeps.take().carry
        assert isinstance(carry, Look)
        return carry

    def answer(
        self, now: float, numbers: Iterable[int], word: str = "running", cursor: str | None = None, done: int = -1
    ) -> Findings:
        """The page comes back and shows these jobs in this state, one as `done`; active ones count as seen."""
        words = {n: "completed" if n == done else word for n in numbers}
        views = [JobView(f"job_{n}", cast("Literal['running']", w), w) for n, w in words.items()]
        found = self.sweeps.read(Listed(tuple(views), cursor), now, now, self.jobs)
        for job, _ in found.active:
            job.seen = now
        return found


def test_a_page_goes_once_it_is_worth_a_request() -> None:
    """Not at once, when nothing can have ended, but before the single polls are due; and `next_due` says when."""
    bench, now = Bench(50), 0.0
    while bench.look(now) is None:
        due = bench.sweeps.next_due()
        assert due is not None
        assert due > now
        now = due
    assert 1.0 <= now <= 5.0


def test_a_page_is_not_for_jobs_whose_answers_fail() -> None:
    """Whatever a list says of them, they are to be asked themselves: their questions are not put off for a page."""
    bench = Bench(50)
    for job in bench.jobs.values():
        job.faults = 1
    assert bench.look(100.0) is None
    assert bench.sweeps.worth == 0.0


def test_one_page_at_a_time() -> None:
    """While a page is awaited there is no other, and no time at which there would be."""
    bench = Bench(50)
    assert bench.look(8.0) == Look(None, None)
    assert bench.look(9.0) is None
    assert bench.sweeps.next_due() is None


def test_more_jobs_are_swept_sooner() -> None:
    """The worth of a page grows with the jobs it tells of."""
    few, many = Bench(10), Bench(100)
    assert many.look(2.0) is not None
    assert few.look(2.0) is None
    assert many.sweeps.worth > few.sweeps.worth


def test_few_jobs_are_asked_by_themselves() -> None:
    """Below a handful of jobs no list is asked for, however late."""
    assert Bench(LEAST_JOBS - 1).look(500.0) is None
    assert Bench(LEAST_JOBS).look(500.0) is not None


def test_a_list_of_others_that_breaks_off_is_left_alone() -> None:
    """Where the second page is refused and the first told of next to nobody, the pause is not cut short."""
    bench = Bench(200)
    bench.sweeps.ways.rule_out("active")
    assert bench.look(8.0) is not None
    bench.answer(8.1, [0], cursor="c1")
    assert bench.look(8.2) == Look(None, "c1")
    bench.sweeps.failed(8.3, refused=True, seconds=1.0)
    assert bench.sweeps.paused is not None
    assert bench.sweeps.next_due() == 8.3 + FIRST_PAUSE_SECONDS


def test_switched_off() -> None:
    """What is off asks for nothing, ever."""
    bench = Bench(50, enabled=False)
    assert (bench.look(99.0), bench.sweeps.next_due(), bench.sweeps.enabled) == (None, None, False)
    assert repr(bench.sweeps) == "<Sweeps off, 0 rounds, 0 pages>"


def test_a_better_poll_goes_first() -> None:
    """A round that is worth less than the best poll does not begin; once begun it goes on."""
    bench = Bench(50)
    assert bench.look(8.0, price=1e6) is None
    bench = Bench(200)
    bench.look(8.0)
    bench.answer(8.0, range(100), cursor="c1")
    assert bench.look(9.1, price=1e6) == Look(None, "c1")


def test_what_a_page_finds_is_told() -> None:
    """Active jobs are passed on with their views; completed ones, and those that ended otherwise, to be asked about."""
    bench = Bench(50)
    bench.look(8.0)
    assert len(bench.answer(8.0, range(40), cursor="c").active) == 40
    bench.look(9.1)
    found = bench.answer(9.1, range(40, 50), "completed")
    assert {job.id for job in found.completed} == {f"job_{n}" for n in range(40, 50)}


def test_a_pause_between_rounds() -> None:
    """After a round the next waits at least a second, or a quarter of the shortest interval."""
    bench = Bench(50)
    bench.look(8.0)
    bench.answer(8.1, range(50))
    assert bench.look(8.9, price=0.0) is None
    assert bench.look(9.1, price=0.0) is not None


def test_refused_at_all_is_the_end() -> None:
    """A list that is refused without any filter is asked no more, and the reason is kept."""
    bench = Bench(50)
    bench.look(8.0)
    bench.sweeps.failed(8.0, refused=True, seconds=1.0)
    assert (bench.sweeps.enabled, bench.look(99.0)) == (False, None)
    assert bench.sweeps.trust.reason == "the server refuses it"


def test_a_fault_is_tried_again_later() -> None:
    """The same page again, once the time is over that the fault asks for."""
    bench = Bench(50)
    look = bench.look(8.0)
    bench.sweeps.failed(8.0, refused=False, seconds=30.0)
    assert (bench.sweeps.next_due(), bench.look(37.0)) == (38.0, None)
    assert bench.look(38.0) == look


def test_a_refused_cursor_costs_the_rest_only() -> None:
    """Where the second page is refused the first goes on being asked for."""
    bench = Bench(150)
    bench.look(8.0)
    bench.answer(8.0, range(100), cursor="c1")
    assert bench.look(9.1) == Look(None, "c1")
    bench.sweeps.failed(9.1, refused=True, seconds=1.0)
    assert bench.sweeps.enabled
    assert bench.look(40.0) is not None


def test_pages_of_others_end_it() -> None:
    """A list that tells round after round of next to no job is given up."""
    bench, now = Bench(50), 10.0
    while bench.look(now) is not None:
        bench.answer(now, [], cursor=f"c{now}")
        now += 500.0
        assert now < 50_000
    assert not bench.sweeps.enabled or now > 1000.0


def test_audits() -> None:
    """Every few pages one of the jobs shown as active is asked about, the one that answered itself longest ago."""
    bench, ended = Bench(50), []
    bench.jobs["job_7"].asked = -5.0
    for turn in range(FIRST_ROUNDS):
        now = 10.0 * (turn + 1)
        assert bench.look(now) is not None
        ended.append([job.id for job in bench.answer(now, range(50)).ended])
    assert ended == [[]] * (FIRST_ROUNDS - 1) + [["job_7"]]


def full_active(bench: Bench, now: float, hidden: Iterable[int]) -> list[Job]:
    """Drive rounds until one by state has been read to its end with some jobs hidden; the jobs it misses."""
    left = [n for n in range(len(bench.jobs)) if n not in set(hidden)]
    while True:
        look = bench.look(now)
        assert look is not None
        if look.status is None:
            bench.answer(now, range(3), cursor=f"c{now}")
        else:
            found = bench.answer(now, left if look.status == "running" else [], look.status)
            if look.status == "running" and bench.sweeps.next_due() is not None and found.active:
                return list(found.completed)
        now += 600.0


@pytest.mark.parametrize(("hidden", "missed"), [(3, 3), (40, PROBES)])
def test_missing_jobs_are_asked_about_a_few_at_first(hidden: int, missed: int) -> None:
    """Jobs no longer among the active ones may have ended; until that is tested, only a few are asked about."""
    assert len(full_active(Bench(150), 100.0, range(hidden))) == missed


def test_a_refuted_claim_is_not_made_again() -> None:
    """A job shown as completed that still ran is not hastened by the same list again, until it was shown active."""
    bench = Bench(50)
    told = []
    for turn, done in enumerate((1, 1, -1, 1), 1):
        bench.look(20.0 * turn)
        told.append(len(bench.answer(20.0 * turn, range(50), done=done).completed))
        bench.sweeps.trust.settle("job_1", ended=False)
    assert told == [1, 0, 0, 1]


@pytest.mark.parametrize(("told", "later", "seen"), [(True, 5.0, 105.0), (False, 5.0, 0.0), (True, 50.0, 0.0)])
def test_the_finished_ones_say_nothing_of_a_job_not_shown_before(told: bool, later: float, seen: float) -> None:
    """A job counts as seen by not being among them only if the last full round showed it, and for a while."""
    bench = Bench(50)
    sweeps, job = bench.sweeps, bench.jobs["job_1"]
    sweeps.ways._hits, sweeps._full, sweeps._value.cap_seconds = 100.0, 100.0, 30.0
    sweeps._value.told = frozenset({"job_1"} if told else ())
    sweeps._end_finished(Round("finished", 100.0 + later, 50, ["completed"], 100))
    assert job.seen == seen


def late_by(seconds: float) -> Bench:
    """Fifty jobs, and a list that has shown others as active so long after they told their end."""
    bench = Bench(50)
    for id in ("job_x", "job_y"):
        bench.sweeps.lag.ended(id, 0.0)
    bench.sweeps.lag.echoed(["job_x", "job_y"], seconds)
    return bench


def test_a_late_list_is_worth_less() -> None:
    """What a page tells is as old as the list is late, so it is asked for later, if at all."""
    bench = late_by(4.0)
    assert bench.look(7.0) is None
    assert Bench(50).look(7.0) is not None


def test_jobs_being_asked_about_do_not_make_a_list_useless() -> None:
    """A round whose page shows all jobs, most of them under way just then, speaks for the list."""
    bench = Bench(20)
    bench.look(100.0)
    for number in range(19):
        bench.fleet.discard(bench.jobs[f"job_{number}"])
    bench.answer(100.0, range(20))
    assert (bench.sweeps.ways.hopeless, bench.sweeps.ways.choose(20)) == (False, "all")


def test_no_round_begins_where_no_page_is_worth_it() -> None:
    """That all jobs together are worth a page does not make one of them worth it."""
    bench = Bench(200)
    bench.look(8.0)
    bench.answer(11.0, range(100), cursor="c1")
    bench.look(11.0)
    bench.answer(11.5, range(100, 200))
    bench.sweeps.ways._measures["all"].pages = 0.1
    assert bench.look(11.9) is None
    assert bench.look(16.0) is not None


def test_a_page_is_not_for_jobs_that_it_does_not_show() -> None:
    """What the last round did not show is asked for by itself, however long ago it was seen; later a page is tried."""
    bench = Bench(50)
    bench.look(8.0)
    bench.answer(8.0, range(10))
    for number in range(10):
        bench.jobs[f"job_{number}"].seen = 25.0
    assert bench.look(26.0) is None
    assert bench.look(40.0) is not None


def test_a_list_that_shows_as_active_what_is_over_is_given_up() -> None:
    """Jobs that told their end, and are on pages as active long after, end the sweeps."""
    bench = Bench(50)
    for number in range(3):
        bench.jobs[f"job_{number}"].step = Step.RESULT
        bench.sweeps.lag.ended(f"job_{number}", 1.0)
    bench.look(20.0)
    bench.answer(20.0, range(50))
    assert bench.sweeps.trust.reason == "it shows jobs as active that have ended"


def test_a_list_is_tried_by_some_of_the_jobs_until_it_is_proven() -> None:
    """Where there are jobs enough, some are asked more often at first; a list that was right a few times is enough."""
    bench = Bench(50)
    bench.look(8.0)
    assert bench.sweeps.trust.samples
    bench.answer(8.0, range(50))
    bench.sweeps.trust.right = PROVEN
    bench.look(100.0)
    assert not bench.sweeps.trust.samples


def test_a_list_too_late_for_its_jobs_is_left_alone_for_a_while() -> None:
    """As late as half an interval it tells nothing that polls do not; after a pause it is tried as if it were new."""
    bench = late_by(5.0)
    assert bench.look(7.0) is None
    assert (bench.sweeps.paused is not None, bench.sweeps.next_due()) == (True, 7.0 + FIRST_PAUSE_SECONDS)
    assert bench.sweeps.lag.seconds == 0.0
    assert bench.look(7.0 + FIRST_PAUSE_SECONDS) is not None
    assert bench.sweeps.trust.reason is None


def test_a_cap_counts_as_five_intervals_at_least() -> None:
    """Who wants short gaps only, by a small cap, does not want every job asked so much more often beside the list."""
    bench = Bench(50)
    bench.fleet.pacer._policies = {"*": Policy(interval=10, cap=10)}
    bench.fleet.pacer._other = bench.fleet.pacer._policies["*"]
    bench.look(8.0)
    assert bench.sweeps.trust.own_seconds == 50.0
