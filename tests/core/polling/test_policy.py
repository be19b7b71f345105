"""Polling policies: when the first and the next question is due, and how long to wait after a fault."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.polling.policy import DEFAULT_POLICIES, OTHER, Policy, first_delay, gap_at, policy_for, retry_delay
from sumeasync.errors import SettingsError
from sumeasync.models import KINDS

seeds = st.integers(0, 2**32).map(Random)
policies = st.builds(
    lambda interval, more, jitter, growth, first: Policy(
        first_delay=first, interval=interval, cap=interval + more, jitter=jitter, growth=growth
    ),
    st.floats(0.05, 100),
    st.floats(0, 1000),
    st.floats(0, 0.25),
    st.floats(0, 10),
    st.floats(0, 1000),
)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"interval": 0.04}, "interval"),
        ({"interval": 31.0}, "interval"),
        ({"interval": math.nan}, "interval"),
        ({"interval": math.inf, "cap": math.inf}, "cap"),
        ({"cap": math.nan}, "interval"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": 0.26}, "jitter"),
        ({"jitter": math.nan}, "jitter"),
        ({"first_delay": -1.0}, "first_delay"),
        ({"first_delay": math.nan}, "first_delay"),
        ({"first_delay": math.inf}, "first_delay"),
        ({"growth": -0.1}, "growth"),
        ({"growth": math.nan}, "growth"),
        ({"growth": math.inf}, "growth"),
        ({"deadline": 0.0}, "deadline"),
        ({"deadline": math.nan}, "deadline"),
        ({"queue_timeout": -1.0}, "queue_timeout"),
        ({"run_timeout": 0.0}, "run_timeout"),
    ],
)
def test_impossible_policies_are_refused(changes: dict[str, Any], named: str) -> None:
    """A value that cannot work is refused by name."""
    with pytest.raises(SettingsError, match=named):
        Policy(**changes)


def test_bounds_may_be_left_out() -> None:
    """None is no bound."""
    assert Policy(deadline=None, queue_timeout=None, run_timeout=None).deadline is None


def test_every_known_type_has_a_policy() -> None:
    """Each kind of work has its own policy, slower ones a longer interval, and there is one for all others."""
    assert set(DEFAULT_POLICIES) == {*KINDS, OTHER}
    intervals = [DEFAULT_POLICIES[type].interval for type in ("image_generation", "video_generation", "ads_video")]
    assert sorted(intervals) == intervals
    assert max(policy.interval for policy in DEFAULT_POLICIES.values()) == (
        DEFAULT_POLICIES["reference_analysis"].interval
    )


def test_policy_for_falls_back() -> None:
    """A type without a policy gets the one for all others: the caller's, or the default."""
    own, other = Policy(interval=1), Policy(interval=2)
    assert policy_for({"a": own, OTHER: other}, "a") is own
    assert policy_for({"a": own, OTHER: other}, "b") is other
    assert policy_for({"a": own}, "b") is DEFAULT_POLICIES[OTHER]


@given(policies, seeds)
def test_first_poll_has_a_random_phase(policy: Policy, rng: Random) -> None:
    """The first poll comes within one interval after the first delay; an adopted job is asked about within one."""
    assert 0 <= first_delay(policy, rng) - policy.first_delay <= policy.interval * (1 + 1e-9) + 1e-9
    assert 0 <= first_delay(policy, rng, adopted=True) < policy.interval


@given(policies, st.floats(-10, 1e7))
def test_gaps_stay_in_bounds(policy: Policy, age: float) -> None:
    """A gap lies between interval and cap at any age."""
    assert policy.interval <= gap_at(policy, age) <= policy.cap


@pytest.mark.parametrize(("age", "gap"), [(0, 5), (50, 5), (100, 10), (299, 29.9), (1e6, 30)])
def test_gap_grows_with_age(age: float, gap: float) -> None:
    """The gap is the interval, then a tenth of the age, then the cap."""
    assert gap_at(Policy(interval=5, cap=30, growth=0.1), age) == pytest.approx(gap)


@given(st.integers(0, 10**9), seeds)
def test_retries_wait_a_little_longer_each_time(faults: int, rng: Random) -> None:
    """A retry waits at least a quarter second and at most twice as long as before, up to a minute and a quarter."""
    assert 0.25 <= retry_delay(faults, rng) <= 0.25 + min(60.0, 2.0 ** min(faults, 10))


def test_retries_are_spread_over_the_whole_span() -> None:
    """Full jitter: retries after one common fault fall all over the span."""
    delays = [retry_delay(6, Random(seed)) for seed in range(400)]
    assert min(delays) < 2
    assert max(delays) > 58
    assert 25 < sum(delays) / len(delays) < 35
