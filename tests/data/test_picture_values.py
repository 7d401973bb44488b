"""Which values of one's own images become 0 and 1: one range for all of them, never guessed in silence."""

import json
from pathlib import Path

import cv2
import generated_trees as trees
import numpy as np
import pytest
from PIL import Image

from raytransfer.data.formats.picture_values import number
from raytransfer.data.formats.pictures import read_colour, read_values
from raytransfer.data.targets.cases import BadDataError, BadFileError
from raytransfer.data.targets.prepared import load_prepared, prepare
from raytransfer.errors import InputError

SIZE = 32


def images(root: Path, values: list[np.ndarray], *, suffix: str = ".png") -> Path:
    """Write images of SIZE pixels, the last of which is the only one that tests."""
    for index, pixels in enumerate(values):
        split = "train" if index < len(values) - 1 else "test"
        path = root / split / "images" / f"{index}{suffix}"
        trees.write_picture(root / split / "masks" / f"{index}.png", np.eye(SIZE, dtype=np.uint8))
        path.parent.mkdir(parents=True, exist_ok=True)
        if pixels.ndim == 3 and pixels.dtype == np.uint16:
            cv2.imwrite(str(path), pixels[..., ::-1])
        else:
            Image.fromarray(pixels).save(path)
    return root


def ramp(low: float, high: float, dtype: type, *, channels: int = 0) -> np.ndarray:
    values = np.linspace(low, high, SIZE * SIZE * max(channels, 1))
    return values.reshape((SIZE, SIZE, channels) if channels else (SIZE, SIZE)).astype(dtype)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    pixels = values.reshape(SIZE, SIZE, -1).astype(float)
    return np.clip((pixels - low) / (high - low), 0, 1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize(
    ("high", "full", "bits"),
    [(200, 255, 8), (900, 1023, 10), (4095, 4095, 12), (4096, 16383, 14), (65000, 65535, None)],
)
def test_integers_are_divided_by_the_full_range_that_all_of_them_suggest(
    tmp_path: Path, high: int, full: int, bits: int | None, channels: int, suffix: str
) -> None:
    """Pillow cuts colours of 16 bits to 8: 12-bit values become 0 .. 15."""
    tops = (high // 3, high, high // 2)
    dark, bright, half = (ramp(0, top, np.uint16, channels=channels) for top in tops)
    source = images(tmp_path / "mine", [dark, bright, half], suffix=suffix)
    report = prepare("folder", source, tmp_path / "out", image_size=SIZE)
    data = load_prepared(tmp_path / "out")
    assert data.train.images.dtype == np.float32
    for index, values in enumerate((dark, bright)):
        assert np.allclose(data.train[index][0], scaled(values, 0, full), atol=1e-6)
    assert np.allclose(data.test[0][0], scaled(half, 0, full), atol=1e-6)
    assert report.notes == (f"images hold values from 0 to {high}: 0 becomes 0, {full} becomes 1",)
    warning = (
        f"images of more than 8 bits hold 0 to {high}: taken as {bits}-bit values, so that {full} becomes 1 "
        "(--value-range LOW HIGH says otherwise)"
    )
    assert report.warnings == ((warning,) if bits else ())
    description = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert (description["values_found"], description["values_scaled"]) == ([0, high], [0, full])


def test_floats_in_0_to_1_are_kept(tmp_path: Path) -> None:
    values = [ramp(0.1, top, np.float32) for top in (0.5, 0.9, 1)]
    report = prepare(
        "folder", images(tmp_path / "mine", values, suffix=".tif"), tmp_path / "out", image_size=SIZE
    )
    data = load_prepared(tmp_path / "out")
    assert np.array_equal(data.train[1][0][..., 0], values[1])
    assert report.warnings == ()
    assert report.notes == ("images hold values from 0.1 to 1: 0 becomes 0, 1 becomes 1",)


CT = [ramp(-1000, 2000, np.int32), ramp(-900, 900, np.int32), ramp(0, 500, np.int32)]
FLOATS = [ramp(0, 1, np.float32), ramp(0, 300.5, np.float32), ramp(0, 0.9, np.float32)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            CT,
            "images hold values from -1000 (train/images/0.tif) to 2000 (train/images/0.tif): say which "
            "become 0 and 1, as in --value-range -1000 2000",
        ),
        (
            FLOATS,
            "images hold values from 0 (train/images/0.tif) to 300.5 (train/images/1.tif): say which become "
            "0 and 1, as in --value-range 0 300.5",
        ),
    ],
)
def test_other_values_need_a_range(tmp_path: Path, values: list[np.ndarray], message: str) -> None:
    source = images(tmp_path / "mine", values, suffix=".tif")
    with pytest.raises(InputError) as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "suffix", "low", "high"),
    [
        (CT, ".tif", -200, 300),
        (FLOATS, ".tif", 0, 400),
        ([ramp(0, 60, np.uint8)] * 2 + [ramp(0, 15, np.uint8)], ".png", 0, 60),
        ([ramp(0, 4000, np.uint16)] * 2 + [ramp(0, 1000, np.uint16)], ".png", 100, 3000),
    ],
)
def test_with_a_range_its_values_become_0_and_1(
    tmp_path: Path, values: list[np.ndarray], suffix: str, low: float, high: float
) -> None:
    source = images(tmp_path / "mine", values, suffix=suffix)
    report = prepare("folder", source, tmp_path / "out", image_size=SIZE, value_range=(low, high))
    data = load_prepared(tmp_path / "out")
    assert data.train.images.dtype == np.float32
    assert np.allclose(data.train[0][0], scaled(values[0], low, high), atol=1e-6)
    assert np.allclose(data.test[0][0], scaled(values[2], low, high), atol=1e-6)
    outside = [pixels for pixels in values if pixels.min() < low or pixels.max() > high]
    assert len(report.warnings) == bool(outside)
    if outside:
        assert report.warnings[0].startswith(
            f"{len(outside)} of 3 images hold values outside {low} to {high}, which are clipped (train/"
        )
    assert json.loads((tmp_path / "out/prepared.json").read_text())["settings"]["value_range"] == [low, high]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (
            [ramp(0, 4000, np.uint16), ramp(0, 255, np.uint8), ramp(0, 254, np.uint8)],
            "2 of 8 bits (train/images/1.tif)|if 255 is as bright as 4095, those of 8 bits times 4095/255",
        ),
        (
            [ramp(0, 1, np.float32), ramp(0, 255, np.uint8), ramp(0, 900, np.uint16)],
            "1 of floats (train/images/0.tif), 1 of 8 bits (train/images/1.tif), 1 of |as floats in [0, 1]",
        ),
    ],
)
@pytest.mark.parametrize("value_range", [None, (0, 4000)])
def test_images_of_different_depth_are_refused(
    tmp_path: Path, values: list[np.ndarray], shown: str, value_range: tuple[float, float] | None
) -> None:
    source = images(tmp_path / "mine", values, suffix=".tif")
    with pytest.raises(InputError, match="images of different depth in one data set") as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE, value_range=value_range)
    assert all(part in str(caught.value) for part in shown.split("|"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("low", "high", "dtype"), [(0, 15, np.uint8), (30000, 40000, np.uint16)])
def test_images_of_almost_one_brightness_are_warned_about(
    tmp_path: Path, low: int, high: int, dtype: type
) -> None:
    source = images(tmp_path / "mine", [ramp(low, high, dtype)] * 2 + [ramp(low, high - 1, dtype)])
    (warning,) = prepare("folder", source, tmp_path / "out", image_size=SIZE).warnings
    assert f"images hold only {low} to {high} of 0 to " in warning
    assert f"--value-range {low} {high} uses the whole range" in warning


def test_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    source = images(tmp_path / "mine", [*FLOATS[:1], ramp(0, 1, np.float32) / 0.9, FLOATS[0]], suffix=".tif")
    broken = FLOATS[0].copy()
    broken[0, 0] = np.nan
    Image.fromarray(broken).save(source / "train/images/1.tif")
    with pytest.raises(BadDataError, match=r"train/images/1\.tif: has values that are not finite"):
        prepare("folder", source, tmp_path / "out", image_size=SIZE)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_of_16_bits_are_read_whole_or_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep{suffix}"
    pixels = ramp(0, 4095, np.uint16, channels=3)
    cv2.imwrite(str(path), pixels[..., ::-1])
    assert np.array_equal(read_values(path), pixels)
    with pytest.raises(BadFileError, match="has more than 8 bits per value"):
        read_colour(path)
    trees.truncate(path)
    with pytest.raises(BadFileError, match="truncated or damaged"):
        read_values(path)


def test_pictures_above_the_limit_of_pixels_are_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = images(tmp_path / "mine", [ramp(0, 255, np.uint8)] * 2 + [ramp(0, 254, np.uint8)])
    trees.write_picture(source / "train/images/0.png", np.zeros((48, 50), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIZE * SIZE)
    with pytest.raises(BadDataError) as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE)
    reason = f"has 2400 pixels, more than the {2 * SIZE**2} allowed (Pillow's limit): make it smaller"
    assert caught.value.problems == [f"train/images/0.png: {reason}"]


@pytest.mark.parametrize(
    ("value", "text"), [(4095.0, "4095"), (0.0, "0"), (0.12344, "0.1234"), (1e9, "1000000000")]
)
def test_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    assert number(value) == text
