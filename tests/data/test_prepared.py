import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import generated_trees as trees
import numpy as np
import pytest

from raytransfer.config import InputError
from raytransfer.data.cases import BadDataError
from raytransfer.data.prepared import PREPARERS, fingerprint, load_prepared, prepare

SIZE = 32


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return trees.idrid(tmp_path / "source", train=(1,), test=(55,))


@pytest.fixture
def prepared(source: Path, tmp_path: Path) -> Path:
    return prepare("idrid", source, tmp_path / "data" / "idrid", image_size=SIZE).path


def test_the_description_says_what_was_done(source: Path, prepared: Path) -> None:
    description = json.loads((prepared / "prepared.json").read_text())
    assert description["settings"] == {"image_size": SIZE, "reference": False}
    assert description["value_range"] == [0, 255]
    assert description["intensities"] == "8-bit values divided by 255"
    assert description["patients"] == {"train": ["IDRiD_01"], "test": ["IDRiD_55"]}
    assert description["window_size"] == {"train": 2 * SIZE, "test": SIZE}
    assert set(description["arrays"]) == {path.stem for path in prepared.glob("*.npy")}
    assert str(source) not in (prepared / "prepared.json").read_text()


def test_preparing_again_gives_the_same_bytes_and_replaces(source: Path, prepared: Path) -> None:
    before, stamp = fingerprint(prepared), (prepared / "prepared.json").stat().st_mtime_ns
    content = {path.name: path.read_bytes() for path in prepared.iterdir()}
    report = prepare("idrid", source, prepared, image_size=SIZE)
    assert {path.name: path.read_bytes() for path in prepared.iterdir()} == content
    assert report.fingerprint == fingerprint(prepared) == before
    assert (prepared / "prepared.json").stat().st_mtime_ns != stamp
    prepare("idrid", source, prepared, image_size=SIZE, reference=True)
    assert fingerprint(prepared) != before
    assert [path.name for path in prepared.parent.iterdir()] == ["idrid"]
    assert stat.S_IMODE(prepared.stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_other_windows_or_sources_than_the_old_leave_nothing_behind(source: Path, prepared: Path) -> None:
    prepare("acdc", trees.acdc(source.parent / "ACDC"), prepared, image_size=SIZE)
    assert not list(prepared.glob("*windows*"))
    assert load_prepared(prepared).train.windows is None


def test_a_failure_leaves_the_old_preparation(source: Path, prepared: Path) -> None:
    before = fingerprint(prepared)
    trees.truncate(next(source.rglob("IDRiD_01.jpg")))
    with pytest.raises(BadDataError):
        prepare("idrid", source, prepared, image_size=SIZE)
    assert fingerprint(prepared) == before
    load_prepared(prepared, verify=True)
    assert [path.name for path in prepared.parent.iterdir()] == ["idrid"]


def test_other_files_in_the_destination_are_never_removed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files, such as notes\.txt"):
        prepare("idrid", source, tmp_path / "mine", image_size=SIZE)
    with pytest.raises(InputError, match="holds other files"):
        prepare("idrid", source, source, image_size=SIZE)
    with pytest.raises(InputError, match="is a file"):
        prepare("idrid", source, tmp_path / "mine" / "notes.txt", image_size=SIZE)


def _tear(name: str) -> Callable[[Path], None]:
    return lambda folder: trees.truncate(folder / name)


def _edit(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "prepared.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "prepared.json").unlink(), r"prepared\.json is missing"),
        (_tear("prepared.json"), r"prepared\.json is damaged"),
        (_edit(arrays=None), r"prepared\.json is damaged"),
        (_edit(window_size=None), r"train_images\.npy does not fit its masks or windows"),
        (_edit(format=0), r"prepared\.json has format 0, not 1"),
        (lambda folder: (folder / "train_masks.npy").unlink(), r"train_masks\.npy is missing or torn"),
        (_tear("test_images.npy"), r"test_images\.npy is missing or torn"),
        (_tear("train_windows.npy"), r"train_windows\.npy is missing or torn"),
        (
            lambda folder: np.save(folder / "test_masks.npy", np.zeros((1, 3, 3), np.uint8)),
            r"test_masks\.npy is uint8 \(1, 3, 3\), not uint8 \(1, 160, 320\)",
        ),
        (
            lambda folder: np.save(folder / "test_windows.npy", np.full((50, 3), 300)),
            r"test_images\.npy does not fit its masks or windows",
        ),
    ],
)
def test_a_torn_folder_is_one_line_that_names_the_file(
    prepared: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(prepared)
    with pytest.raises(InputError, match=message) as caught:
        load_prepared(prepared)
    assert "\n" not in str(caught.value)


def test_changed_values_are_found_on_request(prepared: Path) -> None:
    masks = np.load(prepared / "test_masks.npy")
    np.save(prepared / "test_masks.npy", 1 - masks)
    load_prepared(prepared)
    with pytest.raises(InputError, match=r"test_masks\.npy has another SHA-256"):
        load_prepared(prepared, verify=True)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adcd", {}, "unknown target dataset 'adcd': did you mean 'acdc'"),
        ("acdc/1", {}, "unknown target dataset 'acdc/1'"),
        ("msd", {}, "must name a task"),
        ("msd/..", {}, "must name a task"),
        ("msd/a/b", {}, "must name a task"),
        ("idrid", {"modality": 1}, "idrid takes no modality"),
        ("folder", {"reference": True}, "folder takes no reference"),
        ("acdc", {"class_names": ("a", "b")}, "acdc takes no class_names"),
        ("acdc", {"image_size": 100}, "image_size must be a multiple of 32"),
        ("folder", {"test_share": 1.0}, "test_share must be between 0 and 1, got 1.0"),
        ("msd/Task01", {"modality": -1}, "modality must be at least 0"),
        ("folder", {"class_names": ("a",)}, "class_names must be 2 to 256 names"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(name, tmp_path, tmp_path / "out", **options)


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name in PREPARERS:
        with pytest.raises(InputError, match="source: there is no folder"):
            prepare("msd/Task01" if name == "msd" else name, tmp_path / "none", tmp_path / "out")
