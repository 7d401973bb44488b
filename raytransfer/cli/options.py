"""The options that all experiments share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from raytransfer.errors import InputError, unknown_name
from raytransfer.pipeline.records import PUBLISHED_FILES
from raytransfer.presets import PRESETS
from raytransfer.settings import describe
from raytransfer.terminal import add_terminal_options

DEFAULT_PRESET = "demo"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; {self.prog} --help lists the options")


def read_by(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type for an option's value whose InputErrors are shown as they are."""

    def value(text: str) -> Any:
        try:
            return read(text)
        except InputError as error:  # of a ValueError, argparse would hide what it says
            raise argparse.ArgumentTypeError(str(error)) from error

    return value


def filled(text: str) -> str:
    """Return an option's value as it is.

    Raises:
        InputError: There is nothing in it: in a shell, a variable that is not set.
    """
    if not text.strip():
        raise InputError(f"needs a value, got {text!r}")
    return text


def folder(text: str) -> Path:
    """Return the folder that an option names.

    Raises:
        InputError: As `filled`, or "~" stands for nobody's home folder.
    """
    try:
        return Path(filled(text)).expanduser()
    except RuntimeError as error:
        raise InputError(f"there is no such home folder: {text}") from error


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a type for an option that counts something."""

    def value(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise InputError(f"must be a whole number from {least} to {most}, got {text!r}")
        return number

    return read_by(value)


def common_parser(doc: str, prog: str) -> argparse.ArgumentParser:
    """Return a parser of what every experiment takes: which study, and where it is."""
    settings = "\n".join(
        f"  {key} ({value!r})\n      {meaning}" for key, value, meaning in describe(PRESETS[DEFAULT_PRESET]())
    )
    parser = _Parser(
        prog=prog,
        description=doc,
        epilog=f"settings for --set, with the values of the preset demo:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--preset",
        metavar="NAME",
        help=f"{', '.join(PRESETS)} (default: that of the study in the storage path, or {DEFAULT_PRESET})",
    )
    add(
        "--storage-path",
        metavar="DIR",
        type=read_by(filled),
        help="folder for encoders, results and pictures, or s3://bucket/folder; every node must see it "
        "(default: runs/<preset>)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, for example --set downstream.epochs=3 or --set seeds=0,1,2; repeatable. The "
        "first command on a storage path writes all settings into its study.json, later ones read them there",
    )
    add_terminal_options(parser)
    return parser


def add_working_options(parser: argparse.ArgumentParser, *, can_plan: bool) -> None:
    """Add what a command takes that computes: where, shown where, and whether to go on."""
    add = parser.add_argument
    add(
        "--address",
        type=read_by(filled),
        help="Ray cluster to use, host:port or auto (default: start Ray on this machine for this command)",
    )
    add(
        "--tracking-uri",
        metavar="URI",
        type=read_by(filled),
        help="MLflow server or store (default: the database mlflow.db in the storage path)",
    )
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from what the storage path holds, or insist on an empty one (default: --resume)",
    )
    add(
        "--retry-failed",
        action="store_true",
        help="run what failed before, and nothing else; without it, that is left out",
    )
    if can_plan:
        add("--dry-run", action="store_true", help="list what would be done and what it costs, and stop")


def add_published_options(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that reads results."""
    parser.add_argument(
        "--published",
        type=read_by(folder),
        metavar="DIR",
        help=f"work on the thesis's published tables, {' and '.join(PUBLISHED_FILES)} of this folder, "
        "instead of a study: needs no Ray and no storage",
    )
    parser.add_argument(
        "--output", type=read_by(folder), metavar="DIR", help="folder to write tables and figures into"
    )


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options given; raises InputError where they, or the preset, do not exist."""
    arguments = parser.parse_args(argv)
    if arguments.preset is not None and arguments.preset not in PRESETS:
        raise unknown_name("preset", arguments.preset, PRESETS)
    if getattr(arguments, "retry_failed", False) and not arguments.resume:
        raise InputError(
            "--retry-failed goes on with what a storage path holds, --no-resume insists on an empty one: "
            "give one of them"
        )
    return arguments
