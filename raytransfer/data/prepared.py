"""Target data sets brought, once, into the form that training reads.

A prepared data set is a folder:

    prepared.json        name, class names, value range, settings, counts, patients, and each array's form
    train_images.npy     uint8 (N, H, W, C), 0 .. 255 standing for 0 .. 1, or float32 in [0, 1]
    train_masks.npy      uint8 (N, H, W), labels from 0, the background
    train_windows.npy    int64 (M, 3): image, top, left; only where items are windows
    test_...             the same

It is written beside its place and renamed into it, so it is there whole or not at all. Preparing again gives
the same bytes and takes the old folder's place. Two preparations with equal `fingerprint` hold equal data.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.config import InputError, unknown_name
from raytransfer.data.acdc import read_acdc
from raytransfer.data.arrays import SegmentationData, Split
from raytransfer.data.cases import SPLITS, BadDataError, Case, Layout, PrepareSettings
from raytransfer.data.covid_qu_ex import read_covid_qu_ex
from raytransfer.data.decathlon import read_decathlon
from raytransfer.data.folder import read_folder
from raytransfer.data.idrid import read_idrid
from raytransfer.terminal import progress_bar

FORMAT = 1
DESCRIPTION = "prepared.json"
ARRAYS = ("images", "masks", "windows")

Reader = Callable[[Path, PrepareSettings], Layout]


@dataclass(frozen=True, kw_only=True)
class Preparer:
    """How a data set is read, and which options of `prepare` it takes besides `image_size`."""

    read: Reader
    options: tuple[str, ...]


PREPARERS: dict[str, Preparer] = {
    "acdc": Preparer(read=read_acdc, options=("reference",)),
    "covid-qu-ex": Preparer(read=read_covid_qu_ex, options=("reference",)),
    "idrid": Preparer(read=read_idrid, options=("reference",)),
    "msd": Preparer(read=read_decathlon, options=("task", "modality", "test_share", "seed")),
    "folder": Preparer(read=read_folder, options=("test_share", "seed", "class_names")),
}


@dataclass(frozen=True, kw_only=True)
class PreparedReport:
    """What `prepare` wrote.

    Attributes:
        name: Data set.
        path: The prepared folder.
        counts: Split to its counts: "items", and "patients" or "images" where the files tell.
        warnings: One line each: counts other than the official ones, and what a reader found unusual.
        fingerprint: As `fingerprint(path)`.
    """

    name: str
    path: Path
    counts: dict[str, dict[str, int]]
    warnings: tuple[str, ...]
    fingerprint: str


def _settings(name: str, **options: Any) -> tuple[Preparer, PrepareSettings]:
    family, slash, task = name.partition("/")
    if family not in PREPARERS or (slash and family != "msd"):
        raise unknown_name("target dataset", name, ["msd/<Task>" if n == "msd" else n for n in PREPARERS])
    if family == "msd" and not re.fullmatch(r"\w[\w-]*", task):
        raise InputError(
            f"target dataset {name!r} must name a task: msd/<Task>, as in msd/Task04_Hippocampus"
        )
    preparer = PREPARERS[family]
    settings = PrepareSettings(task=task or None, **options)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name not in ("image_size", *preparer.options) and value != field.default:
            raise InputError(f"{name} takes no {field.name} (it takes {', '.join(preparer.options)})")
    if settings.image_size < 32 or settings.image_size % 32:
        raise InputError(
            f"image_size must be a multiple of 32 (the encoders' stride), got {settings.image_size}"
        )
    if not 0 < settings.test_share < 1:
        raise InputError(f"test_share must be between 0 and 1, got {settings.test_share!r}")
    if settings.modality < 0:
        raise InputError(f"modality must be at least 0, got {settings.modality!r}")
    if settings.class_names is not None and not 2 <= len(settings.class_names) <= 256:
        raise InputError(f"class_names must be 2 to 256 names, got {settings.class_names!r}")
    return preparer, settings


def prepared_path(name: str, data_root: str | os.PathLike[str]) -> Path:
    """Return the folder of a prepared data set.

    Raises:
        InputError: The name is not one: it could lead out of `data_root`.
    """
    word = r"[A-Za-z0-9][A-Za-z0-9._-]*"
    if not re.fullmatch(rf"{word}(/{word})?", name):
        raise InputError(f"a target dataset's name must be letters, digits and ._- only, got {name!r}")
    return Path(data_root).expanduser() / name


def prepare(
    name: str,
    source: Path,
    destination: Path,
    *,
    image_size: int = 224,
    reference: bool = False,
    modality: int = 0,
    test_share: float = 0.2,
    seed: int = 0,
    class_names: tuple[str, ...] | None = None,
) -> PreparedReport:
    """Read a data set as its owners distribute it, check all of it, and write the prepared form.

    Args:
        name: "acdc", "covid-qu-ex", "idrid", "msd/<Task>" or "folder".
        source: Folder with the owners' files; the data set's module under raytransfer/data says which.
        destination: Folder to write, which may hold an earlier preparation and nothing else.
        image_size: Side of the squares that models see, pixels.
        reference: Reproduce quirks of the reference's code (acdc, covid-qu-ex and idrid; see their modules).
        modality: Which channel of a volume with several is taken (msd).
        test_share: Share of the patients (msd) or files (folder) that test, where no split is given.
        seed: Seed of that split.
        class_names: What the labels are (folder).

    Raises:
        BadDataError: Files are wrong; all of them are in its `problems`, and nothing was written.
        InputError: An option is wrong, there is no such source, or the destination holds something else.
    """
    preparer, settings = _settings(
        name, image_size=image_size, reference=reference, modality=modality, test_share=test_share,
        seed=seed, class_names=class_names,
    )  # fmt: skip
    source, destination = Path(source), Path(destination)
    if not source.is_dir():
        raise InputError(f"source: there is no folder {source}")
    _require_replaceable(destination)
    layout = preparer.read(source, settings)
    destination.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        new = work / "new"  # not `work` itself, which no other user could read
        new.mkdir()
        description = _write(name, source, layout, settings, new)
        if destination.exists():
            destination.rename(work / "old")
        new.rename(destination)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return PreparedReport(
        name=name,
        path=destination,
        counts=description["counts"],
        warnings=tuple(description["warnings"]),
        fingerprint=fingerprint(destination),
    )


def _require_replaceable(destination: Path) -> None:
    own = {DESCRIPTION, *(f"{split}_{kind}.npy" for split in SPLITS for kind in ARRAYS)}
    if destination.exists() and not destination.is_dir():
        raise InputError(f"destination {destination} is a file")
    if destination.is_dir():
        others = sorted(path.name for path in destination.iterdir() if path.name not in own)
        if others:
            raise InputError(
                f"destination {destination} holds other files, such as {others[0]}; give another"
            )


def _write(
    name: str, source: Path, layout: Layout, settings: PrepareSettings, folder: Path
) -> dict[str, Any]:
    """Write arrays and description to `folder`; raise BadDataError after all files were read."""
    problems = list(layout.problems)
    both = {case.patient for case in layout.cases["train"]} & {case.patient for case in layout.cases["test"]}
    problems += [f"{patient}: in both splits, training and test" for patient in sorted(both)]
    problems += [f"{layout.places[s]}: the {s} split is empty" for s in SPLITS if not layout.cases[s]]
    arrays: dict[str, dict[str, Any]] = {}
    counts: dict[str, dict[str, int]] = {}
    seen: dict[int, list[str]] = {}  # label -> files
    with progress_bar(sum(map(len, layout.cases.values())), title=name, unit="file") as bar:
        for split in SPLITS:
            cases = layout.cases[split]
            windows = _write_split(split, cases, layout, folder, problems, seen, bar)
            items = len(windows) if windows is not None else sum(case.items for case in cases)
            counts[split] = {"items": items}
            if layout.unit:
                counts[split][layout.unit] = len({case.patient for case in cases})
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
        "patients": {split: sorted({case.patient for case in layout.cases[split]}) for split in SPLITS},
        "window_size": dict(layout.window_size) if layout.window_size else None,
        "warnings": [*layout.warnings, *_count_warnings(counts, layout)],
        "arrays": arrays,
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    return description


def _write_split(
    split: str,
    cases: Any,
    layout: Layout,
    folder: Path,
    problems: list[str],
    seen: dict[int, list[str]],
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
            for label in np.unique(loaded[1]).tolist():
                seen.setdefault(label, []).append(str(case.mask.relative_to(layout.root)))
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


def _numbered_classes(seen: dict[int, list[str]], problems: list[str]) -> tuple[str, ...]:
    """Name the labels 0 .. K after their numbers; files with labels above a gap are problems."""
    last = 0
    while last + 1 in seen:
        last += 1
    for label in sorted(label for label in seen if label > last):
        problems += [
            f"{file}: label value outside the set: {label}, while no mask holds {last + 1}"
            " (labels are 0 to K without gaps; class_names would say which there are)"
            for file in seen[label]
        ]
    if seen and max(seen) == 0:
        problems.append("masks: no mask holds a label above 0")
    return ("background", *(f"class {label}" for label in range(1, last + 1)))


def _count_warnings(counts: dict[str, dict[str, int]], layout: Layout) -> list[str]:
    return [
        f"{split}: {counts[split][unit]} {unit}, where the whole data set has {official}"
        for split, units in layout.official.items()
        for unit, official in units.items()
        if counts[split][unit] != official
    ]


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a prepared folder's description, which holds that of each array.

    Raises:
        InputError: There is no prepared data set.
    """
    return hashlib.sha256(_description_file(path).read_bytes()).hexdigest()


def _description_file(path: Path) -> Path:
    file = Path(path) / DESCRIPTION
    if not file.is_file():
        raise InputError(f"{file} is missing: {path} holds no prepared data set (experiments/prepare.py)")
    return file


def load_prepared(path: Path, *, verify: bool = False) -> SegmentationData:
    """Return a prepared data set; images and masks stay on disk and are read where they are used.

    Args:
        path: The folder that `prepare` wrote.
        verify: Also compare every array's SHA-256, which reads all of it.

    Raises:
        InputError: A file is missing, torn or not as described; the message names it.
    """
    file = _description_file(path)
    try:
        description = json.loads(file.read_text())
        if description["format"] != FORMAT:
            raise InputError(
                f"{file} has format {description['format']}, not {FORMAT}: prepare the data again"
            )
        arrays = {
            name: _load_array(file.parent / f"{name}.npy", entry, verify=verify)
            for name, entry in description["arrays"].items()
        }
        sizes = description["window_size"] or {}
        splits = {
            split: Split(
                images=arrays[f"{split}_images"],
                masks=arrays[f"{split}_masks"],
                windows=arrays.get(f"{split}_windows"),
                window_size=sizes.get(split),
            )
            for split in SPLITS
        }
        data = SegmentationData(
            name=description["name"],
            class_names=tuple(description["class_names"]),
            train=splits["train"],
            test=splits["test"],
            image_size=description["image_size"],
            color_jitter=description["color_jitter"],
        )
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged ({type(error).__name__}: {error}): prepare the data again"
        ) from error
    for name, split in splits.items():
        _require_consistent(file.parent / f"{name}_images.npy", split)
    return data


def _load_array(path: Path, entry: dict[str, Any], *, verify: bool) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is missing or torn: prepare the data again") from error
    shape, dtype = tuple(entry["shape"]), entry["dtype"]
    if array.shape != shape or str(array.dtype) != dtype:
        raise InputError(f"{path} is {array.dtype} {array.shape}, not {dtype} {shape} as {DESCRIPTION} says")
    if verify:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise InputError(
                    f"{path} has another SHA-256 than {DESCRIPTION} says: prepare the data again"
                )
    return array


def _require_consistent(path: Path, split: Split) -> None:
    images, masks, windows, size = split.images, split.masks, split.windows, split.window_size
    fits = images.ndim == 4 and images.shape[:3] == masks.shape and (windows is None) == (size is None)
    if fits and windows is not None and size is not None and len(windows):
        last = np.array([len(images) - 1, images.shape[1] - size, images.shape[2] - size])
        fits = bool(np.all(windows >= 0) and np.all(windows <= last))
    if not fits:
        raise InputError(f"{path} does not fit its masks or windows: prepare the data again")
