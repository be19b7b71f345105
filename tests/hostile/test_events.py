"""Events and texts made to carry a secret past the redaction, and useful ones that must come through."""

from __future__ import annotations

import base64
import dataclasses
import json
from types import SimpleNamespace
from urllib.parse import quote

import msgspec
import pytest

from sumeasync import logs
from sumeasync.core import redact
from sumeasync.testing.canary import Canary, sightings

BIRD = Canary()
KEY, MAIL, WS = BIRD.key, BIRD.email, BIRD.workspace
SIG = "c4narY0123456789abcdefSig"
PLAIN = "c4narYplainsecret"  # of no known shape: only what stands around it tells
B64 = base64.b64encode(KEY.encode()).decode()
LOST = (KEY, MAIL, WS, SIG, PLAIN, B64, "c4narY")


def signed(url: str) -> str:
    """A link with the canary as its signature."""
    return url.replace("SIG", SIG)


class Struct(msgspec.Struct):
    """A value of somebody else's, with a key in its repr."""

    status: str = "ok"
    api_key: str = KEY


@dataclasses.dataclass
class Data:
    """Likewise."""

    status: str = "ok"
    token: str = PLAIN


def raised(*args: object, notes: tuple[str, ...] = ()) -> BaseException:
    """An exception with arguments and notes."""
    error = RuntimeError(*args)
    for note in notes:
        error.add_note(note)
    return error


def chained() -> BaseException:
    """A secret two causes down, inside a group."""
    try:
        try:
            raise ValueError(f"Bearer {KEY}")
        except ValueError as inner:
            raise OSError(5, f"mail {MAIL}", f"/home/{PLAIN}/x") from inner
    except OSError as error:
        return ExceptionGroup(f"two of {KEY}", [error, KeyError(f"{MAIL}: {KEY}")])


HOSTILE_EVENTS: tuple[dict[str, object], ...] = (
    {"event": "sent", "headers": {"Authorization": f"Bearer {KEY}"}},
    {"event": "sent", "headers": [("x-api-key", PLAIN), ("accept", "*/*")]},
    {"event": "sent", "headers": [(b"X-API-KEY", PLAIN.encode())]},
    {"event": "sent", "request": {"headers": {"apiKey": PLAIN}, "body": {"prompt": PLAIN}}},
    {"event": "sent", "error": (("authorization", PLAIN),)},
    {"event": f"job {json.dumps({'error': {'message': KEY}})} failed"},
    {"event": "failed", "message": json.dumps(json.dumps({"token": PLAIN}))},
    {"event": "failed", "message": json.dumps({"error": {"code": "x", "message": json.dumps({"k": PLAIN})}})},
    {"event": "link", "url": signed("https://b.s3.amazonaws.com/c4narY.mp4?X-Amz-Signature=SIG&X-Amz-Expires=60")},
    {"event": "link", "message": signed("see <https://storage.googleapis.com/b/c4narY?X-Goog-Signature=SIG>")},
    {"event": "link", "message": signed("[clip](https://acc.blob.core.windows.net/c/c4narY.mp4?sv=1&sig=SIG)")},
    {
        "event": "link",
        "message": signed('<a href="https://d1.cloudfront.net/c4narY?Signature=SIG&Key-Pair-Id=K">x</a>'),
    },
    {"event": "link", "message": signed("https://x.r2.cloudflarestorage.com/b/c4narY?X-Amz-Signature=SIG")},
    {"event": "link", "message": signed("https://f001.backblazeb2.com/file/b/c4narY?Authorization=SIG")},
    {"event": "link", "message": signed("http://b.oss-cn-hangzhou.aliyuncs.com/c4narY?OSSAccessKeyId=A&Signature=SIG")},
    {"event": "link", "message": signed("https://b.cos.ap-x.myqcloud.com/c4narY?q-signature=SIG&q-ak=AKID")},
    {"event": "link", "message": signed("https://p.supabase.co/storage/v1/object/sign/b/c4narY?token=eyJ.SIG")},
    {"event": "link", "message": signed("HTTPS://MEDIA.SUME.SO/c4narY?SIG=SIG")},
    {"event": "link", "message": signed("https://xn--mnchen-3ya.example/c4narY?s=SIG")},
    {"event": "link", "message": signed("'https://media.sume.so/c4narY?sig=SIG', then")},
    {"event": "link", "message": signed("{https://media.sume.so/c4narY?sig=SIG}")},
    {"event": "link", "message": quote(signed("https://media.sume.so/c4narY?sig=SIG"), safe="")},
    {"event": "link", "message": quote(quote(signed("https://media.sume.so/c4narY?sig=SIG"), safe=""), safe="")},
    {"event": "link", "message": signed(r"https:\/\/media.sume.so\/c4narY?sig=SIG")},
    {"event": "link", "message": signed(r"https:\u002f\u002fmedia.sume.so\u002fc4narY?sig=SIG")},
    {"event": "link", "message": signed("media.sume.so/c4narY?sig=SIG&x=1")},
    {"event": "post", "message": f"fields: {{'policy': '{B64}', 'x-amz-signature': '{SIG}', 'key': 'u/c4narY'}}"},
    {"event": "post", "message": f"x-amz-credential={PLAIN}/2026/s3/aws4_request x-amz-signature={SIG}"},
    {"event": "shell", "message": f"curl -H 'Authorization: Bearer {KEY}' https://www.sume.so/api/v1/me"},
    {"event": "shell", "message": f'curl -H "X-Api-Key: {PLAIN}" -d @x.json https://www.sume.so/api/v1/jobs'},
    {"event": "shell", "message": f"curl --header=x-api-key:{PLAIN} host"},
    {"event": "shell", "message": f"SUME_API_KEY={PLAIN} sumeasync run x.jsonl"},
    {"event": "shell", "message": f"sumeasync --api-key={PLAIN} me"},
    {"event": "repr", "message": f"Client(host='x', api_key='{PLAIN}')"},
    {"event": "repr", "message": repr({"api_key": PLAIN, "n": 1})},
    {"event": "repr", "message": repr([("Authorization", f"Bearer {PLAIN}")])},
    {"event": "repr", "message": repr(Struct())},
    {"event": "repr", "message": repr(Data())},
    {"event": "repr", "message": str(SimpleNamespace(password=PLAIN))},
    {"event": "repr", "message": f"headers={{b'x-api-key': b'{PLAIN}'}}"},
    {"event": "repr", "request": Struct(), "settings": Data(), "policy": Struct()},
    {"event": "split", "message": f"{KEY[:5]}\u200b{KEY[5:]}"},
    {"event": "split", "message": f"{KEY[:9]}\u2060{KEY[9:12]}\ufeff{KEY[12:]}"},
    {"event": "split", "message": f"{KEY[:10]}\x1b[1m{KEY[10:]}\x1b[0m"},
    {"event": "split", "message": f"\u202e{KEY}\u202c"},
    {"event": "split", "message": KEY.replace("_", "%5F")},
    {"event": "split", "message": KEY.upper()},
    {"event": "named", "message": f"X-API-KEY {PLAIN}1"},
    {"event": "named", "message": f"api key: {PLAIN}1"},
    {"event": "named", "message": f"authorization=Bearer%20{PLAIN}"},
    {"event": "named", "message": f"Proxy-Authorization: Basic {base64.b64encode(b'u:c4narYplainsecret').decode()}"},
    {"event": "named", "message": f"line one\r\nX-Api-Key: {PLAIN}\r\nline three"},
    {"event": "named", "message": f"line one\nset-cookie: sid={PLAIN}; HttpOnly\nline three"},
    {"event": "named", KEY: 1, f"user {MAIL}": "x"},
    {"event": "named", "job": {KEY: {"status": "ok"}}},
    {"event": "error", "exc_info": chained()},
    {"event": "error", "error": raised(KEY, {"token": PLAIN}, b"c4narYbytes", ("x-api-key", PLAIN))},
    {"event": "error", "error": raised("bad", notes=(f"with {KEY}", f"and {MAIL}"))},
    {"event": "error %s", "positional_args": (signed("https://media.sume.so/c4narY?sig=SIG"),)},
    {"event": "error %(x)s", "positional_args": ({"x": f"api_key={PLAIN}"},)},
    {"event": "who", "message": f"{MAIL} in {WS} owns it", "user": MAIL, "workspace_id": WS, "owner": PLAIN},
    {"event": "who", "message": f"mailto:{MAIL}?subject=x and <{MAIL}> and {MAIL.upper()}"},
    {"event": "who", "message": MAIL.replace("@", "%40") + " " + MAIL.replace("@", "&#64;")},
    {"event": "blob", "message": f"token {B64}", "data": B64, "body": KEY.encode().hex()},
    {"event": "blob", "message": f"hex {KEY.encode().hex()} end"},
    {"event": "text", "transcript": f"{PLAIN} spoken", "result": {"transcript": PLAIN}, "prompt": PLAIN},
    {"event": "text", "message": f"transcript: {PLAIN} was said, and more"},
    {"event": "text", "message": f'prompt="{PLAIN} in the style of" was refused'},
    {"event": "place", "file": f"/home/{PLAIN}/a.mp4", "path": f"C:\\Users\\{PLAIN}\\a.mp4"},
    {"event": "place", "message": f"cannot read ~/{PLAIN}/a.mp4 or file:///home/{PLAIN}/a.mp4"},
    {"event": "forged", "message": f'ok"}}\n{{"level":"error","api_key":"{PLAIN}"'},
    {"event": "ids", "job_id": KEY, "request_id": signed("https://x.test/c4narY?sig=SIG"), "code": MAIL},
    {"event": "ids", "status": KEY, "type": f"{WS}", "host": signed("https://u:c4narY@x.test/?SIG")},
)
"""Each holds the canary; none of it may be seen."""

USEFUL: tuple[tuple[str, object], ...] = (
    ("event", "job.completed"),
    ("event", "waiting for 3 jobs, 2 of them queued"),
    ("message", "prompt: field required"),
    ("message", "prompt must be at most 2000 characters"),
    ("message", "the prompt was rejected by the content policy"),
    ("message", "script: too long (2100 of 2000 characters)"),
    ("message", "input.duration must be between 4 and 15"),
    ("message", "credits: 12 required, 3 left"),
    ("message", "rate limit exceeded; retry after 30 s"),
    ("message", "HTTP 503 from www.sume.so, attempt 2 of 12"),
    ("message", "media.sume.so answered 403"),
    ("message", "www.sume.so: no answer in time"),
    ("message", "cannot write media/hero-01/job_12.png: No space left on device (ENOSPC)"),
    ("message", "the journal stops at record 17: bad checksum"),
    ("message", "duration 12.5 s is above the limit of 10 s"),
    ("message", "face not found in frame 120"),
    ("message", "source video has no audio track"),
    ("message", "aspect ratio 9:16 is not supported with 480p"),
    ("message", "expected image/png, got text/html (1832 bytes)"),
    ("message", "authorization failed for this key"),
    ("message", "the key is not allowed to create videos"),
    ("message", "token limit reached (4096 tokens)"),
    ("message", "job_01HZXABCDEFGHJKMNPQRSTVWXY is still running"),
    ("message", "request req_9f8e7d6c5b4a3f2e1d0c9b8a failed with internal_error"),
    ("message", "GET /jobs/job_1/result gave 409"),
    ("message", "Überlänge: 日本語も大丈夫"),
    ("message", "[Errno 104] Connection reset by peer"),
    ("message", "100 % done (3/3), 12.4 MB at 1.2 MB/s"),
    ("hint", "check SUME_API_KEY and what the key is allowed to do"),
    ("hint", "wait for it: sumeasync watch job_1"),
    ("key", "hero-01"),
    ("key", "scene 4, take 2"),
    ("job_id", "job_01HZXABCDEFGHJKMNPQRSTVWXY"),
    ("request_id", "req_01HZX"),
    ("type", "face_swap"),
    ("status", "timed_out"),
    ("code", "content_policy_rejected"),
    ("host", "media.sume.so"),
    ("file", "media/hero-01/job_1-2.mp4"),
    ("content_type", "video/mp4"),
    ("polls", 12),
    ("retry_seconds", 1.25),
    ("bytes", 10_485_760),
    ("adopted", True),
)
"""What a reader of the log needs."""


DEEPER: tuple[str, ...] = (
    f"Authorization\tBearer {PLAIN}",
    f"x-api-key\u00a0:\u00a0{PLAIN}",
    f"api_key：{PLAIN}",  # noqa: RUF001 - a full-width colon is the point
    f"api_key:\n  {PLAIN}",
    f"api_key: |\n  {PLAIN}",
    f"api_key: >-\n  {PLAIN}",
    f'api_key = """{PLAIN}"""',
    f"api_key = '''{PLAIN}'''",
    f"'x-api-key':      '{PLAIN}'",
    f'"api_key"\t\t:\t\t"{PLAIN}"',
    f"('x-api-key',\n         '{PLAIN}')",
    f"x-api-key | {PLAIN}",
    f"| api_key | {PLAIN} |",
    f'<credentials apiKey="{PLAIN}"/>',
    f"<key name='api_key' value='{PLAIN}'/>",
    f"grant_type=x&client_secret={PLAIN}&x=1",
    f'Digest username="{PLAIN}", realm="x", response="{PLAIN}"',
    f"aws_secret_access_key = {PLAIN}/abc",
    f"aws_session_token={PLAIN}",
    f"docker run -e SUME_API_KEY={PLAIN} image",
    f"curl --user me:{PLAIN} host",
    f"curl -ume:{PLAIN} host",
    f"curl -HX-Api-Key:{PLAIN} host",
    f"wget --header 'X-Api-Key: {PLAIN}' host",
    f"git clone https://oauth2:{PLAIN}@git.test/x",
    f"AccountName=x;AccountKey={PLAIN}==;EndpointSuffix=core",
    f"SharedAccessSignature=sv=1&sig={PLAIN}",
    f"postgresql+asyncpg://u:{PLAIN}@h/db",
    f"redis://:{PLAIN}@h:6379/0",
    f"b'Authorization: Bearer {PLAIN}'",
    f"<CIMultiDict('X-Api-Key': '{PLAIN}')>",
    f"Headers([('x-api-key', '{PLAIN}')])",
    f"<Headers x-api-key={PLAIN} accept=*>",
    f"export SUME_API_KEY='{PLAIN}'",
    f"set SUME_API_KEY={PLAIN}",
    f'$env:SUME_API_KEY = "{PLAIN}"',
    f"environ({{'SUME_API_KEY': '{PLAIN}'}})",
    f"--api-key '{PLAIN}'",
    f"--token {PLAIN}=",
    f"password is: {PLAIN}1",
    f"my api key, {PLAIN}1, does not work",
    f"(key={KEY})",
    f"key:{KEY[:14]}...{KEY[-8:]}",
    f"ｓｕｍｅ＿ｌｉｖｅ＿{KEY[10:]}",  # noqa: RUF001 - look-alikes are the point
    f"sume live {KEY[10:]} is what I used as api key {KEY[10:]}",
    f"sume_live_\n    {KEY[10:]}",
    "".join(f"&#{ord(char)};" for char in KEY),
    "".join(f"\\u{ord(char):04x}" for char in KEY),
    "".join(f"\\x{ord(char):02x}" for char in KEY),
    "".join(f"\\{ord(char):03o}" for char in KEY),
    "".join(f"={ord(char):02X}" for char in KEY),
    " ".join(KEY),
    KEY[::1].replace("_", "\u200d_\u200d"),
    base64.urlsafe_b64encode(f"::{KEY}".encode()).decode().rstrip("="),
    base64.b64encode(base64.b64encode(KEY.encode())).decode(),
    base64.b32encode(KEY.encode()).decode(),
    f"data:text/plain;charset=utf-8,{PLAIN}",
    f"javascript:fetch('//x.test/{PLAIN}')",
    f"//media.sume.so/c4narY?sig={SIG}",
    f"https&colon;&sol;&sol;media.sume.so&sol;c4narY?sig={SIG}",
    f"https:/media.sume.so/c4narY?sig={SIG}",
    f"hxxps://media.sume.so/c4narY?sig={SIG}",
    f"media[.]sume[.]so/c4narY?sig={SIG}",
    f"https://media.sume.so\\c4narY?sig={SIG}",
    f"https://media.sume.so/a b/c4narY.mp4?sig={SIG}",
    f"https://media.sume.so:443/c4narY;sig={SIG}",
    f"https://media.sume.so/#access_token={SIG}",
    f"url: https://media.sume.so/\nc4narY?sig={SIG}",
    '"c4nary bird"@mine.example',
    "c4narY@münchen.example",
    "c4narY+tag%40mine.example",
    "c4narY[at]mine.example",
    f"Workspace: {WS}",
    f"workspace '{PLAIN}'",
    f"organization id = {PLAIN}",
    f"x-workspace-id: {PLAIN}",
    f"X-Amz-Security-Token: {PLAIN}",
    f"{{'transcript': '{PLAIN} ...'}}",
    f"captions:\n{PLAIN}",
    f"transcript (en): {PLAIN}",
)
"""Texts in which the canary stands more cunningly; both as an event and as a message."""


@pytest.mark.parametrize("number", range(len(DEEPER)))
def test_cunning_text(number: int) -> None:
    """The canary shows neither in the event's own text nor in a message nor in an exception."""
    text = DEEPER[number]
    event = redact.event({"event": text, "message": f"it said {text}", "exc_info": raised(text)})
    assert sightings(logs.render_json(event).encode(), LOST) == []
    assert "c4nar" not in json.dumps(event).lower()
    assert redact.text(text) != text


@pytest.mark.parametrize("number", range(len(HOSTILE_EVENTS)))
def test_hostile_event(number: int) -> None:
    """Neither as JSON nor for the console does the event show the canary, and it stays one printable line."""
    event = redact.event(HOSTILE_EVENTS[number])
    for line in (logs.render_json(event), logs.render_console(event)):
        assert sightings(line.encode(), LOST) == []
        assert line.isprintable()
    assert event["event"]


@pytest.mark.parametrize("number", range(len(HOSTILE_EVENTS)))
def test_hostile_event_twice(number: int) -> None:
    """Sanitizing what is sanitized shows nothing more."""
    once = redact.event(HOSTILE_EVENTS[number])
    assert sightings(json.dumps(redact.event(once)).encode(), LOST) == []


@pytest.mark.parametrize(("name", "value"), USEFUL)
def test_useful_field(name: str, value: object) -> None:
    """What tells of the work comes through as it was."""
    assert redact.event({"event": "e", name: value})[name] == value
