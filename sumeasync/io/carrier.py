"""What carries requests to the API and back: `Client` over HTTP, or something that answers in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sumeasync.models import Request, Response

__all__ = ["Carrier", "Sender"]


class Sender(Protocol):
    """Carries requests."""

    async def send(self, request: Request) -> Response:
        """Send once; return the answer whatever its status. Raises what `Client.send` raises."""
        ...


class Carrier(Sender, Protocol):
    """Carries requests, and files to storage."""

    async def upload(self, path: str, upload_url: str, required_headers: Mapping[str, str]) -> None:
        """Bring the file at `path` to a signed address. Raises what `sumeasync.io.upload.upload` raises."""
