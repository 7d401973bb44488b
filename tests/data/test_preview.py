"""A picture of prepared data, which is no part of them."""

from pathlib import Path

import generated_trees as trees
import numpy as np
from PIL import Image

from raytransfer.data.targets.prepared import fingerprint, load_prepared, prepare
from raytransfer.data.targets.preview import draw_preview

SIZE = 32


def test_the_preview_shows_the_labels_and_is_no_part_of_the_data(tmp_path: Path) -> None:
    source = trees.folder(tmp_path / "mine", labels=2)
    for path in (source / "images").iterdir():
        with Image.open(path) as image:
            size = image.size
        Image.new("L", size, 100).save(path)
        mask = np.zeros(size[::-1], np.uint8)
        mask[10:30, 10:30] = 1
        trees.write_picture(source / "masks" / f"{path.stem}.png", mask)
    prepared = prepare("folder", source, tmp_path / "out", image_size=SIZE).path
    before = fingerprint(prepared)
    drawn = draw_preview(prepared)
    assert drawn == prepared / "preview.png"
    with Image.open(drawn) as picture:
        colours = {colour[:3] for _, colour in picture.getcolors(maxcolors=2**20)}
    assert (100, 100, 100) in colours, "the images"
    orange = np.array([0xE6, 0x9F, 0x00])
    assert tuple(((100 + orange) // 2).tolist()) in colours, "the label over them"
    first = drawn.read_bytes()
    assert draw_preview(prepared).read_bytes() == first
    assert fingerprint(prepared) == before
    load_prepared(prepared, verify=True)
    assert prepare("folder", source, prepared, image_size=SIZE).unchanged
    assert not prepare("folder", source, prepared, image_size=SIZE, replace=True).unchanged
    assert fingerprint(prepared) == before


def test_windows_and_many_classes_are_drawn(tmp_path: Path) -> None:
    windows = prepare(
        "idrid", trees.idrid(tmp_path / "a", train=(1,), test=(55,)), tmp_path / "b", image_size=SIZE
    )
    assert draw_preview(windows.path).is_file()
    many = prepare("folder", trees.folder(tmp_path / "c", labels=30), tmp_path / "d", image_size=SIZE)
    assert draw_preview(many.path).is_file()
