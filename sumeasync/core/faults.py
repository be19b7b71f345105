"""Is it worth another try? The one place that judges a fault."""

from __future__ import annotations

from enum import Enum

from sumeasync.core import redact
from sumeasync.core.job import Step
from sumeasync.errors import (
    ApiError,
    AuthError,
    ConnectError,
    CreditsError,
    DiskFullError,
    NotReadyError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    UsageError,
)
from sumeasync.models import Failure

__all__ = ["Verdict", "asked_seconds", "failure", "verdict"]


class Verdict(Enum):
    """What a fault means for the step it struck."""

    RETRY = "the same step again, later"
    REFUSED = "certainly not done, and asking again will not help"
    AMBIGUOUS = "a create that may or may not have happened"
    STOPPED = "refused for a reason that every further create shares"


def verdict(error: SumeError, step: Step) -> Verdict:
    """Judge one fault: the only place that decides whether something is worth another try."""
    if step in (Step.CREATE, Step.PRESIGN) and isinstance(error, AuthError | CreditsError | DiskFullError):
        return Verdict.STOPPED
    if step is Step.CREATE:
        if isinstance(error, ConnectError | RateLimitError):
            return Verdict.RETRY
        if isinstance(error, ServerError) or not isinstance(error, ApiError | RefusedError | UsageError):
            return Verdict.AMBIGUOUS
        return Verdict.REFUSED
    if isinstance(error, NotReadyError | RateLimitError | ServerError):
        return Verdict.RETRY
    return Verdict.REFUSED if isinstance(error, ApiError | RefusedError | UsageError) else Verdict.RETRY


def asked_seconds(error: SumeError) -> float:
    """How long the server asks to wait before the next try; 0 when it does not."""
    return error.retry_after_seconds or 0.0 if isinstance(error, ApiError) else 0.0


def failure(error: SumeError) -> Failure:
    """An error as it is kept and shown beside an outcome, sanitized: its text may be the server's."""
    if isinstance(error, ApiError):
        code = error.code or f"http_{error.status}"
        return redact.failure(Failure(code, str(error), error.request_id, error.status))
    name = type(error).__name__.removesuffix("Error")
    code = "".join("_" * (i > 0 and c.isupper()) + c.lower() for i, c in enumerate(name))
    return redact.failure(Failure(code, str(error)))
