"""Rules by name: from the text of a command line, and from a saved state."""

import dataclasses
import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from raytransfer.errors import InputError, unknown_name
from raytransfer.scheduling.plateau import Plateau
from raytransfer.scheduling.rules import (
    BestOfAll,
    FirstPeak,
    FixedBudget,
    SignificantFall,
    StoppingRule,
)

RULES: dict[str, type[StoppingRule]] = {
    rule.name: rule for rule in (BestOfAll, FirstPeak, FixedBudget, Plateau, SignificantFall)
}


def _value(name: str, text: str, annotation: Any) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if annotation is float and type(value) is int:
        value = float(value)
    if type(value) is not annotation:
        raise InputError(f"{name} must be {annotation.__name__}, got {text!r}")
    return value


def call_from_text(
    text: str, known: Mapping[str, Callable[..., Any]], *, kind: str = "rule"
) -> functools.partial[Any]:
    """Read `name` or `name(argument=value, ...)` and bind the arguments.

    Args:
        text: For example `first-peak(patience=2)`; values as in JSON.
        known: Name -> function or class; arguments, their types and which are needed come from its
            signature, positional-only ones excepted, which are left to the caller.
        kind: What to call them in messages.

    Raises:
        InputError: It reads otherwise, an unknown name or argument (with the nearest valid one), an argument
            that is missing, given twice or of another type.
    """
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text)
    if match is None:
        raise InputError(f"a {kind} reads name or name(argument=value, ...), got {text!r}")
    name, inside = match[1], (match[2] or "").strip()
    if name not in known:
        raise unknown_name(kind, name, known)
    parameters = {
        p.name: p for p in inspect.signature(known[name]).parameters.values() if p.kind != p.POSITIONAL_ONLY
    }
    arguments: dict[str, Any] = {}
    for part in inside.split(",") if inside else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise InputError(f"arguments of {name} read argument=value, got {part.strip()!r}")
        if key not in parameters:
            raise unknown_name(f"argument of {name}", key, parameters)
        if key in arguments:
            raise InputError(f"{text!r} gives {key} twice")
        arguments[key] = _value(f"{key} of {name}", value, parameters[key].annotation)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in arguments:
            raise InputError(f"{name} needs {key}, for example {name}({key}=20)")
    return functools.partial(known[name], **arguments)


def rule_factory(text: str) -> Callable[[], StoppingRule]:
    """Return what builds a fresh rule each time, from text such as `first-peak(patience=2)`.

    Raises:
        InputError: As `call_from_text`, or a value the rule refuses.
    """
    build = call_from_text(text, RULES)
    build()  # refuses impossible values now, not at the first curve
    return build


def restored(state: Mapping[str, Any]) -> StoppingRule:
    """Bring back a rule from its `state()`.

    Raises:
        InputError: The state is not one that this version of the rule wrote.
    """
    name = state.get("rule")
    if name not in RULES:
        raise unknown_name("rule", name, RULES)
    fields = dataclasses.fields(RULES[name])
    for part, init in (("arguments", True), ("memory", False)):
        wanted = sorted(field.name for field in fields if field.init is init)
        if sorted(state.get(part, {})) != wanted:
            raise InputError(f"{part} of a saved {name} must be {wanted}, got {sorted(state.get(part, {}))}")
    rule = RULES[name](**state["arguments"])
    for key, value in state["memory"].items():
        setattr(rule, key, value)
    return rule
