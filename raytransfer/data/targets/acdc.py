"""ACDC: short-axis cardiac MRI with right ventricle, myocardium and left ventricle (Bernard et al., 2018).

As the owners distribute it (https://www.creatis.insa-lyon.fr/Challenge/acdc): `training/` (100 patients) and
`testing/` (50), perhaps below `database/`; in each `patientNNN/` an `Info.cfg` that names the end-diastolic
(ED) and end-systolic (ES) frame, and for both frames `patientNNN_frameFF.nii.gz` and
`patientNNN_frameFF_gt.nii.gz`. Every slice along z is an item: 1902 train, 1076 test.

Each volume's percentiles 0.5 and 99.5 become 0 and 1, and labels are resized to the nearest. Slices are
stretched to a square, whatever their aspect and spacing, as the thesis does.

`reference=True` gives the reference's resizing: plain bilinear for images, and label values interpolated
bilinearly and truncated, which wears off every region's rim and puts false pixels of the lower classes on the
borders of the higher ones. Its raw intensities (hundreds to thousands) are not offered: stored images are in
[0, 1], where the colour jitter of the robustness score means something, and so are scaled as always.
"""

import re
from pathlib import Path

from raytransfer.data.formats.volumes import SUFFIXES, intensities_in_words, volume_case
from raytransfer.data.targets.cases import Case, Layout, PrepareSettings

CLASS_NAMES = ("background", "right ventricle", "myocardium", "left ventricle")
FOLDERS = {"train": "training", "test": "testing"}
OFFICIAL = {"train": {"patients": 100, "items": 1902}, "test": {"patients": 50, "items": 1076}}


def read_acdc(source: Path, settings: PrepareSettings) -> Layout:
    """List the cases; see the module for the layout."""
    root = source / "database" if (source / "database").is_dir() else source
    problems: list[str] = []
    cases: dict[str, list[Case]] = {"train": [], "test": []}
    for split, name in FOLDERS.items():
        folder = root / name
        patients = sorted(folder.iterdir()) if folder.is_dir() else []
        for patient in patients:
            if re.fullmatch(r"patient\d+", patient.name) and patient.is_dir():
                cases[split] += _patient(patient, source, settings, problems)
    labels = "bilinear between values, truncated (reference)" if settings.reference else "nearest"
    return Layout(
        root=source,
        cases=cases,
        places={split: str((root / name).relative_to(source)) for split, name in FOLDERS.items()},
        class_names=CLASS_NAMES,
        shape=(settings.image_size, settings.image_size),
        channels=1,
        dtype="float32",
        intensities=intensities_in_words(),
        labels=labels,
        used=("reference",),
        unit="patients",
        official=OFFICIAL,
        problems=problems,
    )


def _patient(patient: Path, source: Path, settings: PrepareSettings, problems: list[str]) -> list[Case]:
    where = patient.relative_to(source)
    files: dict[bool, dict[int, Path]] = {False: {}, True: {}}  # is it a mask -> frame -> file
    for path in sorted(patient.iterdir()):
        match = re.fullmatch(rf"{patient.name}_frame(\d+)(_gt)?\.nii(\.gz)?", path.name)
        if match:
            files[match[2] is not None][int(match[1])] = path
    images, masks = files[False], files[True]
    frames = _frames(patient / "Info.cfg", where, problems)
    if frames is None:  # its files are still checked, as pairs
        frames = images.keys() | masks.keys()
    cases = []
    for frame in sorted(frames | images.keys() | masks.keys()):
        expected = f"{where}/{patient.name}_frame{frame:02d}"
        if frame not in frames:
            for kind, found in (("image", images), ("mask", masks)):
                if frame in found:
                    file = f"{where}/{found[frame].name}"
                    problems.append(f"{file}: extra {kind}, frame {frame} is neither ED nor ES in Info.cfg")
            continue
        if frame not in images:
            problems.append(f"{expected}{SUFFIXES[0]}: missing image")
        if frame not in masks:
            problems.append(f"{expected}_gt{SUFFIXES[0]}: missing mask")
        if frame in images and frame in masks:
            cases.append(
                volume_case(
                    group=patient.name, image=images[frame], mask=masks[frame],
                    labels=range(len(CLASS_NAMES)), settings=settings,
                )
            )  # fmt: skip
    return cases


def _frames(info: Path, where: Path, problems: list[str]) -> set[int] | None:
    """Return the ED and ES frames, or None after adding to `problems`."""
    if not info.is_file():
        problems.append(f"{where}/Info.cfg: missing")
        return None
    text = info.read_text(errors="replace")
    found = {key: re.search(rf"^\s*{key}\s*:\s*(\d+)\s*$", text, re.MULTILINE) for key in ("ED", "ES")}
    frames = {int(match[1]) for match in found.values() if match}
    absent = [key for key, match in found.items() if not match]
    if absent:
        problems.append(f"{where}/Info.cfg: names no frame for {' and '.join(absent)}")
        return None
    return frames
