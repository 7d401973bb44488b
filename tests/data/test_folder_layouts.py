"""Where the images and masks of one's own folder may lie, and what is said where they do not."""

import json
import shlex
import subprocess
from pathlib import Path

import generated_trees as trees
import pytest

from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.prepared import load_prepared, prepare
from raytransfer.errors import InputError

SIZE = 32


def move(source: Path, *moves: tuple[str, str]) -> None:
    for old, new in moves:
        for path in sorted(source.glob(old)):
            target = source / new.format(stem=path.stem, suffix=path.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def moved(tmp_path: Path, *moves: tuple[str, str]) -> Path:
    source = trees.folder(tmp_path / "mine")
    move(source, *moves)
    return source


KEEP = "{stem}{suffix}"
HALVES = ("train", "test")


@pytest.mark.parametrize(
    ("moves", "notes"),
    [
        ([], []),
        *(
            ([("images", images), ("masks", masks)], [f"recognised: images in {images}/, masks in {masks}/"])
            for images, masks in (
                ("img", "labels"), ("imgs", "mask"), ("image", "gt"), ("Images", "Annotations"),
                ("images", "segmentations"),
            )
        ),
        *(
            (
                [("masks/*", f"masks/{{stem}}{end}.png")],
                [f"recognised: masks are named like their images with {end} at the end"],
            )
            for end in ("_mask", "_seg", "_label", "_labels", "_segmentation", "-Mask")
        ),
        (
            [("masks/*", "{stem}_mask.png"), ("images/*", KEEP)],
            ["recognised: masks beside their images in mine/",
             "recognised: masks are named like their images with _mask at the end"],
        ),
        (
            [("masks/*", "images/{stem}_gt.png")],
            ["recognised: masks beside their images in images/",
             "recognised: masks are named like their images with _gt at the end"],
        ),
        ([("images/*", KEEP)], ["recognised: images in mine/, masks in masks/"]),
    ],
)  # fmt: skip
def test_layouts_give_the_same_data(tmp_path: Path, moves: list, notes: list[str]) -> None:
    usual = prepare("folder", trees.folder(tmp_path / "usual"), tmp_path / "a", image_size=SIZE)
    report = prepare("folder", moved(tmp_path, *moves), tmp_path / "b", image_size=SIZE)
    assert list(report.notes[:-1]) == notes
    assert report.warnings == usual.warnings == ()
    arrays = [json.loads((tmp_path / name / "prepared.json").read_text())["arrays"] for name in "ab"]
    assert arrays[0] == arrays[1]


@pytest.mark.parametrize(
    "moves",
    [
        [("train", "Train"), ("test", "Testing")],
        [("train/masks", "train/gt"), ("test/images", "test/imgs")],
        [(f"{split}/masks/*", f"{split}/{{stem}}_seg.png") for split in HALVES]
        + [(f"{split}/images/*", f"{split}/{KEEP}") for split in HALVES],
        [(f"{split}/{kind}", f"{kind}/{split}") for split in HALVES for kind in ("images", "masks")],
    ],
)  # fmt: skip
def test_the_same_below_train_and_test(tmp_path: Path, moves: list) -> None:
    source = tmp_path / "mine"
    for split, names in (("train", "abc"), ("test", "de")):
        trees.folder(source / split, names=names)
    before = prepare("folder", source, tmp_path / "before", image_size=SIZE)
    assert before.notes[:-1] == ()
    move(source, *moves)
    after = prepare("folder", source, tmp_path / "after", image_size=SIZE)
    assert (after.counts, after.warnings) == (before.counts, ())
    files = [(tmp_path / name / "train_masks.npy").read_bytes() for name in ("before", "after")]
    assert files[0] == files[1]


def test_an_image_whose_name_ends_like_a_mask_is_an_image(tmp_path: Path) -> None:
    source = moved(
        tmp_path, ("images/a.png", "scan_seg.png"), ("masks/a.png", "scan_seg_mask.png"),
        ("images/*", KEEP), ("masks/*", "{stem}_mask.png"),
    )  # fmt: skip
    report = prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert sum(counts["items"] for counts in report.counts.values()) == 5
    groups = json.loads((tmp_path / "out" / "prepared.json").read_text())["groups"]
    assert "scan_seg.png" in groups["train"] + groups["test"]


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    source = trees.folder(tmp_path / "mine")
    (source / "images/old").mkdir()
    (source / "README.md").write_text("read me")
    (source / "images/Thumbs.db").write_text("junk")
    trees.folder(source / "val")
    report = prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert report.warnings == ("not read: README.md, val/", "not read: images/old/")
    assert load_prepared(tmp_path / "out", verify=True)


def test_a_second_mask_is_named(tmp_path: Path) -> None:
    source = moved(tmp_path, ("masks/b.png", "masks/a_mask.png"))
    with pytest.raises(BadDataError) as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert "masks/a_mask.png: a second mask of the image a.png, beside a.png" in caught.value.problems
    assert "images/b.tif: missing mask" in caught.value.problems


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        (
            [("images", "pics"), ("masks", "truth")],
            "nor pictures with their masks, such as a.png and a_mask.png: it holds pics/, truth/; give them "
            "these names, as in: mv mine/pics mine/images",
        ),
        (
            [("images", "sub dir/images"), ("masks", "sub dir/masks")],
            "mine holds no pictures, but sub dir/ does: --source 'mine/sub dir'",
        ),
        ([("masks", "contours")], "if contours/ holds the masks: mv mine/contours mine/masks"),
        ([("images", "pics")], "mine holds masks/ but no folder with images: mv mine/pics mine/images"),
        (
            [("masks/*", "masks/x{stem}.png")],
            "no image of mine/images has a mask of its name in mine/masks: images are a.png, b.tif, ..., "
            "masks xa.png, xb.png, ...",
        ),
        (
            [("masks/a.png", "gt/a.png"), ("masks", "labels")],
            "mine holds gt/ and labels/, which could both be masks/; if it is the first: mv mine/gt mine",
        ),
        ([("images/*", f"images/p1/{KEEP}")], "mine/images holds no pictures but p1/: put the pictures"),
        (
            [("images", "train/images"), ("masks", "train/masks")],
            "mine holds train/ but no test/: make one like it",
        ),
        (
            [("images", "train/images"), ("masks/*", "val/masks/{stem}.png")],
            "mine holds train/ but no test/: if val/ is meant: mv mine/val mine/test",
        ),
    ],
)
def test_what_cannot_be_recognised_is_one_line_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: list, message: str
) -> None:
    moved(tmp_path, *moves)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        prepare("folder", Path("mine"), Path("out"), image_size=SIZE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("out").exists()


def test_the_folder_of_images_in_place_of_the_one_above_is_noticed(tmp_path: Path) -> None:
    source = trees.folder(tmp_path / "mine")
    with pytest.raises(InputError, match=f"there are no masks: they are beside it: --source {source}$"):
        prepare("folder", source / "images", tmp_path / "out", image_size=SIZE)


def test_a_suggested_command_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trees.folder(Path("my own"))
    Path("my own/masks").rename("my own/contours")
    with pytest.raises(InputError) as caught:
        prepare("folder", Path("my own"), Path("out"), image_size=SIZE)
    command = "mv" + str(caught.value).partition(": mv")[2]
    subprocess.run(shlex.split(command), check=True)
    prepare("folder", Path("my own"), Path("out"), image_size=SIZE)
