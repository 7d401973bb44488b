import numpy as np
import pytest
from nilearn import datasets

from raytransfer.data.registry import load_target
from raytransfer.data.settings import TargetSettings
from raytransfer.data.targets.mni152 import GAP, TEST_BLOCK, TRAIN_BLOCK, split_of
from raytransfer.errors import InputError


def test_slices_have_the_promised_form() -> None:
    data = load_target("mni152", TargetSettings())
    assert data.class_names == ("background", "grey matter", "white matter")
    for split in (data.train, data.test):
        images, masks = split.images, split.masks
        assert images.shape == (*masks.shape, 1)
        assert masks.shape[1:] == (64, 64)
        assert (images.dtype, masks.dtype) == (np.float32, np.uint8)
        assert images.min() >= 0
        assert images.max() <= 1
        assert np.unique(masks).tolist() == [0, 1, 2]
    assert len(data.train) > len(data.test) > 40


def test_train_and_test_blocks_are_apart_by_the_gap() -> None:
    splits = [split_of(position) for position in range(200)]
    train = {i for i, s in enumerate(splits) if s == "train"}
    test = {i for i, s in enumerate(splits) if s == "test"}
    assert min(abs(a - b) for a in train for b in test) == GAP + 1
    assert splits[:TRAIN_BLOCK] == ["train"] * TRAIN_BLOCK
    assert splits.count("test") == 200 // 40 * TEST_BLOCK


def test_labels_at_full_resolution_are_the_templates_own() -> None:
    """At the template's own 233 px nothing is averaged, so the labels must be its argmax."""
    settings = TargetSettings(slice_step=10)
    object.__setattr__(settings, "image_size", 233)  # which no encoder takes
    data = load_target("mni152", settings)
    grey, white = (
        np.asarray(load(resolution=1).dataobj, dtype=np.float64)
        for load in (datasets.load_mni152_gm_template, datasets.load_mni152_wm_template)
    )
    tissue = (grey + white > 0.5).sum(axis=(1, 2))
    first = int(np.flatnonzero(tissue >= 0.05 * 233**2)[0])
    expected = np.argmax(np.stack([1 - grey[first] - white[first], grey[first], white[first]]), axis=0)
    mask = np.rot90(data.train.masks[0], -1)  # (233, 233): the sagittal slice is 233 x 189, padded by 22
    assert np.array_equal(mask[:, 22 : 22 + 189], expected)


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(InputError, match="unknown target dataset 'mni': did you mean 'mni152'"):
        load_target("mni", TargetSettings())
