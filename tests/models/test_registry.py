import pytest
import torch

from raytransfer.errors import InputError
from raytransfer.models.names import encoder_of
from raytransfer.models.registry import create_encoder, create_segmentation_model
from raytransfer.runtime.seeding import seeded

MODELS = ("unet-micro", "resnet-unet-micro", "swin-unet-micro")


@pytest.mark.parametrize("model", MODELS)
def test_micro_models_have_the_levels_they_say(model: str) -> None:
    network = create_segmentation_model(model, num_classes=3).eval()
    x = torch.rand(2, 3, 64, 64)
    levels = network.encoder.forward_levels(x)
    strides, channels = network.encoder.level_strides, network.encoder.level_channels
    assert [tuple(level.shape) for level in levels] == [
        (2, c, 64 // s, 64 // s) for c, s in zip(channels, strides, strict=True)
    ]
    assert network(x).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [32, 96, 224])
def test_micro_models_take_other_image_sizes(model: str, size: int) -> None:
    network = create_segmentation_model(model, num_classes=2).eval()
    assert network(torch.rand(1, 3, size, size)).shape == (1, 2, size, size)


@pytest.mark.parametrize("name", ["unet-micro", "resnet-micro", "swin-micro", "timm/resnet10t"])
def test_initialisation_is_a_function_of_the_seed(name: str) -> None:
    states = []
    for seed in (0, 0, 1):
        before = torch.get_rng_state()
        with seeded(seed):
            states.append(create_encoder(name).state_dict())
        assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(states[0].values(), states[2].values(), strict=True))


def test_an_encoder_normalises_its_own_input() -> None:
    with seeded(0):
        plain = create_encoder("unet-micro").eval()
    with seeded(0):
        normalising = create_encoder("unet-micro", mean=[0.5] * 3, std=[0.25] * 3).eval()
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(normalising(x), plain((x - 0.5) / 0.25))
    assert list(plain.state_dict()) == list(normalising.state_dict())


@pytest.mark.parametrize("model", [*MODELS, "smp/fpn"])
def test_images_may_have_another_number_of_channels(model: str) -> None:
    network = create_segmentation_model(model, num_classes=2, in_chans=1).eval()
    assert network(torch.rand(1, 1, 64, 64)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: create_encoder("unet-mikro"), "did you mean 'unet-micro'"),
        (lambda: create_encoder("timm/resnet51"), "unknown timm model 'resnet51'"),
        (lambda: create_encoder("unet-micro", depth=3), "does not take"),
        (lambda: create_encoder("unet-micro", mean=[0.5]), "in_chans=3"),
        (lambda: create_segmentation_model("unet_micro", num_classes=3), "did you mean 'unet-micro'"),
        (
            lambda: create_segmentation_model(
                "swin-unet-micro", num_classes=3, encoder=create_encoder("unet-micro")
            ),
            "needs encoder 'swin-micro', got 'unet-micro'",
        ),
        (lambda: encoder_of("resnet-micro"), "did you mean 'resnet-unet-micro'"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
