"""Bring a target data set into the form that training reads."""

import sys

from raytransfer.cli.verbs.prepare import main

if __name__ == "__main__":
    sys.exit(main())
