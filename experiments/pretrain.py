"""Pretrain encoders and keep their checkpoint series."""

import sys

from raytransfer.cli.verbs.pretrain import main

if __name__ == "__main__":
    sys.exit(main())
