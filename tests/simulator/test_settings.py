"""The simulator's settings."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from sumeasync.simulator import Duration, WorldSettings


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
