"""A job under way: what the engine keeps of it, small enough to have a million."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from sumeasync.models import JSON, Failure, JobView, Lane, Link, Media, OutcomeStatus, Spec

__all__ = ["LANES", "NAMES", "Job", "Product", "Step"]


class Step(IntEnum):
    """The next input or output of a job; the order is their urgency within a lane."""

    RESULT = 0
    RECONCILE = 1
    PRESIGN = 2
    POLL = 3
    CREATE = 4
    SAVE = 5
    UPLOAD = 6


LANES: tuple[Lane, ...] = ("read", "read", "read", "read", "create", "media", "media")
"""The lane each step is paid from, by its number."""

NAMES = tuple(step.name.lower() for step in Step)
"""What each step is called in counts and logs, by its number."""


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

    `faults` counts faults in a row of the present step, `refreshes` the fresh links asked for. `carry` holds what the
    next step needs: the upload's `Presigned` or its object key before the create, a `Product` after completion.
    """

    spec: Spec
    step: Step = Step.CREATE
    id: str | None = None
    ticket: int = 0
    born: float = 0.0
    intended_at: float | None = None
    created_at: float | None = None
    running_since: float | None = None
    started_at: float | None = None
    alive_at: float | None = None
    detected_at: float | None = None
    view: JobView | None = None
    status: OutcomeStatus | None = None
    type: str = ""
    polls: int = 0
    faults: int = 0
    refreshes: int = 0
    carry: Any = None

    def __repr__(self) -> str:
        return f"<Job {self.id or 'to be created'} {self.step.name.lower()} key={self.spec.key}>"
