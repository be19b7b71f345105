"""Values that every layer shares: no behaviour beyond what a value knows of itself.

All are `msgspec.Struct`: frozen where nothing may change, small, and decoded strictly. What may hold a payload, a link
or a header does not show it: `repr` says which one it is, and no more.
Times named ``…_at`` are wall-clock seconds since the epoch and only informative; durations are ``…_seconds``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

__all__ = [
    "ADOPTED",
    "ASSET_INGEST",
    "JSON",
    "KINDS",
    "Failure",
    "JobView",
    "Lane",
    "Link",
    "Media",
    "Outcome",
    "OutcomeStatus",
    "Request",
    "Response",
    "Spec",
    "Timings",
]

JSON: TypeAlias = Any
"""A decoded JSON document."""

Lane = Literal["read", "create", "media"]
"""Which budget a request is paid from: polls, results and lists; creates; storage and media transfers."""

ASSET_INGEST = "asset_ingest"
KINDS = ("image_generation", "video_generation", "ads_video", "face_swap", "reference_analysis", ASSET_INGEST)
"""The kinds of work the API is known to create. A type is an opaque word everywhere else."""

ADOPTED = ""
"""The type of a spec that only names a job id: whatever the server says it is."""


class Spec(msgspec.Struct, frozen=True, gc=False):
    """One line of a manifest: a job to create, or (with `job_id`) one that already runs.

    `input` is sent as the request body as it stands. `payload_hash` is the hex SHA-256 over what would be paid for.
    Without a `key` a run gives it the one that it would have in a manifest.
    """

    key: str = ""
    type: str = ADOPTED
    input: Mapping[str, JSON] = {}
    file: str | None = None
    job_id: str | None = None
    deadline_seconds: float | None = None
    download: bool = True
    weight: float = 1.0
    payload_hash: str = ""

    def __repr__(self) -> str:
        return f"<Spec {self.key} {self.type or 'of any type'}>"


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request to the API, as a dialect spells it; `path` is relative to the base URL."""

    method: Literal["GET", "POST", "PUT"]
    path: str
    lane: Lane = "read"
    query: tuple[tuple[str, str], ...] = ()
    body: JSON = None
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class Response(msgspec.Struct, frozen=True, gc=False):
    """The answer to a `Request`: any HTTP status, `body` decoded, header names in lower case."""

    status: int
    body: JSON
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


class Failure(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Why something did not work, fit to be shown: sanitized code and message, request id when the server gave one."""

    code: str
    message: str = ""
    request_id: str | None = None
    http_status: int | None = None


class JobView(msgspec.Struct, frozen=True, gc=False):
    """What one answer says of one job. `status` is one of the canonical words, or None when the word is unknown.

    `word` is the server's own spelling, lower case. `created_at`, `started_at` and `completed_at` are epoch seconds.
    `prompt` is what a list says the job was made from, if it does.
    """

    id: str
    status: Literal["queued", "running", "completed", "failed", "canceled", "expired"] | None
    word: str
    type: str = ADOPTED
    error: Failure | None = None
    created_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    floor_seconds: float | None = None
    prompt: str = ""

    def __repr__(self) -> str:
        return f"<JobView {self.id} {self.word}>"


class Link(msgspec.Struct, frozen=True, gc=False):
    """A media link found in a result payload: where it stands (`pointer`, RFC 6901) and what it points to."""

    pointer: str
    url: str
    content_type: str | None = None

    def __repr__(self) -> str:
        return "<Link>"  # even the pointer is made of the server's words


class Media(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A file on disk under its final name, therefore whole. `path` is relative to the output directory.

    `verified` says what vouches for the bytes: their announced ``length``, the format's own end (``trailer``), or
    nothing but a clean end of the stream (``unverified``).
    """

    path: str
    bytes: int
    sha256: str
    content_type: str
    verified: Literal["length", "trailer", "unverified"] = "length"


class Timings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """When things happened: epoch seconds on our clock, the server's own beside them where it gave them."""

    created: float | None = None
    started: float | None = None
    detected: float | None = None
    saved: float | None = None
    server_created: float | None = None
    server_completed: float | None = None


UNSETTLED = {
    "rejected": ("bad_spec", "duplicate_job", "duplicate_key", "spec_changed", "usage"),
    "completed": ("disk_full", "interrupted"),
}
"""Codes that a later run may undo: a spec refused here before anything was sent, media that did not come through."""

OPEN = ("timed_out", "unknown")
"""Statuses that are ours alone, and say that the end is not known."""

OutcomeStatus = Literal["completed", "failed", "canceled", "expired", "timed_out", "rejected", "unknown"]


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The end of one job, and one line of ``results.jsonl``.

    A spec that never became a job (``rejected``, ``unknown``) has one outcome with no `job_id`; a Face Swap with
    several avatars has one outcome a job. `server_type` is set when the server's word differs from the spec's, `found`
    when the answer to the create was lost and the job was told from others in the job list.
    """

    key: str
    job_id: str | None
    type: str
    status: OutcomeStatus
    server_type: str | None = None
    result: JSON = None
    files: tuple[Media, ...] = ()
    error: Failure | None = None
    timings: Timings = Timings()
    polls: int = 0
    found: Literal[True] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"<Outcome {self.key} {self.job_id or 'no job'} {self.status}, {len(self.files)} files>"

    @property
    def final(self) -> bool:
        """Whether nothing more can come of it; a later run goes on with what is not final."""
        if self.error is not None and self.error.http_status is None:
            return self.error.code not in UNSETTLED.get(self.status, ()) and self.status not in OPEN
        return self.status not in OPEN

    @property
    def ok(self) -> bool:
        """Whether the job completed and everything asked of it is on disk."""
        return self.status == "completed" and self.error is None
