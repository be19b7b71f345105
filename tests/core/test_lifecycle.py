"""The transition table: row by row, and what holds for whatever happens in whatever order."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.events import Accepted, Event, Faulted, Fetched, Placed, Seen, Stored, Transition, Uploaded
from sumeasync.core.job import NEVER, Hint, Job, Product, Step
from sumeasync.core.lifecycle import Lifecycle
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.core.reconcile import PATIENCE_SECONDS, SETTLE_SECONDS, Search
from sumeasync.core.records import Created, Ended, Record, Rejected, Saved, Unknown
from sumeasync.core.setbacks import LINK_REFRESHES, RESULT_TRIES, may_begin_again
from sumeasync.errors import (
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectError,
    CreditsError,
    LinkExpiredError,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    TransportError,
    UsageError,
)
from sumeasync.models import Failure, JobView, Link, Media, Outcome, Spec

IMAGE = Spec("k", "image_generation", {"prompt": "p"}, payload_hash="h")
UPLOAD = Spec("k", "asset_ingest", file="f", payload_hash="h")
ADOPTED = Spec("k", job_id="job_1")
NOW, WALL = 1000.0, 1.8e9
POLICY = Policy(first_delay=10, interval=5, cap=30, jitter=0, deadline=600)
LINKS = (Link("/url", "https://h.io/a"),)
FILES = (Media("media/k/job_1.png", 1, "00", "image/png"),)
VIEW = JobView("job_1", "completed", "completed")


def lifecycle(*, idempotent: bool = False, policy: Policy = POLICY, save_attempts: int = 3) -> Lifecycle:
    """The table under test, without jitter of the interval."""
    return Lifecycle(Pacer({"*": policy}, Random(7)), Random(7), save_attempts=save_attempts, idempotent=idempotent)


def job_at(step: Step, spec: Spec = IMAGE, **changes: Any) -> Job:
    """A job that stands before `step`, as the table would have brought it there."""
    known = step in (Step.POLL, Step.RESULT, Step.SAVE)
    job = Job(spec, step, "job_1" if known else None, born=NOW, type=spec.type)
    if step in (Step.RESULT, Step.SAVE):
        job.carry = Product(links=LINKS if step is Step.SAVE else ())
    if step is Step.RECONCILE:
        job.carry = Search(lost_at=WALL)
    for name, value in changes.items():
        setattr(job, name, value)
    return job


def seen(status: Any, **changes: Any) -> Seen:
    """The answer to a poll."""
    return Seen(JobView("job_1", status, status or "odd", **changes))


def advance(job: Job, event: Event | SumeError, *, after: float = 0.0, **options: Any) -> Transition:
    """Apply one event (an error: a fault), `after` seconds from the beginning."""
    event = Faulted(event) if isinstance(event, SumeError) else event
    return lifecycle(**options).advance(job, event, NOW + after, WALL + after)


def outcome_of(transition: Transition) -> Outcome:
    """The outcome there must be."""
    assert transition.outcome is not None
    return transition.outcome


# Beginnings.


@pytest.mark.parametrize(
    ("spec", "step", "id"),
    [(IMAGE, Step.CREATE, None), (UPLOAD, Step.PRESIGN, None), (ADOPTED, Step.POLL, "job_1")],
)
def test_first_step(spec: Spec, step: Step, id: str | None) -> None:
    """A spec begins with its create, a file with its upload, a job id with a poll; creates and uploads at once."""
    job, delay = lifecycle().begin(spec, NOW)
    assert (job.step, job.id, job.born, job.type) == (step, id, NOW, spec.type)
    assert 0 <= delay < 5 if id else delay == 0


def test_resumed_jobs_are_asked_soon() -> None:
    """A job of an earlier run is asked about within one interval: it may be done already."""
    job, delay = lifecycle().resume(IMAGE, "job_9", NOW, WALL, WALL - 500)
    assert (job.step, job.id, job.created_at, job.born, job.aged) == (Step.POLL, "job_9", WALL - 500, NOW, 500)
    assert 0 <= delay < 5


def test_first_poll_is_not_after_the_deadline() -> None:
    """A deadline shorter than the first delay is met by one poll."""
    spec = msgspec.structs.replace(IMAGE, deadline_seconds=2.0)
    assert lifecycle().resume(spec, "job_1", NOW, WALL, None)[1] <= 2
    assert advance(job_at(Step.CREATE, spec), Accepted(("job_1",))).delay == 2


# The happy rows.


def test_upload_goes_before_its_create() -> None:
    """A place is named, the file goes there, and its object key goes into the create."""
    job = job_at(Step.PRESIGN, UPLOAD)
    assert advance(job, Placed("place")) == Transition()
    assert (job.step, job.carry) == (Step.UPLOAD, "place")
    assert advance(job, Uploaded("key")) == Transition()
    assert (job.step, job.carry) == (Step.CREATE, "key")


@pytest.mark.parametrize("adopted", [False, True])
def test_accepted_jobs_are_each_polled(adopted: bool) -> None:
    """One record names every id; the first is this job, the others its siblings, each with a phase of its own."""
    job = job_at(Step.CREATE, faults=2, carry="key")
    then = advance(job, Accepted(("a", "b", "c"), adopted), after=3)
    assert then.records == (Created("k", ("a", "b", "c"), WALL + 3, "image_generation", "h", adopted),)
    jobs = [job, *(sibling for sibling, _ in then.siblings)]
    assert [(one.id, one.step, one.born, one.created_at, one.carry, one.faults) for one in jobs] == [
        (id, Step.POLL, NOW + 3, WALL + 3, None, 0) for id in "abc"
    ]
    low = 0 if adopted else 10
    assert all(low <= delay < low + 5 for delay in (then.delay, *(delay for _, delay in then.siblings)))


@pytest.mark.parametrize("status", ["queued", "running", None])
def test_not_terminal_is_polled_again(status: str | None) -> None:
    """Queued, running and any unknown word wait for the next poll; the first sight of running starts its clock."""
    job = job_at(Step.POLL, seen=NOW + 15)
    then = advance(job, seen(status), after=20)
    assert (then.delay, then.outcome, job.step, job.polls, job.seen, job.asked) == (
        5,
        None,
        Step.POLL,
        1,
        NOW + 20,
        NOW + 20,
    )
    advance(job, seen(status), after=40)
    assert (job.running_since, job.started_at) == ((NOW + 20, WALL + 20) if status == "running" else (None, None))


@pytest.mark.parametrize(("waiting", "started"), [(NEVER, None), (NOW, None), (NOW + 9, None), (NOW + 10, WALL + 20)])
def test_a_start_that_was_not_seen_is_not_known(waiting: float, started: float | None) -> None:
    """A job found running counts from its creation, unless it was last seen waiting nearer to now than to that."""
    job = job_at(Step.POLL, seen=waiting)
    advance(job, seen("running"), after=20)
    assert (job.running_since, job.started_at) == (NOW + 20, started)


def test_the_servers_floor_is_obeyed() -> None:
    """An interval the server recommends is the least."""
    assert advance(job_at(Step.POLL), seen("running", floor_seconds=50.0)).delay == 50


def test_the_servers_type_is_learned() -> None:
    """The type the server names chooses the policy, and stands beside the spec's in the outcome."""
    job = job_at(Step.POLL)
    pacer = Pacer({"*": POLICY, "other": Policy(interval=9, jitter=0)}, Random(1))
    both = Lifecycle(pacer, Random(1), save_attempts=3, idempotent=False)
    assert both.advance(job, seen("running", type="other"), NOW, WALL).delay == 9
    outcome = outcome_of(advance(job, seen("failed")))
    assert (outcome.type, outcome.server_type) == ("image_generation", "other")
    assert outcome_of(advance(job_at(Step.POLL, ADOPTED), seen("failed", type="other"))).type == "other"


@pytest.mark.parametrize("status", ["failed", "canceled", "expired"])
def test_a_bad_end_is_recorded_and_told(status: Any) -> None:
    """A terminal state that is not completed is one record and the outcome, with the server's reason if any."""
    job = job_at(Step.POLL, created_at=WALL - 50)
    error = Failure("nsfw", "no")
    then = advance(job, seen(status, error=error, created_at=WALL - 40, completed_at=WALL - 10))
    ended = Ended("k", "job_1", status, WALL, "image_generation", error, WALL - 50, None, None, 30.0, 1)
    assert then.records == (ended,)
    outcome = outcome_of(then)
    assert (outcome.status, outcome.error, outcome.polls) == (status, error, 1)
    assert (outcome.timings.detected, outcome.timings.server_completed) == (WALL, WALL - 10)
    assert outcome_of(advance(job_at(Step.POLL), seen(status))).error == Failure(status, "the server gave no reason")


def test_completed_is_recorded_before_the_result_is_asked_for() -> None:
    """Completion is one record, and the result is next, at once."""
    job = job_at(Step.POLL)
    then = advance(job, seen("completed"))
    assert [type(record) for record in then.records] == [Ended]
    assert (job.step, job.status, then.delay, then.outcome) == (Step.RESULT, "completed", 0, None)


def test_the_servers_own_duration() -> None:
    """Where the server names both ends of a job, the record keeps the time between them."""
    record = advance(job_at(Step.POLL), seen("completed", created_at=1.0, started_at=3.0, completed_at=9.0)).records[0]
    assert isinstance(record, Ended)
    assert record.server_seconds == 8


def test_a_result_with_links_is_saved() -> None:
    """Links are next to be saved; once they are, a record and the outcome name the files."""
    job = job_at(Step.RESULT)
    assert advance(job, Fetched(VIEW, {"a": 1}, LINKS)) == Transition()
    assert job.step is Step.SAVE
    then = advance(job, Stored(FILES))
    assert then.records == (Saved("k", "job_1", WALL, FILES),)
    outcome = outcome_of(then)
    assert (outcome.status, outcome.ok, outcome.files, outcome.result) == ("completed", True, FILES, {"a": 1})
    assert outcome.timings.saved == WALL


@pytest.mark.parametrize(("download", "links"), [(False, LINKS), (True, ())])
def test_a_result_with_nothing_to_save_is_the_end(download: bool, links: tuple[Link, ...]) -> None:
    """Without links, or when no download is wanted, the result completes the job and no file is recorded."""
    job = job_at(Step.RESULT, msgspec.structs.replace(IMAGE, download=download))
    then = advance(job, Fetched(msgspec.structs.replace(VIEW, type="other"), {"a": 1}, links))
    assert then.records == ()
    outcome = outcome_of(then)
    assert (outcome.ok, outcome.files, outcome.timings.saved, outcome.server_type) == (True, (), None, "other")


def test_the_results_view_counts_where_it_tells_more() -> None:
    """The end the server names beside the result replaces a view that did not name it, not one that did."""
    job = job_at(Step.RESULT, view=VIEW)
    advance(job, Fetched(VIEW, {}, ()))
    assert job.view is VIEW
    told = msgspec.structs.replace(VIEW, completed_at=WALL - 1)
    assert (
        outcome_of(advance(job_at(Step.RESULT, view=VIEW), Fetched(told, {}, ()))).timings.server_completed == WALL - 1
    )


def test_links_count_more_than_the_word_beside_them() -> None:
    """A result that has media is one, whatever status it still shows."""
    job = job_at(Step.RESULT)
    advance(job, Fetched(JobView("job_1", "running", "running"), {}, LINKS))
    assert job.step is Step.SAVE


def test_ends_are_learned_from() -> None:
    """Every end of a job is told to what learns durations, once."""
    durations = Durations()
    life = Lifecycle(Pacer({"*": POLICY}, Random(1), durations), Random(1), save_attempts=3, idempotent=False)
    job = job_at(Step.POLL, created_at=WALL - 60, seen=NOW - 5)
    life.advance(job, seen("completed"), NOW, WALL)
    assert durations.model("image_generation").jobs == 1


# Results first.

GUESS = {"hint": Hint.COMPLETED, "seen": NOW, "asked": NOW}


def test_a_result_asked_for_first_saves_the_poll() -> None:
    """A result that is there is the end and the result in one: recorded as completed, then saved."""
    job = job_at(Step.POLL, **GUESS)
    then = advance(job, Fetched(VIEW, {"url": "a"}, LINKS), after=90)
    (record,) = then.records
    assert isinstance(record, Ended)
    assert (record.status, job.status, job.step, job.carry.links) == ("completed", "completed", Step.SAVE, LINKS)
    assert (job.hint, job.detected_at, then.outcome) == (Hint.NONE, WALL + 90, None)


def test_a_result_with_nothing_to_save_asked_for_first() -> None:
    """Record and outcome come together."""
    then = advance(job_at(Step.POLL, **GUESS), Fetched(VIEW, {"text": "t"}))
    assert (outcome_of(then).ok, outcome_of(then).result, len(then.records)) == (True, {"text": "t"}, 1)


@pytest.mark.parametrize(
    "event",
    [
        Faulted(NotReadyError(status=409)),
        Faulted(NotFoundError(status=404)),
        Faulted(BadRequestError(status=400)),
        Faulted(AuthError(status=403)),
        Fetched(JobView("job_1", "running", "running"), {}),
        Fetched(JobView("job_1", "running", "running"), {"preview_url": "a"}, LINKS),
        Fetched(JobView("job_1", "failed", "failed"), {}),
        Fetched(JobView("job_1", None, "odd"), {"id": "job_1"}),
        Fetched(JobView("job_1", "completed", ""), {"result": None}),
    ],
)
def test_a_guess_that_is_refused_leads_to_a_plain_poll(event: Event) -> None:
    """Whatever the answer but a result: the status is asked for at once, and no fault is counted."""
    job = job_at(Step.POLL, **GUESS)
    assert advance(job, event) == Transition()
    assert (job.step, job.hint, job.faults, job.status) == (Step.POLL, Hint.ENDED, 0, None)
    then = advance(job, seen("running"))
    assert (job.hint, then.delay, then.outcome) == (Hint.NONE, 5, None)


@pytest.mark.parametrize("error", [TransportError(), RateLimitError(status=429), ServerError(status=500)])
def test_a_guess_that_meets_a_fault_is_a_fault(error: SumeError) -> None:
    """Faults that say nothing of the job are waited out like those of any poll, and the hint is forgotten."""
    job = job_at(Step.POLL, **GUESS)
    assert advance(job, error).delay > 0
    assert (job.hint, job.faults, job.step) == (Hint.NONE, 1, Step.POLL)


def test_a_key_refused_at_a_guess_stops() -> None:
    """A key that is no longer accepted stops the run, whatever was asked."""
    error = AuthError(status=401)
    assert advance(job_at(Step.POLL, **GUESS), error).stop is error


def test_a_glimpse_counts_as_seen_and_not_as_an_answer() -> None:
    """What a list shows moves `seen` on, never back, and starts the clock of a running job once."""
    job, life = job_at(Step.POLL, seen=NOW + 4, asked=NOW), lifecycle()
    running = JobView("job_1", "running", "running")
    life.glimpse(job, running, NOW + 5, WALL + 5)
    life.glimpse(job, running, NOW + 3, WALL + 3)
    assert (job.seen, job.asked, job.running_since, job.started_at) == (NOW + 5, NOW, NOW + 5, WALL + 5)


# Deadlines.


@pytest.mark.parametrize(
    ("policy", "spec", "running", "limit"),
    [
        (Policy(deadline=100), IMAGE, False, 100),
        (Policy(deadline=100), msgspec.structs.replace(IMAGE, deadline_seconds=50.0), False, 50),
        (Policy(deadline=None, queue_timeout=30), IMAGE, False, 30),
        (Policy(deadline=100, run_timeout=20), IMAGE, True, 30),
        (Policy(deadline=25, run_timeout=20), IMAGE, True, 25),
        (Policy(deadline=100, queue_timeout=30), IMAGE, True, 100),
    ],
)
def test_deadlines(policy: Policy, spec: Spec, running: bool, limit: float) -> None:
    """The earliest bound ends the waiting: whole life, queue or run; the last poll falls on it, none after it."""
    job = job_at(Step.POLL, spec, running_since=NOW + 10 if running else None)
    status = "running" if running else "queued"
    assert advance(job, seen(status), after=limit - 1, policy=policy).delay == pytest.approx(1)
    outcome = outcome_of(advance(job, seen(status), after=limit, policy=policy))
    assert (outcome.status, outcome.final, outcome.job_id) == ("timed_out", False, "job_1")


def test_no_bound_is_no_bound() -> None:
    """Without any bound a job is polled for ever, at its longest interval."""
    assert advance(job_at(Step.POLL), seen("queued"), after=1e9, policy=Policy(deadline=None, jitter=0)).delay == 30


# Faults of the create.


@pytest.mark.parametrize("step", [Step.PRESIGN, Step.UPLOAD, Step.CREATE])
def test_a_create_that_surely_did_not_start_is_tried_again(step: Step) -> None:
    """Nothing was sent: the same step again. A create's intent is taken back on record, as it may be the last try."""
    job = job_at(step, UPLOAD)
    then = advance(job, ConnectError("no way"))
    assert (job.step, job.faults, then.outcome, then.stop) == (step, 1, None, None)
    expected = (Rejected("k", WALL, Failure("connect", "no way")),) if step is Step.CREATE else ()
    assert then.records == expected
    assert 0.25 <= then.delay <= 2.25


@pytest.mark.parametrize(("step", "records"), [(Step.PRESIGN, 0), (Step.UPLOAD, 0), (Step.CREATE, 1)])
def test_a_create_that_could_not_be_sent_in_time_is_given_up(step: Step, records: int) -> None:
    """Past the deadline the outcome is `timed_out`, which a later run takes up again."""
    then = advance(job_at(step, UPLOAD), ConnectError(), after=600)
    assert outcome_of(then).status == "timed_out"
    assert "could not be sent" in str(outcome_of(then).error)
    assert len(then.records) == records


@pytest.mark.parametrize("error", [TransportError("cut"), ServerError("cut", status=502), BadResponseError("cut")])
def test_a_lost_answer_is_looked_for(error: SumeError) -> None:
    """When nobody knows whether a create was paid, that is recorded, and the job list is next; it is not sent again."""
    job = job_at(Step.CREATE, faults=4)
    then = advance(job, error)
    assert [type(record) for record in then.records] == [Unknown]
    assert (job.step, job.faults, then.delay, then.outcome) == (Step.RECONCILE, 0, 5, None)


def keyed(**changes: Any) -> Job:
    """A create that was sent under an idempotency key just now."""
    return job_at(Step.CREATE, idempotency_key="key", intended_at=WALL, **changes)


def test_an_idempotent_create_is_sent_again() -> None:
    """Where a key makes a create safe to repeat, it is repeated, and nothing need be recorded."""
    job = keyed()
    then = advance(job, TransportError(), idempotent=True)
    assert (then.records, then.outcome, job.step, job.doubtful) == ((), None, Step.CREATE, True)


@pytest.mark.parametrize(
    ("error", "after", "days"),
    [(TransportError("cut"), 600.0, 0), (RateLimitError(status=429), 600.0, 0), (TransportError("cut"), 0.0, 2)],
    ids=["deadline", "deadline when refused", "old key"],
)
def test_an_idempotent_create_is_given_up(error: SumeError, after: float, days: int) -> None:
    """Past the deadline, or once the key is too old, what may have been paid is unknown; no list can tell."""
    job = keyed(doubtful=True)
    job.intended_at = WALL - days * 86_400.0
    then = advance(job, error, after=after, idempotent=True)
    assert [type(record) for record in then.records] == [Unknown]
    assert then.outcome is not None
    assert (then.outcome.status, then.outcome.final) == ("unknown", False)


@pytest.mark.parametrize("error", [ConnectError(), RateLimitError(status=429), AuthError(status=401)])
def test_a_passing_refusal_clears_no_doubt(error: SumeError) -> None:
    """A refusal that never looked at the key is recorded only where no earlier try may have got through."""
    for doubtful in (True, False):
        then = advance(keyed(doubtful=doubtful), error, idempotent=True)
        assert [type(record) for record in then.records] == ([] if doubtful else [Rejected])


@pytest.mark.parametrize(
    "error",
    [UsageError("odd"), RefusedError(), BadRequestError(status=403, code="not_found"), BadRequestError(status=422)],
)
def test_no_refusal_clears_a_doubt(error: SumeError) -> None:
    """A try that was refused says nothing of the one before it: the request may be judged before its key is."""
    then = advance(keyed(doubtful=True), error, idempotent=True)
    assert [type(record) for record in then.records] == [Unknown]
    assert outcome_of(then).status == "unknown"
    assert outcome_of(advance(keyed(), error, idempotent=True)).status == "rejected"


def test_an_answer_ends_the_doubt() -> None:
    """Once the job is known, its create is settled."""
    job = keyed(doubtful=True)
    advance(job, Accepted(("job_1",)), idempotent=True)
    assert (job.id, job.doubtful) == ("job_1", False)


@pytest.mark.parametrize("step", [Step.PRESIGN, Step.CREATE])
@pytest.mark.parametrize("error", [AuthError(status=403), CreditsError(status=402)])
def test_what_stops_all_creates_is_no_outcome(step: Step, error: SumeError) -> None:
    """A refused key or a lack of credits stops the run; the spec is left for a run after the cause is mended."""
    then = advance(job_at(step, UPLOAD), error)
    (record,) = then.records
    assert isinstance(record, Rejected)
    assert (then.stop, then.outcome, may_begin_again(record.error)) == (error, None, True)


@pytest.mark.parametrize("step", [Step.PRESIGN, Step.UPLOAD, Step.CREATE])
def test_a_refused_create_is_rejected(step: Step) -> None:
    """What the server or this side refuses is an outcome with the reason, and nothing was paid."""
    error = BadRequestError("no prompt", status=422, code="bad", request_id="req_1")
    then = advance(job_at(step, UPLOAD), error)
    shown = Failure("bad", "no prompt", "req_1", 422)
    assert then.records == (Rejected("k", WALL, shown),)
    assert (outcome_of(then).status, outcome_of(then).error) == ("rejected", shown)


def test_an_expired_upload_link_is_renewed() -> None:
    """A storage that no longer takes the link: another place is asked for. In any other step that cannot happen."""
    job = job_at(Step.UPLOAD, UPLOAD)
    advance(job, LinkExpiredError())
    assert job.step is Step.PRESIGN
    job = job_at(Step.CREATE)
    advance(job, LinkExpiredError())
    assert job.step is Step.RECONCILE


@pytest.mark.parametrize(
    ("refusal", "again"),
    [
        (Failure("connect"), True),
        (Failure("x", http_status=401), True),
        (Failure("x", http_status=402), True),
        (Failure("x", http_status=403), True),
        (Failure("x", http_status=429), True),
        (Failure("insufficient_credits", http_status=400), True),
        (Failure("Unauthorized", http_status=400), True),
        (Failure("rate_limit_exceeded", http_status=400), True),
        (Failure("bad_request", http_status=400), False),
        (Failure("refused"), False),
    ],
)
def test_which_refusals_may_begin_again(refusal: Failure, again: bool) -> None:
    """A refusal by the key, the credits, the rate or the way there is mendable; one of the input is not."""
    assert may_begin_again(refusal) is again


# Reconciling.


def test_a_job_that_is_not_found_is_unknown() -> None:
    """Looked for patiently and not found, the create is `unknown`, with the request id of the lost answer."""
    job = job_at(Step.CREATE, born=NOW - 1e6)
    after, then = 0.0, advance(job, ServerError("oops", status=500, request_id="req_1"))
    while then.outcome is None:
        after += then.delay
        then = advance(job, SumeError("0 unclaimed jobs"), after=after)
    assert (after, job.carry.looks) == (PATIENCE_SECONDS, 7)
    outcome = outcome_of(then)
    assert (outcome.status, outcome.final, outcome.job_id) == ("unknown", False, None)
    assert outcome.error is not None
    assert (outcome.error.request_id, "oops" in outcome.error.message) == ("req_1", True)


@pytest.mark.parametrize("error", [SumeError("0 unclaimed jobs"), ServerError(status=500)])
def test_other_creates_wait_only_at_first(error: SumeError) -> None:
    """Others of the type wait until what was sent has arrived or never will, whatever the list says or the clock."""
    for lost_at in (WALL, WALL + 1e6):
        job = job_at(Step.RECONCILE, carry=Search(lost_at=lost_at))
        assert [(advance(job, error, after=after), job.carry.held)[1] for after in (1, 4, 5)] == [True, True, False]
    advance(job := job_at(Step.RECONCILE, carry=Search(lost_at=WALL - SETTLE_SECONDS)), error)
    assert not job.carry.held


@pytest.mark.parametrize(("sure", "looks"), [(False, 2), (True, 1)])
def test_patience_is_not_begun_anew(sure: bool, looks: int) -> None:
    """What was lost long ago is looked for at once, and once more only if the first look may have missed it."""
    job = job_at(Step.RECONCILE, carry=Search(lost_at=WALL - 100, sure=sure))
    transitions = [advance(job, SumeError("0 unclaimed jobs")) for _ in range(looks)]
    assert [then.outcome is not None for then in transitions] == [False] * (looks - 1) + [True]
    assert sum(then.delay for then in transitions) == 0


def test_a_search_ends_with_the_deadline() -> None:
    """A deadline shorter than the patience ends the search, once what was sent has arrived or never will."""
    job = job_at(Step.RECONCILE, msgspec.structs.replace(IMAGE, deadline_seconds=3.0))
    assert advance(job, SumeError("0 unclaimed jobs"), after=4).outcome is None
    assert outcome_of(advance(job, SumeError("0 unclaimed jobs"), after=5)).status == "unknown"


@pytest.mark.parametrize(
    "error", [ConnectError(), TransportError(), ServerError(status=503), RateLimitError(status=429)]
)
def test_a_list_that_cannot_be_read_says_nothing(error: SumeError) -> None:
    """While the list cannot be read the search goes on, until the deadline."""
    job = job_at(Step.RECONCILE)
    for _ in range(10):
        assert advance(job, error).outcome is None
    assert outcome_of(advance(job, error, after=600)).status == "unknown"


def test_unknown_without_a_known_cause() -> None:
    """A create whose fault nobody remembers, or whose answer named no job, is unknown as well."""
    for step in (Step.RECONCILE, Step.CREATE):
        outcome = outcome_of(advance(job_at(step), Accepted(())))
        assert outcome.status == "unknown"
        assert "the answer was lost" in str(outcome.error)


# Faults of polls.


@pytest.mark.parametrize(
    "error", [TransportError(), BadResponseError(), ServerError(status=500), NotReadyError(status=409)]
)
def test_a_poll_that_fails_is_repeated(error: SumeError) -> None:
    """A fault is not an end: the poll comes back, not later than the deadline, and only the deadline ends it."""
    job = job_at(Step.POLL, faults=20)
    assert advance(job, error, after=599.9).delay == pytest.approx(0.1)
    outcome = outcome_of(advance(job, error, after=600))
    assert (outcome.status, outcome.final) == ("timed_out", False)


@pytest.mark.parametrize("error", [ServerError, RateLimitError])
@pytest.mark.parametrize("after", [0, 599.9])
def test_retry_after_is_obeyed(error: type[ServerError], after: float) -> None:
    """What the server asked for is obeyed, also just before a deadline."""
    assert advance(job_at(Step.POLL), error(status=503, retry_after_seconds=90.0), after=after).delay == 90
    assert advance(job_at(Step.RESULT), error(status=503, retry_after_seconds=90.0), after=after).delay == 90


@pytest.mark.parametrize(
    ("spec", "after", "status"), [(IMAGE, 59.9, None), (IMAGE, 60, "failed"), (ADOPTED, 0, "failed")]
)
def test_not_found(spec: Spec, after: float, status: str | None) -> None:
    """A job just created may not be found for a minute; after that, or when its id was given, it is lost."""
    then = advance(job_at(Step.POLL, spec), NotFoundError("who?", status=404), after=after)
    assert (then.outcome and then.outcome.status) == status
    assert [type(record) for record in then.records] == ([Ended] if status else [])


def test_a_poll_refused_for_good_is_a_failure() -> None:
    """What the server will never answer is recorded as the job's end, with the reason."""
    then = advance(job_at(Step.POLL), BadRequestError("odd id", status=400))
    (record,) = then.records
    assert isinstance(record, Ended)
    assert record.error == outcome_of(then).error == Failure("http_400", "odd id", None, 400)
    assert outcome_of(then).timings.detected == WALL


@pytest.mark.parametrize("step", [Step.POLL, Step.RESULT])
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_refused_midway_costs_no_job(step: Step, status: int) -> None:
    """A key that is no longer accepted stops the run; the job is not called failed, it runs on at the server."""
    error = AuthError(status=status)
    job = job_at(step)
    then = advance(job, error)
    assert (then.stop, then.outcome, then.records, job.step) == (error, None, (), step)


def test_a_given_id_that_is_forbidden_is_that_jobs_failure() -> None:
    """An id the user gave may be somebody else's: forbidden, it ends alone; a refused key ends all the same."""
    assert outcome_of(advance(job_at(Step.POLL, ADOPTED), AuthError(status=403))).status == "failed"
    assert advance(job_at(Step.POLL, ADOPTED), AuthError(status=401)).stop is not None


# Faults of results and media.


@pytest.mark.parametrize(
    ("event", "tries"),
    [
        (Faulted(TransportError()), RESULT_TRIES),
        (Faulted(NotReadyError(status=409)), RESULT_TRIES),
        (Faulted(BadResponseError()), RESULT_TRIES // 2),
        (Faulted(RefusedError()), 1),
        (Fetched(JobView("job_1", "running", "running"), {}), RESULT_TRIES),
    ],
)
def test_a_result_that_does_not_come_ends_beside_completed(event: Event, tries: int) -> None:
    """After so many tries, further and further apart, the job is completed with an error: never another status."""
    job = job_at(Step.RESULT)
    delays = [advance(job, event).delay for _ in range(tries - 1)]
    then = advance(job, event)
    assert (outcome_of(then).status, outcome_of(then).ok, then.records) == ("completed", False, ())
    assert sum(delays) > 60 or tries < RESULT_TRIES


def test_a_rate_limit_never_costs_a_result() -> None:
    """However often the rate is refused, the result is asked for again."""
    job = job_at(Step.RESULT, faults=10 * RESULT_TRIES)
    assert advance(job, RateLimitError(status=429)).outcome is None


def test_an_expired_link_is_refreshed_a_few_times() -> None:
    """A link that expired sends for the result again, at once the first time; files already whole are kept."""
    job = job_at(Step.SAVE)
    for turn in range(LINK_REFRESHES):
        then = advance(job, Faulted(LinkExpiredError(), FILES))
        assert (job.step, then.outcome, then.delay == 0) == (Step.RESULT, None, turn == 0)
        advance(job, Fetched(VIEW, {}, LINKS))
        assert job.carry.files == FILES
    then = advance(job, Faulted(LinkExpiredError("old"), FILES))
    assert then.records == (Saved("k", "job_1", WALL, FILES),)
    assert outcome_of(then).error == Failure("download_failed", "old")


@pytest.mark.parametrize(
    ("error", "tries", "code"),
    [
        (TransportError("cut"), 3, "interrupted"),
        (RefusedError("cut"), 1, "download_failed"),
        (UsageError("cut"), 1, "download_failed"),
    ],
)
def test_media_that_cannot_be_saved_end_beside_completed(error: SumeError, tries: int, code: str) -> None:
    """A download is tried as often as was set, unless it is refused for good; what may pass is not final."""
    job = job_at(Step.SAVE)
    for _ in range(tries - 1):
        assert advance(job, error).outcome is None
    outcome = outcome_of(advance(job, error))
    assert (outcome.status, outcome.error) == ("completed", Failure(code, "cut"))
    assert outcome.final is (code == "download_failed")


# Whatever happens.

ERRORS = st.builds(
    lambda kind, wait: kind(status=500, retry_after_seconds=wait),
    st.sampled_from([BadRequestError, NotFoundError, NotReadyError, RateLimitError, ServerError]),
    st.none() | st.floats(0, 3600),
) | st.sampled_from(
    [
        AuthError(status=401), AuthError(status=403), CreditsError(status=402), TransportError(), ConnectError(),
        LinkExpiredError(), BadResponseError(), RefusedError(), UsageError(), SumeError(),
    ]
)  # fmt: skip
FAULTS = st.builds(Faulted, ERRORS)
STATES = st.sampled_from([None, "queued", "running", "completed", "failed", "canceled", "expired"])
VIEWS = st.builds(
    lambda status, type, floor: JobView("job_1", status, "w", type, floor_seconds=floor),
    STATES, st.sampled_from(["", "image_generation"]), st.none() | st.floats(0, 100),
)  # fmt: skip
ANSWERS: dict[Step, st.SearchStrategy[Event]] = {
    Step.PRESIGN: st.just(Placed("place")),
    Step.UPLOAD: st.just(Uploaded("key")),
    Step.CREATE: st.sampled_from([Accepted(("a",)), Accepted(("a", "b"))]),
    Step.RECONCILE: st.sampled_from([Accepted(("a",), adopted=True), Accepted(())]),
    Step.POLL: st.builds(Seen, VIEWS),
    Step.RESULT: st.builds(Fetched, VIEWS, st.just({}), st.sampled_from([(), LINKS])),
    Step.SAVE: st.just(Stored(FILES)),
}
LAST: dict[Step, Event] = {
    Step.PRESIGN: Placed("place"),
    Step.UPLOAD: Uploaded("key"),
    Step.CREATE: Accepted(("a",)),
    Step.RECONCILE: Accepted(()),
    Step.POLL: seen("failed"),
    Step.RESULT: Fetched(VIEW, {}),
    Step.SAVE: Stored(FILES),
}


def live(data: st.DataObject, life: Lifecycle, job: Job, now: float) -> tuple[list[Record], list[Transition], bool]:
    """One job from `now` to its end; the records, transitions, and whether a create of it was ever in doubt."""
    records: list[Record] = []
    transitions: list[Transition] = []
    doubt = False
    for turn in range(60):
        was = job.step
        event = data.draw(FAULTS | ANSWERS[was]) if turn < 30 else LAST[was]
        then = life.advance(job, event, now, WALL + now)
        records += then.records
        transitions.append(then)
        doubt |= was is Step.CREATE and job.step is Step.RECONCILE
        assert not (doubt and job.step in (Step.CREATE, Step.PRESIGN, Step.UPLOAD))
        assert 0 <= then.delay < math.inf
        if isinstance(event, Faulted) and then.outcome is None and then.stop is None:
            assert then.delay >= (getattr(event.error, "retry_after_seconds", None) or 0)
        if then.outcome is not None or (then.stop and job.id is None):
            return records, transitions, doubt
        now += then.delay + data.draw(st.floats(0, 10))
    raise AssertionError("it does not end")


@given(st.data(), st.sampled_from([IMAGE, UPLOAD, ADOPTED]))
def test_every_job_ends_once(data: st.DataObject, spec: Spec) -> None:
    """Any events in any order: one outcome (or creates stopped), at most one end on record, no second create."""
    life = lifecycle()
    job, delay = life.begin(spec, NOW)
    records, transitions, doubt = live(data, life, job, NOW + delay)
    kinds = Counter(map(type, records))
    assert sum(then.outcome is not None for then in transitions) <= 1
    assert kinds[Ended] <= 1
    assert kinds[Created] <= 1
    assert kinds[Unknown] == doubt
    outcome = transitions[-1].outcome
    for record in records:
        if isinstance(record, Ended):
            assert outcome is not None
            assert record.status == outcome.status
    for sibling, _ in (pair for then in transitions for pair in then.siblings):
        assert live(data, life, sibling, NOW)[1][-1].outcome is not None


@given(ERRORS, st.sampled_from([Step.POLL, Step.RESULT, Step.SAVE, Step.RECONCILE, Step.CREATE]))
def test_every_standing_fault_is_bounded(error: SumeError, step: Step) -> None:
    """A fault that never goes away ends in an outcome or stops the run; only a rate limit may hold a result longer."""
    job, life, now = job_at(step), lifecycle(), NOW
    for _ in range(200):
        then = life.advance(job, Faulted(error), now, WALL)
        if then.outcome or then.stop:
            return
        if job.step is Step.RESULT and step is Step.SAVE:
            life.advance(job, Fetched(VIEW, {}, LINKS), now, WALL)
        now += then.delay + 5
    assert isinstance(error, RateLimitError)
    assert step is Step.RESULT
