"""The error tree: what belongs where, what each error says and carries."""

from __future__ import annotations

import inspect

import pytest

from sumeasync import errors
from sumeasync.errors import (
    ApiError,
    BadResponseError,
    ConnectError,
    DeadlineError,
    JobError,
    JournalError,
    LinkExpiredError,
    LockedError,
    ManifestError,
    MissingKeyError,
    RateLimitError,
    ServerError,
    StorageError,
    SumeError,
    TransportError,
)
from sumeasync.models import Outcome

KINDS = [getattr(errors, name) for name in errors.__all__]
PLAIN = [kind for kind in KINDS if not issubclass(kind, ApiError | JobError | ManifestError | JournalError)]
API = [kind for kind in KINDS if issubclass(kind, ApiError)]


def test_one_base() -> None:
    """Whatever is raised can be caught as `SumeError`, and the tree at the top of the module names every class."""
    assert all(issubclass(kind, SumeError) for kind in KINDS)
    assert {name for name, kind in vars(errors).items() if inspect.isclass(kind)} - {"Outcome"} == set(errors.__all__)
    assert all(name in (errors.__doc__ or "") for name in errors.__all__)


def test_errors_are_what_python_calls_them() -> None:
    """A passed deadline is a `TimeoutError`, a disk that refuses an `OSError`."""
    assert issubclass(DeadlineError, TimeoutError)
    assert all(issubclass(kind, OSError) for kind in (StorageError, JournalError, LockedError))


@pytest.mark.parametrize("kind", PLAIN)
def test_the_message_is_the_docstring(kind: type[SumeError]) -> None:
    """An error without a text of its own says the first line of what its class says."""
    assert str(kind()) == (kind.__doc__ or "").splitlines()[0]
    assert str(kind("own")) == "own"


@pytest.mark.parametrize("kind", PLAIN)
def test_hints(kind: type[SumeError]) -> None:
    """The hint of the class holds until an error has its own, and never spreads to others."""
    assert kind("x", hint="do this").hint == "do this"
    assert kind("x").hint == kind.hint


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.hint])
def test_class_hints_are_phrases(kind: type[SumeError]) -> None:
    """A hint is a phrase to follow a colon or a dash: no capital, no full stop."""
    assert not kind.hint.endswith(".")
    assert kind.hint[0].islower()


@pytest.mark.parametrize("kind", API)
def test_api_errors_carry_what_the_server_said(kind: type[ApiError]) -> None:
    """Status, code, request id and the wait it asked for."""
    error = kind("no", status=418, code="c", request_id="req_1", retry_after_seconds=2.0, hint="h")
    assert (str(error), error.status, error.code, error.request_id) == ("no", 418, "c", "req_1")
    assert (error.retry_after_seconds, error.hint) == (2.0, "h")
    assert str(kind(status=418)) == kind.__doc__


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (TransportError(), True),
        (TransportError(sent=False), False),
        (LinkExpiredError(), True),
        (ConnectError(), False),
    ],
)
def test_transport_errors_say_whether_anything_was_sent(error: TransportError, sent: bool) -> None:
    """Where no connection was made nothing was sent; otherwise it may have been."""
    assert error.sent is sent


@pytest.mark.parametrize(("problems", "text"), [(["a"], "1 problem;"), (["a", "b"], "2 problems;")])
def test_manifest_errors_count(problems: list[str], text: str) -> None:
    """A manifest error counts its problems and keeps them all."""
    error = ManifestError(problems)
    assert text in str(error)
    assert error.problems == problems


def test_the_rest() -> None:
    """A job error holds its outcome, a journal error the record, a bad response the status."""
    outcome = Outcome("k", "job_1", "t", "timed_out")
    error = DeadlineError("late", outcome)
    assert (str(error), error.outcome, "watch" in error.hint) == ("late", outcome, True)
    assert (JournalError("torn", record=7).record, JournalError("torn").record) == (7, None)
    assert BadResponseError("odd", status=200).status == 200
    assert "SUME_API_KEY" in str(MissingKeyError())
    assert (RateLimitError(status=429).retry_after_seconds, ServerError(status=500).code) == (None, "")
