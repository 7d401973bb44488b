"""Sanity of the pretraining schemes' augmentations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from raytransfer.data.sources.augmentation import (
    AUGMENTATIONS,
    batch_augmentation,
    image_augmentation,
    image_evaluation,
)
from raytransfer.errors import InputError
from raytransfer.runtime.seeding import seeded

CLASSES = 5


def _image(height: int = 96, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_are_functions_of_the_seed(name: str) -> None:
    augment = image_augmentation(name, image_size=64)

    def seen(seed: int) -> torch.Tensor:
        with seeded(seed, cuda=False):
            return augment(_image())

    first = seen(0)
    assert (first.shape, first.dtype, first.is_contiguous()) == ((3, 64, 64), torch.uint8, True)
    assert torch.equal(first, seen(0))
    assert not torch.equal(first, seen(1))


def test_randaugment_changes_what_crop_and_flip_leave() -> None:
    """Both augmentations crop and flip alike, so under one seed RandAugment alone tells them apart."""
    simple, advanced = (image_augmentation(scheme, image_size=64) for scheme in ("simple", "advanced"))
    same = 0
    for seed in range(30):
        with seeded(seed, cuda=False):
            plain = simple(_image())
        with seeded(seed, cuda=False):
            same += torch.equal(plain, advanced(_image()))
    assert same <= 3  # two identities, or operations that leave this image as it is


def test_evaluation_crops_the_centre_of_the_resized() -> None:
    image = np.zeros((64, 100, 3), np.uint8)
    image[:, 18:82] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    seen = image_evaluation(image_size=64)(image)
    assert np.array_equal(seen.permute(1, 2, 0).numpy(), image[:, 18:82])
    assert image_evaluation(image_size=32)(_image(200, 90)).shape == (3, 32, 32)


def _mixed(change: Callable, count: int = 400, size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the batch after mixing; image i is the constant (i + 1) / count, its class i modulo 5."""
    values = (torch.arange(count) + 1) / count
    images = values[:, None, None, None].expand(-1, 3, size, size).clone()
    with seeded(0, cuda=False):
        return change(images, torch.arange(count) % CLASSES)


def test_mixed_labels_and_images() -> None:
    """Labels say what the images hold; mixup in 0.4, CutMix in 0.5, nothing in 0.1, erased in 0.25."""
    count = 400
    images, labels = _mixed(batch_augmentation("advanced", num_classes=CLASSES), count)
    assert labels.shape == (count, CLASSES)
    torch.testing.assert_close(labels.sum(1), torch.ones(count))
    assert labels.min() >= 0
    assert images.min() >= 0
    assert images.max() <= 1
    kinds = []
    erased_areas = []
    for i in range(count):
        own, other = (i + 1) / count, (count - i) / count
        channels = images[i]
        assert torch.equal(channels[0], channels[1])
        erased = channels[0] == 0
        if erased.any():
            erased_areas.append(erased.double().mean().item())
            rows, columns = erased.any(1), erased.any(0)
            assert erased.sum() == rows.sum() * columns.sum(), "the erased area is not a rectangle"
            continue
        values = channels[0].unique().tolist()
        weight = labels[i, i % CLASSES].item() if (count - 1 - i) % CLASSES != i % CLASSES else None
        if len(values) == 2:
            kinds.append("cutmix")
            assert sorted(values) == pytest.approx(sorted([own, other]))
            if weight is not None:
                share = ((channels[0] - own).abs() < 1e-6).double().mean().item()
                assert weight == pytest.approx(share, abs=1e-6)
        elif values == pytest.approx([own]):
            kinds.append("nothing")
        elif values == pytest.approx([other]):
            kinds.append("cutmix")  # a box over the whole image
        else:
            kinds.append("mixup")
            if weight is not None:
                assert values[0] == pytest.approx(weight * own + (1 - weight) * other, abs=1e-5)
    assert len(erased_areas) == pytest.approx(0.25 * count, abs=0.07 * count)
    assert 0.01 <= min(erased_areas) < max(erased_areas) <= 0.36  # sides are rounded to pixels
    for kind, share in (("mixup", 0.4), ("cutmix", 0.5), ("nothing", 0.1)):
        assert kinds.count(kind) / len(kinds) == pytest.approx(share, abs=0.08), kind


def test_simple_leaves_batches_alone() -> None:
    images, labels = torch.rand(4, 3, 8, 8), torch.arange(4)
    changed = batch_augmentation("simple", num_classes=CLASSES)(images, labels)
    assert changed[0] is images
    assert changed[1] is labels


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(InputError, match="unknown augmentation 'advance': did you mean 'advanced'"):
        image_augmentation("advance", image_size=64)


def test_strength_scales_from_nothing_to_the_scheme() -> None:
    image = _image(64, 64)
    for name in AUGMENTATIONS:
        with seeded(0, cuda=False):
            unchanged = image_augmentation(name, image_size=64, strength=0.0)(image)
        assert np.array_equal(unchanged.permute(1, 2, 0).numpy(), image)
    for scheme in ("simple", "advanced"):
        steps = [str(image_augmentation(scheme, image_size=64, strength=s).steps) for s in (0.5, 1.0)]
        assert "scale=(0.9, 1.0)" in steps[0]
        assert "scale=(0.8, 1.0), ratio=(0.75, 1.3333333333333333)" in steps[1]
        assert "p=0.25" in steps[0]
        assert "p=0.5" in steps[1]
        assert ("magnitude=4" in steps[0], "magnitude=9" in steps[1]) == (scheme == "advanced",) * 2
    images = torch.rand(6, 3, 24, 24)
    with seeded(0, cuda=False):
        mixed, labels = batch_augmentation("advanced", num_classes=CLASSES, strength=0.0)(
            images.clone(), torch.arange(6) % CLASSES
        )
    assert torch.equal(mixed, images)
    assert torch.equal(labels.argmax(1), torch.arange(6) % CLASSES)
    half, _ = _mixed(batch_augmentation("advanced", num_classes=CLASSES, strength=0.5))
    erased = sum(bool((image == 0).any()) for image in half)
    assert erased == pytest.approx(0.125 * 400, abs=25)
