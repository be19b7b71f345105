from __future__ import annotations

import io
import logging
import os
import sys

import pytest
from typer.testing import CliRunner

from sumeasync.cli.app import app
from sumeasync.cli.batch import Logging, Show, Stage, is_pipe, not_begun, run_loop, this_command
from sumeasync.cli.streams import Voice
from sumeasync.engine.statistics import Statistics, TypeCount
from sumeasync.errors import SettingsError


class Batch:
    """As much of a run as can be counted."""

    def __init__(self, total, statistics):
        self.total, self.statistics = total, statistics


@pytest.mark.parametrize(
    ("given", "level"),
    [
        (Logging(), "WARNING"),
        (Logging(verbose=1), "INFO"),
        (Logging(verbose=5), "DEBUG"),
        (Logging(level="error", verbose=2), "ERROR"),
    ],
)
def test_standard_error_is_calm_unless_asked(given, level):
    """By default warnings are shown; -v and -vv show more; --log-level wins."""
    with given.configure(Voice()):
        assert logging.getLevelName(logging.getLogger().handlers[0].level) == level


def test_a_log_file_gets_every_step(tmp_path, capsys):
    """Without a level a log file gets what standard error is spared."""
    with Logging(file=str(tmp_path / "log")).configure(Voice()):
        logging.getLogger("sumeasync").info("a step")
    assert "a step" in (tmp_path / "log").read_text()
    assert capsys.readouterr().err == ""


def test_a_level_holds_for_a_log_file_too(tmp_path):
    """A level that was asked for is that of the file as well."""
    with Logging(level="warning", file=str(tmp_path / "log")).configure(Voice()):
        logging.getLogger("sumeasync").info("a step")
    assert (tmp_path / "log").read_text() == ""


def test_the_command_can_be_pasted(monkeypatch):
    """The command to go on with is quoted for a shell."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sumeasync", "run", "my manifest.jsonl"])
    assert this_command() == "sumeasync run 'my manifest.jsonl'"


def test_what_cannot_be_asked_for_leaves_nothing_behind(tmp_path):
    """Where jobs cannot be canceled, asking for it is refused before a directory is made."""
    (tmp_path / "m.jsonl").write_text('{"key": "k", "job_id": "job_1"}\n')
    out, given = tmp_path / "out", ["--on-timeout", "cancel", "--base-url", "http://127.0.0.1:1"]
    command = ["run", str(tmp_path / "m.jsonl"), "--out", str(out), *given]
    result = CliRunner(env={"SUME_API_KEY": "sume_live_x"}).invoke(app, command)
    assert isinstance(result.exception, SettingsError)
    assert "on_timeout" in str(result.exception)
    assert not out.exists()


def test_specs_without_a_job_are_not_begun():
    """Specs never taken in, queued and left alone count."""
    statistics = Statistics(specs=7, not_started=1, types={"x": TypeCount(queued=2, running=3)})
    assert not_begun(Batch(10, statistics)) == 6


def test_a_pipe_is_told_from_a_file(tmp_path):
    """Another program at the end of standard output is noticed; a file and a closed stream are none."""
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as pipe, (tmp_path / "f").open("w") as file:
        assert is_pipe(pipe)
        assert not is_pipe(file)
    assert not is_pipe(io.StringIO())


def test_without_a_terminal_there_is_no_display():
    """A display is only drawn on a terminal."""
    assert not Stage(Show(), out=None, command="")._live


def test_the_loop_gives_back_the_exit_code():
    """Whichever loop is installed runs to the end."""

    async def main():
        return 3

    assert run_loop(main()) == 3
