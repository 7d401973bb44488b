import math
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import distance as scipy_distance
from torchvision.transforms.v2 import functional as F

from raytransfer.errors import InputError
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.distances import DISTANCES, neighbour_products
from raytransfer.transferability.hinge_sums import RobustnessScore
from raytransfer.transferability.jitter import ColorJitter
from raytransfer.transferability.robustness import hinge_sums, robustness, score_encoder


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
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.inference_mode():
        views = [
            encoder.forward_levels(
                ColorJitter()(batch, seed=3, indices=range(13), view=view).expand(-1, 3, -1, -1)
            )
            for view in (0, 1)
        ]
    found = score_encoder(encoder, images, seed=3, batch_size=4)
    assert len(found) == 5 * 2 * 3 * 5
    assert len({(s.level, s.pooled, s.distance, s.margin) for s in found}) == len(found)
    for score in found:
        q, k = (view[score.level - 1][order].double() for view in views)
        if score.pooled:
            q, k = q.mean((2, 3)), k.mean((2, 3))
        negatives = k.roll(-1, 0)
        parts = [
            robustness(
                q[i : i + 1], k[i : i + 1], negatives[i : i + 1],
                distance=score.distance, margin=score.margin,
            )
            for i in range(13)
        ]  # fmt: skip
        assert score.score == pytest.approx(np.mean(parts), abs=1e-6)
        assert score.standard_error == pytest.approx(np.std(parts, ddof=1) / np.sqrt(13), abs=1e-6)
        assert score.num_images == 13


def _same(a: list[RobustnessScore], b: list[RobustnessScore]) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert asdict(x) == pytest.approx(asdict(y), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5, 7, 12, 13, 32])
def test_scores_do_not_depend_on_the_batch_size(encoder, images: np.ndarray, batch_size: int) -> None:
    _same(score_encoder(encoder, images, batch_size=batch_size), score_encoder(encoder, images, batch_size=6))


@pytest.mark.parametrize("num_shards", [1, 2, 3, 13, 20])
def test_shards_add_up(encoder, images: np.ndarray, num_shards: int) -> None:
    parts = [
        hinge_sums(encoder, images, seed=1, batch_size=4, shard=s, num_shards=num_shards)
        for s in range(num_shards)
    ]
    assert sum(part.count for part in parts) == 13
    _same(reduce(add, parts).scores(), score_encoder(encoder, images, seed=1))


def test_the_micro_encoders_have_all_choices(images: np.ndarray) -> None:
    for name, count in (("resnet-micro", 150), ("swin-micro", 120)):
        scores = score_encoder(create_encoder(name), images[:3])
        assert len(scores) == count
        assert all(math.isfinite(s.score) and math.isfinite(s.standard_error) for s in scores)


def test_large_and_shifted_features_keep_their_digits() -> None:
    """float64 inner products: L2 and Pearson subtract large numbers that are nearly equal."""
    rng = np.random.default_rng(0)
    q, k = (torch.from_numpy(1e4 + rng.standard_normal((5, 3000))) for _ in range(2))
    own, following = neighbour_products(q[:4], k, images=3, entries=1000)
    for products, keys in ((own, k[:4]), (following, k[1:])):
        l2, pearson = (DISTANCES[name](products).numpy() for name in ("l2", "pearson"))
        for i in range(4):
            assert l2[i] == pytest.approx(float((q[i] - keys[i]).square().mean()), rel=1e-6)
            assert pearson[i] == pytest.approx(scipy_distance.correlation(q[i], keys[i]), abs=1e-6)


def test_jitter_is_a_draw_per_seed_image_and_view() -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    jitter = ColorJitter()
    draws = [jitter(image, seed=s, indices=[i], view=v) for s in (0, 1) for i in (0, 1) for v in (0, 1)]
    together = jitter(image.expand(2, -1, -1, -1), seed=0, indices=[1, 0], view=1)
    torch.testing.assert_close(together, torch.cat([draws[3], draws[1]]))
    for i, a in enumerate(draws):
        assert a.min() >= 0
        assert a.max() <= 1
        assert not any(torch.equal(a, b) for b in draws[i + 1 :])


def test_jitter_is_torchvisions() -> None:
    images = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images[:, :, :4] = images[:, :1, :4]  # grey pixels have no hue
    jitter = ColorJitter(brightness=0.5, contrast=0.5, saturation=0.9, hue=0.5)
    adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for i, found in enumerate(jitter(images, seed=0, indices=range(20), view=0)):
        factors, order = jitter.draw(seed=0, index=i, view=0)
        expected = images[i]
        for which in order:
            expected = adjust[which](expected, float(factors[which]))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_grey_images_are_three_equal_channels(encoder, images: np.ndarray) -> None:
    colour = np.repeat(images, 3, axis=3)
    for grey, three in zip(score_encoder(encoder, images), score_encoder(encoder, colour), strict=True):
        assert grey.score == pytest.approx(three.score, abs=1e-3)  # luma weights sum up to 0.9999


def test_jitter_stays_within_its_strengths() -> None:
    grey = torch.full((200, 3, 4, 4), 0.5)
    means = ColorJitter(contrast=0)(grey, seed=0, indices=range(200), view=0).mean((1, 2, 3))
    assert 0.45 <= means.min() < 0.46
    assert 0.54 < means.max() <= 0.55


def test_levels_are_numbered_from_1_or_from_the_end(encoder, images: np.ndarray) -> None:
    assert score_encoder(encoder, images, levels=(-2,)) == score_encoder(encoder, images, levels=(4,))


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


@pytest.mark.parametrize("options", [{"margins": (-0.5,)}, {"batch_size": 0}, {"precision": "int8"}])
def test_bad_options_are_named(encoder, images: np.ndarray, options: dict) -> None:
    with pytest.raises(InputError, match=next(iter(options)).rstrip("s")):
        score_encoder(encoder, images, **options)


def test_nan_is_named_with_level_and_image(images: np.ndarray) -> None:
    class _Broken(_Constant):
        def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
            (maps,) = super().forward_levels(x)
            return [torch.where(x.amax((1, 2, 3))[:, None, None, None] > 0.7, torch.nan, maps)]

    images = np.clip(images, 0, 0.5)
    order = np.random.default_rng(0).permutation(len(images)).tolist()
    images[order[5]] = 1
    with pytest.raises(ValueError, match=f"level 1 is NaN or infinite for image {order[4]} or the next"):
        score_encoder(_Broken(1.0), images, batch_size=2)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-3])
def test_collapsed_encoders_score_one_minus_margin(images: np.ndarray, value: float) -> None:
    """Zero and constant representations have no direction; nothing is told apart, whatever the distance."""
    for found in score_encoder(_Constant(value), images):
        assert found.score == pytest.approx(1 - found.margin)
        assert found.standard_error == pytest.approx(0, abs=1e-7)


def test_equal_images_score_close_to_one_minus_margin(encoder, images: np.ndarray) -> None:
    same = np.repeat(images[:1], 8, axis=0)
    for found in score_encoder(encoder, same, distances=("cosine",), margins=(0.5,)):
        assert found.score == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_mixed_precision_is_close(encoder, images: np.ndarray, precision: str, tolerance: float) -> None:
    exact = score_encoder(encoder, images)
    mixed = score_encoder(encoder, images, precision=precision)
    assert exact != mixed
    for a, b in zip(exact, mixed, strict=True):
        assert a.score == pytest.approx(b.score, abs=tolerance)
