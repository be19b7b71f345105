"""The endpoints by subject, as ``sume.images``, ``sume.videos`` … Whatever they are given is sent as it stands."""

from __future__ import annotations

import os

from sumeasync.models import ASSET_INGEST, JSON, Spec
from sumeasync.sume.connection import Connection
from sumeasync.sume.handle import JobHandle, start

__all__ = ["Ads", "Assets", "FaceSwap", "Images", "ReferenceAnalysis", "Videos", "finalize"]


class Group:
    """Endpoints over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _create(self, type: str, input: dict[str, JSON]) -> tuple[JobHandle, ...]:
        return await start(self._connection, Spec("", type, input))


class Images(Group):
    """``sume.images``."""

    async def generate(self, prompt: str, **input: JSON) -> JobHandle:
        """Create an image from `prompt`.

        `input` is the rest of the body: `aspect_ratio` (``1:1``, ``4:5``, ``9:16``), `resolution`, `quality`,
        `reference_image_urls` (https). Raises as every create does, see `Sume`.
        """
        return (await self._create("image_generation", {"prompt": prompt, **input}))[0]


class Videos(Group):
    """``sume.videos``."""

    async def generate(
        self,
        prompt: str,
        *,
        duration: int | None = None,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        generate_audio: bool | None = None,
        **more: JSON,
    ) -> JobHandle:
        """Create a video from `prompt`: `duration` in whole seconds (4 to 15), `resolution` ``480p`` or ``720p``.

        What is None is left to the API; `more` is sent beside it. Raises as every create does, see `Sume`.
        """
        options = {
            "duration": duration,
            "aspect_ratio": aspect_ratio,
            "resolution": resolution,
            "generate_audio": generate_audio,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return (await self._create("video_generation", {"prompt": prompt, **given, **more}))[0]


class Ads(Group):
    """``sume.ads``."""

    async def generate(self, **input: JSON) -> JobHandle:
        """Create an AI Ads video; the API documents no field names, so `input` is the whole body."""
        return (await self._create("ads_video", input))[0]


class FaceSwap(Group):
    """``sume.face_swap``."""

    async def create(self, **input: JSON) -> tuple[JobHandle, ...]:
        """Create a Face Swap: one job for each avatar, each to be waited for on its own, the primary first.

        `input` is the whole body: an uploaded source video and the avatars.
        """
        return await self._create("face_swap", input)


class ReferenceAnalysis(Group):
    """``sume.reference_analysis``."""

    async def create(self, url: str, **more: JSON) -> JobHandle:
        """Create the analysis of a public TikTok or Instagram Reel at `url`."""
        return (await self._create("reference_analysis", {"url": url, **more}))[0]


class Assets(Group):
    """``sume.assets``, the Asset Library."""

    async def ingest(
        self,
        path: str | os.PathLike[str],
        *,
        purpose: str | None = None,
        content_type: str | None = None,
        **input: JSON,
    ) -> JobHandle:
        """Presign, upload and finalize the file at `path`, a request each; `input` (say, a `title`) goes with the last.

        Until the last nothing is paid. Raises what `Sume.presign`, `Sume.upload` and `Sume.finalize` raise.
        """
        name = os.fspath(path)
        place = await self._connection.presign(name, purpose, content_type)
        await self._connection.upload(name, place)
        return await finalize(self._connection, place.object_key, input)

    async def search(self, **query: str | int | float | bool) -> JSON:
        """One page of assets, as the list envelope.

        `query` may have `q`, `search_mode`, `source_type`, `segment_type`, `brand`, `product`, `tag`, `keyword`,
        `cta_present`, `min_duration_seconds`, `max_duration_seconds`, `created_after`, `created_before`, `sort`,
        `limit` and `cursor`; UsageError for any other.
        """
        return await self._connection.read(self._connection.dialect.assets(query))

    async def get(self, asset_id: str) -> JSON:
        """One asset. Raises NotFoundError."""
        return await self._connection.read(self._connection.dialect.asset(asset_id))


async def finalize(connection: Connection, object_key: str, input: dict[str, JSON]) -> JobHandle:
    """Create the ingest of an uploaded object."""
    return (await start(connection, Spec("", ASSET_INGEST, input, file=""), object_key))[0]
