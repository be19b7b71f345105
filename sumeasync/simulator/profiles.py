"""Named sets of fault rules."""

from __future__ import annotations

from sumeasync.errors import SettingsError
from sumeasync.models import JSON
from sumeasync.simulator.faults import (
    Action,
    Body,
    Delay,
    Etag,
    GzipBomb,
    Headers,
    Huge,
    Patch,
    Redirect,
    Reset,
    Rule,
    Stall,
    Status,
    Truncate,
    Where,
)

__all__ = ["PROFILES", "profile"]

READS: frozenset[Where] = frozenset({"poll", "result", "list", "download", "read"})

FLAKY = (
    Rule(on=READS, probability=0.0125, do=Status(503)),
    Rule(on=READS, probability=0.0125, do=Reset()),
    Rule(on=READS, probability=0.0125, do=Status(429, retry_after="1")),
    Rule(on=READS, probability=0.0125, do=Delay(1.0, jitter_seconds=4.0)),
)

DEEP = "[" * 100_000
DIGITS = "9" * 5000
HUGE_BYTES = 16 << 20
TELLING = (
    "key sume_live_0000feedbeef refused for someone@example.com in workspace ws_12345, "
    "see https://media.sume.so/a.mp4?X-Amz-Signature=0123abcd"
)
PRIVATE = (
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "https://[::1]/",
    "https://0x7f000001/",
    "https://user:password@media.sume.so/",
    "file:///etc/passwd",
    "//",
)
ODD_BODIES = (
    '{"id": "job_',
    '{"status": NaN}',
    '{"status": "completed", "status": "failed"}',
    '{"progress": 1e400}',
    f'{{"progress": {DIGITS}}}',
    DEEP,
    "[]",
    "",
    '{"status": "\\ud800"}',
)
ODD_HEADERS = {
    "Set-Cookie": "track=1; Path=/",
    "Content-Disposition": 'attachment; filename="../../../.ssh/authorized_keys"',
    "Content-Type": "text/x-../../shell; charset=utf-16",
    "Retry-After": "1e400",
    "RateLimit-Remaining": "-1",
    "RateLimit-Reset": "NaN",
}
ODD_FIELDS: tuple[dict[str, JSON], ...] = (
    {"status": "\u202ewaiting\x1b[2J\r\n"},
    {"status": None},
    {"status": ["completed"]},
    {"id": "../../../me", "job_id": "job_other"},
    {"type": "../" * 100},
    {"error": {"code": TELLING, "message": TELLING, "request_id": TELLING}},
    {"created_at": "9999-99-99", "completed_at": -1e300},
)


def _each(where: frozenset[Where], probability: float, *actions: Action) -> tuple[Rule, ...]:
    return tuple(Rule(on=where, probability=probability, do=action) for action in actions)


HOSTILE = (
    *_each(READS, 0.004, *map(Redirect, PRIVATE)),
    *_each(READS, 0.004, GzipBomb(), Huge(HUGE_BYTES)),
    *_each(READS, 0.004, Body("<!doctype html><title>Sign in</title>", content_type="text/html")),
    *_each(READS, 0.004, *map(Body, ODD_BODIES)),
    *_each(READS, 0.004, Body('{"status": "completed"}', headers={"Content-Encoding": "br, gzip, br, gzip"})),
    *_each(READS, 0.004, Status(500, code=TELLING, message=TELLING), Status(503, retry_after="-1", envelope=False)),
    *_each(READS, 0.004, Stall(0.5, 60.0), Truncate(0.5), Truncate(0.5, "chunked"), Truncate(0.5, "none")),
    *_each(frozenset({"poll"}), 0.01, *map(Patch, ODD_FIELDS)),
    *_each(frozenset({"download"}), 0.02, Etag('W/"weak"'), Etag("\x7f")),
    *_each(frozenset({"any"}), 0.05, Headers(ODD_HEADERS)),
)
"""Lies, traps and bombs on everything that is read; creates are answered, so that what must come of it is known."""

PROFILES: dict[str, tuple[Rule, ...]] = {"none": (), "flaky": FLAKY, "hostile": HOSTILE}


def profile(name: str) -> tuple[Rule, ...]:
    """Return the rules of a named profile. Raises `SettingsError` when there is none of that name."""
    if name not in PROFILES:
        raise SettingsError(f"no fault profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]
