"""Volumes in NIfTI files, by nibabel."""

import gzip
import itertools
import math
import zlib
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from raytransfer.data.formats.resizing import resize_image, resize_labels, resize_labels_truncated
from raytransfer.data.targets.cases import BadFileError, Case, PrepareSettings

PERCENTILES = (0.5, 99.5)
"""Percentiles of a volume's intensities that become 0 and 1."""

SUFFIXES = (".nii.gz", ".nii")
UNREADABLE = (
    OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error,
    ImageFileError, HeaderDataError, HeaderTypeError, WrapStructError,
)  # fmt: skip

MAX_VOXELS = 2**30
"""Files whose header says more voxels (512 x 512 x 4096) are not read."""

MOST_PACKED = 1032
"""Bytes that one byte of a gzip file can stand for, at most."""

BEYOND = 2**20
"""Bytes that a file may hold beyond its voxels."""

SHIFT = 0.25
"""Voxels of a label may lie so many voxel sides from its image's: rounded headers differ by far less."""


def slices_of(path: Path) -> int:
    """Return the size of the third axis from the header alone, 0 where it cannot be read."""
    try:
        shape = _header(path).get_data_shape()
    except BadFileError:
        return 0
    return shape[2] if len(shape) > 2 else 0


def _header(path: Path) -> Any:
    """Return the header of a NIfTI file, after checking that the file can hold what it says.

    Raises:
        BadFileError: There is none, or it says more voxels than are read or than the file can hold.
    """
    packed = path.name.endswith(".gz")
    try:
        with (gzip.open if packed else open)(path, "rb") as file:
            start = file.read(nibabel.Nifti2Header.sizeof_hdr)
        second = start[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
        kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
        header = kind(start[: kind.sizeof_hdr])
        shape, size = header.get_data_shape(), path.stat().st_size
        said = f"its header says {' x '.join(map(str, shape))} voxels"
        if min(shape, default=0) < 0:
            raise BadFileError(f"truncated or damaged NIfTI file ({said})")
        if math.prod(shape) > MAX_VOXELS:
            raise BadFileError(f"too large: {said}, more than the {MAX_VOXELS} that are read")
        if _end(header) > size * (MOST_PACKED if packed else 1):
            raise BadFileError(f"truncated or damaged NIfTI file ({said}, too many for its {size} bytes)")
    except UNREADABLE as error:
        raise BadFileError(f"truncated or damaged NIfTI file ({_one_line(error)})") from error
    return header


def _end(header: Any) -> int:
    """Return how many bytes a file has up to its last voxel, unpacked."""
    return int(header.get_data_offset()) + math.prod(header.get_data_shape()) * int(
        header.get_data_dtype().itemsize
    )


def read_nifti(path: Path) -> NDArray[Any]:
    """Return the values of a NIfTI file, scaled as its header says.

    The whole file is decompressed, so that its checksum is verified: nibabel alone reads just as far as the
    voxels go, and decodes some damaged files without an error. No more is decompressed than the header says.

    Raises:
        BadFileError: The file is truncated, damaged, too large or no NIfTI file.
    """
    header = _header(path)
    try:
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as file:
            content = file.read(_end(header))
            if len(file.read(BEYOND + 1)) > BEYOND:
                raise BadFileError("damaged NIfTI file (it goes on beyond the voxels that its header says)")
        kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
        return np.asarray(kind.from_bytes(content).dataobj)
    except UNREADABLE as error:
        raise BadFileError(f"truncated or damaged NIfTI file ({_one_line(error)})") from error


def _spaces(path: Path) -> list[NDArray[np.float64]]:
    """Return where a header says that voxels lie: the affines (4, 4) that it states, or one made up."""
    header = _header(path)
    stated = []
    for get in (header.get_sform, header.get_qform):
        try:
            affine, code = get(coded=True)
        except UNREADABLE:
            continue
        if code > 0 and np.isfinite(affine).all():
            stated.append(np.asarray(affine, dtype=np.float64))
    return stated or [np.asarray(header.get_base_affine(), dtype=np.float64)]


def other_space(image: Path, mask: Path) -> str | None:
    """Say how far the voxels of a label file lie from its image's; None where they are the same.

    A header may state two affines (sform and qform), and those of ACDC contradict each other. So it is enough
    that one of the label's is one of the image's.

    Args:
        image: NIfTI file of the image, which may have channels.
        mask: NIfTI file of the label, of the same size.
    """
    last = [n - 1 for n in _header(mask).get_data_shape()[:3]]
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, n) for n in last))])
    ours = _spaces(image)
    side = min(np.linalg.norm(affine[:3, :3], axis=0).min() for affine in ours)
    distance = min(
        np.linalg.norm(corners @ (theirs - own).T, axis=1).max() for own in ours for theirs in _spaces(mask)
    )
    if distance <= SHIFT * side:
        return None
    return (
        f"its affine is not its image's: voxels lie up to {distance:.3g} mm apart, where a voxel's side is "
        f"{side:.3g} mm; if they do belong together, save the label with its image's affine"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def read_intensities(path: Path, *, modality: int | None = None) -> NDArray[np.float32]:
    """Return a volume (X, Y, Z); of a file (X, Y, Z, M) the channel `modality`.

    Args:
        path: A NIfTI file.
        modality: Which of M channels is taken; None refuses files with channels.

    Raises:
        BadFileError: Unreadable, another number of axes, no such channel, or values that are not finite.
    """
    values = read_nifti(path)
    if values.ndim == 4 and modality is not None:
        if modality >= values.shape[3]:
            raise BadFileError(f"has no modality {modality}: its modalities are 0 to {values.shape[3] - 1}")
        values = values[..., modality]
    elif modality:
        raise BadFileError(f"has no modality {modality}: it holds a single one")
    _require_volume(values)
    volume = values.astype(np.float32)
    if not np.isfinite(volume).all():
        raise BadFileError("has intensities that are not finite")
    return volume


def _require_volume(values: NDArray[Any]) -> None:
    if values.ndim != 3 or 0 in values.shape:
        raise BadFileError(f"is no volume: its shape is {' x '.join(map(str, values.shape))}")


def read_label_volume(path: Path, *, labels: Collection[int]) -> NDArray[np.uint8]:
    """Return a label volume (X, Y, Z).

    Raises:
        BadFileError: Unreadable, no volume, or a value that is not in `labels`.
    """
    values = read_nifti(path)
    _require_volume(values)
    outside = [v for v in np.unique(values).tolist() if v not in labels]
    if outside:
        raise BadFileError(outside_labels(outside, labels))
    return values.astype(np.uint8)


def outside_labels(outside: Collection[float], labels: Collection[int]) -> str:
    """Say which values are not among the labels."""
    shown = ", ".join(f"{v:g}" for v in list(outside)[:5]) + (", ..." if len(outside) > 5 else "")
    return f"label value outside the set {', '.join(map(str, labels))}: {shown}"


def scale_to_unit(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a volume so that its `PERCENTILES` become 0 and 1, and clip; a constant volume becomes 0."""
    low, high = np.percentile(volume, PERCENTILES)
    if high <= low:
        return np.zeros_like(volume)
    return np.clip((volume - low) / (high - low), 0, 1).astype(np.float32)


def volume_case(
    *,
    group: str,
    image: Path,
    mask: Path,
    labels: Collection[int],
    settings: PrepareSettings,
    modality: int | None = None,
) -> Case:
    """Return the case of a volume whose slices along the third axis are the items.

    The volume is scaled by `scale_to_unit`, then every slice (X rows, Y columns; not transposed) is resized.
    """
    size, reference = settings.image_size, settings.reference
    to_labels: Callable[..., NDArray[np.uint8]] = resize_labels_truncated if reference else resize_labels

    def finish(volume: NDArray[Any], mask: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        scaled = scale_to_unit(volume)
        count = volume.shape[2]
        slices = [resize_image(scaled[..., z], size, size, antialias=not reference) for z in range(count)]
        masks = [to_labels(np.ascontiguousarray(mask[..., z]), size, size) for z in range(count)]
        return np.clip(np.stack(slices), 0, 1)[..., None], np.stack(masks)

    return Case(
        group=group,
        image=image,
        mask=mask,
        items=slices_of(image),
        read_image=partial(read_intensities, modality=modality),
        read_mask=partial(read_label_volume, labels=labels),
        finish=finish,
        mismatch=other_space,
    )


def intensities_in_words() -> str:
    """Say how the intensities of a volume became stored values."""
    low, high = PERCENTILES
    return f"per volume: percentiles {low} and {high} become 0 and 1, values outside are clipped"


def name_of(path: Path) -> str:
    """Return a file name without .nii or .nii.gz."""
    return path.name.removesuffix(".gz").removesuffix(".nii")
