"""The report: which checkpoint to take, how sure that is, and everything behind it, on one page."""

import sys

from raytransfer.cli.verbs.report import main

if __name__ == "__main__":
    sys.exit(main())
