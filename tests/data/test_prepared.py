import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import generated_trees as trees
import numpy as np
import pytest

from raytransfer.data.registry import TARGETS
from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.naming import study_name
from raytransfer.data.targets.prepared import PREPARERS, fingerprint, load_prepared, prepare
from raytransfer.errors import InputError

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
    assert description["groups"] == {"train": ["IDRiD_01"], "test": ["IDRiD_55"]}
    assert description["window_size"] == {"train": 2 * SIZE, "test": SIZE}
    assert set(description["arrays"]) == {path.stem for path in prepared.glob("*.npy")}
    assert str(source) not in (prepared / "prepared.json").read_text()


def test_preparing_again_gives_the_same_bytes_and_what_differs_is_replaced_on_request(
    source: Path, prepared: Path
) -> None:
    before, stamp = fingerprint(prepared), (prepared / "prepared.json").stat().st_mtime_ns
    content = {path.name: path.read_bytes() for path in prepared.iterdir()}
    again = prepare("idrid", source, prepared, image_size=SIZE)
    assert again.unchanged
    assert (prepared / "prepared.json").stat().st_mtime_ns == stamp
    report = prepare("idrid", source, prepared, image_size=SIZE, replace=True)
    assert {path.name: path.read_bytes() for path in prepared.iterdir()} == content
    assert report.fingerprint == again.fingerprint == fingerprint(prepared) == before
    assert (prepared / "prepared.json").stat().st_mtime_ns != stamp
    with pytest.raises(
        InputError, match=r"holds another data set \(reference False before, True now\): give"
    ) as e:
        prepare("idrid", source, prepared, image_size=SIZE, reference=True)
    assert "\n" not in str(e.value)
    assert fingerprint(prepared) == before
    prepare("idrid", source, prepared, image_size=SIZE, reference=True, replace=True)
    assert fingerprint(prepared) != before
    assert [path.name for path in prepared.parent.iterdir()] == ["idrid"]
    assert stat.S_IMODE(prepared.stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_other_windows_or_sources_than_the_old_leave_nothing_behind(source: Path, prepared: Path) -> None:
    acdc = trees.acdc(source.parent / "ACDC")
    with pytest.raises(InputError, match="dataset 'idrid' before, 'acdc' now"):
        prepare("acdc", acdc, prepared, image_size=SIZE)
    prepare("acdc", acdc, prepared, image_size=SIZE, replace=True)
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
        ("acdc", {"image_size": 3200 * 32}, "image_size must be at most 2048 .* got 102400"),
        ("folder", {"seed": -1}, "seed must be at least 0, got -1"),
        ("idrid", {"value_range": (0, 1)}, "idrid takes no value_range"),
        (
            "folder",
            {"value_range": (3.0, 3.0)},
            "value_range must be two numbers, the smaller one first, got 3 3",
        ),
        ("folder", {"value_range": (0.0, float("nan"))}, "value_range must be two numbers"),
        ("folder", {"group_by": "p("}, r"--group-by 'p\(' is no regular expression"),
        ("folder", {"group_by": "p.*_"}, "must have one group in brackets"),
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


def test_a_damaged_preparation_is_replaced_without_being_asked(source: Path, prepared: Path) -> None:
    before = fingerprint(prepared)
    for name in ("train_masks.npy", "prepared.json"):
        trees.truncate(prepared / name)
        assert not prepare("idrid", source, prepared, image_size=SIZE).unchanged
        load_prepared(prepared, verify=True)
        assert fingerprint(prepared) == before


def test_a_data_set_larger_than_the_disk_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays are written through memory maps, where a full disk ends the process with a signal."""
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(InputError, match=r"the data set needs 0\.0 GB, and .* has 0\.0 GB free"):
        prepare("idrid", source, tmp_path / "out", image_size=SIZE)


@pytest.mark.parametrize(
    ("dataset", "name", "called"),
    [
        ("acdc", None, "acdc"),
        ("acdc", "acdc", "acdc"),
        ("acdc", "acdc-reference", "acdc-reference"),
        ("folder", "polyps", "polyps"),
        ("msd/Task04_Hippocampus", None, "msd/Task04_Hippocampus"),
    ],
)
def test_a_study_calls_a_data_set_by_its_name(dataset: str, name: str | None, called: str) -> None:
    assert study_name(dataset, name) == called


@pytest.mark.parametrize("name", [*TARGETS, "msd", "msd/Task01_BrainTumour", "ACDC"])
def test_names_of_other_data_sets_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"--name '{name}' is the name of another data set") as caught:
        study_name("folder", name)
    assert "\n" not in str(caught.value)


def test_a_folder_needs_a_name() -> None:
    with pytest.raises(InputError, match="a folder of your own needs a name: --name NAME"):
        study_name("folder", None)


def test_many_problems_are_ten_lines_and_a_count() -> None:
    problems = [f"images/{i}.png: missing mask" for i in range(300)]
    problems += [f"masks/{i}.png: image and mask differ in size: {i} x 3 and 4 x 5" for i in range(300)]
    problems += ["images/notes.txt: not a PNG, TIFF or JPEG file", "images/0.jpg: the same name as 0.png"]
    error = BadDataError("folder", Path("mine"), problems)
    first, *lines = str(error).splitlines()
    assert (first, error.problems, error.all_shown) == ("folder: 602 problems in mine", problems, False)
    assert lines == [
        "  images/0.png: missing mask",
        "  images/1.png: missing mask ... and 298 more like it",
        "  masks/0.png: image and mask differ in size: 0 x 3 and 4 x 5",
        "  masks/1.png: image and mask differ in size: 1 x 3 and 4 x 5 ... and 298 more like it",
        "  images/notes.txt: not a PNG, TIFF or JPEG file",
        "  images/0.jpg: the same name as 0.png",
    ]
    few = BadDataError("folder", Path("mine"), problems[:10])
    assert few.all_shown
    assert str(few).count("\n") == 10
    many = BadDataError("folder", Path("mine"), [f"f: {chr(97 + i)}" for i in range(14)])
    assert str(many).splitlines()[-1] == "  ... and 4 more of other kinds"
    assert str(many).count("\n") == 11
