"""Experiments as commands: parse, check, work, and say in one line what went wrong."""

import argparse
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from raytransfer.cli.options import (
    DEFAULT_PRESET,
    add_published_options,
    add_working_options,
    common_parser,
    parsed,
)
from raytransfer.cli.outcome import reported
from raytransfer.cli.study import make_output, preset_study, resolved_study, storage_root
from raytransfer.commands import command, explained, program
from raytransfer.pipeline.records import Records, of_published, of_study, published_tables
from raytransfer.pipeline.session import Session, open_session
from raytransfer.results.curves import Curve, curves
from raytransfer.results.storage import Storage
from raytransfer.study import Study
from raytransfer.terminal import terminal
from raytransfer.tracking.tracker import store_uri

Options = argparse.Namespace
Experiment = Callable[[Session, Options], int]
"""Does the work, with what the command line says, and returns the exit code."""
Check = Callable[[Study, Storage, Options], None]
"""What an experiment looks at in its own options; raises InputError."""
AddOptions = Callable[[argparse.ArgumentParser], None]
Main = Callable[..., int]
"""Does what a command line says, the process's where it is given none, and returns the exit code: what the
experiment says, 1 for failed work, 2 for what the user gave wrong (one line on stderr), 130 for Ctrl-C."""


def verb_that_computes(
    verb: str,
    doc: str | None,
    experiment: Experiment,
    *,
    plan: Callable[[Study, Storage], int] | None = None,
    published: Callable[[list[Curve], Path | None], int] | None = None,
    add_options: AddOptions | None = None,
    check: Check | None = None,
) -> Main:
    """Return the `main` of a verb that works on a study within a session.

    Args:
        verb: Its name.
        doc: What `--help` begins with.
        experiment: Does the work and returns the exit code.
        plan: What `--dry-run` does; without it there is no such option.
        published: What `--published` does with the published curves and the folder of `--output`; without it
            there are no such options.
        add_options: Adds the verb's own options.
        check: Looks at what these say before anything starts.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        add_working_options(parser, can_plan=plan is not None)
        if published is not None:
            add_published_options(parser)
        if add_options is not None:
            add_options(parser)

    def run(arguments: Options) -> int:
        if published is not None and arguments.published is not None:
            found = curves(*published_tables(arguments.published))
            make_output(arguments.output)
            return published(found, arguments.output)
        store_uri(arguments.tracking_uri, storage_root(arguments))  # refused before the storage is asked
        study = resolved_study(arguments)
        if plan is not None and arguments.dry_run:
            return plan(study, Storage(storage_root(arguments)))
        if published is not None:
            make_output(arguments.output)
        storage = Storage(storage_root(arguments), retry_failed=arguments.retry_failed)
        with open_session(
            study,
            storage,
            preset=arguments.preset or DEFAULT_PRESET,
            tracking_uri=arguments.tracking_uri,
            address=arguments.address,
            resume=arguments.resume,
            verbose=arguments.verbose,
            check=None if check is None else lambda of, there: check(of, there, arguments),
        ) as session:
            code = experiment(session, arguments)
            if code:
                session.tracker.command_failed()
            return code

    return _main(verb, doc, add, run)


def verb_that_reads(
    verb: str, doc: str | None, experiment: Callable[[Records, Options], int], add_options: AddOptions
) -> Main:
    """Return the `main` of a verb that only reads what a study or the published tables recorded, without Ray.

    Args:
        verb: Its name.
        doc: What `--help` begins with.
        experiment: Does the work and returns the exit code.
        add_options: Adds the verb's own options.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        add_published_options(parser)
        add_options(parser)

    def run(arguments: Options) -> int:
        if arguments.published is None:
            study = resolved_study(arguments)
            records = of_study(study, Storage(storage_root(arguments)), _fill(arguments))
        else:
            records = of_published(arguments.published, preset_study(arguments))
        make_output(arguments.output)
        return experiment(records, arguments)

    return _main(verb, doc, add, run)


def _main(verb: str, doc: str | None, add: AddOptions, run: Callable[[Options], int]) -> Main:
    def main(argv: Sequence[str] | None = None) -> int:
        def work() -> int:
            parser = common_parser(explained(str(doc)), program(verb))
            add(parser)
            arguments = parsed(parser, argv)
            with terminal(quiet=arguments.quiet, verbose=arguments.verbose):
                return run(arguments)

        return reported(work)

    return main


def _fill(arguments: Options) -> str:
    """Return the command that computes what a study lacks."""
    options = ["--preset", arguments.preset] if arguments.preset else []
    options += ["--storage-path", str(storage_root(arguments))]
    return command("grid", *options, *chain(*(("--set", each) for each in arguments.set)))
