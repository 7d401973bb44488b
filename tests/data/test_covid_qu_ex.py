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


def pictures(source: Path, split: str, kind: str) -> list[np.ndarray]:
    inner = source / "Infection Segmentation Data" / "Infection Segmentation Data"
    return [np.asarray(Image.open(path)) for path in sorted((inner / split / "COVID-19" / kind).iterdir())]


def arrays(root: Path, source: Path) -> Path:
    """The reference's .npy form of a PNG tree."""
    for name, splits in (("train_and_val", ("Train", "Val")), ("test", ("Test",))):
        folder = root / "Inf_segm" / "data_arrays" / "COVID-19" / name
        folder.mkdir(parents=True)
        for file, kind in (("imgs", "images"), ("inf_masks", "infection masks")):
            np.save(folder / f"{file}.npy", np.stack([p for s in splits for p in pictures(source, s, kind)]))
    return root


def test_the_covid_images_of_train_and_val_train(tmp_path: Path) -> None:
    source = trees.covid_qu_ex(tmp_path / "source", counts=(3, 2, 2), side=48)
    report = prepare("covid-qu-ex", source, tmp_path / "out", image_size=SIZE)
    assert report.counts == {"train": {"items": 5, "images": 5}, "test": {"items": 2, "images": 2}}
    assert report.warnings == (
        "train: 5 items, where the whole data set has 2330",
        "test: 2 items, where the whole data set has 583",
    )
    data = load_prepared(tmp_path / "out", verify=True)
    assert data.class_names == ("background", "COVID-19 infection")
    expected = [(s, i) for s in ("Train", "Val") for i in range(3 if s == "Train" else 2)]
    for index, (split, number) in enumerate(expected):
        image, mask = data.train[index]
        pixels = pictures(source, split, "images")[number]
        assert np.allclose(255 * image[..., 0], resize(pixels, SIZE, SIZE), atol=0.51)
        labels = pictures(source, split, "infection masks")[number] > 0
        assert np.array_equal(mask, nearest(labels, SIZE, SIZE))


def test_the_reference_erodes_masks(tmp_path: Path) -> None:
    source = trees.covid_qu_ex(tmp_path / "source", side=45)
    rows, columns = np.mgrid[:45, :45]
    disc = np.where((rows - 22) ** 2 + (columns - 20) ** 2 < 169, 255, 0).astype(np.uint8)
    inner = source / "Infection Segmentation Data/Infection Segmentation Data"
    for path in (inner / "Test/COVID-19/infection masks").iterdir():
        trees.write_picture(path, disc)
    prepare("covid-qu-ex", source, tmp_path / "out", image_size=SIZE, reference=True)
    data = load_prepared(tmp_path / "out")
    pixels = pictures(source, "Test", "images")[0]
    assert np.allclose(255 * data.test[0][0][..., 0], resize(pixels, SIZE, SIZE, antialias=False), atol=1.01)
    share = resize(disc > 0, SIZE, SIZE, antialias=False)
    assert np.array_equal(data.test.masks[0], share > 1 - 1e-6)
    assert data.test.masks[0].sum() < nearest(disc > 0, SIZE, SIZE).sum()


@pytest.mark.parametrize("blanks", [False, True])
def test_the_array_form_holds_the_same(tmp_path: Path, blanks: bool) -> None:
    source = trees.covid_qu_ex(tmp_path / "source")
    root = arrays(tmp_path / "arrays", source)
    if blanks:
        inner = root / "Inf_segm" / "data_arrays"
        (inner / "COVID-19/train_and_val").rename(inner / "COVID-19/train and val")
        inner.rename(inner.with_name("data arrays"))
    prepare("covid-qu-ex", source, tmp_path / "a", image_size=SIZE)
    report = prepare("covid-qu-ex", root, tmp_path / "b", image_size=SIZE)
    assert report.counts == {"train": {"items": 5}, "test": {"items": 2}}
    a, b = load_prepared(tmp_path / "a"), load_prepared(tmp_path / "b")
    for split in ("train", "test"):
        assert np.array_equal(getattr(a, split).images, getattr(b, split).images)
        assert np.array_equal(getattr(a, split).masks, getattr(b, split).masks)


def test_everything_wrong_with_pictures_is_named_in_one_report(tmp_path: Path) -> None:
    source = trees.covid_qu_ex(tmp_path / "source", counts=(6, 3, 1))
    inner = source / "Infection Segmentation Data/Infection Segmentation Data"
    train, val, test = (inner / s / "COVID-19" for s in ("Train", "Val", "Test"))
    files = sorted(path.name for path in (train / "images").iterdir())
    (train / "infection masks" / files[0]).unlink()
    (train / "images" / files[1]).unlink()
    trees.truncate(train / "images" / files[2])
    trees.truncate(train / "infection masks" / files[3])
    trees.write_picture(train / "infection masks" / files[4], np.zeros((40, 48), np.uint8))
    trees.write_picture(
        train / "infection masks" / files[5], np.arange(48 * 48).reshape(48, 48).astype(np.uint8)
    )
    copy = next((val / "images").iterdir()).name
    for kind in ("images", "infection masks"):
        shutil.copy(val / kind / copy, test / kind / copy)
    with pytest.raises(BadDataError) as caught:
        prepare("covid-qu-ex", source, tmp_path / "out", image_size=SIZE)
    expected = {
        f"images/{files[0]}": "missing mask",
        f"infection masks/{files[1]}": "extra mask",
        f"images/{files[2]}": "truncated or damaged PNG",
        f"infection masks/{files[3]}": "truncated or damaged PNG",
        f"infection masks/{files[4]}": "image and mask differ in size: 48 x 48 and 40 x 48",
        f"infection masks/{files[5]}": "label value outside the set",
        copy.removesuffix(".png"): "in both splits",
    }
    problems = caught.value.problems
    for name, reason in expected.items():
        assert [p for p in problems if f"{name}: {reason}" in p], (name, problems)
    assert len(problems) == len(expected)


def test_everything_wrong_with_arrays_is_named(tmp_path: Path) -> None:
    root = arrays(tmp_path / "arrays", trees.covid_qu_ex(tmp_path / "source"))
    inner = root / "Inf_segm/data_arrays/COVID-19"
    trees.truncate(inner / "train_and_val/imgs.npy")
    masks = np.load(inner / "test/inf_masks.npy")
    np.save(inner / "test/inf_masks.npy", masks[:1])
    with pytest.raises(BadDataError) as caught:
        prepare("covid-qu-ex", root, tmp_path / "out", image_size=SIZE)
    first, second = caught.value.problems
    assert "train_and_val/imgs.npy: truncated or damaged .npy file" in first
    assert "test/inf_masks.npy: image and mask differ in size: 2 x 48 x 48 and 1 x 48 x 48" in second
    np.save(inner / "test/inf_masks.npy", masks.astype(np.float32) / 7)
    (inner / "train_and_val/imgs.npy").unlink()
    with pytest.raises(BadDataError) as caught:
        prepare("covid-qu-ex", root, tmp_path / "out", image_size=SIZE)
    found = "\n".join(caught.value.problems)
    assert "train_and_val/imgs.npy: missing image file" in found
    assert "test/inf_masks.npy: label value outside the set" in found


def test_a_folder_without_the_data_set_is_empty(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(
        BadDataError, match="Train/COVID-19/images and Val/COVID-19/images: the train split is"
    ):
        prepare("covid-qu-ex", tmp_path / "source", tmp_path / "out", image_size=SIZE)
