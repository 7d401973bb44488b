"""Where the images and masks of a folder of pictures lie: the layouts that are recognised.

`folder` describes the layouts. What is recognised beyond `images/` and `masks/` is said in a
note; what is not read, in a warning; what could be meant in two ways is refused, with the command that tells.
"""

import itertools
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from raytransfer.data.formats.pictures import PICTURES
from raytransfer.data.targets.cases import SPLITS, list_files, pair_files
from raytransfer.data.targets.groups import GROUPS
from raytransfer.errors import FEW, InputError

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth", "ground-truth",
    "groundtruth", "segmentations", "segmentation", "segs", "seg",
)  # fmt: skip
SPLIT_FOLDERS = {"train": ("train", "training"), "test": ("test", "testing")}
"""Names in lower case, the usual one first."""

SUFFIX = re.compile(
    r"[_\-. ](masks?|segs?|segmentations?|labels?|annotations?|gt|ground_?truth)$", re.IGNORECASE
)
"""What the name of a mask may have beyond its image's."""

JUNK = ("thumbs.db", "desktop.ini", "__macosx")
"""What systems leave in folders, in lower case."""


class Pair(NamedTuple):
    """An image file with its mask file, and the name that both have."""

    name: str
    image: Path
    mask: Path


class _ImagesAndMasks(NamedTuple):
    images: Path
    masks: Path

    @property
    def mixed(self) -> bool:
        """Whether masks lie beside their images."""
        return self.images == self.masks


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The pictures of a folder as they were found.

    Attributes:
        pairs: "train" and "test" to their pairs, or "" to all of them where no split is given.
        places: The same to where their images are, relative to the folder.
        problems: What is wrong, a line each.
        warnings: What was not read.
        notes: What was recognised.
    """

    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def divided(self) -> bool:
        """Whether the folder says what trains and what tests."""
        return "" not in self.pairs


def list_pairs(source: Path) -> Listing:
    """List the images and masks of a folder in one of the layouts.

    Raises:
        InputError: It has none of the layouts, or could have two.
    """
    listing = Listing()
    for split, folders in _places(source, listing).items():
        listing.places[split] = _shown(folders.images, source)
        listing.pairs[split] = _pairs(folders, source, listing)
    return listing


def _places(source: Path, listing: Listing) -> dict[str, _ImagesAndMasks]:
    splits = {split: _subfolder(source, names) for split, names in SPLIT_FOLDERS.items()}
    if any(splits.values()):
        _say_unread(source, list(splits.values()), source, listing)
        return {split: _place(folder, source, listing) for split, folder in _require_both(source, splits)}
    both = [_subfolder(source, names) for names in (IMAGE_FOLDERS, MASK_FOLDERS)]
    inner = {split: [f and _subfolder(f, names) for f in both] for split, names in SPLIT_FOLDERS.items()}
    if all(all(folders) for folders in inner.values()):  # images/train, masks/train, ...
        _say_unread(source, both, source, listing)
        for index, folder in enumerate(filter(None, both)):
            _say_unread(folder, [folders[index] for folders in inner.values()], source, listing)
        places = {split: _ImagesAndMasks(*filter(None, folders)) for split, folders in inner.items()}
        for folder in itertools.chain(*places.values()):
            _say_strangers(folder, source, listing)
        listing.notes.append(
            f"recognised: images in {_few([_shown(p.images, source) for p in places.values()])}"
        )
        return places
    return {"": _place(source, source, listing)}


def _require_both(source: Path, splits: Mapping[str, Path | None]) -> Iterable[tuple[str, Path]]:
    there, missing = ([s for s in SPLITS if (splits[s] is None) == absent] for absent in (False, True))
    if missing:
        others = [path for path in _visible(source) if path.is_dir() and path not in splits.values()]
        fix = (
            f"if {others[0].name}/ is meant: {_move(others[0], source / missing[0])}"
            if len(others) == 1
            else f"make one like it, or move all out of {there[0]}/, to have images split at random"
        )
        raise InputError(f"{source} holds {there[0]}/ but no {missing[0]}/: {fix}")
    return [(split, folder) for split, folder in splits.items() if folder is not None]


def _place(folder: Path, source: Path, listing: Listing) -> _ImagesAndMasks:
    """Return where a folder's images and masks are; raise InputError where one of them cannot be found."""
    images, masks = _subfolder(folder, IMAGE_FOLDERS), _subfolder(folder, MASK_FOLDERS)
    folders = _ImagesAndMasks(images or folder, masks or images or folder)
    _say_unread(folder, [images, masks], source, listing, pictures=folder in folders)
    for kind, where in (("images", folders.images), ("masks", folders.masks)):
        if where == folder and not _pictures(where):
            raise InputError(_nothing_found(folder, kind, images or masks))
    if folders.mixed and not any(SUFFIX.search(path.stem) for path in _pictures(folders.images)):
        raise InputError(_no_masks(folder, folders.images))
    for own in dict.fromkeys(path for path in folders if path != folder):
        _say_strangers(own, source, listing)
    if folders.mixed:
        listing.notes.append(f"recognised: masks beside their images in {_shown(folders.images, source)}")
    elif (folders.images.name, folders.masks.name) != (IMAGE_FOLDERS[0], MASK_FOLDERS[0]):
        shown = [_shown(path, source) for path in folders]
        listing.notes.append(f"recognised: images in {shown[0]}, masks in {shown[1]}")
    return folders


def _nothing_found(folder: Path, kind: str, other: Path | None) -> str:
    """Say that a folder is of no known layout, what it holds, and what would make it one."""
    inside = [path for path in _visible(folder) if path.is_dir() and path != other]
    if other is not None:
        usual = (IMAGE_FOLDERS if kind == "images" else MASK_FOLDERS)[0]
        fix = _move(inside[0], folder / usual) if len(inside) == 1 else f"put them into {folder / usual}"
        return f"{folder} holds {other.name}/ but no folder with {kind}: {fix}"
    for path in inside:
        if any(_subfolder(path, names) for names in (IMAGE_FOLDERS, *SPLIT_FOLDERS.values())):
            return f"{folder} holds no pictures, but {path.name}/ does: --source {shlex.quote(str(path))}"
    names = [f"{path.name}/" if path.is_dir() else path.name for path in _visible(folder)]
    full = [path for path in inside if _pictures(path)]
    rename = f"; give them these names, as in: {_move(full[0], folder / IMAGE_FOLDERS[0])}" if full else ""
    return (
        f"{folder} holds neither images/ and masks/ nor train/ and test/ with both, nor pictures with their "
        f"masks, such as a.png and a_mask.png: it holds {_few(names) or 'nothing'}{rename}"
    )


def _no_masks(folder: Path, images: Path) -> str:
    """Say that there are images without masks, and where the masks may be."""
    inside = [path for path in _visible(folder) if path.is_dir() and path != images and _pictures(path)]
    if folder.name.lower() in IMAGE_FOLDERS and _subfolder(folder.parent, MASK_FOLDERS):
        fix = f"they are beside it: --source {shlex.quote(str(folder.parent))}"
    elif len(inside) == 1:
        fix = f"if {inside[0].name}/ holds the masks: {_move(inside[0], folder / MASK_FOLDERS[0])}"
    else:
        fix = (
            f"put them into {folder / MASK_FOLDERS[0]}, or name them like their images with _mask at the end"
        )
    names = _few([path.name for path in _pictures(images)], 2)
    return f"{images} holds pictures ({names}), but there are no masks: {fix}"


def _say_unread(
    folder: Path, used: Sequence[Path | None], source: Path, listing: Listing, *, pictures: bool = False
) -> None:
    """Warn of what lies beside the folders that are read.

    Args:
        folder: The folder that holds them.
        used: The folders that are read.
        source: What names are relative to.
        listing: Gets the warning.
        pictures: Whether pictures in the folder are read too.
    """
    unread = [
        f"{_shown(path, source)}" if path.is_dir() else str(path.relative_to(source))
        for path in _visible(folder)
        if path not in used
        and not (path.name == GROUPS and folder == source)
        and not (pictures and path.suffix.lower() in PICTURES and path.is_file())
    ]
    if unread:
        listing.warnings.append(f"not read: {_few(unread)}")


def _pairs(folders: _ImagesAndMasks, source: Path, listing: Listing) -> list[Pair]:
    """Return the pairs of two folders; the files that are none are added to the listing's problems."""
    images = list_files(folders.images, PICTURES, source, listing.problems)
    if folders.mixed:
        masks = {stem: path for stem, path in images.items() if _is_mask(stem, images)}
        images = {stem: path for stem, path in images.items() if stem not in masks}
    else:
        masks = list_files(folders.masks, PICTURES, source, listing.problems)
    named = _by_image(images, masks, source, listing)
    if images and masks and not images.keys() & named.keys():
        names = [_few([path.name for path in found.values()], 2) for found in (images, masks)]
        raise InputError(
            f"no image of {folders.images} has a mask of its name in {folders.masks}: images are {names[0]}, "
            f"masks {names[1]}; a mask must have its image's name, with or without _mask at the end"
        )
    return [Pair(*pair) for pair in pair_files(images, named, source, listing.problems)]


def _say_strangers(folder: Path, source: Path, listing: Listing) -> None:
    """Say what in a folder of pictures is none: files are problems, folders are not read.

    Raises:
        InputError: There are folders only.
    """
    folders = [path for path in _visible(folder) if path.is_dir()]
    if folders and not _pictures(folder):
        raise InputError(
            f"{folder} holds no pictures but {_few([f'{path.name}/' for path in folders])}: put the pictures "
            f"of all folders into it, each with a name of its own; {GROUPS} or --group-by can say which are "
            "of one patient"
        )
    if folders:
        listing.warnings.append(f"not read: {_few([_shown(path, source) for path in folders])}")
    listing.problems.extend(
        f"{path.relative_to(source)}: not a PNG, TIFF or JPEG file"
        for path in _visible(folder)
        if path not in folders and path.suffix.lower() not in PICTURES
    )


def _is_mask(stem: str, stems: Iterable[str]) -> bool:
    """Whether a picture among images and masks is a mask: by its name, unless it has a mask itself."""
    return bool(SUFFIX.search(stem)) and not any(
        other != stem and SUFFIX.sub("", other) == stem for other in stems
    )


def _by_image(
    images: Mapping[str, Path], masks: Mapping[str, Path], source: Path, listing: Listing
) -> dict[str, Path]:
    """Return name of the image -> mask: of the same name, or with an end as `SUFFIX` beyond it."""
    named = {stem: path for stem, path in masks.items() if stem in images}
    ends: set[str] = set()
    for stem, path in masks.items():
        name = SUFFIX.sub("", stem)
        if stem in images or name not in images:
            named.setdefault(stem, path)
            continue
        ends.add(stem[len(name) :])
        if name in named:
            listing.problems.append(
                f"{path.relative_to(source)}: a second mask of the image {images[name].name}, "
                f"beside {named[name].name}"
            )
        named.setdefault(name, path)
    if ends:
        shown = ", ".join(sorted(ends))
        listing.notes.append(f"recognised: masks are named like their images with {shown} at the end")
    return named


def _subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the folder inside of one of these names, whatever their case; of several, the usual one.

    Raises:
        InputError: There are several, and the usual name is not among them.
    """
    found = [path for path in _visible(folder) if path.is_dir() and path.name.lower() in names]
    usual = [path for path in found if path.name == names[0]] or found
    if len(usual) > 1:
        raise InputError(
            f"{folder} holds {' and '.join(f'{path.name}/' for path in usual)}, which could both be "
            f"{names[0]}/; if it is the first: {_move(usual[0], folder / names[0])}"
        )
    return usual[0] if usual else None


def _visible(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if not path.name.startswith(".") and path.name.lower() not in JUNK]


def _pictures(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.suffix.lower() in PICTURES and path.is_file()]


def _shown(folder: Path, source: Path) -> str:
    return f"{folder.relative_to(source)}/" if folder != source else f"{source.name or source}/"


def _few(names: Sequence[str], count: int = FEW) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _move(old: Path, new: Path) -> str:
    return shlex.join(["mv", str(old), str(new)])
