"""A tree of class folders as source data, errors included, and trained on."""

import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raytransfer.data.registry import load_source, source_problem
from raytransfer.data.settings import SourceSettings
from raytransfer.errors import InputError
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.settings import PretrainingSettings

COLOURS = {"n01440764": (200, 40, 40), "n02105855": (40, 200, 40), "n03445777": (40, 40, 200)}
COUNTS = {"train": 8, "val": 2}


def _source(root: Path) -> SourceSettings:
    return SourceSettings(name="imagenet", root=str(root), image_size=64)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write JPEGs of several sizes and modes whose colour tells their class."""
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for name, colour in COLOURS.items():
            folder = tmp_path / "root" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                height, width = rng.integers(70, 140, 2)
                noise = rng.integers(-30, 31, (height, width, 1)) + np.asarray(colour)
                image = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                image = image.convert("CMYK") if i == 0 else image
                image.save(folder / f"{name}_{i}.JPEG", format="JPEG")
            (folder / "notes.txt").write_text("not an image")
    return tmp_path / "root"


def test_the_tree_is_listed_and_read(tree: Path) -> None:
    data = load_source(_source(tree))
    assert data.class_names == tuple(sorted(COLOURS))
    assert (len(data.train), len(data.val), data.image_size) == (24, 6, 64)
    assert np.bincount(data.train.labels).tolist() == [8, 8, 8]
    for index in range(len(data.train)):
        image = data.train.image(index)
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert image.mean((0, 1)).argmax() == data.train.labels[index]


def test_the_tree_is_trained_on(tree: Path) -> None:
    recipe = PretrainingSettings(
        epochs=3, series=(0, 3), warmup_epochs=0, batch_size=12, num_workers=1, learning_rate=0.01
    )
    histories = []
    for loader_workers in (0, 2):
        training = Pretraining(
            "unet-micro", "simple", recipe, load_source(_source(tree)), loader_workers=loader_workers
        )
        histories.append([{**training.train_epoch(), **training.evaluate()} for _ in range(3)])
    assert histories[0] == histories[1]
    assert histories[0][-1]["train/loss"] < histories[0][0]["train/loss"]
    assert histories[0][-1]["val/top5"] == 1


def test_a_broken_header_is_read_a_truncated_file_is_named(tree: Path) -> None:
    data = load_source(_source(tree))
    broken = tree / "train/n01440764/n01440764_1.JPEG"
    sound = data.train.image(1)
    content = broken.read_bytes()
    profile = b"ICC_PROFILE\0"  # a colour profile that ends before its number
    segment = b"\xff\xe2" + (len(profile) + 2).to_bytes(2, "big") + profile
    broken.write_bytes(content[:20] + segment + content[20:])
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(broken)
    assert np.abs(data.train.image(1).astype(int) - sound).max() <= 2
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"image .*n01440764_1\.JPEG cannot be read: .*truncated"):
        data.train.image(1)
    broken.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"n01440764_1\.JPEG cannot be read: cannot identify"):
        data.train.image(1)


@pytest.mark.parametrize("warnings_are", ["default", "error"])
def test_a_picture_above_the_limit_of_pixels_is_named_as_such(
    tree: Path, monkeypatch: pytest.MonkeyPatch, warnings_are: str
) -> None:
    """Pillow raises what is neither OSError nor ValueError above twice its limit, and warns above once."""
    data = load_source(_source(tree))
    large = tree / "train/n01440764/n01440764_1.JPEG"
    Image.new("RGB", (40, 50)).save(large)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 999 if warnings_are == "default" else 1500)
    limit = 1998 if warnings_are == "default" else 1500
    with warnings.catch_warnings():
        warnings.simplefilter(warnings_are)
        with pytest.raises(InputError) as caught:
            data.train.image(1)
    assert str(caught.value) == (
        f"image {large} has 2000 pixels, more than the {limit} allowed (Pillow's limit): make it smaller, or "
        "remove it"
    )


def _without_val(root: Path) -> None:
    shutil.rmtree(root / "val")


def _flat_val(root: Path) -> None:
    _without_val(root)
    (root / "val").mkdir()


def _other_class(root: Path) -> None:
    (root / "val/n03445777").rename(root / "val/n09999999")


def _empty_class(root: Path) -> None:
    for file in (root / "train/n02105855").glob("*.JPEG"):
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, r"source\.root='.*' has no folder train/"),
        (_without_val, r"source\.root='.*' has no folder val/"),
        (_flat_val, r"val has no class folders"),
        (_other_class, r"differ: only in train/: n03445777; only in val/: n09999999"),
        (_empty_class, r"no images in .*train.n02105855"),
    ],
)
def test_what_is_wrong_with_a_tree_is_named(tree: Path, damage, message: str) -> None:
    damage(tree)
    with pytest.raises(InputError, match=message):
        load_source(_source(tree))


def test_a_missing_root_is_found_before_work_starts() -> None:
    message = "source.root must be the folder that holds train/ and val/"
    assert message in (source_problem(SourceSettings(name="imagenet")) or "")
    with pytest.raises(InputError, match=re.escape(message)):
        load_source(SourceSettings(name="imagenet"))
