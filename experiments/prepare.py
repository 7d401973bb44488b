"""Bring a target data set into the form that training reads: your own folder, or one as its owners share it.

Question: is every file of the data set there and whole, and what do the images and labels become?
Command:  python experiments/prepare.py --dataset folder --name scans --source my_scans --image-size 64
          python experiments/prepare.py --dataset acdc --source ACDC
Cost:     once per data set; on one core ACDC's 300 volumes take about ten seconds beside reading them and
          0.8 GB of disk, IDRiD's 81 photographs a minute and 0.8 GB (timed on generated files of real size).
Result:   <data-root>/<name>/ with arrays, prepared.json and preview.png, a look at images and labels; on
          stdout the counts and the next command. If files are wrong, they are named on stderr, nothing is
          written, and the exit code is 2.
"""

import sys

from raytransfer.cli.verbs.prepare import main

if __name__ == "__main__":
    sys.exit(main(doc=str(__doc__)))
