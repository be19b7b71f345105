"""Uploads and assets."""

from __future__ import annotations

from typing import Any

import pytest

from sumeasync.errors import ApiError, BadRequestError
from sumeasync.simulator.uploads import Upload, Uploads

BODY = {"file_name": "a b/../clip.mp4", "content_type": "video/mp4", "size_bytes": 5}


def expected() -> tuple[Uploads, Upload]:
    """A storage that expects one object."""
    uploads = Uploads()
    return uploads, uploads.presign(BODY)


def test_presign_names_headers_and_a_key_of_its_own() -> None:
    """The object key holds nothing of the file name but its ending."""
    uploads, upload = expected()
    assert upload.object_key == "uploads/00000000.mp4"
    assert upload.headers["Content-Type"] == "video/mp4"
    assert uploads.presign(BODY).object_key != upload.object_key


@pytest.mark.parametrize("change", [{"file_name": None}, {"content_type": 3}, {"size_bytes": "5"}, {"size_bytes": 0}])
def test_presign_wants_name_type_and_size(change: dict[str, Any]) -> None:
    """A missing name, type or size is a 400."""
    with pytest.raises(BadRequestError):
        Uploads().presign(BODY | change)


def test_store_and_finalize() -> None:
    """What was sent with exactly the required headers can be finalized."""
    uploads, upload = expected()
    uploads.store(upload.object_key, upload.headers | {"Host": "x", "Content-Length": "5"}, 5, "hash")
    assert uploads.stored(upload.object_key).sha256 == "hash"


@pytest.mark.parametrize(
    ("change", "size", "status"),
    [
        ({"Content-Type": "text/plain"}, 5, 403),
        ({"X-Extra": "1"}, 5, 403),
        ({"Authorization": "Bearer x"}, 5, 403),
        ({}, 4, 400),
    ],
)
def test_store_refuses(change: dict[str, str], size: int, status: int) -> None:
    """Other headers, more headers or another length are refused, and nothing is stored."""
    uploads, upload = expected()
    with pytest.raises(ApiError) as caught:
        uploads.store(upload.object_key, upload.headers | change, size, "hash")
    assert caught.value.status == status
    assert upload.sha256 is None


def test_store_refuses_an_unknown_key() -> None:
    """An object nobody announced is refused."""
    with pytest.raises(ApiError) as caught:
        Uploads().store("uploads/x", {}, 5, "hash")
    assert caught.value.status == 403


def test_store_refuses_a_missing_header() -> None:
    """Leaving a required header out is refused."""
    uploads, upload = expected()
    with pytest.raises(ApiError):
        uploads.store(upload.object_key, {"Content-Type": "video/mp4"}, 5, "hash")


@pytest.mark.parametrize(("key", "status"), [("uploads/00000000.mp4", 409), ("nothing", 404), (None, 404)])
def test_finalize_before_the_upload(key: Any, status: int) -> None:
    """What has not arrived cannot be finalized."""
    with pytest.raises(ApiError) as caught:
        expected()[0].stored(key)
    assert caught.value.status == status
