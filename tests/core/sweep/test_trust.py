"""How far a job list is believed."""

from __future__ import annotations

import math

import pytest

from sumeasync.core.job import NEVER, Job
from sumeasync.core.sweep.lag import Lag
from sumeasync.core.sweep.trust import FIRST_MARGIN_SECONDS, LAST_MARGIN_SECONDS, REASONS, Claim, Trust
from sumeasync.models import Spec

CLAIMS: list[Claim] = ["shown", "missing"]


def tried(claim: Claim, wrong: int, right: int, trust: Trust | None = None) -> Trust:
    """A trust after so many wrong and right claims."""
    trust = trust or Trust(Lag())
    for number in range(wrong + right):
        trust.claim(f"job_{number}", claim)
        trust.settle(f"job_{number}", ended=number >= wrong)
    return trust


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_few_errors_are_no_proof(claim: Claim) -> None:
    """Before there were enough tests nothing is held against the list."""
    trust = tried(claim, wrong=5, right=0)
    assert (trust.believes(claim), trust.tested(claim), trust.reason) == (True, False, None)


@pytest.mark.parametrize("claim", CLAIMS)
def test_errors_alone_end_the_trust(claim: Claim) -> None:
    """A list that is always wrong is soon not believed, and given up where nothing else remains."""
    trust = tried(claim, wrong=8, right=0)
    assert not trust.believes(claim)
    assert trust.reason == (REASONS["shown"] if claim == "shown" else None)


@pytest.mark.parametrize(("claim", "wrong"), [("shown", 6), ("missing", 6)])
def test_a_list_that_is_mostly_right_is_believed(claim: Claim, wrong: int) -> None:
    """An error now and then is outweighed."""
    assert tried(claim, wrong, 20).believes(claim)


def test_old_tests_fade() -> None:
    """A list that was right for long and then fails is given up all the same."""
    trust = tried("shown", wrong=0, right=500)
    assert tried("shown", wrong=15, right=0, trust=trust).reason is not None


def test_the_first_reason_stays() -> None:
    """Why the list was given up is told as it was first found."""
    trust = Trust(Lag())
    trust.distrust("one")
    trust.distrust("two")
    assert tried("shown", wrong=9, right=0, trust=trust).reason == "one"


def test_only_claims_are_settled() -> None:
    """An answer of a job that nothing was claimed of tells nothing of the list, and a claim is settled once."""
    trust = Trust(Lag())
    trust.settle("job_1", ended=True)
    trust.claim("job_1", "shown")
    for _ in range(3):
        trust.settle("job_1", ended=True)
    assert (trust.right, trust.claims) == (1, 1)
    assert repr(trust) == "<Trust 1 of 1 claims were right>"


def test_absence_is_read_more_carefully_after_errors() -> None:
    """Each job that was missing and still ran doubles the age from which absence counts, up to a bound."""
    assert tried("missing", wrong=2, right=0).margin_seconds == 4 * FIRST_MARGIN_SECONDS
    assert tried("missing", wrong=50, right=0).margin_seconds == LAST_MARGIN_SECONDS


@pytest.mark.parametrize("claim", ["shown", "missing"])
def test_what_was_refuted_is_not_heard_again(claim: Claim) -> None:
    """That a job has ended is not believed again once it was found to run, until it is shown active."""
    trust = tried(claim, wrong=1, right=1)
    assert (trust.refuted("job_0"), trust.refuted("job_1"), trust.refuted(None)) == (True, False, False)
    trust.shown_active([Job(Spec("k"), id="job_0")])
    assert not trust.refuted("job_0")


def test_what_ended_is_forgotten() -> None:
    """Nothing is remembered of a job that has ended, however that became known."""
    trust = tried("shown", wrong=1, right=0)
    trust.settle("job_0", ended=True)
    assert not trust.refuted("job_0")


@pytest.mark.parametrize("ended", [True, False])
def test_audits_prove_no_error(ended: bool) -> None:
    """A job shown as active that has ended may have ended since; one that has not makes the list less late."""
    lag = Lag()
    trust = Trust(lag)
    for id in ("job_0", "job_1"):
        lag.ended(id, 10.0)
    lag.echoed(["job_0", "job_1"], 14.0)
    for number in range(20):
        trust.claim(f"job_{number}", "active")
        trust.settle(f"job_{number}", ended=ended)
    assert (trust.reason, trust.claims) == (None, 0)
    assert lag.seconds == (4.0 if ended else pytest.approx(0.0, abs=0.01))


def test_every_job_is_asked_itself_in_time() -> None:
    """A list is enough for so long after a job's own answer; for some much shorter, while it is tried by those."""
    trust = Trust(Lag())
    trust.own_seconds, trust.samples = 50.0, True
    some, most, adopted = (Job(Spec("x"), id=id, asked=asked) for id, asked in (("0", 1.0), ("1", 1.0), ("x", NEVER)))
    assert [trust.covered_until(job) for job in (some, most, adopted)] == [51.0, 401.0, math.inf]
    assert trust.sure_seconds == 50.0
    trust.samples = False
    assert (trust.covered_until(some), trust.sure_seconds) == (401.0, 400.0)


@pytest.mark.parametrize(("right", "wrong", "given_up"), [(0, 0, False), (0, 1, True), (1, 1, False), (1, 2, True)])
def test_jobs_shown_long_after_their_end_are_proof(right: int, wrong: int, given_up: bool) -> None:
    """One of them, as long as the list has shown no end rightly; two, once it has."""
    trust = Trust(lag := Lag())
    trust.right, lag.wrong = right, wrong
    trust.weigh()
    assert trust.reason == (REASONS["active"] if given_up else None)
