"""Settings of a study: frozen dataclasses, read strictly, changed only by making new ones.

Every field carries its meaning and unit (`setting(...)`), which `--help` prints. `from_dict` refuses unknown
keys and values of another type; `with_overrides` applies the command line's `--set key=value`. `digest`
identifies what was computed: two results with the same digest came from the same settings.
"""

import dataclasses
import hashlib
import json
import math
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from raytransfer.errors import InputError, unknown_name

Config = TypeVar("Config")

MOST_SEED = 2**32 - 1
"""A seed is a word of 32 bits: numpy takes the rest of a larger one for the word after it, say an epoch."""

MOST_EPOCHS, MOST_IMAGES, MOST_PIXELS, MOST_PROCESSES = 100_000, 1_000_000, 8192, 1024
"""More than anybody has use for: what is larger was not meant."""

LEAST_SHARE, MOST_RESOURCES = 0.0001, 1_000_000
"""Of a resource, what Ray counts in, and more than any cluster has."""


def setting(default: Any, meaning: str, *, changes_results: bool = True) -> Any:
    """Declare a dataclass field with its default, meaning and unit.

    Args:
        default: The default, or the class of a section.
        meaning: What `--help` says.
        changes_results: Whether what is recorded depends on it; else each command may have its own value.
    """
    metadata = {"meaning": meaning, "changes_results": changes_results}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise InputError(f"{name} must be {rule}, got {value!r}")


def _require_image_size(name: str, pixels: int) -> None:
    _require(pixels >= 32 and pixels % 32 == 0, name, pixels, "a multiple of 32 (the encoders' stride)")
    _require_from(32, name, pixels, MOST_PIXELS)


def _require_from(least: float, name: str, value: float, most: float) -> None:
    _require(value >= least, name, value, f"at least {least}")
    _require(value <= most, name, value, f"at most {most}")


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """The source data: what encoders are pretrained on."""

    name: str = setting("photographs", "source dataset")
    root: str = setting(
        "", "imagenet: folder that holds train/<class>/* and val/<class>/*", changes_results=False
    )
    image_size: int = setting(64, "side of the square images, pixels")
    train_per_class: int = setting(48, "photographs: training images drawn per class")
    val_per_class: int = setting(16, "photographs: validation images drawn per class")
    seed: int = setting(0, "photographs: seed of the draw of the crops")
    fingerprint: str = ""
    """Identifies the files of a source that is not embedded; the driver fills it in (`resolve_data`)."""

    def __post_init__(self) -> None:
        _require_image_size("source.image_size", self.image_size)
        _require_from(1, "source.train_per_class", self.train_per_class, MOST_IMAGES)
        _require_from(1, "source.val_per_class", self.val_per_class, MOST_IMAGES)
        _require_from(0, "source.seed", self.seed, MOST_SEED)


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """The target data: what is segmented, and what checkpoints are scored on.

    Prepared datasets have the size they were prepared with.
    """

    data_root: str = setting(
        "data", "folder of the datasets that experiments/prepare.py wrote", changes_results=False
    )
    image_size: int = setting(64, "side of the square images of mni152, pixels")
    slice_step: int = setting(2, "every how many millimetres a slice of mni152 is taken")
    fingerprints: tuple[tuple[str, str], ...] = ()
    """(dataset, fingerprint) of the prepared datasets; the driver fills it in (`resolve_data`)."""

    def __post_init__(self) -> None:
        _require_image_size("target.image_size", self.image_size)
        _require(1 <= self.slice_step <= 10, "target.slice_step", self.slice_step, "between 1 and 10")


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """The pretraining recipe (AdamW, linear warm-up, cosine decay per step, cross-entropy).

    The number of workers is part of the recipe. A batch has the same images whatever it is, but batch norm
    and mixing work on each worker's share of it, and a sum over other parts has other last digits. With
    `min_workers` the number may change during the training, so that a seed no longer gives one result.
    """

    epochs: int = setting(20, "epochs of a whole pretraining")
    series: tuple[int, ...] = setting((0, 1, 2, 5, 10, 20), "epochs whose encoder is kept; 0 is untrained")
    batch_size: int = setting(64, "images per optimiser step, over all workers")
    learning_rate: float = setting(2e-3, "base learning rate of AdamW")
    weight_decay: float = setting(0.05, "weight decay of AdamW")
    warmup_epochs: int = setting(2, "epochs of linear warm-up from 1e-6 times the base rate")
    label_smoothing: float = setting(0.1, "label smoothing of the cross-entropy, in [0, 1)")
    augmentation: float = setting(
        1.0, "factor on the ranges, probabilities and magnitude of the scheme's augmentation, in [0, 1]"
    )
    stochastic_depth: float = setting(
        0.0, "rate of the last block's stochastic depth (resnet50, swin), in [0, 1)"
    )
    chunk_size: int = setting(0, "most images of a worker in one forward pass; 0: its whole share of a batch")
    num_workers: int = setting(2, "data-parallel workers (Ray Train)")
    min_workers: int = setting(
        0, "least workers to go on with where the cluster has no room for num_workers; 0: always num_workers"
    )
    seed: int = setting(0, "seed of initialisation, order and augmentation")

    def __post_init__(self) -> None:
        _require_from(1, "pretraining.epochs", self.epochs, MOST_EPOCHS)
        series = self.series
        _require(
            bool(series) and list(series) == sorted(set(series)) and series[0] >= 0,
            "pretraining.series", series, "increasing epochs from 0 up",
        )  # fmt: skip
        _require(series[-1] <= self.epochs, "pretraining.series", series, f"within {self.epochs} epochs")
        _require_from(1, "pretraining.num_workers", self.num_workers, MOST_PROCESSES)
        _require(
            0 <= self.min_workers <= self.num_workers,
            "pretraining.min_workers", self.min_workers, f"between 0 and num_workers={self.num_workers}",
        )  # fmt: skip
        _require(
            self.batch_size >= self.num_workers and self.batch_size % self.num_workers == 0,
            "pretraining.batch_size", self.batch_size, f"a multiple of num_workers={self.num_workers}",
        )  # fmt: skip
        _require_from(1, "pretraining.batch_size", self.batch_size, MOST_IMAGES)
        _require(self.learning_rate > 0, "pretraining.learning_rate", self.learning_rate, "positive")
        _require(self.weight_decay >= 0, "pretraining.weight_decay", self.weight_decay, "at least 0")
        _require(
            0 <= self.warmup_epochs <= self.epochs,
            "pretraining.warmup_epochs", self.warmup_epochs, f"between 0 and epochs={self.epochs}",
        )  # fmt: skip
        _require(
            0 <= self.label_smoothing < 1, "pretraining.label_smoothing", self.label_smoothing, "in [0, 1)"
        )
        _require(0 <= self.augmentation <= 1, "pretraining.augmentation", self.augmentation, "in [0, 1]")
        _require(
            0 <= self.stochastic_depth < 1,
            "pretraining.stochastic_depth", self.stochastic_depth, "in [0, 1)",
        )  # fmt: skip
        _require_from(0, "pretraining.chunk_size", self.chunk_size, MOST_IMAGES)
        _require_from(0, "pretraining.seed", self.seed, MOST_SEED)


MODES = ("full", "decoder-only")
POOLINGS = {"decoder-only": ("decoder-only",), "always": MODES, "never": (), "full": ("full",)}
"""Name -> modes in which representations are averaged over space."""

MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The margins of the thesis's ablation."""


@dataclass(frozen=True, kw_only=True)
class RobustnessConfig:
    """The robustness indicator: thesis, eq. 4.2, with its defaults.

    Every distance, level and pooling is scored; `distance`, `margin`, `level` and `pooled` say which of the
    scores chooses checkpoints.
    """

    distance: str = setting(
        "cosine", "distance that chooses checkpoints: cosine, l2 or pearson", changes_results=False
    )
    margin: float = setting(
        0.5, "margin of the hinge that chooses checkpoints, one of `margins`", changes_results=False
    )
    level: int = setting(
        -2,
        "encoder level that chooses checkpoints: 1 has the highest resolution, -2 is second to last",
        changes_results=False,
    )
    pooled: str = setting(
        "decoder-only",
        "where features averaged over space choose: decoder-only, full, always or never",
        changes_results=False,
    )
    margins: tuple[float, ...] = setting(MARGINS, "margins that are scored")
    seed: int = setting(0, "seed of the colour jitter and of the pairing")
    batch_size: int = setting(
        16,
        "images per forward pass; changes speed, not scores: 4 is fastest at 224 px on a CPU",
        changes_results=False,
    )
    num_workers: int = setting(
        1, "tasks that share the scoring of a checkpoint; changes speed, not scores", changes_results=False
    )
    mixed_precision: bool = setting(
        True, "whether encoders compute in float16 where scoring has a GPU; changes scores by 1e-4 or so"
    )

    def __post_init__(self) -> None:
        margins = self.margins
        _require(
            len(set(margins)) == len(margins) > 0 and all(0 <= margin < math.inf for margin in margins),
            "robustness.margins", margins, "at least 0, without repeats",
        )  # fmt: skip
        _require(
            self.margin in margins, "robustness.margin", self.margin, f"one of robustness.margins={margins}"
        )
        if self.pooled not in POOLINGS:
            raise unknown_name("robustness.pooled", self.pooled, POOLINGS)
        _require(self.level != 0, "robustness.level", self.level, "from 1 up, or negative from the end")
        _require_from(1, "robustness.batch_size", self.batch_size, MOST_IMAGES)
        _require_from(1, "robustness.num_workers", self.num_workers, MOST_PROCESSES)
        _require_from(0, "robustness.seed", self.seed, MOST_SEED)

    def level_number(self, num_levels: int) -> int:
        """Return `level` counted from 1 in an encoder with so many levels; it may not exist there."""
        return self.level if self.level > 0 else num_levels + 1 + self.level


@dataclass(frozen=True, kw_only=True)
class DownstreamConfig:
    """The downstream recipe (SGD, polynomial decay per step, soft Dice with background)."""

    epochs: int = setting(8, "epochs of a downstream training")
    batch_size: int = setting(8, "images per optimiser step")
    learning_rate: float = setting(0.05, "base learning rate of SGD")
    momentum: float = setting(0.9, "momentum of SGD")
    weight_decay: float = setting(1e-4, "weight decay of SGD")
    poly_exponent: float = setting(0.9, "exponent of the polynomial decay")
    rotation: float = setting(180.0, "largest rotation of a training image, degrees either way")
    flip: float = setting(0.5, "probability of a vertical flip of a training image")

    def __post_init__(self) -> None:
        _require_from(1, "downstream.epochs", self.epochs, MOST_EPOCHS)
        _require_from(1, "downstream.batch_size", self.batch_size, MOST_IMAGES)
        _require(self.learning_rate > 0, "downstream.learning_rate", self.learning_rate, "positive")
        _require(0 <= self.momentum < 1, "downstream.momentum", self.momentum, "in [0, 1)")
        _require(self.weight_decay >= 0, "downstream.weight_decay", self.weight_decay, "at least 0")
        _require(self.poly_exponent >= 0, "downstream.poly_exponent", self.poly_exponent, "at least 0")
        _require(0 <= self.rotation <= 180, "downstream.rotation", self.rotation, "between 0 and 180")
        _require(0 <= self.flip <= 1, "downstream.flip", self.flip, "a probability")


@dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
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
            _require(getattr(self, name) > 0, f"resources.{name}", getattr(self, name), "positive")
        for name in ("gpus_per_trial", "memory_per_worker", "memory_per_trial"):
            _require_from(0, f"resources.{name}", getattr(self, name), MOST_RESOURCES)
        for name in ("cpus_per_worker", "cpus_per_trial", "gpus_per_worker", "gpus_per_trial"):
            amount = getattr(self, name)
            _require_from(LEAST_SHARE if amount else 0, f"resources.{name}", amount, MOST_RESOURCES)
        _require_from(0, "resources.loader_workers", self.loader_workers, MOST_PROCESSES)
        _require(
            self.storage_patience >= 0, "resources.storage_patience", self.storage_patience, "at least 0"
        )
        for name in ("gpus_per_worker", "gpus_per_trial"):
            gpus = getattr(self, name)
            _require(
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
class StudyConfig:
    """A whole study: every model x dataset x checkpoint x mode x seed."""

    models: tuple[str, ...] = setting(
        ("unet-micro", "resnet-unet-micro", "swin-unet-micro"), "segmentation models; each names its encoder"
    )
    datasets: tuple[str, ...] = setting(("mni152",), "target datasets")
    schemes: tuple[str, ...] = setting(("simple",), "pretraining schemes")
    modes: tuple[str, ...] = setting(MODES, "full (all weights train) and decoder-only (encoder frozen)")
    seeds: tuple[int, ...] = setting((0, 1), "seeds of the downstream trainings")
    source: SourceConfig = setting(SourceConfig, "source data")
    target: TargetConfig = setting(TargetConfig, "target data")
    pretraining: PretrainingConfig = setting(PretrainingConfig, "pretraining recipe")
    reference_recipes: bool = setting(
        False, "whether the thesis's own recipe of each encoder and scheme stands in for `pretraining`"
    )
    robustness: RobustnessConfig = setting(RobustnessConfig, "robustness indicator")
    downstream: DownstreamConfig = setting(DownstreamConfig, "downstream recipe")
    resources: ResourcesConfig = setting(
        ResourcesConfig, "cluster resources per process", changes_results=False
    )

    def __post_init__(self) -> None:
        for name in ("models", "datasets", "schemes", "modes", "seeds"):
            values = getattr(self, name)
            _require(
                bool(values) and len(set(values)) == len(values), name, values, "non-empty, without repeats"
            )
        for seed in self.seeds:
            _require_from(0, "seeds", seed, MOST_SEED)
        for mode in self.modes:
            if mode not in MODES:
                raise unknown_name("mode", mode, MODES)
        if self.resources.gpu_pretraining and self.pretraining.num_workers > 1:
            _require(
                self.resources.gpus_per_worker >= 1,
                "resources.gpus_per_worker", self.resources.gpus_per_worker,
                f"whole with pretraining.num_workers={self.pretraining.num_workers}, that cannot share one",
            )  # fmt: skip
        if self.reference_recipes:
            kept = {name: getattr(self.pretraining, name) for name in KEPT_BY_REFERENCE_RECIPES}
            standard = dataclasses.replace(PretrainingConfig(), **kept)
            for key, value, _ in describe(self.pretraining):
                _require(
                    value == getattr(standard, key),
                    f"pretraining.{key}", value, "left alone with reference_recipes=true, which sets it",
                )  # fmt: skip


def _check_type(name: str, value: object, annotation: Any) -> Any:
    """Return `value` as the annotated type, or raise InputError naming the field."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        if isinstance(value, annotation):
            return value
        if isinstance(value, Mapping):
            return from_dict(annotation, value, path=f"{name}.")
    elif origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_check_type(f"{name}[{i}]", v, arguments[0]) for i, v in enumerate(value))
    elif origin is types.UnionType:
        if any(type(value) is a for a in arguments):
            return value
    elif annotation is float:
        if type(value) in (int, float):
            number = typing.cast(float, value)
            _require(abs(number) <= sys.float_info.max, name, value, "a finite number")
            return float(number)
    elif type(value) is annotation:
        return value
    wanted = annotation.__name__ if isinstance(annotation, type) and origin is None else str(annotation)
    raise InputError(f"{name} must be {wanted}, got {value!r}")


def from_dict(cls: type[Config], values: Mapping[str, Any], *, path: str = "") -> Config:
    """Build a config from plain values, strictly.

    Args:
        cls: One of this module's dataclasses.
        values: Field names to values; nested configs as mappings, tuples as lists.
        path: Prefix of the field names in error messages.

    Raises:
        InputError: An unknown key (with the nearest valid one) or a value of another type.
    """
    annotations = typing.get_type_hints(cls)
    for key in values:
        if key not in annotations:
            raise unknown_name("setting", f"{path}{key}", [f"{path}{known}" for known in annotations])
    return cls(**{key: _check_type(f"{path}{key}", v, annotations[key]) for key, v in values.items()})


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain JSON values, such that `from_dict` gives it back."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def with_overrides(config: Config, overrides: Iterable[str]) -> Config:
    """Return a copy with `key=value` settings applied, for example `downstream.epochs=3`.

    Values are read as JSON (numbers, true/false, lists such as `["unet-micro"]`) and else as text; a single
    value stands for a list of one.

    Raises:
        InputError: No `=`, an unknown key (with the nearest valid one), or a value of another type.
    """
    values = to_dict(config)
    known = {key: default for key, default, _ in describe(config)}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"--set takes key=value, got {override!r}")
        if key not in known:
            raise unknown_name("setting", key, known)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if isinstance(known[key], tuple) and not isinstance(value, list):
            value = [value]
        *parents, leaf = key.split(".")
        section = values
        for parent in parents:
            section = section[parent]
        section[leaf] = value
    return from_dict(type(config), values)


class _Setting(typing.NamedTuple):
    key: str
    value: Any
    meaning: str
    changes_results: bool


def _settings(config: Any, path: str = "", *, changes_results: bool = True) -> Iterator[_Setting]:
    for field in dataclasses.fields(config):
        if "meaning" not in field.metadata:  # no setting: the driver fills it in
            continue
        key, value = f"{path}{field.name}", getattr(config, field.name)
        counts = changes_results and field.metadata["changes_results"]
        if dataclasses.is_dataclass(value):
            yield from _settings(value, f"{key}.", changes_results=counts)
        else:
            yield _Setting(key, value, field.metadata["meaning"], counts)


def describe(config: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield (dotted key, value, meaning) for every setting, nested ones included."""
    for setting in _settings(config):
        yield setting[:3]


def result_settings(config: Any) -> dict[str, Any]:
    """Return dotted key -> value of every setting that recorded results depend on."""
    return {setting.key: setting.value for setting in _settings(config) if setting.changes_results}


def digest(*parts: Any) -> str:
    """Identify settings by 10 hexadecimal digits of SHA-256 over their canonical JSON.

    Args:
        *parts: Configs and plain JSON values.
    """
    plain = [to_dict(part) if dataclasses.is_dataclass(part) else part for part in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]
