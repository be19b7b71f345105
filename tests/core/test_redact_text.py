"""Free texts: every secret of the table goes, every ordinary message stays, and each rule is needed for it."""

from __future__ import annotations

import base64
import importlib.util
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumeasync.core import redact
from sumeasync.core.redaction import secrets
from sumeasync.core.redaction import text as texts
from sumeasync.core.redaction.marks import escape, size

SPEC = importlib.util.spec_from_file_location("redaction_cases", Path(__file__).with_name("redaction_cases.py"))
CASES = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(CASES)
BENIGN, HOSTILE = CASES.BENIGN, CASES.HOSTILE
CANARY = "sume_live_c4naryC4nary"


@pytest.mark.parametrize(("rule", "text", "secret"), HOSTILE)
def test_a_secret_never_stays_in_a_text(rule, text, secret):
    """What the table calls secret is gone, alone and inside a sentence."""
    assert secret not in redact.text(text)
    assert secret not in redact.text(f"could not do it ({text}), giving up")


@pytest.mark.parametrize("text", BENIGN)
def test_an_ordinary_message_stays(text):
    """Messages without secrets come back unchanged."""
    assert redact.text(text) == text


@pytest.mark.parametrize("text", [text for _, text, _ in HOSTILE] + list(BENIGN))
def test_scrubbing_twice_changes_nothing(text):
    """The marks survive a second scrub, so sanitized texts can be passed on freely."""
    assert texts.scrub(texts.scrub(text)) == texts.scrub(text)


def leaks() -> list[str]:
    """Texts of the table that keep their secret."""
    return [text for _, text, secret in HOSTILE if secret in redact.text(text)]


@pytest.mark.parametrize("rule", texts.RULES, ids=lambda rule: rule.name)
def test_every_rule_is_needed(rule, monkeypatch):
    """Without any one rule, a case of the table leaks."""
    monkeypatch.setattr(texts, "RULES", tuple(other for other in texts.RULES if other is not rule))
    assert leaks()


@pytest.mark.parametrize("shape", secrets.SHAPES)
def test_every_key_shape_is_needed(shape, monkeypatch):
    """Without any one shape, a key of the table leaks."""
    monkeypatch.setattr(secrets, "SHAPES", tuple(other for other in secrets.SHAPES if other != shape))
    assert leaks()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "job_1 failed: https://media.sume.so/a.mp4?sig=1 gave 403",
            "job_1 failed: <redacted url media.sume.so> gave 403",
        ),
        ("GET /api/v1/jobs?cursor=abc", "GET /api/v1/jobs?<redacted query>"),
        ("cannot open /home/a/b.mp4: no such file", "cannot open <redacted path>: no such file"),
        ("mail alice@example.com, then retry", "mail <redacted email>, then retry"),
        (
            'answer {"error": {"code": "rate_limit_exceeded", "message": "slow down"}, "request_id": "req_1"}',
            "answer rate_limit_exceeded: slow down (req_1)",
        ),
        ("x" * 18_400, "<redacted text 18 kB>"),
        ("a\nb\x1b[31mc\u2028d\u202ee", "a\\nb\\x1b[31mc\\u2028d\\u202ee"),
        ("\ud800", "\\ud800"),
    ],
)
def test_only_the_secret_part_is_replaced(text, shown):
    """The rest of a message keeps its words."""
    assert redact.text(text) == shown


def test_a_text_above_the_limit_is_named_at_once():
    """A payload of 100 MB costs nothing to name."""
    payload = "secret " * 15_000_000
    started = time.perf_counter()
    assert redact.text(payload) == "<redacted text 105 MB>"
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize(
    "unit",
    ["a", "%25", "\\", "/", "=", "a=", "://", '{"', "a@", ".", "-", "token=", "~/", "a:/", "/a b", "é", "<redacted "],
)
def test_no_text_takes_long(unit):
    """Texts made to confuse the patterns stay within milliseconds."""
    started = time.perf_counter()
    redact.text((unit * 2000)[:2000])
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@Media.Sume.so:443/a?b=c", "https://media.sume.so"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1"),
        ("https://0123456789abcdef0123.r2.example.com/k", "https://*.r2.example.com"),
        ("s3://bucket/key", "<redacted url>"),
        ("not a url", "<redacted url>"),
        ("https://" + "a" * 10**6, "<redacted url>"),
    ],
)
def test_a_url_is_reduced_to_its_host(url, shown):
    """Scheme and host may be shown; the rest never."""
    assert redact.url(url) == shown


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0"), (999, "999"), (18_400, "18 kB"), (10**8, "100 MB"), (2 * 10**9, "2 GB")]
)
def test_sizes_are_brief(count, words):
    """Sizes use decimal units."""
    assert size(count) == words


WRAPS = (
    str,
    lambda s: quote(s, safe=""),
    lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
    lambda s: json.dumps({"a": s}),
    lambda s: json.dumps(json.dumps([{"a": s}])),
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: "".join(f"\\u{ord(char):04x}" for char in s),
    lambda s: f"https://media.sume.so/{s}?x={s}",
    lambda s: f"Authorization: Bearer {s}",
    lambda s: f"({s!r}, {s!r})",
)
FORMS = (CANARY, quote(CANARY), base64.b64encode(CANARY.encode()).decode().rstrip("="), CANARY[10:])


@given(st.lists(st.sampled_from(WRAPS), max_size=3), st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_a_key_is_found_in_any_wrapping(wraps, before, after):
    """A key stays hidden however it is encoded, nested and surrounded."""
    text = CANARY
    for wrap in wraps:
        text = wrap(text)
    shown = redact.text(f"{before} {text} {after}", 20_000)
    assert not [form for form in FORMS if form in shown]


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_becomes_one_printable_line(text):
    """Nothing raises; no control character is left; the length is bounded."""
    shown = redact.text(text)
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= texts.LIMIT
    assert escape(shown) == shown
