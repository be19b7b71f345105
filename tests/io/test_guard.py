"""Which addresses may be dialled, which links followed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sumeasync.errors import BadResponseError, ConnectError, RefusedError, StorageError, SumeError, TransportError
from sumeasync.io import guard as module
from sumeasync.io.guard import (
    MAX_REDIRECTS,
    Guard,
    address_refusal,
    guarded_session,
    open_guarded,
    read_some,
    transport_errors,
)
from sumeasync.testing import MemoryNetwork

PUBLIC = Guard("https://www.sume.so/api/v1")
LOCAL = Guard("http://127.0.0.1:8000/api/v1")
SECONDS = aiohttp.ClientTimeout(total=10)

REFUSED = [  # the reason, then an inner address of the range and its last one
    ("unspecified", "0.0.0.0", "0.255.255.255"),
    ("private", "10.0.0.1", "10.255.255.255"),
    ("shared by a carrier", "100.64.0.1", "100.127.255.255"),
    ("loopback", "127.0.0.1", "127.255.255.254"),
    ("cloud metadata", "168.63.129.16", "168.63.129.16"),
    ("link-local", "169.254.169.254", "169.254.255.255"),
    ("private", "172.16.0.1", "172.31.255.255"),
    ("reserved", "192.0.0.8", "192.0.0.255"),
    ("documentation", "192.0.2.1", "192.0.2.255"),
    ("reserved", "192.88.99.1", "192.88.99.255"),
    ("private", "192.168.1.1", "192.168.255.255"),
    ("benchmarking", "198.18.0.1", "198.19.255.255"),
    ("documentation", "198.51.100.1", "198.51.100.255"),
    ("documentation", "203.0.113.1", "203.0.113.255"),
    ("multicast", "224.0.0.1", "239.255.255.255"),
    ("reserved", "240.0.0.1", "255.255.255.255"),
    ("unspecified", "::", "::"),
    ("loopback", "::1", "::1"),
    ("IPv4-compatible", "::7f00:1", "::ffff:ffff"),
    ("local-use NAT64", "64:ff9b:1::7f00:1", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("private", "fc00::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("link-local", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("site-local", "fec0::1", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("multicast", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("Teredo", "2001:0:7f00:1::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("benchmarking", "2001:2::1", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
    ("reserved", "2001:10::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("documentation", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("6to4", "2002:7f00:1::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("documentation", "3fff::1", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
]
OUTSIDE = [
    ("reserved", "100::1"),
    ("reserved", "5f00::1"),
    ("reserved", "4000::"),
    ("reserved", "::ffff:0:7f00:1"),
    ("loopback", "::ffff:127.0.0.1"),
    ("private", "::ffff:10.0.0.1"),
    ("link-local", "64:ff9b::169.254.169.254"),
    ("link-local", "fe80::1%eth0"),
]
ALLOWED = ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"]
ALLOWED += ["169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255"]
ALLOWED += ["198.20.0.0", "223.255.255.255", "168.63.129.15", "2001:200::1", "2606:4700::1111", "2a00::1", "2003::1"]
ALLOWED += ["3fff:1000::", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets, so the real clock."""
    return "asyncio"


@pytest.mark.parametrize(("reason", "inner", "last"), REFUSED)
def test_special_ranges_are_refused(reason: str, inner: str, last: str) -> None:
    """Every special-purpose range is refused to its very end, and the reason says which it is."""
    assert [address_refusal(ip_address(inner)), address_refusal(ip_address(last))] == [reason, reason]


@pytest.mark.parametrize(("reason", "address"), OUTSIDE)
def test_embedded_and_unassigned_addresses_are_refused(reason: str, address: str) -> None:
    """An IPv4 address inside IPv6 is judged as itself, and IPv6 outside the global range is refused."""
    assert address_refusal(ip_address(address)) == reason


@pytest.mark.parametrize("address", ALLOWED)
def test_neighbours_of_special_ranges_are_dialled(address: str) -> None:
    """Public addresses, also those next to a special range or mapped, are not refused."""
    assert address_refusal(ip_address(address)) is None


@pytest.mark.parametrize("table", ["IPV4_REFUSED", "IPV6_REFUSED"])
def test_each_range_is_tested(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No range of the tables can be removed without a refusal above changing."""
    ranges = getattr(module, table)
    for network in ranges:
        monkeypatch.setattr(module, table, {other: reason for other, reason in ranges.items() if other != network})
        assert any(address_refusal(ip_address(inner)) != reason for reason, inner, _ in REFUSED), network


@pytest.mark.parametrize(
    "link",
    [
        "https://media.sume.so/a%2Fb%7e.png?X-Sig=a%20b+c%2b/=&x",
        "https://MEDIA.sume.so:8443/x",
        "https://[2606:4700::1111]/x",
        "https://media_1.sume.so./x",
    ],
)
def test_wellformed_links_stay_as_signed(link: str) -> None:
    """A link is requested byte for byte as the server gave it: a signature covers its spelling."""
    assert str(PUBLIC.check_url(link)) == link


def test_other_characters_are_quoted() -> None:
    """A link with spaces or letters outside ASCII is made well-formed."""
    assert str(PUBLIC.check_url("https://bücher.example/ä b")) == "https://xn--bcher-kva.example/%C3%A4%20b"


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://media.sume.so/x", "only https"),
        ("ftp://media.sume.so/x", "only https"),
        ("file:///etc/passwd", "usable host"),
        ("data:text/plain,x", "usable host"),
        ("//media.sume.so/x", "only https"),
        ("/relative", "usable host"),
        ("", "usable host"),
        ("https:///x", "usable host"),
        ("https://u:p@media.sume.so/x", "user name"),
        ("https://@media.sume.so/x", "user name"),
        ("https://media.sume.so\\@evil.example/x", "read as a URL"),
        ("https://h:99999/x", "read as a URL"),
        ("https://[::1/x", "read as a URL"),
        ("https://h\ud800/x", "read as a URL"),
        ("https://[fe80::1%25eth0]/x", "usable host"),
        ("https://a b/x", "usable host"),
        ("https://h%00/x", "usable host"),
        ("https://media.sume.so/\r\nHost: evil", "control"),
        ("https://media.sume.so/\t", "control"),
        ("https://media.sume.so/" + "a" * 20_000, "too long"),
    ],
)
def test_odd_links_are_refused(link: str, words: str) -> None:
    """A link that is not a plain https URL is refused, and the message shows neither path nor query."""
    with pytest.raises(RefusedError, match=words) as caught:
        PUBLIC.check_url(link)
    assert "/x" not in str(caught.value)


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8000", "http://localhost/v1", "http://[::1]:1", "http://a.localhost"]
)
def test_plain_http_goes_with_a_loopback_api(base: str) -> None:
    """Plain http is followed when the API itself is on this machine."""
    assert Guard(base).check_url("http://127.0.0.1:9/x").scheme == "http"


@pytest.mark.parametrize(
    "host", ["media.sume.so", "MEDIA.sume.so", "media.sume.so.", "a.cdn.example", "a.b.cdn.example"]
)
def test_listed_hosts_pass(host: str) -> None:
    """With an allow-list, its hosts and the subdomains of its ``*.`` entries pass."""
    assert Guard("https://x.example", ("media.sume.so", "*.cdn.example")).check_url(f"https://{host}/").host


@pytest.mark.parametrize("host", ["sume.so", "xmedia.sume.so", "cdn.example", "evilcdn.example", "media.sume.so.evil"])
def test_unlisted_hosts_are_refused(host: str) -> None:
    """With an allow-list, nothing else passes, however alike."""
    with pytest.raises(RefusedError, match="not one of the media hosts"):
        Guard("https://x.example", ("media.sume.so", "*.cdn.example")).check_url(f"https://{host}/")


# Sockets.


class Fixed(AbstractResolver):
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


async def fetch(guard: Guard, link: str, *addresses: str) -> str:
    """Fetch over real sockets, names resolving to `addresses`."""
    resolver = Fixed(*addresses) if addresses else None
    connector = aiohttp.TCPConnector(socket_factory=guard.socket_factory, resolver=resolver) if resolver else None
    async with (
        guarded_session(guard, connector=connector) as session,
        open_guarded(session, guard, link, headers={}, timeout=SECONDS) as response,
    ):
        body = b""
        while chunk := await read_some(response, 1000):
            body += chunk
        return body.decode()


@asynccontextmanager
async def loopback(handler: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[int]:
    """Serve on a loopback port."""

    async def call(request: web.BaseRequest) -> web.StreamResponse:
        return handler(request)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(call))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127。0。0。1", "\uff11\uff12\uff17.0.0.1", "10.0.0.1"]
)
async def test_literal_addresses_are_checked(host: str) -> None:
    """An address written in the link, however spelled, is refused before anything is dialled."""
    with pytest.raises(RefusedError, match="address is refused"):
        await fetch(PUBLIC, f"https://{host}:9/x")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "a..b", "x" * 64 + ".com"])
async def test_odd_numbers_lead_nowhere(host: str) -> None:
    """Other spellings of an address, and names no resolver takes, end in an error of ours."""
    with pytest.raises((RefusedError, ConnectError)):
        await fetch(PUBLIC, f"https://{host}:9/x")


@pytest.mark.parametrize(
    "addresses",
    [("10.0.0.1",), ("127.0.0.1", "192.168.0.1"), ("fe80::1", "127.0.0.1"), ("fe80::1", "127.0.0.1", "::1")],
)
async def test_resolved_addresses_are_checked(addresses: tuple[str, ...]) -> None:
    """A name that resolves to refused addresses only, of one or both families, is refused, not retried."""
    with pytest.raises(RefusedError, match=r"^rebound.example: its address is refused"):
        await fetch(PUBLIC, "https://rebound.example/secret?sig=1", *addresses)


async def test_next_address_is_tried() -> None:
    """One refused address of a name does not keep the others from being dialled."""
    async with loopback(lambda _: web.Response(text="whole")) as port:
        assert await fetch(LOCAL, f"http://two.example:{port}/", "10.0.0.1", "127.0.0.1") == "whole"


async def test_cut_body() -> None:
    """A body that ends before its announced length is a `TransportError`."""
    cut = web.Response(text="x", headers={"Content-Length": "9"})
    cut.force_close()
    async with loopback(lambda _: cut) as port:
        with pytest.raises(TransportError, match=r"^127.0.0.1: ClientPayloadError$"):
            await fetch(LOCAL, f"http://127.0.0.1:{port}/")


async def test_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy named in the environment would dial unchecked addresses; it is not used."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with loopback(lambda _: web.Response(text="whole")) as port:
        assert await fetch(LOCAL, f"http://127.0.0.1:{port}/") == "whole"


async def test_nothing_is_decompressed() -> None:
    """A body is handed on as it came, whatever it says of itself."""
    async with loopback(lambda _: web.Response(text="raw", headers={"Content-Encoding": "gzip"})) as port:
        assert await fetch(LOCAL, f"http://127.0.0.1:{port}/") == "raw"


async def test_redirect_to_private_address_is_refused() -> None:
    """A redirect's address is checked as the first one is."""
    async with loopback(lambda _: web.Response(status=302, headers={"Location": "http://10.0.0.1:9/x"})) as port:
        with pytest.raises(RefusedError, match=r"^10.0.0.1: its address is refused \(private\)"):
            await fetch(LOCAL, f"http://127.0.0.1:{port}/")


async def test_nobody_listens() -> None:
    """A refused connection is a `ConnectError`: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectError, match=r"^127.0.0.1: "):
        await fetch(LOCAL, f"http://127.0.0.1:{port}/secret")


# Redirects, and what is sent along.


async def redirected(locations: dict[str, str], guard: Guard = PUBLIC) -> str:
    """Fetch https://a.test/0 where each path redirects as told; return the URL that answered at last."""

    async def handler(request: web.Request) -> web.Response:
        assert not {"Authorization", "Cookie", "X-Api-Key"} & set(request.headers)
        location = locations.get(request.path)
        headers = {"Location": location or "", "Set-Cookie": "a=b; Path=/"}
        return web.Response(status=200 if location is None else 307, headers=headers)

    async with MemoryNetwork() as network:
        for origin in ("https://a.test", "https://b.test", "http://a.test"):
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            await network.serve(origin, app)
        async with (
            guarded_session(guard, connector=network.connector()) as session,
            open_guarded(session, guard, "https://a.test/0", headers={}, timeout=SECONDS) as response,
        ):
            return str(response.url)


async def test_redirects_are_followed() -> None:
    """Relative and absolute redirects are followed, five at most, and no cookie comes back."""
    hops = {"/0": "1", "/1": "/2", "/2": "//b.test/3", "/3": "https://a.test/4?q=%7e", "/4": "/5"}
    assert len(hops) == MAX_REDIRECTS
    assert await redirected(hops) == "https://a.test/5"


async def test_six_redirects_are_too_many() -> None:
    """One hop more than five is refused."""
    with pytest.raises(RefusedError, match="more than 5 redirects"):
        await redirected({f"/{hop}": f"/{hop + 1}" for hop in range(6)})


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/0", "more than 5 redirects"),
        ("http://a.test/1", "only https"),
        ("https://u:p@b.test/1", "user name"),
        ("https://[::1", "read as a URL"),
        ("file:///etc/passwd", "usable host"),
    ],
)
async def test_bad_redirects_are_refused(location: str, words: str) -> None:
    """A redirect is checked like any link, and a loop ends."""
    with pytest.raises(RefusedError, match=words):
        await redirected({"/0": location})


async def test_redirect_to_nowhere() -> None:
    """A redirect without a target is a bad answer."""
    with pytest.raises(BadResponseError, match="leads nowhere"):
        await redirected({"/0": ""})


async def test_downgrade_is_refused_on_loopback_too() -> None:
    """Even where plain http may be used, https is never left for it."""
    with pytest.raises(RefusedError, match="away from https"):
        await redirected({"/0": "http://a.test/1"}, LOCAL)


async def test_redirect_leaves_the_list() -> None:
    """The allow-list of hosts holds for each hop."""
    with pytest.raises(RefusedError, match="not one of the media hosts"):
        await redirected({"/0": "https://b.test/1"}, Guard("https://x.example", ("a.test",)))


# Foreign exceptions.

KEY = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
INFO = aiohttp.RequestInfo(URL("https://h/secret"), "GET", None, URL("https://h/secret"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), ConnectError),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), ConnectError),
        (aiohttp.ConnectionTimeoutError("https://h/secret"), ConnectError),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("secret")), RefusedError),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "secret")), RefusedError),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "h", 1), RefusedError),
        (aiohttp.InvalidURL("https://h/secret"), RefusedError),
        (UnicodeError("secret"), RefusedError),
        (aiohttp.ClientResponseError(INFO, ()), BadResponseError),
        (aiohttp.ServerDisconnectedError(), TransportError),
        (aiohttp.ClientPayloadError("secret"), TransportError),
        (aiohttp.SocketTimeoutError("secret"), TransportError),
        (TimeoutError("secret"), TransportError),
        (ConnectionResetError("secret"), TransportError),
    ],
)
def test_foreign_errors_become_ours(theirs: Exception, ours: type[SumeError]) -> None:
    """Each of the HTTP library's exceptions becomes exactly one of ours, and its text, with the URL, is not shown."""
    with pytest.raises(SumeError) as caught, transport_errors("h"):
        raise theirs
    assert type(caught.value) is ours
    assert str(caught.value) == f"h: {type(theirs).__name__}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("error", [StorageError("full"), asyncio.CancelledError(), KeyError("bug")])
def test_other_errors_pass(error: BaseException) -> None:
    """Our own errors, cancellation and bugs are left alone."""
    with pytest.raises(type(error)) as caught, transport_errors("h"):
        raise error
    assert caught.value is error
