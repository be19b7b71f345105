"""Named sets of fault rules."""

from __future__ import annotations

from sumeasync.errors import SettingsError
from sumeasync.simulator.faults import Body, Delay, GzipBomb, Headers, Redirect, Reset, Rule, Status, Where

__all__ = ["PROFILES", "profile"]

READS: frozenset[Where] = frozenset({"poll", "result", "list", "download", "read"})

FLAKY = (
    Rule(on=READS, probability=0.0125, do=Status(503)),
    Rule(on=READS, probability=0.0125, do=Reset()),
    Rule(on=READS, probability=0.0125, do=Status(429, retry_after="1")),
    Rule(on=READS, probability=0.0125, do=Delay(1.0, jitter_seconds=4.0)),
)

HOSTILE = (
    Rule(on=READS, probability=0.01, do=Redirect("http://169.254.169.254/latest/meta-data/")),
    Rule(on=READS, probability=0.01, do=Redirect("http://10.0.0.1/")),
    Rule(on=READS, probability=0.01, do=GzipBomb()),
    Rule(on=READS, probability=0.01, do=Body("<!doctype html><title>Sign in</title>", content_type="text/html")),
    Rule(on=READS, probability=0.01, do=Body('{"id": "job_')),
    Rule(probability=0.05, do=Headers({"Set-Cookie": "track=1; Path=/"})),
)

PROFILES: dict[str, tuple[Rule, ...]] = {"none": (), "flaky": FLAKY, "hostile": HOSTILE}


def profile(name: str) -> tuple[Rule, ...]:
    """Return the rules of a named profile. Raises `SettingsError` when there is none of that name."""
    if name not in PROFILES:
        raise SettingsError(f"no fault profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]
