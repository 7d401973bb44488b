import numpy as np
import pytest

from raytransfer.data.registry import load_target, target_identity, target_task
from raytransfer.data.settings import TargetSettings
from raytransfer.data.targets.mni152_planes import CLASS_NAMES

SETTINGS = TargetSettings(image_size=32, slice_step=5)


@pytest.fixture(scope="module")
def planes():
    return load_target("mni152-planes", SETTINGS)


def test_it_is_the_slices_of_the_segmentation_target_with_a_label_for_each(planes) -> None:
    masks = load_target("mni152", SETTINGS)
    assert np.array_equal(planes.train.images, masks.train.images)
    assert np.array_equal(planes.test.images, masks.test.images)
    for split in (planes.train, planes.test):
        assert set(split.labels.tolist()) == {0, 1, 2}
        assert split.labels.dtype == np.int64
        assert (split.images.min(), split.images.dtype) == (0, np.float32)


def test_no_test_slice_is_next_to_a_training_slice_of_its_plane() -> None:
    """The split is by position: at 1 mm a gap of 5 mm lies between."""
    from raytransfer.data.targets.mni152 import split_of

    positions = {split: [p for p in range(200) if split_of(p) == split] for split in ("train", "test")}
    assert min(abs(a - b) for a in positions["train"] for b in positions["test"]) > 5


def test_a_sagittal_slice_is_no_mirror_image_and_an_axial_one_is(planes) -> None:
    """The brain's halves are alike: left and right in an axial and a coronal slice, which tells the axes."""
    asymmetry = {
        name: np.mean(
            [
                np.abs(i - i[:, ::-1]).mean()
                for i in planes.train.images[planes.train.labels == label, :, :, 0]
            ]
        )
        for label, name in enumerate(CLASS_NAMES)
    }
    assert asymmetry["sagittal"] > 2 * asymmetry["axial"]
    assert asymmetry["sagittal"] > 2 * asymmetry["coronal"]


def test_what_identifies_it_is_what_changes_it() -> None:
    assert target_task("mni152-planes") == "classification"
    assert target_identity("mni152-planes", SETTINGS) == {"image_size": 32, "slice_step": 5}
