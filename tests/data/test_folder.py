import json
import shutil
from pathlib import Path

import generated_trees as trees
import numpy as np
import pytest
from independent_resizing import nearest, resize
from PIL import Image

from raytransfer.config import InputError
from raytransfer.data.cases import BadDataError
from raytransfer.data.prepared import load_prepared, prepare

SIZE = 32


def divided(root: Path) -> Path:
    trees.folder(root / "train", names=("a", "b", "c"))
    trees.folder(root / "test", names=("d", "e"))
    return root


def test_values_are_those_of_an_independent_computation(tmp_path: Path) -> None:
    source = divided(tmp_path / "mine")
    report = prepare("folder", source, tmp_path / "folder", image_size=SIZE)
    assert report.counts == {"train": {"items": 3, "images": 3}, "test": {"items": 2, "images": 2}}
    assert report.warnings == ()
    data = load_prepared(tmp_path / "folder", verify=True)
    assert data.class_names == ("background", "class 1", "class 2")
    for index, name in enumerate(("a.png", "b.tif", "c.jpg")):
        image, mask = data.train[index]
        pixels = np.asarray(Image.open(source / "train/images" / name))
        assert np.allclose(image[..., 0] * 255, resize(pixels, SIZE, SIZE), atol=0.51)  # rounded to 8 bits
        labels = np.asarray(Image.open((source / "train/masks" / name).with_suffix(".png")))
        assert np.array_equal(mask, nearest(labels, SIZE, SIZE))
    assert data.train.images.dtype == np.uint8


def test_without_train_and_test_the_split_is_seeded(tmp_path: Path) -> None:
    source = trees.folder(tmp_path / "mine", names=[f"n{i:02d}" for i in range(10)])

    def test_images(seed: int, share: float) -> list[str]:
        prepare("folder", source, tmp_path / "out", image_size=SIZE, seed=seed, test_share=share)
        patients = json.loads((tmp_path / "out" / "prepared.json").read_text())["patients"]
        assert sorted(patients["train"] + patients["test"]) == sorted(
            str(path.relative_to(source)) for path in (source / "images").iterdir()
        )
        return patients["test"]

    first = test_images(0, 0.2)
    assert len(first) == 2
    assert test_images(0, 0.2) == first
    assert len({tuple(test_images(seed, 0.2)) for seed in range(4)}) > 1
    assert len(test_images(0, 0.5)) == 5


def test_colour_and_deep_images_keep_their_values(tmp_path: Path) -> None:
    source = divided(tmp_path / "mine")
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    deep = rng.integers(0, 65536, (SIZE, SIZE)).astype(np.uint16)
    real = rng.uniform(size=(SIZE, SIZE)).astype(np.float32)
    for name, pixels in (("x.png", colour), ("y.png", deep), ("z.tif", real)):
        trees.write_picture(source / "test/images" / name, pixels)
        trees.write_picture(source / "test/masks" / name, np.ones((SIZE, SIZE), np.uint8))
    prepare("folder", source, tmp_path / "folder", image_size=SIZE)
    data = load_prepared(tmp_path / "folder")
    assert data.test.images.dtype == np.float32
    assert data.test.images.shape[1:] == (SIZE, SIZE, 3)
    assert np.allclose(data.test[2][0], colour / 255, atol=1e-6)
    assert np.allclose(data.test[3][0], deep[..., None] / 65535, atol=1e-6)
    assert np.allclose(data.test[4][0], real[..., None], atol=1e-6)


def test_class_names_declare_the_labels(tmp_path: Path) -> None:
    source = divided(tmp_path / "mine")
    names = ("background", "vessel", "lesion", "scar")
    prepare("folder", source, tmp_path / "folder", image_size=SIZE, class_names=names)
    assert load_prepared(tmp_path / "folder").class_names == names
    with pytest.raises(BadDataError, match="label value outside the set 0, 1: 2"):
        prepare("folder", source, tmp_path / "folder", image_size=SIZE, class_names=names[:2])
    assert load_prepared(tmp_path / "folder").class_names == names


def test_everything_wrong_is_named_in_one_report(tmp_path: Path) -> None:
    source = trees.folder(tmp_path / "mine" / "train", names=list("abcdefghijkl")).parent
    trees.folder(source / "test", names=("t", "u"))
    images, masks = source / "train/images", source / "train/masks"
    (masks / "a.png").unlink()
    (images / "b.tif").unlink()
    trees.write_picture(masks / "c.png", np.zeros((9, 9), np.uint8))
    trees.truncate(images / "d.png")
    trees.truncate(images / "e.tif")
    trees.truncate(images / "f.jpg")
    trees.truncate(masks / "g.png")
    with Image.open(masks / "h.png") as mask:
        shape = (mask.height, mask.width)
    trees.write_picture(masks / "h.png", np.full(shape, 255, np.uint8))
    (masks / "i.png").rename(masks / "i.jpg")
    (images / "notes.txt").write_text("a note")
    shutil.copy(images / "j.png", source / "test/images/v.png")
    shutil.copy(masks / "j.png", source / "test/masks/v.png")
    shutil.copy(images / "k.tif", images / "k.png")
    with Image.open(masks / "l.png") as mask:
        mask.convert("RGB").save(masks / "l.png")
    with pytest.raises(BadDataError) as caught:
        prepare("folder", source, tmp_path / "folder", image_size=SIZE)
    expected = {
        "train/images/a.png": "missing mask",
        "train/masks/b.png": "extra mask",
        "train/masks/c.png": "image and mask differ in size",
        "train/images/d.png": "truncated or damaged PNG file",
        "train/images/e.tif": "truncated or damaged TIFF file",
        "train/images/f.jpg": "truncated or damaged JPEG file",
        "train/masks/g.png": "truncated or damaged PNG file",
        "train/masks/h.png": "label value outside the set: 255",
        "train/masks/i.jpg": "a mask as JPEG",
        "train/images/notes.txt": "not a PNG, TIFF or JPEG file",
        "test/images/v.png": "in both splits, the same image as train/images/j.png",
        "train/images/k.tif": "the same name as k.png",
        "train/masks/l.png": "a mask holds one channel of label values, not R/G/B",
    }
    problems = caught.value.problems
    for name, reason in expected.items():
        assert [p for p in problems if p.startswith(f"{name}: {reason}")], (name, problems)
    assert len(problems) == len(expected)


def test_a_folder_of_another_kind_and_single_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds neither images/ and masks/ nor train/ and test/"):
        prepare("folder", tmp_path / "empty", tmp_path / "folder", image_size=SIZE)
    source = trees.folder(tmp_path / "one", names=("a",))
    with pytest.raises(BadDataError, match="the test split is empty"):
        prepare("folder", source, tmp_path / "folder", image_size=SIZE)
    (tmp_path / "half" / "train").mkdir(parents=True)
    trees.folder(tmp_path / "half" / "train")
    with pytest.raises(BadDataError, match="test/images: no such folder"):
        prepare("folder", tmp_path / "half", tmp_path / "folder", image_size=SIZE)
