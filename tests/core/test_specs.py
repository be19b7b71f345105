"""Manifests: every form, every problem with its place, and the hash of what is paid for."""

from __future__ import annotations

import json
import math
from collections import UserDict
from typing import Any
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sumeasync.core.specs import make_spec, parse_manifest, payload_hash
from sumeasync.errors import ManifestError
from sumeasync.models import KINDS, Spec

IMAGE = {"type": "image_generation", "input": {"prompt": "a fox"}}
LINE = json.dumps(IMAGE)
KEY = make_spec(IMAGE).key
FORMS = ("jsonl", "json", "csv")

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
entries = st.dictionaries(
    st.sampled_from(["key", "type", "input", "file", "job_id", "deadline_seconds", "download", "weight", "x"]),
    documents | st.sampled_from([*KINDS, "job_1"]),
)


def problems(text: str, form: str = "jsonl") -> list[str]:
    """What is told of a manifest that cannot be used."""
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, form=form)
    return caught.value.problems


def test_json_lines() -> None:
    """One object a line; empty lines, a byte order mark and Windows line ends do no harm."""
    text = '\ufeff{"key": "a", "type": "face_swap", "input": {"x": 1}}\r\n\r\n{"key": "old", "job_id": "job_1"}\n'
    one, two = parse_manifest(text)
    assert (one.key, one.type, one.input, one.download, one.weight) == ("a", "face_swap", {"x": 1}, True, 1.0)
    assert (two.key, two.type, two.job_id, two.payload_hash) == ("old", "", "job_1", "")


def test_json_with_defaults() -> None:
    """Defaults stand in for what an entry leaves out; inputs merge; a watched job takes over neither type nor input."""
    text = json.dumps(
        {
            "defaults": {
                "type": "image_generation",
                "input": {"prompt": "p", "quality": "low"},
                "deadline_seconds": 60,
            },
            "specs": [{"key": "a"}, {"key": "b", "input": {"prompt": "q"}}, {"job_id": "job_1"}],
        }
    )
    a, b, c = parse_manifest(text, form="json")
    assert a.input == {"prompt": "p", "quality": "low"}
    assert b.input == {"prompt": "q", "quality": "low"}
    assert (c.type, c.input, c.deadline_seconds) == ("", {}, 60)


def test_defaults_do_not_replace_an_input_of_the_wrong_shape() -> None:
    """An input that is no object stays, and is refused."""
    text = '{"defaults": {"type": "face_swap", "input": {"a": 1}}, "specs": [{"input": 5}]}'
    assert problems(text, "json") == ["entry 1: Expected `object`, got `int` - at `$.input`"]


def test_csv() -> None:
    """Columns named like fields fill them, all others the input; cells are read as JSON where they are."""
    header = "key,type,prompt,input.count,tags,name,input,deadline_seconds,seed\n"
    row = '007,image_generation,12,3,"[""a""]",x,"{""count"": 4, ""q"": true}",60,\n'
    (spec,) = parse_manifest("\ufeff" + header + row, form="csv")
    assert (spec.key, spec.type, spec.deadline_seconds) == ("007", "image_generation", 60.0)
    assert spec.input == {"prompt": "12", "count": 4, "tags": ["a"], "name": "x", "q": True}


def test_csv_rows_may_be_short() -> None:
    """Cells that are missing at the end of a row are left out."""
    (spec,) = parse_manifest("type,prompt,seed\nimage_generation,x\n", form="csv")
    assert spec.input == {"prompt": "x"}


@pytest.mark.parametrize(
    ("cell", "value"), [("5", 5), ("1.5", 1.5), ("true", True), ("007", "007"), ('"quoted"', '"quoted"'), ("x", "x")]
)
def test_csv_cells(cell: str, value: Any) -> None:
    """A number or boolean counts as such, anything else is text; what looks like JSON text stays as it stands."""
    row = '"' + cell.replace('"', '""') + '"'
    (spec,) = parse_manifest(f"type,size\nface_swap,{row}\n", form="csv")
    assert spec.input == {"size": value}


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("jsonl", "", ["the manifest is empty: write one JSON object a line"]),
        ("jsonl", "\n \n", ["the manifest is empty: write one JSON object a line"]),
        ("jsonl", "[1]", ["line 1: must be a JSON object"]),
        ("jsonl", LINE + "\n{", ["line 2: not valid JSON (not JSON from character 1)"]),
        ("jsonl", '{"a": NaN}', ["line 1: not valid JSON (NaN is not JSON)"]),
        ("jsonl", '{"a": 1, "a": 2}', ["line 1: not valid JSON (a key stands twice in one object)"]),
        ("jsonl", "\ud800", ["line 1: not valid JSON (not UTF-8)"]),
        ("jsonl", f"{LINE}\n\n{LINE}", [f"line 3: key {KEY!r} stands already at line 1; make it unique"]),
        ("json", "{", ["the manifest: not valid JSON (not JSON from character 1)"]),
        ("json", "[]", ['the manifest: must be {"defaults": {…}, "specs": [{…}, …]}']),
        ("json", '{"specs": {}}', ['the manifest: must be {"defaults": {…}, "specs": [{…}, …]}']),
        ("json", '{"specs": [], "x": 1}', ['the manifest: must be {"defaults": {…}, "specs": [{…}, …]}']),
        ("json", '{"defaults": 1, "specs": []}', ['the manifest: must be {"defaults": {…}, "specs": [{…}, …]}']),
        ("json", '{"specs": []}', ['the manifest is empty: write {"defaults": {…}, "specs": [{…}, …]}']),
        ("json", '{"specs": [5]}', ["entry 1: must be a JSON object"]),
        ("csv", "", ["the manifest is empty: write a header with a column type, and one spec a row"]),
        ("csv", "type\nface_swap,x\n", ["line 2: more cells than the header has columns"]),
        ("csv", "type,prompt,prompt\nimage_generation,x,y", ["line 1: two columns have the same name"]),
        ("csv", 'type\n"face_swap"x\n', ["line 2: not valid CSV (',' expected after '\"')"]),
    ],
)
def test_problems_of_form(form: str, text: str, expected: list[str]) -> None:
    """What cannot be read is told with its line or entry."""
    assert problems(text, form) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, f"type (or job_id) is missing; the types are {', '.join(KINDS)}"),
        ({"type": "audio"}, f"type 'audio' is not known; the types are {', '.join(KINDS)}"),
        ({"type": "asset_ingest"}, "asset_ingest needs a file"),
        ({"type": "face_swap", "file": "x"}, "file goes with asset_ingest only"),
        ({"type": "image_generation"}, "image_generation needs input.prompt"),
        ({"type": "image_generation", "input": {"prompt": " "}}, "image_generation needs input.prompt"),
        (IMAGE | {"key": " "}, "key must be 1 to 200 characters without control characters"),
        (IMAGE | {"key": "a\nb"}, "key must be 1 to 200 characters without control characters"),
        (IMAGE | {"key": "a\u2028"}, "key must be 1 to 200 characters without control characters"),
        (IMAGE | {"key": "a\ud800"}, "key must be 1 to 200 characters without control characters"),
        (IMAGE | {"key": "a" * 201}, "key must be 1 to 200 characters without control characters"),
        (IMAGE | {"deadline_seconds": 0}, "deadline_seconds must be positive"),
        (IMAGE | {"deadline_seconds": math.nan}, "deadline_seconds must be positive"),
        (IMAGE | {"weight": -1}, "weight must be positive"),
        ({"job_id": " "}, "job_id must be 1 to 512 characters without control characters"),
        ({"job_id": "a\nb"}, "job_id must be 1 to 512 characters without control characters"),
        ({"job_id": "a" * 513}, "job_id must be 1 to 512 characters without control characters"),
        ({"job_id": "a", "type": "b\ud800"}, "type must be 1 to 200 characters without control characters"),
        ({"job_id": "a", "file": "b"}, "job_id watches a job that already runs: input and file do not go with it"),
        (IMAGE | {"job_id": "a"}, "job_id watches a job that already runs: input and file do not go with it"),
        (IMAGE | {"colour": 1}, "Object contains unknown field `colour`"),
        (IMAGE | {"key": 5}, "Expected `str | null`, got `int` - at `$.key`"),
    ],
)
def test_problems_of_an_entry(entry: dict[str, Any], expected: str) -> None:
    """What an entry says and cannot mean is told in one line."""
    with pytest.raises(ManifestError) as caught:
        make_spec(entry)
    assert caught.value.problems == [expected]


def test_all_problems_are_told_at_once() -> None:
    """Every problem of every line is listed, each beginning with its place."""
    found = problems('{"type": "audio", "weight": 0}\n{\n{"job_id": "j"}\n{"key": "x", "job_id": "j"}')
    assert [problem.partition(":")[0] for problem in found] == ["line 1", "line 1", "line 2", "line 4"]
    assert found[-1] == "line 4: job_id 'j' stands already at line 3; make it unique"


@pytest.mark.parametrize("value", [{1}, b"x", math.nan, math.inf, object(), {"a": {2: 1, "b": 1}}, 1j])
def test_an_input_that_is_not_json_is_refused(value: object) -> None:
    """Input from code that no request body can carry is a problem of the spec, not a crash later."""
    with pytest.raises(ManifestError) as caught:
        make_spec({"type": "face_swap", "input": {"x": value}})
    assert caught.value.problems == ["input holds something that JSON cannot say"]


def test_a_circular_input_is_refused() -> None:
    """Input that holds itself is refused like any other that is not JSON."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ManifestError):
        make_spec({"type": "face_swap", "input": {"x": loop}})


def test_default_keys() -> None:
    """Without a key it is the job id, or the first word of the type and the hash of what is paid for."""
    spec = make_spec(IMAGE)
    assert spec.key == f"image-{spec.payload_hash[:12]}"
    assert make_spec({"job_id": "job_1"}).key == "job_1"


def test_specs_without_input_share_one() -> None:
    """A million watched jobs do not need a million empty inputs."""
    assert make_spec({"job_id": "job_1"}).input is make_spec({"job_id": "job_2"}).input


def test_any_mapping_and_spec_will_do() -> None:
    """A mapping, a spec without a hash and one that was checked before come to the same."""
    spec = make_spec(IMAGE)
    assert make_spec(UserDict(IMAGE)) == spec  # type: ignore[arg-type]
    assert make_spec(Spec(spec.key, "image_generation", {"prompt": "a fox"})) == spec
    assert make_spec(spec) is spec


def test_a_spec_from_code_is_checked_too() -> None:
    """A spec that was not checked yet is judged like a line."""
    with pytest.raises(ManifestError):
        make_spec(Spec("k", "audio"))


def outcome(text: str, form: str) -> tuple[list[str], list[Spec]]:
    """The problems of a manifest, or its specs."""
    try:
        return [], parse_manifest(text, form=form)
    except ManifestError as error:
        return error.problems, []


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    """The same document with its keys in another order."""
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        return {name: shuffled(value[name], draw) for name in names}
    return [shuffled(inner, draw) for inner in value] if isinstance(value, list) else value


@given(st.data(), st.dictionaries(st.text(max_size=3), documents, max_size=4))
def test_the_hash_does_not_depend_on_order(data: st.DataObject, input: dict[str, Any]) -> None:
    """The same input in another order of keys, at any depth, is the same thing to pay for."""
    assert payload_hash("t", input, None) == payload_hash("t", shuffled(input, data.draw), None)


def test_the_hash_tells_payloads_apart() -> None:
    """Another type, value, file or kind of value is another payload."""
    kinds: list[tuple[str, dict[str, Any], str | None]] = [
        ("a", {}, None), ("b", {}, None), ("a", {"x": 1}, None), ("a", {"x": "1"}, None), ("a", {"x": True}, None),
        ("a", {"x": None}, None), ("a", {"x": [1]}, None), ("a", {}, ""), ("a", {}, "f"), ("a", {"x": "\ud800"}, None),
    ]  # fmt: skip
    assert len({payload_hash(*kind) for kind in kinds}) == len(kinds)


@given(st.text(max_size=60), st.sampled_from(FORMS))
@example("type,prompt\n\r\ud800", "csv")
@example("\0extra,type\na,b", "csv")
@example("[" * 3000, "jsonl")
@example("x" * 140_000, "csv")
def test_any_text_is_specs_or_problems(text: str, form: str) -> None:
    """Whatever the text, the form: specs, or a ManifestError that names at least one problem."""
    found, specs = outcome(text, form)
    assert bool(found) is not bool(specs)


@given(st.lists(entries, max_size=3), st.sampled_from(FORMS))
@example([{"job_id": "job_1", "type": "\U00018cd6"}], "jsonl")
def test_any_entries_are_specs_or_problems(lines: list[dict[str, Any]], form: str) -> None:
    """Whatever the entries say: specs with keys of their own that can be written down, or a ManifestError."""
    text = json.dumps({"specs": lines}) if form == "json" else "\n".join(map(json.dumps, lines))
    found, specs = outcome(text, "json" if form == "json" else "jsonl")
    assert found or len({spec.key for spec in specs}) == len(specs) == len(lines)
    assert all(spec.key.encode() for spec in specs)
    assert not {category(letter) for spec in specs for letter in spec.type} & {"Cc", "Cs", "Zl", "Zp"}


@given(st.lists(st.lists(st.text(max_size=6), max_size=4), max_size=4))
def test_any_table_is_specs_or_problems(rows: list[list[str]]) -> None:
    """Whatever stands in a CSV: specs, or a ManifestError."""
    text = "type,key,prompt\n" + "\n".join(",".join(row) for row in rows)
    found, specs = outcome(text, "csv")
    assert bool(found) is not bool(specs)
    assert all(problem.startswith(("line ", "the manifest")) for problem in found)


def test_a_spec_without_a_key_gets_that_of_its_line() -> None:
    """A Spec may be made without a key; in a run it has the one that its line in a manifest would have."""
    bare = Spec(type="image_generation", input={"prompt": "a fox"})
    assert bare.key == ""
    assert make_spec(bare) == make_spec(IMAGE)
    assert make_spec(Spec(job_id="job_1")).key == "job_1"


def test_an_empty_key_in_a_manifest_is_still_a_problem() -> None:
    """A key that was written down must be one."""
    assert problems('{"key": "", "job_id": "job_1"}') == [
        "line 1: key must be 1 to 200 characters without control characters"
    ]


def test_specs_may_be_resolved_as_they_are_read() -> None:
    """What a resolver gives stands for the spec; what it refuses is told with its line, beside all other problems."""

    def resolve(spec: Spec) -> Spec:
        if spec.key == "b":
            raise ManifestError(["of no use"])
        return Spec(spec.key + "!", job_id=spec.job_id)

    assert [spec.key for spec in parse_manifest('{"key": "a", "job_id": "job_1"}', resolve=resolve)] == ["a!"]
    with pytest.raises(ManifestError) as caught:
        parse_manifest('{"key": "b", "job_id": "job_1"}\nx', resolve=resolve)
    assert [problem[:15] for problem in caught.value.problems] == ["line 1: of no u", "line 2: not val"]
