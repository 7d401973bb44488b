"""The units of work of a study, and the keys under which the ledger knows them.

A key names its unit for people and ends in a digest of everything the result depends on. Scores and
downstream trials depend on the very weights of their encoder (its SHA-256), so a series that is made again
differently does not inherit results.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from raytransfer.config import StudyConfig, digest, to_dict
from raytransfer.models import encoder_of


@dataclass(frozen=True, kw_only=True)
class PretrainingUnit:
    """One pretraining: an encoder under a scheme.

    Attributes:
        study: The settings; of these, `source` and `pretraining` count.
        encoder: Encoder name.
    """

    study: StudyConfig
    encoder: str

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the encoders depend on, as plain JSON values."""
        return {
            "encoder": self.encoder,
            "scheme": self.study.scheme,
            "source": to_dict(self.study.source),
            "pretraining": to_dict(self.study.pretraining),
        }

    @property
    def key(self) -> str:
        """Name and digest of the pretraining."""
        return f"{_file_name(self.encoder)}-{self.study.scheme}-{digest(self.settings)}"

    def epoch_key(self, epoch: int) -> str:
        """Ledger key of one epoch's row."""
        return f"{self.key}-epoch-{epoch:04d}"


@dataclass(frozen=True, kw_only=True)
class ScoringUnit:
    """One scoring of a checkpoint on the target dataset.

    Attributes:
        study: The settings; of these, `target` and `robustness` count.
        encoder: Encoder name.
        epoch: Epochs of pretraining of the checkpoint.
        encoder_sha256: Of the checkpoint's weights.
    """

    study: StudyConfig
    encoder: str
    epoch: int
    encoder_sha256: str

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the scores depend on; the batch size is left out because they do not."""
        robustness = to_dict(self.study.robustness)
        del robustness["batch_size"]
        return {
            "encoder": self.encoder,
            "scheme": self.study.scheme,
            "epoch": self.epoch,
            "encoder_sha256": self.encoder_sha256,
            "target": to_dict(self.study.target),
            "robustness": robustness,
        }

    @property
    def key(self) -> str:
        """Ledger key."""
        checkpoint = f"{_file_name(self.encoder)}-{self.study.scheme}-epoch-{self.epoch:04d}"
        return f"{checkpoint}-{self.study.target.name}-{digest(self.settings)}"


@dataclass(frozen=True, kw_only=True)
class DownstreamUnit:
    """One downstream trial.

    Attributes:
        study: The settings; of these, `target` and `downstream` count.
        model: Segmentation model.
        epoch: Epochs of pretraining of its encoder.
        encoder_sha256: Of the encoder's weights.
        mode: "full" or "decoder-only".
        seed: Seed of the training.
    """

    study: StudyConfig
    model: str
    epoch: int
    encoder_sha256: str
    mode: str
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the result depends on, as plain JSON values."""
        return {
            "model": self.model,
            "encoder": encoder_of(self.model),
            "scheme": self.study.scheme,
            "epoch": self.epoch,
            "encoder_sha256": self.encoder_sha256,
            "mode": self.mode,
            "seed": self.seed,
            "target": to_dict(self.study.target),
            "downstream": to_dict(self.study.downstream),
        }

    @property
    def name(self) -> str:
        """What people call the trial: all that varies in a grid."""
        return f"{self.model}-{self.study.scheme}-epoch-{self.epoch:04d}-{self.mode}-seed-{self.seed}"

    @property
    def key(self) -> str:
        """Ledger key."""
        return f"{_file_name(self.name)}-{self.study.target.name}-{digest(self.settings)}"


def _file_name(name: str) -> str:
    return name.replace("/", "+")


def pretraining_units(study: StudyConfig) -> list[PretrainingUnit]:
    """Return the pretrainings a study needs, one per encoder."""
    encoders = dict.fromkeys(encoder_of(model) for model in study.models)
    return [PretrainingUnit(study=study, encoder=encoder) for encoder in encoders]


def scoring_units(study: StudyConfig, encoders: dict[str, dict[int, str]]) -> list[ScoringUnit]:
    """Return the scorings a study needs: every checkpoint of every series.

    Args:
        study: The settings.
        encoders: Encoder name -> epoch -> SHA-256 of the weights.
    """
    return [
        ScoringUnit(study=study, encoder=encoder, epoch=epoch, encoder_sha256=sha256)
        for encoder, series in encoders.items()
        for epoch, sha256 in series.items()
    ]


def downstream_units(study: StudyConfig, encoders: dict[str, dict[int, str]]) -> Iterator[DownstreamUnit]:
    """Yield the downstream trials of a study: model x checkpoint x mode x seed; arguments as above."""
    for model in study.models:
        for epoch, sha256 in encoders[encoder_of(model)].items():
            for mode in study.modes:
                for seed in study.seeds:
                    yield DownstreamUnit(
                        study=study, model=model, epoch=epoch, encoder_sha256=sha256, mode=mode, seed=seed
                    )
