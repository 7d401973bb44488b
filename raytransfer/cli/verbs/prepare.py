"""Bring a target data set into the form that training reads: your own folder, or one as its owners share it.

Question: is every file of the data set there and whole, and what do the images and labels become?
Command:  raytransfer prepare --dataset folder --name scans --source my_scans --image-size 64
          raytransfer prepare --dataset acdc --source ACDC
Cost:     once per data set; on one core ACDC's 300 volumes take about ten seconds beside reading them and
          0.8 GB of disk, IDRiD's 81 photographs a minute and 0.8 GB (timed on generated files of real size).
Result:   <data-root>/<name>/ with arrays, prepared.json and preview.png, a look at images and labels; on
          stdout the counts and the next command. If files are wrong, they are named on stderr, nothing is
          written, and the exit code is 2.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from raytransfer.commands import command, explained, program
from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.naming import study_name
from raytransfer.data.targets.prepared import PREPARERS, PreparedReport, prepare, prepared_path
from raytransfer.errors import InputError
from raytransfer.terminal import add_terminal_options, say_error, terminal

DATA_ROOT = Path("data")

LAYOUTS = """\
your own folder (--dataset folder): images as PNG, TIFF or JPEG, masks as PNG or TIFF with labels 0, 1, ...
  my_scans/images/a.jpg      my_scans/masks/a.png            split at random: --test-share, --seed
  my_scans/train/images/...  my_scans/train/masks/...        split as given
  my_scans/test/images/...  my_scans/test/masks/...
  my_scans/a.png             my_scans/a_mask.png             masks beside their images
  also: img/, imgs/, image/ and labels/, gt/, annotations/, ...; masks that end in _seg, _label, ...;
  masks of 0 and 255

several images of one patient must be in one split, or the test is too easy
  --group-by '^([^_]+)_'     p01_1.png and p01_2.png are of the group p01 (a regular expression)
  my_scans/groups.csv        with the columns file and group, a line for every image

values of the images become 0 .. 1, by one range for all
  8 bits: 0 and 255; more bits: 0 and the largest number of 10, 12, 14 or 16 bits, as the values suggest
  --value-range -200 300     these two become 0 and 1, values outside are clipped

other data sets, as their owners share them (each one's module in raytransfer/data says more)
  acdc          training/patient001/patient001_frame01.nii.gz, ..._gt.nii.gz, Info.cfg; testing/...
  covid-qu-ex   Infection Segmentation Data/{Train,Val,Test}/COVID-19/{images,infection masks}/*.png
  idrid         A. Segmentation/{1. Original Images,2. All Segmentation Groundtruths}/...
  msd/<Task>    Task04_Hippocampus/dataset.json, imagesTr/, labelsTr/; its name is msd/Task04_Hippocampus
"""

_log = logging.getLogger(__name__)


def _parser() -> argparse.ArgumentParser:
    names = ", ".join("msd/<Task>" if name == "msd" else name for name in PREPARERS)
    parser = argparse.ArgumentParser(
        prog=program("prepare"),
        description=explained(str(__doc__)),
        epilog=LAYOUTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help=names)
    add(
        "--name",
        metavar="NAME",
        help="what a study calls it (a folder needs one), default: the dataset's name",
    )
    add("--source", required=True, type=Path, metavar="DIR", help="the folder with the files")
    add("--data-root", type=Path, default=DATA_ROOT, metavar="DIR", help=f"default: {DATA_ROOT}")
    add("--image-size", type=int, default=224, metavar="N", help="pixels, a multiple of 32, default: 224")
    add("--classes", nargs="+", metavar="NAME", help="names of the labels 0, 1, ... (folder)")
    add(
        "--test-share",
        type=float,
        default=0.2,
        metavar="X",
        help="share that tests (msd, folder), default: 0.2",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the split (msd, folder), default: 0")
    add("--group-by", metavar="PATTERN", help="what in a file's name must not be in both splits (folder)")
    add(
        "--value-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="values that become 0 and 1 (folder), default: what the files suggest",
    )
    add("--modality", type=int, default=0, metavar="N", help="channel taken (msd), default: 0")
    add("--reference", action="store_true", help="quirks of the reference's code (acdc, covid-qu-ex, idrid)")
    add("--replace", action="store_true", help="replace a data set of that name that has another content")
    add("--problems", type=Path, metavar="FILE", help="if files are wrong, write every problem there")
    add_terminal_options(parser)
    return parser


def _prepare(args: argparse.Namespace) -> PreparedReport:
    name = study_name(args.dataset, args.name)
    report = prepare(
        args.dataset,
        args.source,
        prepared_path(name, args.data_root),
        image_size=args.image_size,
        reference=args.reference,
        modality=args.modality,
        test_share=args.test_share,
        seed=args.seed,
        class_names=tuple(args.classes) if args.classes else None,
        value_range=tuple(args.value_range) if args.value_range else None,
        group_by=args.group_by,
        replace=args.replace,
    )
    for warning in report.warnings:
        _log.warning(warning)
    return report


def _next_command(name: str, data_root: Path) -> str:
    """Return the command of a study on the data set, from the same folder."""
    options = ["--set", f"datasets={json.dumps([name])}"]
    if data_root != DATA_ROOT:
        options += ["--set", f"target.data_root={data_root}"]
    return command("grid", *options, "--storage-path", f"runs/{name}")


def _say_where_all_are(error: BadDataError, file: Path | None) -> None:
    if file is not None:
        try:
            file.write_text("".join(f"{problem}\n" for problem in error.problems))
        except OSError as why:
            say_error(f"--problems: {file} cannot be written ({why.strerror})")
            return
        print(f"  all {len(error.problems)} are in {file}", file=sys.stderr)
    elif not error.all_shown:
        print(f"  --problems FILE writes all {len(error.problems)} to a file", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code.

    Args:
        argv: The command line; the process's where None.
    """
    args = _parser().parse_args(argv)
    try:
        with terminal(quiet=args.quiet, verbose=args.verbose):
            report = _prepare(args)
            from raytransfer.data.targets.preview import draw_preview  # slow to import, so not before

            preview = draw_preview(report.path)
    except (InputError, OSError) as error:
        say_error(str(error))
        if isinstance(error, BadDataError):
            _say_where_all_are(error, args.problems)
        return 2
    name = args.name or args.dataset
    for line in report.notes:
        print(line)
    for split, counts in report.counts.items():
        print(f"{name} {split}: {', '.join(f'{count} {unit}' for unit, count in counts.items())}")
    was = "unchanged" if report.unchanged else "written"
    print(f"{was}: {report.path} (fingerprint {report.fingerprint[:10]})")
    print(f"look at it: {preview}")
    print(f"next: {_next_command(name, args.data_root)}")
    return 0
