"""What goes wrong, in one line that names the thing and the fix."""

import difflib
import traceback
from collections.abc import Iterable

FEW = 8
"""Up to so many valid names are listed beside the nearest one."""


class InputError(ValueError):
    """Something the user gave is wrong; the message is one line that names it and the fix."""


class WorkFailedError(RuntimeError):
    """A part of the work failed; the message is one line that names it and where the details are."""


def reason(error: BaseException) -> str:
    """Return an error as one line: its kind and what it says, of a wrapped one what began it."""
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]


def require(holds: bool, name: str, value: object, rule: str) -> None:
    """Raise InputError where a value breaks a rule, in one line that names it and says what it must be."""
    if not holds:
        raise InputError(f"{name} must be {rule}, got {value!r}")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """Build the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: What the name should be, for example "model".
        name: What was given.
        known: The valid names.
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hints = [f"did you mean {near[0]!r}?"] if near else []
    if not near or len(known) <= FEW:
        few = known if len(known) <= 2 * FEW else [*known[:FEW], f"... ({len(known)} in all)"]
        hints.append(f"valid: {', '.join(few)}")
    return InputError(f"unknown {kind} {name!r}: {' '.join(hints)}")
