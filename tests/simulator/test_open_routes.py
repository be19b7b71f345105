"""The surface ``open``: what the vendor's client asks, and how it is answered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sumeasync.simulator import Call, Limits, Reply, Service, TypeSettings, World, WorldSettings
from sumeasync.simulator.settings import Duration

KEY = {"Authorization": "Bearer sume_live_canary"}
IMAGE = {"model": "gpt-image-2", "prompt": "a lighthouse"}
VIDEO = {"model": "seedance", "prompt": "a lighthouse"}
SLOW = WorldSettings(types={"image_generation": TypeSettings(Duration(10, 0), queue=Duration(5, 0), media="png")})


def ask(world: World, path: str, now: float = 0, *, body: Any = None, key: str = "", method: str = "") -> Reply:
    """Send one request: a POST when there is a body."""
    path, _, query = path.partition("?")
    call = Call(
        method=method or ("GET" if body is None else "POST"),
        path=f"/v1{path}",
        query=dict(part.split("=") for part in query.split("&") if part),
        headers=KEY | ({"Idempotency-Key": key} if key else {}),
        body=b"" if body is None else msgspec.json.encode(body),
    )
    return Service(world).answer(call, now).reply


def data(reply: Reply) -> Any:
    """What stands under ``data``."""
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)["data"]


def code(reply: Reply) -> tuple[int, str]:
    """Status and code of a refusal."""
    return reply.status, msgspec.json.decode(reply.body)["error"]["code"]


def created(world: World, body: Any = IMAGE, now: float = 0, key: str = "") -> str:
    """Create a job and return its id."""
    return str(data(ask(world, "/image-router/generate", now, body=body, key=key))["request_id"])


@pytest.mark.parametrize(
    ("model", "kind"), [("gpt-image-2", "image"), ("seedance", "video"), ("x-lipsync", "lipsync"), ("a/b", "video")]
)
def test_catalog(model: str, kind: str) -> None:
    """A model has a kind, by its name; a slash in it is part of the name."""
    assert data(ask(World(), f"/open/catalog/{model.replace('/', '%2F')}")) == {"id": model, "kind": kind}


def test_life_of_a_job() -> None:
    """A job is created, waits, runs, ends and gives its artifacts; the ledger notes when that was first told."""
    world = World(SLOW, seed=1)
    id = created(world)
    at = {now: data(ask(world, f"/jobs/{id}/status", now)) for now in (1, 6, 16)}
    assert [at[now]["sume_status"] for now in at] == ["queued", "processing", "completed"]
    assert at[6]["status"] == "PROCESSING"
    assert at[6]["job"] == {"id": id, "type": "image_generation", "status": "processing", "error": None}
    assert code(ask(World(SLOW, seed=1), f"/jobs/{id}/result")) == (404, "not_found")
    (artifact,) = data(ask(world, f"/jobs/{id}/result", 17))["result"]["artifacts"]
    assert (artifact["type"], artifact["content_type"]) == ("image", "image/png")
    assert world.ledger.detections[id].detected_at == 16


def test_no_result_yet() -> None:
    """A job that has not completed has no result."""
    world = World(SLOW)
    assert code(ask(world, f"/jobs/{created(world)}/result", 3)) == (409, "job_not_completed")


def test_same_key_same_job() -> None:
    """The same create under the same key has the same answer and is charged once; without a key it is another job."""
    world = World(SLOW)
    first = created(world, key="k1")
    assert created(world, dict(reversed(IMAGE.items())), 60, key="k1") == first
    assert len(world.ledger.charges) == 1
    assert len({first, created(world, key="k2"), created(world), created(world)}) == 4


def test_same_key_other_body() -> None:
    """A key that stands for another create is refused, and nothing is charged."""
    world = World()
    created(world, key="k1")
    reply = ask(world, "/image-router/generate", body=IMAGE | {"prompt": "other"}, key="k1")
    assert code(reply) == (422, "idempotency_key_reused")
    assert len(world.ledger.charges) == 1


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/image-router/generate", VIDEO, ""),
        ("/video-router/generate", IMAGE, ""),
        ("/image-router/generate", {"prompt": "p"}, ""),
        ("/image-router/generate", {"model": "gpt-image-2"}, ""),
        ("/image-router/generate", IMAGE, "k" * 256),
    ],
    ids=["video", "image", "no-model", "no-prompt", "long-key"],
)
def test_bad_creates(path: str, body: Any, key: str) -> None:
    """A create at the wrong router, without model or prompt, or with too long a key starts nothing."""
    world = World()
    assert code(ask(world, path, body=body, key=key)) == (400, "bad_request")
    assert world.jobs == []


def test_refused_for_its_content() -> None:
    """A prompt that the policy forbids is accepted, fails, and says why; the credits come back."""
    world = World(SLOW)
    id = created(world, IMAGE | {"prompt": "all NSFW here"})
    job = data(ask(world, f"/jobs/{id}/status", 60))["job"]
    assert (job["status"], job["error"]["public_reason"]) == ("failed", "content_policy_rejected")
    assert world.balance(60).captured == 0


@pytest.mark.parametrize(
    ("now", "refusal"),
    [(6, (409, "job_generation_already_started")), (16, (409, "job_not_cancelable"))],
)
def test_too_late_to_cancel(now: float, refusal: tuple[int, str]) -> None:
    """A job that runs, or is over, cannot be canceled."""
    world = World(SLOW)
    assert code(ask(world, f"/jobs/{created(world)}/cancel", now, method="POST")) == refusal


def test_cancel() -> None:
    """A job that waits can be canceled, and stays so."""
    world = World(SLOW)
    id = created(world)
    assert data(ask(world, f"/jobs/{id}/cancel", 1, method="POST"))["sume_status"] == "canceled"
    assert data(ask(world, f"/jobs/{id}/status", 60))["sume_status"] == "canceled"


def test_list() -> None:
    """The newest jobs come first, so many as asked for; other parameters have no effect."""
    world = World(SLOW)
    ids = [created(world, now=now) for now in range(3)]
    listed = data(ask(world, "/jobs?limit=2&status=completed&cursor=x", 3))
    assert [job["id"] for job in listed] == [ids[2], ids[1]]
    assert code(ask(world, "/jobs?limit=0")) == (400, "bad_request")


def test_upload_address() -> None:
    """An upload has an address to go to, the headers to send, and one to be read from."""
    given = data(ask(World(), "/files/generate-upload-url", body={"content_type": "image/png", "size_bytes": 9}))
    assert given["upload_headers"]["Content-Type"] == "image/png"
    assert "signature=" in given["upload_url"]
    assert "signature=" not in given["public_url"]


def test_a_recommended_interval() -> None:
    """While a job waits the service may say how often it wants to be asked."""
    world = World(msgspec.structs.replace(SLOW, recommended_poll_seconds=5.0))
    id = created(world)
    assert data(ask(world, f"/jobs/{id}/status", 1))["recommended_poll_interval_seconds"] == 5
    assert "recommended_poll_interval_seconds" not in data(ask(world, f"/jobs/{id}/status", 60))


def test_both_surfaces_show_one_world() -> None:
    """A job created here is found there; limits and their headers are shared."""
    world = World(WorldSettings(limits=Limits(reads_per_minute=2)))
    id = created(world)
    call = Call(method="GET", path=f"/api/v1/jobs/{id}", headers=KEY)
    there = Service(world).answer(call, 0).reply
    assert msgspec.json.decode(there.body)["status"] == "queued"
    here = ask(world, f"/jobs/{id}/status")
    assert (here.headers["RateLimit-Remaining"], there.headers["RateLimit-Remaining"]) == ("0", "1")
    assert code(ask(world, f"/jobs/{id}/status")) == (429, "rate_limit_exceeded")


def test_request_ids() -> None:
    """Every answer has a request id in a header; a refusal has it inside too, and says whether to try again."""
    world = World(WorldSettings(limits=Limits(reads_per_minute=1)))
    assert ask(world, "/jobs").headers["X-Sume-Request-Id"].startswith("req_")
    for path, again in (("/jobs/job_1/status", True), ("/nowhere", False)):
        reply = ask(world, path)
        error = msgspec.json.decode(reply.body)["error"]
        assert (error["request_id"], error["retryable"]) == (reply.headers["X-Sume-Request-Id"], again)
