"""Which API and which key: arguments, environment, a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sumeasync.errors import MissingKeyError, UsageError
from sumeasync.io.credentials import (
    BASE_URL,
    BASE_VARIABLE,
    KEY_VARIABLE,
    MAX_KEY_FILE_BYTES,
    find_access,
    read_key_file,
)

KEY = "sume_live_abc"
OTHER = "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("key", "base", "environ", "expected"),
    [
        (KEY, None, {}, (BASE_URL, KEY)),
        (None, None, {KEY_VARIABLE: f" {KEY}\n"}, (BASE_URL, KEY)),
        (KEY, None, {KEY_VARIABLE: "other"}, (BASE_URL, KEY)),
        (KEY, None, {BASE_VARIABLE: OTHER}, (OTHER, KEY)),
        (KEY, "http://localhost:8080", {BASE_VARIABLE: OTHER}, ("http://localhost:8080", KEY)),
        (KEY, None, {BASE_VARIABLE: ""}, (BASE_URL, KEY)),
    ],
)
def test_arguments_win(key: str | None, base: str | None, environ: dict[str, str], expected: tuple[str, str]) -> None:
    """An argument wins over the environment, the environment over the default."""
    access = find_access(key, base, environ)
    assert (access.base_url, access.api_key.reveal()) == expected


def test_each_dialect_has_an_address() -> None:
    """Without another address it is the one the dialect is spoken at; another one wins over it."""
    assert find_access(KEY, None, {}, dialect="open").base_url == "https://api.open.sume.com/v1"
    assert find_access(KEY, OTHER, {}, dialect="open").base_url == OTHER


def test_the_environment_is_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without another mapping it is the environment of the process."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.delenv(BASE_VARIABLE, raising=False)
    assert find_access().api_key.reveal() == KEY


@pytest.mark.parametrize("environ", [{}, {KEY_VARIABLE: ""}, {KEY_VARIABLE: " \n"}])
def test_no_key(environ: dict[str, str]) -> None:
    """Without a key nothing goes, and it is said how to give one."""
    with pytest.raises(MissingKeyError, match="SUME_API_KEY"):
        find_access(None, None, environ)


@pytest.mark.parametrize(("key", "base"), [("two words", None), ("ké", None), (KEY, "http://a.com"), (KEY, "ftp://a")])
def test_what_cannot_be_is_refused(key: str, base: str | None) -> None:
    """A key with characters no key has, or a base URL the key must not go to, is refused; the key is not quoted."""
    with pytest.raises(UsageError) as caught:
        find_access(key, base, {})
    assert key not in str(caught.value)


def test_an_access_does_not_show_its_key() -> None:
    """The key is in no representation."""
    assert KEY not in repr(find_access(KEY, None, {}))


def test_key_file(tmp_path: Path) -> None:
    """The key stands alone in a file; blanks around it do not count."""
    file = tmp_path / "key"
    file.write_text(f"\n {KEY} \n")
    assert read_key_file(str(file)) == KEY


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"k" * (MAX_KEY_FILE_BYTES + 1), "too large"),
        (b"\xff", "not text"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: bytes, named: str) -> None:
    """An empty, a large or a binary file is refused: no other key takes its place, and none is cut short."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=named):
        read_key_file(str(file))


@pytest.mark.parametrize(("name", "named"), [("absent", "No such file"), ("", "directory"), ("a\0b", "not text")])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, named: str) -> None:
    """A file that is not there is refused in the system's words, without its path."""
    with pytest.raises(UsageError, match=named) as caught:
        read_key_file(f"{tmp_path}/{name}")
    assert str(tmp_path) not in str(caught.value)
