"""Where the API key may go: the key itself, the base URL, and the way there."""

from __future__ import annotations

import hashlib
import re
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from sumeasync.errors import UsageError

__all__ = ["ApiKey", "check_base_url", "environment_proxy"]


class ApiKey:
    """An API key that does not show itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not re.fullmatch(r"[!-~]+", value):
            raise UsageError("the API key is empty or holds characters that no key has (a space, a line end?)")
        self._value = value

    def reveal(self) -> str:
        """The key itself, for the one header it belongs in."""
        return self._value

    def fingerprint(self, salt: str) -> str:
        """8 hex digits that tell this key from another and give nothing of it away: of a salted BLAKE2b hash."""
        return hashlib.blake2b(f"{salt}\n{self._value}".encode(), digest_size=4).hexdigest()

    def __repr__(self) -> str:
        return "<api key>"


def check_base_url(text: str) -> URL:
    """The URL under which the API lives; raises `UsageError` on one that the key must not be sent to."""
    try:
        url = URL(text)
        host = url.host
    except ValueError:
        raise UsageError("the base URL cannot be read") from None
    if url.scheme not in ("http", "https") or not host:
        raise UsageError("the base URL must begin with https:// and name a host")
    if url.user is not None or url.password is not None or "?" in text or "#" in text:
        raise UsageError("the base URL must have no user, query or fragment")
    if url.scheme == "http" and not is_loopback(host):
        raise UsageError(f"the base URL must be https: over http the API key would travel to {host} in clear")
    return url


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # reserved for this by RFC 6761
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def environment_proxy(url: URL) -> URL | None:
    """The environment's proxy for an https origin, if any; it may hold a password and is never shown."""
    proxy = getproxies().get("https")
    if url.scheme != "https" or not proxy or proxy_bypass(url.host or ""):
        return None
    try:
        return URL(proxy)
    except ValueError:
        raise UsageError("the proxy named in the environment cannot be read") from None
