"""Which fault means what for which step, and how it is shown."""

from __future__ import annotations

import pytest

from sumeasync.core.faults import Verdict, asked_seconds, failure, verdict
from sumeasync.core.job import Step
from sumeasync.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectError,
    CreditsError,
    LinkExpiredError,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    TransportError,
    UsageError,
)
from sumeasync.models import Failure

RETRY, REFUSED, AMBIGUOUS, STOPPED = Verdict.RETRY, Verdict.REFUSED, Verdict.AMBIGUOUS, Verdict.STOPPED


@pytest.mark.parametrize(
    ("error", "create", "presign", "other"),
    [
        (ConnectError(), RETRY, RETRY, RETRY),
        (TransportError(), AMBIGUOUS, RETRY, RETRY),
        (LinkExpiredError(), AMBIGUOUS, RETRY, RETRY),
        (BadResponseError(), AMBIGUOUS, RETRY, RETRY),
        (SumeError(), AMBIGUOUS, RETRY, RETRY),
        (ServerError(status=500), AMBIGUOUS, RETRY, RETRY),
        (RateLimitError(status=429), RETRY, RETRY, RETRY),
        (NotReadyError(status=409), REFUSED, RETRY, RETRY),
        (AuthError(status=401), STOPPED, STOPPED, REFUSED),
        (AuthError(status=403), STOPPED, STOPPED, REFUSED),
        (CreditsError(status=402), STOPPED, STOPPED, REFUSED),
        (BadRequestError(status=400), REFUSED, REFUSED, REFUSED),
        (NotFoundError(status=404), REFUSED, REFUSED, REFUSED),
        (ApiError(status=418), REFUSED, REFUSED, REFUSED),
        (RefusedError(), REFUSED, REFUSED, REFUSED),
        (UsageError(), REFUSED, REFUSED, REFUSED),
    ],
)
def test_verdicts(error: SumeError, create: Verdict, presign: Verdict, other: Verdict) -> None:
    """A create is retried only when nothing was started for certain; what every further create shares stops all."""
    assert verdict(error, Step.CREATE) is create
    assert verdict(error, Step.PRESIGN) is presign
    for step in set(Step) - {Step.CREATE, Step.PRESIGN}:
        assert verdict(error, step) is other


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (BadRequestError("no", status=400, code="bad", request_id="req_1"), Failure("bad", "no", "req_1", 400)),
        (ServerError("oops", status=502), Failure("http_502", "oops", None, 502)),
        (ConnectError("no way"), Failure("connect", "no way")),
        (BadResponseError("what?", status=200), Failure("bad_response", "what?")),
        (LinkExpiredError("old"), Failure("link_expired", "old")),
        (
            ServerError("for a@b.io", status=500, code="https://h.io/x?sig=1", request_id="sume_live_abc"),
            Failure("<redacted url h.io>", "for <redacted email>", "<redacted text 13>", 500),
        ),
    ],
)
def test_failures(error: SumeError, shown: Failure) -> None:
    """The server's code and request id where there are any, else a word for the kind of error; nothing secret."""
    assert failure(error) == shown


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RateLimitError(status=429, retry_after_seconds=7.0), 7.0),
        (ServerError(status=503, retry_after_seconds=0.0), 0.0),
        (ServerError(status=503), 0.0),
        (ConnectError(), 0.0),
    ],
)
def test_asked_seconds(error: SumeError, seconds: float) -> None:
    """What the server asks to wait before the next try, if it asks at all."""
    assert asked_seconds(error) == seconds
