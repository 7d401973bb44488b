"""Strategies by name, imported when they are asked for: a name is known without what its strategy needs."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, TypeVar, cast

from raytransfer.errors import InputError, unknown_name

Strategy = TypeVar("Strategy")


def imported(where: str) -> Any:
    """Return what stands at "package.module:attribute"."""
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def require_packages(what: str, packages: Iterable[str], *, extra: str) -> None:
    """Raise InputError where packages are not installed that something needs; they are not imported.

    Args:
        what: What needs them, as the message names it.
        packages: Names by which they are imported.
        extra: The extra of raytransfer that brings them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"{what} needs {', '.join(missing)}: pip install 'raytransfer[{extra}]'")


class Registry(Mapping[str, Strategy], Generic[Strategy]):
    """Name -> strategy: a mapping whose values are imported when they are first read.

    Args:
        kind: What is registered, as messages name it, for example "indicator".
        **entries: Name -> where its strategy stands, "package.module:attribute".

    Examples:
        >>> roots = Registry("root", square="math:sqrt")
        >>> list(roots)
        ['square']
        >>> roots["square"](9.0)
        3.0
        >>> roots["sqare"]
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: unknown root 'sqare': did you mean 'square'? valid: square
    """

    def __init__(self, kind: str, **entries: str) -> None:
        self.kind, self._entries = kind, entries

    def __getitem__(self, name: str) -> Strategy:
        """Return a strategy.

        Raises:
            InputError: There is none of that name; the message has the nearest one.
        """
        self.check(name)
        return cast(Strategy, imported(self._entries[name]))

    def check(self, name: str) -> None:
        """Raise InputError where there is no strategy of that name; nothing is imported."""
        if name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
