"""Rules from text and from saved states."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytransfer.errors import InputError
from raytransfer.scheduling.registry import RULES, restored, rule_factory
from raytransfer.scheduling.rules import FirstPeak, FixedBudget, StoppingRule


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("first-peak", "first-peak(patience=1, min_delta=0.0, grace_period=1)"),
        ("first-peak()", "first-peak(patience=1, min_delta=0.0, grace_period=1)"),
        (
            " first-peak( patience = 2 , min_delta=1 ) ",
            "first-peak(patience=2, min_delta=1.0, grace_period=1)",
        ),
        ("fixed-budget(epochs=20)", "fixed-budget(epochs=20)"),
        ("best-of-all(grace_period=0)", "best-of-all(grace_period=0)"),
        ("plateau", "plateau(factor=4.0, tolerance=0.1, min_epochs=20, grace_period=1)"),
        ("significant-fall(z=1.5)", "significant-fall(z=1.5, patience=1, grace_period=1)"),
    ],
)
def test_text_names_a_rule(text: str, meaning: str) -> None:
    build = rule_factory(text)
    assert str(build()) == meaning
    assert build() is not build(), "a fresh rule each time"
    assert str(rule_factory(meaning)()) == meaning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first-peek", "unknown rule 'first-peek': did you mean 'first-peak'"),
        ("first-peak(patiens=2)", "unknown argument of first-peak 'patiens': did you mean 'patience'"),
        ("first-peak(selected_epoch=2)", "unknown argument of first-peak 'selected_epoch'"),
        ("first-peak(2)", "argument=value, got '2'"),
        ("first-peak(patience=two)", "patience of first-peak must be int, got 'two'"),
        ("first-peak(patience=1.5)", "patience of first-peak must be int"),
        ("first-peak(patience=true)", "patience of first-peak must be int"),
        ("first-peak(patience=0)", "patience must be at least 1"),
        ("first-peak(patience=1, patience=2)", "gives patience twice"),
        ("first-peak(patience=1,)", "argument=value, got ''"),
        ("first-peak(patience=1", "name or name"),
        ("significant-fall(z=NaN)", "z must be"),
        ("fixed-budget", "fixed-budget needs epochs, for example"),
        ("", "name or name"),
    ],
)
def test_wrong_text_is_named_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        rule_factory(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


ARGUMENTS = {
    "best-of-all": st.fixed_dictionaries({"grace_period": st.integers(0, 3)}),
    "first-peak": st.fixed_dictionaries(
        {"patience": st.integers(1, 3), "min_delta": st.floats(0, 0.5), "grace_period": st.integers(0, 3)}
    ),
    "fixed-budget": st.fixed_dictionaries({"epochs": st.integers(0, 12)}),
    "plateau": st.fixed_dictionaries(
        {
            "factor": st.floats(1, 6),
            "tolerance": st.floats(0, 0.5),
            "min_epochs": st.integers(0, 9),
            "grace_period": st.integers(0, 3),
        }
    ),
    "significant-fall": st.fixed_dictionaries(
        {"z": st.floats(0, 3), "patience": st.integers(1, 3), "grace_period": st.integers(0, 3)}
    ),
}
POINTS = st.lists(
    st.tuples(
        st.integers(0, 12),  # repeated and out of order too
        st.one_of(st.floats(0, 1), st.sampled_from([math.nan, math.inf, 0.5])),
        st.floats(0, 0.3),
    ),
    max_size=12,
)


def test_every_rule_has_a_property_test() -> None:
    assert set(ARGUMENTS) == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
@given(data=st.data(), points=POINTS, cut=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_a_rule_saved_anywhere_goes_on_as_if_undisturbed(name: str, data, points: list, cut: int) -> None:
    undisturbed: StoppingRule = RULES[name](**data.draw(ARGUMENTS[name]))
    saved = restored(undisturbed.state())
    for index, point in enumerate(points):
        if index == cut:
            saved = restored(json.loads(json.dumps(saved.state(), allow_nan=False)))
        assert saved.update(*point) is undisturbed.update(*point)
        assert saved.state() == undisturbed.state()
    assert saved.selected_epoch == undisturbed.selected_epoch


def test_numpy_numbers_leave_a_plain_state() -> None:
    rule = FirstPeak()
    rule.update(np.int64(1), np.float32(0.5), np.float32(0.1))
    assert json.loads(json.dumps(rule.state())) == rule.state()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "fixed-budgets"}, "did you mean 'fixed-budget'"),
        ({"rule": None}, "unknown rule None"),
        ({"arguments": {"epoch": 3}}, "arguments of a saved fixed-budget must be"),
        ({"memory": {}}, "memory of a saved fixed-budget must be"),
        ({"arguments": {"epochs": -1}}, "epochs must be at least 0"),
    ],
)
def test_a_state_of_something_else_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        restored({**FixedBudget(3).state(), **change})
