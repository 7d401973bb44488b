"""What the stored evaluation passes cannot show: training, initialisation, image sizes, errors."""

import pytest
import torch
from torch import nn

from raytransfer.errors import InputError
from raytransfer.models.checkpoints import load_encoder, save_encoder
from raytransfer.models.registry import create_encoder, create_segmentation_model
from raytransfer.models.stochastic_depth import StochasticDepth, linear_rates
from raytransfer.runtime.seeding import seeded


def test_stochastic_depth_drops_whole_branches_without_rescaling() -> None:
    layer = StochasticDepth(0.25).train()
    with seeded(0):
        out = layer(torch.ones(4000, 2, 3))
    kept = out[:, 0, 0]
    assert set(kept.tolist()) == {0.0, 1.0}
    assert torch.equal(out, kept[:, None, None].expand_as(out))
    assert kept.mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(layer.eval()(torch.ones(2, 2)), torch.full((2, 2), 0.75))


@pytest.mark.parametrize(
    ("rate", "blocks", "expected"), [(0.0, 3, [0, 0, 0]), (0.2, 3, [0, 0.1, 0.2]), (0.3, 2, [0, 0.3])]
)
def test_rates_grow_linearly(rate: float, blocks: int, expected: list[float]) -> None:
    assert linear_rates(rate, blocks) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "default", "given"),
    [("resnet50-attention-unet", 0.1, 0.0), ("swin-unet", 0.2, 0.1)],
)
def test_networks_have_the_stochastic_depth_of_the_thesis(model: str, default: float, given: float) -> None:
    network = create_segmentation_model(model, num_classes=2)
    assert network.encoder.options["stochastic_depth"] == default
    # An encoder from a series brings the rate of its pretraining, which is not the downstream rate.
    pretrained = create_encoder(network.encoder.name, stochastic_depth=0.5)
    create_segmentation_model(model, num_classes=2, encoder=pretrained)
    assert pretrained.options["stochastic_depth"] == default
    create_segmentation_model(model, num_classes=2, encoder=pretrained, stochastic_depth=given)
    assert pretrained.options["stochastic_depth"] == given


def test_an_encoder_comes_back_with_its_stochastic_depth(tmp_path) -> None:
    encoder = create_encoder("resnet50", in_chans=1, mean=[0.5], std=[0.5], stochastic_depth=0.3).eval()
    encoder.set_stochastic_depth(0.1)
    save_encoder(tmp_path / "epoch_0001", encoder, {})
    again, meta = load_encoder(tmp_path / "epoch_0001")
    assert meta["options"]["stochastic_depth"] == 0.1
    x = torch.rand(1, 1, 32, 32)
    assert torch.equal(encoder(x), again(x))


def _std(weight: torch.Tensor) -> float:
    return weight.std().item()


@pytest.mark.parametrize("model", ["unet", "resnet50-attention-unet"])
def test_convolutions_are_drawn_from_he_s_normal_distribution(model: str) -> None:
    for layer in create_segmentation_model(model, num_classes=2).modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 4000:
            fan_in = layer.weight[0].numel()
            assert _std(layer.weight) == pytest.approx((2 / fan_in) ** 0.5, rel=0.06)
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            assert not layer.bias.any()
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


def test_swin_is_drawn_from_a_truncated_normal_distribution() -> None:
    network = create_segmentation_model("swin-unet", num_classes=2)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            assert _std(layer.weight) == pytest.approx(0.02, rel=0.05)
            assert layer.bias is None or not layer.bias.any()
        table = getattr(layer, "relative_position_bias_table", None)
        if table is not None:
            assert _std(table) == pytest.approx(0.02, rel=0.2)
    bound = 1 / 48**0.5  # PyTorch's own initialisation of a convolution over 3 x 4 x 4 inputs
    assert 0.9 * bound < network.encoder.embedding.proj.weight.abs().max().item() <= bound


@pytest.mark.parametrize("model", ["resnet50-attention-unet", "swin-unet"])
def test_other_image_sizes_and_training(model: str) -> None:
    network = create_segmentation_model(model, num_classes=2).train()
    network(torch.rand(2, 3, 64, 96)).mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 32, 288)).shape == (1, 2, 32, 288)
        levels = network.encoder.forward_levels(torch.rand(1, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (1, c, 64 // s, 96 // s)
        for c, s in zip(network.encoder.level_channels, network.encoder.level_strides, strict=True)
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: create_encoder("swin")(torch.rand(1, 3, 48, 64)), r"multiples of 32, got \(48, 64\)"),
        (lambda: create_encoder("resnet50", stochastic_depth=1.0), r"stochastic_depth must be in \[0, 1\)"),
        (lambda: create_encoder("swin", stochastic_depth=-0.1), r"stochastic_depth must be in \[0, 1\)"),
        (lambda: create_encoder("swin", img_size=64), "does not take"),
        (
            lambda: create_segmentation_model("unet-micro", num_classes=2, stochastic_depth=0.1),
            "'unet-micro' has no stochastic depth",
        ),
        (
            lambda: create_segmentation_model(
                "resnet50-attention-unet", num_classes=2, encoder=create_encoder("timm/resnet10t")
            ),
            "needs encoder 'resnet50', got 'timm/resnet10t'",
        ),
    ],
)
def test_wrong_options_are_named(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
