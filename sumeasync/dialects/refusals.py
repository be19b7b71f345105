"""The error answers, which the dialects share: which of our errors an HTTP status and a code stand for."""

from __future__ import annotations

from typing import Final

from sumeasync.core import redact
from sumeasync.dialects.reading import first_text, mapping, read_failure, read_retry_after
from sumeasync.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    CreditsError,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    ServerError,
)
from sumeasync.models import Failure, Lane, Response

__all__ = ["read_error"]

BY_STATUS: Final[dict[int, type[ApiError]]] = {
    401: AuthError,
    402: CreditsError,
    403: AuthError,
    404: NotFoundError,
    408: ServerError,
    409: NotReadyError,
    425: ServerError,
    429: RateLimitError,
}
# A code says more than the status of a 4xx: a 403 may mean credits, a 400 a rate.
BY_CODE: Final[dict[str, type[ApiError]]] = {
    "unauthorized": AuthError,
    "insufficient_credits": CreditsError,
    "not_found": NotFoundError,
    "job_not_completed": NotReadyError,
    "rate_limit_exceeded": RateLimitError,
}


def read_error(response: Response, lane: Lane = "read") -> ApiError | BadResponseError:
    """Choose the class by code, then by status; on a create, an id or a state is one more bad request."""
    status, body = response.status, mapping(response.body)
    if status < 400:
        return BadResponseError(f"an answer with status {status}", status=status)
    request_id = first_text(body, "request_id") or response.headers.get("x-sume-request-id")
    failure = read_failure(body, request_id) or redact.failure(Failure(first_text(body, "code") or "", "", request_id))
    kind = ServerError if status >= 500 else BY_CODE.get(failure.code.lower()) or BY_STATUS.get(status, BadRequestError)
    if lane == "create" and kind in (NotFoundError, NotReadyError):
        kind = BadRequestError
    return kind(
        failure.message or redact.text(first_text(body, "message", "detail") or ""),
        status=status,
        code=failure.code,
        request_id=failure.request_id,
        retry_after_seconds=read_retry_after(response.headers),
    )
