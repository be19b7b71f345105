"""A plan in words."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from sumeasync.cli.forecast import Forecast, Range, TypeForecast, describe

FORECAST = Forecast(
    specs=300,
    skipped=12,
    begin=1_800_000_000.0,
    rehearsals=5,
    latency_seconds=0.15,
    finish_seconds=Range(5900.0, 6060.0, 6300.0),
    result_seconds=Range(12.0, 3000.0, 6060.0),
    outcomes={"completed": 287, "rejected": 1},
    refused={"prompt is required": 1},
    requests={"create": 287, "poll": 1000, "sweep": 50},
    requests_per_job=4.66,
    rate_limited=2,
    read_rate="120/m",
    create_rate="10/m",
    read_share=0.09,
    create_share=0.98,
    concurrency=None,
    peak_in_flight=17,
    detection_seconds={"median": 1.62, "p95": 4.0},
    types={"image_generation": TypeForecast(200, 12.0), "ads_video": TypeForecast(87, 151.3, 40)},
    adopted=3,
    media_bytes={"image_generation": 2_400_000},
    credits={"image_generation": 400.0},
)


def said(**changes: Any) -> str:
    """The forecast in words, with changes."""
    return "\n".join(describe(msgspec.structs.replace(FORECAST, **changes)))


def test_all_figures_are_told() -> None:
    """Time, requests by kind, shares, peak, delays, bytes and credits are there, in words for people."""
    text = said()
    for words in (
        "300 specs; 12 of them finished earlier; 287 jobs to create",
        "1 h 41 min from now: 2027-01-1",
        "(1 h 38 min to 1 h 45 min in 5 rehearsals)",
        "the first after 12.0 s, half after 50 min 00 s",
        "287 completed, 1 rejected",
        "1: prompt is required",
        "1,337 (287 creates, 1,000 polls, 50 sweeps); 4.7 a job; 2 refused by the rate limit",
        "120/m, 9% of it used",
        "10/m, 98% of it used",
        "17 jobs at most",
        "1.6 s after a job has ended (median), 4.0 s (95 %)",
        "about 2.4 MB",
        "400 credits",
    ):
        assert words in text


def test_each_type_says_where_its_duration_comes_from() -> None:
    """The table has the jobs of each type, how long one takes, and whether that was seen or is assumed."""
    rows = [line.split() for line in describe(FORECAST) if "_generation  " in line or line.startswith("ads_video")]
    assert rows == [
        ["image_generation", "200", "12.0", "s", "assumed"],
        ["ads_video", "87", "2", "min", "31", "s", "learned", "from", "40", "jobs"],
    ]


def test_what_is_not_known_is_left_out() -> None:
    """Without rates, costs, media and results their lines are not there."""
    text = said(
        read_rate=None, create_rate=None, credits={}, media_bytes={}, result_seconds=None, detection_seconds={},
        rehearsals=1, requests={}, requests_per_job=None, rate_limited=0, peak_in_flight=0,
    )  # fmt: skip  # one argument a line says no more
    for words in ("read rate", "create rate", "\ncost", "\nmedia", "results", "noticed", "rehearsals", "in flight"):
        assert words not in text
    assert re.search(r"^requests +none$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "every request takes 0.15 s"),
        ({}, "3 jobs named by id: taken for videos that have just begun"),
        ({}, "assumed durations are typical ones"),
        ({}, "no cost is known of ads_video: --cost TYPE=CREDITS"),
        ({}, "if the plan bounds how many do: --concurrency N"),
        ({"concurrency": 4}, "which --concurrency adds once more"),
        ({"read_rate": None, "create_rate": None}, "no limit given: as fast as the server allows"),
        ({"media_bytes": {}}, "how much there will be is learned from an earlier run"),
    ],
)
def test_what_the_figures_rest_on_is_said(changes: dict[str, Any], words: str) -> None:
    """Each thing that was assumed has its note."""
    assert words in said(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"types": {"ads_video": TypeForecast(87, 151.3, 40)}}, "assumed durations"),
        ({"create_rate": None}, "no limit given"),
        ({"adopted": 0}, "named by id"),
        ({"concurrency": 4}, "--concurrency N"),
        ({"credits": {"image_generation": 1.0, "ads_video": 2.0}}, "no cost is known"),
    ],
)
def test_no_note_without_its_cause(changes: dict[str, Any], words: str) -> None:
    """What was given or learned needs no note."""
    assert words not in said(**changes)


@pytest.mark.parametrize(("starts_seen", "told"), [(0, True), (3, False)])
def test_durations_that_hold_waiting_are_told(starts_seen: int, told: bool) -> None:
    """With --concurrency, types of which no start was seen are named: what they waited counts twice."""
    text = said(concurrency=4, types={"ads_video": TypeForecast(87, 151.3, 40, starts_seen)})
    assert ("no job was seen to start of ads_video" in text) is told


def test_nothing_to_do_is_said_in_a_line() -> None:
    """When all specs are finished there is nothing to foretell."""
    assert said(outcomes={}, skipped=300) == "300 specs, 300 of them finished earlier: nothing is left to do"


def test_foreign_words_steer_no_terminal() -> None:
    """Types and reasons are shown without control characters."""
    text = said(types={"a\x1b[2J": TypeForecast(1, 1.0)}, refused={"b\x1b[2J": 1})
    assert "\x1b" not in text
