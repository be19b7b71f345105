"""The storage routes: media by signed link with ranges, and uploads. No API key is wanted here."""

from __future__ import annotations

import re
from urllib.parse import unquote

from sumeasync.errors import ApiError
from sumeasync.simulator.calls import Call, Reply
from sumeasync.simulator.samples import Sample
from sumeasync.simulator.world import World

__all__ = ["download", "media_path", "receive_upload", "storage_error"]

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
CREDENTIALS = ("Authorization", "X-Api-Key", "Cookie", "Proxy-Authorization")


def media_path(job_id: str, name: str) -> str:
    """Return the path under which a job's file is served."""
    return f"/media/{job_id}/{name}"


def download(world: World, call: Call, now: float, job_id: str) -> Reply:
    """Serve a job's file, whole or a range. Raises `ApiError`: 403 for a bad link, 404 for a job without media."""
    _note_credentials(world, call, "GET /media")
    _check_link(world, call, now)
    job = world.find(job_id)
    name = call.path.rpartition("/")[2]
    media = world.thumbnail(job) if name.startswith("thumbnail") else world.media(job)
    if media is None or job.state(now) != "completed":
        raise ApiError("there is no such file", status=404, code="NoSuchKey")
    return _ranged(media, call)


def receive_upload(world: World, call: Call, now: float, object_key: str) -> Reply:
    """Take an upload. Raises `ApiError`: 403 link or headers, 411 no length, 400 credentials or wrong length."""
    if _note_credentials(world, call, "PUT /storage"):
        raise ApiError("only one way to authenticate is allowed", status=400, code="InvalidArgument")
    _check_link(world, call, now)
    if "Content-Length" not in call.headers:
        raise ApiError("the length is missing", status=411, code="MissingContentLength")
    upload = world.uploads.store(object_key, call.headers, call.size or 0, call.sha256)
    world.ledger.uploads[object_key] = call.sha256
    return Reply(headers={"ETag": f'"{upload.sha256}"'})


def storage_error(error: ApiError, request_id: str) -> Reply:
    """Return the error as object storage words it."""
    body = f"<?xml version='1.0'?>\n<Error><Code>{error.code}</Code><RequestId>{request_id}</RequestId></Error>"
    return Reply(status=error.status, headers={"Content-Type": "application/xml"}, body=body.encode())


def _note_credentials(world: World, call: Call, route: str) -> bool:
    leaked = any(name in call.headers for name in CREDENTIALS) or "sume_" in str(dict(call.query))
    if leaked:
        world.ledger.key_sightings.append(route)
    return leaked


def _check_link(world: World, call: Call, now: float) -> None:
    if not world.signer.valid(unquote(call.path), call.query, now):
        raise ApiError("the link is wrong or has expired", status=403, code="AccessDenied")


def _ranged(media: Sample, call: Call) -> Reply:
    etag = call.etag or media.etag
    reply = Reply(media=media, stop=media.size)
    reply.headers = {"Content-Type": media.content_type, "ETag": etag, "Accept-Ranges": "bytes"}
    asked = _read_range(call.headers.get("Range", ""), media.size)
    if asked is None or not _same_version(call, etag):
        return reply
    start, stop = asked
    if start >= stop:
        headers = {"Content-Range": f"bytes */{media.size}", "ETag": etag}
        return Reply(status=416, headers=headers)
    reply.status, reply.start, reply.stop = 206, start, stop
    reply.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{media.size}"
    return reply


def _same_version(call: Call, etag: str) -> bool:
    """RFC 9110, 13.1.5: If-Range compares strongly, so a weak tag never matches; dates are not offered."""
    condition = call.headers.get("If-Range")
    return condition is None or (condition == etag and not etag.startswith("W/"))


def _read_range(text: str, size: int) -> tuple[int, int] | None:
    """Return [start, stop) of a single range, empty when it cannot be satisfied; None for what is to be ignored."""
    asked = RANGE.fullmatch(text)
    if asked is None or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
