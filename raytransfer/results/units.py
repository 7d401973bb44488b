"""The units of work of a study, and the keys under which the ledger knows them.

A key names its unit for people and ends in a digest of everything the result depends on. Scores and
downstream trials depend on the very weights of their encoder (the SHA-256 of its file) and on the very data,
so a series that is made again differently, or other data of the same name, do not inherit results.

The driver makes units from a study whose data are resolved (`raytransfer.data.resolve_data`): a unit has
absolute paths and fingerprints, and its key follows from it alone. No worker reads a file to know a key.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from raytransfer.data.registry import target_identity
from raytransfer.models.names import encoder_of, num_levels
from raytransfer.pretraining.recipes import reference_recipe
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.settings import digest, to_dict
from raytransfer.study import KEPT_BY_REFERENCE_RECIPES, Study

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
    def settings(self) -> dict[str, Any]:
        """Everything the encoders depend on, as plain JSON values; where source files lie is left out."""
        source, recipe = to_dict(self.study.source), to_dict(self.recipe)
        del source["root"]
        if not self.study.source.fingerprint:  # embedded: the other settings say all
            del source["fingerprint"]
        if not self.recipe.min_workers:  # the number of workers is fixed
            del recipe["min_workers"]
        return {
            "encoder": self.encoder,
            "scheme": self.scheme,
            "source": source,
            "pretraining": recipe,
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
        """Return the scorings of its encoder after an epoch, one per dataset of the study."""
        return [
            ScoringUnit(
                study=self.study, encoder=self.encoder, scheme=self.scheme, epoch=epoch,
                encoder_sha256=encoder_sha256, dataset=dataset,
            )
            for dataset in self.study.datasets
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoringUnit:
    """One scoring of a checkpoint on a target dataset.

    Attributes:
        study: The settings; of these, `target` and `robustness` count.
        encoder: Encoder name.
        scheme: Pretraining scheme of the checkpoint.
        epoch: Epochs of pretraining of the checkpoint.
        encoder_sha256: Of the checkpoint's weights.
        dataset: Target dataset.
    """

    kind: ClassVar[str] = "robustness"
    study: Study
    encoder: str
    scheme: str
    epoch: int
    encoder_sha256: str
    dataset: str

    @property
    def precision(self) -> str:
        """What the encoder computes in: float16 where scoring has a GPU and the study allows it."""
        on_gpu = self.study.resources.gpus_per_trial > 0
        return "float16" if on_gpu and self.study.robustness.mixed_precision else "float32"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the scores depend on: not in what parts they are computed, nor which one chooses."""
        config = self.study.robustness
        return {
            "encoder": self.encoder,
            "scheme": self.scheme,
            "epoch": self.epoch,
            "encoder_sha256": self.encoder_sha256,
            "dataset": self.dataset,
            "target": target_identity(self.dataset, self.study.target),
            "robustness": {"margins": list(config.margins), "seed": config.seed, "precision": self.precision},
        }

    @property
    def name(self) -> str:
        """What people call the scoring."""
        return f"{self.encoder} {self.scheme} epoch {self.epoch} on {self.dataset}"

    @property
    def key(self) -> str:
        """Ledger key."""
        epoch = f"epoch-{self.epoch:04d}"
        return _key(self.encoder, self.scheme, epoch, self.dataset, digest(self.settings))

    def chosen_scores(self, scores: Iterable[Mapping[str, Any]]) -> dict[bool, Mapping[str, Any]]:
        """Return the scores that choose checkpoints, of all those in a ledger row, by pooling."""
        config = self.study.robustness
        chosen = (config.distance, config.margin, config.level_number(num_levels(self.encoder)))
        return {s["pooled"]: s for s in scores if (s["distance"], s["margin"], s["level"]) == chosen}


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What is compared downstream: all that varies in a grid but the seed.

    Attributes:
        model: Segmentation model.
        dataset: Target dataset.
        scheme: Pretraining scheme of its encoder.
        epoch: Epochs of pretraining of its encoder.
        protocol: "fine_tuning" or "frozen".
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
class DownstreamUnit:
    """One downstream trial.

    Attributes:
        study: The settings; of these, `target` and `downstream` count.
        configuration: What is trained.
        encoder_sha256: Of the encoder's weights.
        seed: Seed of the training.
    """

    kind: ClassVar[str] = "downstream"
    study: Study
    configuration: Configuration
    encoder_sha256: str
    seed: int

    @property
    def encoder(self) -> str:
        """Encoder name."""
        return encoder_of(self.configuration.model)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the result depends on, as plain JSON values."""
        return {
            **vars(self.configuration),
            "encoder": self.encoder,
            "encoder_sha256": self.encoder_sha256,
            "seed": self.seed,
            "target": target_identity(self.configuration.dataset, self.study.target),
            "downstream": to_dict(self.study.downstream),
        }

    @property
    def name(self) -> str:
        """What people call the trial."""
        return f"{self.configuration.name} seed {self.seed}"

    @property
    def seeds(self) -> list["DownstreamUnit"]:
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
    encoders = dict.fromkeys(encoder_of(model) for model in study.models)
    return [
        PretrainingUnit(study=study, encoder=encoder, scheme=scheme)
        for encoder in encoders
        for scheme in study.schemes
    ]


def scoring_units(study: Study, encoders: Encoders) -> list[ScoringUnit]:
    """Return the scorings a study needs: every checkpoint of every series on every dataset."""
    return [
        ScoringUnit(
            study=study, encoder=encoder, scheme=scheme, epoch=epoch, encoder_sha256=sha256, dataset=dataset
        )
        for dataset in study.datasets
        for (encoder, scheme), series in encoders.items()
        for epoch, sha256 in series.items()
    ]


def configurations(study: Study) -> Iterator[Configuration]:
    """Yield what a study compares: model x dataset x checkpoint x protocol.

    Epoch 0, the untrained encoder, is trained under the first scheme only and serves all.
    """
    epochs = {(unit.encoder, unit.scheme): unit.recipe.series for unit in pretraining_units(study)}
    for model in study.models:
        for dataset in study.datasets:
            for scheme in study.schemes:
                for epoch in epochs[encoder_of(model), scheme]:
                    if epoch > 0 or scheme == study.schemes[0]:
                        for protocol in study.protocols:
                            yield Configuration(
                                model=model, dataset=dataset, scheme=scheme, epoch=epoch, protocol=protocol
                            )


def expected_series(study: Study) -> dict[tuple[str, str, str, str], tuple[int, ...]]:
    """Return what a whole study would show: (model, dataset, scheme, protocol) -> epochs of pretraining."""
    epochs = {(unit.encoder, unit.scheme): unit.recipe.series for unit in pretraining_units(study)}
    return {
        (model, dataset, scheme, protocol): epochs[encoder_of(model), scheme]
        for model in study.models
        for dataset in study.datasets
        for scheme in study.schemes
        for protocol in study.protocols
    }


def downstream_units(
    study: Study, wanted: Iterable[Configuration], encoders: Encoders
) -> list[DownstreamUnit]:
    """Return the trials of those configurations whose checkpoint is there, one per seed."""
    return [
        DownstreamUnit(study=study, configuration=wants, encoder_sha256=series[wants.epoch], seed=seed)
        for wants in wanted
        if wants.epoch in (series := encoders.get((encoder_of(wants.model), wants.scheme), {}))
        for seed in study.seeds
    ]
