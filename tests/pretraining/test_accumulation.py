"""Gradients accumulated over chunks are the gradients of the whole batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import InputError
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.settings import PretrainingSettings

ONE_STEP = PretrainingSettings(epochs=1, series=(0, 1), warmup_epochs=0, batch_size=80, num_workers=1)


def _step(
    source: ClassificationData,
    chunk_size: int,
    parallel: Callable[[nn.Module], nn.Module] = lambda model: model,
    encoder: str = "swin-micro",
    scheme: str = "simple",
) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss and the gradients of one step over all 80 images."""
    recipe = replace(ONE_STEP, chunk_size=chunk_size)
    training = Pretraining(encoder, scheme, recipe, source, parallel=parallel)
    loss = training.train_epoch()["train/loss"]
    return loss, {name: p.grad for name, p in training.module.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def whole(source: ClassificationData) -> tuple[float, dict[str, torch.Tensor]]:
    return _step(source, 0)


@pytest.mark.parametrize("chunk_size", [7, 16, 79, 80, 1000])
def test_chunks_give_the_gradient_of_the_whole(source: ClassificationData, whole, chunk_size: int) -> None:
    loss, gradients = _step(source, chunk_size)
    assert loss == pytest.approx(whole[0], abs=1e-6)
    assert gradients.keys() == whole[1].keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole[1][name], rtol=0, atol=1e-6)


def test_the_mean_over_unequal_shares_is_the_gradient_of_the_whole(source: ClassificationData, whole) -> None:
    """Three processes of a pretraining of four, one of which was lost: 26, 27 and 27 images."""
    found = []
    for rank in range(3):
        recipe = replace(ONE_STEP, num_workers=4, chunk_size=20)
        training = Pretraining("swin-micro", "simple", recipe, source, rank=rank, num_processes=3)
        training.train_epoch()
        found.append({name: p.grad for name, p in training.module.named_parameters()})
    for name, gradient in whole[1].items():
        mean = sum(gradients[name] for gradients in found) / 3
        torch.testing.assert_close(mean, gradient, rtol=0, atol=1e-6)


def test_mixed_batches_are_chunked_after_the_mixing(source: ClassificationData) -> None:
    (loss, gradients), (chunked_loss, chunked) = (
        _step(source, chunk_size, scheme="advanced") for chunk_size in (0, 33)
    )
    assert chunked_loss == pytest.approx(loss, abs=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(chunked[name], gradient, rtol=0, atol=1e-6)


class _Counting(nn.Module):
    """Counts the forward passes inside and outside `no_sync`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.silent, self.passes = module, False, []

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        self.silent = True
        yield
        self.silent = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes.append((len(x), "silent" if self.silent else "synchronised"))
        return self.module(x)


def test_only_the_last_chunk_synchronises(source: ClassificationData) -> None:
    models = []
    _step(source, 30, lambda model: models.append(_Counting(model)) or models[0], "unet-micro")
    assert models[0].passes == [(30, "silent"), (30, "silent"), (20, "synchronised")]


def test_chunks_under_distributed_data_parallel(source: ClassificationData, whole, tmp_path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        _, gradients = _step(source, 30, DistributedDataParallel)
    finally:
        distributed.destroy_process_group()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole[1][name], rtol=0, atol=1e-6)


def test_stochastic_depth_reaches_the_encoder(source: ClassificationData) -> None:
    training = Pretraining("resnet50", "simple", replace(ONE_STEP, stochastic_depth=0.1), source)
    assert training.encoder.options["stochastic_depth"] == 0.1
    with pytest.raises(InputError, match=r"encoder 'unet-micro' does not take {'stochastic_depth': 0\.1}"):
        Pretraining("unet-micro", "simple", replace(ONE_STEP, stochastic_depth=0.1), source)
