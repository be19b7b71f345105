"""Rules for places: URLs in every disguise, queries, paths on this machine, objects in a storage."""

from __future__ import annotations

import re

from sumeasync.core.redaction.ids import ID, identity, random_like
from sumeasync.core.redaction.marks import Rule, each_token, mark, size

__all__ = ["LINK_RULES", "PATH_RULES", "host_of", "local_path", "route", "url"]

_END = r"[^\s\"'<>`]*"
_PUNCTUATION = ".,;:!?)]}\\|"
_SCHEME = r"(?i)(?<![a-z0-9+.-])[a-z0-9+.-]{2,}:(?:\\*[/\\]){2}"
_URL = re.compile(_SCHEME + _END + r"|(?i:\b(?:https?|wss?|ftps?|mailto|blob):)[^\s\"'<>`]{2,}")
_DATA = re.compile(
    r"(?i)(?<![a-z0-9])data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+=-]+)*,(?:(?<=base64,)" + _END + r"|[^\"'<>\r\n]*)"
)
_AUTHORITY = re.compile(r"(?i)^(?:[a-z0-9+.-]+:(?:[/\\]+|(?=[a-z])))?[/\\]*([^/\\?#\s]*)")
_UNHOSTED = re.compile(
    r"(?i)(?!x*(?:https?|wss?|ftps?|rtsp|mailto):)[a-z0-9+.-]{2,}:[/\\h]"
)  # names no server: s3://bucket
_HOST = re.compile(r"(?i)[a-z0-9](?:[a-z0-9-]*\.)*[a-z0-9-]+|\[[0-9a-f:.]+\]")
_NAME = r"(?<![\w@.-])(?:[a-z0-9_-]+\.)+"
_PORT = r"(?::\d{1,5})?"
_BARE = re.compile(
    rf"(?i)(?:{_NAME}(?:com|net|org|io|so|ai|app|dev|co|cloud|run|tv|me)|(?<![\w.])(?:localhost|\d+(?:\.\d+){{3}}))"
    rf"{_PORT}[/?#](?=[^\s\"'<>`]){_END}|(?<![\w:/\\])(?://|\\\\/\\\\/)[a-z0-9.-]+\.[a-z]{{2,}}{_PORT}/{_END}"
)
_BARE_ANY = re.compile(rf"(?i){_NAME}[a-z]{{2,24}}{_PORT}[/?#](?=[^\s\"'<>`]){_END}")
_USERINFO = re.compile(r"(?<![^\s\"'<>`=(,])[^\s\"'<>`:/@=(,]+:[^\s\"'<>`/@]+@[^\s\"'<>`]+")

# First words of the API's own routes; every other absolute path is a place on this machine.
_ROUTES = frozenset(
    [
        "api",
        "v1",
        "v2",
        "jobs",
        "job",
        "me",
        "credits",
        "images",
        "videos",
        "ads",
        "generations",
        "generate",
        "face-swap",
        "reference-analysis",
        "uploads",
        "presign",
        "assets",
        "brand",
        "current",
        "avatars",
        "open",
        "catalog",
        "image-router",
        "video-router",
        "files",
        "generate-upload-url",
        "status",
        "result",
        "cancel",
        "credits",
        "health",
    ]
)
_ROOTS = frozenset(
    [
        "home",
        "root",
        "tmp",
        "var",
        "etc",
        "usr",
        "opt",
        "mnt",
        "srv",
        "users",
        "private",
        "volumes",
        "dev",
        "proc",
        "data",
    ]
)
_STORES = frozenset(
    [
        "uploads",
        "upload",
        "workspaces",
        "workspace",
        "users",
        "user",
        "accounts",
        "account",
        "tenants",
        "tenant",
        "orgs",
        "objects",
        "storage",
        "buckets",
        "bucket",
        "private",
        "u",
        "ws",
    ]
)
_MORE = r"(?:(?: [\w()&+-]{1,40}){1,3}\.[A-Za-z0-9]{2,4}\b)?"  # the rest of a file name with blanks
_DRIVE = re.compile(
    r"(?i)(?<![a-z0-9])[a-z]:\\*[\\/](?:[^\\/:*?\"<>|\r\n']+[\\/]+)*[^\\/:*?\"<>|\s',;)]*"
    + _MORE
    + r"|(?<!\\)\\\\+[\w.$?-]+\\+[^\s\"'<>|]*"
    + _MORE
)
_HOME = re.compile(r"(?<![\w/~])(?:~[\w-]*|%[A-Za-z_()]+%|\$\{?\w+\}?)[/\\]+[^\s\"'<>`]*" + _MORE)
_QUOTED = re.compile(r"(?<=[\"'`])/[^\"'`\r\n]+")
_POSIX = re.compile(
    r"(?<![\w.~}>*/\\-])(/[^\s\"'<>`|]+)((?:(?<![.,;:)\]}])(?: [^\s/\"'<>`]{1,40}){1,3}(?<![.,;:])/[^\s\"'<>`|]*)*"
    + _MORE
    + ")"
)
_PLACE = re.compile(r":\d+(?::\w+)?$")


def host_of(text: str) -> str:
    """Return the host a URL names, in lower case without port; parts that look like somebody's id become ``*``."""
    found = None if _UNHOSTED.match(text) else _AUTHORITY.match(text)
    host = found[1].rpartition("@")[2].lower() if found else ""
    host = re.sub(r":\d*$", "", host).strip(_PUNCTUATION)
    if len(host) > 253 or not _HOST.fullmatch(host):
        return ""
    if re.fullmatch(r"[0-9.]+|\[.*", host):
        return host
    return ".".join("*" if _label_tells(label) else label for label in host.split("."))


def _label_tells(label: str) -> bool:
    return bool(re.search(r"\d{6}|[0-9a-f]{16}|^(?:user|usr|ws|acct|account|workspace)-?\d", label)) or random_like(
        label, 16
    )


def url(text: str) -> str:
    """Reduce a URL to scheme and host: ``https://media.sume.so``; `` `` where it names no plain host."""
    scheme = re.match(r"(?i)([a-z][a-z0-9+.-]{1,15}):[/\\]{2}", text[:4096])
    host = host_of(text[:4096]) if scheme else ""
    return f"{scheme[1].lower()}://{host}" if scheme and host else mark("url")


def _url_mark(match: re.Match[str]) -> str:
    body = match[0].rstrip(_PUNCTUATION)
    return mark("url", host_of(body)) + match[0][len(body) :]


def urls(text: str) -> str:
    """Anything with a scheme: ``https://…``, ``s3://…``, ``https:\\/\\/…``."""
    return _URL.sub(_url_mark, text) if ":" in text else text


def data_uris(text: str) -> str:
    """``data:image/png;base64,…``."""
    return _DATA.sub(lambda m: mark("data", size(len(m[0]))), text) if "," in text else text


def bare_hosts(text: str) -> str:
    """A host with a path and no scheme, under a well-known ending: ``media.sume.so/a/b.mp4``."""
    return _BARE.sub(_url_mark, text) if "/" in text or "?" in text else text


def bare_names(text: str) -> str:
    """The same under any ending; in a name the user chose this may be a folder with a dot."""
    return _BARE_ANY.sub(_url_mark, text) if "/" in text or "?" in text else text


def userinfo(text: str) -> str:
    """``name:password@host``."""
    return _USERINFO.sub(lambda _: mark("secret"), text) if "@" in text else text


def queries(text: str) -> str:
    """A query string, wherever it hangs; the route before it stays."""
    return each_token(text, _query) if "=" in text and ("?" in text or "&" in text) else text


def _query(token: str) -> str:
    if "=" not in token or not ("?" in token or "&" in token):
        return token
    head = token.partition("?")[0]
    return f"{head}?{mark('query')}" if head.startswith("/") and "&" not in head and "=" not in head else mark("query")


def route(path: str) -> str | None:
    """Return an API route with every unknown part as ``*``; None when `path` is no route of the API."""
    parts = path.strip("/").split("/")
    if parts[0].lower() not in _ROUTES:
        return None
    kept = [part if part in _ROUTES or ID.fullmatch(part) or re.fullmatch(r"\{\w+\}", part) else "*" for part in parts]
    return "/" + "/".join(kept)


def local_path(path: str) -> bool:
    """Whether `path` is absolute, or climbs out of the folder it is relative to."""
    return bool(re.match(r"[/\\~$%]|[A-Za-z]:", path)) or ".." in re.split(r"[/\\]", path)


def _posix(match: re.Match[str]) -> str:
    whole = match[1]
    body = _PLACE.sub("", whole.rstrip(_PUNCTUATION))
    end = whole[len(body) :]
    known = route(body.partition("?")[0])
    if known is not None:
        return known + body[len(body.partition("?")[0]) :] + end + _POSIX.sub(_posix, match[2])
    parts = body.strip("/").split("/")
    if len(parts) == 1 and parts[0].lower() not in _ROOTS and "." not in parts[0]:
        return whole + _POSIX.sub(_posix, match[2])
    return mark("path") + (end if not match[2] else "")


def _quoted(match: re.Match[str]) -> str:
    head = match[0].partition("?")[0]
    return (route(head) or mark("path")) + match[0][len(head) :] if "/" in match[0].strip("/") else match[0]


def local_paths(text: str) -> str:
    """Absolute paths of this machine: ``/home/…``, ``C:\\Users\\…``, ``\\\\server\\…``, ``~/…``."""
    if "\\" in text or ":/" in text:
        text = _DRIVE.sub(lambda _: mark("path"), text)
    if "/" in text or "\\" in text:
        text = _HOME.sub(lambda _: mark("path"), text)
    return _POSIX.sub(_posix, _QUOTED.sub(_quoted, text)) if "/" in text else text


def storage_keys(text: str) -> str:
    """Names of objects in a storage: ``workspaces/…/source.mp4``, or any path with a random part."""
    return each_token(text, _stored) if "/" in text else text


def _stored(token: str) -> str:
    parts = token.strip("".join((_PUNCTUATION, "("))).split("/")
    if len(parts) < 2 or token.startswith("/") or all(part in _ROUTES for part in parts):
        return token
    telling = parts[0].lower() in _STORES or any(identity(part) or random_like(part, 16) for part in parts)
    return mark("path") if telling else token


LINK_RULES = (
    Rule("data", data_uris),
    Rule("url", urls),
    Rule("bare host", bare_hosts),
    Rule("bare name", bare_names, prose=True),
    Rule("userinfo", userinfo),
    Rule("query", queries),
)
PATH_RULES = (
    Rule("storage", storage_keys, prose=True),
    Rule("path", local_paths),
)
