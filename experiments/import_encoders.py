"""Import the encoders that were published with the thesis into checkpoint series.

Question: what do 300-epoch ImageNet pretrainings transfer, without 300 epochs of ImageNet?
Command:  python experiments/import_encoders.py --storage-path runs/thesis downloads/*.pt
Cost:     seconds per file.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, an untrained epoch 0 among them; grid.py
          --preset thesis takes the series as they are.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from raytransfer.errors import InputError
from raytransfer.models.checkpoints import CheckpointSeries, read_meta, save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.results.storage import Storage
from raytransfer.runtime.seeding import seeded
from raytransfer.settings import MOST_SEED
from raytransfer.storage.files import StoragePath
from raytransfer.terminal import add_terminal_options, say_error, terminal
from raytransfer.thesis.public_weights import import_public_encoder


def _add_untrained(series: CheckpointSeries, imported: StoragePath, *, seed: int) -> None:
    """Give a series the untrained encoder that the public files leave out."""
    if series.path(0).exists():
        return
    meta = read_meta(imported)
    with seeded(seed):
        encoder = create_encoder(meta["encoder"], **meta["options"])
    note = {"epoch": 0, "scheme": meta["scheme"], "imported_from": f"random initialisation, seed {seed}"}
    save_encoder(series.path(0), encoder, note)


def main(argv: Sequence[str] | None = None) -> int:
    """Import every file, or say of the first that is wrong what is wrong with it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storage-path", metavar="DIR", default="runs/thesis", help="default: runs/thesis")
    parser.add_argument("--seed", type=int, default=0, help="of the untrained epoch 0, default: 0")
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE",
        help="<encoder>_<scheme>_pretraining_checkpoint_epoch_<n>.pt, under their public names",
    )  # fmt: skip
    add_terminal_options(parser)
    arguments = parser.parse_args(argv)
    try:
        if not 0 <= arguments.seed <= MOST_SEED:
            raise InputError(f"--seed must be between 0 and {MOST_SEED}, got {arguments.seed}")
        storage = Storage(arguments.storage_path)
        storage.check()
        with terminal(quiet=arguments.quiet, verbose=arguments.verbose):
            for file in arguments.files:
                folder = import_public_encoder(file, storage.root)
                _add_untrained(CheckpointSeries(folder.parent), folder, seed=arguments.seed)
                print(f"{file.name} -> {folder}")
    except InputError as error:
        say_error(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
