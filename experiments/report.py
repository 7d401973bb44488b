"""The report: which checkpoint to take, how sure that is, and everything behind it, on one page.

Question: which checkpoint should be taken for each dataset, model and protocol, what does it cost against the
          best one, and what would the last checkpoint, fixed budgets and no pretraining have given?
Command:  python experiments/report.py --preset demo --output DIR     (a study that experiments/grid.py ran)
          python experiments/report.py --published DIR --output DIR   (the thesis's published tables in DIR)
Cost:     seconds; runs nothing, starts no Ray.
Result:   DIR/report.html, one page that needs nothing else; DIR/tables/*.csv; DIR/figures/*.svg, each with
          what it draws as CSV. What a study lacks is shown as missing, with the command that fills it.
          Where the study has an MLflow database, the command's run beside the trials holds the same files.
"""

import sys

from raytransfer.cli.verbs.report import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
