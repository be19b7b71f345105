"""Uploads and the asset library: presign, store, finalize."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sumeasync.errors import ApiError, BadRequestError, NotFoundError
from sumeasync.models import JSON
from sumeasync.simulator.jobs import Job

__all__ = ["Asset", "Upload", "Uploads"]

MAX_UPLOAD_BYTES = 5 << 30

TRANSPORT_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "user-agent", "accept", "accept-encoding", "expect"}
)
"""Headers any HTTP client sends by itself; a signed upload takes these and its own, nothing else."""

# The vendor's page names the facts, not the fields: accept the usual spellings.
NAME_FIELDS = ("file_name", "filename", "name")
TYPE_FIELDS = ("content_type", "mime_type")
SIZE_FIELDS = ("size_bytes", "size", "file_size")


class Upload(msgspec.Struct):
    """An object the storage expects, and after the PUT its hash."""

    object_key: str
    content_type: str
    size: int
    purpose: str | None
    headers: dict[str, str]
    sha256: str | None = None


class Asset(msgspec.Struct, frozen=True):
    """An entry of the asset library; it is ready when its ingest job has completed."""

    id: str
    title: str
    upload: Upload
    job: Job


class Uploads:
    """The storage of one world: objects by key, assets in the order they were made."""

    def __init__(self) -> None:
        self.objects: dict[str, Upload] = {}
        self.assets: list[Asset] = []

    def presign(self, body: Mapping[str, JSON]) -> Upload:
        """Expect a new object. Raises `BadRequestError` (400) when name, content type or size is missing."""
        name = _first(body, NAME_FIELDS, str)
        content_type = _first(body, TYPE_FIELDS, str)
        size = _first(body, SIZE_FIELDS, int)
        if not 0 < size <= MAX_UPLOAD_BYTES:
            raise _bad("the size is out of range")
        number = len(self.objects)
        suffix = "".join(ch for ch in name.rpartition(".")[2][:8] if ch.isalnum())
        object_key = f"uploads/{number:08d}.{suffix or 'bin'}"
        headers = {"Content-Type": content_type, "x-upload-token": f"upl_{number:08d}"}
        upload = Upload(object_key, content_type, size, body.get("purpose"), headers)
        self.objects[object_key] = upload
        return upload

    def store(self, object_key: str, headers: Mapping[str, str], size: int, sha256: str) -> Upload:
        """Keep the size and hash of an upload that brings exactly the required headers and the announced length."""
        upload = self.objects.get(object_key)
        if upload is None:
            raise ApiError("no such upload", status=403, code="AccessDenied")
        required = {name.lower(): value for name, value in upload.headers.items()}
        sent = {name.lower(): value for name, value in headers.items() if name.lower() not in TRANSPORT_HEADERS}
        if sent != required:
            raise ApiError("the headers differ from the signed ones", status=403, code="SignatureDoesNotMatch")
        if size != upload.size:
            raise ApiError("the length differs from the signed one", status=400, code="IncompleteBody")
        upload.sha256 = sha256
        return upload

    def stored(self, object_key: JSON) -> Upload:
        """Return an upload whose bytes have arrived. Raises `ApiError`: 404 unknown, 409 not uploaded yet."""
        upload = self.objects.get(object_key) if isinstance(object_key, str) else None
        if upload is None:
            raise NotFoundError("no such upload", status=404, code="not_found")
        if upload.sha256 is None:
            raise ApiError("nothing was uploaded yet", status=409, code="upload_incomplete")
        return upload

    def add_asset(self, title: str, upload: Upload, job: Job) -> Asset:
        """Enter an asset whose ingest is `job`."""
        asset = Asset(f"asset_{job.id.removeprefix('job_')}", title, upload, job)
        self.assets.append(asset)
        return asset


def _first(body: Mapping[str, JSON], fields: tuple[str, ...], kind: type) -> JSON:
    for field in fields:
        if isinstance(body.get(field), kind):
            return body[field]
    raise _bad(f"{fields[0]} is missing")


def _bad(message: str) -> BadRequestError:
    return BadRequestError(message, status=400, code="bad_request")
