"""Options of strategies: each stands beside the strategy that it belongs to, a study holds those that differ.

A strategy takes options where what its registry holds has a settings class as attribute `Options`:

    @settings("simsiam")
    class SimSiamOptions:
        neighbours: int = setting(20, "training images that vote", ge=1)

    class SimSiam:
        Options = SimSiamOptions

Then `--set simsiam.neighbours=5` sets them, `--help` lists them, `study.json` keeps those that are not the
defaults, and `study.options_of("simsiam")` returns them. The file must import nothing heavy at its top.

Options of indicators and of stopping rules stand in their text, as in `knn(k=10)`: a study may ask for one of
them with several choices.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from raytransfer.errors import InputError, unknown_name
from raytransfer.pretraining.methods.registry import METHODS
from raytransfer.registry import Registry
from raytransfer.settings import PREFIX, from_dict, is_settings, non_defaults

STRATEGIES: tuple[Registry[Any], ...] = (METHODS,)
"""Every registry whose strategies may have options; no two of their strategies with options have one name."""


def options_class(name: str) -> Any:
    """Return the settings class of a strategy's options, None where it takes none.

    Raises:
        InputError: There is no such strategy; the message has the nearest one.
        TypeError: The class is declared for another name, or two strategies with options have this one.
    """
    registries = [registry for registry in STRATEGIES if name in registry]
    if not registries:
        raise unknown_name("strategy", name, {known for registry in STRATEGIES for known in registry})
    found = [cls for registry in registries if (cls := getattr(registry[name], "Options", None)) is not None]
    if len(found) > 1:
        raise TypeError(f"two strategies with options are called {name!r}")
    for cls in found:
        if getattr(cls, PREFIX, None) != f"{name}.":
            raise TypeError(f"the options of {name!r} must be @settings({name!r})")
    return found[0] if found else None


class StrategyOptions(Mapping[str, Any]):
    """Strategy -> its options, for every strategy that takes some, in alphabetical order.

    Only options that are not the defaults are kept: two of these are equal, and have one hash, where those
    are. A strategy is imported when it is asked for, and all are when this is iterated over.

    Args:
        given: Strategy -> its options, or their fields' names -> plain values.

    Raises:
        InputError: There is no such strategy or option, or a value is of another type or range.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        kept = {}
        for name, options in sorted((given or {}).items()):
            cls = options_class(name)
            if cls is None:
                raise InputError(f"{name} takes no options, got {options!r}")
            made = from_dict(cls, options) if isinstance(options, Mapping) else options
            if not isinstance(made, cls):
                raise InputError(f"{name} must be {cls.__name__}, got {options!r}")
            if made != cls():
                kept[name] = made
        self._kept = kept

    def of(self, name: str) -> Any:
        """Return a strategy's options, None where it takes none.

        Raises:
            InputError: There is no such strategy; the message has the nearest one.
        """
        if name in self._kept:
            return self._kept[name]
        cls = options_class(name)
        return None if cls is None else cls()

    def changed(self, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Return strategy -> field -> plain value, of some strategies, for what results depend on.

        Args:
            names: The strategies; those whose options are all at their defaults are left out.
        """
        found = {
            name: non_defaults(self._kept[name], changes_results=True) for name in names if name in self._kept
        }
        return {name: values for name, values in found.items() if values}

    def __getitem__(self, name: str) -> Any:
        if name not in set(self):
            raise KeyError(name)
        return self.of(name)

    def __iter__(self) -> Iterator[str]:
        names = sorted({name for registry in STRATEGIES for name in registry})
        return (name for name in names if is_settings(options_class(name)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StrategyOptions) and self._kept == other._kept

    def __hash__(self) -> int:
        return hash(tuple(self._kept.items()))

    def __repr__(self) -> str:
        return f"StrategyOptions({self._kept!r})"


def as_options(value: Any) -> StrategyOptions:
    """Return what a study's `options` were given as.

    Raises:
        InputError: As `StrategyOptions`.
    """
    if isinstance(value, StrategyOptions):
        return value
    if not isinstance(value, Mapping):
        raise InputError(f"options must be strategies' names with their options, got {value!r}")
    return StrategyOptions(value)
