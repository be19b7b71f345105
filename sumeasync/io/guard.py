"""Which address may be dialled for a link the server names, and how its redirects are followed.

A host's text proves nothing: numbers have many spellings and a name may resolve to anything. So the text is checked
for shape only, and the address is checked where a socket is made for it, on every hop, literals included.
The session made here never holds a key, a cookie or a proxy.
"""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import aiohttp
from yarl import URL

from sumeasync.errors import BadResponseError, ConnectError, RefusedError, SumeError, TransportError

__all__ = [
    "MAX_REDIRECTS",
    "Guard",
    "address_refusal",
    "guarded_session",
    "open_guarded",
    "read_some",
    "transport_errors",
]

MAX_REDIRECTS = 5
MAX_LINK = 16_384
REDIRECTS = frozenset({301, 302, 303, 307, 308})

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
HOST = re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f:.]+")
RFC3986 = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]+")

# IANA's special-purpose registries (RFC 6890 and its updates), kept here because `ipaddress` differs by Python version.
# 168.63.129.16 is a cloud's host agent behind an address that looks public.
IPV4_REFUSED = {
    ip_network("0.0.0.0/8"): "unspecified",
    ip_network("10.0.0.0/8"): "private",
    ip_network("100.64.0.0/10"): "shared by a carrier",
    ip_network("127.0.0.0/8"): "loopback",
    ip_network("168.63.129.16/32"): "cloud metadata",
    ip_network("169.254.0.0/16"): "link-local",
    ip_network("172.16.0.0/12"): "private",
    ip_network("192.0.0.0/24"): "reserved",
    ip_network("192.0.2.0/24"): "documentation",
    ip_network("192.88.99.0/24"): "reserved",
    ip_network("192.168.0.0/16"): "private",
    ip_network("198.18.0.0/15"): "benchmarking",
    ip_network("198.51.100.0/24"): "documentation",
    ip_network("203.0.113.0/24"): "documentation",
    ip_network("224.0.0.0/4"): "multicast",
    ip_network("240.0.0.0/4"): "reserved",
}
# The first match counts, so narrow ranges stand before wide ones. 6to4 and Teredo are retired, and a local-use NAT64
# prefix does not say where the IPv4 address stands in it: these are refused whatever they embed.
IPV6_REFUSED = {
    ip_network("::/128"): "unspecified",
    ip_network("::1/128"): "loopback",
    ip_network("::/96"): "IPv4-compatible",
    ip_network("64:ff9b:1::/48"): "local-use NAT64",
    ip_network("fc00::/7"): "private",
    ip_network("fe80::/10"): "link-local",
    ip_network("fec0::/10"): "site-local",
    ip_network("ff00::/8"): "multicast",
    ip_network("2001::/32"): "Teredo",
    ip_network("2001:2::/48"): "benchmarking",
    ip_network("2001::/23"): "reserved",
    ip_network("2001:db8::/32"): "documentation",
    ip_network("2002::/16"): "6to4",
    ip_network("3fff::/20"): "documentation",
}
IPV6_GLOBAL = IPv6Network("2000::/3")
IPV6_EMBEDDING = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))  # IPv4-mapped; NAT64, RFC 6052


def address_refusal(address: IPv4Address | IPv6Address) -> str | None:
    """Say why `address` is not one of the public internet's, in a word or two; None when it is."""
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in IPV4_REFUSED.items() if address in network), None)
    if any(address in network for network in IPV6_EMBEDDING):
        return address_refusal(IPv4Address(int(address) & 0xFFFF_FFFF))
    outside = None if address in IPV6_GLOBAL else "reserved"
    return next((reason for network, reason in IPV6_REFUSED.items() if address in network), outside)


class UndialableError(OSError):
    """An address was refused. An `OSError`, as only that passes through a race of connection attempts unharmed."""

    def __init__(self, reason: str) -> None:
        super().__init__("address refused")  # one text for all, so that several refusals stay this class
        self.reason = reason


class Guard:
    """What links may lead to. Loopback and plain http are open only when the API itself is on loopback.

    Args:
        base_url: the API's base URL.
        media_hosts: the only hosts to fetch from, in lower-case ASCII, each exact or ``*.suffix``; empty means any.
    """

    def __init__(self, base_url: str, media_hosts: Collection[str] = ()) -> None:
        self.loopback = is_loopback(URL(base_url).host or "")
        self.media_hosts = tuple(media_hosts)

    def check_url(self, link: str) -> URL:
        """Return the URL to request, its path and query untouched, or raise `RefusedError`. The host is not dialled."""
        if len(link) > MAX_LINK or CONTROL.search(link):
            raise RefusedError("a link is too long or holds control characters")
        url = parse(link)
        host = url.raw_host or ""
        if not HOST.fullmatch(host):
            raise RefusedError("a link has no usable host")
        if url.scheme != "https" and not (url.scheme == "http" and self.loopback):
            raise RefusedError(f"{host}: only https links are followed")
        if "@" in url.raw_authority:
            raise RefusedError(f"{host}: a link must not carry a user name")
        if not self.lists(host):
            raise RefusedError(f"{host}: not one of the media hosts that were allowed")
        return url

    def lists(self, host: str) -> bool:
        """Whether the allow-list, when there is one, names `host`."""
        name = host.lower().rstrip(".")
        return not self.media_hosts or any(
            name.endswith(entry[1:]) if entry.startswith("*.") else name == entry for entry in self.media_hosts
        )

    def follow(self, url: URL, location: str) -> URL:
        """Return where a redirect of `url` leads, or raise `RefusedError`."""
        target = self.check_url(str(join(url, location)))
        if url.scheme == "https" and target.scheme != "https":
            raise RefusedError(f"{url.host}: a redirect leads away from https")
        return target

    def socket_factory(self, address_info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket that will dial `address_info`: the one place that every connection passes."""
        family, kind, protocol, _, where = address_info
        reason = address_refusal(ip_address(str(where[0])))
        if reason is not None and not (reason == "loopback" and self.loopback):
            raise UndialableError(reason)
        return socket.socket(family, kind, protocol)


def parse(link: str) -> URL:
    """Read a link; what is already well-formed stays as it was signed, byte for byte."""
    try:
        url = URL(link, encoded=RFC3986.fullmatch(link) is not None)
        _ = url.port  # is read lazily, and raises too
    except ValueError:  # its text holds the link
        raise RefusedError("a link cannot be read as a URL") from None
    return url


def join(url: URL, location: str) -> URL:
    """Resolve `location` against `url`."""
    if not location:
        raise BadResponseError(f"{url.host}: a redirect leads nowhere")
    return url.join(parse(location))


def is_loopback(host: str) -> bool:
    """Whether a base URL's host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def guarded_session(
    guard: Guard, *, limit: int = 16, connector: aiohttp.BaseConnector | None = None
) -> aiohttp.ClientSession:
    """Open the session for media and storage: no key, no cookies, no proxy, no decompression.

    Args:
        guard: checks every address that is dialled.
        limit: connections at a time.
        connector: used in place of real sockets; then nothing is dialled and nothing is checked here.
    """
    return aiohttp.ClientSession(
        connector=connector or aiohttp.TCPConnector(limit=limit, socket_factory=guard.socket_factory),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


@asynccontextmanager
async def open_guarded(
    session: aiohttp.ClientSession,
    guard: Guard,
    link: str,
    *,
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET `link` and yield the answer, whatever its status, after at most `MAX_REDIRECTS` redirects, each checked.

    Raises:
        RefusedError: a hop leads where it must not, or its certificate is not trusted. Not worth another try.
        TransportError: no answer came.
    """
    url = guard.check_url(link)
    for _ in range(MAX_REDIRECTS + 1):
        with transport_errors(url.host):
            response = await session.get(url, headers=headers, timeout=timeout, allow_redirects=False)
        try:
            if response.status not in REDIRECTS:
                yield response
                return
            url = guard.follow(url, response.headers.get("Location", ""))
        finally:
            response.close()
    raise RefusedError(f"{url.host}: more than {MAX_REDIRECTS} redirects")


async def read_some(response: aiohttp.ClientResponse, size: int) -> bytes:
    """Return 1 to `size` bytes of the body, or none at its end."""
    with transport_errors(response.url.host):
        return await response.content.read(size)


@contextmanager
def transport_errors(host: str | None) -> Iterator[None]:
    """Turn the HTTP library's exceptions into ours. Theirs hold whole URLs, so they are not shown as a cause."""
    try:
        yield
    except SumeError:
        raise
    except (aiohttp.ClientError, OSError, ValueError) as exc:  # TimeoutError is an OSError, UnicodeError a ValueError
        raise translate(exc, host) from None


def translate(exc: Exception, host: str | None) -> SumeError:
    """Choose our error for one of the HTTP library's."""
    what = f"{host}: {type(exc).__name__}"
    match exc:
        case aiohttp.ClientConnectorError(os_error=UndialableError(reason=reason)):
            return RefusedError(f"{host}: its address is refused ({reason})")
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return RefusedError(what, hint="the certificate of this host is not trusted")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return ConnectError(what)
        case ValueError():  # a host that no resolver takes, a number that is not spelled as an address
            return RefusedError(what)
        case aiohttp.ClientResponseError():
            return BadResponseError(what)
    return TransportError(what)
