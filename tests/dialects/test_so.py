from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.dialects.base import Dialect
from sumeasync.dialects.so import So
from sumeasync.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    CreditsError,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    ServerError,
    UsageError,
)
from sumeasync.models import KINDS, Failure, Link, Request, Response, Spec

SO: Dialect = So()
MOMENT = 1_764_000_000.5

WORDS = st.sampled_from(
    "id job job_id jobs job_ids data status state error code message result url clip_url download asset object "
    "created_at completed_at next_cursor has_more required_headers upload_url object_key request_id type".split()
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["job_1", "completed", "https://media.test/a", "2025-11-24T16:00:00Z", "\ud83d", 10**400])
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=25
)


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """An answer of the API; underscores in header names stand for dashes."""
    return Response(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


# Requests


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("image_generation", "/images/generations"),
        ("video_generation", "/videos/generations"),
        ("ads_video", "/ads/videos"),
        ("face_swap", "/face-swap"),
        ("reference_analysis", "/reference-analysis"),
        ("asset_ingest", "/assets"),
    ],
)
def test_a_create_posts_the_input_as_it_stands(kind: str, path: str) -> None:
    """Each kind has its path; the body is the spec's input, unchanged."""
    body = {"prompt": "a lamp", "unheard_of": [1, None]}
    assert SO.create(Spec("a", kind, body)) == Request("POST", path, "create", body=body)


def test_every_kind_can_be_created() -> None:
    """No kind of work is without a path."""
    assert {SO.create(Spec("a", kind)).method for kind in KINDS} == {"POST"}


def test_an_upload_is_finalized_with_its_object_key() -> None:
    """The uploaded object goes beside the input, and wins over a stale one in it."""
    spec = Spec("a", "asset_ingest", {"title": "x", "object_key": "old"}, file="a.mp4")
    assert SO.create(spec, object_key="up/1").body == {"title": "x", "object_key": "up/1"}


@pytest.mark.parametrize(
    ("spec", "object_key"),
    [(Spec("a", "hologram"), None), (Spec("a", job_id="job_1"), None), (Spec("a", "asset_ingest", file="f"), None)],
)
def test_what_cannot_be_created_is_refused(spec: Spec, object_key: str | None) -> None:
    """An unknown type, an adopted job and a file that was not uploaded are the caller's mistakes."""
    with pytest.raises(UsageError):
        SO.create(spec, object_key=object_key)


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    """The message names what could have been meant."""
    with pytest.raises(UsageError, match=r"'hologram'.*image_generation.*asset_ingest"):
        SO.create(Spec("a", "hologram"))


@pytest.mark.parametrize(
    ("job_id", "path"),
    [
        ("job_1", "/jobs/job_1"),
        ("a/b", "/jobs/a%2Fb"),
        ("../me", "/jobs/..%2Fme"),
        ("a?b#c", "/jobs/a%3Fb%23c"),
        ("a\r\nHost: x", "/jobs/a%0D%0AHost%3A%20x"),
        ("%2e", "/jobs/%252e"),
        ("jób", "/jobs/j%C3%B3b"),
    ],
)
def test_an_id_is_one_path_segment_whatever_is_in_it(job_id: str, path: str) -> None:
    """No id reaches another resource or another header."""
    assert SO.poll(job_id) == Request("GET", path)
    assert SO.result(job_id) == Request("GET", path + "/result")


@pytest.mark.parametrize("job_id", ["", ".", "..", "x" * 513, "\ud83d"])
def test_an_id_that_no_path_can_carry_is_refused(job_id: str) -> None:
    """Empty, dots that servers resolve, over-long, half a character."""
    with pytest.raises(UsageError):
        SO.poll(job_id)


def test_a_list_is_asked_with_the_given_filters_only() -> None:
    """Absent filters leave no empty parameter behind."""
    assert SO.list_jobs().query == (("limit", "100"),)
    query = SO.list_jobs(limit=5, cursor="c=1", type="face_swap", status="running").query
    assert query == (("limit", "5"), ("cursor", "c=1"), ("type", "face_swap"), ("status", "running"))


def test_assets_are_asked_by_documented_names_only() -> None:
    """Values are spelled as JSON spells them; another name is the caller's mistake."""
    query = SO.assets({"q": "True", "cta_present": True, "min_duration_seconds": 2.5}).query
    assert query == (("q", "True"), ("cta_present", "true"), ("min_duration_seconds", "2.5"))
    with pytest.raises(UsageError, match="colour"):
        SO.assets({"colour": "red"})


def test_the_read_endpoints() -> None:
    """Paths of the read-only context."""
    requests = [SO.me(), SO.credits(), SO.brand("all"), SO.brand(), SO.avatars(), SO.avatar("a/1"), SO.asset("s 1")]
    paths = ["/me", "/credits", "/brand", "/brand/current", "/avatars", "/avatars/a%2F1", "/assets/s%201"]
    assert requests == [Request("GET", path) for path in paths]


def test_a_presign_names_the_file_and_its_size() -> None:
    """The purpose goes along only when there is one."""
    body = {"file_name": "a.mp4", "content_type": "video/mp4", "size_bytes": 9}
    assert SO.presign("a.mp4", "video/mp4", 9) == Request("POST", "/uploads/presign", body=body)
    assert SO.presign("a.mp4", "video/mp4", 9, "face_swap_source_video").body["purpose"] == "face_swap_source_video"


# Answers to a create


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"object": "image_generation", "job": {"id": "job_1", "status": "queued"}}, ("job_1",)),
        ({"job_id": "job_1"}, ("job_1",)),
        ({"job": "job_1"}, ("job_1",)),
        ({"jobs": [{"id": "job_1"}, {"id": "job_2"}]}, ("job_1", "job_2")),
        ({"job_ids": ["job_2", "job_1"]}, ("job_2", "job_1")),
        ({"data": {"job": {"id": "job_1"}}}, ("job_1",)),
        ({"data": {"job_id": "job_1"}}, ("job_1",)),
        ({"data": {"jobs": [{"id": "job_1"}, "job_2"]}}, ("job_1", "job_2")),
        ({"data": {"job_ids": ["job_1"]}}, ("job_1",)),
        ({"data": {"id": "job_1"}}, ("job_1",)),
        ({"object": "list", "data": [{"id": "job_1"}, {"id": "asset_1", "job_id": "job_2"}]}, ("job_1", "job_2")),
        ({"id": "job_1", "status": "queued"}, ("job_1",)),
        ({"id": "swap_9", "job_id": "job_1", "job_ids": ["job_2", "job_1", "job_2"]}, ("job_1", "job_2")),
        ({"jobs": [{"id": "job_2"}, {"id": "job_1"}], "job": {"id": "job_1"}}, ("job_1", "job_2")),
        ({"object": "asset", "id": "asset_1", "job_id": "job_1"}, ("job_1",)),
        ({"asset": {"id": "asset_1", "job": {"id": "job_1"}}}, ("job_1",)),
        ({"job_id": 12345678901}, ("12345678901",)),
        ({"job_id": "a/../b"}, ("a/../b",)),
        ({"job_ids": ["", None, True, 1.5, "x" * 513, "..", "job_1"]}, ("job_1",)),
        ({"job_id": "x" * 512}, ("x" * 512,)),
    ],
)
def test_job_ids_are_found_wherever_they_stand(body: Any, ids: tuple[str, ...]) -> None:
    """Every documented place, each id once, in order, the primary first."""
    assert SO.read_created(answer(body)) == ids


@pytest.mark.parametrize(
    "body",
    [None, [], "job_1", {}, {"id": "asset_1"}, {"job": {}}, {"job_id": ""}, {"job_id": "x" * 513}, {"data": ["x"]}],
)
def test_a_create_without_a_usable_id_makes_no_sense(body: Any) -> None:
    """Nothing is invented where no job is named."""
    with pytest.raises(BadResponseError):
        SO.read_created(answer(body))


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"data": x}, lambda x: {"object": "upload", "upload": x}])
def test_a_presign_is_read(wrap: Any) -> None:
    """Link, headers and object key, at the top or one level down; numbers in headers become text."""
    body = {"upload_url": "https://s.test/?sig=1", "required_headers": {"x-a": "b", "x-n": 3}, "object_key": "k"}
    presigned = SO.read_presign(answer(wrap(body)))
    assert (presigned.upload_url, presigned.headers, presigned.object_key) == (
        "https://s.test/?sig=1",
        {"x-a": "b", "x-n": "3"},
        "k",
    )
    assert "s.test" not in repr(presigned)


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a b": "c"}, {"a:": "c"}, {"a": None}, {"": "x"}, ["a"], "x"])
def test_a_presign_with_headers_that_cannot_be_sent_is_refused(headers: Any) -> None:
    """A header is sent exactly, or the upload is not tried."""
    with pytest.raises(BadResponseError):
        SO.read_presign(answer({"upload_url": "https://s.test", "required_headers": headers, "object_key": "k"}))


# Jobs


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("queued pending submitted", "queued"),
        ("running processing in_progress started in-progress", "running"),
        ("completed complete succeeded success done", "completed"),
        ("failed error", "failed"),
        ("canceled cancelled", "canceled"),
        ("expired", "expired"),
        ("paused completed! finished_almost", None),
    ],
)
def test_statuses_are_compared_without_case_and_spaces(words: str, status: str | None) -> None:
    """Every spelling has one meaning; an unknown word has none, and is kept."""
    for word in words.split():
        for spelled in (word, word.upper(), f"  {word.title()}\n"):
            view = SO.read_job(answer({"id": "job_1", "status": spelled}), "job_1")
            assert (view.status, view.word) == (status, word)


@pytest.mark.parametrize(("value", "word"), [(None, ""), (3, "int"), (True, "bool"), ({}, "dict"), ("", "")])
def test_a_status_that_is_no_word_is_not_terminal(value: Any, word: str) -> None:
    """Null, numbers and objects are unknown, never an exception."""
    view = SO.read_job(answer({"id": "job_1", "status": value}), "job_1")
    assert (view.status, view.word) == (None, word)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda job: job,
        lambda job: {"job": job, "status": "success"},
        lambda job: {"data": job, "status": "success"},
        lambda job: {"data": {"job": job}, "status": "ok"},
        lambda job: {**job, "data": {"status": "ready"}},
        lambda job: {**job, "object": "job", "id": None, "data": {"status": "ready"}},
        lambda job: {
            "job_id": "job_1",
            "id": "res_1",
            "status": job["status"],
            "type": job["type"],
            "data": {"state": 1},
        },
    ],
)
def test_the_job_is_found_in_its_envelope(wrap: Any) -> None:
    """At the top, under job, data or data.job; an envelope's own status is not the job's."""
    view = SO.read_job(answer(wrap({"id": "job_1", "status": "running", "type": "face_swap"})), "job_1")
    assert (view.id, view.status, view.type) == ("job_1", "running", "face_swap")


@pytest.mark.parametrize(
    "body",
    [
        {"id": "job_2", "status": "completed"},
        {"job": {"id": "job_2", "status": "completed"}},
        {"id": "job_1", "job_id": "job_2", "status": "completed"},
        {"object": "job", "id": "7f3c", "status": "completed"},
    ],
)
def test_an_answer_about_another_job_is_refused(body: Any) -> None:
    """One job's end is never taken for another's."""
    with pytest.raises(BadResponseError, match="another job"):
        SO.read_job(answer(body), "job_1")


def test_numeric_ids_are_the_same_as_their_text() -> None:
    """An id asked for as text may come back as a number."""
    assert SO.read_job(answer({"object": "job", "id": 17, "status": "queued"}), "17").status == "queued"


@pytest.mark.parametrize("body", [None, [], "running", 1])
def test_a_poll_answered_by_no_object_makes_no_sense(body: Any) -> None:
    """Lists, texts and numbers are no job."""
    with pytest.raises(BadResponseError):
        SO.read_job(answer(body), "job_1")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2025-11-24T16:00:00.5Z", MOMENT),
        ("2025-11-24T16:00:00.5", MOMENT),
        ("2025-11-24T18:00:00.5+02:00", MOMENT),
        (MOMENT, MOMENT),
        (int(MOMENT), MOMENT - 0.5),
        (MOMENT * 1000, MOMENT),
        (str(int(MOMENT)), MOMENT - 0.5),
        (None, None),
        ("yesterday", None),
        ("", None),
        (True, None),
        (-5, None),
        (0, None),
        (10**400, None),
        (1e300, None),
        (float("nan"), None),
        ("nan", None),
        ({}, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_timestamps_are_read_in_every_usual_form(value: Any, seconds: float | None) -> None:
    """ISO 8601, epoch seconds and milliseconds; anything else is absent."""
    job = {"status": "completed", "created_at": value, "started_at": value, "finished_at": value}
    view = SO.read_job(answer(job), "job_1")
    assert (view.created_at, view.started_at, view.completed_at) == (seconds, seconds, seconds)


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"error": {"code": "nsfw", "message": "no"}}, Failure("nsfw", "no", "req_0")),
        ({"error": {"code": "nsfw", "request_id": "req_1"}}, Failure("nsfw", "", "req_1")),
        ({"error": "it broke"}, Failure("", "it broke", "req_0")),
        ({"error_code": "e7", "error_message": "no"}, Failure("e7", "no", "req_0")),
        ({"failure_reason": "no", "request_id": "req_2"}, Failure("", "no", "req_2")),
        ({"error": {"code": 17, "message": ["x"]}}, Failure("17", "", "req_0")),
        ({"error": None}, None),
        ({"error": {}}, None),
        ({}, None),
    ],
)
def test_why_a_job_failed_is_read(fields: Any, failure: Failure | None) -> None:
    """An object, a text or fields of the job; the request id from the nearest place."""
    body = {"job": {"id": "job_1", "status": "failed", **fields}, "request_id": "req_0"}
    assert SO.read_job(answer(body), "job_1").error == failure


# Results and media


def test_the_payload_is_the_result_alone() -> None:
    """A result that holds every link is returned without its envelope."""
    result = {"images": [{"url": "https://media.test/1.png"}]}
    view, payload = SO.read_result(answer({"id": "job_1", "status": "completed", "result": result}), "job_1")
    assert (view.status, payload) == ("completed", result)


@pytest.mark.parametrize("result", [None, {}, {"seed": 1}])
def test_no_link_outside_the_result_is_lost(result: Any) -> None:
    """Where media stand beside the result, the payload is the whole answer."""
    body = {"id": "job_1", "status": "completed", "result": result, "video_url": "https://media.test/v.mp4"}
    assert SO.read_result(answer(body), "job_1")[1] == body


def test_a_result_without_a_status_is_that_of_a_completed_job() -> None:
    """A result is only given out when there is one."""
    assert SO.read_result(answer({"result": {"text": "x"}}), "job_1")[0].status == "completed"
    assert SO.read_result(answer({"status": "odd", "result": {"text": "x"}}), "job_1")[0].status is None


U = "https://media.sume.test/"


@pytest.mark.parametrize(
    ("payload", "urls"),
    [
        ({"url": U}, [U]),
        ({"video_url": U, "thumbnail_url": U + "t"}, [U, U + "t"]),
        ({"download": U, "download_url": U + "2"}, [U, U + "2"]),
        ({"download": {"url": U}}, [U]),
        ([{"outputs": [{"url": U}, {"url": U + "2"}]}], [U, U + "2"]),
        ({"image_urls": [U, U + "2"], "urls": [U + "3"]}, [U, U + "2", U + "3"]),
        ({"a": {"url": U}, "b": {"url": U}}, [U]),
        ({"url": "HTTP://media.test/a"}, ["HTTP://media.test/a"]),
        ({"clip_url": U + "c", "url": U, "source_url": U + "s", "poster_url": U + "p"}, [U + "c", U + "p"]),
        ({"clip_url": None, "url": U}, [U]),
        ({"curl": U, "text": U, "link": U, "": U}, []),
        ({"input": {"source_video_url": U}, "reference_image_urls": [U]}, []),
        ({"url": ""}, []),
        ({"url": "ftp://x/y"}, []),
        ({"url": "https://x/a b"}, []),
        ({"url": "https://x/\n"}, []),
        ({"url": "https://x/" + "y" * 9000}, []),
        ({"url": 5, "a_url": None}, []),
        (U, []),
        (None, []),
    ],
)
def test_media_are_found_by_their_keys(payload: Any, urls: list[str]) -> None:
    """By key, unique by URL, in document order, the clip before its source."""
    assert [link.url for link in SO.media(payload)] == urls


@pytest.mark.parametrize("word", ["api", "callback", "events", "result", "status", "webhook", "upload", "cancel"])
def test_addresses_of_the_api_are_not_media(word: str) -> None:
    """Links that lead back to the API or to the caller are never downloaded."""
    assert SO.media({f"{word}_url": U}) == ()


def test_a_link_says_where_it_stands_and_what_it_is() -> None:
    """RFC 6901 pointers, and the content type beside the link."""
    payload = {"a/b~": [{"url": U, "content_type": "video/mp4"}, {"url": U + "2", "mime_type": "odd"}]}
    assert SO.media(payload) == (Link("/a~1b~0/0/url", U, "video/mp4"), Link("/a~1b~0/1/url", U + "2"))


def test_a_link_given_twice_stands_where_it_came_first() -> None:
    """The pointer is stable, whatever repeats the link later."""
    assert SO.media({"a_url": U, "b_url": U}) == (Link("/a_url", U),)


def test_media_are_bounded_in_depth_and_number() -> None:
    """A hostile payload costs a bounded number of links and no recursion."""
    deep: Any = {"url": U}
    for _ in range(5000):
        deep = [deep]
    assert SO.media(deep) == ()
    assert len(SO.media([{"url": f"{U}{i}"} for i in range(3000)])) == 1000


# Pages


def test_a_page_of_jobs_is_read() -> None:
    """The list envelope, with the cursor of the next page."""
    body = {"object": "list", "data": [{"id": "job_1", "status": "queued"}], "has_more": True, "next_cursor": "c"}
    page = SO.read_page(answer(body))
    assert [(job.id, job.status) for job in page.jobs] == [("job_1", "queued")]
    assert page.next_cursor == "c"


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ({"data": [], "has_more": False, "next_cursor": "c"}, None),
        ({"data": [], "next_cursor": "c"}, "c"),
        ({"data": [], "next_cursor": 7}, "7"),
        ({"data": [], "has_more": True, "next_cursor": ""}, None),
        ({"data": [], "has_more": True}, None),
        ({"jobs": [], "next_cursor": "c"}, "c"),
        ({"data": {"jobs": [], "next_cursor": "c", "has_more": True}}, "c"),
        ({"data": {"jobs": []}, "next_cursor": "c"}, "c"),
        ({"data": [], "next_cursor": "x" * 4097}, None),
    ],
)
def test_the_next_cursor_is_read(body: Any, cursor: str | None) -> None:
    """Only where there is a next page to ask for."""
    assert SO.read_page(answer(body)) == type(SO.read_page(answer(body)))((), cursor)


@pytest.mark.parametrize(
    ("entry", "prompt"),
    [
        ({}, ""),
        ({"prompt": "a cat"}, "a cat"),
        ({"input": {"prompt": "a cat"}}, "a cat"),
        ({"prompt": ["a"], "input": "a cat"}, ""),
    ],
)
def test_a_page_may_show_prompts(entry: Any, prompt: str) -> None:
    """What a list says a job was made from is kept, and not shown by repr."""
    (job,) = SO.read_page(answer({"data": [{"id": "job_1", "status": "queued"} | entry]})).jobs
    assert job.prompt == prompt
    assert "cat" not in repr(job)


def test_entries_that_cannot_be_read_do_not_hide_the_page() -> None:
    """One broken entry costs itself only."""
    page = SO.read_page(answer({"data": [None, {"status": "queued"}, {"id": ""}, "x", {"id": 5, "status": None}]}))
    assert [(job.id, job.status) for job in page.jobs] == [("5", None)]


@pytest.mark.parametrize("body", [None, [], {}, {"data": {}}, {"data": "x"}])
def test_a_list_without_a_list_makes_no_sense(body: Any) -> None:
    """No page is invented."""
    with pytest.raises(BadResponseError):
        SO.read_page(answer(body))


# Errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad_request", BadRequestError),
        (401, "unauthorized", AuthError),
        (402, "insufficient_credits", CreditsError),
        (403, "", AuthError),
        (403, "insufficient_credits", CreditsError),
        (400, "RATE_LIMIT_EXCEEDED", RateLimitError),
        (404, "not_found", NotFoundError),
        (408, "", ServerError),
        (409, "job_not_completed", NotReadyError),
        (409, "", NotReadyError),
        (413, "", BadRequestError),
        (422, "", BadRequestError),
        (429, "rate_limit_exceeded", RateLimitError),
        (500, "internal_error", ServerError),
        (503, "unauthorized", ServerError),
        (599, "", ServerError),
    ],
)
def test_an_error_has_a_class(status: int, code: str, kind: type[ApiError]) -> None:
    """The class follows from the code where it says more, else from the status."""
    error = SO.error(answer({"error": {"code": code, "message": "why"}, "request_id": "req_1"}, status))
    assert isinstance(error, ApiError)
    assert type(error) is kind
    assert (error.status, error.code, str(error), error.request_id) == (status, code, "why", "req_1")


@pytest.mark.parametrize("status", [404, 409])
def test_a_create_is_not_told_that_an_id_is_unknown(status: int) -> None:
    """On a create there is no id and no result: the request itself was bad."""
    assert type(SO.error(answer(None, status), "create")) is BadRequestError


@pytest.mark.parametrize(
    ("body", "headers", "code", "message", "request_id"),
    [
        ({"error": {"code": "c", "message": "m", "request_id": "r"}}, {}, "c", "m", "r"),
        ({"error": "m", "request_id": "r"}, {}, "", "m", "r"),
        ({"message": "m", "code": "c"}, {}, "c", "m", None),
        ({"error": {"code": "c"}, "message": "m"}, {}, "c", "m", None),
        ({"detail": "m"}, {"x_sume_request_id": "h"}, "", "m", "h"),
        ({"error": {"code": "c", "message": "m"}}, {"x_sume_request_id": "h"}, "c", "m", "h"),
        (None, {}, "", "The server did not accept the request.", None),
        ([], {}, "", "The server did not accept the request.", None),
        ({"error": 5, "request_id": {}}, {}, "", "5", None),
    ],
)
def test_error_envelopes_vary(body: Any, headers: Any, code: str, message: str, request_id: str | None) -> None:
    """Code, message and request id from wherever they stand; none is needed."""
    error = SO.error(answer(body, 400, **headers))
    assert isinstance(error, ApiError)
    assert (error.code, str(error), error.request_id) == (code, message, request_id)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "30"}, 30.0),
        ({"retry_after": "Tue, 24 Nov 2026 07:00:30 GMT", "date": "Tue, 24 Nov 2026 07:00:00 GMT"}, 30.0),
        ({"retry_after": "Tue, 24 Nov 2026 07:00:30 GMT", "date": "soon"}, None),
        ({"retry_after": "Tue, 24 Nov 2026 07:00:30 GMT"}, None),
        ({"retry_after": "abc"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read(headers: Any, seconds: float | None) -> None:
    """A date counts from the server's own clock."""
    error = SO.error(answer(None, 429, **headers))
    assert isinstance(error, RateLimitError)
    assert error.retry_after_seconds == seconds


def test_an_answer_that_is_no_error_makes_no_sense_as_one() -> None:
    """A status below 400 where none was expected."""
    assert type(SO.error(answer({}, 304))) is BadResponseError


# Whatever comes


@given(ANYTHING)
def test_readers_raise_nothing_but_bad_response(body: Any) -> None:
    """Any JSON at all gives values or a `BadResponseError`."""
    reply = answer(body)
    readers = [SO.read_created, SO.read_page, SO.read_presign]
    readers += [lambda r: SO.read_job(r, "job_1"), lambda r: SO.read_result(r, "job_1")]
    for read in readers:
        try:
            read(reply)
        except BadResponseError:
            continue


@given(ANYTHING, st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()))
def test_errors_and_media_never_raise(body: Any, status: int, headers: dict[str, str]) -> None:
    """An error answer always has an error, and a payload always has its links."""
    assert isinstance(SO.error(Response(status, body, headers)), ApiError | BadResponseError)
    assert all(link.url.lower().startswith("http") for link in SO.media(body))


@given(ANYTHING)
def test_ids_read_can_be_asked_for(body: Any) -> None:
    """Whatever id a create is answered with, a poll can spell it."""
    try:
        ids = SO.read_created(answer(body))
    except BadResponseError:
        return
    assert len({SO.poll(job_id).path for job_id in ids}) == len(ids)
