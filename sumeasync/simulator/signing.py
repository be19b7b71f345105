"""Signed links: a path, an expiry and a nonce under an HMAC, as object storage does it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

__all__ = ["Signer"]


class Signer:
    """Signs paths with a secret of its own; every link is different, also for one path and time."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
        self.issued = 0

    def sign(self, path: str, expires_at: float) -> str:
        """Return `path` with the query that opens it until `expires_at`."""
        self.issued += 1
        expires, nonce = f"{expires_at:.3f}", f"{self.issued:x}"
        return f"{path}?expires={expires}&nonce={nonce}&signature={self._mac(path, expires, nonce)}"

    def valid(self, path: str, query: Mapping[str, str], now: float) -> bool:
        """Whether the query opens `path` at `now`."""
        expires, nonce = query.get("expires", ""), query.get("nonce", "")
        given = query.get("signature", "").encode()
        if not hmac.compare_digest(self._mac(path, expires, nonce).encode(), given):
            return False
        return now < float(expires)

    def _mac(self, path: str, expires: str, nonce: str) -> str:
        message = f"{path}\n{expires}\n{nonce}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
