"""A storage that is full for a while, holds torn files, or is not the same on every node."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import generated_trees
import pytest
from commands import SMALL, Command, check_grid, check_pretraining, copy_encoders, run, undisturbed, written
from figures import record
from nodes import OPEN, nodes
from scripts import PROJECT

from raytransfer.data.targets.prepared import prepare

pytestmark = pytest.mark.faults


class Disk:
    """A small file system, that can be filled to its last byte."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)

    def fill(self) -> None:
        with suppress(OSError), (self.path / "ballast").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        (self.path / "ballast").unlink()

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mounting needs root")
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.remove()


def test_a_pretraining_waits_for_a_full_storage(disk: Disk) -> None:
    undisturbed()
    command = Command("pretrain", disk.path, *SMALL)
    command.wait_for(lambda: len(written(disk.path, "pretraining")) >= 2)
    disk.fill()
    time.sleep(10)
    there = written(disk.path, "pretraining")
    assert len(there) <= 4, "it is not full"
    disk.free()
    seconds = command.wait_for(lambda: len(written(disk.path, "pretraining")) > len(there))
    record("storage of a pretraining full for 10 s", epochs_lost=0, seconds_to_go_on=seconds)
    done = command.end()
    assert done.code == 0, done.err
    check_pretraining(disk.path)


def test_a_grid_on_a_storage_that_stays_full_ends_with_one_line(disk: Disk) -> None:
    copy_encoders(disk.path)
    options = (*SMALL, "--set", "resources.storage_patience=2")
    command = Command("grid", disk.path, *options)
    command.wait_for(lambda: len(written(disk.path, "evaluation")) >= 2)
    disk.fill()
    done = command.end()
    assert done.code == 1
    assert f"--storage-path {disk.path} takes no results now (" in done.error
    assert "No space left on device" in done.error
    assert "Traceback" not in done.err
    there = written(disk.path, "evaluation")
    assert 2 <= len(there) < 6
    assert not list(disk.path.glob("failed/**/*.json")), "no fault of the trials"
    assert not list(disk.path.glob("results/**/.*")), "what could not be written is gone"
    disk.free()
    done = run("grid", disk.path, *options)
    assert done.code == 0, done.err
    check_grid(disk.path)
    now = written(disk.path, "evaluation")
    assert all(now[path] == at for path, at in there.items()), "a finished trial was computed again"
    record("storage of a grid full for good", trials_lost=0)


def test_a_node_that_does_not_see_the_storage_is_named(tmp_path: Path) -> None:
    """A node in a mount namespace of its own, where another folder lies over the storage."""
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mounting needs root")
    storage = tmp_path / "storage"
    storage.mkdir()
    with nodes(9379) as cluster:
        cluster.add(cpus=2)
        cluster.add(cpus=2, over=storage)
        done = run("pretrain", storage, *SMALL, "--address", cluster.address, **OPEN)
    assert done.code == 2, done.err
    assert f"--storage-path {storage} is not the same folder on every node (127.0.0.2: it does not see" in (
        done.error
    )
    assert "127.0.0.1" not in done.error
    assert not written(storage, "pretraining")


def test_a_node_that_does_not_see_the_data_is_named(tmp_path: Path) -> None:
    """As above, but another folder lies over the data, which the command names by a relative path."""
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mounting needs root")
    data = tmp_path / "data"
    prepare("folder", generated_trees.folder(tmp_path / "mine"), data / "mine", image_size=32)
    storage = tmp_path / "storage"
    relative = os.path.relpath(data, PROJECT)
    options = (*SMALL, "--set", f"target.data_root={relative}", "--set", "datasets=mine")
    with nodes(9383) as cluster:
        cluster.add(cpus=2)
        cluster.add(cpus=2, over=data)
        done = run("pretrain", storage, *options, "--address", cluster.address, **OPEN)
    assert done.code == 2, done.err
    assert f"127.0.0.2 does not see target.data_root={data} (there is no {data}/mine/prepared.json)" in (
        done.error
    )
    assert "127.0.0.1" not in done.error
    assert not written(storage, "pretraining")
