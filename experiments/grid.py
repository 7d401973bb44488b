"""The main job: which checkpoint should be transferred?"""

import sys

from raytransfer.cli.verbs.grid import main

if __name__ == "__main__":
    sys.exit(main())
