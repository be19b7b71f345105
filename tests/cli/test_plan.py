"""``sumeasync plan``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sumeasync.cli.app import app
from sumeasync.cli.plan import read_costs
from sumeasync.errors import ManifestError, SettingsError, SumeError, UsageError


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of 12 images and two videos."""
    kinds = ["image_generation"] * 12 + ["video_generation"] * 2
    lines = [{"key": f"k{n}", "type": kind, "input": {"prompt": str(n)}} for n, kind in enumerate(kinds)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "m.jsonl"


def plan(*args: object) -> Result:
    """Run `sumeasync plan` without a key."""
    return CliRunner().invoke(app, ["plan", *map(str, args)], env={"SUME_API_KEY": "", "SUME_API_BASE_URL": ""})


def planned(*args: object) -> Any:
    """What it tells for machines."""
    result = plan(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_plan_needs_no_key_and_leaves_nothing(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast is printed, no key is asked for, no file appears."""
    monkeypatch.chdir(manifest.parent)
    result = plan(manifest)
    assert result.exit_code == 0
    assert "14 specs; 14 jobs to create" in result.stdout
    assert "14 completed" in result.stdout
    assert "no limit given" in result.stdout
    assert list(manifest.parent.iterdir()) == [manifest]


def test_limits_make_it_slower(manifest: Path) -> None:
    """Half the creates a minute take longer, and the share of the rate is told."""
    slow, fast = (planned(manifest, "--create-rate", rate) for rate in ("1/m", "10/m"))
    assert slow["finish_seconds"]["low"] > 700 > fast["finish_seconds"]["high"]
    assert slow["create_share"] > 0.8


@pytest.mark.parametrize("flag", ["--no-sweep", "--no-learn"])
def test_what_the_engine_leaves_out_the_plan_does_too(manifest: Path, flag: str) -> None:
    """The flags of a run hold for its plan."""
    manifest.write_text(manifest.read_text() + manifest.read_text().replace('"key": "k', '"key": "l'))
    with_all, without = planned(manifest), planned(manifest, flag)
    assert with_all["requests"] != without["requests"]
    assert ("sweep" in without["requests"]) == (flag == "--no-learn")


def test_concurrency_makes_it_slower(manifest: Path) -> None:
    """With one place to run in, jobs take turns."""
    free, narrow = planned(manifest), planned(manifest, "--concurrency", 1)
    assert narrow["finish_seconds"]["middle"] > free["finish_seconds"]["middle"] + 60


def test_the_same_seed_says_the_same(manifest: Path) -> None:
    """All but the time of day is decided by the seed."""
    one, two, other = (planned(manifest, "--seed", seed) for seed in (1, 1, 2))
    for forecast in (one, two, other):
        del forecast["begin"]
    assert one == two != other


def test_costs_are_summed(manifest: Path) -> None:
    """Each type is told by its own cost; a type without one has none."""
    assert planned(manifest, "--cost", "image_generation=2")["credits"] == {"image_generation": 24}


def test_settings_are_those_of_a_run(manifest: Path, tmp_path: Path) -> None:
    """A settings file holds for the plan as it does for the run."""
    (tmp_path / "s.toml").write_text("[poll.video_generation]\ndeadline = 20\n")
    outcomes = planned(manifest, "--config", tmp_path / "s.toml")["outcomes"]
    assert outcomes == {"completed": 12, "timed_out": 2}


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (["bad.jsonl"], ManifestError, "3 problems"),
        (["gone.jsonl"], UsageError, "cannot be read"),
        (["m.jsonl", "--read-rate", "fast"], SettingsError, "not a rate"),
        (["m.jsonl", "--cost", "2"], UsageError, "TYPE=CREDITS"),
    ],
)
def test_what_a_run_would_refuse_is_refused(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], error: type[SumeError], words: str
) -> None:
    """A bad manifest, a bad rate and a bad cost are usage errors, before anything is rehearsed."""
    monkeypatch.chdir(manifest.parent)
    Path("bad.jsonl").write_text('x\n{"type": "asset_ingest", "file": "gone.mp4"}\n{"type": "image_generation"}\n')
    result = plan(*args)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)


@pytest.mark.parametrize("text", ["2", "=2", "a=", "a=x", "a=-1", "a=nan", "a=inf"])
def test_a_cost_must_be_a_number_of_a_type(text: str) -> None:
    """What is not TYPE=CREDITS with credits of 0 or more is refused."""
    with pytest.raises(UsageError):
        read_costs([text])


def test_costs_are_read() -> None:
    """Fractions are fine, and the last word counts."""
    assert read_costs(["a=1", "b=0", "a=2.5"]) == {"a": 2.5, "b": 0.0}


@pytest.mark.parametrize("name", ["typo", "."])
def test_where_there_is_no_run_nothing_is_learned_and_that_is_said(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An --out that is no run yet is planned for, with a word on it that does not disturb --json."""
    monkeypatch.chdir(manifest.parent)
    result = plan(manifest, "--out", name, "--json")
    assert json.loads(result.stdout)["specs"] == 14
    assert result.stderr == f"note: there is no run in '{name}' yet; nothing is learned from it\n"


def test_a_run_to_learn_from_must_be_there(manifest: Path) -> None:
    """As with a run, --learn-from of no run is an error."""
    assert "no run to learn from in 'typo'" in str(plan(manifest, "--learn-from", "typo").exception)
