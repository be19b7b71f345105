"""The dialect ``open``: ``https://api.open.sume.com/v1``, as the vendor's published client speaks it.

Everything stands under ``data``. A create takes an idempotency key, so one whose answer was lost is sent again.
What only the other surface has (account, credits, Asset Library, brand, avatars) cannot be asked for here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NoReturn

import msgspec

from sumeasync.core import redact
from sumeasync.dialects.base import Page, Presigned
from sumeasync.dialects.reading import (
    Status,
    first_text,
    links,
    mapping,
    read_failure,
    read_headers,
    read_id,
    read_instant,
    read_status,
    read_word,
)
from sumeasync.dialects.refusals import read_error
from sumeasync.dialects.so import segment
from sumeasync.errors import ApiError, BadResponseError, ServerError, UsageError
from sumeasync.models import ADOPTED, ASSET_INGEST, JSON, KINDS, Failure, JobView, Lane, Link, Request, Response, Spec

__all__ = ["ROUTERS", "Open"]

ROUTERS: Final = {
    kind: "/image-router/generate" if kind == "image_generation" else "/video-router/generate"
    for kind in KINDS
    if kind != ASSET_INGEST
}
"""Where a create of each type goes."""

LONGEST_FLOOR: Final = 600.0
"""Seconds; a server that asks for longer gaps between polls than this is not taken at its word."""

NSFW: Final = "nsfw"
POLICY: Final = "content_policy_rejected"


class Open:
    """The dialect ``open``; see `Dialect`.

    A create goes to the image router when the spec's type is ``image_generation``, and else to the video router, which
    serves every other kind of model. So the catalog, where the vendor's client looks the kind up, need not be asked.
    """

    idempotent: Final = True
    cancels: Final = True

    def create(self, spec: Spec, *, object_key: str | None = None) -> Request:
        """POST the input as it stands; it names the ``model``. Nothing is made of an uploaded file here."""
        path = ROUTERS.get(spec.type)
        if path is None or object_key is not None:
            raise UsageError(f"this API cannot create a job of type {spec.type!r}")
        if type(spec.input.get("model")) is not str or not spec.input["model"]:
            raise UsageError("this API needs the name of a model: set input.model")
        return Request("POST", path, "create", body=dict(spec.input))

    def presign(self, file_name: str, content_type: str, size: int, purpose: str | None = None) -> Request:
        """``POST /files/generate-upload-url``; neither the name nor the `purpose` is asked for."""
        body = {"content_type": content_type, "size_bytes": size}
        return Request("POST", "/files/generate-upload-url", "read", body=body)

    def poll(self, job_id: str) -> Request:
        """``GET /jobs/{id}/status``."""
        return Request("GET", f"/jobs/{segment(job_id)}/status")

    def cancel(self, job_id: str) -> Request:
        """``POST /jobs/{id}/cancel``; refused once the generation has begun. It costs nothing: paid as a read."""
        return Request("POST", f"/jobs/{segment(job_id)}/cancel", "read")

    def result(self, job_id: str) -> Request:
        """``GET /jobs/{id}/result``."""
        return Request("GET", f"/jobs/{segment(job_id)}/result")

    def list_jobs(
        self, *, limit: int = 100, cursor: str | None = None, type: str | None = None, status: str | None = None
    ) -> Request:
        """``GET /jobs?limit``, 1 to 100; raises `UsageError` on a filter or a cursor, of which there are none."""
        if (cursor, type, status) != (None, None, None):
            raise UsageError("the job list of this API has no filters and no further pages")
        return Request("GET", "/jobs", query=(("limit", str(limit)),))

    def me(self) -> Request:
        """Not here."""
        absent("/me")

    def credits(self) -> Request:
        """Not here."""
        absent("/credits")

    def assets(self, query: Mapping[str, str | int | float | bool]) -> Request:
        """Not here."""
        absent("/assets")

    def asset(self, asset_id: str) -> Request:
        """Not here."""
        absent("/assets")

    def brand(self, which: Literal["all", "current"] = "current") -> Request:
        """Not here."""
        absent("/brand")

    def avatars(self) -> Request:
        """Not here."""
        absent("/avatars")

    def avatar(self, avatar_id: str) -> Request:
        """Not here."""
        absent("/avatars")

    def read_created(self, response: Response) -> tuple[str, ...]:
        """``data.job.id`` or ``data.request_id``, which here is the job's id; the links beside it are not followed."""
        job_id = id_of(mapping(mapping(response.body).get("data")))
        if job_id is None:
            raise BadResponseError("the answer to a create names no job", status=response.status)
        return (job_id,)

    def read_presign(self, response: Response) -> Presigned:
        """``data.upload_url`` and ``data.upload_headers``; the object's name is the ``public_url`` it is read from."""
        data = mapping(mapping(response.body).get("data"))
        url, name, headers = data.get("upload_url"), data.get("public_url"), read_headers(data.get("upload_headers"))
        if type(url) is not str or type(name) is not str or not url or not name or headers is None:
            raise BadResponseError("the answer has no usable upload_url and public_url", status=response.status)
        return Presigned(url, headers, name)

    def read_job(self, response: Response, job_id: str) -> JobView:
        """``data``: the status, and the job that has it."""
        data = mapping(response.body).get("data")
        if type(data) is not dict:
            raise BadResponseError("the answer to a poll has no data", status=response.status)
        if id_of(data) not in (None, job_id):
            raise BadResponseError("the answer is about another job", status=response.status)
        return view(data, job_id)

    def read_result(self, response: Response, job_id: str) -> tuple[JobView, JSON]:
        """The payload is ``data.result`` alone, or all of ``data`` when a media link stands outside of it."""
        job, data = self.read_job(response, job_id), response.body["data"]
        if not job.word:
            job = msgspec.structs.replace(job, status="completed")  # there is a result, and no word against it
        result = data.get("result")
        return job, result if result and len(links(result)) == len(links(data)) else data

    def read_page(self, response: Response) -> Page:
        """``data``, a list or an object with ``jobs``; there is one page."""
        data = mapping(response.body).get("data")
        entries = mapping(data).get("jobs", data)
        if type(entries) is not list:
            raise BadResponseError("the answer to a list has no list", status=response.status)
        jobs = ((id_of(entry), entry) for entry in entries if type(entry) is dict)
        return Page(tuple(view(entry, job_id) for job_id, entry in jobs if job_id is not None))

    def media(self, result: JSON) -> tuple[Link, ...]:
        """``artifacts[].url``, and whatever else the vendor's own clients take for a link."""
        return links(result)

    def error(self, response: Response, lane: Lane = "read") -> ApiError | BadResponseError:
        """As everywhere, but a create may be told 409 while the one before it under the same key is still under way.

        What is refused for good, by whatever code, is refused the next time as well; until then it counts as open. So
        does what is refused because of its key: something was accepted under it.
        """
        error = read_error(response, lane)
        if lane != "create" or not isinstance(error, ApiError):
            return error
        if response.status == 409 or "idempotency" in error.code.lower():
            return ServerError(
                str(error),
                status=error.status,
                code=error.code,
                request_id=error.request_id,
                retry_after_seconds=error.retry_after_seconds,
            )
        return error


def absent(path: str) -> NoReturn:
    raise UsageError(f"this API has no {path}; the dialect so has")


def id_of(data: Mapping[str, JSON]) -> str | None:
    """The job's id in an answer, or in an entry of a list."""
    for value in (mapping(data.get("job")).get("id"), data.get("request_id"), data.get("job_id"), data.get("id")):
        if (found := read_id(value)) is not None:
            return found
    return None


def view(data: dict[str, JSON], job_id: str) -> JobView:
    """The job in an answer; an entry of a list may be the job itself."""
    job = mapping(data.get("job")) or data
    status, word = read_status(data.get("sume_status") or job.get("status") or data.get("status"))
    if word == NSFW:
        status = "failed"
    kind = job.get("type")
    return JobView(
        job_id,
        status,
        word,
        kind if kind in KINDS else read_word(kind) or ADOPTED,
        reason(job, status),
        read_instant(job.get("created_at")),
        read_instant(job.get("started_at")),
        read_instant(job.get("completed_at") or job.get("finished_at")),
        floor(data.get("recommended_poll_interval_seconds")),
    )


def reason(job: dict[str, JSON], status: Status | None) -> Failure | None:
    """Why the job failed; a refusal for its content has a code of its own, whatever it was called."""
    if status in ("queued", "running", "completed"):
        return None
    failure = read_failure({"error": job.get("error")})
    public = first_text(mapping(job.get("error")), "public_reason")
    if public is None:
        return failure
    if failure is None or public == POLICY:
        return redact.failure(Failure(public, failure.message if failure else ""))
    return failure


def floor(seconds: JSON) -> float | None:
    if type(seconds) not in (int, float) or not seconds > 0:
        return None
    return float(min(seconds, LONGEST_FLOOR))
