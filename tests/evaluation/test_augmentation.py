import numpy as np
import pytest

from raytransfer.data.arrays import SegmentationData, Split
from raytransfer.errors import InputError
from raytransfer.evaluation.augmentation import downstream_augmentation
from raytransfer.evaluation.settings import DownstreamSettings

SIZE = 64


def dataset(
    side: int, *, channels: int = 3, color_jitter: bool = False, window: int | None = None
) -> SegmentationData:
    """An item knows where each pixel was: channel 0 is the column, channel 1 the row, in units of `side`."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    image = np.stack([columns, rows, np.ones_like(rows)], axis=-1)[..., :channels]
    mask = (np.arange(side * side).reshape(side, side) // (side * 8) % 3).astype(np.uint8)
    windows = None if window is None else np.array([[0, 3, 5]])
    train = Split(images=image[None], masks=mask[None], windows=windows, window_size=window)
    test = Split(
        images=np.zeros((1, SIZE, SIZE, channels), np.float32), masks=np.zeros((1, SIZE, SIZE), np.uint8)
    )
    return SegmentationData(
        name="ramps", class_names=("a", "b", "c"), train=train, test=test, image_size=SIZE,
        color_jitter=color_jitter,
    )  # fmt: skip


def results(
    data: SegmentationData, count: int, *, seed: int = 0, **recipe: float
) -> list[dict[str, np.ndarray]]:
    augment = downstream_augmentation(DownstreamSettings(**recipe), data, seed=seed)
    image, mask = data.train[0]
    return [augment(image=image, mask=mask) for _ in range(count)]


@pytest.mark.parametrize(("side", "channels"), [(SIZE, 1), (SIZE, 3), (2 * SIZE, 1), (2 * SIZE, 3)])
def test_the_form_stays_and_the_item_is_not_changed(side: int, channels: int) -> None:
    data = dataset(side, channels=channels)
    before = data.train.images.copy()
    for result in results(data, 5):
        assert result["image"].shape == (SIZE, SIZE, channels)
        assert result["mask"].shape == (SIZE, SIZE)
        assert (result["image"].dtype, result["mask"].dtype) == (np.float32, np.uint8)
        assert 0 <= result["image"].min() <= result["image"].max() <= 1
    assert np.array_equal(data.train.images, before)


@pytest.mark.parametrize("side", [2 * SIZE, 91])  # 91 is the least that fits 64 at any angle
def test_a_square_of_a_larger_item_is_rigid_and_inside(side: int) -> None:
    """Positions read back from the ramps form a grid of unit steps: nothing is filled or clamped."""
    angles, centres = [], []
    for result in results(dataset(side), 200, flip=0.0):
        x, y = result["image"][..., 0] * side, result["image"][..., 1] * side
        assert np.allclose(result["image"][..., 2], 1)
        assert min(x.min(), y.min()) >= -1e-3
        assert max(x.max(), y.max()) <= side - 1 + 1e-3
        step_x, step_y = x[:, -1] - x[:, 0], y[:, -1] - y[:, 0]
        assert np.allclose(np.hypot(step_x, step_y), SIZE - 1, atol=0.1)
        assert np.allclose(np.diff(x, axis=1), step_x[:, None] / (SIZE - 1), atol=0.07)  # OpenCV: 1/32 pixel
        angles.append(np.degrees(np.arctan2(step_y[0], step_x[0])))
        centres.append((x.mean(), y.mean()))
    assert min(angles) < -150
    assert max(angles) > 150
    if side == 2 * SIZE:
        assert np.ptp(np.array(centres), axis=0).min() > 0.3 * side


def test_ones_stay_ones() -> None:
    data = dataset(2 * SIZE)
    augment = downstream_augmentation(DownstreamSettings(), data, seed=1)
    ones = np.ones((2 * SIZE, 2 * SIZE, 3), np.float32)
    for _ in range(100):
        result = augment(image=ones, mask=np.ones((2 * SIZE, 2 * SIZE), np.uint8))
        assert np.allclose(result["image"], 1, atol=1e-6)
        assert result["mask"].min() == 1


@pytest.mark.parametrize("side", [SIZE, 2 * SIZE])
def test_image_and_mask_move_together(side: int) -> None:
    data = dataset(side)
    for result in results(data, 20):
        inside = result["image"][..., 2] > 0.999  # the third channel is 1 inside the item
        column, row = (np.rint(result["image"][..., i] * side).astype(int) for i in (0, 1))
        expected = data.train.masks[0][row.clip(0, side - 1), column.clip(0, side - 1)]
        assert (result["mask"] == expected)[inside].mean() > 0.95  # labels change inside a pixel's rounding
        assert len(np.unique(result["mask"])) > 1


def test_windows_are_what_counts() -> None:
    data = dataset(3 * SIZE, window=2 * SIZE)
    for result in results(data, 50):
        x, y = (result["image"][..., i] * 3 * SIZE for i in (0, 1))
        assert 5 - 1e-3 <= x.min() <= x.max() <= 5 + 2 * SIZE - 1 + 1e-3
        assert 3 - 1e-3 <= y.min() <= y.max() <= 3 + 2 * SIZE - 1 + 1e-3


def test_flips_are_vertical() -> None:
    data = dataset(SIZE)
    image = data.train[0][0]
    found = [result["image"] for result in results(data, 40, rotation=0.0)]
    flipped = [np.allclose(f, image[::-1], atol=1e-5) for f in found]
    assert all(flip or np.allclose(f, image, atol=1e-5) for flip, f in zip(flipped, found, strict=True))
    assert 8 < sum(flipped) < 32


def test_results_are_a_function_of_the_seed() -> None:
    data = dataset(2 * SIZE, color_jitter=True)
    first, again, other = (results(data, 6, seed=seed) for seed in (3, 3, 4))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a["image"], b["image"])
        assert np.array_equal(a["mask"], b["mask"])
        assert not np.array_equal(a["image"], c["image"])


def test_colour_jitter_changes_colours_alone_and_within_its_ranges() -> None:
    data = dataset(SIZE, color_jitter=True)
    augment = downstream_augmentation(DownstreamSettings(rotation=0.0, flip=0.0), data, seed=0)
    grey = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    mask = data.train.masks[0]
    values = []
    for _ in range(200):
        result = augment(image=grey, mask=mask)
        assert np.array_equal(result["mask"], mask)
        assert np.ptp(result["image"]) < 1e-3  # contrast, saturation and hue leave uniform grey as it is
        values.append(float(result["image"].mean()))
    assert 0.45 - 1e-3 <= min(values) < 0.46
    assert 0.54 < max(values) <= 0.55 + 1e-3
    red = np.broadcast_to(np.float32([0.6, 0.3, 0.3]), (SIZE, SIZE, 3)).copy()
    shades = np.stack([augment(image=red, mask=mask)["image"][0, 0] for _ in range(50)])
    assert np.ptp(shades[:, 1] - shades[:, 2]) > 0.05  # hue parts green from blue


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"training items of ramps are 80 x 80 pixels: squares of 64 .* need 91"
    ):
        downstream_augmentation(DownstreamSettings(), dataset(80), seed=0)
    downstream_augmentation(DownstreamSettings(rotation=5.0), dataset(80), seed=0)
    with pytest.raises(InputError, match="needs images of 3 channels, got 1"):
        downstream_augmentation(DownstreamSettings(), dataset(SIZE, channels=1, color_jitter=True), seed=0)
