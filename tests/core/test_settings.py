"""Settings from a TOML text, from flags, from code."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.polling.policy import DEFAULT_POLICIES, OTHER
from sumeasync.core.settings import COUNTS, LIMITS, Settings
from sumeasync.errors import SettingsError


def test_nothing_set_is_the_defaults() -> None:
    """Without a file or flags every setting has its default, and every type its default policy."""
    assert Settings.load() == Settings()
    assert Settings().policies() == DEFAULT_POLICIES


def test_a_file_sets_and_flags_win() -> None:
    """A flag wins over the file, the file over the default; a flag that is None was not given."""
    settings = Settings.load("reads = 5\ncreates = 3\nread_rate = '120/m'", reads=7, creates=None)
    assert (settings.reads, settings.creates, settings.read_rate, settings.transfers) == (7, 3, "120/m", 8)


def test_policies_of_file_and_texts_merge_by_field() -> None:
    """One field of a policy can be changed, by the file or by a text; the rest of it stays."""
    settings = Settings.load("[poll.video_generation]\ninterval = 8\ncap = 50", polls=["video_generation.interval=9"])
    assert settings.policies()["video_generation"] == msgspec.structs.replace(
        DEFAULT_POLICIES["video_generation"], interval=9, cap=50
    )


@pytest.mark.parametrize("order", [["*.cap=99", "(new).interval=4"], ["(new).interval=4", "*.cap=99"]])
def test_a_new_type_starts_from_the_policy_of_all_others(order: list[str]) -> None:
    """A type of its own begins with what is set for every other type, wherever that stands."""
    policy = Settings.load(polls=order).policies()["(new)"]
    assert (policy.interval, policy.cap) == (4, 99)


def test_a_bound_can_be_lifted() -> None:
    """``none`` takes a deadline away; a type's name may hold dots."""
    policies = Settings.load(polls=["video_generation.deadline=none", "a.b.deadline=none"]).policies()
    assert policies["video_generation"].deadline is None
    assert policies["a.b"].deadline is None


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("reads = ", "not valid TOML"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ("x = " + "1" * 5000, "not valid TOML"),
        ("unknown = 1", "unknown"),
        ("reads = 'many'", "reads"),
        ("reads = 0", "reads must be at least 1"),
        ("max_job_files = 0", "max_job_files must be at least 1"),
        ("max_run_bytes = 0", "max_run_bytes must be at least 1"),
        ("grace = 0", "grace must be positive"),
        ("read_timeout = nan", "read_timeout must be positive"),
        ("poll = 5", "poll must be a table"),
        ("[poll]\nvideo_generation = 5", "poll must be a table"),
        ("[poll.video_generation]\nintervall = 5", "poll.video_generation"),
        ("[poll.video_generation]\ninterval = 'x'", "poll"),
        ("[poll.video_generation]\ninterval = 99", "poll.video_generation: interval"),
        ("[poll.video_generation]\nfirst_delay = nan", "poll.video_generation: first_delay"),
    ],
)
def test_a_bad_file_is_refused_by_name(toml: str, named: str) -> None:
    """Every file that cannot be used is a SettingsError that says where to look."""
    with pytest.raises(SettingsError, match=named):
        Settings.load(toml)


@pytest.mark.parametrize(
    "text",
    ["", "=", "x", "x=1", ".interval=1", "x.=1", "x.interval", "x.interval=", "x.interval=fast", "x.pace=1", "x.y z=1"],
)
def test_a_bad_poll_text_is_refused(text: str) -> None:
    """A text that is not TYPE.FIELD=SECONDS is quoted, with the fields there are."""
    with pytest.raises(SettingsError, match=r"TYPE.FIELD=SECONDS; the fields are first_delay, interval"):
        Settings.load(polls=[text])


def test_a_poll_text_beside_a_broken_table() -> None:
    """A policy in the file that is no table is refused also when a text would change it."""
    with pytest.raises(SettingsError, match="poll must be a table"):
        Settings.load("[poll]\nx = 5", polls=["x.interval=3"])


@pytest.mark.parametrize("name", COUNTS + LIMITS)
def test_counts_and_limits_are_at_least_one(name: str) -> None:
    """No count or limit can be zero: a run would stand still, or keep nothing."""
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: 0})


@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout", "total_timeout", "grace"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_times_are_positive(name: str, value: float) -> None:
    """No time-out can be zero, negative or no number."""
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})


def test_a_policy_from_code_is_checked_at_once() -> None:
    """A policy given in code is judged when the settings are made."""
    with pytest.raises(SettingsError, match=r"poll.\*: jitter"):
        Settings(poll={OTHER: {"jitter": 1.0}})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.text(max_size=40),
    st.lists(st.text(".=abinterval*019none", max_size=16)),
    st.dictionaries(st.sampled_from(Settings.__struct_fields__), values, max_size=3),
)
def test_whatever_is_given_only_settings_errors(toml: str, polls: list[str], flags: dict[str, Any]) -> None:
    """Any text, any flags: settings, or a SettingsError."""
    try:
        settings = Settings.load(toml, polls=polls, **flags)
    except SettingsError:
        return
    assert all(math.isfinite(policy.cap) for policy in settings.policies().values())
