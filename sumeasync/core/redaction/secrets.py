"""Rules for keys, tokens, passwords and signatures: by their shape, by the name before them, by the words around."""

from __future__ import annotations

import re
from functools import lru_cache

from sumeasync.core.redaction.marks import MARK, Rule, mark
from sumeasync.core.redaction.names import sensitivity

__all__ = ["PEM_RULE", "SECRET_RULES", "SHAPES", "VENDOR_KEY", "opaque"]

VENDOR_KEY = (
    r"(?i:sume[_-]?(?:live|test|dev|prod|sandbox|staging|pk|sk|secret)[_-](?:[\r\n]+[ \t]{0,40})?[\w*•.…-]*[\w*•…])"
)
SHAPES: tuple[str, ...] = (
    VENDOR_KEY,
    r"(?i:sume[ _-]{0,3}(?:live|test)[ _-]{1,3}(?=[a-z]*\d)\w{8,})",
    r"(?<![A-Za-z0-9])(?:sk|pk|rk)[-_](?:live|test|prod|ant|proj|or|svcacct|admin)[-_][\w-]+",
    r"(?<![A-Za-z0-9])sk-[\w-]{6,}",
    r"(?<![A-Za-z0-9])whsec_[\w+/=-]+",
    r"(?<![A-Za-z0-9])(?:gh[oprsu]|github_pat|glpat|gldt|hf|npm|pypi|r8|gsk|figd|dckr_pat|shp(?:at|ca|pa|ss)|"
    r"lin_api|dop_v1|pul|nvapi|xai|pplx|tfp)[_-](?=\w*\d|\w{16})[\w-]{6,}",
    r"(?<![A-Za-z0-9])xox[a-z]-[\w-]+",
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA|AGPA)[A-Z0-9]{12,}",
    r"(?<![A-Za-z0-9])AIza[\w-]{10,}",
    r"(?<![A-Za-z0-9])ya29\.[\w.-]+",
    r"(?<![A-Za-z0-9])GOCSPX-[\w-]+",
    r"(?<![A-Za-z0-9])SG\.[\w-]{6,}(?:\.[\w-]+)?",
    r"(?<![A-Za-z0-9])hv[bs]\.[\w-]+",
    r"(?<![A-Za-z0-9])eyJ[\w-]{5,}(?:\.[\w=-]*)*",
    r"(?<![A-Za-z0-9])v1=[0-9a-fA-F]{16,}",
)
"""Keys known by their beginning: this vendor's, then those of payment, code, chat, model and cloud services; JWTs."""

_PEM = re.compile(r"-----BEGIN[^\n]*?-----.*?(?:-----END[^\n]*?-----|\Z)", re.DOTALL)
_NAME = re.compile(
    r"(?<![A-Za-z0-9_.-])(?:--?)?([A-Za-z][A-Za-z0-9_.-]{1,60}(?:\[[\w-]*\])?)"
    r"(\\*[\"']?(?:\s?\([^()\r\n]{0,40}\))?\s{0,40}"
    r"(?:=>|->|:=|[=:](?:\s?[|>][+-]?(?=\s*\n))?|\||(?<=[\"']),(?=\s{0,40}b?\\*[\"']))\s{0,40}b?)"
)
_PAIR = re.compile(
    r"(?i)(\b(?:name|key|header|field)[\"']?\s?[=:]\s?[\"']([\w.-]{2,60})[\"'][\s,;]{1,3}[\"']?"
    r"(?:value|val|content)[\"']?\s?[=:]\s?)(\"[^\"]*\"?|'[^']*'?|[^\s,;<>]+)"
)
_VALUE = re.compile(
    r"\"{3}.*?(?:\"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)|(\\+[\"']).*?(?:\1|\Z)|[(\[][^)\]]*[)\]]?"
    r"|<redacted [^<>]*>[^\s,;&\"')\]}]*"
    r"|(?:(?i:bearer|basic|digest|negotiate|token|apikey|key|signature|aws4-hmac-sha256)\s+)?[^\s,;&\"')\]}]+",
    re.DOTALL,
)
_LINE = re.compile(r"[^\r\n]*")
_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest|negotiate)([\s:=]+[\"'`]?)([^\s,;\"'`<>]+)")
_SCHEME_WORDS = frozenset(
    [
        "token",
        "tokens",
        "auth",
        "authentication",
        "authorization",
        "scheme",
        "schemes",
        "header",
        "headers",
        "credential",
        "credentials",
        "plan",
        "plans",
        "realm",
        "required",
        "is",
        "was",
        "not",
        "or",
        "and",
        "missing",
        "error",
    ]
)
_PHRASE = re.compile(
    r"(?i)(?<![\w-])((?:x[_-])?(?:(?:api|access|secret|private|signing|auth|session|webhook|refresh|client|security)"
    r"[ _-]?(?:keys?|token|secret)(?:[ _-](?:id|prefix))?|key id|password|passwd|passphrase|token|secret|signature)"
    r"(?:\s+(?:is|was|of))?(?:\s*[:=,])?\s+[\"'`]?)(?!<redacted )([^\s\"'`,;<>()]+)"
)
_FLAG = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)(\s+)(?!<redacted |-)([^\s\"'<>]+|\"[^\"]*\"?|'[^']*'?)")
_GLUED = re.compile(r"(?<![\w-])(-u)([^\s:\"'<>=-][^\s:\"'<>=]*:[^\s\"'<>]+)")
_ENVIRONMENT = re.compile(r"[A-Z]{2,}(?:_[A-Z]+)+[.,;:!?)]*")


@lru_cache(maxsize=32)
def _shape(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or r"(?!)")


def shapes(text: str) -> str:
    """Keys known by their beginning."""
    return _shape(SHAPES).sub(lambda _: mark("secret"), text)


def pem(text: str) -> str:
    """PEM blocks: private keys and certificates."""
    return _PEM.sub(lambda _: mark("secret"), text) if "-----BEGIN" in text else text


def opaque(word: str) -> bool:
    """Whether a word reads as a value, not as English: a digit, a capital inside, a sign of encoding, great length."""
    bare = word.strip(".,;:!?)(")
    if not bare or _ENVIRONMENT.fullmatch(word):
        return False
    return bool(len(bare) >= 20 or re.search(r"\d|[a-z][A-Z]|[=+/_~%|$#*@\\]", bare))


def named(text: str) -> str:
    """The value beside a telling name: ``api_key=…``, ``"token": "…"``, ``('x-api-key', b'…')``, ``Cookie: …``."""
    parts: list[str] = []
    done = position = 0
    while found := _NAME.search(text, position):
        position = found.end()
        value = _hidden_value(text, found)
        if value:
            parts += (text[done:position], mark("secret"))
            done = position = value.end()
    return "".join(parts) + text[done:] if parts else text


def _hidden_value(text: str, found: re.Match[str]) -> re.Match[str] | None:
    kind = sensitivity(found[1])
    if kind is None:
        return None
    value = (_LINE if kind == "line" else _VALUE).match(text, found.end())
    if not value or not value[0].strip() or MARK.fullmatch(value[0].rstrip(".:!?>")):
        return None
    if kind == "quoted":
        return value if value[0].lstrip("\\")[:1] in ("'", '"') else None
    prose = "=" not in found[2] and value[0][0] not in "\"'\\([" and not opaque(value[0])
    doubtful = kind == "weak" or "|" in found[2].strip()[:1]
    return None if doubtful and (prose or _shown_id(value[0])) else value


def _shown_id(value: str) -> bool:
    return bool(re.fullmatch(r"[\"']?(?:job|req)_[\w-]+[\"']?[.:!?]*", value))


def pairs(text: str) -> str:
    """Name and value apart: ``name="x-api-key" value="…"``."""
    return _PAIR.sub(lambda m: m[1] + mark("secret") if sensitivity(m[2]) else m[0], text)


def schemes(text: str) -> str:
    """``Bearer …``, ``Basic …`` wherever they stand."""
    return _SCHEME.sub(_scheme, text)


def _scheme(match: re.Match[str]) -> str:
    scheme, value = match[1].lower(), match[3].strip(".:!?)")
    capitals = len(re.findall("[A-Z]", value)) > 1 and not value.isupper()
    if value.lower() in _SCHEME_WORDS or (scheme != "bearer" and not capitals and not opaque(value)):
        return match[0]
    return match[1] + match[2] + mark("secret")


def phrases(text: str) -> str:
    """Said in words: ``the API key is abc123``, ``password hunter2``."""
    return _PHRASE.sub(lambda m: m[1] + mark("secret") if _told(m[2]) else m[0], text)


def _told(word: str) -> bool:
    return opaque(word) and not re.fullmatch(r"\d{1,3}[.:%]?|(?:job|req)_\w+", word)


def flags(text: str) -> str:
    """Arguments of a command: ``--api-key abc``."""
    text = _FLAG.sub(lambda m: m[1] + m[2] + mark("secret") if _telling(m[1], m[3]) else m[0], text)
    return _GLUED.sub(lambda m: m[1] + mark("secret"), text)


def _telling(flag: str, value: str) -> bool:
    kind = sensitivity(flag)
    named = kind == "secret" or (kind == "weak" and opaque(value))
    return named or (flag in ("-u", "--user", "--proxy-user") and ":" in value)


SECRET_RULES = (
    Rule("shape", shapes),
    Rule("named", named),
    Rule("pair", pairs),
    Rule("scheme", schemes),
    Rule("phrase", phrases, prose=True),
    Rule("flag", flags, prose=True),
)
PEM_RULE = Rule("pem", pem)
