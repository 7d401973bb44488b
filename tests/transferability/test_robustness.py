from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import distance as scipy_distance

from raytransfer.config import InputError
from raytransfer.models import create_encoder
from raytransfer.training.seeding import seeded
from raytransfer.transferability import ColorJitter, robustness, score_encoder


@pytest.fixture(scope="module")
def encoder():
    with seeded(0):
        return create_encoder("unet-micro").eval()


def test_reference_cases(shared: Path) -> None:
    stored = np.load(shared / "reference/robustness/hinge_cases.npz")
    for case in stored["cases"]:
        q, k = (torch.from_numpy(stored[f"{case}_{name}"]) for name in "qk")
        negative = k[torch.from_numpy(stored[f"{case}_neg_index"]).long()]
        for distance in ("cosine", "l2", "pearson"):
            hinges = stored[f"{case}_{distance}_hinge_mean"]
            for margin, hinge in zip(stored["margins"].tolist(), hinges.tolist(), strict=True):
                score = robustness(q, k, negative, distance=distance, margin=margin)
                assert score == pytest.approx(1 - hinge, abs=1e-6), (case, distance, margin)


@pytest.mark.parametrize(("distance", "theirs"), [("cosine", "cosine"), ("pearson", "correlation")])
def test_distances_are_scipys(distance: str, theirs: str) -> None:
    q, p, n = np.random.default_rng(0).standard_normal((3, 1, 50))
    d = getattr(scipy_distance, theirs)
    expected = 1 - max(0.0, d(q[0], p[0]) - d(q[0], n[0]) + 0.5)
    score = robustness(*(torch.from_numpy(x) for x in (q, p, n)), distance=distance)
    assert score == pytest.approx(expected, abs=1e-12)


def test_the_pass_gives_what_the_definition_gives(encoder, images: np.ndarray) -> None:
    """Every choice of the streaming pass against `robustness` on whole arrays of representations."""
    order = np.random.default_rng(3).permutation(len(images)).tolist()
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    jitter = ColorJitter()
    with torch.inference_mode():
        views = [
            encoder.forward_levels(jitter.batch(batch, seed=3, indices=list(range(13)), view=view))
            for view in (0, 1)
        ]
    found = score_encoder(
        encoder, images, distances=("cosine", "l2", "pearson"), margins=(0.0, 0.5), levels=(1, -2, 5), seed=3,
        batch_size=4,
    )  # fmt: skip
    assert len(found) == 3 * 2 * 3 * 2
    for score in found:
        q, k = (view[score.level - 1][order].double() for view in views)
        if score.pooled:
            q, k = q.mean((2, 3)), k.mean((2, 3))
        expected = robustness(q, k, k.roll(-1, 0), distance=score.distance, margin=score.margin)
        assert score.score == pytest.approx(expected, abs=1e-6)
        parts = [
            robustness(
                q[i : i + 1], k[i : i + 1], k.roll(-1, 0)[i : i + 1],
                distance=score.distance, margin=score.margin,
            )
            for i in range(13)
        ]  # fmt: skip
        assert score.standard_error == pytest.approx(np.std(parts, ddof=1) / np.sqrt(13), abs=1e-6)
        assert score.num_images == 13


@pytest.mark.parametrize("batch_size", [1, 5, 7, 12, 13, 64])
def test_scores_do_not_depend_on_the_batch_size(encoder, images: np.ndarray, batch_size: int) -> None:
    a = score_encoder(encoder, images, batch_size=batch_size)
    b = score_encoder(encoder, images, batch_size=6)
    for x, y in zip(a, b, strict=True):
        assert asdict(x) == pytest.approx(asdict(y), abs=1e-6)


def test_jitter_is_a_draw_per_seed_image_and_view() -> None:
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    jitter = ColorJitter()
    draws = [jitter(image, seed=s, index=i, view=v) for s in (0, 1) for i in (0, 1) for v in (0, 1)]
    assert torch.equal(draws[0], jitter(image, seed=0, index=0, view=0))
    for i, a in enumerate(draws):
        assert a.min() >= 0
        assert a.max() <= 1
        assert not any(torch.equal(a, b) for b in draws[i + 1 :])


def test_jitter_stays_within_its_strengths() -> None:
    grey = torch.full((3, 4, 4), 0.5)
    means = [float(ColorJitter(contrast=0)(grey, seed=0, index=i, view=0).mean()) for i in range(200)]
    assert 0.45 <= min(means) < 0.46
    assert 0.54 < max(means) <= 0.55


def test_levels_are_numbered_from_1_or_from_the_end(encoder, images: np.ndarray) -> None:
    (a,), (b,) = (score_encoder(encoder, images, levels=(n,), pooled=(True,)) for n in (-2, 4))
    assert a == b


class _Constant(torch.nn.Module):
    """Gives one value everywhere."""

    level_channels = (2,)

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.full((len(x), 2, 4, 4), self.value)]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda a: a[:1], {}, "two or more, got 1"),
        (lambda a: a[:, :, :, 0], {}, r"\(H, W, 1\) or \(H, W, 3\)"),
        (lambda a: a[:, :, :, [0, 0]], {}, r"\(H, W, 1\) or \(H, W, 3\)"),
        (lambda a: (a * 255).astype(np.uint8), {}, "floats in"),
        (lambda a: a * 255, {}, r"values in \[0, 1\]"),
        (lambda a: np.where(a > 0.5, np.nan, a), {}, r"values in \[0, 1\]"),
        (lambda a: a, {"levels": (6,)}, "level 6 does not exist: the encoder has levels 1 to 5"),
        (lambda a: a, {"levels": (0,)}, "level 0 does not exist"),
        (lambda a: a, {"distances": ("cosin",)}, "did you mean 'cosine'"),
    ],
)
def test_bad_input_is_named(encoder, images: np.ndarray, change, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_encoder(encoder, change(images), **options)


@pytest.mark.parametrize(
    ("value", "distance", "message"),
    [(0.0, "cosine", "zero"), (1.0, "pearson", "constant"), (float("nan"), "l2", "NaN")],
)
def test_undefined_scores_are_errors(images: np.ndarray, value: float, distance: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_encoder(_Constant(value), images, distances=(distance,), levels=(1,))


def test_equal_representations_score_one_minus_margin(images: np.ndarray) -> None:
    scores = score_encoder(_Constant(1.0), images, levels=(1,), margins=(0.25,))
    assert [s.score for s in scores] == pytest.approx([0.75, 0.75])
    assert [s.standard_error for s in scores] == pytest.approx([0, 0], abs=1e-8)
