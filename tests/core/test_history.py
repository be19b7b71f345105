"""What the fold over the journal remembers, forgets and counts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.history import History, SpecFacts
from sumeasync.core.records import Created, Delivered, Ended, Intent, Record, Rejected, Saved, Unknown
from sumeasync.models import Failure, Media

REFUSED = Failure("insufficient_credits")
INTENT = Intent("k", "video_generation", "hash", 1.0, "idem")
CREATED = Created("k", ("j1", "j2"), 2.0)
REJECTED = Rejected("k", 2.0, REFUSED)
UNKNOWN = Unknown("k", 2.0, Failure("timeout"))
ENDED = Ended("k", "j1", "completed", 3.0, polls=4)
SAVED = Saved("k", "j1", 4.0, (Media("media/k/j1.mp4", 1, "00", "video/mp4"),))


def done(job_id: str | None, status: str = "completed") -> Delivered:
    """The record that an outcome line is durable."""
    return msgspec.convert({"t": "delivered", "key": "k", "at": 5.0, "status": status, "job_id": job_id}, Delivered)


def fold(*records: Record) -> History:
    """The history of these records."""
    history = History()
    for record in records:
        history.apply(record)
    return history


def facts(records: Iterable[Record]) -> SpecFacts:
    """What these records say of the spec ``k``."""
    spec = fold(*records).spec("k")
    assert spec is not None
    return spec


@pytest.mark.parametrize(
    ("records", "phase"),
    [
        ([INTENT], "intended"),
        ([INTENT, CREATED], "created"),
        ([INTENT, REJECTED], "rejected"),
        ([INTENT, UNKNOWN], "unknown"),
        ([CREATED], "created"),
        ([INTENT, UNKNOWN, CREATED], "created"),
        ([INTENT, UNKNOWN, REJECTED], "rejected"),
        ([INTENT, REJECTED, UNKNOWN], "rejected"),
        ([INTENT, REJECTED, INTENT], "intended"),
        ([INTENT, UNKNOWN, INTENT], "intended"),
        ([INTENT, CREATED, INTENT], "created"),
        ([INTENT, CREATED, REJECTED], "created"),
        ([INTENT, CREATED, UNKNOWN], "created"),
        ([INTENT, ENDED], "created"),
        ([INTENT, SAVED], "created"),
        ([INTENT, done("j1")], "created"),
        ([REJECTED], "rejected"),
        ([UNKNOWN], "unknown"),
        ([done(None, "rejected")], "rejected"),
        ([done(None, "unknown")], "unknown"),
        ([INTENT, done(None, "rejected")], "intended"),
    ],
)
def test_phases(records: list[Record], phase: str) -> None:
    """The legal orders, and what becomes of the others: a create that was answered is never forgotten."""
    assert facts(records).phase == phase


@pytest.mark.parametrize(
    ("records", "is_done"),
    [
        ([], False),
        ([INTENT], False),
        ([INTENT, CREATED], False),
        ([INTENT, CREATED, done("j1")], False),
        ([INTENT, CREATED, done("j1"), done("j2")], True),
        ([INTENT, CREATED, done(None)], False),
        ([INTENT, REJECTED], False),
        ([INTENT, REJECTED, done(None, "rejected")], True),
        ([INTENT, UNKNOWN, done(None, "unknown")], True),
        ([INTENT, done(None, "unknown")], False),
        ([INTENT, UNKNOWN, done(None, "unknown"), INTENT], False),
        ([INTENT, UNKNOWN, done(None, "unknown"), CREATED], False),
        ([Created("k", (), 1.0)], False),
    ],
)
def test_a_spec_is_done_when_every_outcome_is_delivered(records: list[Record], is_done: bool) -> None:
    """Several jobs owe several outcomes; a new attempt owes a new one."""
    history = fold(*records)
    assert history.is_done("k") is is_done
    assert [spec.key for spec in history.unfinished()] == (["k"] if records and not is_done else [])


@pytest.mark.parametrize(
    ("records", "begun"),
    [([INTENT], True), ([INTENT, UNKNOWN], True), ([INTENT, CREATED], True), ([INTENT, REJECTED], False)],
)
def test_what_is_begun_may_be_at_the_server(records: list[Record], begun: bool) -> None:
    """A create without an answer and jobs under way are begun; what was refused for certain is not."""
    assert [spec.key for spec in fold(*records).begun()] == (["k"] if begun else [])


def test_an_intent_is_remembered_whole() -> None:
    """What a resumed create must send again, and compare, is there."""
    spec = facts([INTENT])
    assert (spec.type, spec.payload_hash, spec.idempotency_key) == ("video_generation", "hash", "idem")
    assert spec.at == 1.0


def test_a_key_is_as_old_as_its_first_intent() -> None:
    """A create that is sent again under its key keeps the time of the first try; one with another key does not."""
    again = msgspec.structs.replace(INTENT, at=7.0)
    assert facts([INTENT, again]).at == 1.0
    assert facts([INTENT, UNKNOWN, again, REJECTED, again]).at == 1.0
    assert facts([INTENT, REJECTED, msgspec.structs.replace(again, idempotency_key="other")]).at == 7.0
    unkeyed = msgspec.structs.replace(INTENT, idempotency_key=None)
    assert facts([unkeyed, msgspec.structs.replace(unkeyed, at=7.0)]).at == 7.0


def test_job_ids_join_once_in_order() -> None:
    """A repeated or partly new answer adds only what is new."""
    spec = facts([INTENT, CREATED, CREATED, Created("k", ("j2", "j3", "j3"), 9.0)])
    assert [job.id for job in spec.jobs] == ["j1", "j2", "j3"]
    assert spec.at == 2.0


def test_an_adopted_job_keeps_what_is_known() -> None:
    """An adoption says where the ids come from, and blanks nothing."""
    spec = facts([INTENT, Created("k", ("j1",), 2.0, adopted=True), CREATED])
    assert spec.adopted
    assert (spec.type, spec.payload_hash) == ("video_generation", "hash")


def test_the_first_end_wins() -> None:
    """A job that is terminal stays what it first was."""
    job = facts([CREATED, ENDED, msgspec.structs.replace(ENDED, status="failed")]).job("j1")
    assert job is not None
    assert job.ended == ENDED


def test_the_last_files_count() -> None:
    """Media that was saved again stands where the later record says."""
    job = facts([CREATED, ENDED, msgspec.structs.replace(SAVED, files=()), SAVED]).job("j1")
    assert job is not None
    assert job.saved == SAVED


def test_a_delivered_job_is_only_its_status() -> None:
    """Details go once nothing needs them, late records change nothing, and the first delivery wins."""
    job = facts([CREATED, ENDED, SAVED, done("j1", "failed"), ENDED, SAVED, done("j1")]).job("j1")
    assert job is not None
    assert (job.ended, job.saved, job.delivered) == (None, None, "failed")


def test_the_refusal_is_kept_until_the_next_attempt() -> None:
    """Why a create was refused can be reported after a restart, and is forgotten with a new intent."""
    assert facts([INTENT, REJECTED, done(None, "rejected")]).error == REFUSED
    again = facts([INTENT, REJECTED, done(None, "rejected"), INTENT])
    assert (again.error, again.delivered) == (None, None)


def test_counts() -> None:
    """A status page: specs by phase, jobs by status, outcomes delivered."""
    other = [msgspec.structs.replace(record, key="r") for record in (INTENT, REJECTED, done(None, "rejected"))]
    counts = fold(INTENT, CREATED, Created("k", ("j3",), 2.0), ENDED, done("j2", "failed"), *other).counts()
    assert counts.specs == {"created": 1, "rejected": 1}
    assert counts.jobs == {"completed": 1, "failed": 1, "running": 1}
    assert counts.delivered == 2


def test_the_unknown_spec() -> None:
    """A key the journal never heard of, and a job no spec has, are None."""
    assert fold(INTENT).spec("other") is None
    assert facts([CREATED]).job("other") is None


@pytest.mark.parametrize(
    ("records", "job_id", "delivered"),
    [
        ([], None, False),
        ([], "j1", False),
        ([CREATED], "j1", False),
        ([CREATED, done("j1")], "j1", True),
        ([CREATED, done("j1")], "j2", False),
        ([CREATED, done("j1")], "other", False),
        ([CREATED, done("j1")], None, False),
        ([INTENT, REJECTED, done(None, "rejected")], None, True),
        ([INTENT, REJECTED, done(None, "rejected")], "j1", False),
    ],
)
def test_an_outcome_is_delivered_or_not(records: list[Record], job_id: str | None, delivered: bool) -> None:
    """Each job is asked after by itself, and a spec that never became one by None."""
    assert fold(*records).is_delivered("k", job_id) is delivered


def test_every_outcome_that_is_delivered() -> None:
    """Outcomes are told by key and job id, without one where no job was; what is still owed is not."""
    refused = [msgspec.structs.replace(one, key="a") for one in (INTENT, REJECTED, done(None, "rejected"))]
    assert [*fold(INTENT, CREATED, done("j2"), *refused).delivered()] == [("k", "j2"), ("a", None)]


def test_all_specs_in_order() -> None:
    """Every spec is walked, done or not, in the order the journal first heard of it."""
    other = msgspec.structs.replace(INTENT, key="a")
    history = fold(INTENT, other, CREATED, done("j1"), done("j2"))
    assert [spec.key for spec in history.all()] == ["k", "a"]


@pytest.mark.parametrize(
    "records",
    [
        [INTENT],
        [INTENT, REJECTED, done(None, "rejected")],
        [INTENT, UNKNOWN],
        [CREATED, ENDED, SAVED],
        [Created("k", ("j1",), 1.0), done("j1")],
    ],
)
def test_a_snapshot_repeats_only_what_counts(records: list[Record]) -> None:
    """Where nothing is void the snapshot tells as many facts as the journal did."""
    assert len(list(fold(*records).snapshot_records())) == len(records)


def test_it_shows_its_size() -> None:
    """The history says how many specs it holds, from how many records."""
    history = fold(INTENT, CREATED)
    assert len(history) == 1
    assert repr(history) == "History(1 specs from 2 records)"


keys = st.sampled_from(["k", "l"])
jobs = st.sampled_from(["j1", "j2", "j3"])
times = st.sampled_from([1.0, 2.0])
statuses = st.sampled_from(["completed", "failed", "timed_out", "rejected", "unknown"])
failures = st.builds(Failure, st.sampled_from(["a", "b"]))
records = st.one_of(
    st.builds(
        Intent, keys, st.sampled_from(["", "t"]), st.sampled_from(["h", "i"]), times, st.none() | st.just("idem")
    ),
    st.builds(Created, keys, st.lists(jobs, max_size=2).map(tuple), times, adopted=st.booleans()),
    st.builds(Rejected, keys, times, failures),
    st.builds(Unknown, keys, times, failures),
    st.builds(Ended, keys, jobs, statuses, times),
    st.builds(Saved, keys, jobs, times),
    st.builds(Delivered, keys, times, statuses, st.none() | jobs),
)
sequences = st.lists(records, max_size=14)


def state(history: History) -> list[SpecFacts | None]:
    """Everything a history answers."""
    return [history.spec(key) for key in ("k", "l")]


@given(sequences)
def test_a_snapshot_means_the_same(given_records: list[Record]) -> None:
    """After any records, legal or not, the snapshot folds to the same history."""
    history = fold(*given_records)
    again = fold(*history.snapshot_records())
    assert state(again) == state(history)
    assert again.counts() == history.counts()


@given(sequences, records)
def test_a_record_written_twice_says_nothing_new(given_records: list[Record], record: Record) -> None:
    """Replaying the same record at once again changes no answer."""
    assert state(fold(*given_records, record)) == state(fold(*given_records, record, record))


@given(sequences)
def test_no_job_and_no_delivery_is_ever_forgotten(given_records: list[Record]) -> None:
    """Whatever follows, a job once known stays known, and once delivered stays delivered."""
    seen: set[tuple[str, str]] = set()
    delivered: set[tuple[str, str]] = set()
    for record in given_records:
        seen |= {(record.key, job) for job in getattr(record, "job_ids", ())}
        if isinstance(record, Delivered) and record.job_id is not None:
            delivered.add((record.key, record.job_id))
    history = fold(*given_records)
    found = {(key, job.id): job for key in ("k", "l") if (spec := history.spec(key)) for job in spec.jobs}
    assert seen <= found.keys()
    assert all(found[job].delivered for job in delivered)
