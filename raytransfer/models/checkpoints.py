"""Encoder weights in and out: safetensors plus JSON, never pickle, and the checkpoint series on disk."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from raytransfer.config import InputError
from raytransfer.models.encoder import Encoder
from raytransfer.models.registry import create_encoder

WEIGHTS, META = "encoder.safetensors", "meta.json"


class CorruptCheckpointError(InputError):
    """A checkpoint cannot be read, or is not what was written."""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_encoder(path: str | os.PathLike[str], encoder: Encoder, meta: dict[str, Any]) -> str:
    """Write an encoder as a folder with `encoder.safetensors` and `meta.json`, whole or not at all.

    Args:
        path: The folder; replaced where it exists.
        encoder: The encoder; its name, options and normalisation are added to the meta data, and the
            SHA-256 of the weights file as `encoder_sha256`.
        meta: JSON values to keep beside it: epoch, source data, accuracy, versions.

    Returns:
        The SHA-256 of the weights file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
        # The architecture stands in the file too, so that its SHA-256 tells encoders of other options apart.
        architecture = json.dumps({"encoder": encoder.name, "options": encoder.options}, sort_keys=True)
        # Not `save_file`: of a full storage it tells in its own error, which is no OSError.
        (partial / WEIGHTS).write_bytes(
            safetensors.torch.save(weights, metadata={"architecture": architecture})
        )
        sha256 = _sha256(partial / WEIGHTS)
        description = {
            **meta,
            "encoder": encoder.name,
            "options": encoder.options,
            "normalization": encoder.normalization,
            "encoder_sha256": sha256,
        }
        (partial / META).write_text(json.dumps(description, indent=2) + "\n")
        partial.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        return sha256
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_meta(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a checkpoint's meta data after checking that its weights are those that were written.

    Raises:
        CorruptCheckpointError: A file is missing or unreadable, or the weights' SHA-256 is another.
    """
    path = Path(path)
    try:
        meta: dict[str, Any] = json.loads((path / META).read_text())
        for key in ("encoder", "options", "encoder_sha256"):
            meta[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptCheckpointError(f"checkpoint {path} has no readable {META} ({error})") from error
    try:
        actual = _sha256(path / WEIGHTS)
    except OSError as error:
        raise CorruptCheckpointError(f"checkpoint {path} has no readable {WEIGHTS} ({error})") from error
    if actual != meta["encoder_sha256"]:
        raise CorruptCheckpointError(f"checkpoint {path} is corrupt: {WEIGHTS} differs from what was written")
    return meta


def load_encoder(path: str | os.PathLike[str]) -> tuple[Encoder, dict[str, Any]]:
    """Read an encoder written by `save_encoder`.

    Returns:
        The encoder, in evaluation mode on the CPU, and its meta data.

    Raises:
        CorruptCheckpointError: As `read_meta`, or the weights do not fit the architecture.
    """
    path = Path(path)
    meta = read_meta(path)
    encoder = create_encoder(meta["encoder"], **meta["options"])
    try:
        encoder.load_state_dict(safetensors.torch.load_file(path / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise CorruptCheckpointError(f"checkpoint {path} does not fit its encoder: {error}") from error
    return encoder.eval(), meta


class CheckpointSeries:
    """The encoders of one pretraining at given epochs, epoch 0 (random weights) included.

    Args:
        directory: `<storage>/pretraining/<encoder>/<scheme>`; holds `epoch_0000`, `epoch_0001`, ...
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def path(self, epoch: int) -> Path:
        """Return the folder of one epoch's checkpoint."""
        return self.directory / f"epoch_{epoch:04d}"

    def epochs(self) -> list[int]:
        """Return the epochs present, in order."""
        if not self.directory.is_dir():
            return []
        names = (re.fullmatch(r"epoch_(\d+)", path.name) for path in self.directory.iterdir())
        return sorted(int(match[1]) for match in names if match)

    def read_metas(self) -> dict[int, dict[str, Any]]:
        """Return epoch -> meta data of the whole series, every checkpoint verified.

        Raises:
            CorruptCheckpointError: Names the checkpoint, and how to rebuild it.
        """
        try:
            return {epoch: read_meta(self.path(epoch)) for epoch in self.epochs()}
        except CorruptCheckpointError as error:
            raise CorruptCheckpointError(
                f"{error}; to rebuild the series, delete {self.directory} and run the same command"
            ) from error

    def fingerprints(self) -> dict[int, str]:
        """Return epoch -> SHA-256 of the weights, in the order of the epochs; raises as `read_metas`."""
        return {epoch: meta["encoder_sha256"] for epoch, meta in self.read_metas().items()}
