import gzip
import json
from pathlib import Path

import generated_trees as trees
import nibabel
import numpy as np
import pytest
from independent_resizing import nearest, resize

from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.prepared import load_prepared, prepare
from raytransfer.errors import InputError

SIZE = 32
TASK = "Task04_Hippocampus"


def edit(source: Path, **changes: object) -> None:
    file = source / TASK / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(("modalities", "modality"), [(1, 0), (2, 0), (2, 1)])
def test_values_are_those_of_an_independent_computation(
    tmp_path: Path, modalities: int, modality: int
) -> None:
    source = trees.decathlon(tmp_path / "source", modalities=modalities)
    destination = tmp_path / "data" / "msd" / TASK
    report = prepare(f"msd/{TASK}", source, destination, image_size=SIZE, modality=modality)
    assert report.counts == {"train": {"items": 16, "patients": 4}, "test": {"items": 4, "patients": 1}}
    assert report.warnings == ()
    data = load_prepared(destination, verify=True)
    assert data.name == f"msd/{TASK}"
    assert data.class_names == ("background", "Anterior", "Posterior")
    patients = json.loads((destination / "prepared.json").read_text())["groups"]
    for split in ("train", "test"):
        for index, patient in enumerate(patients[split]):
            volume = np.asarray(nibabel.load(source / TASK / "imagesTr" / f"{patient}.nii.gz").dataobj)
            volume = volume[..., modality] if modalities > 1 else volume
            labels = np.asarray(nibabel.load(source / TASK / "labelsTr" / f"{patient}.nii.gz").dataobj)
            low, high = np.percentile(volume, [0.5, 99.5])
            scaled = np.clip((volume - low) / (high - low), 0, 1)
            for z in range(4):
                image, mask = getattr(data, split)[4 * index + z]
                assert np.allclose(image[..., 0], resize(scaled[..., z], SIZE, SIZE), atol=1e-5)
                assert np.array_equal(mask, nearest(labels[..., z], SIZE, SIZE))


def test_the_split_is_by_patient_and_seeded(tmp_path: Path) -> None:
    source = trees.decathlon(tmp_path / "source", count=8, shape=(8, 8, 2))

    def test_patients(seed: int) -> list[str]:
        out = tmp_path / f"out{seed}"
        prepare(f"msd/{TASK}", source / TASK, out, image_size=SIZE, seed=seed, test_share=0.25)
        patients = json.loads((out / "prepared.json").read_text())["groups"]
        assert len(set(patients["train"]) | set(patients["test"])) == 8
        return patients["test"]

    assert len(test_patients(0)) == 2
    assert test_patients(0) == test_patients(0)
    assert len({tuple(test_patients(seed)) for seed in range(4)}) > 1


def test_everything_wrong_is_named_in_one_report(tmp_path: Path) -> None:
    source = trees.decathlon(tmp_path / "source", count=9)
    images, labels = source / TASK / "imagesTr", source / TASK / "labelsTr"
    (labels / "hippocampus_001.nii.gz").unlink()
    (images / "hippocampus_002.nii.gz").unlink()
    trees.truncate(images / "hippocampus_003.nii.gz")
    trees.truncate(labels / "hippocampus_004.nii.gz")
    trees.write_volume(labels / "hippocampus_005.nii.gz", np.zeros((35, 51, 5), np.uint8))
    trees.write_volume(labels / "hippocampus_006.nii.gz", np.full((35, 51, 4), 3, np.uint8))
    trees.write_volume(labels / "hippocampus_099.nii.gz", np.zeros((35, 51, 4), np.uint8))
    trees.write_volume(images / "hippocampus_007.nii.gz", np.zeros((35, 51), np.float32))
    training = json.loads((source / TASK / "dataset.json").read_text())["training"]
    edit(source, training=[*training, training[-1]])
    with pytest.raises(BadDataError) as caught:
        prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE)
    expected = {
        "labelsTr/hippocampus_001.nii.gz": "missing mask",
        "imagesTr/hippocampus_002.nii.gz": "missing image",
        "imagesTr/hippocampus_003.nii.gz": "truncated or damaged NIfTI",
        "labelsTr/hippocampus_004.nii.gz": "truncated or damaged NIfTI",
        "labelsTr/hippocampus_005.nii.gz": "image and mask differ in size",
        "labelsTr/hippocampus_006.nii.gz": "label value outside the set 0, 1, 2: 3",
        "labelsTr/hippocampus_099.nii.gz": "extra mask, not listed in dataset.json",
        "imagesTr/hippocampus_007.nii.gz": "is no volume: its shape is 35 x 51",
        "imagesTr/hippocampus_009.nii.gz": "listed twice in dataset.json",
    }
    problems = caught.value.problems
    for name, reason in expected.items():
        assert [p for p in problems if f"{name}: {reason}" in p], (name, problems)
    assert len(problems) == len(expected)


def test_subsets_are_warned_about_and_single_patients_refused(tmp_path: Path) -> None:
    source = trees.decathlon(tmp_path / "source", count=3, shape=(8, 8, 2))
    edit(source, numTraining=260)
    report = prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE)
    assert report.warnings == ("3 labelled volumes, where the whole task has 260",)
    training = json.loads((source / TASK / "dataset.json").read_text())["training"]
    for number in (2, 3):
        for folder in ("imagesTr", "labelsTr"):
            (source / TASK / folder / f"hippocampus_{number:03d}.nii.gz").unlink()
    edit(source, training=training[:1])
    with pytest.raises(BadDataError, match="the test split is empty"):
        prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE)


def test_a_wrong_dataset_json_or_modality_is_one_line(tmp_path: Path) -> None:
    source = trees.decathlon(tmp_path / "source", modalities=2, shape=(8, 8, 2))

    def message(**options: int) -> str:
        with pytest.raises(InputError) as caught:
            prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert message(modality=2) == f"modality must be one of 0, 1 for {TASK}, got 2"
    edit(source, labels={"0": "background", "2": "Posterior"})
    assert "'labels' must map 0, 1, ... to names" in message()
    edit(source, labels={"0": "background", "1": "Anterior", "2": "Posterior"}, modality=["MRI"])
    assert "'modality' must map 0, 1, ... to names, got ['MRI']" in message()
    edit(source, training="none")
    assert "'training' must be a list" in message()
    (source / TASK / "dataset.json").write_text("{")
    assert "dataset.json is no JSON" in message()
    (source / TASK / "dataset.json").unlink()
    assert "dataset.json is missing" in message()


def test_paths_that_lead_out_of_the_folder_are_named(tmp_path: Path) -> None:
    source = trees.decathlon(tmp_path / "source", shape=(8, 8, 2))
    training = json.loads((source / TASK / "dataset.json").read_text())["training"]
    training[0]["image"] = str((source / TASK / training[0]["image"]).resolve())
    training[1]["label"] = "../../other/label.nii.gz"
    edit(source, training=training)
    with pytest.raises(BadDataError) as caught:
        prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE)
    paths = [training[0]["image"], training[1]["label"]]
    assert caught.value.problems[:2] == [
        f"{TASK}/dataset.json: a path leads out of the folder: {path!r}; it must be relative to the folder, "
        "as in ./imagesTr/name.nii.gz"
        for path in paths
    ]


def test_a_label_in_another_space_than_its_image_is_refused(tmp_path: Path) -> None:
    source = trees.decathlon(tmp_path / "source", shape=(8, 8, 2))
    label = source / TASK / "labelsTr/hippocampus_002.nii.gz"
    moved = np.diag([1.4, 1.4, 8, 1])
    moved[0, 3] = 5
    nibabel.save(nibabel.Nifti1Image(np.asarray(nibabel.load(label).dataobj), moved), label)
    with pytest.raises(BadDataError) as caught:
        prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE)
    (problem,) = caught.value.problems
    assert problem == (
        f"{TASK}/labelsTr/hippocampus_002.nii.gz: its affine is not its image's: voxels lie up to 5 mm "
        "apart, where a voxel's side is 1.4 mm; if they do belong together, save the label with its image's "
        f"affine (image {TASK}/imagesTr/hippocampus_002.nii.gz)"
    )


def test_a_volume_that_claims_an_absurd_size_is_one_problem_of_many(tmp_path: Path) -> None:
    """Its slices are not made room for."""
    source = trees.decathlon(tmp_path / "source", shape=(8, 8, 2))
    path = source / TASK / "imagesTr/hippocampus_001.nii.gz"
    content = bytearray(nibabel.Nifti2Image(np.zeros((8, 8, 2), np.uint8), None).to_bytes())
    content[24:48] = np.array([2**20, 2**20, 2**40], np.int64).tobytes()  # dim[1] to dim[3]
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(BadDataError) as caught:
        prepare(f"msd/{TASK}", source, tmp_path / "out", image_size=SIZE)
    (problem,) = caught.value.problems
    assert "too large: its header says 1048576 x 1048576 x 1099511627776 voxels" in problem
