"""Fault rules."""

from __future__ import annotations

from random import Random

import pytest

from sumeasync.errors import SettingsError
from sumeasync.simulator import Rule, load_rules
from sumeasync.simulator.faults import Faults, GzipBomb, Occasion, Patch, Reset, Status

POLL = Occasion("poll", 10.0, "job_1", "image_generation", False)


def fires(rule: Rule, *occasions: Occasion) -> list[bool]:
    """On which of these occasions the rule fires."""
    faults = Faults([rule], Random(1))
    return [faults.pick(occasion) is not None for occasion in occasions]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        ({"on": frozenset({"poll"})}, True),
        ({"on": frozenset({"create", "list"})}, False),
        ({"job_id": "job_1"}, True),
        ({"job_id": "job_2"}, False),
        ({"type": "image_generation"}, True),
        ({"type": "video_generation"}, False),
        ({"terminal": False}, True),
        ({"terminal": True}, False),
        ({"from_seconds": 10}, True),
        ({"from_seconds": 10.1}, False),
        ({"until_seconds": 10}, False),
        ({"until_seconds": 10.1}, True),
        ({"probability": 0.0}, False),
    ],
)
def test_conditions(condition: dict[str, object], expected: bool) -> None:
    """A rule fires only when each of its conditions holds."""
    assert fires(Rule(do=Reset(), **condition), POLL) == [expected]  # type: ignore[arg-type]  # a table of keywords


@pytest.mark.parametrize(
    ("counting", "expected"),
    [
        ({"nth": 2}, [False, True, False, False, False]),
        ({"every": 2}, [False, True, False, True, False]),
        ({"times": 2}, [True, True, False, False, False]),
        ({"every": 2, "times": 1}, [False, True, False, False, False]),
    ],
)
def test_counting(counting: dict[str, int], expected: list[bool]) -> None:
    """A rule can be for the nth, for each k-th, or for a number of requests."""
    assert fires(Rule(do=Reset(), **counting), *[POLL] * 5) == expected  # type: ignore[arg-type]  # a table of keywords


def test_counting_each_job_apart() -> None:
    """With `each_job`, every job has its own count."""
    other = Occasion("poll", 10.0, "job_2")
    assert fires(Rule(do=Reset(), nth=2, each_job=True), POLL, other, POLL, other) == [False, False, True, True]


def test_first_rule_decides_and_all_count() -> None:
    """The first due rule wins; the others still count the request."""
    faults = Faults([Rule(do=Reset(), nth=1), Rule(do=Status(503), nth=2)], Random(1))
    assert [faults.pick(POLL) for _ in range(3)] == [Reset(), Status(503), None]
    both = Faults([Rule(do=Reset()), Rule(do=Status(503))], Random(1))
    assert (both.pick(POLL), both.fired) == (Reset(), [1, 0])


def test_probability_is_kept() -> None:
    """A rule of 5 % fires about 5 % of the time."""
    assert 60 < sum(fires(Rule(do=Reset(), probability=0.05), *[POLL] * 2000)) < 140


def test_load() -> None:
    """Rules are read from JSON."""
    text = b"""[{"on": ["poll"], "nth": 3, "do": {"kind": "status", "status": 429, "retry_after": "soon"}},
               {"do": {"kind": "patch", "set": {"status": null}}, "every": 2}]"""
    first, second = load_rules(text)
    assert (first.on, first.nth, first.do) == ({"poll"}, 3, Status(429, retry_after="soon"))
    assert second.do == Patch({"status": None})
    assert load_rules([{"do": {"kind": "gzip_bomb"}}])[0].do == GzipBomb()


@pytest.mark.parametrize("text", [b"{", b"{}", b'[{"do": {"kind": "melt"}}]', b'[{"do": {"kind": "reset"}, "nht": 1}]'])
def test_unreadable_rules(text: bytes) -> None:
    """Rules that make no sense are refused with the place of the mistake."""
    with pytest.raises(SettingsError, match="fault rules"):
        load_rules(text)
