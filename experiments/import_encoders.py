"""Import the encoders that were published with the thesis into checkpoint series.

Question: what do 300-epoch ImageNet pretrainings transfer, without 300 epochs of ImageNet?
Command:  python experiments/import_encoders.py --storage-path runs/thesis downloads/*.pt
Cost:     seconds per file.
Result:   <storage>/pretraining/<encoder>/<scheme>/epoch_NNNN/, an untrained epoch 0 among them; grid.py
          --preset thesis takes the series as they are.
"""

import sys

from raytransfer.cli.verbs.import_encoders import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
