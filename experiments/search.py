"""Search for training settings with Optuna."""

import sys

from raytransfer.cli.verbs.search import main

if __name__ == "__main__":
    sys.exit(main())
