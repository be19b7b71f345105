"""What can happen to a job, and what follows from it: the values that go into `lifecycle` and come out."""

from __future__ import annotations

from typing import Any

import msgspec

from sumeasync.core.job import Job
from sumeasync.core.records import Record
from sumeasync.errors import SumeError
from sumeasync.models import JSON, JobView, Link, Media, Outcome

__all__ = [
    "Accepted",
    "Canceled",
    "Event",
    "Faulted",
    "Fetched",
    "Listed",
    "Placed",
    "Seen",
    "Stored",
    "Transition",
    "Turned",
    "Uploaded",
]


class Placed(msgspec.Struct, frozen=True, gc=False):
    """The server named a place to upload to."""

    presigned: Any


class Uploaded(msgspec.Struct, frozen=True, gc=False):
    """The file is at the storage, under this object key."""

    object_key: str

    def __repr__(self) -> str:
        return "<Uploaded>"


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """These jobs exist for the spec; `adopted` when found rather than answered."""

    job_ids: tuple[str, ...]
    adopted: bool = False


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The server told the job's state."""

    view: JobView


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """The result payload and the media links in it."""

    view: JobView
    result: JSON
    links: tuple[Link, ...] = ()

    def __repr__(self) -> str:
        return f"<Fetched {self.view.id}, {len(self.links)} links>"


class Stored(msgspec.Struct, frozen=True, gc=False):
    """Every media file of the job is whole on disk."""

    files: tuple[Media, ...]


class Canceled(msgspec.Struct, frozen=True, gc=False):
    """The server was asked to cancel the job, and will."""


class Faulted(msgspec.Struct, frozen=True, gc=False):
    """The step did not succeed; `files` is what a partly done SAVE has finished."""

    error: SumeError
    files: tuple[Media, ...] = ()


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One page of the job list: of many jobs, and of no step of theirs."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None


class Turned(msgspec.Struct, frozen=True, gc=False):
    """A page of the job list was read in search of a lost create, and the next is to be read."""


Event = Placed | Uploaded | Accepted | Turned | Seen | Fetched | Stored | Canceled | Faulted


class Transition(msgspec.Struct, gc=False):
    """What follows: `records` to journal, the job's next step in `delay` seconds, or its `outcome` (one of both).

    `siblings` are further jobs of the same spec, due like it. `stop` means: no more creates in this run, and why.
    """

    records: tuple[Record, ...] = ()
    delay: float = 0.0
    outcome: Outcome | None = None
    siblings: tuple[tuple[Job, float], ...] = ()
    stop: SumeError | None = None
