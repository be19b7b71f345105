"""Named fault profiles."""

from __future__ import annotations

import pytest

from sumeasync.errors import SettingsError
from sumeasync.simulator import PROFILES, profile


def test_profiles_by_name() -> None:
    """``none`` has no rules, the others do."""
    assert profile("none") == ()
    assert profile("flaky") == PROFILES["flaky"] != ()
    assert profile("hostile") != ()


def test_flaky_leaves_creates_alone() -> None:
    """A flaky service troubles reads only, five percent of them in all."""
    assert sum(rule.probability for rule in profile("flaky")) == pytest.approx(0.05)
    assert not any({"create", "any"} & rule.on for rule in profile("flaky"))


def test_unknown_profile() -> None:
    """An unknown name is refused with the names there are."""
    with pytest.raises(SettingsError, match="none, flaky, hostile"):
        profile("tuesday")
