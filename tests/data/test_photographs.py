import numpy as np
import pytest

from raytransfer.data.registry import load_source
from raytransfer.data.settings import SourceSettings
from raytransfer.data.sources.photographs import regions
from raytransfer.errors import InputError


def test_photographs_have_the_promised_form() -> None:
    data = load_source(SourceSettings(train_per_class=5, val_per_class=3))
    assert len(data.class_names) == len(set(data.class_names)) == 20
    assert data.train.images.shape == (100, 64, 64, 3)
    assert data.val.images.shape == (60, 64, 64, 3)
    assert data.train.images.dtype == np.uint8
    assert np.bincount(data.train.labels).tolist() == [5] * 20
    assert np.bincount(data.val.labels).tolist() == [3] * 20
    assert data.train.images.reshape(100, -1).std(axis=1).min() > 0


def test_crops_are_a_function_of_the_seed() -> None:
    first, second, other = (
        load_source(SourceSettings(train_per_class=2, val_per_class=1, seed=seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.val.images, second.val.images)
    assert not np.array_equal(first.train.images, other.train.images)


@pytest.mark.parametrize("shape", [(300, 451), (660, 550), (512, 512), (1411, 1411)])
def test_training_and_validation_regions_share_no_pixel(shape: tuple[int, int]) -> None:
    train, val = regions(*shape)
    seen = np.zeros(shape, dtype=int)
    seen[train] += 1
    seen[val] += 1
    assert seen.min() == seen.max() == 1


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(InputError, match="unknown source dataset 'photos': did you mean 'photographs'"):
        load_source(SourceSettings(name="photos"))
