"""Import the encoders that were published with the thesis into checkpoint series."""

import sys

from raytransfer.cli.verbs.import_encoders import main

if __name__ == "__main__":
    sys.exit(main())
