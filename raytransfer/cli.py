"""The options that all experiments share, and the checks that run before any work starts."""

import argparse
import logging
import os
import shlex
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import pyarrow as pa
import ray

from raytransfer.config import (
    InputError,
    StudyConfig,
    WorkFailedError,
    describe,
    unknown_name,
    with_overrides,
)
from raytransfer.data import check_data, target_problem
from raytransfer.data.source_augmentation import SCHEMES
from raytransfer.models import encoder_of, num_levels
from raytransfer.ray_train.pretraining import series_problem
from raytransfer.results import (
    SCHEMAS,
    Curve,
    EpochSeconds,
    Storage,
    configurations,
    curves,
    downstream_units,
    epoch_seconds,
    expected_series,
    incomplete,
    pretraining_epochs,
    pretraining_units,
    read_published,
    recorded,
    scoring_units,
)
from raytransfer.tracking import Tracker
from raytransfer.transferability import DISTANCES

WORK_FAILED, INPUT_ERROR, INTERRUPTED = 1, 2, 130
PUBLISHED_FILES = ("robustness_scores.csv", "downstream_scores.csv")


@dataclass(frozen=True, kw_only=True)
class Session:
    """What an experiment works with.

    Attributes:
        study: The resolved settings.
        storage: Where results are.
        tracker: Where runs are shown.
        options: What the command line says, the experiment's own options among it.
        output: Folder for tables that the user asked for, there already; None without `--output`.
    """

    study: StudyConfig
    storage: Storage
    tracker: Tracker
    options: argparse.Namespace
    output: Path | None = None


Presets = Mapping[str, Callable[[], StudyConfig]]


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


def _parser(doc: str, presets: Presets) -> argparse.ArgumentParser:
    """Return a parser of what every experiment takes: which study, and where it is."""
    settings = "\n".join(
        f"  {key} ({value!r})\n      {meaning}" for key, value, meaning in describe(presets["demo"]())
    )
    parser = _Parser(
        description=doc,
        epilog=f"settings for --set, with the values of the preset demo:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", default="demo", metavar="NAME", help=f"{', '.join(presets)} (default: demo)")
    add(
        "--storage-path",
        metavar="DIR",
        help="folder for encoders, results and pictures; every node must see it (default: runs/<preset>)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, for example --set downstream.epochs=3; repeatable",
    )
    return parser


def _add_working_options(parser: argparse.ArgumentParser, *, can_plan: bool) -> None:
    add = parser.add_argument
    add(
        "--address",
        help="Ray cluster to use, host:port or auto (default: start Ray on this machine for this command)",
    )
    add(
        "--tracking-uri",
        metavar="URI",
        help="MLflow server or store (default: the database mlflow.db in the storage path)",
    )
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from what the storage path holds, or insist on an empty one (default: --resume)",
    )
    if can_plan:
        add("--dry-run", action="store_true", help="list what would be done and what it costs, and stop")


def _add_published_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--published",
        type=Path,
        metavar="DIR",
        help=f"work on the thesis's published tables, {' and '.join(PUBLISHED_FILES)} of this folder, "
        "instead of a study: needs no Ray and no storage",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to write tables and figures into")


def _published_tables(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Read the thesis's published tables."""
    if not folder.is_dir():
        raise InputError(f"--published: there is no folder {folder}")
    for name in PUBLISHED_FILES:
        if not (folder / name).is_file():
            raise InputError(f"--published: there is no file {folder / name}")
    return read_published(*(folder / name for name in PUBLISHED_FILES))


def _make_output(folder: Path | None) -> None:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be made ({error.strerror})") from error


def _check_names(study: StudyConfig) -> None:
    check_data(study.source, study.datasets, study.target)
    for kind, name, known in (
        *(("pretraining scheme", scheme, SCHEMES) for scheme in study.schemes),
        ("distance", study.robustness.distance, DISTANCES),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    for model in study.models:
        count = num_levels(encoder_of(model))
        if not 1 <= study.robustness.level_number(count) <= count:
            level = study.robustness.level
            raise InputError(f"robustness.level={level} does not exist: {model} has levels 1 to {count}")


def _check_address(address: str) -> None:
    """Raise InputError where nobody listens; Ray itself would wait for a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not colon or not port.isdigit():
        raise InputError(f"--address must be host:port or auto, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({error})") from error


@contextmanager
def _cluster(address: str | None, study: StudyConfig) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster, for the length of a `with` block."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
            _check_room(study)
        else:
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"--address {address}: no Ray cluster answers there ({reason})") from error
        yield
    finally:
        ray.shutdown()


def _check_room(study: StudyConfig) -> None:
    """Raise InputError where a pretraining could never start on this machine."""
    have = ray.cluster_resources()
    workers, cpus = study.pretraining.num_workers, study.resources.cpus_per_worker
    gpus = workers if study.resources.gpu_pretraining else 0
    if workers * cpus > have.get("CPU", 0) or gpus > have.get("GPU", 0):
        raise InputError(
            f"pretraining.num_workers={workers} needs {workers * cpus:g} CPUs and {gpus} GPUs at once, this "
            f"machine has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}: --set pretraining.num_workers=1"
        )


def _study(arguments: argparse.Namespace, presets: Presets) -> StudyConfig:
    study = with_overrides(presets[arguments.preset](), arguments.set)
    _check_names(study)
    return study


def _with_data_that_is_there(study: StudyConfig) -> tuple[StudyConfig, tuple[str, ...]]:
    """Leave out the datasets that cannot be loaded here, naming each on stderr; return why, a line each.

    Raises:
        InputError: None is left.
    """
    problems = {name: target_problem(name, study.target) for name in study.datasets}
    there = tuple(name for name, problem in problems.items() if problem is None)
    says = tuple(filter(None, problems.values()))
    if not there:
        raise InputError("; ".join(says))
    for problem in says:
        print(f"missing: {problem}", file=sys.stderr)
    return replace(study, datasets=there), says


@contextmanager
def _session(arguments: argparse.Namespace, study: StudyConfig) -> Iterator[Session]:
    """Check everything the user gave, the cheap checks first, then connect."""
    study, _ = _with_data_that_is_there(study)
    storage = Storage(arguments.storage_path or Path("runs") / arguments.preset)
    storage.check()
    if not arguments.resume and any(storage.root.iterdir()):
        raise InputError(f"--no-resume needs an empty --storage-path, {storage.root} is not")
    storage.ledger.check()
    for unit in pretraining_units(study):
        series_problem(unit, storage)
    if arguments.address is not None:
        _check_address(arguments.address)
    tracker = Tracker(
        arguments.tracking_uri or f"sqlite:///{storage.root}/mlflow.db",
        artifact_root=storage.root / "mlartifacts",
    )
    with tracker, _cluster(arguments.address, study):
        output = getattr(arguments, "output", None)
        yield Session(study=study, storage=storage, tracker=tracker, options=arguments, output=output)


def _parsed(
    parser: argparse.ArgumentParser, presets: Presets, argv: Sequence[str] | None
) -> argparse.Namespace:
    arguments = parser.parse_args(argv)
    if arguments.preset not in presets:
        raise unknown_name("preset", arguments.preset, presets)
    return arguments


def _reported(work: Callable[[], int]) -> int:
    """Do the work; say in one line on stderr what the user can mend, and return the exit code."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        return work()
    except (InputError, WorkFailedError) as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return INPUT_ERROR if isinstance(error, InputError) else WORK_FAILED
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED


def main(
    doc: str,
    presets: Presets,
    experiment: Callable[[Session], int],
    argv: Sequence[str] | None = None,
    *,
    plan: Callable[[StudyConfig], int] | None = None,
    published: Callable[[list[Curve], Path | None], int] | None = None,
    add_options: Callable[[argparse.ArgumentParser], None] | None = None,
) -> int:
    """Run an experiment from the command line.

    Args:
        doc: What `--help` begins with: the script's docstring.
        presets: Name -> function that builds the study; "demo" is the default.
        experiment: Does the work and returns the exit code.
        argv: The command line; the process's where None.
        plan: What `--dry-run` does; without it there is no such option.
        published: What `--published` does with the published curves and the folder of `--output`; without it
            there are no such options.
        add_options: Adds the experiment's own options.

    Returns:
        The exit code: the experiment's, 1 for work that failed and 2 for what the user gave wrong (one line
        on stderr), 130 for Ctrl-C.
    """

    def work() -> int:
        parser = _parser(doc, presets)
        _add_working_options(parser, can_plan=plan is not None)
        if published is not None:
            _add_published_options(parser)
        if add_options is not None:
            add_options(parser)
        arguments = _parsed(parser, presets, argv)
        if published is not None and arguments.published is not None:
            found = curves(*_published_tables(arguments.published))
            _make_output(arguments.output)
            return published(found, arguments.output)
        study = _study(arguments, presets)
        if plan is not None and arguments.dry_run:
            return plan(study)
        if published is not None:
            _make_output(arguments.output)
        with _session(arguments, study) as session:
            return experiment(session)

    return _reported(work)


@dataclass(frozen=True, kw_only=True)
class Records:
    """What an experiment that only reads works with.

    Attributes:
        study: The resolved settings; of the published tables, `robustness` counts.
        curves: Recorded curves, at least one.
        epoch_seconds: (encoder, scheme) -> epoch -> seconds it took, as far as recorded.
        trials: The downstream trainings behind the curves, as `recorded` and `read_published` give them.
        pretraining: The ledger's rows of pretraining epochs; empty for the published tables.
        expected: What is complete when nothing is missing, as `expected_series`.
        missing: What is left out and why, a line each.
        fill: The command that computes what is missing.
        storage: Where the study is; None for the published tables.
        options: The experiment's own options.
        output: Folder for tables and figures that the user asked for, there already; None without `--output`.
    """

    study: StudyConfig
    curves: list[Curve]
    epoch_seconds: EpochSeconds
    trials: pa.Table
    pretraining: pa.Table
    expected: Mapping[tuple[str, str, str, str], tuple[int, ...]]
    missing: tuple[str, ...]
    fill: str
    storage: Storage | None
    options: argparse.Namespace
    output: Path | None


def _of_published(arguments: argparse.Namespace, study: StudyConfig) -> Records:
    """Read the thesis's published tables."""
    scores, trials = _published_tables(arguments.published)
    names = (trials[name].unique().to_pylist() for name in ("model", "dataset", "scheme", "mode"))
    epochs = tuple(sorted(trials["epoch"].unique().to_pylist()))
    return Records(
        study=study,
        curves=curves(scores, trials),
        epoch_seconds={},
        trials=trials,
        pretraining=SCHEMAS["pretraining"].empty_table(),
        expected=dict.fromkeys(product(*names), epochs),
        missing=tuple(incomplete(scores, trials)),
        fill="python experiments/grid.py --preset thesis",
        storage=None,
        options=arguments,
        output=arguments.output,
    )


def _of_study(arguments: argparse.Namespace, study: StudyConfig) -> Records:
    """Read the results of a study from the ledger, naming on stderr what it lacks.

    Raises:
        InputError: There is no complete curve; the message says which command makes them.
    """
    expected = expected_series(study)
    study, missing = _with_data_that_is_there(study)
    storage = Storage(arguments.storage_path or Path("runs") / arguments.preset)
    settings = "".join(f" --set {shlex.quote(setting)}" for setting in arguments.set)
    fill = f"python experiments/grid.py --preset {arguments.preset} --storage-path {storage.root}{settings}"
    if not storage.ledger.root.is_dir():
        raise InputError(f"nothing is recorded under {storage.root}: {fill}")
    storage.ledger.check()
    units = pretraining_units(study)
    encoders = {(u.encoder, u.scheme): storage.series(u.encoder, u.scheme).fingerprints() for u in units}
    trials = downstream_units(study, configurations(study), encoders)
    tables = recorded(storage.ledger, scoring_units(study, encoders), trials)
    left_out = incomplete(*tables)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    found = curves(*tables)
    if not found:
        raise InputError(f"no curve of this study is complete under {storage.root}: {fill}")
    pretraining = pretraining_epochs(storage.ledger, units)
    return Records(
        study=study,
        curves=found,
        epoch_seconds=epoch_seconds(pretraining),
        trials=tables[1],
        pretraining=pretraining,
        expected=expected,
        missing=(*missing, *left_out),
        fill=fill,
        storage=storage,
        options=arguments,
        output=arguments.output,
    )


def main_on_records(
    doc: str,
    presets: Presets,
    experiment: Callable[[Records], int],
    add_options: Callable[[argparse.ArgumentParser], None],
    argv: Sequence[str] | None = None,
) -> int:
    """Run an experiment that only reads what a study or the published tables recorded; Ray is not started.

    Args:
        doc: What `--help` begins with: the script's docstring.
        presets: Name -> function that builds the study; "demo" is the default.
        experiment: Does the work and returns the exit code.
        add_options: Adds the experiment's own options.
        argv: The command line; the process's where None.

    Returns:
        The exit code, as `main`.
    """

    def work() -> int:
        parser = _parser(doc, presets)
        _add_published_options(parser)
        add_options(parser)
        arguments = _parsed(parser, presets, argv)
        study = _study(arguments, presets)
        records = (_of_study if arguments.published is None else _of_published)(arguments, study)
        _make_output(arguments.output)
        return experiment(records)

    return _reported(work)
