"""Named fault profiles."""

from __future__ import annotations

import pytest

from sumeasync.errors import SettingsError
from sumeasync.simulator import PROFILES, profile
from sumeasync.simulator.faults import Headers


def test_profiles_by_name() -> None:
    """``none`` has no rules, the others do."""
    assert profile("none") == ()
    assert profile("flaky") == PROFILES["flaky"] != ()
    assert profile("hostile") != ()


def test_flaky_leaves_creates_alone() -> None:
    """A flaky service troubles reads only, five percent of them in all."""
    assert sum(rule.probability for rule in profile("flaky")) == pytest.approx(0.05)
    assert not any({"create", "any"} & rule.on for rule in profile("flaky"))


def test_hostile_answers_creates() -> None:
    """A hostile service lies about reads only: what must come of a create stays known."""
    assert all(isinstance(rule.do, Headers) for rule in profile("hostile") if {"create", "any"} & rule.on)
    assert sum(rule.probability for rule in profile("hostile") if "poll" in rule.on) < 0.25


def test_unknown_profile() -> None:
    """An unknown name is refused with the names there are."""
    with pytest.raises(SettingsError, match="none, flaky, hostile"):
        profile("tuesday")
