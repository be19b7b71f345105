from __future__ import annotations

import io

import pytest
from rich.console import Console

from sumeasync.cli.progress import Pace, can_be_live, render
from sumeasync.engine.statistics import Statistics, TypeCount


def drawn(statistics, total=None, pace=None, width=100, **more):
    """One frame as text."""
    if pace is None:
        pace = Pace()
        pace.note(0.0, 0)
    console = Console(file=io.StringIO(), width=width)
    console.print(render(statistics, total, pace, **more))
    return console.file.getvalue()


def test_the_rate_is_that_of_the_last_minute():
    """What happened longer ago than a minute does not count."""
    pace = Pace()
    for now, outcomes in ((0.0, 0), (100.0, 1000), (130.0, 1030)):
        pace.note(now, outcomes)
    assert (pace.rate, pace.elapsed, pace.eta(60)) == (1.0, 130.0, 60.0)


def test_without_outcomes_there_is_no_eta():
    """Before the first outcome nobody knows how long it takes."""
    pace = Pace()
    pace.note(0.0, 0)
    pace.note(5.0, 0)
    assert pace.eta(10) is None


def test_a_row_stands_for_each_type_that_has_jobs():
    """Types with jobs have a row of four counts; a type without any has none."""
    text = drawn(Statistics(types={"ads_video": TypeCount(1, 2, 3, 4), "adopted": TypeCount()}))
    (row,) = [line.split() for line in text.splitlines() if "ads_video" in line]
    assert row == ["ads_video", "1", "2", "3", "4"]
    assert "adopted" not in text


def test_specs_not_yet_taken_in_count_as_remaining():
    """The whole is what is finished, what is open, and what the manifest still holds."""
    text = drawn(Statistics(specs=3, types={"x": TypeCount(running=2, done=1)}), total=10)
    assert "1 of 10" in text


@pytest.mark.parametrize("type", ["[red]x[/red]", "[/]", "x\x1b[2Jy"])
def test_the_name_of_a_type_is_only_text(type):
    """Markup and control characters in a server's type are shown, not obeyed."""
    text = drawn(Statistics(types={type: TypeCount(done=1)}))
    assert "\x1b[2J" not in text
    assert "[" in text


def test_draining_is_shown():
    """A display of a run that stops says so."""
    assert "stopping" in drawn(Statistics(), draining=True)


def test_what_went_wrong_on_the_way_is_counted():
    """Faults, refusals by the rate limit, lost answers and finished specs stand in the footer."""
    counts = Statistics(faults=2, unanswered=3, rate_limited=1, skipped=5, media_files=1, media_bytes=10)
    text = drawn(counts, width=120)
    words = ("2 faults", "3 creates without an answer", "1 rate limited", "5 done earlier", "1 file, 10 B")
    assert all(part in text for part in words)


def test_a_file_is_no_place_for_a_display():
    """Only a terminal that can move its cursor gets a display."""
    assert not can_be_live(Console(file=io.StringIO()))
    assert not can_be_live(Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}))
    assert can_be_live(Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"}))
