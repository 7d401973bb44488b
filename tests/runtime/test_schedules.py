from pathlib import Path

import numpy as np
import pytest
import torch

from raytransfer.runtime.schedules import polynomial, warmup_cosine


def _rates(make, base: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    schedule = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("name", "warmup", "total"),
    [
        ("warmup_cosine_30ep_4bpe", 80, 120),
        ("warmup_cosine_6ep_5bpe_warm2", 10, 30),
        ("linear_warmup_steps_10_T40", 10, 50),
    ],
)
def test_warmup_cosine_is_the_reference_curve(shared: Path, name: str, warmup: int, total: int) -> None:
    stored = np.load(shared / "reference/schedules.npz")[name]
    rates = _rates(lambda o: warmup_cosine(o, warmup_steps=warmup, total_steps=total), 0.004, total)
    np.testing.assert_allclose(rates, stored, rtol=1e-5, atol=1e-12)


def test_polynomial_falls_from_the_base_to_near_zero() -> None:
    """The closed form; the reference's own curve is off by two steps and is not followed."""
    rates = _rates(lambda o: polynomial(o, total_steps=24, exponent=0.9), 0.05, 24)
    np.testing.assert_allclose(rates, [0.05 * (1 - step / 24) ** 0.9 for step in range(24)], rtol=1e-9)


def test_no_warmup_starts_at_the_base() -> None:
    rates = _rates(lambda o: warmup_cosine(o, warmup_steps=0, total_steps=10), 0.1, 10)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.01
