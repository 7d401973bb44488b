"""Strategies by name."""

import doctest
import sys

import pytest

from raytransfer import registry
from raytransfer.errors import InputError
from raytransfer.registry import Registry


def test_the_examples_hold() -> None:
    assert doctest.testmod(registry).failed == 0


def test_nothing_is_imported_before_a_strategy_is_read() -> None:
    sys.modules.pop("this", None)
    known: Registry = Registry("poem", zen="this:s", none="no_such_module:x")
    assert (list(known), len(known), "zen" in known, "haiku" in known) == (["zen", "none"], 2, True, False)
    known.check("none")
    with pytest.raises(InputError, match="unknown poem 'zem': did you mean 'zen'"):
        known.check("zem")
    assert "this" not in sys.modules
    assert known["zen"].startswith("Gur Mra")
