"""The ablation: do the thesis's parameters of robustness matter, and are they the best?"""

import sys

from raytransfer.cli.verbs.ablation import main

if __name__ == "__main__":
    sys.exit(main())
