"""What a study is: everything that is compared, and the settings it is computed with."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.errors import unknown_name
from raytransfer.evaluation.settings import PROTOCOLS, DownstreamSettings
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.settings import (
    LEAST_SHARE,
    MOST_PROCESSES,
    MOST_RESOURCES,
    MOST_SEED,
    describe,
    require,
    require_from,
    setting,
)
from raytransfer.transferability.indicators.registry import indicator_name, read_indicator
from raytransfer.transferability.settings import RobustnessSettings


@dataclass(frozen=True, kw_only=True)
class ResourcesSettings:
    """What one process asks of the cluster. Changes where and how fast things run, not what is computed."""

    cpus_per_worker: float = setting(1, "CPU cores of one pretraining worker")
    gpu_pretraining: bool = setting(False, "whether each pretraining worker takes GPUs")
    gpus_per_worker: float = setting(
        1, "with gpu_pretraining, GPUs of one pretraining worker; a fraction for a single worker only"
    )
    memory_per_worker: float = setting(0, "memory kept free for one pretraining worker, GB; 0: not asked for")
    loader_workers: int = setting(0, "processes per pretraining worker that read images ahead; 0: itself")
    cpus_per_trial: float = setting(1, "CPU cores of one scoring or downstream trial")
    gpus_per_trial: float = setting(0, "GPUs of one scoring or downstream trial; fractions share one")
    memory_per_trial: float = setting(
        0, "memory kept free for one scoring or downstream trial, GB; 0: not asked for"
    )
    storage_patience: float = setting(
        600, "how long finished work waits for a storage that is full or away, before it is given up, seconds"
    )

    def __post_init__(self) -> None:
        for name in ("cpus_per_worker", "cpus_per_trial", "gpus_per_worker"):
            require(getattr(self, name) > 0, f"resources.{name}", getattr(self, name), "positive")
        for name in ("gpus_per_trial", "memory_per_worker", "memory_per_trial"):
            require_from(0, f"resources.{name}", getattr(self, name), MOST_RESOURCES)
        for name in ("cpus_per_worker", "cpus_per_trial", "gpus_per_worker", "gpus_per_trial"):
            amount = getattr(self, name)
            require_from(LEAST_SHARE if amount else 0, f"resources.{name}", amount, MOST_RESOURCES)
        require_from(0, "resources.loader_workers", self.loader_workers, MOST_PROCESSES)
        require(self.storage_patience >= 0, "resources.storage_patience", self.storage_patience, "at least 0")
        for name in ("gpus_per_worker", "gpus_per_trial"):
            gpus = getattr(self, name)
            require(
                gpus <= 1 or float(gpus).is_integer(),
                f"resources.{name}",
                gpus,
                "a fraction of one, or whole",
            )

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


@dataclass(frozen=True, kw_only=True)
class Study:
    """A whole study: every model x dataset x checkpoint x protocol x seed."""

    models: tuple[str, ...] = setting(
        ("unet-micro", "resnet-unet-micro", "swin-unet-micro"), "segmentation models; each names its encoder"
    )
    datasets: tuple[str, ...] = setting(("mni152",), "target datasets")
    schemes: tuple[str, ...] = setting(("simple",), "pretraining schemes")
    protocols: tuple[str, ...] = setting(
        PROTOCOLS, "fine_tuning (all weights train) and frozen (encoder frozen)"
    )
    seeds: tuple[int, ...] = setting((0, 1), "seeds of the downstream trainings")
    source: SourceSettings = setting(SourceSettings, "source data")
    target: TargetSettings = setting(TargetSettings, "target data")
    pretraining: PretrainingSettings = setting(PretrainingSettings, "pretraining recipe")
    reference_recipes: bool = setting(
        False, "whether the thesis's own recipe of each encoder and scheme stands in for `pretraining`"
    )
    indicators: tuple[str, ...] = setting(
        ("robustness",), "transferability indicators, with options as in knn(k=10); one pass computes all"
    )
    robustness: RobustnessSettings = setting(RobustnessSettings, "robustness indicator")
    downstream: DownstreamSettings = setting(DownstreamSettings, "downstream recipe")
    resources: ResourcesSettings = setting(
        ResourcesSettings, "cluster resources per process", changes_results=False
    )

    def __post_init__(self) -> None:
        for name in ("models", "datasets", "schemes", "protocols", "seeds", "indicators"):
            values = getattr(self, name)
            require(
                bool(values) and len(set(values)) == len(values), name, values, "non-empty, without repeats"
            )
        for seed in self.seeds:
            require_from(0, "seeds", seed, MOST_SEED)
        for text in self.indicators:
            self.indicator(text)  # refuses what does not exist
        for protocol in self.protocols:
            if protocol not in PROTOCOLS:
                raise unknown_name("protocol", protocol, PROTOCOLS)
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

    def indicator(self, text: str) -> Any:
        """Return one of the `indicators`; what its text leaves open is in the settings of that name, if any.

        Raises:
            InputError: There is no such indicator or option.
        """
        return read_indicator(text, getattr(self, indicator_name(text), None))
