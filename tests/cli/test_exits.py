from __future__ import annotations

import signal

import pytest

from sumeasync import errors
from sumeasync.cli.exits import BUG, exit_code, explain, interrupted, report_bug, report_error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MissingKeyError(), 2),
        (errors.SettingsError(), 2),
        (errors.ManifestError(["line 1: bad"]), 2),
        (errors.AuthError(status=401), 4),
        (errors.CreditsError(status=402), 5),
        (errors.StorageError(), 7),
        (errors.LockedError(), 7),
        (errors.JournalError("torn"), 7),
        (errors.NotFoundError(status=404), 1),
        (errors.ConnectError(), 1),
    ],
)
def test_the_exit_code_tells_the_kind_of_error(error, code):
    """Usage, key, credits and storage have exit codes of their own."""
    assert exit_code(error) == code


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_exits_as_shells_expect(signum, code):
    """A signal's exit code is 128 and its number."""
    assert interrupted(signum) == code


def test_every_problem_of_a_manifest_is_listed():
    """A manifest's problems come one a line below the error."""
    assert list(explain(errors.ManifestError(["line 1: a", "line 2: b"])))[1:] == ["  line 1: a", "  line 2: b"]


def test_a_long_list_of_problems_is_capped():
    """Of very many problems the first fifty are shown, and how many there are besides."""
    lines = list(explain(errors.ManifestError([f"line {n}: bad" for n in range(70)])))
    assert (len(lines), lines[-1]) == (52, "  … and 20 more")


def test_what_the_server_says_is_scrubbed():
    """A server's message is shown without links, and its request id stands beside it."""
    error = errors.BadRequestError("see https://x.test/a?sig=abc", status=400, code="bad_request", request_id="req_1")
    text = "\n".join(explain(error))
    assert "sig=abc" not in text
    assert "request id: req_1" in text
    assert "hint: correct the input" in text


def test_what_the_user_typed_cannot_steer_the_terminal():
    """A usage error repeats the user's text with control characters escaped."""
    assert "\x1b" not in next(explain(errors.UsageError("bad \x1b[2J")))


def test_a_bug_is_said_in_two_lines_without_data(capsys, monkeypatch):
    """An unforeseen error gives exit code 70, no traceback and no secret."""
    monkeypatch.delenv("SUMEASYNC_DEBUG", raising=False)
    code = report_bug(KeyError("Bearer sume_live_0123456789abcdef0123"))
    said = capsys.readouterr().err
    assert code == BUG
    assert len(said.splitlines()) == 2
    assert "0123456789abcdef" not in said
    assert "This is a bug" in said


def test_debug_shows_where_a_bug_is(capsys, monkeypatch):
    """SUMEASYNC_DEBUG adds files and lines, sanitized."""
    monkeypatch.setenv("SUMEASYNC_DEBUG", "1")
    try:
        raise KeyError("x")
    except KeyError as error:
        report_bug(error)
    assert "test_exits.py:" in capsys.readouterr().err


def test_a_closed_standard_error_is_no_second_failure(monkeypatch):
    """Nothing is raised when nobody can be told."""
    import io
    import sys

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert report_error(errors.StorageError()) == 7
