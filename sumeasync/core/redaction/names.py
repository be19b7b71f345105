"""What the name of a field tells of its value, in any spelling: `apiKey`, `X-Api-Key`, `api_key`, `APIKEY`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

__all__ = ["Sensitivity", "canonical", "numeric_is_safe", "sensitivity"]

Sensitivity = Literal["secret", "weak", "line", "quoted"]
"""`secret`: any value is hidden; `weak`: hidden unless it reads as prose; `line`: the rest of the line is hidden;
`quoted`: hidden when it stands in quotes, for then it is what was sent, not what is said of it."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")

# Ids and names that may be shown; they would otherwise look like the sensitive ones below.
_SAFE = frozenset(
    [
        "job_id",
        "job_ids",
        "jobid",
        "request_id",
        "request_ids",
        "requestid",
        "x_request_id",
        "x_sume_request_id",
        "sume_request_id",
        "run_id",
        "spec_id",
        "spec_key",
        "key",
        "keys",
        "thread_id",
        "process_id",
    ]
)
_LINE = frozenset(
    [
        "cookie",
        "cookies",
        "set_cookie",
        "transcript",
        "transcripts",
        "transcription",
        "captions",
        "caption",
        "subtitles",
        "subtitle",
        "lyrics",
    ]
)
_QUOTED = frozenset(
    [
        "prompt",
        "negative_prompt",
        "system_prompt",
        "script",
        "narration",
        "voiceover",
        "input",
        "inputs",
        "response",
        "cnonce",
    ]
)
# Parts that make a name secret wherever they stand in it, written without separators.
_SECRET = re.compile(
    "apikey|authorization|accesskey|secretkey|privatekey|signingkey|sharedkey|accountkey|encryptionkey|keyid|keypair"
    "|objectkey|storagekey|password|passwd|passphrase|credential|.secret|secret.|.token$|accesstoken|refreshtoken"
    "|authtoken|xamz|xgoog|.signature|signature.|signedurl|signedheader|email|username|userinfo"
)
_WEAK = frozenset(
    [
        "token",
        "secret",
        "auth",
        "session",
        "sessionid",
        "signature",
        "sig",
        "pwd",
        "otp",
        "pin",
        "id",
        "uid",
        "user",
        "userid",
        "owner",
        "ownerid",
        "account",
        "accountid",
        "workspace",
        "workspaceid",
        "tenant",
        "tenantid",
        "org",
        "orgid",
        "organization",
        "organizationid",
        "customer",
        "customerid",
        "member",
        "team",
        "jwt",
        "csrf",
        "bearer",
        "login",
        "policy",
    ]
)
# A number under such a name may be somebody's id, wherever these letters stand in it.
_PERSON = re.compile("user|owner|account|workspace|tenant|organi[sz]ation|customer|provider|upstream|vendor|phone")
_PERSON_WORDS = frozenset(
    ["org", "team", "member", "pin", "otp", "cvv", "auth", "session", "sig", "card", "ssn", "external", "remote"]
)
_COUNTED = frozenset(
    [
        "count",
        "counts",
        "total",
        "seconds",
        "ms",
        "bytes",
        "size",
        "percent",
        "ratio",
        "length",
        "lines",
        "chars",
        "age",
    ]
)


def canonical(name: str) -> str:
    """Spell a name in lower case with underscores: `X-Api-Key` and `xApiKey` are both `x_api_key`."""
    return _OTHER.sub("_", _HUMP.sub("_", name).lower()).strip("_")


@lru_cache(maxsize=2048)
def sensitivity(name: str) -> Sensitivity | None:
    """Tell what to do with a value that stands beside this name in a text; None when the name says nothing."""
    snake = canonical(name)
    if snake in _SAFE:
        return None
    last = snake.rpartition("_")[2]
    if snake in _LINE or last in _LINE:
        return "line"
    if snake in _QUOTED:
        return "quoted"
    compact = snake.replace("_", "")
    if _SECRET.search(compact):
        return "secret"
    if compact in _WEAK or last in {"id", "ids", "token", "secret", "sig"}:
        return "weak"
    return None


@lru_cache(maxsize=2048)
def numeric_is_safe(name: str) -> bool:
    """Whether a plain number under this name counts or measures something, rather than naming somebody."""
    snake = canonical(name)
    words = snake.split("_")
    if snake in _SAFE or words[-1] in _COUNTED:
        return True
    return not (_PERSON.search(snake) or _PERSON_WORDS.intersection(words) or sensitivity(name))
