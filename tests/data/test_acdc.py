import shutil
from pathlib import Path

import generated_trees as trees
import nibabel
import numpy as np
import pytest
from independent_resizing import nearest, resize

from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.prepared import load_prepared, prepare

SIZE = 64


def frame(source: Path, patient: int, number: int, folder: str = "training") -> tuple[np.ndarray, np.ndarray]:
    stem = source / folder / f"patient{patient:03d}" / f"patient{patient:03d}_frame{number:02d}"
    return tuple(np.asarray(nibabel.load(f"{stem}{end}.nii.gz").dataobj) for end in ("", "_gt"))


def test_values_are_those_of_an_independent_computation(tmp_path: Path) -> None:
    """54 rows grow and 72 columns shrink to 64: both ways of resizing are in."""
    source = trees.acdc(tmp_path / "ACDC", shape=(54, 72, 3))
    report = prepare("acdc", source, tmp_path / "acdc", image_size=SIZE)
    assert report.counts == {"train": {"items": 12, "patients": 2}, "test": {"items": 6, "patients": 1}}
    data = load_prepared(tmp_path / "acdc", verify=True)
    assert data.name == "acdc"
    assert data.class_names == ("background", "right ventricle", "myocardium", "left ventricle")
    assert (data.image_size, data.color_jitter, len(data.train), len(data.test)) == (SIZE, False, 12, 6)
    order = [(1, 1), (1, 8), (2, 1), (2, 9)]  # patient, frame
    for index, (patient, number) in enumerate(order):
        volume, labels = frame(source, patient, number)
        low, high = np.percentile(volume, [0.5, 99.5])
        scaled = np.clip((volume - low) / (high - low), 0, 1)
        for z in range(3):
            image, mask = data.train[3 * index + z]
            assert image.shape == (SIZE, SIZE, 1)
            assert (image.dtype, mask.dtype) == (np.float32, np.uint8)
            assert np.allclose(image[..., 0], resize(scaled[..., z], SIZE, SIZE), atol=1e-5)
            assert np.array_equal(mask, nearest(labels[..., z], SIZE, SIZE))
    assert set(np.unique(data.train.masks)) == {0, 1, 2, 3}


def test_the_reference_interpolates_labels_and_truncates(tmp_path: Path) -> None:
    source = trees.acdc(tmp_path / "ACDC", shape=(80, 96, 2))
    prepare("acdc", source, tmp_path / "acdc", image_size=SIZE, reference=True)
    image, mask = load_prepared(tmp_path / "acdc").train[1]
    volume, labels = frame(source, 1, 1)
    expected = resize(labels[..., 1], SIZE, SIZE, antialias=False)
    certain = np.abs(expected - np.rint(expected)) > 1e-4
    assert np.array_equal(mask[certain], np.floor(expected)[certain])
    low, high = np.percentile(volume, [0.5, 99.5])
    scaled = np.clip((volume[..., 1] - low) / (high - low), 0, 1)
    assert np.allclose(image[..., 0], resize(scaled, SIZE, SIZE, antialias=False), atol=1e-4)


def test_other_counts_than_the_official_ones_are_warnings(tmp_path: Path) -> None:
    report = prepare("acdc", trees.acdc(tmp_path / "ACDC"), tmp_path / "acdc", image_size=SIZE)
    assert report.warnings == (
        "train: 2 patients, where the whole data set has 100",
        "train: 12 items, where the whole data set has 1902",
        "test: 1 patients, where the whole data set has 50",
        "test: 6 items, where the whole data set has 1076",
    )


def test_the_database_folder_and_a_constant_volume_are_read(tmp_path: Path) -> None:
    trees.acdc(tmp_path / "ACDC" / "database")
    flat = tmp_path / "ACDC/database/training/patient001/patient001_frame01.nii.gz"
    trees.write_volume(flat, np.full((54, 72, 3), 300, np.int16))
    prepare("acdc", tmp_path / "ACDC", tmp_path / "acdc", image_size=SIZE)
    data = load_prepared(tmp_path / "acdc")
    assert np.all(data.train.images[:3] == 0)


def test_everything_wrong_is_named_in_one_report(tmp_path: Path) -> None:
    source = trees.acdc(tmp_path / "ACDC", train=range(1, 13), test=(101,))
    train = source / "training"

    def file(patient: int, end: str) -> Path:
        return train / f"patient{patient:03d}" / f"patient{patient:03d}_{end}"

    file(1, "frame01_gt.nii.gz").unlink()
    file(2, "frame01.nii.gz").unlink()
    shutil.copy(file(3, "frame01_gt.nii.gz"), file(3, "frame05_gt.nii.gz"))
    trees.truncate(file(4, "frame01.nii.gz"))
    trees.truncate(file(5, "frame01_gt.nii.gz"), 0.9)
    content = file(6, "frame01.nii.gz").read_bytes()
    file(6, "frame01.nii.gz").write_bytes(content[:-6])  # all voxels are there, the checksum is not
    trees.write_volume(file(7, "frame01_gt.nii.gz"), np.zeros((54, 72, 4), np.uint8))
    trees.write_volume(file(8, "frame01_gt.nii.gz"), np.full((54, 72, 3), 4, np.uint8))
    trees.write_volume(file(9, "frame01_gt.nii.gz"), np.full((54, 72, 3), 0.5, np.float32))
    (train / "patient010" / "Info.cfg").unlink()
    (train / "patient011" / "Info.cfg").write_text("ED: 1\nGroup: DCM\n")
    trees.write_volume(file(12, "frame01.nii.gz"), np.full((54, 72, 3), np.nan, np.float32))
    shutil.copytree(source / "testing" / "patient101", train / "patient101")
    with pytest.raises(BadDataError) as caught:
        prepare("acdc", source, tmp_path / "acdc", image_size=SIZE)
    expected = {
        "patient001_frame01_gt.nii.gz": "missing mask",
        "patient002_frame01.nii.gz": "missing image",
        "patient003_frame05_gt.nii.gz": "extra mask, frame 5 is neither ED nor ES in Info.cfg",
        "patient004_frame01.nii.gz": "truncated or damaged NIfTI file",
        "patient005_frame01_gt.nii.gz": "truncated or damaged NIfTI file",
        "patient006_frame01.nii.gz": "truncated or damaged NIfTI file",
        "patient007_frame01_gt.nii.gz": "image and mask differ in size: 54 x 72 x 3 and 54 x 72 x 4",
        "patient008_frame01_gt.nii.gz": "label value outside the set 0, 1, 2, 3: 4",
        "patient009_frame01_gt.nii.gz": "label value outside the set 0, 1, 2, 3: 0.5",
        "patient010/Info.cfg": "missing",
        "patient011/Info.cfg": "names no frame for ES",
        "patient012_frame01.nii.gz": "has intensities that are not finite",
        "patient101": "in both splits",
    }
    problems = caught.value.problems
    for name, reason in expected.items():
        assert [p for p in problems if f"{name}: {reason}" in p], (name, problems)
    assert len(problems) == len(expected)
    assert str(caught.value).splitlines()[0] == f"acdc: {len(expected)} problems in {source}"
    shown = str(caught.value).splitlines()[1:]
    assert {line.split(" ... ")[0].strip() for line in shown} < set(problems), "one of each kind"
    assert not (tmp_path / "acdc").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["ACDC"]


def test_a_truncated_file_without_gzip_is_found(tmp_path: Path) -> None:
    source = trees.acdc(tmp_path / "ACDC")
    packed = source / "training/patient001/patient001_frame01.nii.gz"
    plain = packed.with_suffix("")
    trees.write_volume(plain, np.asarray(nibabel.load(packed).dataobj))
    packed.unlink()
    prepare("acdc", source, tmp_path / "acdc", image_size=SIZE)
    content = plain.read_bytes()
    for size in (0, 200, 352, len(content) - 1):  # nothing, in the header, the header alone, almost all
        plain.write_bytes(content[:size])
        with pytest.raises(BadDataError, match=r"patient001_frame01\.nii: truncated or damaged NIfTI"):
            prepare("acdc", source, tmp_path / "acdc", image_size=SIZE)


@pytest.mark.parametrize(("folder", "split"), [("training", "train"), ("testing", "test")])
def test_an_empty_split_is_found(tmp_path: Path, folder: str, split: str) -> None:
    source = trees.acdc(tmp_path / "ACDC")
    shutil.rmtree(source / folder)
    with pytest.raises(BadDataError, match=f"{folder}: the {split} split is empty"):
        prepare("acdc", source, tmp_path / "acdc", image_size=SIZE)
