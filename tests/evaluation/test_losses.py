from pathlib import Path

import numpy as np
import torch

from raytransfer.evaluation.losses import soft_dice_loss


def test_soft_dice_is_the_reference_loss_and_gradient(shared: Path) -> None:
    stored = np.load(shared / "reference/losses/dice_cases.npz")
    loss = soft_dice_loss()
    for case in stored["cases"]:
        logits = torch.from_numpy(stored[f"{case}_logits"]).requires_grad_()
        mask = torch.from_numpy(stored[f"{case}_mask"]).long()
        if logits.shape[1] == 1:  # a sigmoid of x is the softmax of (0, x)
            value = loss(torch.cat([torch.zeros_like(logits), logits], dim=1), mask)
        else:
            value = loss(logits, mask)
        value.backward()
        np.testing.assert_allclose(value.item(), stored[f"{case}_loss_batchwise_bg"], atol=1e-6)
        np.testing.assert_allclose(logits.grad.numpy(), stored[f"{case}_grad_logits"], atol=1e-6)
