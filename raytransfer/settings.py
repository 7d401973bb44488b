"""Settings of a study: frozen dataclasses, read strictly, changed only by making new ones.

Every field carries its meaning and unit (`setting(...)`), which `--help` prints. `from_dict` refuses unknown
keys and values of another type; `with_overrides` applies the command line's `--set key=value`. `digest`
identifies what was computed: two results with the same digest came from the same settings.
"""

import dataclasses
import hashlib
import json
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
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


def require(holds: bool, name: str, value: object, rule: str) -> None:
    """Raise InputError where a value breaks its rule."""
    if not holds:
        raise InputError(f"{name} must be {rule}, got {value!r}")


def require_image_size(name: str, pixels: int) -> None:
    """Require that an image size suits the encoders' stride."""
    require(pixels >= 32 and pixels % 32 == 0, name, pixels, "a multiple of 32 (the encoders' stride)")
    require_from(32, name, pixels, MOST_PIXELS)


def require_from(least: float, name: str, value: float, most: float) -> None:
    """Require a value from a least one to a most."""
    require(value >= least, name, value, f"at least {least}")
    require(value <= most, name, value, f"at most {most}")


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
            require(abs(number) <= sys.float_info.max, name, value, "a finite number")
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
