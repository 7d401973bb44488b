"""The checkpoints of a storage path: what is there, each verified once per command."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raytransfer.models.checkpoints import CheckpointSeries, load_encoder
from raytransfer.statistics.untrained import scheme_of
from raytransfer.storage.files import StoragePath

if TYPE_CHECKING:
    from raytransfer.models.encoder import Encoder
    from raytransfer.results.units import PretrainingUnit


@dataclass(frozen=True, kw_only=True)
class CheckpointRef:
    """One checkpoint, by what it is.

    Attributes:
        encoder: Encoder name.
        scheme: Scheme that it was pretrained under; None for an untrained encoder.
        seed: Of its pretraining.
        epoch: Epochs of pretraining.
        sha256: Of its weights' file.
        path: Its folder; where it lies is no part of what it is.
    """

    encoder: str
    scheme: str | None
    seed: int
    epoch: int
    sha256: str
    path: StoragePath = field(compare=False)

    def load(self) -> Encoder:
        """Return the encoder, in evaluation mode on the CPU.

        Raises:
            CorruptCheckpointError: A file is missing or damaged.
            ReplacedCheckpointError: The weights are not those of `sha256`.
        """
        encoder, _ = load_encoder(self.path, sha256=self.sha256)
        return encoder


class CheckpointCatalog:
    """What checkpoints a storage path has. One per command: files are hashed when they are first asked for.

    A checkpoint whose files have changed since, or that is new, is verified when it is asked for again.

    Args:
        open_series: Returns the series of an encoder under a scheme.
    """

    def __init__(self, open_series: Callable[[str, str], CheckpointSeries]) -> None:
        self._open_series = open_series

    def series(self, encoder: str, scheme: str) -> dict[int, CheckpointRef]:
        """Return epoch -> checkpoint, verified, in the order of the epochs.

        Raises:
            CorruptCheckpointError: Names the checkpoint, and how to rebuild the series.
        """
        series = self._open_series(encoder, scheme)
        return {
            epoch: CheckpointRef(
                encoder=encoder,
                scheme=scheme_of(scheme, epoch),
                seed=meta.get("settings", {}).get("pretraining", {}).get("seed", 0),
                epoch=epoch,
                sha256=meta["encoder_sha256"],
                path=series.path(epoch),
            )
            for epoch, meta in series.read_metas().items()
        }

    def encoders(self, units: Iterable[PretrainingUnit]) -> dict[tuple[str, str], dict[int, str]]:
        """Return (encoder, scheme) -> epoch -> SHA-256 of the weights, of these pretrainings."""
        return {
            (unit.encoder, unit.scheme): {
                epoch: ref.sha256 for epoch, ref in self.series(unit.encoder, unit.scheme).items()
            }
            for unit in units
        }
