import json
import re
from pathlib import Path

import pytest
import torch

from raytransfer.models.checkpoints import (
    CheckpointSeries,
    CorruptCheckpointError,
    ReplacedCheckpointError,
    load_encoder,
    save_encoder,
)
from raytransfer.models.registry import create_encoder


def _series(folder: Path) -> CheckpointSeries:
    series = CheckpointSeries(folder / "unet-micro" / "simple")
    for epoch in (0, 5):
        save_encoder(series.path(epoch), create_encoder("unet-micro"), {"epoch": epoch})
    return series


@pytest.mark.parametrize("name", ["unet-micro", "resnet-micro", "swin-micro", "timm/resnet10t"])
def test_an_encoder_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    encoder = create_encoder(name, mean=[0.5, 0.4, 0.3]).eval()
    save_encoder(tmp_path / "epoch_0003", encoder, {"epoch": 3})
    again, meta = load_encoder(tmp_path / "epoch_0003")
    x = torch.rand(2, 3, 64, 64)
    assert all(
        torch.equal(a, b) for a, b in zip(encoder.forward_levels(x), again.forward_levels(x), strict=True)
    )
    assert (meta["epoch"], meta["encoder"]) == (3, name)
    assert meta["normalization"] == {"value_range": [0, 1], "mean": [0.5, 0.4, 0.3], "std": [1, 1, 1]}


def test_writing_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    series = _series(tmp_path)
    save_encoder(series.path(5), create_encoder("unet-micro"), {"epoch": 5, "again": True})
    assert series.read_metas()[5]["again"]
    assert sorted(path.name for path in series.directory.iterdir()) == ["epoch_0000", "epoch_0005"]
    assert series.epochs() == [0, 5]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip_a_bit, lambda p: p.write_bytes(b""), Path.unlink])
@pytest.mark.parametrize("file", ["encoder.safetensors", "meta.json"])
def test_damage_is_found_and_named(tmp_path: Path, file: str, damage) -> None:
    series = _series(tmp_path)
    if (file, damage) == ("meta.json", _flip_a_bit):
        damage = _truncate  # JSON has no checksum of its own
    damage(series.path(5) / file)
    with pytest.raises(CorruptCheckpointError, match="epoch_0005"):
        load_encoder(series.path(5))
    with pytest.raises(CorruptCheckpointError, match="to rebuild the series, delete"):
        series.read_metas()
    load_encoder(series.path(0))


def test_weights_that_are_not_those_asked_for_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch_0001"
    asked = save_encoder(path, create_encoder("unet-micro"), {})
    assert load_encoder(path, sha256=asked)[1]["encoder_sha256"] == asked
    there = save_encoder(path, create_encoder("unet-micro"), {})
    said = f"{path} was replaced while the command ran: its SHA-256 is {there[:12]}..., not {asked[:12]}..."
    with pytest.raises(ReplacedCheckpointError, match=re.escape(said)) as raised:
        load_encoder(path, sha256=asked)
    assert "run the same command again" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_weights_beside_the_meta_data_of_others_are_corrupt(tmp_path: Path) -> None:
    """Whoever names the SHA-256 of the meta data does not get the weights either."""
    shas = [save_encoder(tmp_path / name, create_encoder("unet-micro"), {}) for name in ("a", "b")]
    (tmp_path / "a/encoder.safetensors").write_bytes((tmp_path / "b/encoder.safetensors").read_bytes())
    for sha256 in (None, shas[0]):
        with pytest.raises(CorruptCheckpointError, match=f"is {shas[1][:12]}..., not {shas[0][:12]}"):
            load_encoder(tmp_path / "a", sha256=sha256)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encoder": "unet"}, "is not what its folder says: meta.json has encoder 'unet', not 'unet-micro'"),
        ({"scheme": "advanced"}, "meta.json has scheme 'advanced', not 'simple'"),
        ({"epoch": 6}, "meta.json has epoch 6, not 5"),
        ({"encoder": 7}, "has no readable meta.json (encoder is 7)"),
        ({"options": None}, "has no readable meta.json (options is None)"),
    ],
)
def test_a_checkpoint_in_the_wrong_place_is_named(tmp_path: Path, changes: dict, says: str) -> None:
    path = _series(tmp_path).path(5)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, **changes}))
    with pytest.raises(CorruptCheckpointError) as raised:
        CheckpointSeries(path.parent, encoder="unet-micro", scheme="simple").fingerprints()
    assert str(raised.value).startswith(f"checkpoint {path} ")
    assert says in str(raised.value)
    assert f"to rebuild the series, delete {path.parent} and run the same command" in str(raised.value)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path / "epoch_0001", create_encoder("unet-micro"), {})
    meta = json.loads((tmp_path / "epoch_0001/meta.json").read_text())
    meta["options"]["widths"] = [4, 8, 16, 32, 64]
    (tmp_path / "epoch_0001/meta.json").write_text(json.dumps(meta))
    with pytest.raises(CorruptCheckpointError, match="does not fit"):
        load_encoder(tmp_path / "epoch_0001")
