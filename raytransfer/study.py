"""What a study is: everything that is compared, and the settings it is computed with."""

import dataclasses
from typing import Annotated, Any, Self

from pydantic import PlainValidator, model_validator

from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.errors import require
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.evaluation.settings import DEFAULT_PROTOCOLS, DownstreamSettings
from raytransfer.options import StrategyOptions, as_options
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.settings import (
    DISTINCT,
    LEAST_SHARE,
    MOST_PROCESSES,
    MOST_RESOURCES,
    Seed,
    describe,
    is_settings,
    must,
    setting,
    settings,
)
from raytransfer.transferability.indicators.registry import indicator_name, read_indicator
from raytransfer.transferability.settings import RobustnessSettings

_WHOLE = must(lambda gpus: gpus <= 1 or float(gpus).is_integer(), "a fraction of one, or whole")
_COUNTED = must(lambda amount: not 0 < amount < LEAST_SHARE, f"at least {LEAST_SHARE}")
Amount = Annotated[float, _COUNTED]
Gpus = Annotated[float, _COUNTED, _WHOLE]


@settings("resources")
class ResourcesSettings:
    """What one process asks of the cluster. Changes where and how fast things run, not what is computed."""

    cpus_per_worker: Amount = setting(1, "CPU cores of one pretraining worker", gt=0, le=MOST_RESOURCES)
    gpu_pretraining: bool = setting(False, "whether each pretraining worker takes GPUs")
    gpus_per_worker: Gpus = setting(
        1, "with gpu_pretraining, GPUs of one pretraining worker; a fraction for a single worker only",
        gt=0, le=MOST_RESOURCES,
    )  # fmt: skip
    memory_per_worker: float = setting(
        0, "memory kept free for one pretraining worker, GB; 0: not asked for", ge=0, le=MOST_RESOURCES
    )
    loader_workers: int = setting(
        0, "processes per pretraining worker that read images ahead; 0: itself", ge=0, le=MOST_PROCESSES
    )
    cpus_per_trial: Amount = setting(
        1, "CPU cores of one scoring or downstream trial", gt=0, le=MOST_RESOURCES
    )
    gpus_per_trial: Gpus = setting(
        0, "GPUs of one scoring or downstream trial; fractions share one", ge=0, le=MOST_RESOURCES
    )
    memory_per_trial: float = setting(
        0, "memory kept free for one scoring or downstream trial, GB; 0: not asked for",
        ge=0, le=MOST_RESOURCES,
    )  # fmt: skip
    storage_patience: float = setting(
        600,
        "how long finished work waits for a storage that is full or away, before it is given up, seconds",
        ge=0,
    )  # fmt: skip

    @property
    def of_worker(self) -> dict[str, float]:
        """What one pretraining worker asks of Ray: "CPU", "GPU" and "memory", bytes; without what is 0."""
        gpus = self.gpus_per_worker if self.gpu_pretraining else 0
        return _asked(self.cpus_per_worker, gpus, self.memory_per_worker)

    @property
    def of_trial(self) -> dict[str, float]:
        """What one scoring or downstream trial asks, as `of_worker`."""
        return _asked(self.cpus_per_trial, self.gpus_per_trial, self.memory_per_trial)


def _asked(cpus: float, gpus: float, gigabytes: float) -> dict[str, float]:
    asked = {"CPU": cpus, "GPU": gpus, "memory": round(gigabytes * 1e9)}
    return {name: amount for name, amount in asked.items() if amount}


KEPT_BY_REFERENCE_RECIPES = ("num_workers", "min_workers", "seed")

Names = Annotated[tuple[str, ...], DISTINCT]
Seeds = Annotated[tuple[Seed, ...], DISTINCT]


@settings()
class Study:
    """A whole study: every model x dataset x checkpoint x protocol x seed."""

    models: Names = setting(
        ("unet-micro", "resnet-unet-micro", "swin-unet-micro"),
        "segmentation models, each of which names its encoder, or for classification encoders",
    )
    datasets: Names = setting(("mni152",), "target datasets")
    schemes: Names = setting(("simple",), "pretraining schemes")
    protocols: Names = setting(
        DEFAULT_PROTOCOLS,
        "evaluation protocols: fine_tuning (all weights train), frozen (encoder frozen), linear_probe "
        "(logistic regression on pooled features; classification)",
    )
    seeds: Seeds = setting((0, 1), "seeds of the downstream trainings")
    source: SourceSettings = setting(SourceSettings, "source data")
    target: TargetSettings = setting(TargetSettings, "target data")
    pretraining: PretrainingSettings = setting(PretrainingSettings, "pretraining recipe")
    reference_recipes: bool = setting(
        False, "whether the thesis's own recipe of each encoder and scheme stands in for `pretraining`"
    )
    indicators: Names = setting(
        ("robustness",), "transferability indicators, with options as in knn(k=10); one pass computes all"
    )
    robustness: RobustnessSettings = setting(RobustnessSettings, "robustness indicator")
    downstream: DownstreamSettings = setting(DownstreamSettings, "downstream recipe")
    resources: ResourcesSettings = setting(
        ResourcesSettings, "cluster resources per process", changes_results=False
    )
    options: Annotated[StrategyOptions, PlainValidator(as_options)] = setting(
        StrategyOptions, "options of the strategies, by their names"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        for text in self.indicators:
            self.indicator(text)  # refuses what does not exist
        for protocol in self.protocols:
            PROTOCOLS.check(protocol)
        if self.resources.gpu_pretraining and self.pretraining.num_workers > 1:
            require(
                self.resources.gpus_per_worker >= 1,
                "resources.gpus_per_worker", self.resources.gpus_per_worker,
                f"whole with pretraining.num_workers={self.pretraining.num_workers}, that cannot share one",
            )  # fmt: skip
        if self.reference_recipes:
            kept = {name: getattr(self.pretraining, name) for name in KEPT_BY_REFERENCE_RECIPES}
            standard = dataclasses.replace(PretrainingSettings(), **kept)
            for key, value, _ in describe(self.pretraining):
                require(
                    value == getattr(standard, key),
                    f"pretraining.{key}", value, "left alone with reference_recipes=true, which sets it",
                )  # fmt: skip
        return self

    def indicator(self, text: str) -> Any:
        """Return one of the `indicators`; what its text leaves open is in the settings of that name, if any.

        Raises:
            InputError: There is no such indicator or option.
        """
        return read_indicator(text, getattr(self, indicator_name(text), None))

    def options_of(self, strategy: str) -> Any:
        """Return the options of a strategy, None where it takes none.

        Args:
            strategy: Its name in its registry, or that of a section, which is returned.

        Raises:
            InputError: There is no such strategy; the message has the nearest one.
        """
        section = getattr(self, strategy, None)
        return section if is_settings(section) else self.options.of(strategy)

    def changed_options(self, *strategies: str) -> dict[str, dict[str, Any]]:
        """Return strategy -> field -> plain value for a unit's settings.

        Args:
            *strategies: Those that the unit depends on.

        Returns:
            Only what results depend on and what is not the default; empty where all is.
        """
        return self.options.changed(strategies)
