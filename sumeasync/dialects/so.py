"""The dialect ``so``: ``https://www.sume.so/api/v1``.

Documented are the endpoints, the envelopes and the error shape; most field names are not, so the readers look for
each value in every place it is known or likely to stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from sumeasync.dialects.base import Page, Presigned
from sumeasync.dialects.reading import (
    MAX_CURSOR,
    STATUSES,
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
from sumeasync.errors import ApiError, BadResponseError, UsageError
from sumeasync.models import ADOPTED, ASSET_INGEST, JSON, KINDS, JobView, Lane, Link, Request, Response, Spec

__all__ = ["So", "segment"]

CREATES: Final = {
    "image_generation": "/images/generations",
    "video_generation": "/videos/generations",
    "ads_video": "/ads/videos",
    "face_swap": "/face-swap",
    "reference_analysis": "/reference-analysis",
    ASSET_INGEST: "/assets",
}
ASSET_QUERY: Final = (
    "q",
    "search_mode",
    "source_type",
    "segment_type",
    "brand",
    "product",
    "tag",
    "keyword",
    "cta_present",
    "min_duration_seconds",
    "max_duration_seconds",
    "created_after",
    "created_before",
    "sort",
    "limit",
    "cursor",
)
MAX_JOBS: Final = 1000
"""More than any create is known to start: an answer that names more is not believed."""

NOTHING: Final[Mapping[str, JSON]] = {}
PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class So:
    """The dialect ``so``; see `Dialect`. It documents no idempotency key, so a create is never sent twice."""

    idempotent: Final = False
    cancels: Final = False

    def create(self, spec: Spec, *, object_key: str | None = None) -> Request:
        """POST the input as it stands, to the path of its type; for an upload, with the `object_key` beside it."""
        path = CREATES.get(spec.type)
        if path is None:
            raise UsageError(f"cannot create a job of type {spec.type!r}; known are {', '.join(CREATES)}")
        if (spec.file is None) != (object_key is None):
            raise UsageError("a spec with a file is created from its uploaded object, and no other spec is")
        body = dict(spec.input) if object_key is None else {**spec.input, "object_key": object_key}
        return Request("POST", path, "create", body=body)

    def presign(self, file_name: str, content_type: str, size: int, purpose: str | None = None) -> Request:
        """Member names are not documented; these are the usual ones. It costs nothing: a read, though a POST."""
        body = {"file_name": file_name, "content_type": content_type, "size_bytes": size}
        return Request("POST", "/uploads/presign", "read", body=body | ({"purpose": purpose} if purpose else {}))

    def poll(self, job_id: str) -> Request:
        """``GET /jobs/{id}``."""
        return Request("GET", f"/jobs/{segment(job_id)}")

    def cancel(self, job_id: str) -> Request:
        """Not here."""
        raise UsageError("jobs of this API cannot be canceled")

    def result(self, job_id: str) -> Request:
        """``GET /jobs/{id}/result``."""
        return Request("GET", f"/jobs/{segment(job_id)}/result")

    def list_jobs(
        self, *, limit: int = 100, cursor: str | None = None, type: str | None = None, status: str | None = None
    ) -> Request:
        """``GET /jobs``; a limit of 1 to 100 is taken to be allowed."""
        pairs = (("limit", str(limit)), ("cursor", cursor), ("type", type), ("status", status))
        return Request("GET", "/jobs", query=tuple((name, value) for name, value in pairs if value is not None))

    def me(self) -> Request:
        """``GET /me``."""
        return Request("GET", "/me")

    def credits(self) -> Request:
        """``GET /credits``."""
        return Request("GET", "/credits")

    def assets(self, query: Mapping[str, str | int | float | bool]) -> Request:
        """``GET /assets``; raises `UsageError` on a name the endpoint does not have."""
        if unknown := sorted(query.keys() - set(ASSET_QUERY)):
            raise UsageError(f"assets cannot be asked by {', '.join(unknown)}; known are {', '.join(ASSET_QUERY)}")
        return Request("GET", "/assets", query=tuple((name, spell(value)) for name, value in query.items()))

    def asset(self, asset_id: str) -> Request:
        """``GET /assets/{id}``."""
        return Request("GET", f"/assets/{segment(asset_id)}")

    def brand(self, which: Literal["all", "current"] = "current") -> Request:
        """``GET /brand`` or ``GET /brand/current``."""
        return Request("GET", "/brand" if which == "all" else "/brand/current")

    def avatars(self) -> Request:
        """``GET /avatars``."""
        return Request("GET", "/avatars")

    def avatar(self, avatar_id: str) -> Request:
        """``GET /avatars/{id}``."""
        return Request("GET", f"/avatars/{segment(avatar_id)}")

    def read_created(self, response: Response) -> tuple[str, ...]:
        """Look in every place a job id is known to stand. An id that cannot be used is left out if another can."""
        found = dict.fromkeys(job_id for value in created_ids(response.body) if (job_id := read_id(value)) is not None)
        if not 0 < len(found) <= MAX_JOBS:
            raise BadResponseError(f"the answer to a create names {len(found) or 'no'} jobs", status=response.status)
        return tuple(found)

    def read_presign(self, response: Response) -> Presigned:
        """``upload_url``, ``required_headers`` and ``object_key``, at the top, under ``upload`` or under ``data``."""
        body = mapping(response.body)
        for place in (body, mapping(body.get("upload")), mapping(body.get("data"))):
            url, key, headers = (
                place.get("upload_url"),
                place.get("object_key"),
                read_headers(place.get("required_headers")),
            )
            if type(url) is str and type(key) is str and url and key and headers is not None:
                return Presigned(url, headers, key)
        raise BadResponseError(
            "the answer to a presign has no usable upload_url and object_key", status=response.status
        )

    def read_job(self, response: Response, job_id: str) -> JobView:
        """Find the job object: ``job``, ``data.job``, the top level or ``data``."""
        body = response.body
        if type(body) is not dict:
            raise BadResponseError("the answer to a poll is not an object", status=response.status)
        job = find_job(body, job_id)
        named = job.get("job_id") or job.get("id")
        if named != job_id and (named := read_id(named)) is not None and named != job_id and is_job_id(named, job):
            raise BadResponseError("the answer is about another job", status=response.status)
        return view(job, job_id, body)

    def read_result(self, response: Response, job_id: str) -> tuple[JobView, JSON]:
        """The payload is the job's ``result`` alone, or the whole answer when a media link stands outside of it."""
        job = self.read_job(response, job_id)
        if not job.word:
            job = msgspec.structs.replace(job, status="completed")  # there is a result, and no word against it
        payload = find_job(response.body, job_id).get("result") or response.body.get("result")
        if payload and len(links(payload)) == len(links(response.body)):
            return job, payload
        return job, response.body

    def read_page(self, response: Response) -> Page:
        """``data`` or ``jobs``, ``has_more`` and ``next_cursor``."""
        body = mapping(response.body)
        data = body.get("data", body.get("jobs"))
        inner = mapping(data)
        entries = inner.get("jobs", inner.get("data")) if inner else data
        if type(entries) is not list:
            raise BadResponseError("the answer to a list has no list", status=response.status)
        jobs = []
        for entry in entries:
            if type(entry) is dict and (job_id := read_id(entry.get("job_id") or entry.get("id"))) is not None:
                shown = view(entry, job_id, NOTHING)
                if "prompt" in entry or "input" in entry:
                    prompt = first_text(entry, "prompt") or first_text(mapping(entry.get("input")), "prompt")
                    shown = msgspec.structs.replace(shown, prompt=prompt or "")
                jobs.append(shown)
        envelope = inner if "next_cursor" in inner else body
        more = envelope.get("has_more") is not False
        cursor = read_id(envelope.get("next_cursor"), MAX_CURSOR) if more else None
        return Page(tuple(jobs), cursor)

    def media(self, result: JSON) -> tuple[Link, ...]:
        """The vendor's own client takes links by these keys."""
        return links(result)

    def error(self, response: Response, lane: Lane = "read") -> ApiError | BadResponseError:
        """``{"error": {"code", "message"}, "request_id"}``, or whatever resembles it."""
        return read_error(response, lane)


def spell(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def segment(identifier: str) -> str:
    """An id as one path segment, whatever is in it; raises `UsageError` where a path cannot carry it."""
    if PLAIN_ID.fullmatch(identifier):
        return identifier  # nearly always, and asked for at every poll
    if read_id(identifier) is None:
        raise UsageError(f"not a usable id: {identifier[:20]!r}")
    return quote(identifier, safe="")


def created_ids(body: JSON) -> Iterator[JSON]:
    """Every value that may be a job id, the primary's places first."""
    top = mapping(body)
    places = [top, mapping(top.get("data")), mapping(top.get("asset"))]
    for place in places:
        yield entry_id(place.get("job"))
        yield place.get("job_id")
    for place in places:
        if is_job_id(place.get("id")):
            yield place["id"]
    for place in places:
        for entries in (place.get("jobs"), place.get("job_ids")):
            yield from map(entry_id, entries if type(entries) is list else ())
    data = top.get("data")
    yield from filter(is_job_id, map(entry_id, data if type(data) is list else ()))


def entry_id(entry: JSON) -> JSON:
    """The id of a job given as an object or by its id alone."""
    return entry.get("job_id") or entry.get("id") if type(entry) is dict else entry


def is_job_id(value: JSON, owner: Mapping[str, JSON] = NOTHING) -> bool:
    """Whether an id is a job's (and not a result's or an asset's), by its prefix or by the object it stands in."""
    return (
        (type(value) is str and value.startswith("job_")) or bool(owner.get("job_id")) or owner.get("object") == "job"
    )


def find_job(body: dict[str, JSON], job_id: str) -> dict[str, JSON]:
    """The job object of an answer. Nested ones go first: beside them a top-level ``status`` is the envelope's."""
    if "job" not in body and "data" not in body:
        return body
    data = mapping(body.get("data"))
    top_is_job = body.get("object") == "job" or job_id in (body.get("id"), body.get("job_id"))
    for place in (body.get("job"), data.get("job"), body if top_is_job else None, data):
        if type(place) is dict and ("status" in place or "state" in place):
            return place
    return body


def view(job: dict[str, JSON], job_id: str, envelope: Mapping[str, JSON]) -> JobView:
    get = job.get  # what follows runs for every entry of every page
    said: JSON = get("status", get("state"))
    status: Status | None
    try:
        status, word = STATUSES[said], said
    except (KeyError, TypeError):
        status, word = read_status(said)
    kind = get("type")
    created, started, completed = get("created_at"), get("started_at"), get("completed_at") or get("finished_at")
    return JobView(
        job_id,
        status,
        word,
        kind if kind in KINDS else read_word(kind) or ADOPTED,
        None
        if status == "running" or status == "queued" or status == "completed"
        else read_failure(job, first_text(envelope, "request_id")),
        None if created is None else read_instant(created),
        None if started is None else read_instant(started),
        None if completed is None else read_instant(completed),
    )
