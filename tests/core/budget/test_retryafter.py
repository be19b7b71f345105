from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.budget.retryafter import LimitView, rate_limit, retry_after_seconds

NOW = 784_111_747.0  # Sun, 06 Nov 1994 08:49:07 GMT: half a minute before the date used below


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ("99999999", 3600.0),
        ("9" * 400, 3600.0),
        ("-1", 0.0),
        ("5, 7", 7.0),
        ("abc, 7", 7.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30.0),
        ("Sun Nov  6 08:49:37 1994", 30.0),
        ("5, Sun, 06 Nov 1994 08:49:37 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Sun, 06 Nov 2094 08:49:37 GMT", 3600.0),
        ("Sunday, 06-Nov-45 08:49:37 GMT", 0.0),  # 1945: 2045 would be more than 50 years ahead
    ],
)
def test_readable(text: str, seconds: float) -> None:
    """Every form of Retry-After becomes seconds between 0 and the cap."""
    assert retry_after_seconds(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [None, "", " ", ",", "abc", "inf", "-inf", "nan", "1e400", "1_0", "٣", "5 s", "Sun, 31 Feb 1994 08:49:37 GMT",
     "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT"],
)  # fmt: skip  # one line a value would hide the list
def test_unreadable(text: str | None) -> None:
    """What is no legal value is no hint at all."""
    assert retry_after_seconds(text, NOW) is None


@pytest.mark.parametrize(
    ("wall_now", "text", "seconds"),
    [
        (1_800_000_000.0, "Sunday, 06-Nov-94 08:49:37 GMT", 0.0),  # in 2027 "94" is 1994
        (946_684_795.0, "Saturday, 01-Jan-00 00:00:00 GMT", 5.0),  # in 1999 "00" is 2000
    ],
)
def test_two_digit_years(wall_now: float, text: str, seconds: float) -> None:
    """A year of two digits is the nearest such year, at most 50 years ahead."""
    assert retry_after_seconds(text, wall_now) == seconds


HOSTILE = st.one_of(
    st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d\d (Jan|Feb|Nov) \d{2,4} \d\d:\d\d:\d\d GMT"), st.floats().map(str)
)


@given(HOSTILE, st.floats())
def test_any_text(text: str, wall_now: float) -> None:
    """No text and no clock reading makes either reader raise or leave its bounds."""
    seconds = retry_after_seconds(text, wall_now)
    assert seconds is None or 0.0 <= seconds <= 3600.0
    names = ("ratelimit", "ratelimit-limit", "ratelimit-remaining", "x-ratelimit-reset")
    view = rate_limit(dict.fromkeys(names, text), wall_now)
    assert view is None or view.reset_seconds is None or 0.0 <= view.reset_seconds <= 86_400.0


@pytest.mark.parametrize(
    ("headers", "view"),
    [
        ({}, None),
        ({"ratelimit-limit": "lots"}, None),
        ({"ratelimit-limit": "120", "ratelimit-remaining": "3", "ratelimit-reset": "12"}, LimitView(120, 3, 12)),
        ({"x-ratelimit-limit": "120", "x-ratelimit-remaining": "3", "x-ratelimit-reset": "12"}, LimitView(120, 3, 12)),
        ({"x-rate-limit-remaining": "3", "content-type": "text/plain"}, LimitView(None, 3, None)),
        ({"ratelimit-remaining": "3", "x-ratelimit-remaining": "9"}, LimitView(None, 3, None)),
        ({"ratelimit-limit": "100, 100;w=60"}, LimitView(100, None, None, 60)),
        ({"ratelimit-limit": "20", "ratelimit-policy": "20;w=1"}, LimitView(20, None, None, 1)),
        ({"ratelimit-limit": "20", "ratelimit-policy": '"default";q=20;w=1'}, LimitView(20, None, None, 1)),
        ({"ratelimit-limit": "20", "ratelimit-policy": "900;w=60, 20;w=1"}, LimitView(20, None, None, 1)),
        ({"ratelimit-limit": "20", "ratelimit-policy": "20;w=60, 20;w=1"}, LimitView(20)),
        ({"ratelimit-limit": "20", "ratelimit-policy": "900;w=60"}, LimitView(20)),
        ({"ratelimit": "limit=100, remaining=3, reset=12"}, LimitView(100, 3, 12)),
        ({"ratelimit": '"default";r=3;t=12', "ratelimit-policy": '"default";q=100;w=60'}, LimitView(100, 3, 12, 60)),
        ({"ratelimit": '"minute";r=3;t=12, "day";r=900;t=4000'}, LimitView(None, 3, 12)),
        ({"ratelimit": "limit=100, remaining=3, reset=12", "x-ratelimit-remaining": "9"}, LimitView(100, 3, 12)),
        (
            {
                "ratelimit": '"day";r=9000;t=40000, "minute";r=30;t=12',
                "ratelimit-policy": '"day";q=10000;w=86400, "minute";q=120;w=60',
            },
            LimitView(120, 30, 12, 60),
        ),
        ({"ratelimit": '"day";r=2;t=40000, "minute";r=30;t=12'}, LimitView(None, 2, 40_000)),
        ({"ratelimit-policy": "100;w=60"}, None),
        ({"x-ratelimit-reset": "784111777"}, LimitView(None, None, 86_400)),
        ({"ratelimit-remaining": "-4", "ratelimit-reset": "-1"}, LimitView(None, 0, 0)),
    ],
)
def test_limits(headers: dict[str, str], view: LimitView | None) -> None:
    """The announced limit is read from separate, prefixed and combined fields."""
    assert rate_limit(headers, NOW) == view


@pytest.mark.parametrize("reset", ["1800000042", "1800000042000", "Fri, 15 Jan 2027 08:00:42 GMT"])
def test_reset_as_a_moment(reset: str) -> None:
    """A reset given as epoch seconds, milliseconds or a date becomes seconds from now."""
    assert rate_limit({"x-ratelimit-reset": reset}, 1_800_000_000.0) == LimitView(None, None, 42.0)
