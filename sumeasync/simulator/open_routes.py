"""The routes of the surface ``open``: models and routers, jobs with idempotency keys, cancellation.

What the vendor's own client sends and reads is served; where nothing is known, the usual is done: an
`Idempotency-Key` that comes again with the same body has the first answer again, and with another body is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from sumeasync.errors import ApiError, BadRequestError, NotFoundError
from sumeasync.models import JSON
from sumeasync.simulator.calls import Call, Reply
from sumeasync.simulator.jobs import Job
from sumeasync.simulator.ledger import body_hash
from sumeasync.simulator.listing import read_limit
from sumeasync.simulator.open_payloads import POLICY, answer, created_view, job_view, result_view, status_view
from sumeasync.simulator.routes import Route, links_of, shown_ended, visible_job
from sumeasync.simulator.world import World

__all__ = ["find_open_route"]

MAX_KEY: Final = 255
TYPES: Final = {"image": "image_generation", "video": "video_generation"}
ROUTERS: Final = {"image": "/image-router/generate"}
VIDEO_ROUTER: Final = "/video-router/generate"
KINDS: Final = ("image", "lipsync", "captions")


def kind_of(model: str) -> str:
    """The kind of a model, by its name: what names none of the other kinds is a video model."""
    return next((kind for kind in KINDS if kind in model), "video")


def show_model(world: World, call: Call, now: float, model: str) -> Reply:
    """GET /open/catalog/{model}: which kind of model it is."""
    return answer(world, {"id": model, "kind": kind_of(model)})


def generate(world: World, call: Call, now: float, _: str) -> Reply:
    """POST to a router: start one job, or say again which one was started under the same idempotency key."""
    body = call.json()
    kind = check(call.path, body)
    booked, key = body_hash(call.path, body), call.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY:
        raise BadRequestError("the idempotency key is too long", status=400, code="bad_request")
    before, known = world.keys.get(key, (booked, None))
    if before != booked:
        raise ApiError("this key stands for another request", status=422, code="idempotency_key_reused")
    job = known or start(world, kind, body, now)
    if known is None:
        world.ledger.accept(call.path, booked, [job])
        if key:
            world.keys[key] = booked, job
    return answer(world, created_view(world, job, now, call.origin + call.prefix), status=world.settings.create_status)


def start(world: World, kind: str, body: Mapping[str, JSON], now: float) -> Job:
    """Start a job. A prompt with the word nsfw in it is accepted and then refused for its content."""
    refused = "nsfw" in str(body.get("prompt", "")).lower().split()
    (job,) = world.create(TYPES.get(kind, kind), (POLICY if refused else "",), now)
    if refused:
        job.fate = "failed"
    return job


def check(path: str, body: Mapping[str, JSON]) -> str:
    """Return the kind of the model asked for. Raises `BadRequestError` (400)."""
    model, prompt = body.get("model"), body.get("prompt", "")
    if not isinstance(model, str) or not model:
        raise BadRequestError("model is required", status=400, code="bad_request")
    kind = kind_of(model)
    if ROUTERS.get(kind, VIDEO_ROUTER) != path:
        raise BadRequestError(f"{model[:100]} is served by another router", status=400, code="bad_request")
    if not isinstance(prompt, str) or (kind in TYPES and not prompt.strip()):
        raise BadRequestError("prompt is required", status=400, code="bad_request")
    return kind


def poll(world: World, call: Call, now: float, job_id: str) -> Reply:
    """GET /jobs/{id}/status: how the job stands."""
    job = visible_job(world, job_id, now)
    return answer(world, status_view(world, job, now), shown=shown_ended([job], now))


def result(world: World, call: Call, now: float, job_id: str) -> Reply:
    """GET /jobs/{id}/result: the job with its result. Raises `ApiError` (409) when it has none yet."""
    job = visible_job(world, job_id, now)
    if job.fate != "completed" or now < job.ended_at + world.settings.result_lag_seconds:
        raise ApiError("the job has no result", status=409, code="job_not_completed")
    link = links_of(world, job, call.origin, now).get("media")
    return answer(world, result_view(world, job, now, link), shown=shown_ended([job], now))


def cancel(world: World, call: Call, now: float, job_id: str) -> Reply:
    """POST /jobs/{id}/cancel: end a job that waits. Raises `ApiError` (409) once it runs, or has ended."""
    job = visible_job(world, job_id, now)
    state = job.state(now)
    if state != "queued":
        code = "job_generation_already_started" if state == "running" else "job_not_cancelable"
        raise ApiError("the job can no longer be canceled", status=409, code=code)
    job.fate, job.started_at, job.ended_at = "canceled", now, now
    return answer(world, status_view(world, job, now), shown=[job])


def list_jobs(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /jobs: the newest jobs; there is a limit and nothing else to choose."""
    jobs, _following = world.page(now, limit=read_limit(call.query))
    seen_at = now - world.settings.list_lag_seconds
    return answer(world, [job_view(job, seen_at) for job in jobs], shown=shown_ended(jobs, seen_at))


def presign(world: World, call: Call, now: float, _: str) -> Reply:
    """POST /files/generate-upload-url: a short-lived link for one PUT, and where the file can be read later."""
    upload = world.uploads.presign({"name": "file"} | call.json())
    path = world.signer.sign(f"/storage/{upload.object_key}", now + world.settings.upload_link_seconds)
    data = {
        "public_url": f"{call.origin}/files/{upload.object_key}",
        "upload_url": call.origin + path,
        "upload_headers": upload.headers,
    }
    return answer(world, data)


def find_open_route(method: str, path: str) -> tuple[Route, str]:
    """Return the route of a path (without the prefix) and its argument. Raises `NotFoundError` (404)."""
    route = ROUTES.get((method, path))
    if route is not None:
        return route, ""
    if method == "GET" and path.startswith("/open/catalog/"):
        return MODEL, unquote(path.removeprefix("/open/catalog/"))
    job_id, _, rest = path.removeprefix("/jobs/").partition("/")
    route = JOB_ROUTES.get((method, rest)) if path.startswith("/jobs/") else None
    if route is None:
        raise NotFoundError("no such route", status=404, code="not_found")
    return route, unquote(job_id)


MODEL = Route("read", "GET /open/catalog/{model}", "read", show_model)
JOB_ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "status"): Route("poll", "GET /jobs/{id}/status", "read", poll),
    ("GET", "result"): Route("result", "GET /jobs/{id}/result", "read", result),
    ("POST", "cancel"): Route("cancel", "POST /jobs/{id}/cancel", "read", cancel),
}
ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/jobs"): Route("list", "GET /jobs", "read", list_jobs),
    ("POST", "/files/generate-upload-url"): Route("presign", "POST /files/generate-upload-url", "read", presign),
    ("POST", ROUTERS["image"]): Route("create", f"POST {ROUTERS['image']}", "create", generate, "image_generation"),
    ("POST", VIDEO_ROUTER): Route("create", f"POST {VIDEO_ROUTER}", "create", generate, "video_generation"),
}
