import json
import shutil
import struct
import zlib
from pathlib import Path

import generated_trees as trees
import numpy as np
import pytest
from independent_resizing import nearest, resize
from PIL import Image

from raytransfer.data.formats.pictures import read_label_mask
from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.prepared import load_prepared, prepare
from raytransfer.errors import InputError

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
        prepare(
            "folder", source, tmp_path / "out", image_size=SIZE, seed=seed, test_share=share, replace=True
        )
        groups = json.loads((tmp_path / "out" / "prepared.json").read_text())["groups"]
        assert sorted(groups["train"] + groups["test"]) == sorted(
            str(path.relative_to(source)) for path in (source / "images").iterdir()
        )
        return groups["test"]

    first = test_images(0, 0.2)
    assert len(first) == 2
    assert test_images(0, 0.2) == first
    assert len({tuple(test_images(seed, 0.2)) for seed in range(4)}) > 1
    assert len(test_images(0, 0.5)) == 5


def test_grey_images_among_colours_have_three_equal_channels(tmp_path: Path) -> None:
    source = divided(tmp_path / "mine")
    colour = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    trees.write_picture(source / "test/images/x.png", colour)
    trees.write_picture(source / "test/masks/x.png", np.ones((SIZE, SIZE), np.uint8))
    prepare("folder", source, tmp_path / "folder", image_size=SIZE)
    data = load_prepared(tmp_path / "folder")
    assert data.test.images.shape[1:] == (SIZE, SIZE, 3)
    assert np.array_equal(data.test.images[2], colour)
    assert np.array_equal(data.test.images[0, ..., 0], data.test.images[0, ..., 2])


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
        red = np.asarray(mask)[..., None] * np.array([255, 0, 0], np.uint8)
    trees.write_picture(masks / "l.png", red)
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
        "train/masks/l.png": "a mask holds one channel of label values, not the colours R/G/B",
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
    source = trees.folder(tmp_path / "two", names=("a", "b"))
    with pytest.raises(BadDataError, match="the train split holds 1 image; at least 2 are needed"):
        prepare("folder", source, tmp_path / "folder", image_size=SIZE)
    report = prepare(
        "folder", trees.folder(tmp_path / "three", names="abc"), tmp_path / "out", image_size=SIZE
    )
    assert {split: counts["items"] for split, counts in report.counts.items()} == {"train": 2, "test": 1}


def test_copies_in_both_halves_of_a_random_split_are_said(tmp_path: Path) -> None:
    source = trees.folder(tmp_path / "mine", names=("a", "d", "g"))
    for name in ("d.tif", "g.jpg"):
        (source / "images" / name).unlink()
    for name in ("d.png", "g.png"):
        shutil.copy(source / "images/a.png", source / "images" / name)
        shutil.copy(source / "masks/a.png", source / "masks" / name)
    (warning,) = prepare("folder", source, tmp_path / "folder", image_size=SIZE).warnings
    assert warning.startswith("1 of 1 test images are copies of training images, such as images/")


@pytest.mark.parametrize("class_names", [None, ("background", "polyp")])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_masks_of_0_and_255_have_two_classes(
    tmp_path: Path, mode: str, class_names: tuple[str, ...] | None
) -> None:
    source = trees.folder(tmp_path / "mine", names="abcd", labels=2)
    labels = {}
    for path in (source / "masks").iterdir():
        with Image.open(path) as mask:
            labels[path.stem] = np.asarray(mask)
        Image.fromarray(255 * labels[path.stem]).convert(mode).save(path)
    report = prepare("folder", source, tmp_path / "out", image_size=SIZE, class_names=class_names)
    assert report.warnings == ("masks hold 0 and 255: 255 is taken as label 1",)
    data = load_prepared(tmp_path / "out")
    assert data.class_names == (class_names or ("background", "class 1"))
    groups = json.loads((tmp_path / "out" / "prepared.json").read_text())["groups"]
    for image, mask in zip(groups["train"], data.train.masks, strict=True):
        assert np.array_equal(mask, nearest(labels[Path(image).stem], SIZE, SIZE))


def test_0_1_and_255_are_not_guessed_at(tmp_path: Path) -> None:
    """The label 255 often means that a pixel is to be left out."""
    source = trees.folder(tmp_path / "mine", labels=2)
    with Image.open(source / "masks/a.png") as mask:
        labels = np.array(mask)
    labels[:3] = 255
    trees.write_picture(source / "masks/a.png", labels)
    with pytest.raises(
        BadDataError, match=r"a\.png: label value outside the set: 255, while no mask holds 2"
    ):
        prepare("folder", source, tmp_path / "out", image_size=SIZE)


def test_smoothed_masks_are_no_labels(tmp_path: Path) -> None:
    """All values 0 .. 255 occur, so that they would be 256 classes without a gap."""
    source = trees.folder(tmp_path / "mine", names="abc")
    for path in (source / "masks").iterdir():
        with Image.open(path) as mask:
            smooth = np.arange(mask.height * mask.width).reshape(mask.height, mask.width) % 256
        trees.write_picture(path, smooth.astype(np.uint8))
    with pytest.raises(BadDataError, match="256 in all masks: these are no labels, but greys") as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(("bits", "labels"), [(2, [0, 1, 2, 3]), (4, [0, 1, 2, 1])])
def test_masks_of_few_bits_keep_their_labels(tmp_path: Path, bits: int, labels: list[int]) -> None:
    """Pillow stretches these values over 0 .. 255."""
    path = tmp_path / "mask.png"
    row = sum(label << bits * (3 - position) for position, label in enumerate(labels)).to_bytes(
        bits // 2, "big"
    )
    header = struct.pack(">IIBBBBB", 4, 1, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    assert read_label_mask(path).tolist() == [labels]
