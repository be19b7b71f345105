"""How long jobs of a type take, learned from those that ended, and what that says about when to ask.

A `Model` holds the completion time of one type as a histogram over 97 log-spaced bins (half a second to a day, 13 %
wide), from which it derives survival R(t) = P(still running at t) and its integral S. Within a bin the density is
constant, so R is piecewise linear, S piecewise quadratic, and every query is exact and cheap.

What is learned:

* A job seen running at `low` and ended at `high` ended somewhere between. Its unit of mass is spread over that span
  in proportion to the present model: one step of expectation-maximisation (Turnbull's self-consistency). A midpoint
  would pile mass where the polls happened to be; the spread lets narrow spans sharpen what wide ones leave open.
  A job that was still running when last seen is the same with no upper end.
* Mass fades with a half-life of 200 jobs. A broad prior counts as 20 jobs and fades too.
* Half a percent of the mass is spread evenly over all bins and beyond, whatever was seen. On a logarithmic axis that
  is a heavy tail (hazard ~ 1/t): surprises stay possible at any age. More of it would pay for many polls before the
  usual duration; that no job is left alone for too long is for the bounds in `core/polling/pacing.py` to see to.

The model is a pure fold: the same observations in the same order give the same tables, however often it is asked.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from itertools import pairwise
from operator import neg

from sumeasync.core.records import Ended
from sumeasync.models import JSON

__all__ = ["RUN", "Durations", "Model", "size_of"]

RUN = "run"
"""The bucket of durations counted from when a job was seen to start running, not from its creation."""

BINS = 97
FIRST_EDGE_SECONDS, LAST_EDGE_SECONDS = 0.5, 86_400.0
TYPICAL_SECONDS = 60.0
PRIOR_JOBS = 20.0
PRIOR_SIGMA = 0.9
HALF_LIFE_JOBS = 200.0
TAIL_MASS = 0.005
MAX_MODELS = 256

_RATIO = (LAST_EDGE_SECONDS / FIRST_EDGE_SECONDS) ** (1.0 / (BINS - 1))
_EDGES: list[float] = [0.0, *(FIRST_EDGE_SECONDS * _RATIO**power for power in range(BINS))]
_WIDTHS = [upper - lower for lower, upper in pairwise(_EDGES)]
_END = _EDGES[-1]
_WEIGHT_GROWTH = 2.0 ** (1.0 / HALF_LIFE_JOBS)  # newer jobs weigh more, instead of older ones being scaled down
_MAX_WEIGHT = 1e6
_MAX_STALE_JOBS = 16
_LEAST_SECONDS = 1e-9
_SIZES = ("1", "2", "5", "10", "20", "50", "100", "200", "500", "1000")
_CHECKED_DECAY = 0.9
_CHECKED_JOBS = 5
_DISTRUST = 2.0
_TOLD = 0.2
_ENDED_BY_ITSELF = ("completed", "failed")
_CUT_SHORT = ("canceled", "expired", "timed_out")


class Model:
    """The completion time of one type of job. Ages and results are seconds; beyond a day nothing is expected to end.

    `jobs` were learned from, `usual` is their median. `trusted` is False while recent ones were noticed at more than
    twice the delay predicted.
    """

    __slots__ = (
        "_checked", "_density", "_integral", "_mass", "_mean", "_observed", "_predicted", "_rebuild_at", "_root",
        "_survival", "_weight", "jobs", "trusted", "usual",
    )  # fmt: skip  # one name a line would hide the list

    def __init__(self, typical_seconds: float) -> None:
        shares = [_lognormal_cdf(edge / typical_seconds) for edge in _EDGES] + [1.0]
        self._mass = [PRIOR_JOBS * (upper - lower) for lower, upper in pairwise(shares)]
        self._weight = 1.0
        self._observed = self._predicted = 0.0
        self._checked = 0
        self.jobs = 0
        self.trusted = True
        self._rebuild()

    def __repr__(self) -> str:
        return f"Model(jobs={self.jobs}, median={self.usual:.3g} s, trusted={self.trusted})"

    def survival(self, t: float) -> float:
        """R(t): the share of jobs still running at age `t`."""
        if not 0.0 < t < _END:
            return 1.0 if t <= 0.0 else self._survival[BINS]
        index = bisect_right(_EDGES, t) - 1
        return self._survival[index] - self._density[index] * (t - _EDGES[index])

    def integral(self, t: float) -> float:
        """S(t), the integral of R from 0 to `t`: the mean time a job has run by age `t`."""
        if not 0.0 < t < _END:
            return t if t <= 0.0 else self._integral[BINS] + self._survival[BINS] * (t - _END)
        index = bisect_right(_EDGES, t) - 1
        since = t - _EDGES[index]
        return self._integral[index] + since * (self._survival[index] - 0.5 * self._density[index] * since)

    def quantile(self, p: float) -> float:
        """The age by which a share `p` of jobs has ended; infinite when that is beyond a day."""
        left = 1.0 - p
        if left < self._survival[BINS]:
            return math.inf
        index = max(1, bisect_left(self._survival, -left, key=neg)) - 1
        return _EDGES[index] + max(0.0, self._survival[index] - left) / self._density[index]

    def undetected(self, a: float, b: float) -> float:
        """A(a, b): expected seconds a job alive at age `a` will have been finished, unnoticed, by age `b`."""
        if not 0.0 <= a < b:
            return 0.0 if b <= a else self.undetected(0.0, b)
        index = bisect_right(_EDGES, a) - 1
        since, density = a - _EDGES[index], self._density[index] if index < BINS else 0.0
        alive = self._survival[index] - density * since
        before = self._integral[index] + since * (self._survival[index] - 0.5 * density * since)
        return max(0.0, (b - a) - (self.integral(b) - before) / alive)

    def gap(self, a: float, threshold: float) -> float:
        """The inverse of A: how long after age `a` the expected undetected time reaches `threshold` seconds.

        Infinite when it never does. Within the bin of `a` it grows with the square of time. Beyond, with A multiplied
        by R(a), the sought age solves b·R(a) - S(b) = const, whose left side rises from b = a on: search the edges
        above, then solve the quadratic within the bin.
        """
        if threshold < _LEAST_SECONDS or a >= _END:
            return 0.0 if threshold < _LEAST_SECONDS else math.inf
        a, integral = max(a, 0.0), self._integral
        above = bisect_right(_EDGES, a)
        since, density = a - _EDGES[above - 1], self._density[above - 1]
        alive = self._survival[above - 1] - density * since
        gap = math.sqrt(2.0 * threshold * alive / density)
        if a + gap <= _EDGES[above]:
            return gap
        target = (threshold + a) * alive - integral[above - 1] - since * (alive + 0.5 * density * since)
        numbers = range(BINS + 1)
        index = bisect_right(numbers, target, lo=above + 1, key=lambda edge: _EDGES[edge] * alive - integral[edge]) - 1
        rest = max(0.0, target - _EDGES[index] * alive + integral[index])
        slope = alive - self._survival[index]
        density = self._density[index] if index < BINS else 0.0
        return _EDGES[index] - a + 2.0 * rest / (slope + math.sqrt(slope * slope + 2.0 * density * rest))

    def worth_of(self, interval: float) -> float:
        """The A that a fixed `interval` costs on a job of this typical duration of which nothing else is known.

        For a memoryless job h = 1/E[T] and A = h·d²/2. Spent on a known duration, the same A needs fewer polls and
        leaves less delay, both by the same factor, the root of E[T] / (integral of sqrt(f·R))²; which is at least 1
        (Cauchy-Schwarz), however few jobs take how much longer than most. A median in place of E[T] has no such bound.
        """
        return interval * interval / (2.0 * max(self._mean, interval))

    def observe(self, low: float, high: float, exact: float | None = None, *, watched: bool = True) -> None:
        """Learn from one job: running at age `low`, ended by `high` (infinite: not seen to end).

        `exact` is the server's own figure and is held within the two. Ages that make no sense are passed over. A job
        that was not `watched`, because nothing ran, says nothing of how well the model predicts.
        """
        if not 0.0 <= low <= high:
            return
        point = None if exact is None or math.isnan(exact) else min(max(exact, low), high)
        if watched and low < high < math.inf and self.survival(high) > _TOLD * self.survival(low):
            self._check(low, high, high - point if point is not None else 0.5 * (high - low))
        self._weight *= _WEIGHT_GROWTH
        self.jobs += 1
        self._spread(*(low, high) if point is None else (point, point))
        if self.jobs >= self._rebuild_at:
            self._rebuild()

    def _check(self, low: float, high: float, delay: float) -> None:
        """Hold the delay of one job against what its last gap should have cost on average.

        A gap worth A, repeated at equal A over all ages, means delays of sqrt(A/2) · integral of sqrt(f·R). That is so
        for gaps in which few jobs end; one in which nearly all do came late, for want of requests, and tells nothing.
        """
        predicted = math.sqrt(0.5 * self.undetected(low, high)) * self._root
        self._observed = self._observed * _CHECKED_DECAY + delay
        self._predicted = self._predicted * _CHECKED_DECAY + predicted
        self._checked += 1
        self.trusted = self._checked < _CHECKED_JOBS or self._observed <= _DISTRUST * self._predicted

    def _spread(self, low: float, high: float) -> None:
        first, last = bisect_right(_EDGES, low) - 1, bisect_right(_EDGES, high) - 1
        if first == last:
            self._mass[first] += self._weight
            return
        # A bin half covered counts by its covered half: survival at both ends of the covered part tells.
        inner = self._survival[first + 1 : last + 1]
        levels = [self.survival(low), *inner, self.survival(high) if high < math.inf else 0.0]
        share = self._weight / (levels[0] - levels[-1])
        for index in range(last - first + 1):
            self._mass[first + index] += share * (levels[index] - levels[index + 1])

    def _rebuild(self) -> None:
        """Derive the tables; at most every 16 jobs, and by the count of jobs alone so that replay repeats it."""
        self._rebuild_at = self.jobs + max(1, min(_MAX_STALE_JOBS, self.jobs // 16))
        if self._weight > _MAX_WEIGHT:
            self._mass = [mass / self._weight for mass in self._mass]
            self._weight = 1.0
        scale, floor = (1.0 - TAIL_MASS) / sum(self._mass), TAIL_MASS / (BINS + 1)
        shares = [scale * mass + floor for mass in _smoothed(self._mass)]
        survival = [shares[BINS]]
        for share in reversed(shares[:BINS]):
            survival.append(survival[-1] + share)
        survival.reverse()
        survival[0] = 1.0  # but for rounding
        self._survival, self._integral = survival, [0.0]
        self._density = [share / width for share, width in zip(shares, _WIDTHS, strict=False)]
        self._root = self._mean = run = 0.0
        for index, density in enumerate(self._density):
            upper, lower = survival[index], survival[index + 1]
            area = 0.5 * (upper + lower) * _WIDTHS[index]
            run += area
            self._integral.append(run)
            if shares[index] > 2.0 * floor:  # bins where something was learned
                self._mean += area
                self._root += (upper * math.sqrt(upper) - lower * math.sqrt(lower)) / (1.5 * math.sqrt(density))
        self.usual = self.quantile(0.5)


class Durations:
    """One `Model` for each (type, bucket), made when first asked for.

    `typical_seconds` gives a type's usual duration (else a minute) before anything is known of it; a factor of two off
    does no harm. Jobs of a type that are asked to produce more take longer: beside the model of the whole type there is
    one for each size that occurs (`size_of`), which is followed once it has seen enough.
    """

    def __init__(self, typical_seconds: Mapping[str, float] | None = None) -> None:
        self._typical = dict(typical_seconds or {})
        self._models: dict[tuple[str, str], Model] = {}

    def model(self, type: str, bucket: str = "") -> Model:
        """The model of `type`, kept apart by `bucket`; beyond 256 of them, strangers share one."""
        key = (type, bucket)
        if (model := self._models.get(key)) is not None:
            return model
        if len(self._models) >= MAX_MODELS:
            key = ("", bucket)
        return self._models.setdefault(key, Model(self._typical.get(key[0], TYPICAL_SECONDS)))

    def fold(self, record: Ended) -> None:
        """Learn from the end of a job: its age since creation, and since it was seen to start in the bucket `RUN`."""
        alive_at = record.alive_at
        for size in ("", record.size) if record.size else ("",):
            if record.created_at is not None:
                self._learn(record, size, record.created_at, alive_at, record.server_seconds)
            if record.started_at is not None:
                self._learn(record, RUN + size, record.started_at, alive_at, None)

    def _learn(self, record: Ended, bucket: str, start: float, alive_at: float | None, exact: float | None) -> None:
        low = max(0.0, (start if alive_at is None else alive_at) - start)
        if record.status in _ENDED_BY_ITSELF:
            self.model(record.type, bucket).observe(low, record.at - start, exact, watched=alive_at is not None)
        elif record.status in _CUT_SHORT:
            self.model(record.type, bucket).observe(low, math.inf)


def size_of(input: Mapping[str, JSON]) -> str:
    """The bucket of a job by how much it is to produce: its `duration` in seconds, rounded up in steps of 1, 2, 5."""
    seconds = input.get("duration")
    if not (type(seconds) is int or type(seconds) is float) or not 0 < seconds < math.inf:
        return ""
    return next(step for step in _SIZES if step == _SIZES[-1] or seconds <= float(step))


def _lognormal_cdf(ratio: float) -> float:
    return 0.5 * (1.0 + math.erf(math.log(ratio) / (PRIOR_SIGMA * math.sqrt(2.0)))) if ratio > 0.0 else 0.0


def _smoothed(mass: list[float]) -> list[float]:
    """Blend each bin with its neighbours (1:2:1): with few jobs a histogram has gaps that no duration has."""
    padded = [mass[0], *mass, mass[-1]]
    return [0.25 * (a + b + b + c) for a, b, c in zip(padded, padded[1:], padded[2:], strict=False)]
