"""Scripted trouble: rules that match requests and say what goes wrong with the answer.

A rule reads as JSON, for example ``{"on": ["poll"], "nth": 3, "do": {"kind": "status", "status": 503}}``. The first
rule that matches and is due decides. An action with ``act`` false happens instead of the request's effect; with
``act`` true the effect takes place first, so that a lost answer to a paid create can be played.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Literal, TypeAlias

import msgspec

from sumeasync.errors import SettingsError
from sumeasync.models import JSON
from sumeasync.simulator.calls import Operation

__all__ = [
    "Action",
    "Body",
    "Delay",
    "Etag",
    "Faults",
    "GzipBomb",
    "Headers",
    "Huge",
    "Occasion",
    "Patch",
    "Redirect",
    "Reset",
    "Rule",
    "Stall",
    "Status",
    "Truncate",
    "Where",
    "load_rules",
]

Where: TypeAlias = Operation | Literal["any"]


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="kind", forbid_unknown_fields=True):
    """Answer with an HTTP status: the documented error envelope, or nothing at all.

    `retry_after` is sent as it stands, whatever it says.
    """

    status: int
    code: str | None = None
    message: str = "scripted"
    retry_after: str | None = None
    headers: dict[str, str] = {}
    envelope: bool = True
    act: bool = False


class Reset(msgspec.Struct, frozen=True, tag="reset", tag_field="kind", forbid_unknown_fields=True):
    """Cut the connection without an answer."""

    act: bool = False


class Delay(msgspec.Struct, frozen=True, tag="delay", tag_field="kind", forbid_unknown_fields=True):
    """Act, then answer `seconds` (plus up to `jitter_seconds`) late; seconds of the server's loop."""

    seconds: float
    jitter_seconds: float = 0.0


class Stall(msgspec.Struct, frozen=True, tag="stall", tag_field="kind", forbid_unknown_fields=True):
    """Send the headers and this fraction of the body, then nothing for `seconds`, then cut."""

    fraction: float = 0.5
    seconds: float = 3600.0


class Truncate(msgspec.Struct, frozen=True, tag="truncate", tag_field="kind", forbid_unknown_fields=True):
    """Send this fraction of the body and close; ``none`` announces no length, so only the content can tell."""

    fraction: float = 0.5
    framing: Literal["length", "chunked", "none"] = "length"


class Body(msgspec.Struct, frozen=True, tag="body", tag_field="kind", forbid_unknown_fields=True):
    """Answer with this text: invalid JSON, a captive portal's page, nothing; with headers, a false encoding."""

    text: str = ""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    act: bool = False


class GzipBomb(msgspec.Struct, frozen=True, tag="gzip_bomb", tag_field="kind", forbid_unknown_fields=True):
    """Answer with a small gzip body that unpacks to `size` bytes."""

    size: int = 64 << 20
    act: bool = False


class Huge(msgspec.Struct, frozen=True, tag="huge", tag_field="kind", forbid_unknown_fields=True):
    """Answer with `size` bytes, chunked."""

    size: int = 1 << 30
    act: bool = False


class Patch(msgspec.Struct, frozen=True, tag="patch", tag_field="kind", forbid_unknown_fields=True):
    """Change fields of the answer (in a list: of each entry): a strange status, a missing id, extra fields."""

    set: dict[str, JSON] = {}
    drop: tuple[str, ...] = ()


class Headers(msgspec.Struct, frozen=True, tag="headers", tag_field="kind", forbid_unknown_fields=True):
    """Set headers of the answer: Set-Cookie, a wrong Content-Type or Content-Range."""

    headers: dict[str, str]


class Etag(msgspec.Struct, frozen=True, tag="etag", tag_field="kind", forbid_unknown_fields=True):
    """Serve media as if its entity tag were this one, also when comparing If-Range."""

    value: str


class Redirect(msgspec.Struct, frozen=True, tag="redirect", tag_field="kind", forbid_unknown_fields=True):
    """Send the client elsewhere."""

    location: str
    status: int = 302
    act: bool = False


Action: TypeAlias = (
    Status | Reset | Delay | Stall | Truncate | Body | GzipBomb | Huge | Patch | Headers | Etag | Redirect
)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When `do` happens: conditions are joined by "and".

    Args:
        on: operations, or ``any``.
        job_id: only for this job; type: only for this type of job; terminal: only when the job has (not) ended.
        from_seconds: only at or after this second of the world; until_seconds: only before it.
        nth: only the nth request that meets the conditions above; every: only each k-th of them.
        each_job: `nth` and `every` count for each job apart.
        probability: of those that remain; times: never more often than this.
    """

    do: Action
    on: frozenset[Where] = frozenset[Where]({"any"})
    job_id: str | None = None
    type: str | None = None
    terminal: bool | None = None
    from_seconds: float | None = None
    until_seconds: float | None = None
    nth: int | None = None
    every: int | None = None
    each_job: bool = False
    probability: float = 1.0
    times: int | None = None


class Occasion(msgspec.Struct, frozen=True):
    """What a rule may look at; `terminal` is None when no known job is meant."""

    operation: Operation
    now: float
    job_id: str | None = None
    type: str | None = None
    terminal: bool | None = None


class Faults:
    """The rules of one world and how often each has matched and fired."""

    def __init__(self, rules: Iterable[Rule], rng: Random) -> None:
        self.rules = tuple(rules)
        self.rng = rng
        self.matched: list[dict[str, int]] = [{} for _ in self.rules]
        self.fired = [0] * len(self.rules)

    def pick(self, occasion: Occasion) -> Action | None:
        """Return what goes wrong on this occasion; every matching rule counts it, the first due one decides."""
        action = None
        for index, rule in enumerate(self.rules):
            if not _matches(rule, occasion):
                continue
            scope = (occasion.job_id or "") if rule.each_job else ""
            count = self.matched[index][scope] = self.matched[index].get(scope, 0) + 1
            if action is None and self._due(index, rule, count):
                self.fired[index] += 1
                action = rule.do
        return action

    def _due(self, index: int, rule: Rule, count: int) -> bool:
        if rule.nth is not None and count != rule.nth:
            return False
        if rule.every is not None and count % rule.every:
            return False
        if rule.times is not None and self.fired[index] >= rule.times:
            return False
        return rule.probability >= 1 or self.rng.random() < rule.probability


def load_rules(data: bytes | list[JSON]) -> tuple[Rule, ...]:
    """Read a JSON list of rules, as text or decoded. Raises `SettingsError` naming the place."""
    try:
        if isinstance(data, bytes):
            return tuple(msgspec.json.decode(data, type=list[Rule]))
        return tuple(msgspec.convert(data, type=list[Rule]))
    except (msgspec.ValidationError, msgspec.DecodeError) as exc:
        raise SettingsError(f"the fault rules cannot be read: {exc}") from exc


def _matches(rule: Rule, occasion: Occasion) -> bool:
    wanted = (
        (rule.job_id, occasion.job_id),
        (rule.type, occasion.type),
        (rule.terminal, occasion.terminal),
    )
    return (
        ("any" in rule.on or occasion.operation in rule.on)
        and all(want is None or want == have for want, have in wanted)
        and (rule.from_seconds is None or occasion.now >= rule.from_seconds)
        and (rule.until_seconds is None or occasion.now < rule.until_seconds)
    )
