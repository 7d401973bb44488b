"""The soft Dice loss."""

from torch import nn

SMOOTHING = 1e-5


def soft_dice_loss() -> nn.Module:
    """Return the thesis's Dice loss: a module of logits (N, C, H, W) and masks (N, 1, H, W), integers.

    Per class over all pixels of the batch: (2 sum(y p) + s) / (sum(y) + sum(p^2) + s), with s = 1e-5 and p
    from a softmax; the loss is 1 - its mean over the classes, background included. Range [0, 1].
    """
    from monai.losses import DiceLoss  # seconds to import, which drivers that train nothing are spared

    return DiceLoss(
        softmax=True, to_onehot_y=True, batch=True, squared_pred=True,
        smooth_nr=SMOOTHING, smooth_dr=SMOOTHING,
    )  # fmt: skip
