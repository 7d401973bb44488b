import pytest
import segmentation_models_pytorch as smp
import torch

from raytransfer.errors import InputError
from raytransfer.models.names import encoder_of
from raytransfer.models.registry import create_encoder, create_segmentation_model
from raytransfer.runtime.seeding import seeded

ENCODERS = ("timm/resnet18", "unet-micro", "swin-micro")  # strides from 2, 1 and 4


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("architecture", ["fpn", "unetplusplus", "deeplabv3plus", "segformer", "pspnet"])
def test_an_architecture_trains_on_any_levels(architecture: str, encoder: str) -> None:
    given = create_encoder(encoder)
    model = create_segmentation_model(f"smp/{architecture}", num_classes=3, encoder=given).train()
    assert model.encoder is given
    images = torch.rand(2, 3, 64, 96)
    model(images).sum().backward()
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())
    model.eval()
    with torch.inference_mode():
        logits = model(images)
        assert logits.shape == (2, 3, 64, 96)
        assert torch.equal(logits, model.decode(model.encoder.forward_levels(images)))


@pytest.mark.parametrize("architecture", ["FPN", "Unet", "UnetPlusPlus", "Linknet", "MAnet"])
def test_decoder_and_head_are_those_of_smp(architecture: str) -> None:
    ours = create_segmentation_model(f"smp/{architecture}", num_classes=2).eval()
    theirs = smp.create_model(architecture, "resnet18", encoder_weights=None, classes=2).eval()
    theirs.decoder.load_state_dict(ours.decoder.body.state_dict())
    theirs.segmentation_head.load_state_dict(ours.head.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        levels = ours.encoder.forward_levels(images)
        expected = theirs.segmentation_head(theirs.decoder([images, *levels]))
        torch.testing.assert_close(ours(images), expected)


def test_the_default_encoder_is_a_small_resnet() -> None:
    assert encoder_of("smp/fpn") == "timm/resnet18"
    with seeded(0):
        model = create_segmentation_model("smp/FPN", num_classes=2, in_chans=1)
    assert model.encoder.name == "timm/resnet18"
    with seeded(0):
        again = create_segmentation_model("smp/fpn", num_classes=2, in_chans=1)
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_dilated_encoder_is_taken_as_it_is() -> None:
    encoder = create_encoder("timm/resnet18", output_stride=16)
    model = create_segmentation_model("smp/deeplabv3plus", num_classes=2, encoder=encoder).eval()
    theirs = smp.DeepLabV3Plus("resnet18", encoder_weights=None, classes=2).eval()
    theirs.decoder.load_state_dict(model.decoder.body.state_dict())
    theirs.segmentation_head.load_state_dict(model.head.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        levels = encoder.forward_levels(images)
        expected = theirs.segmentation_head(theirs.decoder([images, *levels]))
        torch.testing.assert_close(model(images), expected)


def test_nothing_stays_in_the_registry_of_smp() -> None:
    before = set(smp.encoders.encoders)
    create_segmentation_model("smp/unet", num_classes=2)
    with pytest.raises(InputError):
        create_segmentation_model(
            "smp/manet", num_classes=2, encoder=create_encoder("timm/resnet18", output_stride=16)
        )
    assert set(smp.encoders.encoders) == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encoder_of("smp/fpnn"), "unknown smp architecture 'fpnn': did you mean 'fpn'"),
        (lambda: encoder_of("smp/dpt"), "'smp/dpt' needs a plain vision transformer"),
        (
            lambda: create_segmentation_model(
                "smp/unetplusplus", num_classes=2, encoder=create_encoder("timm/resnet18", output_stride=16)
            ),
            "'smp/unetplusplus' cannot work with the levels of encoder 'timm/resnet18'",
        ),
        (
            lambda: create_segmentation_model("smp/pan", num_classes=2)(torch.rand(1, 3, 64, 64)),
            "'smp/pan' on encoder 'timm/resnet18' takes images of 256 pixels or more, got 64 x 64",
        ),
        (
            lambda: create_segmentation_model("smp/fpn", num_classes=2, stochastic_depth=0.1),
            "'smp/fpn' has no stochastic depth",
        ),
    ],
)
def test_what_cannot_work_is_named(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
