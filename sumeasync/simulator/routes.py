"""The documented routes: each takes the world, a call, the time and the variable part of its path."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import unquote

import msgspec

from sumeasync.errors import ApiError, NotFoundError
from sumeasync.simulator.calls import Call, Operation, Reply
from sumeasync.simulator.checks import CHECKS
from sumeasync.simulator.jobs import Job
from sumeasync.simulator.ledger import body_hash
from sumeasync.simulator.limits import Bucket
from sumeasync.simulator.listing import list_envelope, read_limit
from sumeasync.simulator.payloads import create_answer, job_view, result_of
from sumeasync.simulator.reads import READS
from sumeasync.simulator.storage import download, media_path, receive_upload
from sumeasync.simulator.world import World

__all__ = ["Route", "find_api_route", "find_storage_route", "links_of", "shown_ended", "visible_job"]

Action: TypeAlias = Callable[[World, Call, float, str], Reply]


class Route(msgspec.Struct, frozen=True):
    """A route by its name in the ledger; `bucket` is None where the rate limits do not reach."""

    operation: Operation
    name: str
    bucket: Bucket | None
    run: Action
    kind: str | None = None


def poll(world: World, call: Call, now: float, job_id: str) -> Reply:
    """GET /jobs/{id}: the job."""
    job = visible_job(world, job_id, now)
    return Reply(document=job_view(job, world.settings, now), shown=shown_ended([job], now))


def result(world: World, call: Call, now: float, job_id: str) -> Reply:
    """GET /jobs/{id}/result: the job with its result. Raises `ApiError` (409) when it has none yet."""
    job = visible_job(world, job_id, now)
    view = job_view(job, world.settings, now)
    ready = job.fate == "completed" and now >= job.ended_at + world.settings.result_lag_seconds
    if ready:
        view["result"] = result_of(job, links_of(world, job, call.origin, now))
        if world.settings.decoy_urls:
            here = f"{call.origin}{call.prefix}/jobs/{job.id}"
            view |= {"status_url": here, "result_url": f"{here}/result"}
    elif world.settings.unready_result == "conflict":
        raise ApiError("the job has no result", status=409, code="job_not_completed")
    return Reply(document=view, shown=shown_ended([job], now))


def list_jobs(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /jobs: one page, as the world was a moment ago when the list lags."""
    settings = world.settings
    query = {name: value for name, value in call.query.items() if name not in settings.list_ignores}
    seen_at = now - settings.list_lag_seconds
    jobs, following = world.page(
        now,
        limit=min(read_limit(query), settings.list_most),
        cursor=query.get("cursor"),
        type=query.get("type"),
        status=query.get("status"),
    )
    following = None if "cursor" in settings.list_ignores else following
    views = [job_view(job, settings, seen_at) for job in jobs]
    return Reply(document=list_envelope(views, following), shown=shown_ended(jobs, seen_at))


def create(world: World, call: Call, now: float, kind: str) -> Reply:
    """POST to a route of `kind`: reserve credits, start one job or several."""
    body = call.json()
    booked = body_hash(call.path, body)
    jobs = world.create(kind, CHECKS[kind](body), now)
    world.ledger.accept(call.path, booked, jobs)
    return Reply(status=world.settings.create_status, document=create_answer(kind, jobs, world.settings))


def finalize(world: World, call: Call, now: float, _: str) -> Reply:
    """POST /assets: start the ingest of an upload that has arrived."""
    body = call.json()
    booked = body_hash(call.path, body)
    upload = world.uploads.stored(body.get("object_key"))
    jobs = world.create("asset_ingest", (upload.object_key,), now)
    asset = world.uploads.add_asset(str(body.get("title", "")), upload, jobs[0])
    world.ledger.accept(call.path, booked, jobs)
    answer = create_answer("asset_ingest", jobs, world.settings)
    answer.setdefault("id", asset.id)
    return Reply(status=world.settings.create_status, document=answer | {"status": "processing"})


def presign(world: World, call: Call, now: float, _: str) -> Reply:
    """POST /uploads/presign: a short-lived link for one PUT."""
    upload = world.uploads.presign(call.json())
    path = world.signer.sign(f"/storage/{upload.object_key}", now + world.settings.upload_link_seconds)
    document = {
        "object": "upload",
        "upload_url": call.origin + path,
        "required_headers": upload.headers,
        "object_key": upload.object_key,
    }
    return Reply(document=document)


def find_api_route(method: str, path: str) -> tuple[Route, str]:
    """Return the route of an API path (without the prefix) and its argument. Raises `NotFoundError` (404)."""
    if method == "GET" and path.startswith("/jobs/"):
        job_id, _, rest = path.removeprefix("/jobs/").partition("/")
        if rest in ("", "result"):
            return (RESULT if rest else POLL), unquote(job_id)
    route = ROUTES.get((method, path))
    if route is not None:
        return route, route.kind or ""
    parent, _, id = path.rpartition("/")
    if method == "GET" and id and (parent, "{id}") in READS:
        return Route("read", f"GET {parent}/{{id}}", "read", READS[parent, "{id}"]), unquote(id)
    raise NotFoundError("no such route", status=404, code="not_found")


def find_storage_route(method: str, path: str) -> tuple[Route, str] | None:
    """Return the route of a media or storage path and its job id or object key; None when it is neither."""
    if method in ("GET", "HEAD") and path.startswith("/media/"):
        return DOWNLOAD, unquote(path.split("/")[2])
    if method == "PUT" and path.startswith("/storage/"):
        return UPLOAD, unquote(path.removeprefix("/storage/"))
    return None


def visible_job(world: World, job_id: str, now: float) -> Job:
    """Return a job once it can be seen; before, and when there is none, raises `NotFoundError` (404)."""
    job = world.find(job_id)
    if now < job.created_at + world.settings.visible_after_seconds:
        raise NotFoundError("no such job", status=404, code="not_found")
    return job


def shown_ended(jobs: list[Job], now: float) -> list[Job]:
    """Return those of the jobs that have ended by `now`."""
    return [job for job in jobs if now >= job.ended_at]


def links_of(world: World, job: Job, origin: str, now: float) -> dict[str, str]:
    """Return fresh signed links by their use: ``media`` and ``thumbnail``, where the type has any."""
    settings = world.settings
    media = settings.of(job.type).media
    if media is None:
        return {}
    names = {"media": f"output.{media}"} | ({"thumbnail": "thumbnail.png"} if settings.thumbnails else {})
    expires_at = now + settings.link_seconds
    return {use: origin + world.signer.sign(media_path(job.id, name), expires_at) for use, name in names.items()}


def _read(path: str, run: Action) -> Route:
    return Route("read", f"GET {path}", "read", run)


def _create(path: str, kind: str) -> Route:
    return Route("create", f"POST {path}", "create", create, kind)


POLL = Route("poll", "GET /jobs/{id}", "read", poll)
RESULT = Route("result", "GET /jobs/{id}/result", "read", result)
DOWNLOAD = Route("download", "GET /media", None, download)
UPLOAD = Route("upload", "PUT /storage", None, receive_upload)
CREATE_PATHS = {
    "/images/generations": "image_generation",
    "/videos/generations": "video_generation",
    "/ads/videos": "ads_video",
    "/face-swap": "face_swap",
    "/reference-analysis": "reference_analysis",
}
ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/jobs"): Route("list", "GET /jobs", "read", list_jobs),
    ("POST", "/uploads/presign"): Route("presign", "POST /uploads/presign", "read", presign),
    ("POST", "/assets"): Route("finalize", "POST /assets", "create", finalize, "asset_ingest"),
    **{("POST", path): _create(path, kind) for path, kind in CREATE_PATHS.items()},
    **{("GET", path): _read(path, run) for (path, variable), run in READS.items() if not variable},
}
