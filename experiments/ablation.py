"""The ablation: do the thesis's parameters of robustness matter, and are they the best?

Question: which distance, margin, level and pooling choose good checkpoints, by the best score of all
          (offline) and by the first peak (online), and is that better than a fixed budget?
Command:  python experiments/ablation.py --published DIR       (the thesis's published tables in DIR)
          python experiments/ablation.py --preset demo         (a study of one's own)
          Add --output DIR for the tables as CSV: rules.csv, parameters.csv, choices.csv, findings.csv, one
          row per choice, method, dataset and protocol.
Cost:     seconds with --published, without Ray and storage; else what experiments/grid.py costs, and nothing
          where it has run.
Result:   TIS of robustness's choices beside simple ones, a table per parameter, the best and worst of all
          choices, and what these data say about the thesis's four findings; each with standard errors.
"""

import sys

from raytransfer.cli.verbs.ablation import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
