"""Encoder weights in and out: safetensors plus JSON, never pickle, and the checkpoint series on disk."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytransfer.errors import InputError
from raytransfer.storage.files import (
    StoragePath,
    delete,
    is_corruption,
    is_remote,
    local_copy,
    write_folder,
)

if TYPE_CHECKING:
    from raytransfer.models.encoder import Encoder

WEIGHTS, META = "encoder.safetensors", "meta.json"


class CorruptCheckpointError(InputError):
    """A checkpoint cannot be read, or is not what was written."""


class ReplacedCheckpointError(InputError):
    """A checkpoint is intact, but another than the one that was asked for."""


def _short(sha256: str) -> str:
    """Return the beginning of a digest, enough to tell two apart."""
    return f"{sha256[:12]}..."


def save_encoder(path: StoragePath, encoder: "Encoder", meta: dict[str, Any]) -> str:
    """Write an encoder as a folder with `encoder.safetensors` and `meta.json`, whole or not at all.

    Args:
        path: The folder; replaced where it exists.
        encoder: The encoder; its name, options and normalisation are added to the meta data, and the
            SHA-256 of the weights file as `encoder_sha256`.
        meta: JSON values to keep beside it: epoch, source data, accuracy, versions.

    Returns:
        The SHA-256 of the weights file.
    """
    import safetensors.torch  # with torch, which whoever only looks at a series need not wait for

    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    # The architecture stands in the file too, so that its SHA-256 tells encoders of other options apart.
    architecture = json.dumps({"encoder": encoder.name, "options": encoder.options}, sort_keys=True)
    content = safetensors.torch.save(weights, metadata={"architecture": architecture})
    sha256 = hashlib.sha256(content).hexdigest()
    description = {
        **meta,
        "encoder": encoder.name,
        "options": encoder.options,
        "normalization": encoder.normalization,
        "encoder_sha256": sha256,
    }
    write_folder(path, {WEIGHTS: content, META: (json.dumps(description, indent=2) + "\n").encode()})
    return sha256


def _read_meta(path: StoragePath) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((path / META).read_bytes())
        for key, kind in (("encoder", str), ("options", dict), ("encoder_sha256", str)):
            if not isinstance(meta[key], kind):
                raise TypeError(f"{key} is {meta[key]!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not is_corruption(error, path):
            raise
        raise CorruptCheckpointError(f"checkpoint {path} has no readable {META} ({error})") from error
    return meta


@contextmanager
def _verified_weights(path: StoragePath, meta: Mapping[str, Any]) -> Iterator[Path]:
    """Give the weights' file, after checking that it is the one that was written."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(local_copy(path / WEIGHTS))
            with file.open("rb") as opened:
                actual = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            if not is_corruption(error, path):
                raise
            raise CorruptCheckpointError(f"checkpoint {path} has no readable {WEIGHTS} ({error})") from error
        if actual != meta["encoder_sha256"]:
            raise CorruptCheckpointError(
                f"checkpoint {path} is corrupt: the SHA-256 of {WEIGHTS} is {_short(actual)}, not "
                f"{_short(meta['encoder_sha256'])} as it was written"
            )
        yield file


def read_meta(path: StoragePath) -> dict[str, Any]:
    """Return a checkpoint's meta data after checking that its weights are those that were written.

    What an object store holds it checks itself; there, they are not read before `load_encoder`.

    Raises:
        CorruptCheckpointError: A file is missing or unreadable, or the weights' SHA-256 is another.
    """
    meta = _read_meta(path)
    if not (is_remote(path) and (path / WEIGHTS).exists()):
        with _verified_weights(path, meta):
            pass
    return meta


def load_encoder(path: StoragePath, *, sha256: str | None = None) -> "tuple[Encoder, dict[str, Any]]":
    """Read an encoder written by `save_encoder`.

    Args:
        path: The folder.
        sha256: Of the weights that must be there, as a unit of work names them; any where None.

    Returns:
        The encoder, in evaluation mode on the CPU, and its meta data.

    Raises:
        CorruptCheckpointError: As `read_meta`, or the weights do not fit the architecture.
        ReplacedCheckpointError: The weights are not those of `sha256`.
    """
    import safetensors.torch

    from raytransfer.models.registry import create_encoder

    meta = _read_meta(path)
    if sha256 is not None and meta["encoder_sha256"] != sha256:
        raise ReplacedCheckpointError(
            f"checkpoint {path} was replaced while the command ran: its SHA-256 is "
            f"{_short(meta['encoder_sha256'])}, not {_short(sha256)}: run the same command again, it takes "
            "the new weights"
        )
    with _verified_weights(path, meta) as file:
        encoder = create_encoder(meta["encoder"], **meta["options"])
        try:
            encoder.load_state_dict(safetensors.torch.load_file(file))
        except (safetensors.SafetensorError, RuntimeError) as error:
            raise CorruptCheckpointError(f"checkpoint {path} does not fit its encoder: {error}") from error
    return encoder.eval(), meta


class Verified:
    """Meta data of the checkpoints that a command has verified, so that none is hashed twice."""

    def __init__(self) -> None:
        self._known: dict[StoragePath, tuple[tuple[int, ...], dict[str, Any]]] = {}

    def read_meta(self, path: StoragePath) -> dict[str, Any]:
        """Return what `read_meta` does; files that stay as they are, are read once."""
        if is_remote(path):  # hashed by the object store, not here
            return read_meta(path)
        state = self._state(path)
        if path not in self._known or self._known[path][0] != state:
            self._known[path] = state, read_meta(path)
        return self._known[path][1]

    @staticmethod
    def _state(path: StoragePath) -> tuple[int, ...]:
        """Return what changes with the files of a checkpoint; empty where one is missing."""
        try:
            stats = [(path / name).stat() for name in (WEIGHTS, META)]
        except OSError:
            return ()
        return tuple(n for stat in stats for n in (stat.st_ino, stat.st_mtime_ns, stat.st_size))


class CheckpointSeries:
    """The encoders of one pretraining at given epochs, epoch 0 (random weights) included.

    Args:
        directory: `<storage>/pretraining/<encoder>/<scheme>`; holds `epoch_0000`, `epoch_0001`, ...
        encoder: Name of the encoder that all of them are; not looked at where None.
        scheme: Scheme that all of them were pretrained under; as `encoder`.
        verified: What the command has verified already.
    """

    def __init__(
        self,
        directory: StoragePath,
        *,
        encoder: str | None = None,
        scheme: str | None = None,
        verified: Verified | None = None,
    ) -> None:
        self.directory, self.encoder, self.scheme = directory, encoder, scheme
        self._verified = verified or Verified()

    def path(self, epoch: int) -> StoragePath:
        """Return the folder of one epoch's checkpoint."""
        return self.directory / f"epoch_{epoch:04d}"

    def epochs(self) -> list[int]:
        """Return the epochs present, in order."""
        if not self.directory.is_dir():
            return []
        if is_remote(self.directory):  # where a folder being written can be seen
            names = [path.parent.name for path in self.directory.glob(f"epoch_*/{META}")]
        else:
            names = [path.name for path in self.directory.iterdir()]
        matches = (re.fullmatch(r"epoch_(\d+)", name) for name in names)
        return sorted(int(match[1]) for match in matches if match)

    def move(self, epoch: int, to: "CheckpointSeries") -> None:
        """Move a checkpoint into another series."""
        path = self.path(epoch)
        write_folder(to.path(epoch), {name: (path / name).read_bytes() for name in (WEIGHTS, META)})
        delete(path)

    def read_metas(self) -> dict[int, dict[str, Any]]:
        """Return epoch -> meta data of the whole series, every checkpoint verified.

        Raises:
            CorruptCheckpointError: Names the checkpoint, and how to rebuild it.
        """
        try:
            return {epoch: self._read_meta(epoch) for epoch in self.epochs()}
        except CorruptCheckpointError as error:
            raise CorruptCheckpointError(
                f"{error}; to rebuild the series, delete {shlex.quote(str(self.directory))} and run the same "
                "command"
            ) from error

    def _read_meta(self, epoch: int) -> dict[str, Any]:
        """Return the meta data of a checkpoint, after checking that it is what its folder says."""
        meta = self._verified.read_meta(self.path(epoch))
        for name, expected in (("encoder", self.encoder), ("scheme", self.scheme), ("epoch", epoch)):
            if expected is not None and meta.get(name, expected) != expected:
                raise CorruptCheckpointError(
                    f"checkpoint {self.path(epoch)} is not what its folder says: {META} has {name} "
                    f"{meta[name]!r}, not {expected!r}"
                )
        return meta

    def fingerprints(self) -> dict[int, str]:
        """Return epoch -> SHA-256 of the weights, in the order of the epochs; raises as `read_metas`."""
        return {epoch: meta["encoder_sha256"] for epoch, meta in self.read_metas().items()}
