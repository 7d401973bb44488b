"""NIfTI files that say more than they hold, and labels that lie elsewhere than their images."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from raytransfer.data.formats import volumes
from raytransfer.data.formats.volumes import other_space, read_nifti, slices_of
from raytransfer.data.targets.cases import BadFileError

SHAPE = (6, 7, 4)
AFFINE = np.array([[-1.4, 0, 0, 90], [0, 1.4, 0.1, -20], [0, -0.1, 8, 15], [0, 0, 0, 1]])


def write(path: Path, *, shape: tuple[int, ...] | None = None, zeros: int = 0, version: int = 1) -> Path:
    """Write a volume of SHAPE whose header says another shape, with zeros at the end."""
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    content = bytearray(kind(np.ones(SHAPE, np.int16), AFFINE).to_bytes())
    if shape is not None:
        header = kind.header_class(bytes(content[: kind.header_class.sizeof_hdr]))
        header["dim"][: 1 + len(shape)] = (len(shape), *shape)
        content[: kind.header_class.sizeof_hdr] = header.binaryblock
    content += bytes(zeros)
    path.write_bytes(gzip.compress(bytes(content)) if path.name.endswith(".gz") else bytes(content))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("zeros", [0, 100])
def test_a_whole_file_is_read(tmp_path: Path, suffix: str, version: int, zeros: int) -> None:
    path = write(tmp_path / f"volume{suffix}", version=version, zeros=zeros)
    assert np.array_equal(read_nifti(path), np.ones(SHAPE))
    assert slices_of(path) == 4


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("version", "shape", "message"),
    [
        (
            1,
            (32767, 32767, 32767),
            "too large: its header says 32767 x 32767 x 32767 voxels, more than the 107374",
        ),
        (2, (2**40, 2**40, 2**40), "too large: its header says 1099511627776 x"),
        (1, (1000, 1000, 1000), "its header says 1000 x 1000 x 1000 voxels, too many for its"),
        (1, (-6, 7, 4), "its header says -6 x 7 x 4 voxels|truncated or damaged NIfTI file"),
    ],
)
def test_a_header_that_says_too_much_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, version: int, shape: tuple, message: str
) -> None:
    path = write(tmp_path / f"volume{suffix}", shape=shape, version=version)
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        monkeypatch.setattr(kind, "from_bytes", None)  # it is not come to
    with pytest.raises(BadFileError, match=message):
        read_nifti(path)
    assert slices_of(path) == 0


def test_what_unpacks_to_more_than_its_header_says_is_not_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.nii.gz", zeros=2**24)
    with pytest.raises(BadFileError, match="it goes on beyond the voxels that its header says"):
        read_nifti(path)


def test_the_limit_of_packing_is_gzips_own(tmp_path: Path) -> None:
    path = tmp_path / "zeros.nii.gz"
    content = nibabel.Nifti1Image(np.zeros((256, 256, 64), np.int16), np.eye(4)).to_bytes()
    path.write_bytes(gzip.compress(content))
    size = 256 * 256 * 64 * 2
    assert size / 1100 < path.stat().st_size < size / 800, "as well packed as can be"
    assert read_nifti(path).shape == (256, 256, 64)


def pair(tmp_path: Path, image: nibabel.Nifti1Image, label: nibabel.Nifti1Image) -> tuple[Path, Path]:
    paths = tmp_path / "image.nii.gz", tmp_path / "label.nii.gz"
    for path, volume in zip(paths, (image, label), strict=True):
        nibabel.save(volume, path)
    return paths


def volume(affine: np.ndarray | None, *, channels: tuple[int, ...] = ()) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image(np.zeros((*SHAPE, *channels), np.int16), affine)


@pytest.mark.parametrize("channels", [(), (2,)])
def test_labels_in_their_images_space_are_taken(tmp_path: Path, channels: tuple[int, ...]) -> None:
    rounded = AFFINE + np.random.default_rng(0).uniform(-0.002, 0.002, (4, 4)) * (np.arange(4) < 3)[:, None]
    assert other_space(*pair(tmp_path, volume(AFFINE, channels=channels), volume(rounded))) is None
    assert other_space(*pair(tmp_path, volume(None), volume(None))) is None


@pytest.mark.parametrize(
    ("affine", "distance"),
    [
        (AFFINE + np.array([[0, 0, 0, 0.7], *[[0] * 4] * 3]), "0.7"),
        (AFFINE @ np.diag([-1, 1, 1, 1]), "14"),
        (AFFINE @ np.diag([1, 1, 2, 1]), "24"),
        (np.eye(4), ""),
    ],
)
def test_labels_in_another_space_are_refused(tmp_path: Path, affine: np.ndarray, distance: str) -> None:
    reason = other_space(*pair(tmp_path, volume(AFFINE), volume(affine)))
    assert reason is not None
    assert reason.startswith(f"its affine is not its image's: voxels lie up to {distance}")
    assert "where a voxel's side is 1.4 mm" in reason
    assert "\n" not in reason


def test_one_of_two_affines_that_contradict_each_other_is_enough(tmp_path: Path) -> None:
    """ACDC's labels state an sform with sides of 1 mm beside the true qform."""
    label = volume(AFFINE)
    label.set_sform(np.diag([-1, -1, 1, 1]), code=1)
    label.set_qform(np.diag([1.4, 1.4, 8, 1]), code=1)
    image = volume(np.diag([1.4, 1.4, 8, 1]))
    assert other_space(*pair(tmp_path, image, label)) is None
    label.set_qform(None, code=0)
    assert other_space(*pair(tmp_path, image, label)) is not None


def test_the_largest_volume_is_one_that_scanners_make() -> None:
    assert volumes.MAX_VOXELS == 512 * 512 * 4096
