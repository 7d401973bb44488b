import pytest
import torch
from torch.nn.functional import cross_entropy

from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.methods.base import Batch, Setup
from raytransfer.pretraining.methods.supervised import Supervised
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.runtime.seeding import seeded


def _method(augmentation: str = "simple", smoothing: float = 0.1) -> Supervised:
    return Supervised(
        Setup(
            recipe=PretrainingSettings(label_smoothing=smoothing),
            options=None,
            augmentation=augmentation,
            strength=1.0,
            image_size=32,
            num_classes=7,
            total_steps=4,
            device="cpu",
        )
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_step_is_the_smoothed_cross_entropy(smoothing: float) -> None:
    """Against the sum over classes, written out."""
    method = _method(smoothing=smoothing)
    with seeded(0):
        module = method.build(create_encoder("unet-micro"))
        images, labels = torch.rand(6, 3, 32, 32), torch.arange(6)
    found = method.step(module, Batch((images,), labels))
    module.zero_grad()
    logits = module(images)
    wanted = torch.full((6, 7), smoothing / 7)
    wanted[torch.arange(6), labels] += 1 - smoothing
    by_hand = -(wanted * logits.log_softmax(1)).sum(1).mean()
    assert float(found.loss) == pytest.approx(float(by_hand), rel=1e-6)
    assert found.sums == {"top1": int((logits.argmax(1) == labels).sum())}
    assert found.loss.requires_grad


def test_mixed_labels_count_by_their_largest_part() -> None:
    method = _method("advanced")
    with seeded(0):
        module = method.build(create_encoder("unet-micro"))
        batch = method.augment_batch(Batch((torch.rand(6, 3, 32, 32),), torch.arange(6)))
    assert batch.labels.shape == (6, 7)
    assert torch.allclose(batch.labels.sum(1), torch.ones(6))
    found = method.step(module, batch)
    logits = module(*batch.views)
    assert found.sums["top1"] == int((logits.argmax(1) == batch.labels.argmax(1)).sum())
    loss = cross_entropy(logits, batch.labels, label_smoothing=0.1)
    assert float(found.loss) == pytest.approx(float(loss), rel=1e-6)
