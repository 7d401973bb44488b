from pathlib import Path

import numpy as np
import pytest
import torch

from raytransfer.errors import InputError
from raytransfer.pretraining.recipes import reference_recipe
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.runtime.schedules import warmup_cosine

IMAGENET = 1_281_167
TABLE = {  # batch, base rate, warm-up, stochastic depth, images in one forward pass
    ("unet", "simple"): (4096, 0.004, 5, 0.0, 256),
    ("unet", "advanced"): (4096, 0.004, 20, 0.0, 512),
    ("resnet50", "simple"): (4096, 0.004, 20, 0.0, 512),
    ("resnet50", "advanced"): (4096, 0.004, 20, 0.1, 512),
    ("swin", "simple"): (4096, 0.004, 20, 0.1, 512),
    ("swin", "advanced"): (1024, 0.001, 20, 0.1, 256),
}
CURVES = {
    "full_warmup_cosine_300ep_313bpe": [key for key in TABLE if key not in
                                        {("unet", "simple"), ("swin", "advanced")}],
    "full_unet_simple_300ep_313bpe": [("unet", "simple")],
    "full_swin_advanced_300ep_1252bpe": [("swin", "advanced")],
}  # fmt: skip


@pytest.mark.parametrize(("encoder", "scheme"), TABLE)
def test_the_table(encoder: str, scheme: str) -> None:
    recipe = reference_recipe(encoder, scheme)
    ours = (
        recipe.batch_size, recipe.learning_rate, recipe.warmup_epochs, recipe.stochastic_depth,
        recipe.chunk_size,
    )  # fmt: skip
    assert ours == TABLE[encoder, scheme]
    assert recipe.learning_rate * 1_024_000 == recipe.batch_size
    assert (recipe.epochs, recipe.weight_decay, recipe.label_smoothing) == (300, 0.05, 0.1)
    assert recipe.series == (0, 1, 5, 20, 50, 100, 150, 200, 250, 300)


def _rates(recipe: PretrainingSettings) -> np.ndarray:
    """Return the rate of every optimiser step; the reference keeps the incomplete last batch."""
    steps = -(-IMAGENET // recipe.batch_size)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    schedule = warmup_cosine(
        optimizer, warmup_steps=recipe.warmup_epochs * steps, total_steps=recipe.epochs * steps
    )
    optimizer.step()
    rates = []
    for _ in range(recipe.epochs * steps):
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    return np.asarray(rates).reshape(recipe.epochs, steps)


@pytest.mark.parametrize("curve", CURVES)
def test_the_learning_rates_are_the_reference_curves(shared: Path, curve: str) -> None:
    stored = np.load(shared / "reference/schedules.npz")
    recipes = [reference_recipe(*key) for key in CURVES[curve]]
    schedules = {(r.batch_size, r.learning_rate, r.warmup_epochs, r.epochs) for r in recipes}
    assert len(schedules) == 1
    rates = _rates(recipes[0])
    np.testing.assert_allclose(rates[:, 0], stored[f"{curve}_epoch_start"], rtol=1e-5, atol=1e-11)
    np.testing.assert_allclose(rates[-1, -1], stored[f"{curve}_last"][0], rtol=1e-5)


def test_other_pretrainings_are_named() -> None:
    with pytest.raises(InputError, match=r"unknown encoder of the reference recipes 'resnet'.*'resnet50'"):
        reference_recipe("resnet", "simple")
    with pytest.raises(InputError, match="unknown pretraining scheme 'dino'"):
        reference_recipe("unet", "dino")
