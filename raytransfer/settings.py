"""Settings: frozen dataclasses on pydantic, read strictly, changed only by making new ones.

Every field carries its meaning, unit and range (`setting(...)`), which `--help` prints and construction
checks. `from_dict` refuses unknown keys and values of another type; `with_overrides` applies the command
line's `--set key=value`. `digest` identifies what was computed: two results with the same digest came from
the same settings.
"""

import dataclasses
import functools
import hashlib
import json
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass

from raytransfer.errors import InputError, unknown_name

Config = TypeVar("Config")

MOST_SEED = 2**32 - 1
"""A seed is a word of 32 bits: numpy takes the rest of a larger one for the word after it, say an epoch."""

MOST_EPOCHS, MOST_IMAGES, MOST_PIXELS, MOST_PROCESSES = 100_000, 1_000_000, 8192, 1024
"""More than anybody has use for: what is larger was not meant."""

LEAST_SHARE, MOST_RESOURCES = 0.0001, 1_000_000
"""Of a resource, what Ray counts in, and more than any cluster has."""

PREFIX = "__raytransfer_prefix__"
"""Attribute of a settings class with what stands before its fields' names, for example "pretraining."."""


def setting(
    default: Any,
    meaning: str,
    *,
    changes_results: bool = True,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    rule: str = "",
) -> Any:
    """Declare a field of a settings class with its default, meaning, unit and range.

    Args:
        default: The default, or the class of a section.
        meaning: What `--help` says.
        changes_results: Whether what is recorded depends on it; else each command may have its own value.
        ge: The least value.
        gt: What values are larger than.
        le: The largest value.
        lt: What values are smaller than.
        rule: The range as a refusal says it, after "must be"; by default the bound that was broken.
    """
    bounds = {name: bound for name, bound in (("ge", ge), ("gt", gt), ("le", le), ("lt", lt))}
    options: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
    options["default_factory" if isinstance(default, type) else "default"] = default
    about: dict[str, Any] = {"changes_results": changes_results, "rule": rule}
    return Field(description=meaning, json_schema_extra=about, **options)


def must(holds: Callable[[Any], bool], rule: str) -> AfterValidator:
    """Return a rule of a field that is no range, for `Annotated`.

    Args:
        holds: Whether a value keeps it.
        rule: What a refusal says after "must be".
    """

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(rule)
        return value

    return AfterValidator(check)


DISTINCT = must(lambda values: bool(values) and len(set(values)) == len(values), "non-empty, without repeats")

Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
ImageSize = Annotated[
    int,
    must(lambda pixels: pixels >= 32 and pixels % 32 == 0, "a multiple of 32 (the encoders' stride)"),
    Field(le=MOST_PIXELS),
]


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(section: str = "") -> Callable[[type[Config]], type[Config]]:
    """Make a class one of settings: a frozen dataclass of keywords that checks what it is given.

    A bool is no int, an int is a float, floats are finite, a list or a tuple is a tuple.

    Args:
        section: What stands before the fields' names in messages, for example "pretraining".

    Raises:
        InputError: From construction, also by `dataclasses.replace`: an unknown key, with the nearest one,
            a value of another type or out of its range, or values that do not go together.

    Examples:
        >>> @settings("knn")
        ... class KnnOptions:
        ...     neighbours: int = setting(20, "images that vote", ge=1)
        >>> KnnOptions(neighbours=0)
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: knn.neighbours must be at least 1, got 0
    """

    def make(cls: type[Config]) -> type[Config]:
        strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
        made: Any = validated_dataclass(cls, frozen=True, kw_only=True, config=strict)
        validate = made.__init__

        @functools.wraps(validate)
        def __init__(self: Any, **values: Any) -> None:
            try:
                validate(self, **{name: _tuples(value) for name, value in values.items()})
            except ValidationError as error:
                raise _input_error(made, error) from None

        made.__init__ = __init__
        setattr(made, PREFIX, f"{section}." if section else "")
        return typing.cast(type[Config], made)

    return make


def _tuples(value: Any) -> Any:
    """Return a list or tuple, and those in it, as tuples; all else as it is."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def is_settings(value: Any) -> bool:
    """Return whether this is a settings class or one's object."""
    return hasattr(value, PREFIX)


def _input_error(cls: Any, error: ValidationError) -> InputError:
    """Return the first of pydantic's errors as one line."""
    first = error.errors(include_url=False)[0]
    raised, kind, value = first.get("ctx", {}).get("error"), first["type"], first["input"]
    if isinstance(raised, InputError):
        return raised
    if not first["loc"]:  # of a rule that is broken in this program
        return InputError(str(raised or first["msg"]))
    field, *indices = first["loc"]
    prefix, fields = getattr(cls, PREFIX), cls.__pydantic_fields__
    name = f"{prefix}{field}"
    if kind == "unexpected_keyword_argument":
        return unknown_name("setting", name, [f"{prefix}{known}" for known in fields])
    if kind not in _BOUNDS:
        name += "".join(f"[{index}]" for index in indices)
    elif type(first["ctx"][_BOUNDS[kind][0]]) is float:  # what is compared is what the field would hold
        value = float(value)
    return InputError(f"{name} must be {_rule(fields[field], first)}, got {value!r}")


_BOUNDS = {
    "greater_than_equal": ("ge", "at least"), "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"), "less_than": ("lt", "below"),
}  # fmt: skip
_TYPES = {"int_type": "int", "float_type": "float", "string_type": "str", "bool_type": "bool"}


def _rule(field: Any, error: Any) -> str:
    """Return what a refused value must be."""
    kind, value = error["type"], error["input"]
    if kind == "finite_number" or (kind == "float_type" and type(value) is int):  # that no float can hold
        return "a finite number"
    if kind in _BOUNDS:
        bound, said = _BOUNDS[kind]
        limit = error["ctx"][bound]
        stated = str((field.json_schema_extra or {}).get("rule", ""))
        whole = int(limit) if limit == int(limit) else limit
        return stated or ("positive" if (bound, whole) == ("gt", 0) else f"{said} {whole}")
    if kind == "value_error":
        return str(error["ctx"]["error"])
    annotation = field.annotation
    return _TYPES.get(kind) or (annotation.__name__ if isinstance(annotation, type) else str(annotation))


def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
    """Build settings from plain values, strictly.

    Args:
        cls: A settings class.
        values: Field names to values; sections as mappings, tuples as lists.

    Raises:
        InputError: An unknown key (with the nearest valid one), or a value of another type or range.
    """
    fields = typing.cast(Any, cls).__pydantic_fields__
    return cls(
        **{
            key: from_dict(fields[key].annotation, value)
            if key in fields and is_settings(fields[key].annotation) and isinstance(value, Mapping)
            else value
            for key, value in values.items()
        }
    )


def _plain(value: Any) -> Any:
    if is_settings(value):
        values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        plain = {name: _plain(each) for name, each in values.items()}
        return {name: each for name, each in plain.items() if each or not isinstance(values[name], Mapping)}
    if isinstance(value, Mapping):  # of settings that are written only where they are not the defaults
        changed = {name: non_defaults(each) for name, each in value.items()}
        return {name: each for name, each in changed.items() if each}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def non_defaults(config: Any, *, changes_results: bool = False) -> dict[str, Any]:
    """Return field -> plain value for what differs from the defaults.

    Args:
        config: Settings without sections.
        changes_results: Whether only what recorded results depend on.
    """
    default = type(config)()
    return {
        name: _plain(getattr(config, name))
        for name, field in type(config).__pydantic_fields__.items()
        if getattr(config, name) != getattr(default, name)
        and (not changes_results or field.json_schema_extra["changes_results"])
    }


def to_dict(config: Any) -> dict[str, Any]:
    """Return settings as plain JSON values, such that `from_dict` gives them back."""
    return typing.cast(dict[str, Any], _plain(config))


_COMMA = r",(?![^()]*\))"
"""A comma that is not between the brackets of a strategy's options, as in `knn(k=10, points=8)`."""


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def with_overrides(config: Config, overrides: Iterable[str]) -> Config:
    """Return a copy with `key=value` settings applied, for example `downstream.epochs=3`.

    Values are read as JSON (numbers, true/false, lists such as `["unet-micro"]`) and else as text. A list may
    also be written without brackets, `simple,simsiam`.

    Raises:
        InputError: No `=`, an unknown key (with the nearest valid one), or a value of another type.
    """
    values = to_dict(config)
    known = {setting.key: setting for setting in _settings(config)}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"--set takes key=value, got {override!r}")
        if key not in known:
            raise unknown_name("setting", key, known)
        value = _value(text)
        if isinstance(known[key].value, tuple) and not isinstance(value, list):
            # Quoted text, and a list in brackets that is no JSON, are named whole.
            whole = value != text or text.startswith("[")
            value = [value] if whole else [_value(part.strip()) for part in re.split(_COMMA, text)]
        *parents, leaf = known[key].place
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return from_dict(type(config), values)


class _Setting(typing.NamedTuple):
    key: str
    value: Any
    meaning: str
    changes_results: bool
    place: tuple[str, ...]
    """Where it stands in what `to_dict` returns."""


def _settings(
    config: Any, path: str = "", *, changes_results: bool = True, place: tuple[str, ...] = ()
) -> Iterator[_Setting]:
    for name, field in type(config).__pydantic_fields__.items():
        if field.description is None:  # no setting: the driver fills it in
            continue
        key, value, here = f"{path}{name}", getattr(config, name), (*place, name)
        counts = changes_results and field.json_schema_extra["changes_results"]
        if is_settings(value):
            yield from _settings(value, f"{key}.", changes_results=counts, place=here)
        elif isinstance(value, Mapping):  # whose names are said without the field's
            for each, settings in value.items():
                yield from _settings(settings, f"{each}.", changes_results=counts, place=(*here, each))
        else:
            yield _Setting(key, value, field.description, counts, here)


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
        *parts: Settings and plain JSON values.
    """
    plain = [to_dict(part) if is_settings(part) else part for part in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]
