"""A picture of predictions: where people would rather look than read."""

import os
from collections.abc import Sequence
from typing import IO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

_GRID_COLUMNS = 4
_COLORS = ("#00000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")


def best_median_worst(dices: NDArray[np.float64]) -> dict[str, int]:
    """Return {"best", "median", "worst"} -> image, for Dices (N,); images whose Dice is NaN are left out.

    Of several images in the middle the better one; empty where no image has a Dice.
    """
    order = [int(index) for index in np.argsort(-dices, kind="stable") if not np.isnan(dices[index])]
    return {"best": order[0], "median": order[(len(order) - 1) // 2], "worst": order[-1]} if order else {}


def draw_predictions(
    file: str | os.PathLike[str] | IO[bytes],
    images: NDArray[np.float32],
    masks: NDArray[np.uint8],
    predictions: NDArray[np.int64],
    *,
    class_names: Sequence[str],
    columns: Sequence[str],
    title: str,
) -> None:
    """Write a PNG with rows image, truth, prediction and error, one column per image.

    Args:
        file: Where to write.
        images: Images (N, H, W, C) in [0, 1], C = 1 or 3.
        masks: True labels (N, H, W).
        predictions: Predicted labels (N, H, W).
        class_names: One name per label, label 0 the background; at most 8.
        columns: Stands above each image.
        title: Stands above all.
    """
    count = len(images)
    figure = Figure(figsize=(max(1.8 * count + 0.6, 4.5), 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, count, squeeze=False)
    colors = ListedColormap(_COLORS[: len(class_names)])
    labels = {"vmin": 0, "vmax": len(class_names) - 1, "cmap": colors, "interpolation": "nearest"}
    for column in range(count):
        image, truth, predicted = images[column], masks[column], predictions[column]
        for row in range(4):
            axes[row, column].imshow(image, cmap="gray", vmin=0, vmax=1)
            axes[row, column].set(xticks=[], yticks=[])
        axes[1, column].imshow(truth, **labels)
        axes[2, column].imshow(predicted, **labels)
        axes[0, column].set_title(columns[column], fontsize=9)
        wrong = np.ma.masked_equal(predicted != truth, False)
        axes[3, column].imshow(wrong, cmap=ListedColormap(["#d55e00"]), interpolation="nearest")
    for row, name in enumerate(("image", "truth", "prediction", "error")):
        axes[row, 0].set_ylabel(name)
    legend = ", ".join(
        f"{n}: {c}" for n, c in zip(class_names[1:], ("orange", "blue", "green"), strict=False)
    )
    figure.suptitle(f"{title}\n{legend}", fontsize=9)
    figure.savefig(file, format="png", dpi=80)


def draw_classified(
    file: str | os.PathLike[str] | IO[bytes],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    *,
    class_names: Sequence[str],
    title: str,
) -> None:
    """Write a PNG with a grid of images, above each its predicted class, in red where it is another one.

    Args:
        file: Where to write.
        images: Images (N, H, W, C) in [0, 1], C = 1 or 3.
        labels: True labels (N,).
        probabilities: Of each class (N, classes).
        class_names: One name per label.
        title: Stands above all.
    """
    across = min(len(images), _GRID_COLUMNS)
    down = -(-len(images) // across)
    figure = Figure(figsize=(max(2.0 * across, 4.5), 2.4 * down + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, image, label, each in zip(panels, images, labels, probabilities, strict=False):
        predicted = int(each.argmax())
        text, color = f"{class_names[predicted]} {each[predicted]:.2f}", "black"
        if predicted != label:
            text, color = f"{text}\nis {class_names[label]}", "#d55e00"
        axes.imshow(image, cmap="gray", vmin=0, vmax=1)
        axes.set_title(text, fontsize=8, color=color)
    figure.suptitle(title, fontsize=9)
    figure.savefig(file, format="png", dpi=80)
