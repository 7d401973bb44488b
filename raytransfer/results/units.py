"""The units of work of a study, and the keys under which the ledger knows them.

A key names its unit for people and ends in a digest of everything the result depends on. Scores and
downstream trials depend on the very weights of their encoder (the SHA-256 of its file) and on the very data,
so a series that is made again differently, or other data of the same name, do not inherit results.

The driver makes units from a study whose data are resolved (`raytransfer.data.resolve_data`): a unit has
absolute paths and fingerprints, and its key follows from it alone. No worker reads a file to know a key.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from raytransfer.data.registry import target_identity, target_task
from raytransfer.errors import InputError
from raytransfer.evaluation.protocols.base import EvaluationProtocol
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.evaluation.tasks.base import Task
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.models.names import encoder_named_by, num_levels
from raytransfer.pretraining.recipes import reference_recipe
from raytransfer.pretraining.schemes import scheme_named
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.results.checkpoints import CheckpointRef
from raytransfer.settings import digest, to_dict
from raytransfer.statistics.untrained import is_trained_under, scheme_of
from raytransfer.study import KEPT_BY_REFERENCE_RECIPES, Study
from raytransfer.transferability.indicators.base import Indicator, Score, Scores, level_from_end
from raytransfer.transferability.indicators.registry import indicator_name

if TYPE_CHECKING:
    from raytransfer.results.storage import Storage

Encoders = Mapping[tuple[str, str], Mapping[int, str]]
"""(encoder, scheme) -> pretraining epoch -> SHA-256 of the weights."""


@dataclass(frozen=True, kw_only=True)
class PretrainingUnit:
    """One pretraining: an encoder under a scheme.

    Attributes:
        study: The settings; of these, `source` and `pretraining` count.
        encoder: Encoder name.
        scheme: Pretraining scheme.
    """

    kind: ClassVar[str] = "pretraining"
    study: Study
    encoder: str
    scheme: str

    @property
    def recipe(self) -> PretrainingSettings:
        """The recipe of this encoder and scheme."""
        given = self.study.pretraining
        if not self.study.reference_recipes:
            return given
        kept = {name: getattr(given, name) for name in KEPT_BY_REFERENCE_RECIPES}
        return replace(reference_recipe(self.encoder, self.scheme), **kept)

    @property
    def method_options(self) -> Any:
        """The options of its method, None where that takes none."""
        return self.study.options_of(scheme_named(self.scheme).method)

    @property
    def primary_metric(self) -> str:
        """The metric that says how good its encoders are on the source data, higher is better."""
        return scheme_named(self.scheme).strategy.primary_metric

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the encoders depend on, as plain JSON values; where source files lie is left out."""
        source, recipe = to_dict(self.study.source), to_dict(self.recipe)
        del source["root"]
        if not self.study.source.fingerprint:  # embedded: the other settings say all
            del source["fingerprint"]
        if not self.recipe.min_workers:  # the number of workers is fixed
            del recipe["min_workers"]
        own = self.study.changed_options(scheme_named(self.scheme).method)
        return {
            "encoder": self.encoder,
            "scheme": self.scheme,
            "source": source,
            "pretraining": recipe,
            **({"options": own} if own else {}),
        }

    @property
    def name(self) -> str:
        """What people call the pretraining."""
        return f"{self.encoder} {self.scheme}"

    @property
    def key(self) -> str:
        """Name and digest of the pretraining."""
        return _key(self.encoder, self.scheme, digest(self.settings))

    def epoch_key(self, epoch: int) -> str:
        """Ledger key of one epoch's row."""
        return f"{self.key}-epoch-{epoch:04d}"

    def epoch_keys(self) -> list[str]:
        """Ledger keys of the rows of all its epochs."""
        return [self.epoch_key(epoch) for epoch in range(1, self.recipe.epochs + 1)]

    def scorings(self, epoch: int, encoder_sha256: str) -> "list[ScoringUnit]":
        """Return the scorings of its encoder that are done while it is trained, one per dataset of the study.

        These are by the robustness, the indicator that stopping rules follow and that needs no labels.
        """
        return [
            ScoringUnit(
                study=self.study, encoder=self.encoder, scheme=self.scheme, epoch=epoch,
                encoder_sha256=encoder_sha256, dataset=dataset,
            )
            for dataset in self.study.datasets
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoringUnit:
    """One scoring of a checkpoint on a target dataset by one indicator.

    Units that differ in their indicator alone are computed in one pass, but each has a row of its own, so
    that an indicator can be added to a study whose checkpoints are scored by others.

    Attributes:
        study: The settings; of these, `target` and what its indicator depends on count.
        encoder: Encoder name.
        scheme: Pretraining scheme of the checkpoint.
        epoch: Epochs of pretraining of the checkpoint.
        encoder_sha256: Of the checkpoint's weights.
        dataset: Target dataset.
        indicator: Indicator as in `Study.indicators`.
    """

    kind: ClassVar[str] = "score"
    study: Study
    encoder: str
    scheme: str
    epoch: int
    encoder_sha256: str
    dataset: str
    indicator: str = "robustness"

    @property
    def strategy(self) -> Indicator:
        """The indicator with its options."""
        return self.study.indicator(self.indicator)

    def checkpoint(self, storage: "Storage") -> CheckpointRef:
        """Return what is scored; nothing is read before it is loaded."""
        return CheckpointRef(
            encoder=self.encoder,
            scheme=scheme_of(self.scheme, self.epoch),
            seed=self.study.pretraining.seed,
            epoch=self.epoch,
            sha256=self.encoder_sha256,
            path=storage.series(self.encoder, self.scheme).path(self.epoch),
        )

    @property
    def in_one_pass(self) -> tuple[str, str, int, str, str]:
        """What units have in common that one pass computes: encoder, scheme, epoch, weights, dataset."""
        return self.encoder, self.scheme, self.epoch, self.encoder_sha256, self.dataset

    @property
    def precision(self) -> str:
        """What the encoder computes in: float16 where scoring has a GPU and the study allows it."""
        on_gpu = self.study.resources.gpus_per_trial > 0
        return "float16" if on_gpu and self.study.robustness.mixed_precision else "float32"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the scores depend on: not in what parts they are computed, nor which one chooses."""
        return {
            "encoder": self.encoder,
            "scheme": self.scheme,
            "epoch": self.epoch,
            "encoder_sha256": self.encoder_sha256,
            "dataset": self.dataset,
            "target": target_identity(self.dataset, self.study.target),
            "indicator": {
                "name": self.strategy.name,
                **asdict(cast(Any, self.strategy)),
                "seed": self.study.robustness.seed,
                "precision": self.precision,
            },
        }

    @property
    def name(self) -> str:
        """What people call the scoring."""
        return f"{self.indicator} of {self.encoder} {self.scheme} epoch {self.epoch} on {self.dataset}"

    @property
    def key(self) -> str:
        """Ledger key."""
        epoch = f"epoch-{self.epoch:04d}"
        name = indicator_name(self.indicator)
        return _key(self.encoder, self.scheme, epoch, self.dataset, name, digest(self.settings))

    def chosen_scores(self, scores: Scores) -> dict[bool | None, Score]:
        """Return the scores that a study looks at first, of all scores of the unit, by pooling.

        They are of the level that chooses checkpoints, and where the study has settings of the indicator, of
        the options that those name.
        """
        settings = getattr(self.study, indicator_name(self.indicator), None)
        level = level_from_end(self.study.robustness.level, num_levels(self.encoder))
        return {
            spec.pooled: score
            for spec, score in scores.items()
            if spec.level in (level, None)
            and all(getattr(settings, name, value) == value for name, value in spec.options)
        }


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What is compared: all that varies in a grid of evaluations but the seed.

    Attributes:
        model: Model of the target's task: a segmentation model, or the encoder of a classifier.
        dataset: Target dataset.
        scheme: Pretraining scheme of its encoder.
        epoch: Epochs of pretraining of its encoder.
        protocol: Evaluation protocol.
    """

    model: str
    dataset: str
    scheme: str
    epoch: int
    protocol: str

    @property
    def name(self) -> str:
        """What people call the configuration."""
        return f"{self.model} {self.dataset} {self.scheme} epoch {self.epoch} {self.protocol}"


@dataclass(frozen=True, kw_only=True)
class EvaluationUnit:
    """One evaluation of a checkpoint on a target dataset.

    Attributes:
        study: The settings; of these, `target` counts, and what the protocol depends on.
        configuration: What is evaluated.
        encoder_sha256: Of the encoder's weights.
        seed: Seed of the evaluation.
    """

    kind: ClassVar[str] = "evaluation"
    study: Study
    configuration: Configuration
    encoder_sha256: str
    seed: int

    @property
    def encoder(self) -> str:
        """Encoder name."""
        return encoder_named_by(self.configuration.model)

    @property
    def task(self) -> Task:
        """The kind of target task."""
        return TASKS[target_task(self.configuration.dataset)]

    @property
    def protocol(self) -> EvaluationProtocol:
        """How it is evaluated."""
        return PROTOCOLS[self.configuration.protocol]

    @property
    def num_steps(self) -> int:
        """Steps it has, each with metrics: epochs of a training."""
        return self.protocol.num_steps(self.study.downstream)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the result depends on, as plain JSON values."""
        return {
            **vars(self.configuration),
            "encoder": self.encoder,
            "encoder_sha256": self.encoder_sha256,
            "seed": self.seed,
            "target": target_identity(self.configuration.dataset, self.study.target),
            **self.protocol.settings(self.study.downstream),
        }

    @property
    def name(self) -> str:
        """What people call the trial."""
        return f"{self.configuration.name} seed {self.seed}"

    @property
    def seeds(self) -> list["EvaluationUnit"]:
        """The trials of its configuration, one for each of the study's seeds."""
        return [replace(self, seed=seed) for seed in self.study.seeds]

    @property
    def key(self) -> str:
        """Ledger key."""
        c = self.configuration
        what = (c.model, c.dataset, c.scheme, f"epoch-{c.epoch:04d}", c.protocol, f"seed-{self.seed}")
        return _key(*what, digest(self.settings))


def _key(*parts: str) -> str:
    return "-".join(parts).replace("/", "+")


def pretraining_units(study: Study) -> list[PretrainingUnit]:
    """Return the pretrainings a study needs, one per encoder and scheme."""
    encoders = dict.fromkeys(encoder_named_by(model) for model in study.models)
    return [
        PretrainingUnit(study=study, encoder=encoder, scheme=scheme)
        for encoder in encoders
        for scheme in study.schemes
    ]


def scoring_units(study: Study, encoders: Encoders) -> list[ScoringUnit]:
    """Return the scorings a study needs: every checkpoint on every dataset by every indicator."""
    return [
        ScoringUnit(
            study=study,
            encoder=encoder,
            scheme=scheme,
            epoch=epoch,
            encoder_sha256=sha256,
            dataset=dataset,
            indicator=indicator,
        )
        for dataset in study.datasets
        for (encoder, scheme), series in encoders.items()
        for epoch, sha256 in series.items()
        for indicator in study.indicators
    ]


def target_models(study: Study, dataset: str) -> list[str]:
    """Return the models that are evaluated on a dataset, each once: what a study's names mean for its task.

    Raises:
        InputError: A name means no model for it.
    """
    task = TASKS[target_task(dataset)]
    try:
        return list(dict.fromkeys(map(task.model_name, study.models)))
    except InputError as error:
        raise InputError(f"dataset {dataset!r} is for {task.name}: {error}") from error


def check_evaluations(study: Study) -> None:
    """Check that the study's models and protocols suit the tasks of its datasets.

    Raises:
        InputError: One does not.
    """
    for dataset in study.datasets:
        target_models(study, dataset)
        for protocol in study.protocols:
            try:
                PROTOCOLS[protocol].check(target_task(dataset))
            except InputError as error:
                raise InputError(f"protocol {protocol!r} on dataset {dataset!r}: {error}") from error


def _series(study: Study) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Yield model, dataset, scheme and the epochs of pretraining of its checkpoints."""
    epochs = {(unit.encoder, unit.scheme): unit.recipe.series for unit in pretraining_units(study)}
    models = {dataset: target_models(study, dataset) for dataset in study.datasets}
    for model in dict.fromkeys(name for names in models.values() for name in names):
        for dataset in study.datasets:
            if model in models[dataset]:
                for scheme in study.schemes:
                    yield model, dataset, scheme, epochs[encoder_named_by(model), scheme]


def configurations(study: Study) -> Iterator[Configuration]:
    """Yield what a study compares: model x dataset x checkpoint x protocol.

    Epoch 0, the untrained encoder, is evaluated under the first scheme only and serves all.
    """
    for model, dataset, scheme, epochs in _series(study):
        for epoch in epochs:
            if is_trained_under(scheme, epoch, study.schemes):
                for protocol in study.protocols:
                    yield Configuration(
                        model=model, dataset=dataset, scheme=scheme, epoch=epoch, protocol=protocol
                    )


def expected_series(study: Study) -> dict[tuple[str, str, str, str], tuple[int, ...]]:
    """Return what a whole study would show: (model, dataset, scheme, protocol) -> epochs of pretraining."""
    return {
        (model, dataset, scheme, protocol): epochs
        for model, dataset, scheme, epochs in _series(study)
        for protocol in study.protocols
    }


def evaluation_units(
    study: Study, wanted: Iterable[Configuration], encoders: Encoders
) -> list[EvaluationUnit]:
    """Return the trials of those configurations whose checkpoint is there, one per seed."""
    return [
        EvaluationUnit(study=study, configuration=wants, encoder_sha256=series[wants.epoch], seed=seed)
        for wants in wanted
        if wants.epoch in (series := encoders.get((encoder_named_by(wants.model), wants.scheme), {}))
        for seed in study.seeds
    ]
