"""Media and uploads behind signed links."""

from __future__ import annotations

import pytest

from sumeasync.simulator import Call, Reply, Rule, Service, World, WorldSettings
from sumeasync.simulator.faults import Etag, Headers


def finished(world: World) -> tuple[str, str]:
    """A job that completed: its id and a link to its file, good from 1000 to 1900."""
    job = world.create("image_generation", ("",), 0)[0]
    return job.id, world.signer.sign(f"/media/{job.id}/output.png", 1900)


def fetch(world: World, link: str, now: float = 1000, method: str = "GET", **headers: str) -> Reply:
    """Follow a signed link."""
    path, _, query = link.partition("?")
    call = Call(
        method=method,
        path=path,
        query=dict(part.split("=") for part in query.split("&") if part),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        size=5,
        sha256="digest",
    )
    return Service(world).answer(call, now).reply


def test_whole_file() -> None:
    """The link gives the job's own file with type, length, strong tag and ranges."""
    world = World()
    id, link = finished(world)
    media = world.media(world.find(id))
    assert media is not None
    reply = fetch(world, link)
    assert reply.read(reply.size) == media.read()
    assert reply.headers == {"Content-Type": "image/png", "ETag": media.etag, "Accept-Ranges": "bytes"}


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=10-", slice(10, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-99999", slice(0, None)),
        ("bytes=5-99999", slice(5, None)),
    ],
)
def test_ranges(asked: str, part: slice) -> None:
    """One range gives that part and says which it is."""
    world = World()
    _, link = finished(world)
    whole = fetch(world, link).read(10**6)
    reply = fetch(world, link, Range=asked)
    start, stop, _ = part.indices(len(whole))
    assert (reply.status, reply.read(reply.size)) == (206, whole[part])
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=0-1,5-6", "bytes=-", "lines=1-2", ""])
def test_other_ranges_are_ignored(asked: str) -> None:
    """What is not one plain range of bytes gives the whole file."""
    world = World()
    reply = fetch(world, finished(world)[1], Range=asked)
    assert (reply.status, reply.start, "Content-Range" in reply.headers) == (200, 0, False)


@pytest.mark.parametrize("asked", ["bytes=99999-", "bytes=-0"])
def test_unsatisfiable_range_tells_the_length(asked: str) -> None:
    """A 416 says how long the file is."""
    world = World()
    id, link = finished(world)
    media = world.media(world.find(id))
    assert media is not None
    reply = fetch(world, link, Range=asked)
    assert (reply.status, reply.headers["Content-Range"]) == (416, f"bytes */{media.size}")


@pytest.mark.parametrize(("condition", "status"), [("same", 206), ('"other"', 200), ("W/same", 200), ("date", 200)])
def test_if_range(condition: str, status: int) -> None:
    """A range is only served on the very same strong tag, otherwise the whole file."""
    world = World()
    _, link = finished(world)
    etag = fetch(world, link).headers["ETag"]
    value = condition.replace("same", etag)
    assert fetch(world, link, Range="bytes=5-", If_Range=value).status == status


def test_changed_tag_breaks_a_resume() -> None:
    """A file that changed in between is served whole, a weak tag never resumes."""
    world = World(rules=[Rule(nth=2, do=Etag('"new"')), Rule(nth=3, do=Etag('W/"new"'))])
    _, link = finished(world)
    etag = fetch(world, link).headers["ETag"]
    assert fetch(world, link, Range="bytes=5-", If_Range=etag).status == 200
    assert fetch(world, link, Range="bytes=5-", If_Range='W/"new"').status == 200


def test_wrong_content_range() -> None:
    """A 206 can be made to lie about its range."""
    world = World(rules=[Rule(do=Headers({"Content-Range": "bytes 0-4/9"}))])
    reply = fetch(world, finished(world)[1], Range="bytes=5-")
    assert (reply.status, reply.headers["Content-Range"]) == (206, "bytes 0-4/9")


def test_expired_or_wrong_link() -> None:
    """After its expiry, or changed, a link is a 403 in XML."""
    world = World()
    _, link = finished(world)
    for reply in (fetch(world, link, 1900), fetch(world, link + "0"), fetch(world, link.partition("?")[0])):
        assert reply.status == 403
        assert b"<Code>AccessDenied</Code>" in reply.body


def test_tag_survives_a_new_link() -> None:
    """Two links to one file have one entity tag."""
    world = World()
    id, link = finished(world)
    again = world.signer.sign(f"/media/{id}/output.png", 1900)
    assert fetch(world, link).headers["ETag"] == fetch(world, again).headers["ETag"]


def test_no_file_before_the_end() -> None:
    """A job that is not completed, or has no media, has no file."""
    world = World()
    _, link = finished(world)
    analysis = world.create("reference_analysis", ("",), 0)[0]
    assert fetch(world, link, 0).status == 404
    assert fetch(world, world.signer.sign(f"/media/{analysis.id}/output", 1900)).status == 404


def test_thumbnail_is_another_file() -> None:
    """The thumbnail differs from the output."""
    world = World(WorldSettings(thumbnails=True))
    id, link = finished(world)
    thumbnail = fetch(world, world.signer.sign(f"/media/{id}/thumbnail.png", 1900))
    assert thumbnail.read(10**6) != fetch(world, link).read(10**6)


@pytest.mark.parametrize("name", ["Authorization", "X_Api_Key", "Cookie"])
def test_credentials_are_noted(name: str) -> None:
    """A credential sent to a media link is served and written down."""
    world = World()
    assert fetch(world, finished(world)[1], **{name: "sume_live_x"}).status == 200
    assert world.ledger.key_sightings == ["GET /media"]


def test_key_in_a_query_is_noted() -> None:
    """A key in a media query is written down as well."""
    world = World()
    fetch(world, finished(world)[1] + "&key=sume_live_x")
    assert world.ledger.key_sightings == ["GET /media"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Length": "5"}, 200),
        ({}, 411),
        ({"Content_Length": "5", "Authorization": "Bearer sume_live_x"}, 400),
        ({"Content_Length": "5", "X_More": "1"}, 403),
    ],
)
def test_upload(headers: dict[str, str], status: int) -> None:
    """An upload needs its length and exactly its headers, and no key."""
    world = World()
    upload = world.uploads.presign({"file_name": "a", "content_type": "text/plain", "size_bytes": 5})
    link = world.signer.sign(f"/storage/{upload.object_key}", 1900)
    assert fetch(world, link, method="PUT", **headers, **upload.headers).status == status
    assert (upload.sha256 is not None) == (status == 200)
