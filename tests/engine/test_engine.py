"""The engine's door: what it needs to open, what it leaves behind, and that only one run is inside."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sumeasync.core.records import Ended
from sumeasync.core.settings import Settings
from sumeasync.engine import Engine
from sumeasync.errors import JournalError, LockedError, MissingKeyError, UsageError
from sumeasync.io.journal import Journal
from sumeasync.io.local import LocalDisk
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import Rig
from sumeasync.testing.rig import API_KEY

WORLD = WorldSettings(types={"image_generation": TypeSettings(Duration(10, 0), media="png")})
IMAGE: JSON = {"key": "k", "type": "image_generation", "input": {"prompt": "p"}}


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key nothing is opened."""
    monkeypatch.delenv("SUME_API_KEY", raising=False)
    with pytest.raises(MissingKeyError):
        Engine()


@pytest.mark.parametrize("base", ["http://api.test", "ftp://api.test", "https://user:pw@api.test"])
def test_unusable_base(base: str) -> None:
    """A base URL that would carry the key in the clear, or is none, is refused at once."""
    with pytest.raises(UsageError):
        Engine(api_key=API_KEY, base_url=base)


async def test_directory(tmp_path: Path) -> None:
    """A run leaves journal, results, media, run.json and report.json in its directory, readable by its owner alone."""
    out = tmp_path / "out"
    async with Rig(WORLD) as rig, rig.engine(out=out, disk=None) as engine:
        (outcome,) = [outcome async for outcome in engine.run([IMAGE])]
    names = {path.name for path in out.iterdir()}
    assert names == {".lock", "journal.log", "results.jsonl", "media", "run.json", "report.json"}
    assert (out / outcome.files[0].path).stat().st_mode & 0o077 == 0
    assert (out / "journal.log").stat().st_mode & 0o077 == 0


async def test_directory_in_use(tmp_path: Path) -> None:
    """A second engine on the same directory is refused while the first is open, and not afterwards."""
    async with Rig(WORLD) as rig:
        async with rig.engine(out=tmp_path, disk=None):
            with pytest.raises(LockedError):
                await rig.engine(out=tmp_path, disk=None).__aenter__()
        async with rig.engine(out=tmp_path, disk=None):
            pass


async def test_damaged_journal() -> None:
    """A journal that was changed is not trusted: nothing is sent, and it is left as it is."""
    async with Rig(WORLD) as rig:
        await rig.run([IMAGE])
        damaged = rig.disk.content("journal.log").replace(b'"created"', b'"createt"')
        rig.disk.put("journal.log", damaged)
        before = rig.requests()
        with pytest.raises(JournalError):
            await rig.run([IMAGE])
        assert (rig.requests(), rig.disk.content("journal.log")) == (before, damaged)


async def test_documents() -> None:
    """run.json tells the settings and neither key nor address; report.json is what the run reports."""
    async with Rig(WORLD) as rig:
        await rig.run([IMAGE], Settings(reads=7))
        told, report = (json.loads(rig.disk.content(name)) for name in ("run.json", "report.json"))
        assert told["settings"]["reads"] == 7
        assert not {API_KEY, "https://api.test/api/v1"} & set(json.dumps(told).split('"'))
        assert (report["exit_code"], report["statuses"]) == (0, {"completed": 1})


async def test_no_run() -> None:
    """An engine that is opened and closed sends nothing."""
    async with Rig(WORLD) as rig:
        async with rig.engine():
            await asyncio.sleep(1)
        assert rig.requests() == 0


async def test_no_specs() -> None:
    """A run of nothing ends at once, with exit code 0."""
    async with Rig(WORLD) as rig:
        assert await rig.run([]) == []
        assert rig.report is not None
        assert rig.report.exit_code == 0


async def test_repr_holds_no_key() -> None:
    """What an engine and a run show of themselves is no secret."""
    async with Rig(WORLD) as rig, rig.engine() as engine:
        run = engine.run([IMAGE])
        assert API_KEY not in repr(engine) + repr(run) + repr(vars(engine))


async def test_a_run_begins_with_what_another_has_learned(tmp_path: Path) -> None:
    """Durations seen in another output directory are followed from the first job on."""
    times = ("video_generation", None, 5.0, None, 80.0)
    ended = [Ended(f"k{number}", f"j{number}", "completed", 95.0, *times) for number in range(200)]
    journal = await Journal.open(LocalDisk(tmp_path))
    await journal.append(*ended)
    await journal.aclose()
    firsts = {}
    for learn_from in (None, str(tmp_path)):
        async with Rig() as rig:
            await rig.run([{"type": "video_generation", "input": {"prompt": "p"}}], Settings(learn_from=learn_from))
            firsts[learn_from] = rig.world.ledger.times["read"][0]
    assert firsts[str(tmp_path)] > firsts[None]


async def test_a_first_run_begins_with_what_another_has_learned(tmp_path: Path) -> None:
    """An output directory that is not there yet is none of another run."""
    times = ("video_generation", None, 5.0, None, 80.0)
    journal = await Journal.open(LocalDisk(tmp_path))
    await journal.append(*(Ended(f"k{number}", f"j{number}", "completed", 95.0, *times) for number in range(200)))
    await journal.aclose()
    firsts = []
    for learn_from in (None, str(tmp_path)):
        out = tmp_path / f"out {learn_from is None}"
        async with Rig() as rig, rig.engine(Settings(learn_from=learn_from), out=out, disk=None) as engine:
            assert [one.ok async for one in engine.run([{"type": "video_generation", "input": {"prompt": "p"}}])]
            firsts.append(rig.world.ledger.times["read"][0])
    assert firsts[0] < firsts[1]


async def test_a_run_does_not_learn_twice_from_its_own_directory(tmp_path: Path) -> None:
    """Named as the run to learn from, by whatever path, the output directory counts once."""
    times = ("video_generation", None, 5.0, None, 80.0)
    (tmp_path / "link").symlink_to(tmp_path / "named")
    firsts = []
    for name, learn_from in (("plain", None), ("named", str(tmp_path / "link"))):
        journal = await Journal.open(LocalDisk(tmp_path / name))
        await journal.append(*(Ended(f"k{number}", f"j{number}", "completed", 95.0, *times) for number in range(9)))
        await journal.aclose()
        async with Rig() as rig, rig.engine(Settings(learn_from=learn_from), out=tmp_path / name, disk=None) as engine:
            assert [one.ok async for one in engine.run([{"type": "video_generation", "input": {"prompt": "p"}}])]
            firsts.append(rig.world.ledger.times["read"][0])
    assert firsts[0] == firsts[1]


async def test_another_accounts_key_is_refused_before_anything_is_sent() -> None:
    """Jobs under way are not asked about with a key that may not know them; told that it may, the run goes on."""
    async with Rig(WORLD) as rig:
        async with rig.engine() as engine:
            engine.run([IMAGE])
            await asyncio.sleep(0.5)  # created, and left running
        before = rig.requests()
        with pytest.raises(UsageError, match="another API key"):
            async with rig.engine(api_key="sume_live_other"):
                pass
        assert rig.requests() == before
        async with rig.engine(Settings(same_account=True), api_key="sume_live_other") as engine:
            assert [one.ok async for one in engine.run([IMAGE])] == [True]


async def test_what_is_no_run_teaches_nothing(tmp_path: Path) -> None:
    """A directory without a run's journal is refused by name, before a directory is made for the outputs."""
    async with Rig() as rig:
        with pytest.raises(UsageError, match="learn from"):
            async with rig.engine(Settings(learn_from=str(tmp_path)), out=tmp_path / "out", disk=None):
                pass
    assert not (tmp_path / "out").exists()


async def test_a_directory_is_not_gone_on_with_elsewhere() -> None:
    """What was begun against one API is refused against another, before anything is asked there."""
    async with Rig(WORLD) as rig:
        await rig.run([IMAGE])
        with pytest.raises(UsageError, match="holds a run against"):
            async with rig.engine(base_url="https://other.test/api/v1"):
                pass
