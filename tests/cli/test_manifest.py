from __future__ import annotations

import io
import json
import os
import sys

import pytest

from sumeasync.cli.manifest import adopt, read_manifest
from sumeasync.core.specs import payload_hash
from sumeasync.errors import ManifestError, UsageError


def ingest(name, **more):
    """A line that uploads a file."""
    return json.dumps({"type": "asset_ingest", "file": name, **more})


def image(key):
    """A line that makes an image."""
    return json.dumps({"key": key, "type": "image_generation", "input": {"prompt": "a kite"}})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for manifests that is not the working directory."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "manifests").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "manifests"


def write(folder, text, name="m.jsonl"):
    """Write a manifest and return its path."""
    (folder / name).write_text(text)
    return str(folder / name)


def pipe_in(monkeypatch, data):
    """Put bytes on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def problems_of(source, form=None):
    """The problems that reading raises."""
    with pytest.raises(ManifestError) as caught:
        read_manifest(source, form)
    return caught.value.problems


def test_a_relative_file_is_found_beside_the_manifest(folder):
    """A relative file is looked for beside the manifest first."""
    (folder / "clip.mp4").write_bytes(b"x")
    (spec,) = read_manifest(write(folder, ingest("clip.mp4"))).specs
    assert spec.file == str(folder / "clip.mp4")


def test_a_relative_file_is_found_in_the_working_directory(folder):
    """What is not beside the manifest is looked for in the working directory."""
    (folder.parent / "elsewhere" / "clip.mp4").write_bytes(b"x")
    (spec,) = read_manifest(write(folder, ingest("clip.mp4"))).specs
    assert os.path.samefile(spec.file, folder.parent / "elsewhere" / "clip.mp4")


def test_where_a_file_is_found_does_not_change_the_hash(folder):
    """The payload hash is that of the line as written, so a run may be resumed from another folder."""
    (folder / "clip.mp4").write_bytes(b"x")
    (spec,) = read_manifest(write(folder, ingest("clip.mp4"))).specs
    assert spec.payload_hash == payload_hash("asset_ingest", {}, "clip.mp4")


def test_every_unusable_file_is_named_with_its_line(folder):
    """All missing, irregular and empty files are reported at once, each with its line."""
    (folder / "empty.mp4").touch()
    text = "\n".join([ingest("none.mp4"), "", ingest("."), image("a"), ingest("empty.mp4")])
    assert problems_of(write(folder, text)) == [
        "line 1: the file 'none.mp4' does not exist",
        "line 3: the file '.' is not a regular file",
        "line 5: the file 'empty.mp4' is empty",
    ]


def test_an_unusable_file_of_a_csv_is_named_with_its_line(folder):
    """In a CSV, a row that spans lines moves the numbers of the later ones."""
    text = 'key,type,file,title\na,asset_ingest,x.mp4,"two\nlines"\nb,asset_ingest,y.mp4,one\n'
    assert [problem[:7] for problem in problems_of(write(folder, text, "m.csv"))] == ["line 3:", "line 4:"]


def test_an_unusable_file_of_a_document_is_named_with_its_entry(folder):
    """In a JSON document, files are named with the number of their entry."""
    text = json.dumps({"defaults": {"type": "asset_ingest"}, "specs": [{"file": "x.mp4"}]})
    assert problems_of(write(folder, text, "m.json")) == ["entry 1: the file 'x.mp4' does not exist"]


def test_bad_lines_are_all_reported(folder):
    """Every bad line is reported with its number, not only the first."""
    text = "\n".join(["nonsense", image("a"), "[]"])
    assert [problem[:7] for problem in problems_of(write(folder, text))] == ["line 1:", "line 3:"]


def test_text_that_is_not_utf8_is_a_problem_with_a_line(tmp_path):
    """Bytes that are no UTF-8 are reported with their line."""
    (tmp_path / "m.jsonl").write_bytes(image("a").encode() + b"\n\xff\n")
    assert problems_of(str(tmp_path / "m.jsonl")) == ["line 2: not UTF-8 text"]


@pytest.mark.parametrize("name", ["none.jsonl", "", "a\0b"])
def test_a_manifest_that_cannot_be_read_is_a_usage_error(name, tmp_path):
    """A manifest that is not there, a folder or an impossible name is a usage error."""
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(str(tmp_path / name))


@pytest.mark.parametrize(
    "text",
    [
        image("a"),
        json.dumps({"specs": [json.loads(image("a"))]}),
        json.dumps({"defaults": {"type": "image_generation"}, "specs": [json.loads(image("a"))]}, indent=2),
    ],
)
def test_standard_input_is_lines_or_a_document(text, monkeypatch):
    """On standard input an object that begins with specs or defaults is a document, anything else is lines."""
    pipe_in(monkeypatch, text.encode())
    assert [spec.key for spec in read_manifest("-").specs] == ["a"]


def test_a_named_form_wins_over_the_suffix(folder):
    """--format decides, whatever the file is called."""
    source = write(folder, "key,type,prompt\na,image_generation,kite\n", "m.jsonl")
    assert [spec.input for spec in read_manifest(source, "csv").specs] == [{"prompt": "kite"}]


def test_adopted_ids_are_watched_once():
    """An id given twice is watched once."""
    assert [spec.job_id for spec in adopt(["job_1", "job_2", "job_1"]).specs] == ["job_1", "job_2"]


def test_bad_lines_and_unusable_files_are_reported_together(folder):
    """Whatever is wrong is told at once, in the order of the lines."""
    text = "\n".join([ingest("none.mp4"), "nonsense", image("a"), image("a"), ingest("gone.mp4")])
    assert [problem[:13] for problem in problems_of(write(folder, text))] == [
        "line 1: the f",
        "line 2: not v",
        "line 4: key '",
        "line 5: the f",
    ]
