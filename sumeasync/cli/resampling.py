"""Durations to rehearse with: what was seen, as another batch of the same kind might have been seen.

A rehearsal that only draws from the durations seen knows too much: no job takes longer than the longest one seen, and
every rehearsal is made of the same jobs. So each rehearsal begins with a bootstrap of the jobs seen (as many, with
replacement; Efron 1979), on a logarithmic scale, with two things that a few jobs do not tell:

* between and beyond those seen: every draw is blurred by the normal-reference bandwidth of a kernel density, 1.06 ·
  min(standard deviation, interquartile range / 1.34) · n^(-1/5) (Silverman 1986, section 3.4.2), so that a second
  mode far away does not widen it;
* how wide they spread: all are stretched about their median by sqrt((n - 1) / χ²) with n - 1 degrees of freedom, as
  the standard deviation of n jobs is to the true one where logarithms are normal.
"""

from __future__ import annotations

import math
import statistics
from random import Random

from sumeasync.simulator import Observed

__all__ = ["blur_of", "resampled"]

LEAST_SECONDS = 0.001
"""A duration as short as this, or shorter, counts as this long on the logarithmic scale."""

NORMAL_IQR = 1.34
"""Standard deviations between the quartiles of a normal distribution."""

LEAST_CHI_SQUARED = 1e-9
MOST_STRETCH = 2.0


def resampled(seen: Observed, rng: Random) -> Observed:
    """As many jobs as were seen, each any of them, stretched and blurred; of a single one nothing can be told."""
    spans = seen.spans
    if len(spans) < 2:
        return seen
    logs = [logarithm(span) for span in spans]
    centre, stretch = statistics.median(logs), stretch_of(len(spans), rng)
    factors = [math.exp((stretch - 1.0) * (log - centre)) for log in logs]
    chosen = rng.choices(range(len(spans)), k=len(spans))
    stretched = ((spans[n][0] * factors[n], spans[n][1] * factors[n]) for n in chosen)
    return Observed(tuple(stretched), stretch * blur_of(logs))


def logarithm(span: tuple[float, float]) -> float:
    """The logarithm of the middle of a span."""
    return math.log(max(LEAST_SECONDS, 0.5 * (span[0] + span[1])))


def stretch_of(jobs: int, rng: Random) -> float:
    """How much wider the durations of all jobs may spread than those of so many."""
    chi_squared = max(LEAST_CHI_SQUARED, rng.gammavariate(0.5 * (jobs - 1), 2.0))
    return min(MOST_STRETCH, math.sqrt((jobs - 1) / chi_squared))


def blur_of(logs: list[float]) -> float:
    """The standard deviation of the noise on two or more logarithms of durations; 0 when all are the same."""
    low, _, high = statistics.quantiles(logs, n=4)
    width = statistics.stdev(logs)
    return 1.06 * min(width, (high - low) / NORMAL_IQR or width) / math.pow(len(logs), 0.2)
