"""Outcomes summed up, and the exit code they come to."""

from __future__ import annotations

import msgspec
import pytest

from sumeasync.core.report import EXIT_CODES, Report, Tally, Unresolved
from sumeasync.errors import AuthError, CreditsError, JournalError, StorageError, SumeError
from sumeasync.models import Failure, Outcome, OutcomeStatus, Timings

ERROR = Failure("x", "y")


def outcome(status: OutcomeStatus, error: Failure | None = None, **timings: float) -> Outcome:
    """An outcome of a job with two times at most."""
    return Outcome("k", "job_1", "image_generation", status, error=error, timings=Timings(**timings))


def tally(*outcomes: Outcome) -> Tally:
    """What a run that brought these outcomes counts."""
    one = Tally()
    for each in outcomes:
        one.add(each)
    return one


def test_counts() -> None:
    """Outcomes are counted by status and by type; one without a type was adopted."""
    one = tally(outcome("completed"), outcome("failed"), msgspec.structs.replace(outcome("failed"), type=""))
    assert one.statuses == {"completed": 1, "failed": 2}
    assert one.types == {"image_generation": {"completed": 1, "failed": 1}, "adopted": {"failed": 1}}


def test_what_is_open_is_named() -> None:
    """An outcome that a later run goes on with is listed with its job and why."""
    one = tally(outcome("completed"), outcome("timed_out", ERROR), outcome("unknown"), outcome("failed"))
    assert one.unresolved == [Unresolved("k", "timed_out", "job_1", ERROR), Unresolved("k", "unknown", "job_1")]


@pytest.mark.parametrize(
    ("outcomes", "stopped", "earlier", "name"),
    [
        ([], None, True, "ok"),
        ([outcome("completed")], None, True, "ok"),
        ([outcome("completed")], None, False, "some_failed"),
        ([outcome("completed", ERROR)], None, True, "some_failed"),
        ([outcome("failed")], None, True, "some_failed"),
        ([outcome("rejected")], None, True, "some_failed"),
        ([], SumeError(), True, "some_failed"),
        ([outcome("failed"), outcome("timed_out")], None, True, "deadline"),
        ([outcome("timed_out"), outcome("unknown")], None, True, "unknown"),
        ([outcome("unknown")], CreditsError(status=402), True, "credits"),
        ([outcome("unknown")], AuthError(status=401), True, "auth"),
        ([outcome("unknown")], StorageError(), True, "storage"),
        ([], JournalError("torn"), True, "storage"),
    ],
)
def test_exit_codes(outcomes: list[Outcome], stopped: SumeError | None, earlier: bool, name: str) -> None:
    """The gravest of what happened decides: storage, key, credits, unknown creates, deadlines, then any failure."""
    assert tally(*outcomes).exit_code(stopped, earlier_ok=earlier) == EXIT_CODES[name]


@pytest.mark.parametrize(("left", "name"), [((), "ok"), (("running",), "some_failed"), (("x", "unknown"), "unknown")])
def test_what_is_left_is_not_ok(left: tuple[str, ...], name: str) -> None:
    """A run that leaves something running is no success, and an open create outweighs all else that is left."""
    assert tally(outcome("completed")).exit_code(None, earlier_ok=True, left=left) == EXIT_CODES[name]


def test_exit_codes_are_those_promised() -> None:
    """Scripts rely on these numbers."""
    assert list(EXIT_CODES.values()) == list(range(8))


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ([], {}),
        ([2.0], {"jobs": 1, "median": 2.0, "p95": 2.0}),
        ([-3.0], {"jobs": 1, "median": 0.0, "p95": 0.0}),
        ([float(number) for number in range(100, 0, -1)], {"jobs": 100, "median": 51.0, "p95": 96.0}),
    ],
)
def test_detection(delays: list[float], expected: dict[str, float]) -> None:
    """The delay of detection is told where the server told when jobs ended; clocks apart do not make it negative."""
    one = tally(*(outcome("completed", detected=1000 + delay, server_completed=1000.0) for delay in delays))
    one.add(outcome("completed", detected=5.0))
    one.add(outcome("completed", server_completed=5.0))
    assert one.detection() == expected


def test_a_report_is_short_where_there_is_nothing_to_tell() -> None:
    """What is zero or absent is left out of ``report.json``."""
    assert msgspec.json.encode(Report(0, 1.5)) == b'{"exit_code":0,"seconds":1.5}'
