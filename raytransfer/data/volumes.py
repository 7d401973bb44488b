"""Volumes in NIfTI files, by nibabel."""

import gzip
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

from raytransfer.data.cases import BadFileError, Case, PrepareSettings
from raytransfer.data.resizing import resize_image, resize_labels, resize_labels_truncated

PERCENTILES = (0.5, 99.5)
"""Percentiles of a volume's intensities that become 0 and 1."""

SUFFIXES = (".nii.gz", ".nii")
UNREADABLE = (
    OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error,
    ImageFileError, HeaderDataError, HeaderTypeError, WrapStructError,
)  # fmt: skip


def slices_of(path: Path) -> int:
    """Return the size of the third axis from the header alone, 0 where it cannot be read."""
    try:
        header: Any = nibabel.load(path).header
        shape = tuple(header.get_data_shape())
    except UNREADABLE:
        return 0
    return shape[2] if len(shape) > 2 else 0


def read_nifti(path: Path) -> NDArray[Any]:
    """Return the values of a NIfTI file, scaled as its header says.

    The whole file is decompressed, so that its checksum is verified: nibabel alone reads just as far as the
    voxels go, and decodes some damaged files without an error.

    Raises:
        BadFileError: The file is truncated, damaged or no NIfTI file.
    """
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        kind = (
            nibabel.Nifti2Image if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Image
        )
        return np.asarray(kind.from_bytes(content).dataobj)
    except UNREADABLE as error:
        raise BadFileError(f"truncated or damaged NIfTI file ({_one_line(error)})") from error


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
    patient: str,
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
        patient=patient,
        image=image,
        mask=mask,
        items=slices_of(image),
        read_image=partial(read_intensities, modality=modality),
        read_mask=partial(read_label_volume, labels=labels),
        finish=finish,
    )


def intensities_in_words() -> str:
    """Say how the intensities of a volume became stored values."""
    low, high = PERCENTILES
    return f"per volume: percentiles {low} and {high} become 0 and 1, values outside are clipped"


def name_of(path: Path) -> str:
    """Return a file name without .nii or .nii.gz."""
    return path.name.removesuffix(".gz").removesuffix(".nii")
