"""The prepared form of a data set, written: its arrays, and the description that holds what was done."""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.data.targets.cases import SPLITS, BadDataError, Case, Layout, PrepareSettings
from raytransfer.terminal import progress_bar

FORMAT = 1
DESCRIPTION = "prepared.json"
ARRAYS = ("images", "masks", "windows")

MANY_LABELS = 32
"""With more values than this, which nobody named, masks are taken for grey pictures."""


def write_prepared(
    name: str, source: Path, layout: Layout, settings: PrepareSettings, folder: Path
) -> dict[str, Any]:
    """Write the arrays and the description of a data set to a folder; return the description.

    Args:
        name: What the description calls it.
        source: The folder that the error about wrong files names.
        layout: The data set as found.
        settings: What `prepare` was told.
        folder: An empty folder.

    Raises:
        BadDataError: Files are wrong, or too few. All files were read.
    """
    problems = list(layout.problems)
    groups = {split: sorted({case.group for case in layout.cases[split]}) for split in SPLITS}
    both = sorted(set(groups["train"]) & set(groups["test"]))
    problems += [f"{group}: in both splits, training and test" for group in both]
    problems += [f"{layout.places[s]}: the {s} split is empty" for s in SPLITS if not layout.cases[s]]
    arrays: dict[str, dict[str, Any]] = {}
    counts: dict[str, dict[str, int]] = {}
    seen: dict[str, set[int]] = {}  # file -> labels
    with progress_bar(sum(map(len, layout.cases.values())), title=name, unit="file") as bar:
        for split in SPLITS:
            cases = layout.cases[split]
            windows = _write_split(split, cases, layout, folder, problems, seen, bar)
            items = len(windows) if windows is not None else sum(case.items for case in cases)
            counts[split] = {"items": items}
            if layout.unit:
                counts[split][layout.unit] = len(groups[split])
    if counts["train"]["items"] == 1:
        problems.append(
            f"{layout.places['train']}: the train split holds 1 image; at least 2 are needed, because "
            "robustness compares images in pairs"
        )
    class_names = layout.class_names or _numbered_classes(seen, problems)
    if problems:
        raise BadDataError(name, source, problems)
    for path in sorted(folder.glob("*.npy")):
        array = np.load(path, mmap_mode="r")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        arrays[path.stem] = {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": sha256}
    description = {
        "format": FORMAT,
        "name": name,
        "class_names": list(class_names),
        "image_size": settings.image_size,
        "color_jitter": layout.color_jitter,
        "value_range": [0, 255] if layout.dtype == "uint8" else [0.0, 1.0],
        "intensities": layout.intensities,
        "labels": layout.labels,
        "settings": {key: getattr(settings, key) for key in ("image_size", *layout.used)},
        "counts": counts,
        "groups": groups,
        "window_size": dict(layout.window_size) if layout.window_size else None,
        "warnings": [*layout.warnings, *_count_warnings(counts, layout)],
        "arrays": arrays,
    }
    if layout.values_found and layout.values_scaled:
        description |= {
            "values_found": list(layout.values_found),
            "values_scaled": list(layout.values_scaled),
        }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    return description


def _write_split(
    split: str,
    cases: Any,
    layout: Layout,
    folder: Path,
    problems: list[str],
    seen: dict[str, set[int]],
    bar: Any,
) -> NDArray[np.int64] | None:
    """Write a split's arrays, and return its windows; None where items are whole images."""
    shape = (max(sum(case.items for case in cases), 1), *layout.shape)
    images = _new_array(folder / f"{split}_images.npy", (*shape, layout.channels), layout.dtype)
    masks = _new_array(folder / f"{split}_masks.npy", shape, "uint8")
    windows: list[tuple[int, int, int]] = []
    first = 0
    for case in cases:
        loaded = _load(case, layout, problems)
        bar.update()
        if loaded is not None:
            part = slice(first, first + case.items)
            images[part], masks[part] = loaded
            seen[str(case.mask.relative_to(layout.root))] = set(np.unique(loaded[1]).tolist())
            if layout.windows:
                for index, image in enumerate(loaded[0], start=first):
                    windows += [(index, top, left) for top, left in layout.windows[split](image)]
        first += case.items
    images.flush()
    masks.flush()
    if not layout.windows:
        return None
    table = np.asarray(windows, dtype=np.int64).reshape(-1, 3)
    np.save(folder / f"{split}_windows.npy", table)
    return table


def _load(case: Case, layout: Layout, problems: list[str]) -> tuple[NDArray[Any], NDArray[np.uint8]] | None:
    loaded = case.load(layout.root, problems)
    if loaded is None:
        return None
    images, masks = loaded
    assert images.shape == (case.items, *layout.shape, layout.channels)  # noqa: S101 (an invariant)
    assert masks.shape == images.shape[:3] and images.dtype == layout.dtype  # noqa: S101, PT018
    return images, masks


def _new_array(path: Path, shape: tuple[int, ...], dtype: str) -> Any:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _numbered_classes(seen: dict[str, set[int]], problems: list[str]) -> tuple[str, ...]:
    """Name the labels 0 .. K after their numbers; files with labels above a gap are problems."""
    there = set().union(*seen.values())
    last = next(label for label in itertools.count() if label + 1 not in there)
    if len(there) > MANY_LABELS:
        file = max(seen, key=lambda name: len(seen[name]))
        problems.append(
            f"{file}: {len(seen[file])} different values, {len(there)} in all masks: these are no labels, "
            "but greys as smoothing or JPEG makes them; save masks without, or name all labels by --classes"
        )
        return ()
    for file, labels in seen.items():
        if beyond := sorted(label for label in labels if label > last):
            shown = ", ".join(map(str, beyond[:5])) + (", ..." if len(beyond) > 5 else "")
            problems.append(
                f"{file}: label value outside the set: {shown}, while no mask holds {last + 1} (labels are "
                "0 to K without gaps; --classes would say which there are)"
            )
    if seen and there <= {0}:
        problems.append("masks: no mask holds a label above 0")
    return ("background", *(f"class {label}" for label in range(1, last + 1)))


def _count_warnings(counts: dict[str, dict[str, int]], layout: Layout) -> list[str]:
    return [
        f"{split}: {counts[split][unit]} {unit}, where the whole data set has {official}"
        for split, units in layout.official.items()
        for unit, official in units.items()
        if counts[split][unit] != official
    ]
