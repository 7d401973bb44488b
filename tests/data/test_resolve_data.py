"""Data are found once, in the driver: absolute paths, and fingerprints that tell other data apart."""

import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import generated_trees
import numpy as np
import pytest

from raytransfer.data.registry import load_source, resolve_data, unseen_data
from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.data.targets.prepared import fingerprint, prepare
from raytransfer.errors import InputError
from raytransfer.results.units import (
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)
from raytransfer.study import Study

SHA256 = "a" * 64


def _tree(root: Path) -> Path:
    for split in ("train", "val"):
        for label, name in enumerate(("cat", "dog")):
            for number in range(2):
                picture = np.full((40, 40, 3), 100 * label + number, np.uint8)
                generated_trees.write_picture(root / split / name / f"{number}.png", picture)
    return root


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of one's own data, all of it named by relative paths."""
    prepare("folder", generated_trees.folder(tmp_path / "mine"), tmp_path / "data/polyps", image_size=32)
    _tree(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return Study(
        datasets=("mni152", "polyps"),
        source=SourceSettings(name="imagenet", root="photos"),
        target=TargetSettings(data_root="data"),
    )


def _resolved(study: Study) -> Study:
    source, target = resolve_data(study.source, study.datasets, study.target)
    return replace(study, source=source, target=target)


def _units(study: Study) -> list:
    encoders = {(unit.encoder, unit.scheme): {5: SHA256} for unit in pretraining_units(study)}
    return [
        *pretraining_units(study),
        *scoring_units(study, encoders),
        *evaluation_units(study, configurations(study), encoders),
    ]


def test_paths_are_absolute_and_fingerprints_known(study: Study, tmp_path: Path) -> None:
    found = _resolved(study)
    assert found.source.root == str(tmp_path / "photos")
    assert found.target.data_root == str(tmp_path / "data")
    assert found.target.fingerprints == (("polyps", fingerprint(tmp_path / "data/polyps")),)
    assert len(found.source.fingerprint) == 64
    assert _resolved(found) == found
    assert os.path.isabs(load_source(study.source).train.path(0))


def test_a_key_is_the_same_in_an_empty_directory_without_the_data(study: Study, tmp_path: Path) -> None:
    """What a worker has: the unit, and nothing else."""
    units = _units(_resolved(study))
    (tmp_path / "units.pickle").write_bytes(pickle.dumps(units))
    elsewhere = tmp_path / "empty"
    elsewhere.mkdir()
    for folder in ("data", "photos", "mine"):
        shutil.rmtree(tmp_path / folder)
    code = (
        "import pathlib, pickle; units = pickle.loads(pathlib.Path('../units.pickle').read_bytes());"
        "print(*(unit.key for unit in units), sep='\\n'); assert not list(pathlib.Path().iterdir())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [unit.key for unit in units]


def test_where_data_lie_changes_no_key_and_other_data_change_theirs(study: Study, tmp_path: Path) -> None:
    before = [unit.key for unit in _units(_resolved(study))]
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    (tmp_path / "photos").rename(tmp_path / "pictures")
    moved = replace(
        study,
        source=replace(study.source, root="pictures"),
        target=replace(study.target, data_root="elsewhere"),
    )
    assert [unit.key for unit in _units(_resolved(moved))] == before
    generated_trees.write_picture(tmp_path / "pictures/train/cat/9.png", np.zeros((40, 40, 3), np.uint8))
    changed = [unit.key for unit in _units(_resolved(moved))]
    pretrainings = len(pretraining_units(study))
    assert not set(before[:pretrainings]) & set(changed[:pretrainings])
    assert before[pretrainings:] == changed[pretrainings:]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "photos/val/dog/1.png").unlink(),
        lambda root: (root / "photos/train/cat/0.png").write_bytes(b"another file"),
        lambda root: (root / "photos/train/cat/0.png").rename(root / "photos/train/dog/x.png"),
    ],
)
def test_another_tree_than_the_studys_is_refused(study: Study, tmp_path: Path, change) -> None:
    found = _resolved(study)
    change(tmp_path)
    with pytest.raises(
        InputError, match=r"source dataset 'imagenet' in .*/photos is not the one that this study"
    ):
        _resolved(found)


def test_another_target_than_the_studys_is_refused(study: Study, tmp_path: Path) -> None:
    found = _resolved(study)
    other = generated_trees.folder(tmp_path / "other", names="vwxyz")
    shutil.rmtree(tmp_path / "data/polyps")
    prepare("folder", other, tmp_path / "data/polyps", image_size=32)
    with pytest.raises(InputError, match=r"target dataset 'polyps' in .* is not the one that this study"):
        _resolved(found)


def test_what_is_gone_keeps_its_fingerprint(study: Study, tmp_path: Path) -> None:
    found = _resolved(study)
    shutil.rmtree(tmp_path / "data")
    shutil.rmtree(tmp_path / "photos")
    assert _resolved(found) == found


def test_a_machine_says_what_it_does_not_see(study: Study, tmp_path: Path) -> None:
    found = _resolved(study)

    def unseen() -> list[str]:
        return unseen_data(found.source, found.datasets, found.target)

    assert unseen() == []
    description = tmp_path / "data/polyps/prepared.json"
    description.write_text(description.read_text() + "\n")
    (line,) = unseen()
    assert "holds other data than here" in line
    shutil.rmtree(tmp_path / "data")
    shutil.rmtree(tmp_path / "photos/val")
    source, target = unseen()
    root = tmp_path / "photos"
    assert source.startswith(f"source.root={root} (source dataset 'imagenet': ")
    assert source.endswith(f"source.root='{root}' has no folder val/)")
    assert target == f"target.data_root={tmp_path}/data (there is no {description})"
