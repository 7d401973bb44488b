"""Medical Segmentation Decathlon: ten tasks in one layout (Antonelli et al., 2022).

As the owners distribute it (http://medicaldecathlon.com): a folder per task, such as `Task04_Hippocampus`,
with `dataset.json` ("labels": label to name; "training": pairs of image and label file; "modality"),
`imagesTr/` and `labelsTr/` with NIfTI files. `source` is that folder or the one above it. Every slice along
the last axis of the label volume is an item; of images with several modalities (X, Y, Z, M) the one named by
`modality` is taken.

The official test images have no public labels. So the labelled volumes (one per patient) are split at random:
`test_share` of them test, the draw fixed by `seed`. Scores are not comparable with the Decathlon's own.

Each volume's percentiles 0.5 and 99.5 become 0 and 1, as for ACDC; CT is treated alike, without a window in
Hounsfield units. Slices are stretched to squares; labels are resized to the nearest.
"""

import json
import os
from pathlib import Path
from typing import Any

from raytransfer.data.formats.volumes import SUFFIXES, intensities_in_words, name_of, volume_case
from raytransfer.data.targets.cases import SPLITS, Case, Layout, PrepareSettings, seeded_split
from raytransfer.errors import InputError

DESCRIPTION = "dataset.json"


def read_decathlon(source: Path, settings: PrepareSettings) -> Layout:
    """List the cases of the task `settings.task`; see the module for the layout.

    Raises:
        InputError: There is no `dataset.json`, or it is not the Decathlon's.
    """
    root = source / str(settings.task)
    if not root.is_dir():
        root = source
    file = root / DESCRIPTION
    description = _description(file, str(settings.task))
    class_names = _class_names(file, description)
    modalities = description.get("modality") or {"0": ""}
    if not isinstance(modalities, dict):
        raise InputError(f"{file}: 'modality' must map 0, 1, ... to names, got {modalities!r}")
    if str(settings.modality) not in modalities:
        raise InputError(
            f"modality must be one of {', '.join(modalities)} for {settings.task}, got {settings.modality}"
        )
    named = modalities[str(settings.modality)]
    problems: list[str] = []
    pairs = _pairs(root, source, description["training"], problems)
    split_names = seeded_split([name for name, _, _ in pairs], settings)
    cases: dict[str, list[Case]] = {split: [] for split in SPLITS}
    for name, image, mask in pairs:
        split = "train" if name in split_names["train"] else "test"
        cases[split].append(
            volume_case(
                group=name, image=image, mask=mask, labels=range(len(class_names)), settings=settings,
                modality=settings.modality,
            )
        )  # fmt: skip
    warnings = []
    official = description.get("numTraining")
    if isinstance(official, int) and official != len(pairs):
        warnings.append(f"{len(pairs)} labelled volumes, where the whole task has {official}")
    return Layout(
        root=source,
        cases=cases,
        places=dict.fromkeys(SPLITS, str(file.relative_to(source))),
        class_names=class_names,
        shape=(settings.image_size, settings.image_size),
        channels=1,
        dtype="float32",
        intensities=f"modality {settings.modality} ({named}), {intensities_in_words()}",
        labels="nearest",
        used=("task", "modality", "test_share", "seed"),
        unit="patients",
        problems=problems,
        warnings=warnings,
    )


def _description(file: Path, task: str) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"{file} is missing: source must be {task} or the folder above it")
    try:
        description = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no JSON: {error}") from error
    entries = description.get("training") if isinstance(description, dict) else None
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("image"), str) and isinstance(e.get("label"), str)
        for e in entries
    ):
        raise InputError(f"{file}: 'training' must be a list of {{'image': ..., 'label': ...}}")
    return description


def _class_names(file: Path, description: dict[str, Any]) -> tuple[str, ...]:
    labels = description.get("labels")
    if (
        not isinstance(labels, dict)
        or set(labels) != {str(label) for label in range(len(labels))}
        or len(labels) < 2
    ):
        raise InputError(f"{file}: 'labels' must map 0, 1, ... to names, got {labels!r}")
    return tuple(str(labels[str(label)]) for label in range(len(labels)))


def _leads_out(path: str) -> bool:
    return os.path.isabs(path) or Path(os.path.normpath(path)).parts[:1] == ("..",)


def _pairs(
    root: Path, source: Path, entries: list[dict[str, str]], problems: list[str]
) -> list[tuple[str, Path, Path]]:
    """Return (name, image, label file) of the listed pairs that are there."""
    pairs: dict[str, tuple[str, Path, Path]] = {}
    listed: set[Path] = set()
    for entry in entries:
        outside = [entry[key] for key in ("image", "label") if _leads_out(entry[key])]
        problems += [
            f"{(root / DESCRIPTION).relative_to(source)}: a path leads out of the folder: {outsider!r}; "
            "it must be relative to the folder, as in ./imagesTr/name.nii.gz"
            for outsider in outside
        ]
        if outside:
            continue
        image, mask = (root / entry[key] for key in ("image", "label"))
        listed |= {image, mask}
        name = name_of(image)
        if name in pairs:
            problems.append(f"{image.relative_to(source)}: listed twice in {DESCRIPTION}")
            continue
        missing = [(kind, f) for kind, f in (("image", image), ("mask", mask)) if not f.is_file()]
        problems += [f"{f.relative_to(source)}: missing {kind}" for kind, f in missing]
        if not missing:
            pairs[name] = (name, image, mask)
    for kind, folder in (("image", root / "imagesTr"), ("mask", root / "labelsTr")):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            # the archives hold macOS's ._ files beside the real ones
            if path not in listed and path.name.endswith(SUFFIXES) and not path.name.startswith("."):
                problems.append(f"{path.relative_to(source)}: extra {kind}, not listed in {DESCRIPTION}")
    return [pairs[name] for name in sorted(pairs)]
