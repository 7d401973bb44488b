"""Target data sets brought, once, into the form that training reads.

A prepared data set is a folder:

    prepared.json        name, class names, value range, settings, counts, groups, and each array's form
    train_images.npy     uint8 (N, H, W, C), 0 .. 255 standing for 0 .. 1, or float32 in [0, 1]
    train_masks.npy      uint8 (N, H, W), labels from 0, the background
    train_windows.npy    int64 (M, 3): image, top, left; only where items are windows
    test_...             the same
    preview.png          some of the images with their masks, for people (`raytransfer.data.targets.preview`)

It is written beside its place and renamed into it, so it is there whole or not at all. Preparing again gives
the same bytes. Two preparations with equal `fingerprint` hold equal data; so an earlier preparation with the
same content stays as it is, and one with another content is replaced only where that is asked for.
"""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.commands import command
from raytransfer.data.arrays import SegmentationData, Split
from raytransfer.data.targets.cases import SPLITS, Layout, PrepareSettings
from raytransfer.data.targets.groups import check_pattern
from raytransfer.data.targets.writing import ARRAYS, DESCRIPTION, FORMAT, write_prepared
from raytransfer.errors import InputError, unknown_name
from raytransfer.registry import Registry

PREVIEW = "preview.png"

LARGEST_SIDE = 2048
"""Side of the largest squares that are prepared: a model in training needs gigabytes for each of them."""

Reader = Callable[[Path, PrepareSettings], Layout]


@dataclass(frozen=True, kw_only=True)
class Preparer:
    """Which options of `prepare` a data set takes besides `image_size`."""

    options: tuple[str, ...]


PREPARERS = {
    "acdc": Preparer(options=("reference",)),
    "covid-qu-ex": Preparer(options=("reference",)),
    "idrid": Preparer(options=("reference",)),
    "msd": Preparer(options=("task", "modality", "test_share", "seed")),
    "folder": Preparer(options=("test_share", "seed", "class_names", "value_range", "group_by")),
}
READERS: Registry[Reader] = Registry(
    "target dataset",
    **{
        "acdc": "raytransfer.data.targets.acdc:read_acdc",
        "covid-qu-ex": "raytransfer.data.targets.covid_qu_ex:read_covid_qu_ex",
        "idrid": "raytransfer.data.targets.idrid:read_idrid",
        "msd": "raytransfer.data.targets.decathlon:read_decathlon",
        "folder": "raytransfer.data.targets.folder:read_folder",
    },
)


@dataclass(frozen=True, kw_only=True)
class PreparedReport:
    """What `prepare` wrote.

    Attributes:
        name: Data set.
        path: The prepared folder.
        counts: Split to its counts: "items", and "patients", "groups" or "images" where the files tell.
        notes: One line each: what a reader recognised in the files.
        warnings: One line each: counts other than the official ones, and what a reader found unusual.
        fingerprint: As `fingerprint(path)`.
        unchanged: Whether the folder held the same data set before, and was left as it was.
    """

    name: str
    path: Path
    counts: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    fingerprint: str
    unchanged: bool


def _settings(name: str, **options: Any) -> PrepareSettings:
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
    if settings.image_size > LARGEST_SIDE:
        raise InputError(
            f"image_size must be at most {LARGEST_SIDE} (a model in training needs gigabytes for an image of "
            f"that side), got {settings.image_size}"
        )
    if settings.seed < 0:
        raise InputError(f"seed must be at least 0, got {settings.seed!r}")
    if not 0 < settings.test_share < 1:
        raise InputError(f"test_share must be between 0 and 1, got {settings.test_share!r}")
    if settings.modality < 0:
        raise InputError(f"modality must be at least 0, got {settings.modality!r}")
    if settings.class_names is not None and not 2 <= len(settings.class_names) <= 256:
        raise InputError(f"class_names must be 2 to 256 names, got {settings.class_names!r}")
    if settings.value_range is not None:
        low, high = settings.value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"value_range must be two numbers, the smaller one first, got {low:g} {high:g}")
    if settings.group_by is not None:
        check_pattern(settings.group_by)
    return settings


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
    value_range: tuple[float, float] | None = None,
    group_by: str | None = None,
    replace: bool = False,
) -> PreparedReport:
    """Read a data set as its owners distribute it, check all of it, and write the prepared form.

    Args:
        name: "acdc", "covid-qu-ex", "idrid", "msd/<Task>" or "folder".
        source: Folder with the owners' files; the data set's module under raytransfer/data says which.
        destination: Folder to write, which may hold an earlier preparation and nothing else.
        image_size: Side of the squares that models see, pixels.
        reference: Reproduce quirks of the reference's code (acdc, covid-qu-ex and idrid; see their modules).
        modality: Which channel of a volume with several is taken (msd).
        test_share: Share of the patients (msd) or of the groups or images (folder) that test, where no split
            is given.
        seed: Seed of that split.
        class_names: What the labels are (folder).
        value_range: The values of the images that become 0 and 1 (folder; see there for the default).
        group_by: Regular expression whose one group, searched in an image's file name, names what must not be
            in both splits, the patient (folder).
        replace: Replace an earlier preparation with another content, which else is refused.

    Raises:
        BadDataError: Files are wrong; all of them are in its `problems`, and nothing was written.
        InputError: An option is wrong, there is no such source, or the destination holds something else.
    """
    settings = _settings(
        name, image_size=image_size, reference=reference, modality=modality, test_share=test_share,
        seed=seed, class_names=class_names, value_range=value_range, group_by=group_by,
    )  # fmt: skip
    source, destination = Path(source), Path(destination)
    if not source.is_dir():
        raise InputError(f"source: there is no folder {source}")
    _require_replaceable(destination)
    layout = READERS[name.partition("/")[0]](source, settings)
    destination.parent.mkdir(parents=True, exist_ok=True)
    _require_space(layout, destination.parent)
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        new = work / "new"  # not `work` itself, which no other user could read
        new.mkdir()
        description = write_prepared(name, source, layout, settings, new)
        unchanged = not replace and _is_there(destination, description)
        if not unchanged:
            if destination.exists():
                destination.rename(work / "old")
            new.rename(destination)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return PreparedReport(
        name=name,
        path=destination,
        counts=description["counts"],
        notes=tuple(layout.notes),
        warnings=tuple(description["warnings"]),
        fingerprint=fingerprint(destination),
        unchanged=unchanged,
    )


def _require_replaceable(destination: Path) -> None:
    own = {DESCRIPTION, PREVIEW, *(f"{split}_{kind}.npy" for split in SPLITS for kind in ARRAYS)}
    if destination.exists() and not destination.is_dir():
        raise InputError(f"destination {destination} is a file")
    if destination.is_dir():
        others = sorted(path.name for path in destination.iterdir() if path.name not in own)
        if others:
            raise InputError(
                f"destination {destination} holds other files, such as {others[0]}; give another"
            )


def _require_space(layout: Layout, folder: Path) -> None:
    """Refuse to fill the disk: arrays are written through memory maps, where that would end the process."""
    items = sum(case.items for cases in layout.cases.values() for case in cases)
    pixel = layout.channels * np.dtype(layout.dtype).itemsize + 1
    needed, free = items * math.prod(layout.shape) * pixel, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"the data set needs {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB free: "
            "give another --data-root or a smaller --image-size"
        )


def _is_there(destination: Path, new: Mapping[str, Any]) -> bool:
    """Whether a whole preparation with the same content is there; what is damaged counts as not there.

    Results are kept under the fingerprint of their data. So nothing is replaced that would only change it.

    Raises:
        InputError: Another data set is there.
    """
    try:
        load_prepared(destination, verify=True)
        old = json.loads(_description_file(destination).read_text())
    except InputError:
        return False
    new = json.loads(json.dumps(new))  # as it would be read again
    content = ("name", "class_names", "image_size", "color_jitter", "window_size", "arrays")
    if all(old[key] == new[key] for key in content):
        return True
    settings = [dict(description.get("settings", {})) for description in (old, new)]
    settings[0]["dataset"], settings[1]["dataset"] = old["name"], new["name"]
    changed = [
        f"{key} {settings[0].get(key)!r} before, {settings[1].get(key)!r} now"
        for key in sorted(settings[0].keys() | settings[1].keys())
        if settings[0].get(key) != settings[1].get(key)
    ]
    raise InputError(
        f"{destination} holds another data set ({'; '.join(changed) or 'other images, masks or split'}): "
        "give this one another --name, or --replace that one, on which results may rest"
    )


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a prepared folder's description, which holds that of each array.

    Raises:
        InputError: There is no prepared data set.
    """
    return hashlib.sha256(_description_file(path).read_bytes()).hexdigest()


def _description_file(path: Path) -> Path:
    file = Path(path) / DESCRIPTION
    if not file.is_file():
        how = command("prepare", "--help")
        raise InputError(f"{file} is missing: {path} holds no prepared data set ({how})")
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
