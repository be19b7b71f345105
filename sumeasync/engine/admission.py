"""What a spec means in the light of the journal: begin it, go on with it, or leave it."""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from sumeasync.core.endings import outcome_of
from sumeasync.core.history import History, JobFacts, SpecFacts
from sumeasync.core.job import Job, Product, Step
from sumeasync.core.keys import may_send_again
from sumeasync.core.lifecycle import Lifecycle
from sumeasync.core.reconcile import SETTLE_SECONDS, Search
from sumeasync.core.records import Created, Record, Unknown
from sumeasync.core.setbacks import may_begin_again
from sumeasync.core.settings import Settings
from sumeasync.core.specs import make_spec
from sumeasync.errors import ManifestError
from sumeasync.models import JSON, Failure, Outcome, Spec, Timings

__all__ = ["Admission", "Admitted"]


class Admitted(msgspec.Struct):
    """What follows from one spec: jobs with the seconds until their next step, outcomes known already, or nothing."""

    jobs: list[tuple[Job, float]] = []
    outcomes: list[tuple[Job, Outcome]] = []
    records: tuple[Record, ...] = ()
    skipped: bool = False


class Admission:
    """Compares each spec with what the journal remembers of its key.

    `failed` are the keys with an outcome of an earlier run that was no full success; `earlier_ok` tells whether none of
    them was admitted.
    """

    def __init__(self, history: History, lifecycle: Lifecycle, settings: Settings, failed: Container[str] = ()) -> None:
        self.earlier_ok = True
        self._failed = failed
        self._history = history
        self._lifecycle = lifecycle
        self._settings = settings
        self._keys: set[str] = set()
        self._ids: set[str] = set()
        self._both: set[str] = set()  # ids that are their own keys, as most are: kept once, there may be a million

    def admit(self, entry: Spec | Mapping[str, JSON], now: float, wall: float) -> Admitted:
        """Judge one entry. A spec that cannot be taken becomes a `rejected` outcome and touches nothing."""
        try:
            spec = make_spec(entry)
        except ManifestError as error:
            return _refuse(Spec(_key_of(entry)), "bad_spec", "; ".join(error.problems))
        if spec.key in self._keys or spec.key in self._both:
            return _refuse(spec, "duplicate_key", "the key stands for an earlier spec of this run; make it unique")
        if spec.job_id is not None and (spec.job_id in self._ids or spec.job_id in self._both):
            self._keys.add(spec.key)
            return _refuse(spec, "duplicate_job", "the job is watched under an earlier key of this run")
        if spec.key == spec.job_id:
            self._both.add(spec.key)
        else:
            self._keys.add(spec.key)
            self._ids.update((spec.job_id,) if spec.job_id is not None else ())
        if not self._settings.download and spec.download:
            spec = msgspec.structs.replace(spec, download=False)
        self.earlier_ok = self.earlier_ok and spec.key not in self._failed
        facts = self._history.spec(spec.key)
        return self._begin(spec, now, wall) if facts is None else self._continue(spec, facts, now, wall)

    def _begin(self, spec: Spec, now: float, wall: float) -> Admitted:
        records = (Created(spec.key, (spec.job_id,), wall, adopted=True),) if spec.job_id is not None else ()
        return Admitted([self._lifecycle.begin(spec, now)], records=records)

    def _continue(self, spec: Spec, facts: SpecFacts, now: float, wall: float) -> Admitted:
        if spec.job_id is not None and facts.phase != "created":  # the user settled which job a lost answer was about
            return self._begin(spec, now, wall)
        if _changed(spec, facts):
            text = "this key stood for other input in an earlier run here; restore the line or give it a new key"
            return _refuse(spec, "spec_changed", text)
        if facts.is_done:
            return Admitted(skipped=True)
        if facts.phase == "created":
            admitted = Admitted()
            for known in facts.jobs:
                if known.delivered is None:
                    self._resume(spec, facts, known, now, wall, admitted)
            return admitted
        if facts.phase == "rejected" and facts.error is not None and not may_begin_again(facts.error):
            job = Job(spec, Step.CREATE, born=now, type=spec.type)
            return Admitted(outcomes=[(job, Outcome(spec.key, None, spec.type, "rejected", error=facts.error))])
        if facts.phase != "rejected" and facts.idempotency_key and self._lifecycle.idempotent:
            return self._send_again(spec, facts, now, wall)
        if facts.phase == "rejected" or self._settings.recreate_unknown:
            return self._begin(spec, now, wall)
        return self._look_for(spec, facts, now, wall)

    def _look_for(self, spec: Spec, facts: SpecFacts, now: float, wall: float) -> Admitted:
        """A create whose answer was lost is looked for; when it was lost is on record, so that runs share patience."""
        records: tuple[Record, ...] = ()
        cause, lost_at = facts.error, facts.lost_at
        if facts.phase != "unknown":
            cause, lost_at = Failure("no_answer", "the run ended before the answer came"), wall
            records = (Unknown(spec.key, wall, cause),)
        search = Search(cause, lost_at, held=wall - lost_at < SETTLE_SECONDS)
        job = Job(spec, Step.RECONCILE, born=now, type=spec.type, intended_at=facts.at, carry=search)
        return Admitted([(job, 0.0)], records=records)

    def _send_again(self, spec: Spec, facts: SpecFacts, now: float, wall: float) -> Admitted:
        """A create whose answer was lost goes out again under its key, if that is not too old by then.

        Where an earlier run gave up on it, or would by now, the user may decide for a new try, under a new key: under
        the old one it might be refused for ever.
        """
        job, delay = self._lifecycle.begin(spec, now)
        job.doubtful, job.idempotency_key, job.intended_at = True, facts.idempotency_key, facts.at
        if self._settings.recreate_unknown and (facts.phase == "unknown" or not may_send_again(job, wall)):
            return self._begin(spec, now, wall)
        return Admitted([(job, delay)])

    def _resume(
        self, spec: Spec, facts: SpecFacts, known: JobFacts, now: float, wall: float, admitted: Admitted
    ) -> None:
        ended = known.ended
        job, delay = self._lifecycle.resume(spec, known.id, now, wall, ended.created_at if ended else facts.at)
        job.found = facts.adopted and spec.job_id is None
        if ended is None:
            admitted.jobs.append((job, delay))
            return
        job.status, job.polls, job.type = ended.status, ended.polls, ended.type or job.type
        job.detected_at, job.started_at = ended.at, ended.started_at
        if ended.status == "completed":
            job.step, job.carry = Step.RESULT, Product(known=known.saved.files if known.saved else ())
            admitted.jobs.append((job, 0.0))
            return
        timings = Timings(created=ended.created_at, started=ended.started_at, detected=ended.at)
        outcome = msgspec.structs.replace(outcome_of(job, ended.status, ended.error), timings=timings)
        admitted.outcomes.append((job, msgspec.structs.replace(outcome, polls=ended.polls)))


def _key_of(entry: object) -> str:
    key = entry.get("key") if isinstance(entry, Mapping) else getattr(entry, "key", None)
    return str(key or "")


def _changed(spec: Spec, facts: SpecFacts) -> bool:
    if spec.job_id is not None:
        return facts.job(spec.job_id) is None
    return bool(facts.payload_hash) and facts.payload_hash != spec.payload_hash


def _refuse(spec: Spec, code: str, message: str) -> Admitted:
    job = Job(spec, Step.CREATE, type=spec.type)
    return Admitted(outcomes=[(job, Outcome(spec.key, None, spec.type, "rejected", error=Failure(code, message)))])
