"""The key goes to the API and nowhere else; nothing that holds a secret shows it."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

import sumeasync
from sumeasync.core.events import Fetched, Placed, Uploaded
from sumeasync.core.job import Job, Product
from sumeasync.dialects.base import Presigned
from sumeasync.io.client import Client
from sumeasync.io.credentials import find_access
from sumeasync.models import JSON, JobView, Link, Outcome, Request, Response, Spec
from sumeasync.simulator import TypeSettings, WorldSettings, load_rules
from sumeasync.simulator.settings import Duration
from sumeasync.sume import Sume
from sumeasync.testing import Rig
from sumeasync.testing.canary import Canary, sightings
from sumeasync.testing.rig import API_KEY

BIRD = Canary(key=API_KEY)
QUICK = TypeSettings(Duration(3, 0), queue=Duration(1, 0), media="png")
WORLD = WorldSettings(types={"image_generation": QUICK})
SPEC: JSON = {"key": "k", "type": "image_generation", "input": {"prompt": "p"}, "deadline_seconds": 60}
SOURCES = sorted(Path(sumeasync.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("operation", ["create", "poll", "result", "list", "download"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_elsewhere(operation: str, status: int) -> None:
    """A redirect to another origin is not followed by the API client, and carries no credential for media."""
    visits: list[dict[str, str]] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visits.append(dict(request.headers))
        return web.Response(body=b"\x89PNG\r\n\x1a\n" + b"\0" * 8, content_type="image/png")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    rules: JSON = [{"on": [operation], "do": {"kind": "redirect", "location": "https://evil.test/x", "status": status}}]
    if operation == "list":
        rules.append({"on": ["create"], "do": {"kind": "reset", "act": True}})
    async with Rig(WORLD, rules=load_rules(rules)) as rig:
        await rig.network.serve("https://evil.test", app)
        await rig.run([SPEC])
    assert len(visits) == (operation == "download")
    for headers in visits:
        assert not {"authorization", "x-api-key", "cookie"} & {name.lower() for name in headers}
        assert sightings(repr(headers).encode(), [API_KEY]) == []


@pytest.mark.parametrize("origin", ["http://10.0.0.1", "http://169.254.169.254", "http://api.test", "http://127.0.0.1"])
async def test_redirect_away_from_https(origin: str) -> None:
    """Media are not fetched over plain http, whoever redirects there, even if somebody would answer."""
    visits: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.Response(body=b"\x89PNG\r\n\x1a\n", content_type="image/png")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    rules: JSON = [{"on": ["download"], "do": {"kind": "redirect", "location": f"{origin}/x"}}]
    async with Rig(WORLD, rules=load_rules(rules)) as rig:
        await rig.network.serve(origin, app)
        [outcome] = await rig.run([SPEC])
    assert visits == []
    assert (outcome.error and outcome.error.code) == "download_failed"


async def test_nothing_is_remembered_of_cookies() -> None:
    """Neither the API's session nor the one for media sends a cookie back."""
    cookies: list[str] = []

    class Watching(Rig):
        def app(self) -> web.Application:
            app = super().app()

            @web.middleware
            async def look(request: web.Request, handler: Any) -> web.StreamResponse:
                cookies.extend(request.headers.getall("Cookie", []))
                return await handler(request)

            app.middlewares.append(look)
            return app

    rules: JSON = [{"do": {"kind": "headers", "headers": {"Set-Cookie": "a=b; Path=/"}}}]
    async with Watching(WORLD, rules=load_rules(rules)) as rig:
        [outcome] = await rig.run([SPEC])
        assert outcome.ok
    assert cookies == []


VIEW = JobView("job_1", "failed", "failed")
HOLDERS: tuple[object, ...] = (
    Spec("k", "image_generation", input={"prompt": BIRD.prompt, "url": BIRD.link}, file=f"/home/{BIRD.workspace}/x"),
    Request(
        "POST", "/me", body={"prompt": BIRD.prompt}, headers=(("X-Api-Key", BIRD.key),), query=(("q", BIRD.email),)
    ),
    Response(200, {"email": BIRD.email, "transcript": BIRD.transcript}, {"x-debug": BIRD.link}),
    Link(f"/{BIRD.email}", BIRD.link, BIRD.workspace),
    Presigned(BIRD.link, {"x-amz-signature": BIRD.link_secret}, BIRD.workspace),
    Outcome("k", "job_1", "face_swap", "completed", result={"url": BIRD.link, "text": BIRD.transcript}),
    Product({"url": BIRD.link, "text": BIRD.transcript}, (Link("", BIRD.link),)),
    Job(Spec("k", input={"prompt": BIRD.prompt}), carry=Presigned(BIRD.link, {}, BIRD.workspace)),
    Fetched(VIEW, {"text": BIRD.transcript}, (Link("", BIRD.link),)),
    Placed(Presigned(BIRD.link, {}, BIRD.workspace)),
    Uploaded(BIRD.workspace),
    find_access(BIRD.key, "https://api.test/v1"),
    find_access(BIRD.key, "https://api.test/v1").api_key,
    Client("https://api.test/v1", BIRD.key),
    sumeasync.Engine(api_key=BIRD.key),
    Sume(api_key=BIRD.key),
    Sume(api_key=BIRD.key).handle("job_1"),
)


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_repr(holder: object) -> None:
    """`repr`, `str` and a container's `repr` name the thing and show nothing that it holds."""
    for shown in (repr(holder), str(holder), f"{holder}", repr([holder]), repr({"x": holder})):
        assert sightings(shown.encode(), BIRD.all()) == []
        assert not re.search("signature|sume_live", shown, re.IGNORECASE)


def test_every_struct_that_holds_payload_is_covered() -> None:
    """Each value of ours with a field for payloads, links or headers is among those tested."""
    fields = {"input", "body", "headers", "url", "upload_url", "result", "carry", "object_key", "links", "api_key"}
    tested = {type(holder) for holder in HOLDERS}
    assert {kind for kind in structs() if fields & set(kind.__struct_fields__)} - tested == set()


def structs() -> Iterator[type[msgspec.Struct]]:
    """Every value type of the engine's side, `carry` of a job included; the manifest's own line is never shown."""
    left = list(msgspec.Struct.__subclasses__())
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        inner = kind.__name__.startswith("_") or kind.__module__.startswith(
            ("sumeasync.simulator", "sumeasync.testing")
        )
        if kind.__module__.startswith("sumeasync") and not inner:
            yield kind


def test_access_cannot_be_written_down() -> None:
    """The key does not pass through an encoder."""
    with pytest.raises(TypeError):
        msgspec.json.encode(find_access(BIRD.key, "https://api.test/v1"))


async def test_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key given as an argument or read from a file stays out of the environment, which children see."""
    monkeypatch.delenv("SUME_API_KEY", raising=False)
    before = dict(os.environ)
    async with Rig(WORLD) as rig:
        await rig.run([SPEC])
    assert dict(os.environ) == before


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_children_and_no_key_on_the_command_line(path: Path) -> None:
    """No module starts a process, and no option takes a key itself: arguments can be read by everybody."""
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & {"subprocess", "multiprocessing", "pty", "pickle", "shelve"}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not texts & {"--api-key", "--key", "--token"}


async def test_no_proxy_and_no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the environment says of proxies and passwords is not used unless asked for."""
    (tmp_path / "netrc").write_text("machine api.test login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://user:password@127.0.0.1:9/")
    sessions: list[dict[str, Any]] = []
    made = aiohttp.ClientSession.__init__

    def watch(self: aiohttp.ClientSession, *args: Any, **options: Any) -> None:
        sessions.append(options)
        made(self, *args, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", watch)
    async with Rig(WORLD) as rig:
        [outcome] = await rig.run([SPEC])
    assert outcome.ok
    assert [options["trust_env"] for options in sessions] == [False, False]
    assert [options.get("proxy") for options in sessions] == [None, None]
