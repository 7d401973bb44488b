"""Encoders that were published elsewhere, as checkpoint series of a study."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from raytransfer.models.checkpoints import CheckpointSeries, read_meta, save_encoder
from raytransfer.results.storage import Storage
from raytransfer.storage.files import StoragePath


def _add_untrained(series: CheckpointSeries, imported: StoragePath, *, seed: int) -> None:
    """Give a series the untrained encoder that the public files leave out."""
    from raytransfer.models.registry import create_encoder
    from raytransfer.runtime.seeding import seeded

    if series.path(0).exists():
        return
    meta = read_meta(imported)
    with seeded(seed):
        encoder = create_encoder(meta["encoder"], **meta["options"])
    note = {"epoch": 0, "scheme": meta["scheme"], "imported_from": f"random initialisation, seed {seed}"}
    save_encoder(series.path(0), encoder, note)


def import_encoders(
    files: Iterable[Path], storage: Storage, *, seed: int = 0
) -> Iterator[tuple[Path, StoragePath]]:
    """Import encoders that were published with the thesis; yield each file and its checkpoint's folder.

    Args:
        files: `<encoder>_<scheme>_pretraining_checkpoint_epoch_<n>.pt`, under their public names.
        storage: Where the series go.
        seed: Of the untrained epoch 0, which the public files leave out.

    Raises:
        InputError: A file is damaged, or its name says nothing.
    """
    from raytransfer.thesis.public_weights import import_public_encoder  # with torch

    for file in files:
        folder = import_public_encoder(file, storage.root)
        _add_untrained(CheckpointSeries(folder.parent), folder, seed=seed)
        yield file, folder
