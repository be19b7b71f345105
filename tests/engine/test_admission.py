"""What a spec means in the light of the journal."""

from __future__ import annotations

from collections.abc import Container
from random import Random

import msgspec
import pytest

from sumeasync.core.history import History
from sumeasync.core.job import Step
from sumeasync.core.lifecycle import Lifecycle
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.records import Created, Delivered, Ended, Intent, Record, Rejected, Unknown
from sumeasync.core.settings import Settings
from sumeasync.core.specs import make_spec
from sumeasync.engine.admission import Admission, Admitted
from sumeasync.models import JSON, Failure

IMAGE: JSON = {"key": "k", "type": "image_generation", "input": {"prompt": "p"}}
HASH = make_spec(IMAGE).payload_hash
INTENT = Intent("k", "image_generation", HASH, 1.0)
CREATED = Created("k", ("job_1", "job_2"), 2.0, "image_generation", HASH)


def admission(
    *records: Record,
    settings: Settings = Settings(),  # noqa: B008  # a frozen value
    idempotent: bool = False,
    failed: Container[str] = (),
) -> Admission:
    """An admission that remembers these records."""
    history = History()
    for record in records:
        history.apply(record)
    return Admission(
        history,
        Lifecycle(Pacer(settings.policies(), Random(1)), Random(1), save_attempts=3, idempotent=idempotent),
        settings,
        failed,
    )


def admit(*records: Record, entry: JSON = IMAGE, settings: Settings = Settings()) -> Admitted:  # noqa: B008  # frozen
    """Judge one entry."""
    return admission(*records, settings=settings).admit(entry, 100.0, 1000.0)


def codes(admitted: Admitted) -> list[str]:
    """The codes of what was refused."""
    return [outcome.error.code for _, outcome in admitted.outcomes if outcome.error is not None]


REFUSED = Rejected("k", 2.0, Failure("bad_request", "no", http_status=400))
WAITING = Rejected("k", 2.0, Failure("insufficient_credits", "no", http_status=402))


@pytest.mark.parametrize(
    ("records", "steps"),
    [
        ((), [Step.CREATE]),
        ((INTENT,), [Step.RECONCILE]),
        ((INTENT, Unknown("k", 2.0, Failure("no_answer"))), [Step.RECONCILE]),
        ((INTENT, CREATED), [Step.POLL, Step.POLL]),
        ((INTENT, CREATED, Ended("k", "job_1", "completed", 3.0)), [Step.RESULT, Step.POLL]),
        ((INTENT, CREATED, Delivered("k", 4.0, "completed", "job_1")), [Step.POLL]),
        ((INTENT, WAITING), [Step.CREATE]),
        ((INTENT, REFUSED), []),
    ],
    ids=["new", "intended", "unknown", "created", "one-ended", "one-delivered", "no-credits", "refused"],
)
def test_goes_on_where_it_stopped(records: tuple[Record, ...], steps: list[Step]) -> None:
    """A spec goes on with the step its records lead to, one job for each that is not delivered."""
    assert [job.step for job, _ in admit(*records).jobs] == steps


def test_a_lost_answer_is_recorded_once() -> None:
    """Since when the answer is lost is on record from the first run that looks; other creates wait only at first."""
    admitted = admit(INTENT)
    ((job, _),) = admitted.jobs
    (record,) = admitted.records
    assert isinstance(record, Unknown)
    assert (record.at, job.carry.lost_at, job.carry.held) == (1000.0, 1000.0, True)
    later = admit(INTENT, msgspec.structs.replace(record, at=900.0))
    ((job, _),) = later.jobs
    assert (later.records, job.carry.lost_at, job.carry.held) == ((), 900.0, False)


def test_what_was_found_stays_marked() -> None:
    """A job found in the job list by an earlier run is marked in its outcome; one named by its id is not."""
    found = msgspec.structs.replace(CREATED, adopted=True)
    ended = (Ended("k", "job_1", "failed", 3.0), Ended("k", "job_2", "failed", 3.0))
    assert [one.found for _, one in admit(INTENT, found, *ended).outcomes] == [True, True]
    assert [one.found for _, one in admit(INTENT, CREATED, *ended).outcomes] == [msgspec.UNSET] * 2
    named = admit(found, *ended, entry={"key": "k", "job_id": "job_1"})
    assert [one.found for _, one in named.outcomes] == [msgspec.UNSET] * 2


def test_recreate_unknown() -> None:
    """Only when told to, a create that may have been paid begins again."""
    admitted = admit(INTENT, settings=Settings(recreate_unknown=True))
    assert [job.step for job, _ in admitted.jobs] == [Step.CREATE]


KEYED = msgspec.structs.replace(INTENT, at=900.0, idempotency_key="old")
LOST = Unknown("k", 950.0, Failure("no_answer"))


@pytest.mark.parametrize(
    ("records", "recreate", "key"),
    [
        ((KEYED,), False, "old"),
        ((KEYED,), True, "old"),
        ((KEYED, LOST), False, "old"),
        ((KEYED, LOST), True, None),
        ((KEYED, LOST, KEYED), True, "old"),
        ((msgspec.structs.replace(KEYED, at=-90_000.0),), False, "old"),
        ((msgspec.structs.replace(KEYED, at=-90_000.0),), True, None),
    ],
    ids=["cut", "cut-recreate", "lost", "lost-recreate", "sent-again-and-cut", "old", "old-recreate"],
)
def test_a_create_with_a_key(records: tuple[Record, ...], recreate: bool, key: str | None) -> None:
    """A create without an answer goes out under its key, and under a new one where the user so decided."""
    gate = admission(*records, settings=Settings(recreate_unknown=recreate), idempotent=True)
    ((job, _),) = gate.admit(IMAGE, 100.0, 1000.0).jobs
    assert (job.step, job.idempotency_key, job.doubtful) == (Step.CREATE, key, key is not None)


@pytest.mark.parametrize(
    ("failed", "records", "ok"),
    [
        ((), (), True),
        ({"k"}, (CREATED, Delivered("k", 3.0, "failed", "job_1")), False),
        ({"k"}, (CREATED, Delivered("k", 3.0, "failed", "job_1"), Delivered("k", 3.0, "completed", "job_2")), False),
        ({"other"}, (CREATED, Delivered("other", 3.0, "failed", "job_9")), True),
    ],
    ids=["nothing", "half", "done", "another"],
)
def test_what_failed_earlier_counts_where_it_is_asked_for(
    failed: Container[str], records: tuple[Record, ...], ok: bool
) -> None:
    """An earlier failure stays one for whoever asks for that spec again, done or not, and is nothing to the others."""
    gate = admission(*records, failed=failed)
    for number in range(2):
        gate.admit({**IMAGE, "key": "k" if number == 0 else "new"}, 100.0, 1000.0)
    assert gate.earlier_ok is ok


def test_done_is_skipped() -> None:
    """A spec whose every outcome is delivered is skipped."""
    records = (CREATED, Delivered("k", 3.0, "failed", "job_1"), Delivered("k", 3.0, "completed", "job_2"))
    assert admit(INTENT, *records).skipped


def test_refused_is_told_again() -> None:
    """A refusal that no line tells of yet is an outcome, and nothing is sent."""
    admitted = admit(INTENT, REFUSED)
    assert (codes(admitted), admitted.jobs) == (["bad_request"], [])


def test_failed_earlier_is_told() -> None:
    """A job that ended badly without a line is an outcome with the reason that was recorded."""
    ended = Ended("k", "job_1", "failed", 3.0, error=Failure("nsfw", "no"), polls=4)
    ((_, outcome),) = admit(INTENT, CREATED, ended).outcomes
    assert (outcome.job_id, outcome.status, outcome.polls) == ("job_1", "failed", 4)


def test_changed_spec() -> None:
    """A key that stood for other input is refused, whatever the state of its job."""
    changed = {**IMAGE, "input": {"prompt": "other"}}
    for records in ((INTENT,), (INTENT, CREATED), (INTENT, WAITING)):
        assert codes(admit(*records, entry=changed)) == ["spec_changed"]


def test_order_of_fields_is_no_change() -> None:
    """The same input in another order is the same spec."""
    entry = {"input": {"b": 1, "prompt": "p"}, "type": "image_generation", "key": "k"}
    first = make_spec({"key": "k", "type": "image_generation", "input": {"prompt": "p", "b": 1}})
    assert codes(admit(Intent("k", "image_generation", first.payload_hash, 1.0), entry=entry)) == []


def test_duplicates() -> None:
    """A key, and a job watched by its id, is taken once a run."""
    gate = admission()
    entries: list[JSON] = [IMAGE, IMAGE, {"key": "a", "job_id": "job_9"}, {"key": "b", "job_id": "job_9"}]
    found = [codes(gate.admit(entry, 0.0, 0.0)) for entry in entries]
    assert found == [[], ["duplicate_key"], [], ["duplicate_job"]]


def test_duplicates_of_ids_that_are_keys() -> None:
    """A job whose key is its id is taken once too, whichever line comes first."""
    gate = admission()
    plain, named, other = {"job_id": "job_1"}, {"key": "a", "job_id": "job_1"}, {"key": "b", "job_id": "job_2"}
    entries: list[JSON] = [plain, plain, named, other, {"job_id": "job_2"}, {"key": "job_3", "job_id": "job_4"}]
    found = [codes(gate.admit(entry, 0.0, 0.0)) for entry in entries]
    assert found == [[], ["duplicate_key"], ["duplicate_job"], [], ["duplicate_job"], []]
    assert codes(gate.admit({"job_id": "job_3"}, 0.0, 0.0)) == ["duplicate_key"]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"type": "image_generation"},
        {"type": "nonsense", "input": {}},
        {"key": 7},
        {"input": 3},
        {"kee": "x"},
        {"key": "k", "type": "image_generation", "input": {"prompt": "p", "x": {1, 2}}},
        None,
        "text",
        [1],
        7,
    ],
    ids=repr,
)
def test_bad_spec(entry: JSON) -> None:
    """What is no spec at all is refused by itself, and disturbs no other."""
    admitted = admit(entry=entry)
    assert (codes(admitted), admitted.jobs, admitted.records) == (["bad_spec"], [], ())


def test_adopted_job_is_recorded() -> None:
    """A job that is only watched is recorded as the spec's, so that the next run knows it."""
    admitted = admit(entry={"key": "a", "job_id": "job_9"})
    assert admitted.records == (Created("a", ("job_9",), 1000.0, adopted=True),)


def test_a_found_job_settles_an_unknown_create() -> None:
    """The id of a job that the user found, under the key of a lost answer, is adopted: no other key is needed."""
    lost = (Intent("a", "image_generation", "h", 1.0), Unknown("a", 2.0, Failure("no_answer")))
    admitted = admit(*lost, entry={"key": "a", "job_id": "job_9"})
    assert [job.id for job, _ in admitted.jobs] == ["job_9"]
    assert admitted.records == (Created("a", ("job_9",), 1000.0, adopted=True),)
