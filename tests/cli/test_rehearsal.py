from __future__ import annotations

import pytest

from sumeasync.cli.rehearsal import fresh_folder, sped_up, write_manifest
from sumeasync.errors import StorageError
from sumeasync.models import KINDS


def test_a_folder_in_use_is_left_alone(tmp_path):
    """The first neighbour that is new or empty is taken, whatever stands in the way."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "kept").touch()
    (tmp_path / "demo-2").touch()
    (tmp_path / "demo-3").mkdir()
    assert fresh_folder(tmp_path / "demo") == tmp_path / "demo-3"


def test_a_place_that_cannot_be_had_is_a_storage_error(tmp_path):
    """A parent that is a file is told as what it is."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot make the directory"):
        fresh_folder(tmp_path / "file" / "demo")


def test_the_manifest_has_every_kind_and_real_files(tmp_path):
    """24 specs of all six kinds, adopted ids among them; each upload is a file that exists."""
    specs = write_manifest(tmp_path, ["job_1", "job_2"]).specs
    assert len(specs) == 24
    assert {spec.type for spec in specs} == {*KINDS, ""}
    assert [spec.job_id for spec in specs[-2:]] == ["job_1", "job_2"]


def test_polling_is_as_much_faster_as_the_world():
    """Ten times the speed is a tenth of every delay, down to what sockets bear."""
    policies = sped_up(10).policies()
    assert policies["image_generation"].interval == 0.3
    assert min(policy.interval for policy in sped_up(1000).policies().values()) == 0.15
