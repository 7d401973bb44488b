"""Our networks against forward passes of the thesis's own code (weights by the reference's fill rule)."""

import functools
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from raytransfer.models.registry import create_encoder, create_segmentation_model
from raytransfer.models.stochastic_depth import StochasticDepth
from raytransfer.thesis.public_weights import reference_key

ENCODERS = {
    "unet_encoder": ("unet", {}),
    "resnet50_encoder": ("resnet50", {}),
    "resnet50_encoder_sd0.1": ("resnet50", {"stochastic_depth": 0.1}),
    "swin_encoder": ("swin", {"stochastic_depth": 0.1}),
}
NETWORKS = {"unet": "unet", "resnet50_attention_unet": "resnet50-attention-unet", "swin_unet": "swin-unet"}
KEPT = ("num_batches_tracked", "relative_position_index", "attn_mask")


def _reference(shared: Path, name: str) -> tuple[dict[str, Any], Any]:
    folder = shared / "reference/models"
    return json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz")


@functools.lru_cache(maxsize=512)
def _value(key: str, shape: tuple[int, ...]) -> np.ndarray:
    leaf = key.rsplit(".", 1)[-1]
    z = np.random.default_rng(zlib.crc32(key.encode("utf-8"))).standard_normal(shape).astype(np.float32)
    if leaf == "relative_position_bias_table":
        return np.float32(0.02) * z
    if leaf == "running_mean":
        return np.float32(0.05) * z
    if leaf == "running_var":
        return np.float32(1) + np.float32(0.1) * np.abs(z)
    if len(shape) >= 2:
        return z * np.float32(1 / np.sqrt(np.prod(shape[1:])))
    return np.float32(1) + np.float32(0.1) * z if leaf == "weight" else np.float32(0.05) * z


def _in_our_order(keys: list[str]) -> list[str]:
    """The reference's decoders are in the order of ours but for the norm before the last expansion."""
    norm = [key for key in keys if ".init_norm." in key]
    first = keys.index("decoder.final_block.expand.weight") if norm else 0
    output = [key for key in keys if key.endswith("final_block.output.weight")]
    rest = [key for key in keys[first:] if key not in (*norm, *output)]
    return [*keys[:first], *norm, *rest, *output]


def _fill(module: nn.Module, encoder: str, description: dict[str, Any]) -> None:
    """Give our parameters the reference's values, and check that these are the stored passes' values."""
    entries = {key: tuple(shape) for key, shape, _ in description["state_dict"]}
    filled = {key: _value(key, entries[key]) for key in entries if not key.endswith(KEPT)}
    crc = functools.reduce(lambda crc, key: zlib.crc32(filled[key].tobytes(), crc), sorted(filled), 0)
    assert crc == description["fill_crc32"]
    state = module.state_dict()
    ours = [key for key in state if not key.endswith("num_batches_tracked")]
    prefix = "encoder." if any(key.startswith("encoder.") for key in entries) else ""
    of_encoder = [key for key in ours if key.startswith(prefix)]
    names = {key: prefix + reference_key(encoder, key.removeprefix(prefix)) for key in of_encoder}
    of_decoder = [key for key in filled if key not in names.values()]
    names |= dict(zip([key for key in ours if key not in of_encoder], _in_our_order(of_decoder), strict=True))
    assert sorted(names.values()) == sorted(filled)
    module.load_state_dict(
        {key: torch.from_numpy(filled[names[key]]) if key in names else state[key] for key in state}
    )
    assert sum(p.numel() for p in module.parameters()) == description["n_trainable"]["total"]
    module.eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32))


def _assert_equal(actual: torch.Tensor, stored: dict, name: str) -> None:
    assert f"{name}_sub" in stored
    if f"{name}_pooled_reference" in stored:  # Swin's are stored as (N, tokens, channels)
        actual = actual.flatten(2).transpose(1, 2)
    array = actual.numpy()
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=2e-5, err_msg=name)
    close(array.ravel()[:: int(stored[f"{name}_stride"])], stored[f"{name}_sub"])
    close(array.mean(dtype=np.float64), stored[f"{name}_mean"])
    close(array.std(dtype=np.float64), stored[f"{name}_std"])
    pooled = array.mean(1) if f"{name}_pooled_reference" in stored else array.mean((2, 3))
    close(pooled, stored[f"{name}_pooled"])


@pytest.mark.parametrize("fixture", ENCODERS)
@torch.inference_mode()
def test_an_encoder_is_the_thesis_encoder(shared: Path, images: torch.Tensor, fixture: str) -> None:
    description, stored = _reference(shared, fixture)
    assert zlib.crc32(images.numpy().tobytes()) == description["input_crc32"]
    name, options = ENCODERS[fixture]
    encoder = create_encoder(name, **options)
    _fill(encoder, name, description)
    levels = encoder.forward_levels(images)
    for number, level in enumerate(levels, 1):
        _assert_equal(level, stored, f"level{number}")
    stated = description["levels"]
    assert encoder.level_channels == tuple(level["channels"] for level in stated)
    assert encoder.level_strides == tuple(level["stride"] for level in stated)
    assert [level.shape[-1] for level in levels] == [level["side"] for level in stated]


@pytest.mark.parametrize("network", NETWORKS)
@torch.inference_mode()
def test_a_network_is_the_thesis_network(shared: Path, images: torch.Tensor, network: str) -> None:
    models = {}
    for classes in (1, 4):
        description, stored = _reference(shared, f"{network}_out{classes}")
        model = create_segmentation_model(NETWORKS[network], num_classes=classes)
        _fill(model, model.encoder.name, description)
        models[classes] = (model, stored)
    _value.cache_clear()
    (one, stored_one), (four, stored_four) = models[1], models[4]
    # Only the last convolution differs, so that one pass serves both.
    for key, value in one.state_dict().items():
        assert key.startswith("head.") or torch.equal(value, four.state_dict()[key])
    levels = four.encoder.forward_levels(images)
    stages: list[torch.Tensor] = []
    for step in four.decoder.steps:
        step.register_forward_hook(lambda module, inputs, output: stages.append(output))
    features = four.decoder(levels)
    if network == "swin_unet":
        stages = [stage.permute(0, 3, 1, 2) for stage in stages]
    for number, level in enumerate(levels, 1):
        _assert_equal(level, stored_four, f"level{number}")
    assert len(stages) == sum(key.startswith("decoder") and key.endswith("_sub") for key in stored_four)
    for number, stage in enumerate(stages, 1):
        _assert_equal(stage, stored_four, f"decoder{number}")
    logits = {1: one.head(features), 4: four.head(features)}
    _assert_equal(logits[1], stored_one, "logits")
    _assert_equal(logits[4], stored_four, "logits")
    _assert_equal(logits[1].sigmoid(), stored_one, "activated")
    _assert_equal(logits[4].softmax(1), stored_four, "activated")


def test_stochastic_depth_grows_as_in_the_reference(shared: Path) -> None:
    description, _ = _reference(shared, "resnet50_encoder_sd0.1")
    encoder = create_encoder("resnet50", stochastic_depth=0.1).eval()
    branch = torch.ones(1, 1)
    scales = [layer(branch).item() for layer in encoder.modules() if isinstance(layer, StochasticDepth)]
    assert scales == pytest.approx(description["eval_residual_branch_scale"])

    description, _ = _reference(shared, "swin_unet_out1")
    model = create_segmentation_model("swin-unet", num_classes=1)
    blocks = [module for module in model.modules() if hasattr(module, "shift_size")]
    assert [block.shift_size[0] for block in blocks] == [b["shift"] for b in description["swin_blocks"]]
    for path in ("drop_path1", "drop_path2"):
        rates = [getattr(block, path).drop_prob for block in blocks]
        assert rates == pytest.approx([block["drop_path"] for block in description["swin_blocks"]])
