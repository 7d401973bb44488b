"""A trained model of a target task in one safetensors file, with what is needed to build it again."""

import json
import os
from collections.abc import Sequence
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError

from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.models.checkpoints import CorruptCheckpointError
from raytransfer.models.registry import create_encoder
from raytransfer.models.target_model import TargetModel
from raytransfer.storage.files import StoragePath, atomic_write

ABOUT = "raytransfer"


def save_trained(
    path: StoragePath,
    model: TargetModel,
    *,
    task: str,
    name: str,
    class_names: Sequence[str],
    image_size: int,
) -> None:
    """Write a model's weights; the file is there whole or not at all.

    Args:
        path: Where; its folder is made.
        model: The model.
        task: The kind of target task that it is for, a name in `TASKS`.
        name: What that task calls it.
        class_names: One name per label.
        image_size: Side of the squares it was trained on, pixels.
    """
    encoder = model.encoder
    about = {
        "task": task,
        "model": name,
        "encoder": encoder.name,
        "options": encoder.options,
        "class_names": list(class_names),
        "image_size": image_size,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # Not `save_file`: of a full storage it tells in its own error, which is no OSError.
    atomic_write(path, safetensors.torch.save(weights, metadata={ABOUT: json.dumps(about)}))


def load_trained(path: str | os.PathLike[str]) -> tuple[TargetModel, dict[str, Any]]:
    """Read a model written by `save_trained`.

    Returns:
        The model, in evaluation mode on the CPU, and about it: "task", "model" (its name), "encoder",
        "options", "class_names" and "image_size".

    Raises:
        CorruptCheckpointError: The file cannot be read, or its weights do not fit the model.
        FileNotFoundError: There is none.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about: dict[str, Any] = json.loads(file.metadata()[ABOUT])
        with torch.random.fork_rng(devices=()):  # what is initialised here is overwritten below
            encoder = create_encoder(about["encoder"], **about["options"])
            model = TASKS[about["task"]].build_model(about["model"], encoder, len(about["class_names"]))
        model.load_state_dict(safetensors.torch.load_file(path))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CorruptCheckpointError(f"model {path} cannot be read: {error}") from error
    return model.eval(), about
