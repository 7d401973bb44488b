"""The U-Net against forward passes of the thesis's own code (weights by the reference's fill rule)."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from raytransfer.models import create_encoder, create_segmentation_model


def _fill(module: torch.nn.Module, entries: list) -> None:
    """Give our parameters the reference's values; its entries are in module order, as ours are."""
    state = module.state_dict()
    filled = {}
    for ours, (key, shape, _) in zip(state, entries, strict=True):
        assert list(state[ours].shape) == shape, (ours, key)
        leaf = key.rsplit(".", 1)[-1]
        if leaf == "num_batches_tracked":
            filled[ours] = state[ours]
            continue
        rng = np.random.default_rng(zlib.crc32(key.encode("utf-8")))
        z = rng.standard_normal(shape).astype(np.float32)
        if leaf == "running_mean":
            z = np.float32(0.05) * z
        elif leaf == "running_var":
            z = np.float32(1) + np.float32(0.1) * np.abs(z)
        elif len(shape) >= 2:
            z = z * np.float32(1 / np.sqrt(np.prod(shape[1:])))
        else:
            z = np.float32(1) + np.float32(0.1) * z if leaf == "weight" else np.float32(0.05) * z
        filled[ours] = torch.from_numpy(z)
    module.load_state_dict(filled)
    module.eval()


def _input() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32))


def _assert_equal(actual: torch.Tensor, stored: dict, name: str) -> None:
    flat = actual.flatten().numpy()
    np.testing.assert_allclose(flat[:: int(stored[f"{name}_stride"])], stored[f"{name}_sub"], atol=2e-5)
    assert flat.mean() == pytest.approx(float(stored[f"{name}_mean"]), abs=2e-5)


def test_the_encoder_is_the_thesis_encoder(shared: Path) -> None:
    description = json.loads((shared / "reference/models/unet_encoder.json").read_text())
    stored = np.load(shared / "reference/models/unet_encoder.npz")
    encoder = create_encoder("unet")
    _fill(encoder, description["state_dict"])
    assert sum(p.numel() for p in encoder.parameters()) == 18_888_064
    with torch.inference_mode():
        levels = encoder.forward_levels(_input())
    assert tuple(level.shape[1] for level in levels) == encoder.level_channels
    for number, level in enumerate(levels, 1):
        _assert_equal(level, stored, f"level{number}")


@pytest.mark.parametrize(("classes", "parameters"), [(1, 31_080_449), (4, 31_080_644)])
def test_the_segmentation_model_is_the_thesis_model(shared: Path, classes: int, parameters: int) -> None:
    name = f"unet_out{classes}"
    description = json.loads((shared / f"reference/models/{name}.json").read_text())
    stored = np.load(shared / f"reference/models/{name}.npz")
    model = create_segmentation_model("unet", num_classes=classes)
    _fill(model, description["state_dict"])
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.inference_mode():
        logits = model(_input())
    _assert_equal(logits, stored, "logits")
