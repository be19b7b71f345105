"""Is it worth another try? The one place that judges a fault."""

from __future__ import annotations

from enum import Enum

from sumeasync.core.job import Step
from sumeasync.errors import (
    ApiError,
    AuthError,
    ConnectError,
    CreditsError,
    NotReadyError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    UsageError,
)
from sumeasync.models import Failure

__all__ = ["Verdict", "failure", "verdict"]


class Verdict(Enum):
    """What a fault means for the step it struck."""

    RETRY = "the same step again, later"
    REFUSED = "certainly not done, and asking again will not help"
    AMBIGUOUS = "a create that may or may not have happened"
    STOPPED = "refused for a reason that every further create shares"


def verdict(error: SumeError, step: Step) -> Verdict:
    """Judge one fault: the only place that decides whether something is worth another try."""
    if step in (Step.CREATE, Step.PRESIGN) and isinstance(error, AuthError | CreditsError):
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


def failure(error: SumeError) -> Failure:
    """An error as it is shown beside an outcome. The text is the server's: whoever shows it, sanitizes it."""
    if isinstance(error, ApiError):
        return Failure(error.code or f"http_{error.status}", str(error), error.request_id, error.status)
    name = type(error).__name__.removesuffix("Error")
    return Failure("".join("_" * (i > 0 and c.isupper()) + c.lower() for i, c in enumerate(name)), str(error))
