"""What rehearsals draw durations from."""

from __future__ import annotations

import math
import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.cli.resampling import blur_of, resampled, stretch_of
from sumeasync.simulator import Duration, Observed

REHEARSALS = 15
spans = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)).map(lambda pair: tuple(sorted(pair))), min_size=1)


def seen(seconds: list[float]) -> Observed:
    """Jobs that took exactly so long."""
    return Observed(tuple((one, one) for one in seconds))


def covered(true: Duration, learned_from: int, batch: int, seed: int) -> tuple[bool, float]:
    """Whether the longest of a batch falls within what rehearsals say, and their middle in terms of it."""
    rng = Random(seed)
    known = seen([true.draw(rng) for _ in range(learned_from)])
    real = max(true.draw(rng) for _ in range(batch))
    said = []
    for _ in range(REHEARSALS):
        world = resampled(known, rng)
        said.append(max(world.draw(rng) for _ in range(batch)))
    said.sort()
    return said[0] <= real <= said[-1], said[REHEARSALS // 2] / real


LOGNORMAL = Duration(60.0, 0.3)


@pytest.mark.parametrize(("learned_from", "batch"), [(10, 30), (40, 60), (160, 60)])
def test_the_longest_job_falls_within_what_rehearsals_say(learned_from: int, batch: int) -> None:
    """In four of five batches, however long the longest job seen took; and the middle is right on average."""
    results = [covered(LOGNORMAL, learned_from, batch, seed) for seed in range(150)]
    assert sum(inside for inside, _ in results) >= 0.8 * len(results)
    assert sorted(ratio for _, ratio in results)[75] == pytest.approx(1.0, abs=0.08)


def test_the_middle_stays_where_it_was() -> None:
    """Neither the bootstrap nor the stretch nor the blur moves the median."""
    rng = Random(1)
    known = seen([LOGNORMAL.draw(rng) for _ in range(200)])
    drawn = sorted(resampled(known, rng).draw(rng) for _ in range(1000))
    assert drawn[500] == pytest.approx(known.median_seconds, rel=0.05)


def test_the_blur_is_that_of_a_normal_kernel() -> None:
    """1.06 standard deviations of the logarithm times n to the power of -1/5."""
    logs = [Random(n).gauss(4.0, 0.3) for n in range(1000)]
    assert blur_of(logs) == pytest.approx(1.06 * 0.3 * 1000**-0.2, rel=0.1)


def test_a_mode_far_away_does_not_widen_it_without_bounds() -> None:
    """With a few jobs ten times as long, the blur is told by the many."""
    many = [Random(n).gauss(4.0, 0.1) for n in range(90)]
    assert blur_of([*many, *[6.3] * 10]) < 2.0 * blur_of(many)


def test_few_jobs_tell_little_of_how_wide_all_spread() -> None:
    """The stretch is about 1, by 1 / sqrt(2 n) up or down, and never above 2."""
    few, many = ([stretch_of(jobs, Random(n)) for n in range(500)] for jobs in (8, 800))
    for jobs, stretches in ((8, few), (800, many)):
        assert 0.8 < statistics.stdev(stretches) * math.sqrt(2 * jobs) < 1.6
    assert max(few) <= 2.0
    assert statistics.median(few) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("known", [seen([5.0]), seen([5.0] * 9), Observed(((0.0, 0.0), (0.0, 0.0)))])
def test_what_always_took_the_same_takes_the_same(known: Observed) -> None:
    """Without any spread there is nothing to stretch or blur."""
    assert resampled(known, Random(1)) == known


@given(spans, st.integers())
def test_whatever_was_seen_is_drawn_from(known: list[tuple[float, float]], seed: int) -> None:
    """As many spans, each with its ends in order, and durations that are finite and not below 0."""
    again = resampled(Observed(tuple(known)), Random(seed))
    assert len(again.spans) == len(known)
    assert all(0.0 <= low <= high < math.inf for low, high in again.spans)
    assert 0.0 <= again.draw(Random(seed)) < math.inf
