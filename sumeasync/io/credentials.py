"""Which API, with which key: arguments win over the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from sumeasync.errors import MissingKeyError, UsageError
from sumeasync.io.origin import ApiKey, check_base_url

__all__ = ["BASE_URL", "BASE_VARIABLE", "KEY_VARIABLE", "Access", "find_access", "read_key_file"]

BASE_URL = "https://www.sume.so/api/v1"
BASE_URLS = {"so": BASE_URL, "open": "https://api.open.sume.com/v1"}
"""Where each dialect is spoken, unless something else is said."""

KEY_VARIABLE = "SUME_API_KEY"
BASE_VARIABLE = "SUME_API_BASE_URL"
MAX_KEY_FILE_BYTES = 4096


class Access(msgspec.Struct, frozen=True):
    """A checked base URL and a key that does not show itself."""

    base_url: str
    api_key: ApiKey


def find_access(
    api_key: str | None = None,
    base_url: str | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    dialect: str = "so",
) -> Access:
    """The access to use; the `dialect` chooses among the public addresses.

    Raises MissingKeyError without a key, UsageError for a base URL or key that cannot be.
    """
    base = base_url or environ.get(BASE_VARIABLE) or BASE_URLS[dialect]
    key = api_key or environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise MissingKeyError
    return Access(str(check_base_url(base)), ApiKey(key))


def read_key_file(path: str) -> str:
    """The key that stands alone in a small file. Raises UsageError."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_KEY_FILE_BYTES + 1)
    except (OSError, ValueError) as problem:
        raise UsageError(f"the key file cannot be read: {getattr(problem, 'strerror', None) or 'not text'}") from None
    if not text.strip() or len(text) > MAX_KEY_FILE_BYTES:  # an empty key would let the environment's take its place
        raise UsageError("the key file is empty, or too large to be one")
    return text.strip()
