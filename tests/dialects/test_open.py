"""The dialect ``open``: what it asks, and what it makes of every answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.dialects.base import Dialect, Presigned
from sumeasync.dialects.open import LONGEST_FLOOR, ROUTERS, Open
from sumeasync.errors import (
    ApiError,
    BadRequestError,
    BadResponseError,
    NotReadyError,
    RateLimitError,
    ServerError,
    SumeError,
    UsageError,
)
from sumeasync.models import KINDS, Failure, JobView, Link, Request, Response, Spec

OPEN: Dialect = Open()
BODY = {"model": "seedance", "prompt": "a lamp", "unheard_of": [1, None]}
URL = "https://media.test/a.mp4"

WORDS = st.sampled_from(
    "data job id job_id request_id sume_status status error code message public_reason result artifacts url jobs type "
    "recommended_poll_interval_seconds upload_url upload_headers public_url created_at retryable".split()
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["job_1", "completed", "NSFW", URL, "2025-11-24T16:00:00Z", "\ud83d", 10**400])
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=25
)


def answer(data: Any, status: int = 200) -> Response:
    """An answer with this under ``data``."""
    return Response(status, {"data": data})


def view(**data: Any) -> JobView:
    """What a poll of job_1 makes of this."""
    return OPEN.read_job(answer(data), "job_1")


# Requests


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "asset_ingest"])
def test_the_type_chooses_the_router(kind: str) -> None:
    """Images have a router of their own, everything else goes to the other; the body is the input, unchanged."""
    path = "/image-router/generate" if kind == "image_generation" else "/video-router/generate"
    assert OPEN.create(Spec("a", kind, BODY)) == Request("POST", path, "create", body=BODY)
    assert ROUTERS[kind] == path


@pytest.mark.parametrize(
    ("spec", "object_key"),
    [
        (Spec("a", "hologram", BODY), None),
        (Spec("a", "asset_ingest", BODY, file="f"), "up/1"),
        (Spec("a", "image_generation", BODY), "up/1"),
        (Spec("a", "image_generation", {"prompt": "p"}), None),
        (Spec("a", "image_generation", {"prompt": "p", "model": ""}), None),
        (Spec("a", "image_generation", {"prompt": "p", "model": 7}), None),
        (Spec("a", job_id="job_1"), None),
    ],
    ids=["type", "ingest", "upload", "no-model", "empty-model", "odd-model", "adopted"],
)
def test_what_cannot_be_created_is_refused(spec: Spec, object_key: str | None) -> None:
    """An unknown type, an upload and a create without a model are the caller's mistakes."""
    with pytest.raises(UsageError):
        OPEN.create(spec, object_key=object_key)


def test_a_job_is_asked_about_by_its_id() -> None:
    """Status and result have paths made of the id, whatever is in it."""
    assert OPEN.poll("job_1") == Request("GET", "/jobs/job_1/status")
    assert OPEN.result("job/1?") == Request("GET", "/jobs/job%2F1%3F/result")


def test_the_list_has_a_limit_and_nothing_else() -> None:
    """The newest jobs can be listed; a filter or a cursor, which would have no effect, is refused."""
    assert OPEN.list_jobs(limit=50) == Request("GET", "/jobs", query=(("limit", "50"),))
    for narrower in ({"cursor": "c"}, {"type": "video_generation"}, {"status": "completed"}):
        with pytest.raises(UsageError):
            OPEN.list_jobs(**narrower)


def test_an_upload_is_announced_by_type_and_size() -> None:
    """The address to upload to costs a read."""
    body = {"content_type": "image/png", "size_bytes": 9}
    assert OPEN.presign("a.png", "image/png", 9, "x") == Request(
        "POST", "/files/generate-upload-url", "read", body=body
    )


@pytest.mark.parametrize(
    "ask",
    [
        OPEN.me,
        OPEN.credits,
        OPEN.brand,
        OPEN.avatars,
        lambda: OPEN.assets({}),
        lambda: OPEN.asset("a"),
        lambda: OPEN.avatar("a"),
    ],
)
def test_what_only_the_other_surface_has(ask: Any) -> None:
    """Account and library cannot be asked for here, and the error says where they can."""
    with pytest.raises(UsageError, match="dialect so"):
        ask()


# Answers


@pytest.mark.parametrize(
    "data",
    [
        {"request_id": "job_1"},
        {"job": {"id": "job_1"}, "request_id": "job_1", "status_url": "https://elsewhere.test/jobs/job_9"},
        {"job": {"id": "job_1"}, "request_id": "req_7"},
        {"job_id": "job_1"},
    ],
)
def test_the_id_of_a_new_job(data: Any) -> None:
    """The id stands in the job, or is called the request's."""
    assert OPEN.read_created(answer(data)) == ("job_1",)


@pytest.mark.parametrize("data", [None, {}, [], "job_1", {"request_id": ""}, {"job": {"id": ".."}}])
def test_a_create_without_an_id(data: Any) -> None:
    """An answer that names no job makes no sense."""
    with pytest.raises(BadResponseError):
        OPEN.read_created(answer(data))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "queued"),
        ("processing", "running"),
        ("completed", "completed"),
        ("failed", "failed"),
        ("nsfw", "failed"),
        ("canceled", "canceled"),
        ("pondering", None),
    ],
)
@pytest.mark.parametrize("place", ["sume_status", "status", "job"])
def test_statuses(word: str, status: str | None, place: str) -> None:
    """Each word is read wherever it stands, the one in capitals too; an unknown one is not terminal."""
    data = {
        "sume_status": {"sume_status": word, "status": "WHATEVER"},
        "status": {"status": word.upper()},
        "job": {"job": {"id": "job_1", "status": word}},
    }[place]
    seen = view(**data)
    assert (seen.id, seen.status, seen.word) == ("job_1", status, word)


def test_a_refusal_for_content() -> None:
    """A job refused for its content says so by its code, whatever the error itself is called."""
    error = {"code": "generation_failed", "message": "Not this.", "public_reason": "content_policy_rejected"}
    seen = view(sume_status="failed", job={"id": "job_1", "error": error})
    assert seen.error == Failure("content_policy_rejected", "Not this.")
    assert view(sume_status="failed", job={"error": {"public_reason": "no_capacity"}}).error == Failure("no_capacity")


def test_an_error_of_another_kind() -> None:
    """Any other failure keeps its code; the id called the request's is the job's, and no request id."""
    error = {"code": "generation_failed", "message": "No.", "public_reason": "internal"}
    seen = view(sume_status="failed", request_id="job_1", job={"id": "job_1", "error": error})
    assert seen.error == Failure("generation_failed", "No.")


@pytest.mark.parametrize(
    ("seconds", "floor"),
    [(5, 5.0), (0.5, 0.5), (0, None), (-1, None), ("5", None), (True, None), (1e9, LONGEST_FLOOR), (None, None)],
)
def test_the_recommended_interval(seconds: Any, floor: float | None) -> None:
    """What the server recommends is a floor of the interval, within reason."""
    assert view(sume_status="queued", recommended_poll_interval_seconds=seconds).floor_seconds == floor


def test_another_job() -> None:
    """An answer about another job, or about none, is refused."""
    for data in ({"job": {"id": "job_2"}, "sume_status": "completed"}, None, [1]):
        with pytest.raises(BadResponseError):
            OPEN.read_job(answer(data), "job_1")


def test_result() -> None:
    """The payload is the result alone, its artifacts are the media, and links about the job are none."""
    result = {"artifacts": [{"url": URL, "type": "video", "content_type": "video/mp4"}]}
    data = {"status": "COMPLETED", "request_id": "job_1", "result": result, "status_url": "https://api.test/s"}
    job, payload = OPEN.read_result(answer(data), "job_1")
    assert (job.status, payload) == ("completed", result)
    assert OPEN.media(payload) == (Link("/artifacts/0/url", URL, "video/mp4"),)


def test_a_result_elsewhere() -> None:
    """Where a link stands outside of the result, or a word is missing, the answer is kept whole and believed."""
    data = {"request_id": "job_1", "result": {}, "output": {"url": URL}}
    job, payload = OPEN.read_result(answer(data), "job_1")
    assert (job.status, payload) == ("completed", data)


@pytest.mark.parametrize("shape", [lambda jobs: jobs, lambda jobs: {"jobs": jobs}], ids=["list", "object"])
def test_page(shape: Any) -> None:
    """A page is a list of jobs, or of answers about jobs; what cannot be read is left out."""
    entries = [
        {"id": "job_1", "status": "failed", "type": "video_generation"},
        {"request_id": "job_2", "sume_status": "processing", "job": {"id": "job_2"}},
        {"status": "failed"},
        None,
    ]
    page = OPEN.read_page(answer(shape(entries)))
    assert [(job.id, job.status) for job in page.jobs] == [("job_1", "failed"), ("job_2", "running")]
    assert page.next_cursor is None


def test_presigned() -> None:
    """The object is known by the address it can be read from."""
    data = {"upload_url": "https://up.test/1", "public_url": URL, "upload_headers": {"Content-Type": "video/mp4"}}
    assert OPEN.read_presign(answer(data)) == Presigned("https://up.test/1", {"Content-Type": "video/mp4"}, URL)
    with pytest.raises(BadResponseError):
        OPEN.read_presign(answer({"upload_url": "https://up.test/1"}))


# Errors


@pytest.mark.parametrize(
    ("status", "lane", "kind"),
    [
        (409, "create", ServerError),
        (409, "read", NotReadyError),
        (422, "create", BadRequestError),
        (429, "create", RateLimitError),
        (302, "create", BadResponseError),
    ],
)
def test_refusals(status: int, lane: Any, kind: type[SumeError]) -> None:
    """As everywhere, but a conflict of two tries of one create leaves open what becomes of it."""
    error = OPEN.error(Response(status, {"error": {"code": "some_code", "message": "m", "request_id": "req_1"}}), lane)
    assert type(error) is kind
    if isinstance(error, ApiError):
        assert (error.status, error.code, error.request_id) == (status, "some_code", "req_1")


@pytest.mark.parametrize("code", ["idempotency_key_reused", "IDEMPOTENCY_ERROR"])
def test_a_refused_key_proves_nothing(code: str) -> None:
    """A create refused because of its key may have been paid under it: that stays open, and is no final refusal."""
    error = OPEN.error(Response(422, {"error": {"code": code, "message": "m"}}), "create")
    assert (type(error), getattr(error, "code", "")) == (ServerError, code)


@given(ANYTHING)
def test_no_answer_breaks_a_reader(body: Any) -> None:
    """Whatever comes, a reader answers or raises BadResponseError."""
    response = Response(200, body)
    reads = (
        OPEN.read_created,
        OPEN.read_presign,
        OPEN.read_page,
        lambda one: OPEN.read_job(one, "job_1"),
        lambda one: OPEN.read_result(one, "job_1"),
    )
    for read in reads:
        with suppress(BadResponseError):
            read(response)
    assert isinstance(OPEN.error(Response(409, body), "create"), ApiError)
