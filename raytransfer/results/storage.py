"""Where everything lies under a storage path."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError
from upath import UPath

from raytransfer.errors import InputError
from raytransfer.models.checkpoints import CheckpointSeries, Verified
from raytransfer.results.checkpoints import CheckpointCatalog
from raytransfer.results.failures import Failures
from raytransfer.results.ledger import Ledger
from raytransfer.results.schemas import SCHEMAS
from raytransfer.storage.files import StoragePath, is_remote, resolve_path

_FOLDERS = ("pretraining", "ray", "results", "failed", "evaluation", "search", "mlartifacts")
"""What lies in a storage path."""


def _outer_study(root: StoragePath) -> Path | None:
    """Return the storage path whose own folders a path goes through, None where it goes through none."""
    if not isinstance(root, Path):
        return None
    for folder in (root, *root.parents):
        ledger = folder.parent / "results"
        if folder.name in _FOLDERS and any(any((ledger / kind).glob("*.parquet")) for kind in SCHEMAS):
            return folder.parent
    return None


class Storage:
    """The folders of one storage path.

    Args:
        root: The storage path, a folder or s3://bucket/folder; every process of the cluster must see it.
        retry_failed: Whether what failed before is done again, and nothing else.
    """

    def __init__(self, root: str | os.PathLike[str] | UPath, *, retry_failed: bool = False) -> None:
        self.root = resolve_path(root)
        self.ledger = Ledger(self.root / "results")
        self.failures = Failures(self.root / "failed", retry=retry_failed)
        self._verified = Verified()

    def pending(self, kind: str, keys: Sequence[str]) -> set[str]:
        """Return which work is to be done by this command: not in the ledger, and see `Failures`."""
        marked = self.failures.marked(kind, keys)
        chosen = marked if self.failures.retry else set(keys) - marked
        return chosen - self.ledger.finished(kind, keys)

    def check(self) -> None:
        """Make the folder and try to write into it.

        Raises:
            InputError: It is a file, or cannot be made or written to, or is a folder of another study, or
                another version of this library wrote it; there is no such bucket.
        """
        if (study := _outer_study(self.root)) is not None:
            raise InputError(
                f"--storage-path {self.root} is a folder of the study {study}: give that, or one of its own"
            )
        token = resolve_path(self.root, attempts=1) / f".written-{secrets.token_hex(4)}"
        try:
            if not is_remote(self.root):
                self.root.mkdir(parents=True, exist_ok=True)
            token.write_bytes(b"")
            token.unlink()
        except (OSError, BotoCoreError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InputError(f"--storage-path {self.root} cannot be used: {said}") from error
        self.ledger.check_version()

    def series(self, encoder: str, scheme: str) -> CheckpointSeries:
        """Return the checkpoint series of an encoder under a scheme."""
        folder = self.root / "pretraining" / encoder / scheme
        return CheckpointSeries(folder, encoder=encoder, scheme=scheme, verified=self._verified)

    @property
    def catalog(self) -> CheckpointCatalog:
        """The checkpoints that are there; files are hashed once, however often they are asked for."""
        return CheckpointCatalog(self.series)

    def pretraining_run(self, key: str) -> StoragePath:
        """Return the folder of a pretraining that is not complete: what it goes on from."""
        return self.ray / "pretraining" / key

    def staging(self, key: str) -> CheckpointSeries:
        """Return the encoders that a pretraining in progress keeps until it is known which are chosen."""
        return CheckpointSeries(self.pretraining_run(key) / "encoders")

    def namespaced(self, name: str) -> "Storage":
        """Return a storage below this one with the same ledger, for series that nobody else should see."""
        storage = Storage(self.root / name)
        storage.ledger, storage.failures = self.ledger, self.failures
        return storage

    def trial_folder(self, key: str) -> StoragePath:
        """Return the folder of an evaluation's config, pictures and model."""
        return self.root / "evaluation" / key

    def trained(self, key: str) -> StoragePath:
        """Return the file of an evaluation's model; kept of the best seed of each configuration."""
        return self.trial_folder(key) / "model.safetensors"

    @property
    def ray(self) -> StoragePath:
        """Ray's own files: resume checkpoints of Train, trial logs of Tune."""
        return self.root / "ray"
