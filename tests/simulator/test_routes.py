"""The job routes and their options."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from sumeasync.simulator import Call, Duration, Reply, Service, StatusWords, TypeSettings, World, WorldSettings

KEY = {"Authorization": "Bearer sume_live_canary"}
UPLOAD = {"file_name": "clip.mp4", "content_type": "video/mp4", "size_bytes": 5}


def ask(world: World, method: str, path: str, now: float = 0, **fields: Any) -> Reply:
    """Send one request to the API."""
    body = msgspec.json.encode(fields.pop("body", {}))
    call = Call(method=method, path=f"/api/v1{path}", headers=KEY, body=body, origin="http://sim.test", **fields)
    return Service(world).answer(call, now).reply


def get(world: World, path: str, now: float = 0, **query: str) -> Any:
    """Send one GET that succeeds and return the decoded body."""
    reply = ask(world, "GET", path, now, query=query)
    assert reply.status == 200
    return msgspec.json.decode(reply.body)


def post(world: World, path: str, body: Any, now: float = 0) -> Any:
    """Send one POST and return the decoded body."""
    return msgspec.json.decode(ask(world, "POST", path, now, body=body).body)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/images/generations", {"prompt": "a"}, "image_generation"),
        ("/videos/generations", {"prompt": "a", "duration": 4}, "video_generation"),
        ("/ads/videos", {"script": "a"}, "ads_video"),
        ("/face-swap", {"avatar_ids": ["a"]}, "face_swap"),
        ("/reference-analysis", {"url": "https://www.instagram.com/reel/x"}, "reference_analysis"),
    ],
)
def test_each_create(path: str, body: Any, kind: str) -> None:
    """Each create route starts a job of its type."""
    world = World()
    post(world, path, body)
    assert [job.type for job in world.jobs] == [kind]
    assert dict(world.ledger.creates) == {path: 1}


def test_face_swap_makes_a_job_for_each_avatar() -> None:
    """The answer names a primary job and all of them; each is polled on its own."""
    world = World()
    answer = post(world, "/face-swap", {"avatar_ids": ["a", "b"], "source_video_url": "https://x.test/v.mp4"})
    assert answer["job_id"] == answer["job_ids"][0]
    assert [get(world, f"/jobs/{id}")["type"] for id in answer["job_ids"]] == ["face_swap"] * 2


def test_insufficient_credits() -> None:
    """A 402 starts nothing, not even the part that could be paid."""
    world = World(WorldSettings(credits=20))
    answer = post(world, "/face-swap", {"avatar_ids": ["a", "b"]})
    assert (answer["error"]["code"], world.jobs) == ("insufficient_credits", [])


def test_list_envelope_and_cursor() -> None:
    """The list has the documented envelope, 20 jobs by default, and leads on by cursor."""
    world = World()
    world.preload(25)
    first = get(world, "/jobs")
    assert (first["object"], len(first["data"]), first["has_more"]) == ("list", 20, True)
    last = get(world, "/jobs", cursor=first["next_cursor"])
    assert (len(last["data"]), last["has_more"], last["next_cursor"]) == (5, False, None)


def test_list_may_ignore_parameters() -> None:
    """A service without filters shows everything; without cursors there is one page."""
    world = World(WorldSettings(list_ignores=frozenset({"status", "type", "cursor", "limit"})))
    world.preload(25)
    page = get(world, "/jobs", status="nothing", type="nothing", limit="3", cursor="nothing")
    assert (len(page["data"]), page["has_more"]) == (20, False)


def test_list_detects() -> None:
    """A list that shows a job as ended counts as its detection; a lagging one only when it does show it."""
    world = World(WorldSettings(list_lag_seconds=10, types={"x": TypeSettings(Duration(5, 0), queue=Duration(0, 0))}))
    job = world.create("x", ("",), 0)[0]
    assert get(world, "/jobs", 12)["data"][0]["status"] == "running"
    assert world.ledger.detections == {}
    get(world, "/jobs", 15)
    assert world.ledger.detections[job.id].detected_at == 15


def test_fresh_id_may_be_unknown() -> None:
    """A new job can be invisible to polls for a while."""
    world = World(WorldSettings(visible_after_seconds=5))
    job = world.create("image_generation", ("",), 0)[0]
    assert [ask(world, "GET", f"/jobs/{job.id}", now).status for now in (4.9, 5)] == [404, 200]


def test_result_may_come_later_than_completion() -> None:
    """A result can be refused for a while after the job shows as completed."""
    world = World(WorldSettings(result_lag_seconds=5))
    job = world.create("image_generation", ("",), 0)[0]
    path = f"/jobs/{job.id}/result"
    assert [ask(world, "GET", path, job.ended_at + more).status for more in (0, 5)] == [409, 200]


@pytest.mark.parametrize(("choice", "status"), [("conflict", 409), ("job", 200)])
def test_result_of_a_job_without_one(choice: Any, status: int) -> None:
    """Before completion, and for a failed job, the result is a conflict or the plain job."""
    types = {"x": TypeSettings(Duration(5), failure_rate=1)}
    world = World(WorldSettings(types=types, unready_result=choice))
    job = world.create("x", ("",), 0)[0]
    replies = [ask(world, "GET", f"/jobs/{job.id}/result", now) for now in (0, 999)]
    assert [reply.status for reply in replies] == [status, status]
    assert all(b'"result":' not in reply.body for reply in replies)


def test_links_are_signed_afresh() -> None:
    """Each result has new links to its origin, beside decoys that are no media."""
    world = World(WorldSettings(thumbnails=True))
    job = world.create("video_generation", ("",), 0)[0]
    one, two = (get(world, f"/jobs/{job.id}/result", 999) for _ in range(2))
    assert one["result"]["video_url"] != two["result"]["video_url"]
    assert urlsplit(one["result"]["thumbnail_url"]).netloc == "sim.test"
    assert one["status_url"] == f"http://sim.test/api/v1/jobs/{job.id}"


def test_decoys_can_be_left_out() -> None:
    """Without decoys a result has no links but its media."""
    world = World(WorldSettings(decoy_urls=False))
    job = world.create("video_generation", ("",), 0)[0]
    assert not {"status_url", "result_url"} & set(get(world, f"/jobs/{job.id}/result", 999))


def test_upload_to_asset() -> None:
    """Presign, PUT, finalize and ingest lead to an asset that is ready, paid for once."""
    world = World()
    ticket = post(world, "/uploads/presign", UPLOAD)
    url = urlsplit(ticket["upload_url"])
    query = dict(part.split("=") for part in url.query.split("&"))
    headers = ticket["required_headers"] | {"Content-Length": "5"}
    put = Call(method="PUT", path=url.path, query=query, headers=headers, size=5, sha256="digest")
    assert Service(world).answer(put, 1).reply.status == 200
    answer = post(world, "/assets", {"object_key": ticket["object_key"], "title": "A clip"}, 2)
    job = world.find(answer["job"]["id"])
    assert get(world, f"/assets/{answer['id']}", 3)["status"] == "processing"
    assert get(world, "/assets", 999, q="clip")["data"][0]["status"] == "ready"
    assert get(world, "/assets", 999, q="other")["data"] == []
    assert get(world, f"/jobs/{job.id}/result", 999)["result"]["asset"]["id"] == answer["id"]
    assert world.ledger.uploads == {ticket["object_key"]: "digest"}


def test_finalize_can_answer_with_a_job_id_alone() -> None:
    """In the shape of a top-level id, finalize gives the job's id there."""
    world = World(WorldSettings(create_shape="id"))
    upload = world.uploads.presign(UPLOAD)
    upload.sha256 = "digest"
    assert post(world, "/assets", {"object_key": upload.object_key})["id"].startswith("job_")


@pytest.mark.parametrize(
    "path", ["/me", "/credits", "/assets", "/brand", "/brand/current", "/avatars", "/avatars/avatar_1"]
)
def test_context(path: str) -> None:
    """The read-only context has an object tag."""
    assert get(World(), path)["object"]


def test_credits_follow_the_jobs() -> None:
    """What a job reserves is missing from the balance at once."""
    world = World(WorldSettings(credits=100, concurrency=3))
    post(world, "/videos/generations", {"prompt": "a"})
    shown = get(world, "/credits")
    assert (shown["remaining_credits"], shown["reserved_credits"]) == (80, 20)
    assert shown["active_generation_capacity"] == 3


def test_create_status_and_words() -> None:
    """The HTTP status of a create and the spelling of states can be chosen."""
    world = World(WorldSettings(create_status=202, words=StatusWords(queued="QUEUED")))
    reply = ask(world, "POST", "/images/generations", body={"prompt": "a"})
    assert reply.status == 202
    assert b'"QUEUED"' in reply.body


def test_encoded_id() -> None:
    """A job id in a path is decoded once."""
    world = World()
    job = world.create("image_generation", ("",), 0)[0]
    assert get(world, f"/jobs/{job.id.replace('_', '%5F')}")["id"] == job.id
