import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from raytransfer.errors import InputError
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.indicators.base import ScoreSpec
from raytransfer.transferability.indicators.h_score import HScore, h_score
from raytransfer.transferability.indicators.registry import read_indicator
from raytransfer.transferability.scorer import score_encoder

COVARIANCES = pytest.mark.parametrize(
    ("covariance", "theirs"), [("sample", "h_score"), ("shrunk", "h_score_regularized")]
)


@COVARIANCES
@pytest.mark.parametrize("case", ["blobs", "noise", "wide", "relu", "scaled", "shifted", "gap"])
def test_values_of_the_public_code(shared: Path, case: str, covariance: str, theirs: str) -> None:
    folder = shared / "reference/indicators"
    expected = json.loads((folder / "values.json").read_text())["cases"][case][theirs]["tllib"]
    stored = np.load(folder / "inputs.npz")
    base = case if f"{case}_features" in stored else "blobs"
    features, labels = stored[f"{base}_features"], stored[f"{base}_labels"]
    if case == "gap":
        features, labels = features[labels != 1], labels[labels != 1]
    features = features * (100 if case == "scaled" else 1) + (5 if case == "shifted" else 0)
    assert h_score(features, labels, covariance) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("covariance", "value"), [("sample", 1.1918988250416602), ("shrunk", 1.177842499331281)]
)
def test_iris(covariance: str, value: float) -> None:
    assert h_score(*load_iris(return_X_y=True), covariance) == pytest.approx(value, rel=1e-10)


def test_it_is_the_variance_that_scikit_learns_discriminants_explain() -> None:
    """Of a discriminant with the ratio r of variance between classes to that within, it has r / (1 + r)."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 200)
    features = rng.standard_normal((200, 6)) + classes[:, None] * rng.standard_normal(6)
    projected = LinearDiscriminantAnalysis(solver="svd").fit(features, classes).transform(features)
    means = np.stack([projected[classes == each].mean(0) for each in range(3)])[classes]
    expected = (means.var(0) / projected.var(0)).sum()
    assert h_score(features, classes) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("covariance", ["sample", "shrunk"])
def test_an_encoder_on_classes_is_the_definition_on_its_averaged_features(
    images: np.ndarray, covariance: str
) -> None:
    with seeded(0):
        encoder = create_encoder("unet-micro").eval()
    labels = np.arange(13) % 3
    with torch.inference_mode():
        maps = encoder.forward_levels(torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1))
    found = score_encoder(encoder, images, [HScore(covariance=covariance)], labels=labels)
    assert [str(spec) for spec in found] == [
        f"h_score(covariance={covariance}, points=4, level={level})" for level in range(-5, 0)
    ]
    for spec, score in found.items():
        expected = h_score(maps[spec.level].mean((2, 3)).numpy(), labels, covariance)
        assert score.value == pytest.approx(expected, abs=1e-4)
        assert (score.standard_error, score.num_images) == (None, 13)


class _Pixels:
    """One level: the image itself, with noise as a second channel."""

    level_channels = (2,)

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.stack([x[:, 0], torch.sin(1e4 * x[:, 0])], dim=1)]

    def to(self, device: object) -> "_Pixels":
        return self

    def eval(self) -> "_Pixels":
        return self


def test_pixels_of_a_class_that_looks_the_same_everywhere_are_found() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((9, 16, 16), dtype=np.uint8)
    labels[:, 4:8, 9:13] = 1
    noise = rng.uniform(0, 1, labels.shape)
    clear = (0.2 + 0.6 * labels + 0.1 * noise)[..., None].astype(np.float32)
    spec = ScoreSpec("h_score", -1, options=(("covariance", "sample"), ("points", 4)))
    seen = score_encoder(_Pixels(), clear, [HScore()], labels=labels)[spec]
    blind = score_encoder(_Pixels(), noise[..., None].astype(np.float32), [HScore()], labels=labels)[spec]
    assert 0.9 < seen.value <= 1, "classes count alike whatever their area, and two give at most 1"
    assert 0 <= blind.value < 0.2


@pytest.mark.parametrize("covariance", ["sample", "shrunk"])
@pytest.mark.parametrize("value", [0, 0.1, 1e6])
def test_features_that_are_all_the_same_but_for_rounding_score_0(value: float, covariance: str) -> None:
    rng = np.random.default_rng(0)
    rounded = value * (1 + 1e-7 * rng.standard_normal((30, 4)))
    for features in (np.full((30, 4), value, dtype=np.float32), rounded.astype(np.float32)):
        assert h_score(features, np.arange(30) % 3, covariance) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h_score(points=0)", "points of h_score must be at least 1, got 0"),
        ("h_score(covariance=shrunken)", "unknown covariance 'shrunken': did you mean 'shrunk'"),
    ],
)
def test_impossible_options_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_indicator(text)
