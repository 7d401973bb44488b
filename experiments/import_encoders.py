"""Import the encoders that were published with the thesis into checkpoint series.

Question: what do 300-epoch ImageNet pretrainings transfer, without 300 epochs of ImageNet?
Command:  python experiments/import_encoders.py --storage-path runs/thesis downloads/*.pt
Cost:     seconds per file.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, which grid.py
          --preset thesis takes as they are.
"""

import argparse
import sys
from pathlib import Path

from raytransfer.config import InputError
from raytransfer.models.public_weights import import_public_encoder
from raytransfer.results import Storage


def main() -> int:
    """Import every file, or say of the first that is wrong what is wrong with it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storage-path", metavar="DIR", default="runs/thesis", help="default: runs/thesis")
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE",
        help="<encoder>_<scheme>_pretraining_checkpoint_epoch_<n>.pt, under their public names",
    )  # fmt: skip
    arguments = parser.parse_args()
    try:
        storage = Storage(arguments.storage_path)
        storage.check()
        for file in arguments.files:
            print(f"{file.name} -> {import_public_encoder(file, storage.root)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
