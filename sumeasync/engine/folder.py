"""``run.json`` and ``report.json``: what a run was told, and what it came to. Written whole, or not at all."""

from __future__ import annotations

from contextlib import aclosing
from importlib.metadata import version
from typing import Any

import msgspec

from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.errors import UsageError
from sumeasync.io.disk import Disk

__all__ = ["Folder"]

RUN = "run.json"
REPORT = "report.json"
VERSION = version("sumeasync")  # reads files, so not while a loop runs


class Folder:
    """The documents of an output directory; without a directory nothing is kept.

    `host` is where the API lives: the ids in the directory mean nothing elsewhere.
    """

    def __init__(self, disk: Disk | None, host: str = "") -> None:
        self._disk = disk
        self._host = host

    async def check(self, settings: Settings) -> None:
        """Raise UsageError when an earlier run here was against another API: its jobs would be taken for lost."""
        told = await self._read_run()
        kept = told.get("settings")
        dialect = kept.get("dialect", settings.dialect) if isinstance(kept, dict) else settings.dialect
        host = told.get("host", self._host)
        if (dialect, host) != (settings.dialect, self._host):
            here = f"the dialect {settings.dialect} at {self._host}"
            raise UsageError(f"this directory holds a run against the dialect {dialect} at {host}, and this is {here}")

    async def _read_run(self) -> dict[str, Any]:
        if self._disk is None or await self._disk.size(RUN) is None:
            return {}
        async with aclosing(self._disk.read(RUN)) as chunks:
            text = b"".join([chunk async for chunk in chunks])
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}  # it is informative; the journal decides

    async def write_run(self, settings: Settings, manifest_sha256: str | None, started_at: float) -> None:
        """Say how this run was set, without the key. Raises StorageError."""
        document = {
            "sumeasync": VERSION,
            "started_at": started_at,
            "manifest_sha256": manifest_sha256,
            "host": self._host,
            "settings": settings,
        }
        await self._write(RUN, document)

    async def write_report(self, report: Report) -> None:
        """Say what the run came to; one that had nothing to do leaves the last word. Raises StorageError."""
        idle = not (report.requests or report.statuses or report.unresolved or report.not_started)
        if self._disk is not None and not (idle and await self._disk.size(REPORT)):
            await self._write(REPORT, report)

    async def _write(self, path: str, document: Any) -> None:
        if self._disk is None:
            return
        text = msgspec.json.format(msgspec.json.encode(document), indent=2)
        await self._disk.remove(f"{path}.new")
        file = await self._disk.create(f"{path}.new")
        try:
            await file.commit(text + b"\n")
        finally:
            await file.close()
        await self._disk.rename(f"{path}.new", path, replace=True)
