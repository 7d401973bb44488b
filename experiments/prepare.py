"""Bring a target data set, as its owners distribute it, into the form that training reads.

Question: is every file of the data set there and whole, and what do the images and labels become?
Command:  python experiments/prepare.py --dataset acdc --source ACDC
Cost:     once per data set; on one core ACDC's 300 volumes take about ten seconds beside reading them and
          0.8 GB of disk, IDRiD's 81 photographs a minute and 0.8 GB (timed on generated files of real size).
Result:   <data-root>/<dataset>/ with arrays and prepared.json, and the counts on stdout. If files are wrong,
          all of them are listed on stderr, nothing is written, and the exit code is 2.
"""

import argparse
import logging
import sys
from pathlib import Path

from raytransfer.config import InputError
from raytransfer.data.prepared import PREPARERS, prepare, prepared_path
from raytransfer.terminal import add_terminal_options, say_error, terminal

_log = logging.getLogger(f"raytransfer.{__name__}")


def _parser() -> argparse.ArgumentParser:
    names = ", ".join("msd/<Task>" if name == "msd" else name for name in PREPARERS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--dataset", required=True, metavar="NAME", help=names)
    parser.add_argument("--name", metavar="NAME", help="what a study calls it, default: its dataset's name")
    parser.add_argument("--source", required=True, type=Path, metavar="DIR", help="the owners' files")
    parser.add_argument("--data-root", type=Path, default=Path("data"), metavar="DIR", help="default: data")
    parser.add_argument("--image-size", type=int, default=224, metavar="N", help="pixels, default: 224")
    parser.add_argument(
        "--reference", action="store_true", help="quirks of the reference's code (acdc, covid-qu-ex, idrid)"
    )
    parser.add_argument(
        "--modality", type=int, default=0, metavar="N", help="channel taken (msd), default: 0"
    )
    parser.add_argument(
        "--test-share",
        type=float,
        default=0.2,
        metavar="X",
        help="share that tests (msd, folder), default: 0.2",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the split (msd, folder), default: 0"
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the labels 0, 1, ... (folder)")
    add_terminal_options(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Prepare one data set; return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        with terminal(quiet=args.quiet, verbose=args.verbose):
            report = prepare(
                args.dataset,
                args.source,
                prepared_path(args.name or args.dataset, args.data_root),
                image_size=args.image_size,
                reference=args.reference,
                modality=args.modality,
                test_share=args.test_share,
                seed=args.seed,
                class_names=tuple(args.classes) if args.classes else None,
            )
            for warning in report.warnings:
                _log.warning(warning)
    except (InputError, OSError) as error:
        say_error(str(error))
        return 2
    for split, counts in report.counts.items():
        print(f"{report.name} {split}: {', '.join(f'{count} {unit}' for unit, count in counts.items())}")
    print(f"written: {report.path} (fingerprint {report.fingerprint[:10]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
