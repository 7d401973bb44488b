"""Pretrain only as long as the robustness on the targets says so."""

import sys

from raytransfer.cli.verbs.early_stop import main

if __name__ == "__main__":
    sys.exit(main())
