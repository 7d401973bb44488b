"""Import the encoders that were published with the thesis into checkpoint series.

Question: what do 300-epoch ImageNet pretrainings transfer, without 300 epochs of ImageNet?
Command:  raytransfer import-encoders --storage-path runs/thesis downloads/*.pt
Cost:     seconds per file.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, an untrained epoch 0 among them; grid.py
          --preset thesis takes the series as they are.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from raytransfer.commands import explained, program
from raytransfer.errors import InputError
from raytransfer.pipeline.importing import import_encoders
from raytransfer.results.storage import Storage
from raytransfer.settings import MOST_SEED
from raytransfer.terminal import add_terminal_options, say_error, terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code.

    Args:
        argv: The command line; the process's where None.
    """
    parser = argparse.ArgumentParser(
        prog=program("import-encoders"),
        description=explained(str(__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
            for file, folder in import_encoders(arguments.files, storage, seed=arguments.seed):
                print(f"{file.name} -> {folder}")
    except InputError as error:
        say_error(str(error))
        return 2
    return 0
