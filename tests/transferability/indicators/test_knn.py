import numpy as np
import pytest
import torch
from sklearn.model_selection import LeaveOneGroupOut, LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from raytransfer.data.arrays import SegmentationData
from raytransfer.errors import InputError
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.indicators.base import ScoreSpec
from raytransfer.transferability.indicators.knn import NearestNeighbours, predicted_by_others
from raytransfer.transferability.scorer import score_encoder


class _Pixels:
    """One level: the image itself, with its position as a second channel."""

    level_channels = (2,)

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.stack([x[:, 0], torch.full_like(x[:, 0], 0.5)], dim=1)]

    def to(self, device: object) -> "_Pixels":
        return self

    def eval(self) -> "_Pixels":
        return self


def _theirs(k: int) -> KNeighborsClassifier:
    return KNeighborsClassifier(k, metric="cosine", algorithm="brute")


@pytest.mark.parametrize("k", [1, 3, 5, 20])
def test_a_class_per_feature_is_scikit_learns(k: int) -> None:
    rng = np.random.default_rng(k)
    classes = rng.integers(0, 4, 90)
    features = rng.standard_normal((90, 6)) + classes[:, None] * rng.standard_normal(6)
    ours = predicted_by_others(features, classes, np.arange(90), k)
    theirs = cross_val_predict(_theirs(k), features, classes, cv=LeaveOneOut())
    np.testing.assert_array_equal(ours, theirs)


def test_features_of_one_image_are_left_out_together_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    group, classes = np.repeat(np.arange(12), 7), rng.integers(0, 3, 84)
    features = rng.standard_normal((84, 5)) + classes[:, None]
    ours = predicted_by_others(features, classes, group, 5)
    theirs = cross_val_predict(_theirs(5), features, classes, groups=group, cv=LeaveOneGroupOut())
    np.testing.assert_array_equal(ours, theirs)


def test_an_encoder_on_classes_is_scikit_learn_on_its_averaged_features(images: np.ndarray) -> None:
    with seeded(0):
        encoder = create_encoder("unet-micro").eval()
    labels = np.arange(13) % 3
    with torch.inference_mode():
        maps = encoder.forward_levels(torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1))
    found = score_encoder(encoder, images, [NearestNeighbours(k=3)], labels=labels)
    assert [str(spec) for spec in found] == [f"knn(k=3, points=4, level={level})" for level in range(-5, 0)]
    for spec, score in found.items():
        features = maps[spec.level].mean((2, 3)).numpy()
        right = cross_val_predict(_theirs(3), features, labels, cv=LeaveOneOut()) == labels
        p = right.mean()
        assert score.value == pytest.approx(p)
        assert score.standard_error == pytest.approx(np.sqrt(p * (1 - p) / 12))


def test_pixels_of_a_class_that_looks_the_same_everywhere_are_found() -> None:
    """Dark background with a bright square: the features tell the two apart, not where they are."""
    rng = np.random.default_rng(0)
    labels = np.zeros((9, 16, 16), dtype=np.uint8)
    for each in labels:
        top, left = rng.integers(0, 12, 2)
        each[top : top + 4, left : left + 4] = 1
    images = np.clip(0.2 + 0.6 * labels + rng.uniform(0, 0.1, labels.shape), 0, 1)[..., None].astype(
        "float32"
    )
    clear = score_encoder(_Pixels(), images, [NearestNeighbours()], labels=labels)
    noise = rng.uniform(0, 1, images.shape).astype(np.float32)
    blind = score_encoder(_Pixels(), noise, [NearestNeighbours()], labels=labels)
    spec = ScoreSpec("knn", -1, options=(("k", 5), ("points", 4)))
    assert (clear[spec].value, clear[spec].standard_error, clear[spec].num_images) == (1, 0, 9)
    assert blind[spec].value == pytest.approx(0.5, abs=0.2), "classes count alike whatever their area"
    assert blind[spec].standard_error > 0


def test_of_mni152_the_tissues_are_told_apart_better_than_by_chance(target: SegmentationData) -> None:
    torch.manual_seed(0)
    found = score_encoder(
        create_encoder("unet-micro"), target.train_images, [NearestNeighbours()], labels=target.train_labels
    )
    assert max(score.value for score in found.values()) > 0.5, "three classes"


def test_equal_votes_go_to_the_lower_class_and_equal_distances_to_the_lower_image() -> None:
    features, group = np.ones((4, 2)), np.arange(4)
    assert predicted_by_others(features, np.array([1, 0, 2, 2]), group, 2).tolist() == [0, 1, 0, 0]
    assert predicted_by_others(features, np.array([1, 0, 2, 2]), group, 99).tolist() == [2, 2, 0, 0]


@pytest.mark.parametrize(("options", "name"), [({"k": 0}, "k"), ({"points": 0}, "points")])
def test_impossible_options_are_named(options: dict, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} of knn must be at least 1, got 0"):
        NearestNeighbours(**options)
