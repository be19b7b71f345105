"""Every error this package raises; nothing foreign passes through.

SumeError                       has .hint: what to do next
├── UsageError                  the caller's side: fix the call and try again
│   ├── MissingKeyError
│   ├── SettingsError
│   └── ManifestError           has .problems: one line each
├── TransportError              no usable answer; .sent says whether the server may have acted
│   ├── ConnectError            nothing was sent
│   └── LinkExpiredError        a signed link is no longer good: ask for the result again
├── BadResponseError            an answer came, and it makes no sense
├── RefusedError                this side refused: an address, a redirect, a size
├── ApiError                    the server said no; .status .code .request_id
│   ├── BadRequestError         400, 404 on creates, 413, 422 …
│   ├── AuthError               401, 403
│   ├── CreditsError            402
│   ├── NotFoundError           404
│   ├── NotReadyError           409 before completion
│   ├── RateLimitError          429; .retry_after_seconds
│   └── ServerError             408, 5xx
├── JobError                    a job ended otherwise than completed; .outcome
│   └── DeadlineError           ours passed; also a TimeoutError
└── StorageError                the disk refused; also an OSError
    ├── DiskFullError           no room left
    ├── JournalError            the journal cannot be trusted; .record says where
    └── LockedError             another process holds the output directory
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sumeasync.models import Outcome

__all__ = [
    "ApiError",
    "AuthError",
    "BadRequestError",
    "BadResponseError",
    "ConnectError",
    "CreditsError",
    "DeadlineError",
    "DiskFullError",
    "JobError",
    "JournalError",
    "LinkExpiredError",
    "LockedError",
    "ManifestError",
    "MissingKeyError",
    "NotFoundError",
    "NotReadyError",
    "RateLimitError",
    "RefusedError",
    "ServerError",
    "SettingsError",
    "StorageError",
    "SumeError",
    "TransportError",
    "UsageError",
]


class SumeError(Exception):
    """Something went wrong."""

    hint: str = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])
        if hint:
            self.hint = hint


class UsageError(SumeError):
    """The call cannot be carried out as written."""


class MissingKeyError(UsageError):
    """No API key: set SUME_API_KEY, or name a file that holds it with --key-file."""


class SettingsError(UsageError):
    """A setting has a value that cannot be used."""


class ManifestError(UsageError):
    """The manifest has problems; nothing was sent."""

    def __init__(self, problems: list[str]) -> None:
        count = len(problems)
        super().__init__(f"the manifest has {count} problem{'s' if count != 1 else ''}; nothing was sent")
        self.problems = problems


class TransportError(SumeError):
    """The connection failed before a whole answer came.

    `sent` tells whether the request may have reached the server: then a create is ambiguous.
    """

    hint = "check the network; reads are retried by themselves"

    def __init__(self, message: str = "", *, sent: bool = True, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class ConnectError(TransportError):
    """No connection could be made; nothing was sent."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message, sent=False, hint=hint)


class LinkExpiredError(TransportError):
    """A signed link was refused where it leads; a fresh one may work."""

    hint = "links are short-lived; a fresh one comes with the job's result"


class BadResponseError(SumeError):
    """The server's answer cannot be read."""

    hint = "if it persists, check that the base URL is the API's"

    def __init__(self, message: str = "", *, status: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class RefusedError(SumeError):
    """Refused by this side for safety."""


class ApiError(SumeError):
    """The server answered with an error."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int,
        code: str = "",
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds


class BadRequestError(ApiError):
    """The server did not accept the request."""

    hint = "correct the input; nothing was started"


class AuthError(ApiError):
    """The server did not accept the API key."""

    hint = "check SUME_API_KEY and what the key is allowed to do"


class CreditsError(ApiError):
    """Not enough credits; nothing was started."""

    hint = "add credits, then run the same command again"


class NotFoundError(ApiError):
    """The server does not know this id."""

    hint = "check the id, and that the key belongs to the workspace that created it"


class NotReadyError(ApiError):
    """The job has no result yet."""

    hint = "wait for it: sumeasync watch JOB_ID"


class RateLimitError(ApiError):
    """Too many requests for this key."""

    hint = "wait; lower --read-rate or --create-rate if it recurs"


class ServerError(ApiError):
    """The server failed."""

    hint = "try again later"


class JobError(SumeError):
    """A job ended otherwise than completed."""

    def __init__(self, message: str, outcome: Outcome, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome


class DeadlineError(JobError, TimeoutError):
    """The deadline passed and the job still runs."""

    hint = "it goes on at the server: sumeasync watch JOB_ID"


class StorageError(SumeError, OSError):
    """The output directory cannot be written."""

    hint = "see to the output directory, then run the same command again"


class DiskFullError(StorageError):
    """The disk has no room left."""

    hint = "free space, then run the same command again"


class JournalError(StorageError):
    """The journal cannot be trusted."""

    def __init__(self, message: str, *, record: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.record = record


class LockedError(StorageError):
    """Another process is using the output directory."""

    hint = "wait for it, or choose another --out"
