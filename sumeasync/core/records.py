"""What the journal remembers: one record a fact, appended before the fact has consequences.

Order for a create: `Intent` is durable before the first byte of the POST; then exactly one of `Created`,
`Rejected`, `Unknown`. For each job: `Ended` once, `Saved` once its media is whole, `Delivered` once its outcome
line is durable. A record holds no payload, no link and nothing that `redact` would hide.
Every `at` is wall-clock epoch seconds, informative only.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from sumeasync.models import Failure, Media, OutcomeStatus

__all__ = ["Created", "Delivered", "Ended", "Intent", "Record", "Rejected", "Saved", "Unknown"]


class Intent(msgspec.Struct, frozen=True, tag="intent", tag_field="t", omit_defaults=True):
    """We are about to send the create of spec `key`. `payload_hash` is the hex SHA-256 of what is paid for."""

    key: str
    type: str
    payload_hash: str
    at: float
    idempotency_key: str | None = None


class Created(msgspec.Struct, frozen=True, tag="created", tag_field="t", omit_defaults=True):
    """The create of `key` was answered with these job ids, or (`adopted`) the ids were given or found."""

    key: str
    job_ids: tuple[str, ...]
    at: float
    type: str = ""
    payload_hash: str = ""
    adopted: bool = False


class Rejected(msgspec.Struct, frozen=True, tag="rejected", tag_field="t", omit_defaults=True):
    """The create of `key` was refused for certain: nothing was started, nothing was paid."""

    key: str
    at: float
    error: Failure


class Unknown(msgspec.Struct, frozen=True, tag="unknown", tag_field="t", omit_defaults=True):
    """The create of `key` was sent and no answer is known: it may have been paid."""

    key: str
    at: float
    error: Failure


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="t", omit_defaults=True):
    """Job `job_id` reached a terminal state; the first such record wins.

    `created_at`, `started_at` (where it was seen to start), `alive_at` (last seen not terminal) and `at` (detected) are
    enough to learn from: the job ended between `alive_at` and `at`. `server_seconds` is the time since creation by the
    server's own word; `size` is the bucket of jobs of the same type that take about as long.
    """

    key: str
    job_id: str
    status: OutcomeStatus
    at: float
    type: str = ""
    error: Failure | None = None
    created_at: float | None = None
    started_at: float | None = None
    alive_at: float | None = None
    server_seconds: float | None = None
    polls: int = 0
    size: str = ""


class Saved(msgspec.Struct, frozen=True, tag="saved", tag_field="t", omit_defaults=True):
    """Every media file of `job_id` is whole under its final name."""

    key: str
    job_id: str
    at: float
    files: tuple[Media, ...] = ()


class Delivered(msgspec.Struct, frozen=True, tag="delivered", tag_field="t", omit_defaults=True):
    """The outcome line of (`key`, `job_id`) is durable in ``results.jsonl``; `job_id` is None when no job exists."""

    key: str
    at: float
    status: OutcomeStatus
    job_id: str | None = None


Record: TypeAlias = Intent | Created | Rejected | Unknown | Ended | Saved | Delivered
