"""Import of the encoders that were published with the thesis into a checkpoint series.

The files are `<encoder>_<scheme>_pretraining_checkpoint_epoch_<n>.pt`: state dicts of ImageNet classifiers
whose encoder has the prefix `layers.0.` and names of its own.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from upath import UPath

from raytransfer.errors import InputError, unknown_name
from raytransfer.models.checkpoints import CheckpointSeries, save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.storage.files import StoragePath, resolve_path

PREFIX = "layers.0."
SCHEMES = ("simple", "advanced")

PUBLIC_NAMES = {
    "unet": "unet", "unet_encoder": "unet",
    "resnet50": "resnet50",
    "swin": "swin", "swin_transformer": "swin",
}  # fmt: skip
"""Encoder in a public file's name -> name for `create_encoder`."""

STOCHASTIC_DEPTH = {
    ("resnet50", "simple"): 0.0, ("resnet50", "advanced"): 0.1,
    ("swin", "simple"): 0.1, ("swin", "advanced"): 0.1,
}  # fmt: skip
"""(encoder, scheme) -> rate of the pretraining, which a ResNet50 needs in evaluation too (eq. 2.9)."""

_FILE_NAME = re.compile(r"(.+)_([^_]+)_pretraining_checkpoint_epoch_(\d+)\.pt")

_RENAMINGS = {
    "unet": [
        (r"^stem\.", r"first_block."),
        (r"^blocks\.4\.", r"bottom_block.conv0.block."),
        (r"^blocks\.(\d)\.", r"down_layers.\1.conv0.block."),
    ],
    "resnet50": [(r"^stages\.", r"levels.")],
    "swin": [
        (r"^embedding\.proj\.", r"first_block.proj."),
        (r"^embedding\.norm\.", r"first_block.norm_layer."),
        (r"^stages\.3\.(\d)\.", r"bottom_block.conv\1."),
        (r"^stages\.(\d)\.(\d)\.", r"down_layers.\1.conv\2."),
        (r"^merging\.(\d)\.", r"down_layers.\1.downsampl."),
    ],
}  # fmt: skip

_BIAS_TABLE = "attn.relative_position_bias_table"
_DERIVED = ("attn.relative_position_index", "attn_mask")  # the architecture's, not learned


class PublicCheckpoint(NamedTuple):
    """What the name of a public file says.

    Attributes:
        encoder: Name for `create_encoder`.
        scheme: Pretraining scheme, "simple" or "advanced".
        epoch: Epochs of pretraining.
    """

    encoder: str
    scheme: str
    epoch: int


def parse_public_name(path: str | os.PathLike[str]) -> PublicCheckpoint:
    """Return what the name of a public file says.

    Raises:
        InputError: The name has another form, or names another encoder or scheme.
    """
    name = Path(path).name
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"file name {name!r} is not <encoder>_<scheme>_pretraining_checkpoint_epoch_<n>.pt: "
            "give the public file under its own name"
        )
    encoder, scheme, epoch = match.groups()
    if encoder not in PUBLIC_NAMES:
        raise unknown_name(f"encoder in file name {name!r}:", encoder, PUBLIC_NAMES)
    if scheme not in SCHEMES:
        raise unknown_name(f"pretraining scheme in file name {name!r}:", scheme, SCHEMES)
    return PublicCheckpoint(PUBLIC_NAMES[encoder], scheme, int(epoch))


def reference_key(encoder: str, key: str) -> str:
    """Return the name that a state-dict entry of ours has in the public files, without their prefix.

    Args:
        encoder: "unet", "resnet50" or "swin".
        key: Name of the entry in `create_encoder(encoder).state_dict()`.
    """
    for pattern, replacement in _RENAMINGS[encoder]:
        key, changed = re.subn(pattern, replacement, key)
        if changed:
            break
    return key


def import_public_encoder(
    path: str | os.PathLike[str],
    series: CheckpointSeries | str | os.PathLike[str] | UPath,
    *,
    meta: Mapping[str, Any] | None = None,
) -> StoragePath:
    """Add a public pretrained encoder to a checkpoint series; an epoch that is there is replaced.

    Nothing but tensors and plain containers is loaded from the file. Its classifier head is left out.

    Args:
        path: The file, under its public name: encoder, scheme and epoch are taken from it. A state dict, or
            a dict that holds it as "state_dict", "model_state_dict" or "model".
        series: The series, or a storage folder, whose `pretraining/<encoder>/<scheme>` it then is.
        meta: More entries for `meta.json`.

    Returns:
        The folder of the checkpoint.

    Raises:
        InputError: The file's name, or its content: it cannot be read without running code, or does not hold
            this encoder; the message lists all missing and unexpected keys and wrong shapes.
    """
    public = parse_public_name(path)
    if not isinstance(series, CheckpointSeries):
        series = CheckpointSeries(resolve_path(series) / "pretraining" / public.encoder / public.scheme)
    rate = STOCHASTIC_DEPTH.get((public.encoder, public.scheme))
    options: dict[str, Any] = {} if rate is None else {"stochastic_depth": rate}
    encoder = create_encoder(public.encoder, **options)
    given, sha256 = _read(Path(path))
    ours = {f"{PREFIX}{reference_key(public.encoder, key)}": key for key in encoder.state_dict()}
    shapes = {key: encoder.state_dict()[own].shape for key, own in ours.items()}
    _check(Path(path), public.encoder, given, shapes)
    encoder.load_state_dict({own: given[key] for key, own in ours.items()})
    folder = series.path(public.epoch)
    save_encoder(
        folder,
        encoder,
        {
            "epoch": public.epoch,
            "scheme": public.scheme,
            "source": "imagenet",
            "image_size": 224,
            "imported_from": Path(path).name,
            "imported_sha256": sha256,
            **(meta or {}),
        },
    )
    return folder


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Return the entries under the prefix, and the file's SHA-256."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} is damaged, or holds more than tensors and plain containers: download it again"
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__} instead of a state dict")
    candidates = [content, *(content.get(key) for key in ("state_dict", "model_state_dict", "model"))]
    for candidate in candidates:
        if isinstance(candidate, Mapping):
            found = {key: value for key, value in candidate.items() if str(key).startswith(PREFIX)}
            if found:
                return found, sha256
    return {}, sha256


def _check(path: Path, encoder: str, given: Mapping[str, Any], shapes: Mapping[str, torch.Size]) -> None:
    derived = {
        key.replace(_BIAS_TABLE, name) for key in shapes if key.endswith(_BIAS_TABLE) for name in _DERIVED
    }
    missing = [key for key in shapes if key not in given]
    unexpected = [key for key in given if key not in shapes and key not in derived]
    wrong = [
        f"{key} ({tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__} instead of "
        f"{tuple(shapes[key])})"
        for key, value in given.items()
        if key in shapes and (not isinstance(value, Tensor) or value.shape != shapes[key])
    ]
    findings = {"missing keys": missing, "unexpected keys": unexpected, "wrong shapes": wrong}
    problems = [f"{what}: {', '.join(keys)}" for what, keys in findings.items() if keys]
    if problems:
        raise InputError(f"{path} does not hold the public encoder {encoder!r}: {'; '.join(problems)}")
