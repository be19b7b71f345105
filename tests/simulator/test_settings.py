"""The simulator's settings."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from sumeasync.simulator import Duration, Observed, WorldSettings


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("image_generation", 12),
        ("video_generation", 90),
        ("ads_video", 150),
        ("face_swap", 60),
        ("reference_analysis", 300),
        ("asset_ingest", 20),
        ("a_type_of_tomorrow", 90),
    ],
)
def test_median_by_type(kind: str, seconds: float) -> None:
    """Each type takes its documented typical time; an unknown one takes a video's."""
    rng = Random(1)
    run = WorldSettings().of(kind).run
    assert median(run.draw(rng) for _ in range(2001)) == pytest.approx(seconds, rel=0.05)


def test_shift_is_a_floor() -> None:
    """No draw is faster than the shift."""
    rng = Random(1)
    assert min(Duration(10, 2.0, shift_seconds=4).draw(rng) for _ in range(500)) > 4


def test_no_spread_is_exact() -> None:
    """A sigma of 0 gives the median itself."""
    assert Duration(7.5, 0).draw(Random()) == 7.5


def test_what_was_seen_is_drawn_again() -> None:
    """Each span is drawn as often as any other, and evenly within its ends; a point is a point."""
    seen, rng = Observed(((1.0, 3.0), (10.0, 10.0))), Random(1)
    draws = [seen.draw(rng) for _ in range(2000)]
    assert sum(draw == 10.0 for draw in draws) == pytest.approx(1000, rel=0.1)
    spread = [draw for draw in draws if draw < 10.0]
    assert (min(spread), max(spread)) == (pytest.approx(1.0, abs=0.02), pytest.approx(3.0, abs=0.02))
    assert median(spread) == pytest.approx(2.0, abs=0.1)


def test_the_median_of_what_was_seen() -> None:
    """The median is that of the middles of the spans."""
    assert Observed(((0.0, 100.0), (1.0, 3.0), (200.0, 400.0))).median_seconds == 50.0
