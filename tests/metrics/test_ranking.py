import math

import pytest

from raytransfer.metrics.ranking import (
    pearson,
    spearman,
    transferability_indicator_score,
    weighted_kendall,
)


def test_tis_is_what_the_choice_costs() -> None:
    assert transferability_indicator_score([0.1, 0.3, 0.2], [0.8, 0.6, 0.9]) == pytest.approx(0.6 / 0.9)
    assert transferability_indicator_score([1, 2, 3], [0.7, 0.8, 0.9]) == 1
    assert transferability_indicator_score([0.5, 0.5], [0.4, 0.8]) == 0.5, "the first of a tie counts"


def test_agreement_has_the_published_check_values() -> None:
    assert weighted_kendall([1, 2, 3, 4, 5], [1, 3, 2, 4, 5]) == pytest.approx(0.8722627737, abs=1e-10)
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert spearman([1, 2, 3], [1, 8, 27]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "performances", "message"),
    [
        ([], [], "non-empty"),
        ([1, 2], [1], "one length"),
        ([math.nan, 1], [1, 1], "finite"),
        ([1, 2], [0, 0], "positive"),
    ],
)
def test_input_without_an_answer_is_refused(scores: list, performances: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transferability_indicator_score(scores, performances)
