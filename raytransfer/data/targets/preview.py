"""A picture of a prepared data set: what models will see, with the labels over it."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from raytransfer.data.arrays import Split
from raytransfer.data.targets.cases import SPLITS
from raytransfer.data.targets.prepared import PREVIEW, load_prepared

SHOWN = {"train": 4, "test": 2}
"""Images of each split."""

LOOKED_AT = 48
"""Images of each split among which the ones with the most labels are taken."""

NAMED = 20
"""Classes that the legend names, at most: so many colours differ."""

OPACITY = 0.5
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")


def draw_preview(path: Path) -> Path:
    """Write `preview.png` into a prepared folder: images above, the same with their labels below.

    The images are spread over each split, those with the most labels first. The file is no part of the data's
    fingerprint.

    Args:
        path: The folder that `prepare` wrote.

    Returns:
        The picture.

    Raises:
        InputError: There is no prepared data set.
    """
    data = load_prepared(path)
    chosen = [(split, index) for split in SPLITS for index in _choose(getattr(data, split), SHOWN[split])]
    colours = _colours(len(data.class_names))
    figure = Figure(figsize=(max(2.2 * len(chosen), 6.6), 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(chosen), squeeze=False)
    for column, (split, index) in enumerate(chosen):
        image, mask = getattr(data, split)[index]
        grey = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
        axes[0, column].imshow(grey, vmin=0, vmax=1)
        axes[1, column].imshow(_with_labels(grey, mask, colours), vmin=0, vmax=1)
        axes[0, column].set_title(f"{split} image {index}", fontsize=9)
        for axis in axes[:, column]:
            axis.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("as models see it")
    axes[1, 0].set_ylabel("with its labels")
    figure.suptitle(
        f"{len(data.train)} training and {len(data.test)} test images of {data.image_size} pixels",
        fontsize=10,
    )
    names = list(data.class_names[1 : NAMED + 1])
    patches = [Patch(color=colours[label], label=name) for label, name in enumerate(names, start=1)]
    if len(data.class_names) > NAMED + 1:
        patches.append(Patch(color="none", label=f"and {len(data.class_names) - NAMED - 1} more"))
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), 5), fontsize=9)
    file = Path(path) / PREVIEW
    figure.savefig(file, format="png", dpi=90, metadata={"Software": None})
    return file


def _choose(split: Split, count: int) -> list[int]:
    """Return up to `count` items in their order: of some spread over the split those with the most labels."""
    spread = np.unique(np.linspace(0, len(split) - 1, min(LOOKED_AT, len(split))).astype(int)).tolist()
    labels = {index: len(np.unique(split[index][1])) for index in spread}
    most = max(labels.values())
    rich = [index for index in spread if labels[index] == most]
    others = sorted((index for index in spread if labels[index] < most), key=lambda index: -labels[index])
    if len(rich) >= count:
        return [rich[position] for position in np.linspace(0, len(rich) - 1, count).astype(int)]
    return sorted([*rich, *others[: count - len(rich)]])


def _colours(classes: int) -> NDArray[np.float32]:
    """Return a colour (R, G, B) in [0, 1] for each label; that of the background is never drawn."""
    named = PALETTE if classes - 1 <= len(PALETTE) else colormaps["tab20"].colors  # type: ignore[attr-defined]
    return np.asarray([to_rgb(named[(label - 1) % len(named)]) for label in range(classes)], np.float32)


def _with_labels(
    image: NDArray[np.float32], mask: NDArray[np.uint8], colours: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return an image (H, W, 3) with the colour of its label over each pixel that is not background."""
    drawn = (1 - OPACITY) * image + OPACITY * colours[mask]
    return np.where((mask > 0)[..., None], drawn, image)
