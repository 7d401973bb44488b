"""A folder of your own: pictures, and masks that label their pixels.

    images/a.jpg  images/b.png ...      PNG, TIFF or JPEG; grey or colour
    masks/a.png   masks/b.png  ...      PNG or TIFF (JPEG would change labels); labels 0 .. K, or 0 and 255

Recognised as well, and said in a line: the usual other names (`img/`, `imgs/`, `image/`; `labels/`, `gt/`,
`annotations/`, `segmentations/` ...); masks that are named like their images with `_mask`, `_seg`, `_label`
or the like at the end, in a folder of their own or beside the images.

All of it below `train/` and `test/`, or, without those, split at random: `test_share` of the files test, the
draw fixed by `seed`. Images of one patient must not fall on both sides: `group_by` is a regular expression
whose one group, searched in an image's file name, names its patient; or `groups.csv` lists all images, in the
columns file (its name, or its path below the folder) and group. Then `test_share` of the groups test, and a
group that is in both of two given splits is refused, as is the same image in both.

Values become 0 .. 1 by one range for all images (see `picture_values`): 8-bit values are stored
as they are and divided by 255 when read. Integers of more bits are stored as float32 and divided by the
largest number of 8, 10, 12, 14 or 16 bits, whichever is the first that none of them exceeds; floats must hold
[0, 1]. With `value_range`, its two numbers become 0 and 1, whatever the files are, and values outside are
clipped. Images of 8 bits and of more in one folder are refused. If any image is in colour, grey ones are
stored as three equal channels. Images become squares of `image_size`, whatever their aspect, labels the
nearest.

Masks that hold 0 and 255 and nothing else have two classes. `class_names` says what the labels 0 .. K are;
without it they are called after their numbers, K being the largest label for which 0 .. K all occur.
"""

import hashlib
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.data.formats.picture_values import (
    Scale,
    are_binary,
    choose_scale,
    look_at_image,
    look_at_mask,
    number,
)
from raytransfer.data.formats.pictures import LOSSLESS, read_label_mask, read_values
from raytransfer.data.formats.resizing import resize_image, resize_labels
from raytransfer.data.formats.volumes import outside_labels
from raytransfer.data.targets.cases import (
    SPLITS,
    BadFileError,
    Case,
    Layout,
    PrepareSettings,
    seeded_split,
)
from raytransfer.data.targets.folder_layouts import Listing, Pair, list_pairs
from raytransfer.data.targets.groups import guess_groups, read_groups
from raytransfer.errors import InputError
from raytransfer.terminal import SOON, progress


def read_folder(source: Path, settings: PrepareSettings) -> Layout:
    """List the cases; see the module for the layout.

    Raises:
        InputError: It has no such layout, or images whose values or groups are not as the module says.
    """
    listing = list_pairs(source)
    everything = list(itertools.chain(*listing.pairs.values()))
    groups = read_groups(source, [pair.image for pair in everything], settings.group_by, listing.problems)
    pairs = _split(listing, groups, settings)
    _say_copies(listing, pairs, source)
    if groups is None:
        _say_likely_groups(listing, pairs)
    looked = progress(everything, len(everything), title="looking at values", unit="file", delay=SOON)
    values, labels = [], set()
    for pair in looked:
        values.append(look_at_image(pair.image))
        labels |= look_at_mask(pair.mask)
    found = [image for image in values if image is not None]
    scale = choose_scale(found, settings.value_range, source, listing.warnings)
    binary = are_binary(labels, settings.class_names)
    if binary:
        listing.warnings.append("masks hold 0 and 255: 255 is taken as label 1")
    values_found = (min(v.low for v in found), max(v.high for v in found)) if found else None
    if values_found:
        low, high, zero, one = map(number, (*values_found, scale.low, scale.high))
        listing.notes.append(f"images hold values from {low} to {high}: {zero} becomes 0, {one} becomes 1")
    colour = any(image.colour for image in found)
    case = partial(
        _case, root=source, scale=scale, colour=colour, binary=binary, groups=groups or {}, settings=settings
    )
    return Layout(
        root=source,
        cases={split: [case(pair) for pair in pairs[split]] for split in SPLITS},
        places={split: listing.places.get(split, listing.places.get("", "")) for split in SPLITS},
        class_names=settings.class_names,
        shape=(settings.image_size, settings.image_size),
        channels=3 if colour else 1,
        dtype="uint8" if scale.exact else "float32",
        intensities=scale.in_words,
        labels="nearest; 255 is label 1" if binary else "nearest",
        used=_used(listing, settings),
        unit="images" if groups is None else "groups",
        problems=listing.problems,
        warnings=listing.warnings,
        notes=list(dict.fromkeys(listing.notes)),
        values_found=values_found,
        values_scaled=(scale.low, scale.high),
    )


def _used(listing: Listing, settings: PrepareSettings) -> tuple[str, ...]:
    given = [name for name in ("value_range", "group_by") if getattr(settings, name) is not None]
    return ("class_names", *(() if listing.divided else ("test_share", "seed")), *given)


def _split(
    listing: Listing, groups: dict[Path, str] | None, settings: PrepareSettings
) -> dict[str, list[Pair]]:
    """Return the pairs of each split: as given, or drawn by group, or by image where groups are not known.

    Raises:
        InputError: All images are of one group, which cannot be split.
    """
    if listing.divided:
        return listing.pairs
    everything = listing.pairs[""]
    names = {pair: pair.name if groups is None else groups.get(pair.image, pair.name) for pair in everything}
    if groups is not None and len(everything) > 1 and len(set(names.values())) == 1:
        raise InputError(
            f"all {len(everything)} images are of one group, {names[everything[0]]!r}: at least one group "
            "must train and another one test"
        )
    split_names = seeded_split(list(names.values()), settings)
    return {split: [pair for pair in everything if names[pair] in split_names[split]] for split in SPLITS}


def _say_copies(listing: Listing, pairs: dict[str, list[Pair]], root: Path) -> None:
    """Say which test images also train: a problem in given splits, a warning where they were drawn."""

    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    train = {digest(pair.image): pair.image for pair in pairs["train"]}
    twins = [(pair.image, twin) for pair in pairs["test"] if (twin := train.get(digest(pair.image)))]
    if listing.divided:
        listing.problems.extend(
            f"{image.relative_to(root)}: in both splits, the same image as {twin.relative_to(root)}"
            for image, twin in twins
        )
    elif twins:
        image, twin = (path.relative_to(root) for path in twins[0])
        listing.warnings.append(
            f"{len(twins)} of {len(pairs['test'])} test images are copies of training images, such as "
            f"{image} of {twin}: leave copies out, or keep them together by groups"
        )


def _say_likely_groups(listing: Listing, pairs: dict[str, list[Pair]]) -> None:
    """Warn where names of files look like several images of one patient, in both splits."""
    names = {split: [pair.image.name for pair in pairs[split]] for split in SPLITS}
    everything = [*names["train"], *names["test"]]
    guess = guess_groups(everything)
    if guess is None:
        return
    train, test = ({guess.groups[n] for n in names[split] if n in guess.groups} for split in SPLITS)
    if listing.divided and not train & test:
        return
    how = "are in train/ and test/" if listing.divided else "are split one by one"
    listing.warnings.append(
        f"names such as {guess.example[0]} and {guess.example[1]} look like several images of one patient, "
        f"and {how}: {guess.option(everything)} keeps those of one patient together "
        f"({len(train | test)} patients)"
    )


def _read_mask(path: Path, *, class_names: tuple[str, ...] | None, binary: bool) -> NDArray[np.uint8]:
    if path.suffix.lower() not in LOSSLESS:
        raise BadFileError("a mask as JPEG, which changes label values; use PNG or TIFF")
    labels = read_label_mask(path)
    if binary:
        labels = (labels > 0).astype(np.uint8)
    if class_names is not None:
        outside = [v for v in np.unique(labels).tolist() if v >= len(class_names)]
        if outside:
            raise BadFileError(outside_labels(outside, range(len(class_names))))
    return labels


def _case(
    pair: Pair,
    *,
    root: Path,
    scale: Scale,
    colour: bool,
    binary: bool,
    groups: dict[Path, str],
    settings: PrepareSettings,
) -> Case:
    size = settings.image_size

    def finish(values: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        stored: NDArray[Any] = resize_image(scale(values), size, size)
        if not scale.exact:
            stored = np.clip(stored, 0, 1)
        if colour and stored.shape[-1] == 1:
            stored = np.repeat(stored, 3, axis=-1)
        return stored[None], resize_labels(labels, size, size)[None]

    return Case(
        group=groups.get(pair.image, str(pair.image.relative_to(root))),
        image=pair.image,
        mask=pair.mask,
        items=1,
        read_image=read_values,
        read_mask=partial(_read_mask, class_names=settings.class_names, binary=binary),
        finish=finish,
    )
