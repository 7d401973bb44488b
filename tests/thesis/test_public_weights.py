import hashlib
import json
from pathlib import Path

import pytest
import torch

from raytransfer.errors import InputError
from raytransfer.models.checkpoints import CheckpointSeries, load_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.thesis.public_weights import import_public_encoder, parse_public_name, reference_key

FIXTURES = {"unet": "unet_encoder", "resnet50": "resnet50_encoder", "swin": "swin_encoder"}
NAME = "{}_simple_pretraining_checkpoint_epoch_20.pt"


@pytest.fixture(scope="module")
def public(shared: Path):
    """State dicts as the public classifiers have them: key lists of the reference, any values."""

    def build(encoder: str) -> dict[str, torch.Tensor]:
        path = shared / f"reference/models/{FIXTURES[encoder]}.json"
        generator = torch.Generator().manual_seed(0)
        state = {
            f"layers.0.{key}": torch.empty(shape, dtype=getattr(torch, dtype)).random_(
                1, 9, generator=generator
            )
            for key, shape, dtype in json.loads(path.read_text())["state_dict"]
        }
        return {**state, "layers.2.weight": torch.zeros(1000, 7), "layers.2.bias": torch.zeros(1000)}

    return build


@pytest.mark.parametrize(
    ("name", "encoder", "scheme", "epoch", "rate"),
    [
        ("unet_encoder_simple_pretraining_checkpoint_epoch_1.pt", "unet", "simple", 1, None),
        ("resnet50_simple_pretraining_checkpoint_epoch_50.pt", "resnet50", "simple", 50, 0.0),
        ("resnet50_advanced_pretraining_checkpoint_epoch_300.pt", "resnet50", "advanced", 300, 0.1),
        ("swin_transformer_advanced_pretraining_checkpoint_epoch_5.pt", "swin", "advanced", 5, 0.1),
    ],
)
def test_a_public_file_becomes_a_checkpoint(
    tmp_path: Path, public, name: str, encoder: str, scheme: str, epoch: int, rate: float | None
) -> None:
    state = public(encoder)
    torch.save(state, tmp_path / name)
    folder = import_public_encoder(tmp_path / name, tmp_path / "storage", meta={"note": "public"})
    assert folder == tmp_path / f"storage/pretraining/{encoder}/{scheme}/epoch_{epoch:04d}"
    loaded, meta = load_encoder(folder)
    assert loaded.options.get("stochastic_depth") == rate
    assert (meta["epoch"], meta["scheme"], meta["source"], meta["note"]) == (
        epoch, scheme, "imagenet", "public",
    )  # fmt: skip
    assert meta["imported_sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, state[f"layers.0.{reference_key(encoder, key)}"]), key


@pytest.mark.parametrize("encoder", FIXTURES)
def test_our_names_and_the_reference_names_are_one_to_one(public, encoder: str) -> None:
    ours = [reference_key(encoder, key) for key in create_encoder(encoder).state_dict()]
    theirs = [key.removeprefix("layers.0.") for key in public(encoder) if key.startswith("layers.0.")]
    derived = ("attn_mask", "relative_position_index")
    assert sorted(ours) == sorted(key for key in theirs if not key.endswith(derived))


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_may_be_wrapped(tmp_path: Path, public, wrapper: str) -> None:
    path = tmp_path / NAME.format("unet")
    torch.save({"epoch": 20, wrapper: public("unet")}, path)
    series = CheckpointSeries(tmp_path / "series")
    import_public_encoder(path, series)
    assert series.epochs() == [20]


def test_keys_and_shapes_that_are_wrong_are_all_listed(tmp_path: Path, public) -> None:
    state = public("swin")
    del state["layers.0.first_block.proj.weight"], state["layers.0.bottom_block.conv1.mlp.fc2.bias"]
    state["layers.0.norm.weight"] = state["layers.0.down_layers.3.norm.bias"] = torch.zeros(768)
    state["layers.0.down_layers.0.conv0.norm1.weight"] = torch.zeros(95)
    state["layers.0.down_layers.0.conv0.norm1.bias"] = "zeros"
    path = tmp_path / NAME.format("swin")
    torch.save(state, path)
    with pytest.raises(InputError) as caught:
        import_public_encoder(path, tmp_path / "storage")
    message = str(caught.value)
    assert message.endswith(
        "missing keys: layers.0.first_block.proj.weight, layers.0.bottom_block.conv1.mlp.fc2.bias; "
        "unexpected keys: layers.0.norm.weight, layers.0.down_layers.3.norm.bias; "
        "wrong shapes: layers.0.down_layers.0.conv0.norm1.weight ((95,) instead of (96,)), "
        "layers.0.down_layers.0.conv0.norm1.bias (str instead of (96,))"
    )
    assert "\n" not in message
    assert not (tmp_path / "storage").exists()


def test_another_encoder_or_no_prefix_is_refused(tmp_path: Path, public) -> None:
    path = tmp_path / NAME.format("resnet50")
    torch.save(public("unet"), path)
    with pytest.raises(
        InputError, match=r"missing keys: .*stem\.0\.weight.*unexpected keys: .*first_block\.bias"
    ):
        import_public_encoder(path, tmp_path)
    torch.save({key.removeprefix("layers.0."): value for key, value in public("resnet50").items()}, path)
    with pytest.raises(InputError, match=r"missing keys: layers\.0\.stem\.0\.weight"):
        import_public_encoder(path, tmp_path)


class _Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap"),))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None, "trap", "list"])
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, monkeypatch, content) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / NAME.format("unet")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "trap":
        torch.save({"layers.0.first_block.weight": _Trap()}, path)
    elif content == "list":
        torch.save([torch.zeros(1)], path)
    with pytest.raises(InputError, match=r"epoch_20\.pt (cannot be read|is damaged|holds a list)") as caught:
        import_public_encoder(path, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder.pt", "is not <encoder>_<scheme>_pretraining_checkpoint_epoch_<n>.pt"),
        ("unet_simple_pretraining_checkpoint_epoch_.pt", "is not <encoder>"),
        ("unet_simple_pretraining_checkpoint_epoch_1.pth", "is not <encoder>"),
        ("resnet51_simple_pretraining_checkpoint_epoch_1.pt", "did you mean 'resnet50'"),
        ("resnet50_simpel_pretraining_checkpoint_epoch_1.pt", "did you mean 'simple'"),
    ],
)
def test_other_file_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_public_name(name)
