"""What an interrupted pretraining goes on from, and what is deleted because nothing can."""

import json
from pathlib import Path

import pytest
import ray
import torch

from raytransfer.ray_train.epochs import STATE
from raytransfer.ray_train.resuming import SNAPSHOT, drop_corrupt_checkpoints
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.study import Study

UNIT = PretrainingUnit(study=Study(), encoder="unet-micro", scheme="simple")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """One with the checkpoints of epochs 4 and 5."""
    storage = Storage(tmp_path)
    folder = storage.pretraining_run(UNIT.key)
    names = [f"checkpoint_2026-11-20_13-08-1{epoch}.000001" for epoch in (4, 5)]
    for epoch, name in zip((4, 5), names, strict=True):
        (folder / name).mkdir(parents=True)
        torch.save({"epoch": epoch}, folder / name / STATE)
    results = [{"checkpoint_dir_name": name} for name in names]
    listed = {"ray_version": ray.__version__, "checkpoint_results": results}
    (folder / SNAPSHOT).write_text(json.dumps(listed))
    return storage


def _there(storage: Storage) -> list[str]:
    folder = storage.pretraining_run(UNIT.key)
    return [name for name in sorted(path.name for path in folder.iterdir())]


def _tear(storage: Storage, *epochs: int) -> None:
    for epoch in epochs:
        (state,) = storage.pretraining_run(UNIT.key).glob(f"*1{epoch}.000001/{STATE}")
        state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])


def test_what_is_whole_is_left_alone(storage: Storage, tmp_path: Path) -> None:
    before = _there(storage)
    assert drop_corrupt_checkpoints(UNIT, storage) == []
    assert _there(storage) == before
    assert drop_corrupt_checkpoints(UNIT, Storage(tmp_path / "new")) == []


@pytest.mark.parametrize(
    ("torn", "left", "resumes_at"), [((5,), 1, "epoch 4"), ((4,), 1, "epoch 5"), ((4, 5), 0, "the start")]
)
def test_a_torn_checkpoint_is_deleted_and_said(storage: Storage, torn, left, resumes_at) -> None:
    _tear(storage, *torn)
    lines = drop_corrupt_checkpoints(UNIT, storage)
    assert len(lines) == len(torn)
    for line in lines:
        assert line.startswith("resume checkpoint ")
        assert " is damaged (" in line
        assert line.endswith(f"): unet-micro simple goes on from {resumes_at}")
    there = _there(storage)
    assert len(there) == left, "and the list that names them"
    assert drop_corrupt_checkpoints(UNIT, storage) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"checkpoint_results": [], "ray_version": "2.0.0"}', b"[1]"]
)
def test_a_list_that_ray_could_not_go_on_with_is_deleted(storage: Storage, content: bytes) -> None:
    (storage.pretraining_run(UNIT.key) / SNAPSHOT).write_bytes(content)
    assert drop_corrupt_checkpoints(UNIT, storage) == []
    assert len(_there(storage)) == 2


def test_a_checkpoint_that_was_being_written_is_deleted(storage: Storage) -> None:
    (storage.pretraining_run(UNIT.key) / "checkpoint_2026-11-20_13-08-16.000001").mkdir()
    assert drop_corrupt_checkpoints(UNIT, storage) == []
    assert len(_there(storage)) == 3
