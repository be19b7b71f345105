"""Asynchronous job-polling engine for the Sume media API.

`Engine` runs batches, `Sume` makes single calls, `run` is a batch for a script without an event loop. Everything public
stands here, and is imported at its first use: importing this alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sumeasync.core.polling.policy import Policy
    from sumeasync.core.report import Report
    from sumeasync.core.settings import Settings
    from sumeasync.core.specs import make_spec, parse_manifest
    from sumeasync.dialects.base import Page, Presigned
    from sumeasync.engine import Engine, Run, Statistics
    from sumeasync.errors import (
        ApiError,
        AuthError,
        BadRequestError,
        BadResponseError,
        ConnectError,
        CreditsError,
        DeadlineError,
        DiskFullError,
        JobError,
        JournalError,
        LinkExpiredError,
        LockedError,
        ManifestError,
        MissingKeyError,
        NotFoundError,
        NotReadyError,
        RateLimitError,
        RefusedError,
        ServerError,
        SettingsError,
        StorageError,
        SumeError,
        TransportError,
        UsageError,
    )
    from sumeasync.logs import redaction_processor
    from sumeasync.models import Failure, JobView, Media, Outcome, Spec, Timings
    from sumeasync.sume import JobHandle, Sume, run

    __version__: str

__all__ = [
    "ApiError",
    "AuthError",
    "BadRequestError",
    "BadResponseError",
    "ConnectError",
    "CreditsError",
    "DeadlineError",
    "DiskFullError",
    "Engine",
    "Failure",
    "JobError",
    "JobHandle",
    "JobView",
    "JournalError",
    "LinkExpiredError",
    "LockedError",
    "ManifestError",
    "Media",
    "MissingKeyError",
    "NotFoundError",
    "NotReadyError",
    "Outcome",
    "Page",
    "Policy",
    "Presigned",
    "RateLimitError",
    "RefusedError",
    "Report",
    "Run",
    "ServerError",
    "Settings",
    "SettingsError",
    "Spec",
    "Statistics",
    "StorageError",
    "Sume",
    "SumeError",
    "Timings",
    "TransportError",
    "UsageError",
    "__version__",
    "make_spec",
    "parse_manifest",
    "redaction_processor",
    "run",
]

_HOMES = {
    # many jobs
    "sumeasync.engine": "Engine Run Statistics",
    "sumeasync.core.settings": "Settings",
    "sumeasync.core.report": "Report",
    "sumeasync.core.polling.policy": "Policy",
    "sumeasync.core.specs": "make_spec parse_manifest",
    # single calls, and the batch without a loop
    "sumeasync.sume": "JobHandle Sume run",
    "sumeasync.dialects.base": "Page Presigned",
    # values
    "sumeasync.models": "Failure JobView Media Outcome Spec Timings",
    # what goes wrong
    "sumeasync.errors": """
        ApiError AuthError BadRequestError BadResponseError ConnectError CreditsError DeadlineError DiskFullError
        JobError JournalError LinkExpiredError LockedError ManifestError MissingKeyError NotFoundError NotReadyError
        RateLimitError RefusedError ServerError SettingsError StorageError SumeError TransportError
        UsageError
    """,
    # logs
    "sumeasync.logs": "redaction_processor",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("sumeasync")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
