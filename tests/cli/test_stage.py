"""What a batch shows and how it ends, with the whole engine in virtual time."""

from __future__ import annotations

import json
import re
import sys

import pytest

from sumeasync.cli.batch import Show, Stage
from sumeasync.cli.manifest import Manifest
from sumeasync.core.settings import Settings
from sumeasync.core.specs import make_spec
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import Rig

TEN = TypeSettings(Duration(10, 0), media="png")
GOOD = WorldSettings(types={"image_generation": TEN})
FAILING = WorldSettings(types={"image_generation": TypeSettings(Duration(10, 0), failure_rate=1.0)})
SLOW = WorldSettings(types={"image_generation": TypeSettings(Duration(9000, 0))})
LINK = "signature="


def images(count):
    """A manifest of images."""
    entries = [
        {"key": f"img-{n}", "type": "image_generation", "input": {"prompt": "kite"}, "deadline_seconds": 600}
        for n in range(count)
    ]
    return Manifest([make_spec(entry) for entry in entries], "00")


def refusing(status, **rule):
    """Rules that refuse creates."""
    return load_rules([{"on": ["create"], "do": {"kind": "status", "status": status}, **rule}])


async def perform(world, capsys, show=Show(), *, rules=(), out="out", count=2, **options):  # noqa: B008 - frozen
    """Run a batch; gives exit code, standard output, standard error."""
    async with Rig(world, rules=rules) as rig:
        stage = Stage(show, out=out, command="sumeasync run m.jsonl")
        code = await stage.perform(rig.engine(**options), images(count))
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("world", "rules", "code", "words"),
    [
        (GOOD, (), 0, "2 completed"),
        (FAILING, (), 1, "2 failed"),
        (SLOW, (), 3, "2 jobs still at the server:"),
        (GOOD, refusing(401), 4, "error: "),
        (GOOD, refusing(402), 5, "hint: add credits"),
        (GOOD, load_rules([{"on": ["create"], "do": {"kind": "reset"}}]), 6, "--recreate-unknown"),
    ],
)
async def test_the_exit_code_and_the_last_words_tell_how_it_ended(capsys, world, rules, code, words):
    """Each way to end has its exit code and says what to do."""
    ended, _, err = await perform(world, capsys, rules=rules)
    assert ended == code
    assert words in err


async def test_a_line_for_each_outcome(capsys):
    """Where there is no terminal, outcomes are lines on standard output, and the summary is not among them."""
    _, out, err = await perform(GOOD, capsys)
    assert [line.split()[0] for line in out.splitlines()] == ["completed", "completed"]
    assert "output: out" in err


async def test_a_document_for_each_outcome(capsys):
    """--json gives one document a line."""
    _, out, _ = await perform(GOOD, capsys, Show(json=True))
    assert {json.loads(line)["key"] for line in out.splitlines()} == {"img-0", "img-1"}


async def test_quiet_still_tells_what_is_open(capsys):
    """-q says nothing but what needs attention."""
    assert await perform(GOOD, capsys, Show(quiet=True)) == (0, "", "")
    _, out, err = await perform(SLOW, capsys, Show(quiet=True))
    assert out == ""
    assert err.startswith("2 jobs still at the server:")


@pytest.mark.parametrize("json", [False, True])
async def test_without_a_directory_results_are_shown_without_links(capsys, json):
    """What is kept nowhere is shown whole, every link reduced to its host unless asked otherwise."""
    _, out, _ = await perform(GOOD, capsys, Show(json=json), out=None, disk=None)
    assert "<redacted url api.test>" in out
    assert LINK not in out
    _, out, _ = await perform(GOOD, capsys, Show(json=json, keep_links=True), out=None, disk=None)
    assert LINK in out


async def test_a_reader_that_left_stops_what_is_kept_nowhere(capsys, monkeypatch):
    """Without a directory and without a reader there is no reason to go on."""
    monkeypatch.setattr("sumeasync.cli.streams.Results._write", lambda self, _: setattr(self, "closed", True))
    settings = Settings(max_in_flight=1)
    _, _, err = await perform(GOOD, capsys, out=None, disk=None, count=5, settings=settings)
    assert "not begun" in err


async def test_a_display_leaves_the_terminal_as_it_was(capsys, monkeypatch):
    """On a terminal the display shows what is under way, failures stand above it, and the cursor comes back."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, err = await perform(FAILING, capsys)
    assert out == ""
    assert "failed     img-0  image_generation" in err
    assert re.search(r"queued.*running.*done.*failed", err)
    assert err.index("\x1b[?25l") < err.rindex("\x1b[?25h") < err.index("2 failed in")


async def test_a_signal_that_came_early_begins_nothing(capsys):
    """An interrupt before the first create ends with its exit code, and nothing was created."""
    async with Rig(GOOD) as rig:
        stage = Stage(Show(), out="out", command="sumeasync run m.jsonl")
        stage.interrupts.signum = 15
        assert await stage.perform(rig.engine(), images(3)) == 143
        assert not rig.world.jobs
    err = capsys.readouterr().err
    assert "stopping" in err
    assert "3 specs not begun" in err
