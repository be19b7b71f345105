"""A file under way and what is known of it."""

from __future__ import annotations

import errno
import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.errors import StorageError
from sumeasync.io import partial
from sumeasync.io.partial import Mark, Partial, judge_range, range_total, strong_etag
from sumeasync.testing.disk import MemoryDisk

MARK = Mark('"v1"', 100, 40, "")


@pytest.mark.parametrize("tag", ['"v1"', '""', '"a-b:c/d"', '"\xe9"'])
def test_strong_tags(tag: str) -> None:
    """A quoted tag is strong."""
    assert strong_etag({"ETag": tag}) == tag


@pytest.mark.parametrize("tag", ['W/"v1"', "v1", '"v1', '"a"b"', '"a b"', '"a\r\nb"', "", '"' + "x" * 201 + '"'])
def test_other_tags(tag: str) -> None:
    """A weak, malformed or endless tag proves nothing."""
    assert strong_etag({"ETag": tag}) is None


@pytest.mark.parametrize(
    ("status", "content_range", "verdict"),
    [
        (206, "bytes 40-99/100", "append"),
        (206, "Bytes 40-99/100 ", "append"),
        (206, "bytes 41-99/100", "again"),
        (206, "bytes 40-98/100", "again"),
        (206, "bytes 40-100/101", "again"),
        (206, "bytes 40-99/*", "again"),
        (206, "bytes */100", "again"),
        (206, "", "again"),
        (206, "bytes 40-" + "9" * 30 + "/" + "9" * 30, "again"),
        (416, "bytes */100", "again"),
        (416, "bytes */40", "again"),
    ],
)
def test_range_answers(status: int, content_range: str, verdict: str) -> None:
    """Only exactly the rest of the same total is appended."""
    assert judge_range(status, {"Content-Range": content_range, "ETag": '"v1"'}, MARK) == verdict


@pytest.mark.parametrize("total", [40, None])
def test_complete(total: int | None) -> None:
    """A 416 completes a part of that length, whether or not its total was known."""
    mark = Mark('"v1"', total, 40, "")
    assert judge_range(416, {"Content-Range": "bytes */40", "ETag": '"v1"'}, mark) == "complete"
    assert judge_range(416, {"Content-Range": "bytes */40", "ETag": '"v2"'}, mark) == "again"
    assert judge_range(416, {"Content-Range": "bytes */40"}, mark) == "again"


def test_range_total() -> None:
    """The total is read from a range answer, if it is there."""
    assert range_total({"Content-Range": "bytes 0-9/10"}) == 10
    assert range_total({}) is None


@given(status=st.sampled_from([206, 416]), text=st.text("bytes 0123456789-*/", max_size=20))
def test_any_range_text(status: int, text: str) -> None:
    """No header makes it fail."""
    assert judge_range(status, {"Content-Range": text, "ETag": '"v1"'}, MARK) in ("append", "complete", "again")


async def test_names_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When every name is taken, it says so rather than look for ever."""
    monkeypatch.setattr(partial, "MAX_SUFFIX", 3)
    disk = MemoryDisk()
    disk.put("a.png", b"1")
    part = Partial(disk, "a")
    await part.open(None, None)
    with pytest.raises(StorageError, match="no free name"):
        await part.finish("png")
    await part.close()


async def test_marks_are_bounded() -> None:
    """A file of marks larger than any we write is not read."""
    disk = MemoryDisk()
    disk.put("a.part", b"x")
    mark = Mark('"v1"', None, 1, hashlib.sha256(b"x").hexdigest())
    disk.put("a.part.json", b" " * partial.MAX_MARKS_BYTES + b"\n" + msgspec.json.encode(mark))
    part = Partial(disk, "a")
    await part.load()
    assert part.mark is None


async def begun(disk: MemoryDisk, data: bytes = b"0123456789", etag: str | None = '"v1"') -> None:
    """Leave `data` of a file under way, marked and closed."""
    part = Partial(disk, "a")
    await part.open(etag, 20)
    await part.write(data)
    await part.note()
    await part.close()


async def loaded(disk: MemoryDisk) -> Partial:
    """What a new process finds."""
    part = Partial(disk, "a")
    await part.load()
    return part


async def test_goes_on_after_load() -> None:
    """A part is loaded with its hash and size, appended to, and finished under one name."""
    disk = MemoryDisk()
    await begun(disk)
    part = await loaded(disk)
    assert part.mark == Mark('"v1"', 20, 10, part.digest.hexdigest())
    await part.open('"v1"', 20)
    await part.write(b"abc")
    assert await part.finish("bin") == "a.bin"
    assert disk.paths() == ["a.bin"]
    assert disk.crash().content("a.bin") == b"0123456789abc"


async def test_opening_marks_what_is_there() -> None:
    """Opened again and interrupted at once, a part has lost nothing."""
    disk = MemoryDisk()
    await begun(disk)
    part = await loaded(disk)
    await part.open('"v1"', 20)
    await part.close()
    assert (await loaded(disk)).size == 10


async def test_last_mark_counts() -> None:
    """Of several marks the last whole one counts; what came after it is cut off."""
    disk = MemoryDisk()
    part = Partial(disk, "a")
    await part.open('"v1"', None)
    for piece in (b"one", b"two"):
        await part.write(piece)
        await part.note()
    await part.write(b"three")
    await part.flush()
    await part.close()
    disk.put("a.part.json", disk.content("a.part.json") + b'{"etag":"')
    assert (await loaded(disk)).size == 6
    assert disk.content("a.part") == b"onetwo"


async def test_both_files_are_closed() -> None:
    """One file that cannot be closed does not keep the other open."""
    disk = MemoryDisk()
    part = Partial(disk, "a")
    await part.open('"v1"', None)
    closed: list[str] = []
    disk.on_operation = lambda operation, path: closed.append(path)
    disk.fail("close", errno.EIO)
    with pytest.raises(StorageError):
        await part.close()
    await part.close()
    assert closed == ["a.part", "a.part.json"]


async def test_finish_what_is_complete() -> None:
    """A part that turns out to be whole is finished without being opened."""
    disk = MemoryDisk()
    await begun(disk)
    assert await (await loaded(disk)).finish("bin") == "a.bin"
    assert disk.crash().content("a.bin") == b"0123456789"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.part", b"012345678X"),
        ("a.part", b"012"),
        ("a.part.json", b"{}\n"),
        ("a.part.json", b"\xff"),
        ("a.part.json", b""),
        ("a.part.json", msgspec.json.encode(Mark('"v1"', None, 0, hashlib.sha256().hexdigest()))),
        ("a.part.json", msgspec.json.encode(Mark('"v1"', None, -1, hashlib.sha256().hexdigest()))),
    ],
)
async def test_doubtful_parts_start_over(path: str, content: bytes) -> None:
    """A part whose bytes are not the marked ones, or without a readable mark, counts for nothing and is replaced."""
    disk = MemoryDisk()
    await begun(disk)
    disk.put(path, content)
    part = await loaded(disk)
    assert (part.mark, part.size) == (None, 0)
    await part.open(None, None)
    await part.write(b"new")
    await part.finish("bin")
    assert disk.content("a.bin") == b"new"


async def test_no_mark_without_tag() -> None:
    """Without an entity tag nothing is kept beside the part."""
    disk = MemoryDisk()
    await begun(disk, etag=None)
    assert disk.paths() == ["a.part"]


async def test_marks_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark is written whenever a good deal has come, and only then."""
    monkeypatch.setattr(partial, "MARK_BYTES", 10)
    disk = MemoryDisk()
    part = Partial(disk, "a")
    await part.open('"v1"', None)
    assert [await part.write(b"1234") for _ in range(6)] == [False, False, True, False, True, False]
    await part.close()
    assert len(disk.content("a.part.json").splitlines()) == 2


async def test_small_writes_are_gathered() -> None:
    """Small pieces reach the disk as large ones."""
    disk = MemoryDisk()
    part = Partial(disk, "a")
    await part.open(None, None)
    seen: list[str] = []
    disk.on_operation = lambda operation, path: seen.append(operation)
    for _ in range(300):
        await part.write(bytes(1024))
    await part.close()
    assert seen.count("write") == 1


async def test_discard() -> None:
    """What is worth nothing leaves no file."""
    disk = MemoryDisk()
    await begun(disk)
    await (await loaded(disk)).discard()
    assert disk.paths() == []


@pytest.mark.parametrize(("there", "name"), [(b"0123456789", "a.bin"), (b"different!", "a~2.bin"), (b"", "a~2.bin")])
async def test_final_name(there: bytes, name: str) -> None:
    """The same bytes under the final name are the file; any others are left alone, and a free name is taken."""
    disk = MemoryDisk()
    await begun(disk)
    disk.put("a.bin", there)
    assert await (await loaded(disk)).finish("bin") == name
    assert disk.content("a.bin") == there
    assert disk.content(name) == b"0123456789"
