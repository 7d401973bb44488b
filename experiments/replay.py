"""Replay recorded pretrainings through stopping rules and Ray Tune's schedulers."""

import sys

from raytransfer.cli.verbs.replay import main

if __name__ == "__main__":
    sys.exit(main())
