"""How a failure leaves the command line: one clear line, what to do next, and an exit code; never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from sumeasync.core.report import EXIT_CODES
from sumeasync.errors import AuthError, CreditsError, ManifestError, StorageError, SumeError, UsageError

__all__ = ["BUG", "DEBUG_VARIABLE", "exit_code", "explain", "interrupted", "report_bug", "report_error"]

BUG = 70
"""EX_SOFTWARE of sysexits.h: an error that should have been ours, and was not."""

DEBUG_VARIABLE = "SUMEASYNC_DEBUG"
MAX_PROBLEMS = 50
KINDS: tuple[tuple[type[SumeError], str], ...] = (
    (UsageError, "usage"),
    (AuthError, "auth"),
    (CreditsError, "credits"),
    (StorageError, "storage"),
)


def exit_code(error: SumeError) -> int:
    """The exit code of a command that an error ended."""
    return next((EXIT_CODES[name] for kind, name in KINDS if isinstance(error, kind)), EXIT_CODES["some_failed"])


def interrupted(signum: int) -> int:
    """The exit code of a command that a signal ended, as shells count it: 128 + the signal's number."""
    return 128 + signum


def explain(error: SumeError) -> Iterator[str]:
    """An error as lines fit to be shown: what happened, each problem, what to do."""
    from sumeasync.core import redact

    # A usage error repeats what the user typed, which needs no more than escaping; any other may quote the server.
    clean = redact.escape if isinstance(error, UsageError) else redact.text
    yield f"error: {clean(str(error))}"
    if isinstance(error, ManifestError):
        yield from (f"  {clean(problem)}" for problem in error.problems[:MAX_PROBLEMS])
        if len(error.problems) > MAX_PROBLEMS:
            yield f"  … and {len(error.problems) - MAX_PROBLEMS} more"
    if request_id := getattr(error, "request_id", None):
        yield f"request id: {clean(request_id)}"
    if error.hint:
        yield f"hint: {error.hint}"


def report_error(error: SumeError) -> int:
    """Say an error on standard error; returns the exit code."""
    tell(explain(error))
    return exit_code(error)


def report_bug(error: BaseException) -> int:
    """Say that something unforeseen happened, without showing any data; returns the exit code."""
    from sumeasync.core import redact

    tell([f"error: {redact.error_line(error, frames=bool(os.environ.get(DEBUG_VARIABLE)))}"])
    tell([f"This is a bug in sumeasync. The run can be resumed; {DEBUG_VARIABLE}=1 shows where it happened."])
    return BUG


def tell(lines: Iterator[str] | list[str]) -> None:
    """Write lines to standard error, which may be closed by now."""
    try:
        for line in lines:
            print(line, file=sys.stderr)  # noqa: T201 - this is the command line
        sys.stderr.flush()
    except (OSError, ValueError):
        return
