"""What a dialect is: how one API spells what every API of this kind offers. Values in, values out; no I/O.

`Request`s go out of it and `Response`s come in; who sends them, when, and how often is not its concern.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from sumeasync.errors import ApiError, BadResponseError
from sumeasync.models import JSON, JobView, Lane, Link, Request, Response, Spec

__all__ = ["Dialect", "Page", "Presigned"]


class Presigned(msgspec.Struct, frozen=True):
    """Where to PUT a file (without the API key), the headers to send exactly, and the name to finalize it under."""

    upload_url: str
    headers: Mapping[str, str]
    object_key: str

    def __repr__(self) -> str:
        return "<Presigned>"  # a signed link and a storage key are never shown


class Page(msgspec.Struct, frozen=True):
    """One page of a job list. A cursor may come twice: whoever walks the pages guards against going in circles."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None = None


class Dialect(Protocol):
    """One API's spelling.

    Methods that build a `Request` raise `UsageError` on an argument that cannot be spelled; methods that read a
    2xx `Response` raise `BadResponseError` on one that makes no sense. Nothing else is raised, whatever came.
    """

    @property
    def idempotent(self) -> bool:
        """Whether the API promises to honour an idempotency key on creates."""
        ...

    def create(self, spec: Spec, *, object_key: str | None = None) -> Request:
        """Start the job of `spec`; `object_key` names the uploaded file, when the spec has one."""
        ...

    def presign(self, file_name: str, content_type: str, size: int, purpose: str | None = None) -> Request:
        """Ask where a file of `size` bytes may be uploaded."""
        ...

    def poll(self, job_id: str) -> Request:
        """Ask for the state of one job."""
        ...

    @property
    def cancels(self) -> bool:
        """Whether jobs can be canceled."""
        ...

    def cancel(self, job_id: str) -> Request:
        """Ask for the job to end; `UsageError` where jobs cannot be canceled."""
        ...

    def result(self, job_id: str) -> Request:
        """Ask for the result of a completed job, with fresh links."""
        ...

    def list_jobs(
        self, *, limit: int = 100, cursor: str | None = None, type: str | None = None, status: str | None = None
    ) -> Request:
        """Ask for one page of the key's jobs."""
        ...

    def me(self) -> Request:
        """Ask whom the key stands for."""
        ...

    def credits(self) -> Request:
        """Ask for the balance and the generation capacity."""
        ...

    def assets(self, query: Mapping[str, str | int | float | bool]) -> Request:
        """Ask for one page of the Asset Library."""
        ...

    def asset(self, asset_id: str) -> Request:
        """Ask for one asset."""
        ...

    def brand(self, which: Literal["all", "current"] = "current") -> Request:
        """Ask for the brands, or the current one."""
        ...

    def avatars(self) -> Request:
        """Ask for the avatars."""
        ...

    def avatar(self, avatar_id: str) -> Request:
        """Ask for one avatar."""
        ...

    def read_created(self, response: Response) -> tuple[str, ...]:
        """Every job id in the answer to a create, each once, the primary first."""
        ...

    def read_presign(self, response: Response) -> Presigned:
        """The answer to `presign`."""
        ...

    def read_job(self, response: Response, job_id: str) -> JobView:
        """The answer to `poll`; refuses one that speaks of another job."""
        ...

    def read_result(self, response: Response, job_id: str) -> tuple[JobView, JSON]:
        """The answer to `result`: the job and the payload, from which no media link is left out."""
        ...

    def read_page(self, response: Response) -> Page:
        """The answer to `list_jobs`; entries that cannot be read are left out."""
        ...

    def media(self, result: JSON) -> tuple[Link, ...]:
        """The media links of a payload, unique by URL, in document order. Never raises."""
        ...

    def error(self, response: Response, lane: Lane = "read") -> ApiError | BadResponseError:
        """The error (not raised) that an answer outside 2xx stands for, its message the server's, sanitized."""
        ...
