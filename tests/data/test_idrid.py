import shutil
from pathlib import Path

import generated_trees as trees
import numpy as np
import pytest
from independent_resizing import nearest, resize
from PIL import Image

from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.prepared import load_prepared, prepare

SIZE = 32
ROWS, COLUMNS = 5 * SIZE, 10 * SIZE


def photograph(source: Path, number: int, folder: str) -> tuple[np.ndarray, np.ndarray]:
    base = source / "A. Segmentation"
    truths = base / "2. All Segmentation Groundtruths" / folder / "1. Microaneurysms"
    image = np.asarray(Image.open(base / "1. Original Images" / folder / f"IDRiD_{number:02d}.jpg"))
    mask = np.asarray(Image.open(truths / f"IDRiD_{number:02d}_MA.tif"))
    cut = round(96 * image.shape[1] / 4288)
    return image[:, cut:-cut], mask[:, cut:-cut].max(axis=-1) > 0


def test_the_real_geometry_gives_119_windows_and_50_tiles(tmp_path: Path) -> None:
    source = trees.idrid(tmp_path / "source", train=(1,), test=(55,), scale=1)
    report = prepare("idrid", source, tmp_path / "out")
    assert report.counts == {"train": {"items": 119, "images": 1}, "test": {"items": 50, "images": 1}}
    assert "train: 119 items, where the whole data set has 6426" in report.warnings
    assert "test: 50 items, where the whole data set has 1350" in report.warnings
    data = load_prepared(tmp_path / "out")
    assert data.train.images.shape == (1, 1120, 2240, 3)
    assert data.train.images.dtype == np.uint8
    assert (data.train.window_size, data.test.window_size) == (448, 224)
    assert (data.image_size, data.color_jitter) == (224, True)
    for split, size in ((data.train, 448), (data.test, 224)):
        covered = np.zeros((1120, 2240), int)
        for _, top, left in split.windows:
            covered[top : top + size, left : left + size] += 1
        assert covered.min() >= 1
        assert split is data.train or covered.max() == 1
        image, mask = split[len(split) - 1]
        assert image.shape == (size, size, 3)
        assert mask.shape == (size, size)
        assert np.array_equal(image, (split.images[0, -size:, -size:] / 255).astype(np.float32))
    assert np.array_equal(np.unique(np.diff(np.unique(data.train.windows[:, 1]))), [112])
    pixels, labels = photograph(source, 1, "a. Training Set")
    assert pixels.shape == (2848, 4096, 3)
    expected = resize(pixels[..., 1], 1120, 2240)
    assert np.abs(data.train.images[0, ..., 1] - expected).max() <= 0.51
    assert np.array_equal(data.train.masks[0], nearest(labels, 1120, 2240))


def test_all_photographs_and_windows_are_in_their_places(tmp_path: Path) -> None:
    source = trees.idrid(tmp_path / "source", train=(1, 2), test=(55, 56, 57))
    report = prepare("idrid", source, tmp_path / "out", image_size=SIZE)
    assert report.counts == {"train": {"items": 238, "images": 2}, "test": {"items": 150, "images": 3}}
    data = load_prepared(tmp_path / "out", verify=True)
    assert data.class_names == ("background", "microaneurysms")
    for index, number in enumerate((55, 56, 57)):
        pixels, labels = photograph(source, number, "b. Testing Set")
        assert np.abs(data.test.images[index] - resize(pixels, ROWS, COLUMNS)).max() <= 1  # 8 bits, twice
        assert np.array_equal(data.test.masks[index], nearest(labels, ROWS, COLUMNS))
        assert np.bincount(data.test.windows[:, 0])[index] == 50


def test_the_reference_dilates_masks_and_tests_the_upper_rows_that_are_not_dark(tmp_path: Path) -> None:
    source = trees.idrid(tmp_path / "source", train=(1,), test=(55,))
    base = source / "A. Segmentation/1. Original Images/b. Testing Set/IDRiD_55.jpg"
    pixels = np.array(Image.open(base))
    pixels[:, : pixels.shape[1] // 3] = 0
    trees.write_picture(base, pixels, quality=95)
    report = prepare("idrid", source, tmp_path / "out", image_size=SIZE, reference=True)
    data = load_prepared(tmp_path / "out")
    image = resize(photograph(source, 55, "b. Testing Set")[0], ROWS, COLUMNS, antialias=False)
    kept = [
        (0, top + down, left + right)
        for top in (0, 2 * SIZE)
        for left in range(0, COLUMNS, 2 * SIZE)
        if image[top : top + 2 * SIZE, left : left + 2 * SIZE].mean() / 255 >= 0.01
        for down in (0, SIZE)
        for right in (0, SIZE)
    ]
    assert 0 < len(kept) < 40
    assert data.test.windows.tolist() == [list(window) for window in kept]
    assert report.counts == {"train": {"items": 119, "images": 1}, "test": {"items": len(kept), "images": 1}}
    _, labels = photograph(source, 1, "a. Training Set")
    share = resize(labels, ROWS, COLUMNS, antialias=False) * 255
    certain = np.abs(share - 0.5) > 0.1
    assert np.array_equal(data.train.masks[0][certain], (share > 0.5)[certain])
    assert data.train.masks[0].sum() > nearest(labels, ROWS, COLUMNS).sum()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_masks_in_any_form_of_tiff_are_read_alike(tmp_path: Path, mode: str) -> None:
    source = trees.idrid(tmp_path / "source", train=(1,), test=(55,))
    expected = photograph(source, 1, "a. Training Set")[1]
    mask = next(source.glob("A. Segmentation/2. All*/a. Training Set/1. Micro*/IDRiD_01_MA.tif"))
    with Image.open(mask) as image:
        if mode == "1":
            changed = image.getchannel(0).convert("L").point(lambda v: 255 * (v > 0)).convert("1")
        else:
            changed = image.convert(mode)
    changed.save(mask)
    assert Image.open(mask).mode == mode
    prepare("idrid", source, tmp_path / "out", image_size=SIZE)
    assert np.array_equal(load_prepared(tmp_path / "out").train.masks[0], nearest(expected, ROWS, COLUMNS))


def test_everything_wrong_is_named_in_one_report(tmp_path: Path) -> None:
    source = trees.idrid(tmp_path / "source", train=range(1, 8), test=(55,))
    base = source / "A. Segmentation"
    images = base / "1. Original Images" / "a. Training Set"
    masks = base / "2. All Segmentation Groundtruths" / "a. Training Set" / "1. Microaneurysms"
    (masks / "IDRiD_01_MA.tif").unlink()
    (images / "IDRiD_02.jpg").unlink()
    trees.truncate(images / "IDRiD_03.jpg")
    trees.truncate(masks / "IDRiD_04_MA.tif")
    trees.write_picture(masks / "IDRiD_05_MA.tif", np.zeros((100, 268, 3), np.uint8))
    trees.write_picture(
        masks / "IDRiD_06_MA.tif", np.full((178, 268), 9, np.uint8) * (np.arange(268) % 4).astype(np.uint8)
    )
    for part in ("1. Original Images", "2. All Segmentation Groundtruths"):
        for path in sorted((base / part / "a. Training Set").rglob("IDRiD_07*")):
            shutil.copy(path, str(path).replace("a. Training Set", "b. Testing Set"))
    with pytest.raises(BadDataError) as caught:
        prepare("idrid", source, tmp_path / "out", image_size=SIZE)
    expected = {
        "IDRiD_01.jpg": "missing mask",
        "IDRiD_02_MA.tif": "extra mask",
        "IDRiD_03.jpg": "truncated or damaged JPEG",
        "IDRiD_04_MA.tif": "truncated or damaged TIFF",
        "IDRiD_05_MA.tif": "image and mask differ in size: 178 x 268 and 100 x 268",
        "IDRiD_06_MA.tif": "label value outside the set: a mask holds 0 and one other value, not 9, 18, 27",
        "IDRiD_07": "in both splits",
    }
    problems = caught.value.problems
    for name, reason in expected.items():
        assert [p for p in problems if f"{name}: {reason}" in p], (name, problems)
    assert len(problems) == len(expected)
