"""What response headers say about waiting: `Retry-After`, `RateLimit-*` and their `X-` copies.

Headers are a stranger's text: nothing here raises, and whatever cannot be read is None ("no hint").
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

__all__ = ["MAX_RETRY_AFTER_SECONDS", "LimitView", "rate_limit", "retry_after_seconds"]

MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_RESET_SECONDS = 86_400.0

_EPOCH = 1e9  # a reset above this is a moment (2001 or later), not a span of 31 years
_EPOCH_MILLISECONDS = 1e11
_NUMBER = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]*)?)\s*(?:;.*)?")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DATES = (  # RFC 9110, 5.6.7; the weekday is not looked at
    re.compile(rf"[A-Z][a-z]+, (?P<day>\d\d)[ -]{_MONTH}[ -](?P<year>\d{{4}}|\d\d) {_TIME} GMT", re.ASCII),
    re.compile(rf"[A-Z][a-z]+ {_MONTH} +(?P<day>\d\d?) {_TIME} (?P<year>\d{{4}})", re.ASCII),
)
_PARAMETER = re.compile(r"\b([a-z]+)\s*=\s*([0-9]+(?:\.[0-9]*)?)", re.IGNORECASE)
_MEMBER = re.compile(r'("[^"]*"|[\w.*-]+)((?:\s*;[^,;]*)+)', re.ASCII)
_LEFT = re.compile(r";\s*r\s*=\s*([0-9]+(?:\.[0-9]*)?)")
_FIELDS = ("limit", "remaining", "reset")
_SHORT_FIELDS = {"q": "limit", "r": "remaining", "t": "reset"}
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_SEPARATE = tuple((field, tuple(prefix + field for prefix in _PREFIXES)) for field in _FIELDS)
_PLAIN = re.compile(r"[0-9]{1,15}")
_COMBINED = ("ratelimit", "ratelimit-policy")
_NAMES = frozenset([*_COMBINED, *(prefix + field for prefix in _PREFIXES for field in _FIELDS)])


class LimitView(msgspec.Struct, frozen=True):
    """One announcement: requests allowed in a window, those left, seconds until it resets, and seconds it lasts."""

    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None
    window_seconds: float | None = None


def retry_after_seconds(value: str | None, wall_now: float) -> float | None:
    """How long `Retry-After` asks to wait, within 0 and an hour; None when it says nothing readable.

    Accepts whole and decimal seconds and the three HTTP-date forms, measured from `wall_now` (epoch seconds). A past
    date or a negative number is 0. Of several values joined by commas the longest wait wins: it is the safe one.
    """
    waits = [*_seconds(value or ""), *_dates(value or "", wall_now)]
    return min(max(0.0, *waits), MAX_RETRY_AFTER_SECONDS) if waits else None


def rate_limit(headers: Mapping[str, str], wall_now: float) -> LimitView | None:
    """Read the announced limit from `headers` (names in lower case); None when there is none.

    Understands separate fields (``RateLimit-Remaining: 3``) and the combined ``RateLimit: limit=100, remaining=3,
    reset=12`` or ``"default";r=3;t=12``, and the window of that limit in ``RateLimit-Policy: 100;w=60``. A reset given
    as a moment (epoch seconds or milliseconds) or as a date is turned into seconds from `wall_now`; it is held within
    0 and one day.
    """
    if _NAMES.isdisjoint(headers):
        return None  # the usual case, and this is asked for every answer
    found = dict[str, float]()
    if "ratelimit" in headers or "ratelimit-policy" in headers:
        for part in _tightest(headers.get("ratelimit", ""), headers.get("ratelimit-policy", "")):
            for key, number in _PARAMETER.findall(part):
                found.setdefault(_SHORT_FIELDS.get(key, key).lower(), float(number))
    for field, names in _SEPARATE:
        if field not in found and (text := next(filter(None, map(headers.get, names)), None)) is not None:
            values = [float(text)] if _PLAIN.fullmatch(text) else _values(text, wall_now)
            if values:
                found[field] = max(0.0, values[0])
    if found.keys().isdisjoint(_FIELDS):
        return None
    limit, policies = found.get("limit"), headers.get("ratelimit-policy") or headers.get("ratelimit-limit", "")
    window = _windows(policies).get(limit) if ";" in policies else None
    return LimitView(limit, found.get("remaining"), _until(found.get("reset"), wall_now), window)


@functools.lru_cache(maxsize=64)
def _windows(policies: str) -> dict[float | None, float]:
    """Of policies such as ``120;w=60, "day";q=10000;w=86400`` the window of each limit that has only one."""
    found = dict[float | None, set[float]]()
    for quota, parameters in _MEMBER.findall(policies):
        values = {key.lower(): float(number) for key, number in _PARAMETER.findall(parameters)}
        limit = values.get("q", float(quota) if _PLAIN.fullmatch(quota) else None)
        if values.get("w"):
            found.setdefault(limit, set()).add(values["w"])
    return {limit: min(windows) for limit, windows in found.items() if len(windows) == 1}


def _tightest(limits: str, policies: str) -> tuple[str, str]:
    """Of limits such as ``"day";r=900;t=4000, "minute";r=3;t=12`` the one with least left, and the policy it names."""
    members = [(name, text) for name, text in _MEMBER.findall(limits) if _LEFT.search(text)]
    if not members:
        return limits, policies
    name, text = min(members, key=lambda member: float(_LEFT.findall(member[1])[0]))
    return text, dict(_MEMBER.findall(policies)).get(name, policies)


def _values(text: str, wall_now: float) -> list[float]:
    """What a list such as "100, 100;w=60" opens with; what follows describes the policy."""
    return [*_seconds(text), *(date + wall_now for date in _dates(text, wall_now))]


def _until(reset: float | None, wall_now: float) -> float | None:
    if reset is None:
        return None
    if reset > _EPOCH_MILLISECONDS:
        reset /= 1000.0
    if reset > _EPOCH:
        reset -= wall_now
    return min(max(0.0, reset), MAX_RESET_SECONDS)


def _seconds(text: str) -> list[float]:
    matches = (_NUMBER.fullmatch(part) for part in text.split(","))
    return [float(match[1]) for match in matches if match]


def _dates(text: str, wall_now: float) -> list[float]:
    """Seconds from `wall_now` to each HTTP-date in `text`."""
    if ":" not in text:
        return []
    moments = (_moment(match, wall_now) for pattern in _DATES for match in pattern.finditer(text))
    return [moment - wall_now for moment in moments if moment is not None]


def _moment(match: re.Match[str], wall_now: float) -> float | None:
    year = int(match["year"])
    try:
        if len(match["year"]) == 2:  # never more than 50 years ahead (RFC 9110, 5.6.7)
            first = datetime.fromtimestamp(wall_now, UTC).year - 49
            year = first + (year - first) % 100
        second = min(int(match["second"]), 59)  # a leap second is legal and unknown to datetime
        month = _MONTHS.index(match["month"]) + 1
        moment = datetime(year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), second, tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.timestamp() if math.isfinite(wall_now) else None
