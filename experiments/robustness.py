"""Score every checkpoint on the target's training images, by the study's indicators in one pass."""

import sys

from raytransfer.cli.verbs.score import main

if __name__ == "__main__":
    sys.exit(main())
