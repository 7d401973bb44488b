"""What a reader finds in a data set as its owners distribute it: cases, and what is wrong with them.

A case is an image file with its mask file: one picture, or one volume whose slices are the items. Readers
(one file per data set) list the cases; `raytransfer.data.targets.writing` reads them and writes the
prepared form.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.errors import InputError

SPLITS = ("train", "test")


class BadFileError(Exception):
    """A file cannot be used; the message is the reason, without the file's name."""


SHOWN_PROBLEMS = 10
"""So many lines an error about many files has, besides its first and last."""


class BadDataError(InputError):
    """Files of a data set are wrong; the message has one line per problem after the first.

    Of many problems it has a few of each kind and says how many more there are.

    Attributes:
        problems: One line per problem, each beginning with the file it is about.
        all_shown: Whether the message has them all.
    """

    def __init__(self, name: str, source: Path, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        self.all_shown = len(self.problems) <= SHOWN_PROBLEMS
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        lines = self.problems if self.all_shown else _in_short(self.problems)
        super().__init__("\n".join([f"{name}: {count} in {source}", *(f"  {line}" for line in lines)]))


def _kind_of(problem: str) -> str:
    """Return a problem without the file and the numbers it is about."""
    reason = problem.partition(": ")[2] or problem
    return re.sub(r"\d+", "#", re.split(r"[:(,]", reason)[0]).strip()


def _in_short(problems: Sequence[str]) -> list[str]:
    """Return a few problems of each kind, the last of them with how many more there are."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(_kind_of(problem), []).append(problem)
    shown = list(kinds.values())[:SHOWN_PROBLEMS]
    each = SHOWN_PROBLEMS // len(shown)
    lines = []
    for of_kind in shown:
        lines += of_kind[:each]
        if len(of_kind) > each:
            lines[-1] += f" ... and {len(of_kind) - each} more like it"
    if others := len(problems) - sum(map(len, shown)):
        lines.append(f"... and {others} more of other kinds")
    return lines


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """What `prepare` is told; a data set uses the part that applies to it.

    Attributes:
        image_size: Side of the squares that models see, pixels.
        reference: Whether the quirks of the reference's code are reproduced (each reader says which).
        task: Name of the Medical Segmentation Decathlon's task.
        modality: Index of the channel taken from volumes with several.
        test_share: Share of the cases that test, where the data set has no official split.
        seed: Seed of that split.
        class_names: One name per label, the background first; None takes the data set's own.
        value_range: The values of the images that become 0 and 1; None: what their files suggest.
        group_by: Regular expression whose one group, found in an image's file name, names the patient or
            whatever else must not be in both splits; None: not told.
    """

    image_size: int = 224
    reference: bool = False
    task: str | None = None
    modality: int = 0
    test_share: float = 0.2
    seed: int = 0
    class_names: tuple[str, ...] | None = None
    value_range: tuple[float, float] | None = None
    group_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """An image file with its mask file.

    Attributes:
        group: What must not be in both splits: the patient, or the image where patients are not known.
        image: The image file.
        mask: The mask file.
        items: Number of images in the file: 1, or the slices of a volume (0 if its header cannot be read).
        read_image: Reads the image file; raises BadFileError.
        read_mask: Reads the mask file and checks its labels; raises BadFileError.
        finish: Brings both to the stored form: (items, H, W, C) and uint8 (items, H, W).
        mismatch: Says why two readable files of equal size do not belong together, None where they do.
    """

    group: str
    image: Path
    mask: Path
    items: int
    read_image: Callable[[Path], NDArray[Any]]
    read_mask: Callable[[Path], NDArray[Any]]
    finish: Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[np.uint8]]]
    mismatch: Callable[[Path, Path], str | None] | None = None

    def load(self, root: Path, problems: list[str]) -> tuple[NDArray[Any], NDArray[np.uint8]] | None:
        """Return images and masks in the stored form, or None after adding to `problems`.

        Args:
            root: The folder that file names in `problems` are relative to.
            problems: One line is appended for each file that cannot be used.
        """
        read: list[NDArray[Any]] = []
        for path, reader in ((self.image, self.read_image), (self.mask, self.read_mask)):
            try:
                read.append(reader(path))
            except BadFileError as error:
                problems.append(f"{path.relative_to(root)}: {error}")
        if len(read) < 2:
            return None
        image, mask = read
        if image.shape[: mask.ndim] != mask.shape:
            sizes = " and ".join(" x ".join(map(str, s)) for s in (image.shape[: mask.ndim], mask.shape))
            problems.append(
                f"{self.mask.relative_to(root)}: image and mask differ in size: {sizes}"
                f" (image {self.image.relative_to(root)})"
            )
            return None
        if self.mismatch and (reason := self.mismatch(self.image, self.mask)) is not None:
            problems.append(f"{self.mask.relative_to(root)}: {reason} (image {self.image.relative_to(root)})")
            return None
        return self.finish(image, mask)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A data set as found: its cases and the form in which they are stored.

    Attributes:
        root: The folder that file names in problems are relative to.
        cases: Split ("train", "test") to its cases.
        places: Split to where its files should be, for the error about an empty one.
        class_names: One name per label; None names them after the largest label found.
        shape: Rows and columns of a stored image.
        channels: 1 (grey) or 3.
        dtype: "uint8" (0 .. 255 stands for 0 .. 1) or "float32" (in [0, 1]).
        intensities: How file intensities became stored values, in words.
        labels: How file labels became stored labels, in words.
        used: Names of the fields of PrepareSettings that were used besides `image_size`.
        unit: What `Case.group` counts, plural; None where the files do not say.
        official: Split to the owners' own counts, as in the report.
        problems: What the listing alone showed to be wrong.
        warnings: What the listing alone showed to be unusual.
        notes: What was recognised, in a line each.
        values_found: Smallest and largest value of the images; None where each volume has a range of its own.
        values_scaled: The two values that became 0 and 1.
        windows: Split to the function of a stored image that gives its windows' (top, left); None: whole.
        window_size: Split to the side of its windows.
        color_jitter: Whether training images are jittered in colour.
    """

    root: Path
    cases: Mapping[str, Sequence[Case]]
    places: Mapping[str, str]
    class_names: tuple[str, ...] | None
    shape: tuple[int, int]
    channels: int
    dtype: str
    intensities: str
    labels: str
    used: tuple[str, ...] = ()
    unit: str | None = None
    official: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    values_found: tuple[float, float] | None = None
    values_scaled: tuple[float, float] | None = None
    windows: Mapping[str, Callable[[NDArray[Any]], list[tuple[int, int]]]] | None = None
    window_size: Mapping[str, int] | None = None
    color_jitter: bool = False


def list_files(folder: Path, suffixes: Sequence[str], root: Path, problems: list[str]) -> dict[str, Path]:
    """Return name without suffix -> file, for the visible files of a folder with one of `suffixes`.

    A name that occurs twice, with two suffixes, is added to `problems`.
    """
    found: dict[str, Path] = {}
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.name.startswith(".") or path.suffix.lower() not in suffixes or not path.is_file():
            continue
        if path.stem in found:
            problems.append(f"{path.relative_to(root)}: the same name as {found[path.stem].name}")
        found.setdefault(path.stem, path)
    return found


def pair_files(
    images: Mapping[str, Path], masks: Mapping[str, Path], root: Path, problems: list[str]
) -> list[tuple[str, Path, Path]]:
    """Return (name, image, mask) for the names in both; the others are added to `problems`."""
    for name in sorted(images.keys() - masks.keys()):
        problems.append(f"{images[name].relative_to(root)}: missing mask")
    for name in sorted(masks.keys() - images.keys()):
        problems.append(f"{masks[name].relative_to(root)}: extra mask, there is no image of that name")
    return [(name, images[name], masks[name]) for name in sorted(images.keys() & masks.keys())]


def seeded_split(names: Sequence[str], settings: PrepareSettings) -> dict[str, set[str]]:
    """Split names at random into "train" and "test": a function of the set of names, share and seed.

    Of two names or more at least one trains and one tests; of one name, it trains.
    """
    ordered = sorted(set(names))
    count = min(max(round(len(ordered) * settings.test_share), 1), len(ordered) - 1)
    shuffled = np.random.default_rng(settings.seed).permutation(len(ordered))
    test = {ordered[index] for index in shuffled[: max(count, 0)]}
    return {"train": set(ordered) - test, "test": test}
