"""The simulated service as one pure object: no loop, no wall clock, one seeded source of chance.

Every method that depends on the time takes `now`, seconds since the world began; the world's time never goes back.
The same seed and the same calls give the same world.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from random import Random

from sumeasync.errors import CreditsError, NotFoundError
from sumeasync.simulator.credits import Balance, Credits
from sumeasync.simulator.faults import Faults, Rule
from sumeasync.simulator.jobs import Job, Origin, Slots, State, draw_fate, job_id
from sumeasync.simulator.ledger import Ledger
from sumeasync.simulator.limits import RateLimits
from sumeasync.simulator.listing import page
from sumeasync.simulator.samples import Sample, sample
from sumeasync.simulator.settings import WorldSettings
from sumeasync.simulator.signing import Signer
from sumeasync.simulator.uploads import Uploads

__all__ = ["World"]


class World:
    """Jobs, credits, limits, storage and faults of one workspace.

    Args:
        settings: what the service is like.
        seed: decides every duration, fate and id.
        rules: scripted faults, see `faults.Rule`.
    """

    def __init__(self, settings: WorldSettings | None = None, *, seed: int = 0, rules: Iterable[Rule] = ()) -> None:
        self.settings = settings or WorldSettings()
        self.seed = seed
        self.rng = Random(seed)
        self.now = 0.0
        self.jobs: list[Job] = []
        self.ledger = Ledger()
        self.limits = RateLimits(self.settings.limits)
        self.faults = Faults(rules, Random(f"faults {seed}"))  # apart, so that faults do not change the jobs
        self.signer = Signer(f"signing-secret-{seed}")
        self.uploads = Uploads()
        self.credits = Credits(self.settings.credits)
        self.keys: dict[str, tuple[str, Job]] = {}  # by idempotency key: the body's hash, and what it started
        self._slots = Slots(self.settings.concurrency)
        self._salt = self.rng.getrandbits(64)
        self._by_id: dict[str, Job] = {}
        self._request_numbers = itertools.count(1)
        self._foreign_at = self.settings.foreign_every_seconds

    def __repr__(self) -> str:
        return f"<World seed={self.seed} now={self.now:.3f} jobs={len(self.jobs)} faults={sum(self.faults.fired)}>"

    def advance(self, now: float) -> float:
        """Move the time on, and with it what others do with the same key; returns the world's time."""
        self.now = max(self.now, now)
        every = self.settings.foreign_every_seconds
        while every is not None and self._foreign_at is not None and self._foreign_at <= self.now:
            self._create_foreign(self._foreign_at)
            self._foreign_at += every
        return self.now

    def create(self, kind: str, details: Sequence[str], now: float, *, origin: Origin = "api") -> list[Job]:
        """Start one job of type `kind` for each detail, or none: raises `CreditsError` (402)."""
        credits = self.settings.of(kind).credits
        self.credits.require(credits * len(details), now)
        jobs = [self._add(kind, now, origin) for _ in details]
        for job, detail in zip(jobs, details, strict=True):
            job.detail = detail
            job.credits = credits
            self.credits.reserve(job)
        return jobs

    def preload(self, count: int, *, type: str = "video_generation", spread_seconds: float = 0.0) -> list[Job]:
        """Add jobs that exist already, paid for before; the oldest was created `spread_seconds` ago."""
        step = spread_seconds / count if count else 0.0
        oldest = self.now - spread_seconds
        return [self._add(type, oldest + step * index, "preload") for index in range(count)]

    def adopt(self, id: str, *, type: str, age_seconds: float = 0.0) -> Job:
        """Add one job of this id that exists already, paid for before, created so long ago."""
        return self._add(type, self.now - age_seconds, "preload", id)

    def find(self, id: str) -> Job:
        """Return a job by id, or raise `NotFoundError` (404)."""
        job = self._by_id.get(id)
        if job is None:
            raise NotFoundError("no such job", status=404, code="not_found")
        return job

    def state_of(self, id: str | None, now: float) -> State | None:
        """Return the state of a job; None when there is no such job."""
        job = self._by_id.get(id) if id else None
        return job.state(now) if job else None

    def page(
        self, now: float, *, limit: int, cursor: str | None = None, type: str | None = None, status: str | None = None
    ) -> tuple[list[Job], str | None]:
        """Return one page of the job list and the next cursor. `status` is compared as spelled, without case."""
        seen_at = now - self.settings.list_lag_seconds
        words = {state: getattr(self.settings.words, state).lower() for state in self.settings.words.__struct_fields__}
        wanted = None if status is None else {state for state, word in words.items() if word == status.lower()}

        def keep(job: Job) -> bool:
            return (
                job.created_at <= seen_at
                and (type is None or job.type == type)
                and (wanted is None or job.state(seen_at) in wanted)
            )

        return page(self.jobs, keep, order=self.settings.list_order, cursor=cursor, limit=limit)

    def balance(self, now: float) -> Balance:
        """Return where the credits are at `now`."""
        return self.credits.settle(now)

    def media(self, job: Job) -> Sample | None:
        """Return the file the job produces; None when its type has none."""
        kind = self.settings.of(job.type)
        return sample(kind.media, job.id, seed=self.seed, size=kind.media_bytes) if kind.media else None

    def thumbnail(self, job: Job) -> Sample:
        """Return the small picture that stands for the job's output."""
        return sample("png", f"{job.id}/thumbnail", seed=self.seed)

    def request_id(self) -> str:
        """Return a fresh request id."""
        return f"req_{self.seed:x}_{next(self._request_numbers):x}"

    def _add(self, kind: str, now: float, origin: Origin, id: str | None = None) -> Job:
        settings = self.settings.of(kind)
        fate, part = draw_fate(settings, self.rng)
        ready_at = now + settings.queue.draw(self.rng)
        started_at, ended_at = self._slots.place(ready_at, part * settings.run.draw(self.rng))
        seq = len(self.jobs)
        job = Job(seq, id or self._fresh_id(seq), kind, (now, started_at, ended_at), fate)
        job.origin = origin
        self.jobs.append(job)
        self._by_id[job.id] = job
        return job

    def _fresh_id(self, seq: int) -> str:
        id = job_id(seq, self._salt)
        while id in self._by_id:  # adopted from a world of the same seed
            seq += 1 << 32
            id = job_id(seq, self._salt)
        return id

    def _create_foreign(self, now: float) -> None:
        try:
            self.create(self.settings.foreign_type, ("",), now, origin="foreign")
        except CreditsError:
            return  # others are refused as well; nobody here hears of it
