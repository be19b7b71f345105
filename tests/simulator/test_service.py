"""Keys, limits, faults and the ledger around the routes."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import pytest

from sumeasync.simulator import Call, Exchange, Limits, Reply, Rule, Service, World, WorldSettings, body_hash
from sumeasync.simulator import faults as f

KEY = {"Authorization": "Bearer sume_live_canary"}
IMAGE = {"prompt": "a lighthouse"}


def ask(world: World, path: str, now: float = 0, *, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
    """Send one request to the API: a POST when there is a body."""
    return exchange(world, path, now, body=body, headers=headers).reply


def exchange(
    world: World, path: str, now: float = 0, *, body: Any = None, headers: dict[str, str] | None = None
) -> Exchange:
    """Send one request to the API and keep what is to happen on the wire."""
    path, _, query = path.partition("?")
    call = Call(
        method="GET" if body is None else "POST",
        path=f"/api/v1{path}",
        query=dict(part.split("=") for part in query.split("&") if part),
        headers=KEY if headers is None else headers,
        body=b"" if body is None else msgspec.json.encode(body),
    )
    return Service(world).answer(call, now)


def document(reply: Reply) -> Any:
    """The decoded body."""
    return msgspec.json.decode(reply.body)


def created(world: World, path: str = "/images/generations", body: Any = IMAGE) -> str:
    """Create a job at 0 and return its id."""
    answer = document(ask(world, path, body=body))
    return str(answer["job"]["id"] if "job" in answer else answer["job_id"])


def test_create_poll_result() -> None:
    """A job is created, waits, ends, and gives its result, the ledger noting what happened when."""
    world = World(seed=1)
    id = created(world)
    ended_at = world.find(id).ended_at
    assert document(ask(world, f"/jobs/{id}", 0))["status"] == "queued"
    assert ask(world, f"/jobs/{id}/result", ended_at - 1).status == 409
    assert document(ask(world, f"/jobs/{id}/result", ended_at + 1))["result"]["images"]
    assert world.ledger.detections[id].detected_at == ended_at + 1
    assert world.ledger.job_requests == {id: 3}
    assert world.ledger.charges == {id: 2}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer other"}, {"Authorization": "sume_live_x"}, {"X-Api-Key": "x"}]
)
def test_wrong_key(headers: dict[str, str]) -> None:
    """Without an acceptable key nothing happens, and the ledger counts it."""
    world = World()
    reply = ask(world, "/images/generations", body=IMAGE, headers=headers)
    assert (reply.status, document(reply)["error"]["code"]) == (401, "unauthorized")
    assert (world.jobs, world.ledger.unauthorized) == ([], 1)


def test_legacy_key_header() -> None:
    """The key is also taken from X-Api-Key."""
    assert ask(World(), "/me", headers={"X-Api-Key": "sume_live_x"}).status == 200


def test_error_envelope() -> None:
    """An error has code, message and details, and the request id at the top."""
    answer = document(ask(World(), "/jobs/job_none"))
    assert set(answer) == {"error", "request_id"}
    assert set(answer["error"]) == {"code", "message", "details"}
    assert answer["request_id"].startswith("req_")


@pytest.mark.parametrize("path", ["/nothing", "/jobs/a/b", "/assets/a/b", "/avatars/none", "/assets/none"])
def test_unknown_path(path: str) -> None:
    """What is not there is a 404."""
    assert ask(World(), path).status == 404


def test_outside_the_prefix() -> None:
    """Paths outside the API are a 404, not a failure."""
    assert Service(World()).answer(Call(method="GET", path="/"), 0).reply.status == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_unreadable_body(body: bytes) -> None:
    """A body that is no JSON object is a 400."""
    call = Call(method="POST", path="/api/v1/face-swap", headers=KEY, body=body)
    assert Service(World()).answer(call, 0).reply.status == 400


def test_limits_reach_every_api_answer() -> None:
    """With limits on, each answer has the headers, and a refusal says when to come back."""
    world = World(WorldSettings(limits=Limits(reads_per_minute=1)))
    first, second = ask(world, "/jobs/none", 5), ask(world, "/jobs/none", 6)
    assert (first.status, first.headers["RateLimit-Remaining"]) == (404, "0")
    assert (second.status, second.headers["Retry-After"]) == (429, "54")
    assert document(second)["error"]["code"] == "rate_limit_exceeded"
    assert list(world.ledger.times["read"]) == [5, 6]


@pytest.mark.parametrize(("bucket", "status"), [("read", 200), ("create", 429)])
def test_bucket_of_presign(bucket: Any, status: int) -> None:
    """The settings choose from which bucket a presign is paid."""
    world = World(WorldSettings(limits=Limits(creates_per_minute=0), presign_bucket=bucket))
    body = {"file_name": "a", "content_type": "b", "size_bytes": 1}
    assert ask(world, "/uploads/presign", body=body).status == status


def test_same_body_twice_is_charged_twice() -> None:
    """There is no idempotency: the ledger shows the double charge."""
    world = World()
    ids = [created(world), created(world)]
    assert world.ledger.accepted[body_hash("/images/generations", IMAGE)] == [[ids[0]], [ids[1]]]


def test_lost_reply_is_still_charged() -> None:
    """A reset after the effect leaves a charged job that nobody was told of."""
    world = World(rules=[Rule(on=frozenset({"create"}), do=f.Reset(act=True))])
    answer = exchange(world, "/images/generations", body=IMAGE)
    assert (answer.fault, len(world.jobs), len(world.ledger.charges)) == (f.Reset(act=True), 1, 1)


@pytest.mark.parametrize("action", [f.Reset(), f.Status(503), f.Body("no"), f.Redirect("http://10.0.0.1/")])
def test_fault_instead_of_effect(action: f.Action) -> None:
    """Without `act` the request has no effect."""
    world = World(rules=[Rule(on=frozenset({"create"}), do=action)])
    ask(world, "/images/generations", body=IMAGE)
    assert world.jobs == []


@pytest.mark.parametrize(
    ("action", "status", "headers", "body"),
    [
        (f.Status(429, retry_after="soon"), 429, {"Retry-After": "soon"}, b"rate_limit_exceeded"),
        (f.Status(503, headers={"X-A": "b"}), 503, {"X-A": "b"}, b"internal_error"),
        (f.Status(502, envelope=False), 502, {}, b""),
        (f.Status(400, code="odd"), 400, {}, b'"odd"'),
        (f.Body("<html>", content_type="text/html"), 200, {"Content-Type": "text/html"}, b"<html>"),
        (f.Body("x", headers={"Content-Encoding": "gzip"}), 200, {"Content-Encoding": "gzip"}, b"x"),
        (f.Redirect("file:///etc/passwd", 307), 307, {"Location": "file:///etc/passwd"}, b""),
        (f.Headers({"Set-Cookie": "a=b"}), 200, {"Set-Cookie": "a=b"}, b'"object"'),
    ],
)
def test_spoiled_answers(action: f.Action, status: int, headers: dict[str, str], body: bytes) -> None:
    """A scripted answer says what the script says."""
    reply = ask(World(rules=[Rule(do=action)]), "/me")
    assert reply.status == status
    assert headers.items() <= reply.headers.items()
    assert body in reply.body


def test_gzip_bomb() -> None:
    """The bomb is small and unpacks to the size asked for."""
    reply = ask(World(rules=[Rule(do=f.GzipBomb(3_000_001))]), "/me")
    assert len(reply.body) < 20_000
    assert len(zlib.decompress(reply.body, 31)) == 3_000_001


@pytest.mark.parametrize("word", ["exploded", None, 7, "COMPLETED", "queued"])
def test_patched_status(word: Any) -> None:
    """A poll can be made to show any status, and that does not count as having shown the end."""
    world = World(rules=[Rule(on=frozenset({"poll"}), terminal=True, do=f.Patch({"status": word}))])
    id = created(world)
    assert document(ask(world, f"/jobs/{id}", 0))["status"] == "queued"
    assert document(ask(world, f"/jobs/{id}", 999))["status"] == word
    assert world.ledger.detections == {}


def test_patched_list_and_dropped_field() -> None:
    """In a list each entry is changed; a field can be left out."""
    world = World(rules=[Rule(on=frozenset({"list"}), do=f.Patch({"extra": 1}, drop=("id",)))])
    created(world)
    entry = document(ask(world, "/jobs", 999))["data"][0]
    assert (entry["extra"], "id" in entry) == (1, False)
    assert len(world.ledger.detections) == 1


def test_every_body_is_noted() -> None:
    """A create body counts as received also when a fault kept it from having an effect."""
    world = World(rules=[Rule(on=frozenset({"create"}), nth=1, do=f.Reset())])
    for _ in range(2):
        ask(world, "/images/generations", body=IMAGE)
    booked = body_hash("/images/generations", IMAGE)
    assert (world.ledger.received[booked], len(world.ledger.accepted[booked])) == (2, 1)


def test_rule_for_an_unknown_job() -> None:
    """A rule about a job's state leaves unknown jobs alone; one about everything does not."""
    world = World(rules=[Rule(terminal=False, do=f.Status(500)), Rule(do=f.Status(418))])
    assert ask(world, "/jobs/job_none").status == 418


def test_rule_for_a_type() -> None:
    """A rule can be for polls of one type of job only."""
    world = World(rules=[Rule(type="video_generation", on=frozenset({"poll"}), do=f.Status(500))])
    image, video = created(world), created(world, "/videos/generations")
    assert [ask(world, f"/jobs/{id}").status for id in (image, video)] == [200, 500]


def test_delay_is_drawn() -> None:
    """A delay lies between its seconds and its jitter, and the answer is whole."""
    answer = exchange(World(rules=[Rule(do=f.Delay(1, 4))]), "/me")
    assert 1 <= answer.delay_seconds < 5
    assert answer.reply.status == 200


def test_ledger_over_http() -> None:
    """The ledger is served without a key and does not count itself."""
    world = World()
    ask(world, "/me")
    shown = document(Service(world).answer(Call(method="GET", path="/_sim/ledger"), 0).reply)
    assert shown["requests"] == {"GET /me": 1}
