"""What every registered indicator keeps to, whatever it computes."""

import pickle

import numpy as np
import pytest
import torch

from raytransfer.errors import InputError
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded
from raytransfer.transferability.indicators.base import EncoderInfo, Indicator, Need, ScoreSpec
from raytransfer.transferability.indicators.registry import INDICATORS, read_indicator
from raytransfer.transferability.scorer import merged, score_encoder, score_shard

INFO = EncoderInfo(level_channels=(4, 8))
MAPS = np.random.default_rng(1).integers(0, 3, (13, 32, 32)).astype(np.uint8)
CLASSES = np.arange(13) % 3
LABELS = pytest.mark.parametrize("labels", [CLASSES, MAPS], ids=["classes", "maps"])
TOLERANCES = {"h_score": 1e-4}
"""Of indicators other than 1e-6: whitening enlarges float32's rounding, which differs by batch size."""


@pytest.fixture(params=list(INDICATORS))
def indicator(request: pytest.FixtureRequest) -> Indicator:
    return read_indicator(request.param)


@pytest.fixture(scope="module")
def encoder():
    with seeded(0):
        return create_encoder("unet-micro").eval()


def test_it_is_what_its_name_says(indicator: Indicator) -> None:
    assert isinstance(indicator, Indicator)
    assert read_indicator(f" {indicator.name} ") == indicator
    assert indicator.needs <= set(Need)
    hash(indicator)


def test_its_specs_are_known_beforehand_and_read_back(indicator: Indicator, encoder, images) -> None:
    specs = indicator.specs(EncoderInfo(level_channels=encoder.level_channels))
    found = score_encoder(encoder, images, [indicator], labels=CLASSES)
    assert list(found) == list(specs)
    assert len(set(specs)) == len(specs)
    assert [ScoreSpec.parse(str(spec)) for spec in specs] == list(specs)
    assert {spec.indicator for spec in specs} == {indicator.name}
    assert sorted(specs, key=str)
    assert sorted(specs)


@LABELS
def test_scores_are_finite_with_an_error_and_the_number_of_images(
    indicator: Indicator, encoder, images, labels
) -> None:
    for score in score_encoder(encoder, images, [indicator], labels=labels).values():
        assert np.isfinite(score.value)
        assert score.standard_error is None or score.standard_error >= 0
        assert score.num_images == 13


@LABELS
@pytest.mark.parametrize(("batch_size", "num_shards"), [(1, 1), (5, 2), (12, 3), (32, 20)])
def test_batches_and_shards_change_nothing(
    indicator: Indicator, encoder, images, labels, batch_size: int, num_shards: int
) -> None:
    parts = [
        score_shard(
            encoder, images, [indicator], labels=labels, batch_size=batch_size, shard=s, num_shards=num_shards
        )
        for s in range(num_shards)
    ]
    (found,) = merged(pickle.loads(pickle.dumps(parts))).scores()  # they come from other processes
    expected = score_encoder(encoder, images, [indicator], labels=labels, batch_size=7)
    assert list(found) == list(expected)
    for spec, score in found.items():
        assert vars(score) == pytest.approx(vars(expected[spec]), abs=TOLERANCES.get(indicator.name, 1e-6))


class _Level:
    """One level of two channels: the image's mean colours, or the same for all images."""

    level_channels = (2,)

    def __init__(self, *, blind: bool) -> None:
        self.blind = blind

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = torch.ones_like(x[:, :2]) if self.blind else x[:, :2] - 0.5
        return [torch.nn.functional.avg_pool2d(maps, 8)]

    def to(self, device: object) -> "_Level":
        return self

    def eval(self) -> "_Level":
        return self


@LABELS
def test_an_encoder_that_sees_the_classes_scores_higher_than_a_blind_one(
    indicator: Indicator, labels
) -> None:
    images = np.full((12, 32, 32, 3), 0.5, dtype=np.float32)
    classes = np.random.default_rng(0).permutation(np.arange(12) % 3)
    for image, label in zip(images, classes, strict=True):
        image[..., label % 2] = 0.1 if label < 2 else 0.9
    if labels.ndim > 1:  # half of each image is its class, the other half black: the background
        images[:, :16], labels = 0, np.broadcast_to((classes + 1)[:, None, None], (12, 32, 32)).copy()
        labels[:, :16] = 0
    else:
        labels = classes
    seeing, blind = (
        score_encoder(_Level(blind=blind), images, [indicator], labels=labels) for blind in (False, True)
    )
    assert np.mean([s.value for s in seeing.values()]) > np.mean([s.value for s in blind.values()]) + 0.05


def test_nan_is_named_with_its_level(indicator: Indicator, images) -> None:
    class _Broken(_Level):
        def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [maps * torch.nan for maps in super().forward_levels(x)]

    with pytest.raises(ValueError, match="level -1 is NaN or infinite for image"):
        score_encoder(_Broken(blind=True), images, [indicator], labels=CLASSES)


def test_one_image_and_missing_labels_are_named(indicator: Indicator, encoder, images) -> None:
    with pytest.raises(InputError, match="two or more, got 1"):
        score_encoder(encoder, images[:1], [indicator], labels=CLASSES[:1])
    if Need.LABELS in indicator.needs:
        with pytest.raises(InputError, match=f"indicator '{indicator.name}' needs labels: none are given"):
            score_encoder(encoder, images, [indicator])
        with pytest.raises(InputError, match=f"{indicator.name} needs two classes or more"):
            score_encoder(encoder, images, [indicator], labels=np.zeros(13, dtype=int))


def test_one_pass_gives_what_each_gives_alone_and_runs_each_view_once(encoder, images) -> None:
    ran = []

    class _Counted:
        level_channels = encoder.level_channels

        def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
            ran.append(len(x))
            return encoder.forward_levels(x)

        def to(self, device: object) -> "_Counted":
            return self

        def eval(self) -> "_Counted":
            return self

    indicators = [read_indicator(name) for name in INDICATORS]
    together = score_encoder(_Counted(), images, indicators, labels=CLASSES)
    views = frozenset().union(*(each.needs for each in indicators)) & {Need.IMAGES, Need.JITTERED_VIEWS}
    assert sum(ran) <= 13 + 2 * 13 + 1
    assert len(views) == 2
    alone = [score_encoder(encoder, images, [each], labels=CLASSES) for each in indicators]
    assert together == {spec: score for table in alone for spec, score in table.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("robustnes", "unknown indicator 'robustnes': did you mean 'robustness'"),
        ("knn(n=5)", "unknown argument of knn 'n'"),
        ("knn(k=many)", "k of knn must be int"),
    ],
)
def test_a_text_that_names_no_indicator_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_indicator(text)


@pytest.mark.parametrize("text", ["knn(k=5", "knn(k)", "knn(level=1)", "robustness(pooled=maybe)", ""])
def test_a_text_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        ScoreSpec.parse(text)


def test_equal_specs_have_equal_texts() -> None:
    one = ScoreSpec("robustness", -1, None, (("margin", 1.0), ("distance", "l2")))
    two = ScoreSpec("robustness", -1, None, (("distance", "l2"), ("margin", 1)))
    assert (one, str(one), hash(one)) == (two, str(two), hash(two))
    with pytest.raises(ValueError, match="negative"):
        ScoreSpec("knn", 1)
