import numpy as np
import pytest
import torch
from PIL import Image

from raytransfer.data.arrays import SegmentationData
from raytransfer.errors import InputError
from raytransfer.evaluation.predictions import best_median_worst, draw_predictions
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.segmentation import SEGMENTATION, image_dices
from raytransfer.evaluation.testing import predict_logits
from raytransfer.evaluation.training import DownstreamTraining
from raytransfer.metrics.segmentation import SegmentationMetrics
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded


@pytest.fixture(scope="module")
def training(target: SegmentationData) -> DownstreamTraining:
    with seeded(0):
        encoder = create_encoder("unet-micro")
    training = DownstreamTraining("unet-micro", encoder, DownstreamSettings(), target, frozen=False, seed=0)
    training.train_epoch()
    return training


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("resnet-micro", "model 'resnet-micro' is an encoder without a decoder, which cannot segment"),
        ("timm/resnet18", "model 'timm/resnet18' is an encoder without a decoder"),
        ("unet_micro", "unknown model 'unet_micro': did you mean 'unet-micro'"),
    ],
)
def test_what_cannot_segment_is_refused(model: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        SEGMENTATION.model_name(model)


@pytest.mark.parametrize("model", ["unet-micro", "resnet-unet-micro", "smp/fpn"])
def test_a_segmentation_model_is_called_as_it_is(model: str) -> None:
    assert SEGMENTATION.model_name(model) == model


def test_the_dice_of_an_image_is_the_metric_of_it_alone(
    target: SegmentationData, training: DownstreamTraining
) -> None:
    def logits(images: np.ndarray) -> torch.Tensor:
        return predict_logits(training.model, images, "cpu")

    dices = image_dices(target, logits, batch_size=1)  # in larger batches rounding may turn a pixel
    for index, dice in enumerate(dices):
        metrics = SegmentationMetrics(len(target.class_names))
        image, mask = target.test[index]
        metrics.update(logits(image[None]).softmax(1), torch.from_numpy(mask[None]).long())
        assert dice == pytest.approx(metrics.compute()["dice"], nan_ok=True)


def test_the_picture_is_a_picture(target: SegmentationData, tmp_path) -> None:
    draw_predictions(
        tmp_path / "p.png", target.test.images[:3], target.test.masks[:3], np.zeros((3, 64, 64), np.int64),
        class_names=target.class_names, columns=["best", "median", "worst"], title="three",
    )  # fmt: skip
    assert np.asarray(Image.open(tmp_path / "p.png")).std() > 10


NAN = float("nan")


@pytest.mark.parametrize(
    ("dices", "chosen"),
    [
        ([0.1, 0.9, 0.5], [1, 2, 0]),
        ([0.1, 0.9, 0.5, 0.6], [1, 3, 0]),  # of two in the middle, the better
        ([NAN, 0.2, NAN, 0.3], [3, 3, 1]),
        ([0.7], [0, 0, 0]),
        ([0.5, 0.5], [0, 0, 1]),
        ([NAN, NAN], []),
    ],
)
def test_the_best_the_median_and_the_worst_image(dices: list[float], chosen: list[int]) -> None:
    assert list(best_median_worst(np.array(dices)).values()) == chosen
