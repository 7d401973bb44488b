"""The pretrainings of the thesis, as run by its public code (aielte-research/MedSegPretrainImageNet)."""

from dataclasses import replace
from typing import Any

from raytransfer.errors import unknown_name
from raytransfer.pretraining.settings import PretrainingSettings

_COMMON = PretrainingSettings(
    epochs=300,
    series=(0, 1, 5, 20, 50, 100, 150, 200, 250, 300),
    batch_size=4096,
    learning_rate=0.004,
    weight_decay=0.05,
    warmup_epochs=20,
    label_smoothing=0.1,
    chunk_size=512,
)

_DIFFERENCES: dict[tuple[str, str], dict[str, Any]] = {
    ("unet", "simple"): {"warmup_epochs": 5, "chunk_size": 256},
    ("unet", "advanced"): {},
    ("resnet50", "simple"): {},
    ("resnet50", "advanced"): {"stochastic_depth": 0.1},
    ("swin", "simple"): {"stochastic_depth": 0.1},
    ("swin", "advanced"): {
        "batch_size": 1024, "learning_rate": 0.001, "stochastic_depth": 0.1, "chunk_size": 256,
    },
}  # fmt: skip


def reference_recipe(encoder: str, scheme: str) -> PretrainingSettings:
    """Return the thesis's recipe of an encoder under a scheme (sec. 2.2), for ImageNet at 224 px.

    All have 300 epochs of AdamW (0.9, 0.999) with weight decay 0.05 on every parameter and label smoothing
    0.1. The learning rate is tied to the batch size: 0.004 at 4096 images, 0.001 at 1024. The U-Net
    warms up for 5 epochs where its scheme is simple; its published chunk of 384 images there ran as 256, the
    largest divisor, which is what this gives. Of 1,281,167 images, 312 batches of 4096 make an epoch here;
    the thesis kept the incomplete 313th.

    The number of workers and the seed are the defaults, for `dataclasses.replace` to change. With batch norm,
    the images of one forward pass count: how many devices shared a batch of the thesis is not published.

    Args:
        encoder: "unet", "resnet50" or "swin".
        scheme: "simple" or "advanced".

    Raises:
        InputError: The thesis has no such pretraining.
    """
    encoders = {known for known, _ in _DIFFERENCES}
    if encoder not in encoders:
        raise unknown_name("encoder of the reference recipes", encoder, encoders)
    if (encoder, scheme) not in _DIFFERENCES:
        raise unknown_name("pretraining scheme", scheme, {known for _, known in _DIFFERENCES})
    return replace(_COMMON, **_DIFFERENCES[encoder, scheme])
