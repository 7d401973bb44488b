"""Small data sets in their owners' formats and directory names, written by nibabel and Pillow."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image


def write_volume(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.4, 1.4, 8, 1])), path)


def write_picture(path: Path, values: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def truncate(path: Path, keep: float = 0.6) -> None:
    """Cut a file where its header is whole."""
    content = path.read_bytes()
    path.write_bytes(content[: max(int(len(content) * keep), 200)])


def acdc(
    root: Path,
    *,
    train: Sequence[int] = (1, 2),
    test: Sequence[int] = (101,),
    shape: tuple[int, ...] = (54, 72, 3),
) -> Path:
    """Patient N has the ED frame 1 and the ES frame 7 + N % 5."""
    for folder, patients in (("training", train), ("testing", test)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "MANDATORY_CITATION.md").write_text("please cite\n")
        for patient in patients:
            rng = np.random.default_rng(patient)
            name = f"patient{patient:03d}"
            directory = root / folder / name
            es = 7 + patient % 5
            write_volume(directory / f"{name}_4d.nii.gz", np.zeros((4, 4, 2, 2), np.int16))
            (directory / "Info.cfg").write_text(
                f"ED: 1\nES: {es}\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
            )
            for frame in (1, es):
                stem = directory / f"{name}_frame{frame:02d}"
                write_volume(Path(f"{stem}.nii.gz"), rng.integers(0, 1500, shape).astype(np.int16))
                write_volume(Path(f"{stem}_gt.nii.gz"), rng.integers(0, 4, shape).astype(np.uint8))
    return root


def covid_qu_ex(root: Path, *, counts: tuple[int, int, int] = (3, 2, 2), side: int = 48) -> Path:
    root = root / "Infection Segmentation Data" / "Infection Segmentation Data"
    number = 0
    for split, count in zip(("Train", "Val", "Test"), counts, strict=True):
        for kind in ("COVID-19", "Non-COVID", "Normal"):
            for _ in range(count):
                number += 1
                rng = np.random.default_rng(number)
                folder, name = root / split / kind, f"{kind.lower()}_{number}.png"
                write_picture(folder / "images" / name, rng.integers(0, 256, (side, side), np.uint8))
                write_picture(folder / "lung masks" / name, np.full((side, side), 255, np.uint8))
                mask = 255 * rng.integers(0, 2, (side, side)).astype(np.uint8) * (kind == "COVID-19")
                write_picture(folder / "infection masks" / name, mask.astype(np.uint8))
    return root.parents[1]


def idrid(root: Path, *, train: Sequence[int] = (1, 2), test: Sequence[int] = (55,), scale: int = 16) -> Path:
    """Photographs `scale` times smaller than the owners'; masks red on black, as theirs."""
    rows, columns = 2848 // scale, 4288 // scale
    base = root / "A. Segmentation"
    for folder, numbers in (("a. Training Set", train), ("b. Testing Set", test)):
        for number in numbers:
            rng = np.random.default_rng(number)
            coarse = rng.integers(60, 256, (9, 13, 3), np.uint8)
            image = np.asarray(Image.fromarray(coarse).resize((columns, rows)))
            write_picture(base / "1. Original Images" / folder / f"IDRiD_{number:02d}.jpg", image, quality=90)
            mask = np.zeros((rows, columns, 3), np.uint8)
            mask[..., 0] = 255 * (rng.uniform(size=(rows, columns)) > 0.9)
            truths = base / "2. All Segmentation Groundtruths" / folder
            lesions = truths / "1. Microaneurysms" / f"IDRiD_{number:02d}_MA.tif"
            write_picture(lesions, mask, compression="tiff_lzw")
            write_picture(truths / "5. Optic Disc" / f"IDRiD_{number:02d}_OD.tif", mask)
    return root


def decathlon(
    root: Path, *, task: str = "Task04_Hippocampus", count: int = 5, modalities: int = 1,
    shape: tuple[int, int, int] = (35, 51, 4),
) -> Path:  # fmt: skip
    folder, training = root / task, []
    for number in range(1, count + 1):
        rng = np.random.default_rng(number)
        name = f"hippocampus_{number:03d}.nii.gz"
        full = (*shape, modalities) if modalities > 1 else shape
        write_volume(folder / "imagesTr" / name, rng.normal(100, 40, full).astype(np.float32))
        write_volume(folder / "labelsTr" / name, rng.integers(0, 3, shape).astype(np.uint8))
        (folder / "imagesTr" / f"._{name}").write_bytes(b"\0\5\x16\7")  # macOS's, as in the archives
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    names = ("MRI",) if modalities == 1 else tuple(f"MRI-{n}" for n in range(modalities))
    description = {
        "name": "Hippocampus", "tensorImageSize": "3D", "modality": {str(n): m for n, m in enumerate(names)},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "numTraining": count, "numTest": 0, "training": training, "test": [],
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(description))
    return root


def folder(root: Path, *, names: Sequence[str] = ("a", "b", "c", "d", "e"), labels: int = 3) -> Path:
    """PNG, TIFF and JPEG images in turn, of several sizes, with PNG masks."""
    for index, name in enumerate(names):
        rng = np.random.default_rng([*name.encode(), index])
        size = (40 + 7 * index, 52)
        suffix = (".png", ".tif", ".jpg")[index % 3]
        write_picture(root / "images" / f"{name}{suffix}", rng.integers(0, 256, size, np.uint8))
        write_picture(root / "masks" / f"{name}.png", rng.integers(0, labels, size).astype(np.uint8))
    return root
