from __future__ import annotations

import copy
import re

import pytest
from yarl import URL

from sumeasync.errors import UsageError
from sumeasync.io.origin import ApiKey, check_base_url, environment_proxy


def test_a_key_does_not_show_itself() -> None:
    """Neither its repr, nor its text, nor a container's."""
    key = ApiKey("sume_live_hunter2")
    assert f"{key} {key!r} {[key]} {copy.copy(key)!r}" == "<api key> <api key> [<api key>] <api key>"
    assert key.reveal() == "sume_live_hunter2"


def test_a_fingerprint_tells_keys_apart_and_nothing_more() -> None:
    """The same for the same key and salt, another for another of either, and short."""
    key, other = ApiKey("sume_live_hunter2"), ApiKey("sume_live_hunter3")
    assert key.fingerprint("a") == ApiKey("sume_live_hunter2").fingerprint("a")
    assert len({key.fingerprint("a"), key.fingerprint("b"), other.fingerprint("a")}) == 3
    assert re.fullmatch("[0-9a-f]{8}", key.fingerprint("a"))


@pytest.mark.parametrize("value", ["", "a b", "a\n", "a\r\nX: y", "ключ", "a\0", "a\x7f"])
def test_a_key_that_no_header_can_carry_is_refused(value: str) -> None:
    """A line end from a file, a space from a paste: found before anything is sent, and not quoted."""
    with pytest.raises(UsageError) as caught:
        ApiKey(value)
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://www.sume.so/api/v1",
        "https://10.0.0.1:8443",
        "http://localhost:8080/api",
        "http://api.localhost",
        "http://127.0.0.1:1",
        "http://[::1]:1/",
    ],
)
def test_a_base_url_is_https_or_on_this_machine(text: str) -> None:
    """The key never travels in clear."""
    assert str(check_base_url(text)).rstrip("/") == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "www.sume.so/api",
        "/api",
        "ftp://localhost",
        "file:///etc/passwd",
        "http://www.sume.so",
        "http://0x7f000001",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "http://evillocalhost",
        "http://0.0.0.0",
        "https://",
        "https://user:pw@www.sume.so",
        "https://user@www.sume.so",
        "https://www.sume.so/?a=b",
        "https://www.sume.so?",
        "https://www.sume.so/#a",
        "https://www.sume.so:port",
        "http://[::1",
    ],
)
def test_a_base_url_the_key_must_not_go_to_is_refused(text: str) -> None:
    """Other schemes, plain http to elsewhere, credentials, queries, and what is no URL."""
    with pytest.raises(UsageError):
        check_base_url(text)


def test_a_proxy_of_the_environment_serves_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY and this machine are reached directly."""
    monkeypatch.setenv("https_proxy", "http://u:p@proxy.test:3128")
    monkeypatch.setenv("no_proxy", "near.test")
    assert environment_proxy(URL("https://far.test")) == URL("http://u:p@proxy.test:3128")
    assert environment_proxy(URL("https://near.test")) is None
    assert environment_proxy(URL("http://localhost")) is None


def test_a_proxy_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not quoted: it may hold a password."""
    monkeypatch.setenv("https_proxy", "http://u:hunter2@[proxy")
    with pytest.raises(UsageError) as caught:
        environment_proxy(URL("https://far.test"))
    assert "hunter2" not in str(caught.value)
