from pathlib import Path

import pytest
import torch

from raytransfer.evaluation.trained import load_trained, save_trained
from raytransfer.models.checkpoints import CorruptCheckpointError
from raytransfer.models.registry import create_segmentation_model


@pytest.mark.parametrize("name", ["unet-micro", "swin-unet-micro"])
def test_a_trained_model_comes_back(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_segmentation_model(name, num_classes=3).eval()
    path = tmp_path / "folder/model.safetensors"
    save_trained(path, model, task="segmentation", name=name, class_names=("none", "a", "b"), image_size=64)
    drawn = torch.get_rng_state()
    again, about = load_trained(path)
    assert torch.equal(drawn, torch.get_rng_state()), "random numbers were drawn"
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model(images), again(images))
    assert (about["model"], about["class_names"], about["image_size"]) == (name, ["none", "a", "b"], 64)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptCheckpointError, match=str(path)):
        load_trained(path)
