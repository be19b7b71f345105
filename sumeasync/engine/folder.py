"""``run.json`` and ``report.json``: what a run was told, and what it came to. Written whole, or not at all."""

from __future__ import annotations

from contextlib import aclosing
from importlib.metadata import version
from typing import Any

import msgspec

from sumeasync.core.history import History
from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.errors import UsageError
from sumeasync.io.disk import Disk
from sumeasync.io.origin import ApiKey

__all__ = ["Folder"]

RUN = "run.json"
REPORT = "report.json"
VERSION = version("sumeasync")  # reads files, so not while a loop runs


class Folder:
    """The documents of an output directory; without a directory nothing is kept.

    `host` is where the API lives and `key` whose account is used: the ids in the directory mean nothing elsewhere.
    Of the key no more is kept than a fingerprint: short, one-way, and salted with the time the run began.
    """

    def __init__(self, disk: Disk | None, host: str, key: ApiKey) -> None:
        self._disk = disk
        self._host = host
        self._key = key

    async def check(self, settings: Settings, history: History) -> None:
        """Raise UsageError when what an earlier run left open here would be taken for lost, or be paid again.

        So it would be with another API, and with the key of another account. A key that was renewed cannot be told
        from that: `Settings.same_account` says so.
        """
        told = await self._read_run()
        kept = told.get("settings")
        dialect = kept.get("dialect", settings.dialect) if isinstance(kept, dict) else settings.dialect
        host = told.get("host", self._host)
        if (dialect, host) != (settings.dialect, self._host):
            here = f"the dialect {settings.dialect} at {self._host}"
            raise UsageError(f"this directory holds a run against the dialect {dialect} at {host}, and this is {here}")
        fingerprint = told.get("key_fingerprint", "")  # runs of earlier versions left none
        if fingerprint in ("", self._fingerprint(told.get("started_at"))) or settings.same_account:
            return
        if begun := sum(1 for _ in history.begun()):
            raise UsageError(
                f"this directory holds unfinished work of another API key (specs begun: {begun})",
                hint="use that key; if it was renewed and the account is the same, add --same-account"
                " (in Python: Settings(same_account=True))",
            )

    def _fingerprint(self, started_at: object) -> str:
        return self._key.fingerprint(str(started_at))

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
        """Say how this run was set, and of the key only its fingerprint. Raises StorageError."""
        document = {
            "sumeasync": VERSION,
            "started_at": started_at,
            "manifest_sha256": manifest_sha256,
            "host": self._host,
            "key_fingerprint": self._fingerprint(started_at),
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
