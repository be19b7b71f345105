"""A job under way: what the engine keeps of it, small enough to have a million."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, Final

import msgspec

from sumeasync.models import JSON, Failure, JobView, Lane, Link, Media, OutcomeStatus, Spec

__all__ = ["CREATE", "LANES", "NAMES", "NEVER", "POLL", "SWEEP", "Hint", "Job", "Product", "Step"]


class Step(IntEnum):
    """The next input or output of a job; the order is their urgency within a lane. A SWEEP asks about many at once."""

    RESULT = 0
    RECONCILE = 1
    PRESIGN = 2
    POLL = 3
    CREATE = 4
    SAVE = 5
    UPLOAD = 6
    CANCEL = 7
    SWEEP = 8


CREATE: Final = Step.CREATE
POLL: Final = Step.POLL
SWEEP: Final = Step.SWEEP
"""Named once more where every poll passes: a member of an enumeration takes several times longer to look up."""

LANES: tuple[Lane, ...] = ("read", "read", "read", "read", "create", "media", "media", "read", "read")
"""The lane each step is paid from, by its number."""

NEVER = -math.inf
"""The time of what has not happened."""

NAMES = tuple(step.name.lower() for step in Step)
"""What each step is called in counts and logs, by its number."""


class Hint(IntEnum):
    """What is suspected of a job before it is polled, and how the poll therefore asks."""

    NONE = 0
    """Nothing: its status is asked for."""
    COMPLETED = 1
    """It is likelier completed than not: its result is asked for, which saves a request when there is one."""
    ENDED = 2
    """It may have ended otherwise, or be said to be active wrongly: its status is asked for, at once."""


class Product(msgspec.Struct, eq=False):
    """What a finished job brought home so far: payload, its links, the files saved; `known` ones by an earlier run."""

    result: JSON = None
    links: tuple[Link, ...] = ()
    files: tuple[Media, ...] = ()
    known: tuple[Media, ...] = ()
    error: Failure | None = None

    def __repr__(self) -> str:
        return f"<Product, {len(self.files)} of {len(self.links)} files>"


class Job(msgspec.Struct, eq=False, gc=False):
    """One job (or a spec on its way to become one). Times are seconds on the engine's clock, `…_at` wall-clock.

    `born` is when it was created, or adopted at the age `aged`; `seen` when it was last shown active by anything,
    `asked` when by an answer of its own, `NEVER` at first for an adopted one. `faults` counts faults in a row of the
    present step, `size` is the bucket its duration is learned in (see `Durations`), `refreshes` the fresh links asked
    for. `carry` holds what the next step needs: the upload's `Presigned` or its object key before the create, a
    `Search` while it is looked for, a `Product` after completion. `doubtful` says that a try of the create may have got
    through, `found` that its job was found in a list, `idempotency_key` what every try is sent with, where the API
    takes one.
    """

    spec: Spec
    step: Step = Step.CREATE
    id: str | None = None
    ticket: int = 0
    born: float = 0.0
    aged: float = 0.0
    seen: float = NEVER
    asked: float = NEVER
    running_since: float | None = None
    intended_at: float | None = None
    idempotency_key: str | None = None
    doubtful: bool = False
    found: bool = False
    created_at: float | None = None
    started_at: float | None = None
    detected_at: float | None = None
    view: JobView | None = None
    status: OutcomeStatus | None = None
    type: str = ""
    size: str = ""
    polls: int = 0
    faults: int = 0
    refreshes: int = 0
    hint: Hint = Hint.NONE
    carry: Any = None

    def __repr__(self) -> str:
        return f"<Job {self.id or 'to be created'} {self.step.name.lower()} key={self.spec.key}>"
