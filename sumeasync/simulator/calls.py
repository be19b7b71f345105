"""Requests and answers as values, so that the whole service can be run without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from sumeasync.errors import BadRequestError
from sumeasync.models import JSON
from sumeasync.simulator.jobs import Job
from sumeasync.simulator.samples import Sample

__all__ = ["Call", "Operation", "Reply", "envelope"]

Operation = Literal["create", "poll", "result", "list", "presign", "upload", "finalize", "download", "cancel", "read"]
"""What a request is for; ``read`` is everything that only looks around (/me, /credits, /assets …)."""


class Call(msgspec.Struct, kw_only=True):
    """One received request. `path` is still percent-encoded; `headers` compares names without case.

    `origin` is where signed links point to, `prefix` what stood before `path` (the API's base path).
    An upload's bytes are not kept: `size` and `sha256` stand for them.
    """

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    size: int | None = None
    sha256: str = ""
    origin: str = "http://simulator.invalid"
    prefix: str = ""
    etag: str | None = None

    def json(self) -> dict[str, JSON]:
        """Return the body as a JSON object, or raise `BadRequestError` (400)."""
        try:
            document = msgspec.json.decode(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise BadRequestError("the body is not a JSON object", status=400, code="bad_request")
        return document


class Reply(msgspec.Struct, kw_only=True):
    """One answer: a JSON `document`, or bytes [start, stop) of a `media` file, or a plain `body`.

    `shown` are the jobs this answer shows as ended, for the ledger.
    """

    status: int = 200
    headers: dict[str, str] = {}
    document: JSON | UnsetType = UNSET
    body: bytes = b""
    media: Sample | None = None
    start: int = 0
    stop: int = 0
    shown: list[Job] = []

    def encode(self) -> None:
        """Turn the document into the body."""
        if self.document is not UNSET:
            self.body = msgspec.json.encode(self.document)
            self.headers.setdefault("Content-Type", "application/json")
            self.document = UNSET

    @property
    def size(self) -> int:
        """The length of the body in bytes."""
        return self.stop - self.start if self.media else len(self.body)

    def read(self, stop: int) -> bytes:
        """Return the first `stop` bytes of the body."""
        return self.media.read(self.start, self.start + stop) if self.media else self.body[:stop]


def envelope(code: str, message: str, request_id: str) -> JSON:
    """Return the documented error body."""
    return {"error": {"code": code, "message": message, "details": {}}, "request_id": request_id}
