"""Numbers that no rearrangement of the code may change, recorded when the loop knew one method only.

They hold on the CPUs of this project's machines with the pinned torch; elsewhere sums may be taken in another
order, which two epochs of training amplify.
"""

from dataclasses import replace

import pytest

from raytransfer.data.sources.images import ClassificationData
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.settings import PretrainingSettings

RECIPE = PretrainingSettings(epochs=2, series=(0, 2), warmup_epochs=1, batch_size=20, num_workers=1)

EPOCHS = {
    ("simple", 0): [
        (None, None, 3.007734179496765, 0.05, 0.3),
        (2.9698124527931213, 0.125, 3.0345332622528076, 0.075, 0.325),
        (2.785295784473419, 0.2625, 3.386623740196228, 0.05, 0.425),
    ],
    ("simple", 7): [
        (None, None, 3.0077344119548797, 0.05, 0.3),
        (2.982404887676239, 0.075, 2.980592280626297, 0.1, 0.425),
        (2.853504353761673, 0.175, 2.9428917467594147, 0.05, 0.475),
    ],
    ("advanced", 0): [
        (None, None, 3.007734179496765, 0.05, 0.3),
        (2.9945433139801025, 0.1, 2.971759080886841, 0.125, 0.4),
        (2.9809205532073975, 0.0375, 2.965762734413147, 0.1, 0.375),
    ],
    ("advanced", 7): [
        (None, None, 3.0077344119548797, 0.05, 0.3),
        (2.9996123731136324, 0.075, 2.9768311619758605, 0.05, 0.4),
        (2.989267435669899, 0.0375, 2.919437140226364, 0.05, 0.375),
    ],
}
"""(scheme, chunk size) -> what unet-micro gives untrained and after each epoch, in the order of `NAMES`."""

RATES = (0.0015000004999999998, 0.0002937467722040458)
"""The learning rates of both epochs' last steps."""

SWIN = (3.0643115639686584, 0.025, 3.0693048238754272, 0.05, 0.3)
"""What the second of two workers gives of one epoch of swin-micro, by its own share."""

NAMES = ("train/loss", "train/top1", "val/loss", "val/top1", "val/top5")


def _named(row: tuple) -> dict[str, float]:
    return {name: value for name, value in zip(NAMES, row, strict=True) if value is not None}


@pytest.mark.parametrize(("scheme", "chunk_size"), EPOCHS)
def test_epochs_are_as_recorded(source: ClassificationData, scheme: str, chunk_size: int) -> None:
    training = Pretraining("unet-micro", scheme, replace(RECIPE, chunk_size=chunk_size), source)
    found = [training.evaluate()]
    found += [{**training.train_epoch(), **training.evaluate()} for _ in range(2)]
    assert [epoch.pop("learning_rate") for epoch in found[1:]] == pytest.approx(RATES, rel=1e-12)
    for epoch, row in zip(found, EPOCHS[scheme, chunk_size], strict=True):
        assert epoch == pytest.approx(_named(row), rel=1e-12)


def test_a_share_is_as_recorded(source: ClassificationData) -> None:
    recipe = replace(RECIPE, num_workers=2, augmentation=0.5, label_smoothing=0.2)
    training = Pretraining("swin-micro", "advanced", recipe, source, rank=1)
    found = {**training.train_epoch(), **training.evaluate()}
    assert found == pytest.approx({**_named(SWIN), "learning_rate": RATES[0]}, rel=1e-12)
