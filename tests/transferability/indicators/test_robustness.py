import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import distance as scipy_distance
from torchvision.transforms.v2 import functional as F

from raytransfer.data.arrays import SegmentationData
from raytransfer.errors import InputError
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.distances import DISTANCES, neighbour_products
from raytransfer.transferability.hinge_sums import robustness
from raytransfer.transferability.indicators.base import Score, ScoreSpec
from raytransfer.transferability.indicators.robustness import Robustness
from raytransfer.transferability.jitter import ColorJitter
from raytransfer.transferability.scorer import merged, score_encoder, score_shard


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
    for spec, score in found.items():
        q, k = (view[spec.level][order].double() for view in views)
        if spec.pooled:
            q, k = q.mean((2, 3)), k.mean((2, 3))
        negatives = k.roll(-1, 0)
        parts = [
            robustness(
                q[i : i + 1], k[i : i + 1], negatives[i : i + 1],
                distance=spec["distance"], margin=spec["margin"],
            )
            for i in range(13)
        ]  # fmt: skip
        assert score.value == pytest.approx(np.mean(parts), abs=1e-6)
        assert score.standard_error == pytest.approx(np.std(parts, ddof=1) / np.sqrt(13), abs=1e-6)
        assert score.num_images == 13


def _same(a: dict[ScoreSpec, Score], b: dict[ScoreSpec, Score]) -> None:
    assert list(a) == list(b)
    for spec in a:
        assert vars(a[spec]) == pytest.approx(vars(b[spec]), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5, 7, 12, 13, 32])
def test_scores_do_not_depend_on_the_batch_size(encoder, images: np.ndarray, batch_size: int) -> None:
    _same(score_encoder(encoder, images, batch_size=batch_size), score_encoder(encoder, images, batch_size=6))


@pytest.mark.parametrize("num_shards", [1, 2, 3, 13, 20])
def test_shards_add_up(encoder, images: np.ndarray, num_shards: int) -> None:
    parts = [
        score_shard(encoder, images, seed=1, batch_size=4, shard=s, num_shards=num_shards)
        for s in range(num_shards)
    ]
    assert sum(part.accumulators[0].count for part in parts) == 13
    _same(merged(parts).scores()[0], score_encoder(encoder, images, seed=1))


def test_the_micro_encoders_have_all_choices(images: np.ndarray) -> None:
    for name, count in (("resnet-micro", 150), ("swin-micro", 120)):
        scores = score_encoder(create_encoder(name), images[:3])
        assert len(scores) == count
        assert all(math.isfinite(s.value) and math.isfinite(s.standard_error) for s in scores.values())


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
    three = score_encoder(encoder, colour)
    for spec, grey in score_encoder(encoder, images).items():
        assert grey.value == pytest.approx(three[spec].value, abs=1e-3)  # luma weights sum up to 0.9999


def test_jitter_stays_within_its_strengths() -> None:
    grey = torch.full((200, 3, 4, 4), 0.5)
    means = ColorJitter(contrast=0)(grey, seed=0, indices=range(200), view=0).mean((1, 2, 3))
    assert 0.45 <= means.min() < 0.46
    assert 0.54 < means.max() <= 0.55


def test_levels_are_numbered_from_1_or_from_the_end(encoder, images: np.ndarray) -> None:
    last, fourth = (score_encoder(encoder, images, [Robustness(levels=(n,))]) for n in (-2, 4))
    assert last == fourth
    assert {spec.level for spec in last} == {-2}


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
        (lambda a: a, {"labels": [0, 1]}, "labels must be as many as the 13 images, got 2"),
        (lambda a: a, {"indicators": []}, "indicators must be one or more"),
        (lambda a: a, {"batch_size": 0}, "batch_size must be at least 1"),
        (lambda a: a, {"precision": "int8"}, "precision"),
    ],
)
def test_bad_input_is_named(encoder, images: np.ndarray, change, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_encoder(encoder, change(images), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margins": (-0.5,)}, "margin must be at least 0"),
        ({"distances": ("cosin",)}, "did you mean 'cosine'"),
        ({"levels": (6,)}, "level 6 does not exist: the encoder has levels 1 to 5"),
        ({"levels": (0,)}, "level 0 does not exist"),
    ],
)
def test_bad_options_are_named(encoder, images: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_encoder(encoder, images, [Robustness(**options)])


def test_nan_is_named_with_level_and_image(images: np.ndarray) -> None:
    class _Broken(_Constant):
        def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
            (maps,) = super().forward_levels(x)
            return [torch.where(x.amax((1, 2, 3))[:, None, None, None] > 0.7, torch.nan, maps)]

    images = np.clip(images, 0, 0.5)
    order = np.random.default_rng(0).permutation(len(images)).tolist()
    images[order[5]] = 1
    with pytest.raises(ValueError, match=f"level -1 is NaN or infinite for image {order[4]} or the next"):
        score_encoder(_Broken(1.0), images, batch_size=2)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-3])
def test_collapsed_encoders_score_one_minus_margin(images: np.ndarray, value: float) -> None:
    """Zero and constant representations have no direction; nothing is told apart, whatever the distance."""
    for spec, found in score_encoder(_Constant(value), images).items():
        assert found.value == pytest.approx(1 - spec["margin"])
        assert found.standard_error == pytest.approx(0, abs=1e-7)


def test_equal_images_score_close_to_one_minus_margin(encoder, images: np.ndarray) -> None:
    same = np.repeat(images[:1], 8, axis=0)
    for found in score_encoder(encoder, same, [Robustness(distances=("cosine",), margins=(0.5,))]).values():
        assert found.value == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_mixed_precision_is_close(encoder, images: np.ndarray, precision: str, tolerance: float) -> None:
    exact = score_encoder(encoder, images)
    mixed = score_encoder(encoder, images, precision=precision)
    assert exact != mixed
    for spec, score in exact.items():
        assert score.value == pytest.approx(mixed[spec].value, abs=tolerance)


# Of the first edition's code, before indicators had a seam of their own: the small U-Net's seeded initial
# weights on 25 slices of MNI152.
GOLDEN = {
    "robustness(distance=cosine, margin=0.0, level=-5, pooled=true)":
        (1.0, 0.0),
    "robustness(distance=pearson, margin=0.75, level=-5, pooled=true)":
        (0.28675766925035373, 0.008248105181893515),
    "robustness(distance=pearson, margin=0.25, level=-5, pooled=false)":
        (1.0, 0.0),
    "robustness(distance=l2, margin=1.0, level=-4, pooled=true)":
        (0.0014099113110654926, 0.0003326457121015945),
    "robustness(distance=l2, margin=0.5, level=-4, pooled=false)":
        (0.5093769194552065, 0.0008638758306930296),
    "robustness(distance=l2, margin=0.0, level=-3, pooled=true)":
        (0.9999817388741091, 1.4435768364073864e-05),
    "robustness(distance=cosine, margin=0.75, level=-3, pooled=false)":
        (0.5188767496145399, 0.025870752742247892),
    "robustness(distance=cosine, margin=0.25, level=-2, pooled=true)":
        (0.7608384813411774, 0.0021615932277687694),
    "robustness(distance=pearson, margin=1.0, level=-2, pooled=true)":
        (0.01451563781553633, 0.002764893186524554),
    "robustness(distance=pearson, margin=0.5, level=-2, pooled=false)":
        (0.6868353940844358, 0.02102923944945106),
    "robustness(distance=pearson, margin=0.0, level=-1, pooled=true)":
        (1.0, 0.0),
    "robustness(distance=l2, margin=0.75, level=-1, pooled=false)":
        (0.254865415044336, 0.0006356426936495882),
}  # fmt: skip


def test_scores_are_those_of_the_first_edition(target: SegmentationData) -> None:
    torch.manual_seed(0)
    found = score_encoder(create_encoder("unet-micro"), target.train_images)
    for text, (value, standard_error) in GOLDEN.items():
        score = found[ScoreSpec.parse(text)]
        assert (score.value, score.standard_error) == pytest.approx((value, standard_error), abs=1e-12, rel=0)
        assert score.num_images == 25
