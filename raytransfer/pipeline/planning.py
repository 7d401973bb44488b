"""What a study consists of, what of it is done, and what the rest costs on this machine."""

import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache, partial
from itertools import product

from tabulate import tabulate

from raytransfer.data.registry import source_problem, source_size, target_problem, target_task, training_size
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.results.series import is_trainable
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    Configuration,
    configurations,
    evaluation_units,
    pretraining_units,
)
from raytransfer.study import Study


def plan(study: Study, storage: Storage) -> int:
    """List the configurations of a study, what is done of them, and what the rest costs on this machine."""
    wanted = list(configurations(study))
    for configuration in wanted:
        print(configuration.name)
    seeds = len(study.seeds)
    print(f"\n{len(wanted)} configurations x {seeds} seeds = {len(wanted) * seeds} trials\n")
    hours = [_plan_pretrainings(study, storage), _plan_trials(study, storage, wanted)]
    print(
        f"total: {sum(hours):,.1f} hours of what is not done, one after the other in one process, at the "
        "speed that this machine just showed"
    )
    missing = [target_problem(name, study.target) for name in study.datasets]
    for problem in filter(None, [source_problem(study.source), *missing]):
        print(f"missing: {problem}", file=sys.stderr)
    return 0


def _plan_pretrainings(study: Study, storage: Storage) -> float:
    """Print what the pretrainings cost; return the hours of what is not done."""
    from raytransfer.pipeline.cost import pretraining_seconds_per_image  # with torch

    images, classes = source_size(study.source)
    rows, total = [], 0.0
    for unit in pretraining_units(study):
        done = 0 if is_trainable(unit, storage) else unit.recipe.epochs
        done = done or len(storage.ledger.finished("pretraining", unit.epoch_keys()))
        speed = pretraining_seconds_per_image(
            unit.encoder, unit.scheme, unit.recipe, image_size=study.source.image_size, num_classes=classes
        )
        hours = (unit.recipe.epochs - done) * images * speed / 3600
        total += hours
        epochs = f"{done} of {unit.recipe.epochs}"
        rows.append([unit.encoder, unit.scheme, epochs, f"{images:,}", f"{1 / speed:.2f}", f"{hours:,.2f}"])
    headers = ["encoder", "scheme", "epochs done", "images/epoch", "images/s", "hours"]
    print(tabulate(rows, headers=headers, disable_numparse=True), end="\n\n")
    return total


def _plan_trials(study: Study, storage: Storage, wanted: Sequence[Configuration]) -> float:
    """Print what the evaluations cost; return the hours of what is not done."""
    from raytransfer.pipeline.cost import seconds_per_image

    known = [name for name in study.datasets if target_problem(name, study.target) is None]
    encoders = storage.catalog.encoders(pretraining_units(study))
    there = [configuration for configuration in wanted if configuration.dataset in known]
    trials = {unit.key: unit.configuration for unit in evaluation_units(study, there, encoders)}
    finished = storage.ledger.finished("evaluation", list(trials))
    done = Counter((c.model, c.protocol, c.dataset) for key, c in trials.items() if key in finished)
    each = Counter((c.model, c.protocol, c.dataset) for c in wanted)
    sizes = {name: training_size(name, study.target) for name in study.datasets}
    speed_of = cache(partial(seconds_per_image, config=study.downstream))
    rows, total = [], 0.0
    models = dict.fromkeys(configuration.model for configuration in wanted)
    for model, protocol, dataset in filter(each.get, product(models, study.protocols, study.datasets)):
        items, pixels = sizes[dataset]
        speed = speed_of(model, image_size=pixels, task=target_task(dataset), protocol=protocol)
        number = len(study.seeds) * each[model, protocol, dataset]
        images = PROTOCOLS[protocol].num_steps(study.downstream) * items
        ready = done[model, protocol, dataset]
        hours = (number - ready) * images * speed / 3600
        total += hours
        share = f"{ready} of {number}"
        rows.append([model, protocol, dataset, share, f"{images:,}", f"{1 / speed:.2f}", f"{hours:,.2f}"])
    headers = ["model", "protocol", "dataset", "trials done", "images per trial", "images/s", "hours"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    return total
