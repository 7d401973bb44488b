"""Images of one patient stay in one split."""

import json
import re
import shlex
from pathlib import Path

import generated_trees as trees
import pytest

from raytransfer.data.targets.cases import BadDataError
from raytransfer.data.targets.groups import guess_groups
from raytransfer.data.targets.prepared import prepare
from raytransfer.errors import InputError

SIZE = 32
NAMES = [f"p{patient:02d}_{number}" for patient in range(5) for number in range(3)]
PATTERN = r"^([^_]*\d)_"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return trees.folder(tmp_path / "mine", names=NAMES)


def groups_of(folder: Path) -> dict[str, list[str]]:
    return json.loads((folder / "prepared.json").read_text())["groups"]


def table(source: Path, *, head: str = "file,group", lines: list[str] | None = None) -> None:
    files = sorted((source / "images").iterdir())
    lines = lines if lines is not None else [f"{path.name},{path.name[:3]}" for path in files]
    (source / "groups.csv").write_text("\n".join([head, *lines, ""]))


def test_a_pattern_keeps_patients_together(source: Path, tmp_path: Path) -> None:
    report = prepare("folder", source, tmp_path / "out", image_size=SIZE, test_share=0.4, group_by=PATTERN)
    assert report.counts == {"train": {"items": 9, "groups": 3}, "test": {"items": 6, "groups": 2}}
    assert report.warnings == ()
    groups = groups_of(tmp_path / "out")
    assert sorted(groups["train"] + groups["test"]) == [f"p{number:02d}" for number in range(5)]
    assert json.loads((tmp_path / "out/prepared.json").read_text())["settings"]["group_by"] == PATTERN


@pytest.mark.parametrize("head", ["file,group", "image,group", "\ufefffile,group"])
def test_a_table_does_the_same(source: Path, tmp_path: Path, head: str) -> None:
    by_pattern = prepare("folder", source, tmp_path / "a", image_size=SIZE, group_by=PATTERN)
    paths = sorted((source / "images").iterdir())
    table(source, head=head, lines=[f"images/{path.name}, {path.name[:3]}" for path in paths])
    by_table = prepare("folder", source, tmp_path / "b", image_size=SIZE)
    assert (by_table.counts, by_table.warnings) == (by_pattern.counts, ())
    assert groups_of(tmp_path / "a") == groups_of(tmp_path / "b")


def test_names_that_look_like_patients_are_warned_about(source: Path, tmp_path: Path) -> None:
    (warning,) = prepare("folder", source, tmp_path / "out", image_size=SIZE).warnings
    assert warning == (
        "names such as p00_0.png and p00_1.tif look like several images of one patient, and are split one by "
        rf"one: --group-by '{PATTERN}' keeps those of one patient together (5 patients)"
    )


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["p01_3", "p01_4", "p02_1"], ["p01", "p02"]),
        (["patient01_slice_1", "patient01_slice_12", "patient2_slice_1"], ["patient01", "patient2"]),
        (["scan-1-001", "scan-1-002", "scan-2-001"], ["scan-1", "scan-2"]),
        (["TCGA_CS_4941_19960909_1", "TCGA_CS_4941_19960909_2", "TCGA_DU_5871_19941206_1"],
         ["TCGA_CS_4941", "TCGA_DU_5871"]),
        (["case 1 (1)", "case 1 (2)", "case 2 (1)"], ["case 1", "case 2"]),
        (["p01s03", "p01s04", "p02s01"], ["p01", "p02"]),
        (["Image_01L", "Image_01R", "Image_02L", "Image_02R"], ["Image_01", "Image_02"]),
        (["p1_slice3_t1", "p1_slice3_t2", "p1_slice4_t1", "p2_slice3_t1"], ["p1", "p2"]),
    ],
)  # fmt: skip
def test_guessed_patterns_are_the_patients(names: list[str], groups: list[str]) -> None:
    names = [f"{name}.png" for name in names]
    guess = guess_groups(names)
    assert guess is not None
    assert sorted(set(guess.groups.values())) == groups
    option, pattern = shlex.split(guess.option(names))
    assert option == "--group-by"
    assert sorted({re.search(pattern, name)[1] for name in names}) == groups


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["a", "b", "c"],
        [f"img_{number:03d}" for number in range(9)],
        [f"ISIC_{number:07d}" for number in range(9)],
        [f"IDRiD-{number}" for number in range(9)],
        ["21_training", "22_training", "23_training"],
        ["cju0qkwl35piu0993l0dftqow", "cju0qoxqj9q6s0835b43399p4", "cju0qx73cjw570799j4n5cjze"],
    ],
)
def test_names_that_merely_count_suggest_nothing(names: list[str]) -> None:
    assert guess_groups([f"{name}.png" for name in names]) is None


def test_where_some_names_have_no_group_a_table_is_advised() -> None:
    names = ["p01_1.png", "p01_2.png", "p02_1.png", "other.png"]
    guess = guess_groups(names)
    assert guess is not None
    assert guess.option(names) == "a table groups.csv"


def divided(root: Path, test: list[str]) -> Path:
    trees.folder(root / "train", names=["p01_1", "p01_2", "p02_1"])
    trees.folder(root / "test", names=test)
    return root


def test_a_group_in_both_given_splits_is_refused(tmp_path: Path) -> None:
    source = divided(tmp_path / "mine", ["p02_2", "p03_1"])
    (warning,) = prepare("folder", source, tmp_path / "out", image_size=SIZE).warnings
    assert "look like several images of one patient, and are in train/ and test/: --group-by" in warning
    with pytest.raises(BadDataError, match="p02: in both splits, training and test"):
        prepare("folder", source, tmp_path / "other", image_size=SIZE, group_by=PATTERN)
    apart = divided(tmp_path / "apart", ["p03_2", "p03_1"])
    assert prepare("folder", apart, tmp_path / "apart-out", image_size=SIZE).warnings == ()
    report = prepare("folder", apart, tmp_path / "grouped", image_size=SIZE, group_by=PATTERN)
    assert report.counts == {"train": {"items": 3, "groups": 2}, "test": {"items": 2, "groups": 1}}


def test_images_without_a_group_are_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(BadDataError) as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE, group_by=r"^(p0[0-3])_")
    assert len(caught.value.problems) == 3
    assert "images/p04_0.png: its name has no group by --group-by '^(p0[0-3])_'" in caught.value.problems


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nobody.png,p09", "groups.csv: no image has that name (line 17: 'nobody.png')"),
        ("../mine/p00_0.png,p09", "groups.csv: no image has that name (line 17: '../mine/p00_0.png')"),
        ("p00_0.png,p00", "groups.csv: an image is listed twice (line 17: 'p00_0.png')"),
        ("p00_0.png", "groups.csv: not a file and its group (line 17: 'p00_0.png')"),
        ("p00_0.png,", "groups.csv: not a file and its group (line 17: 'p00_0.png,')"),
        ("p00_0.png,p00,p", "groups.csv: not a file and its group (line 17: 'p00_0.png,p00,p')"),
    ],
)
def test_a_wrong_line_of_the_table_is_named(source: Path, tmp_path: Path, line: str, problem: str) -> None:
    table(source)
    with (source / "groups.csv").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(BadDataError) as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert caught.value.problems == [problem]


def test_the_table_lists_every_image(source: Path, tmp_path: Path) -> None:
    table(source, lines=[f"{path.name},p" for path in sorted((source / "images").iterdir())][1:])
    with pytest.raises(BadDataError, match=r"images/p00_0\.png: not listed in groups\.csv"):
        prepare("folder", source, tmp_path / "out", image_size=SIZE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"groups\.csv must begin with the line file,group; it begins with ''"),
        (b"file;group\n", "it begins with 'file;group'"),
        (b"file,group,age\n", "it begins with 'file,group,age'"),
        (b"\xff\xfe\x00", "is no CSV file in UTF-8"),
        (b'file,group\n"p00_0.png,1', "is no CSV file in UTF-8"),
    ],
)
def test_what_is_no_table_is_one_line(source: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (source / "groups.csv").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        prepare("folder", source, tmp_path / "out", image_size=SIZE)
    assert "\n" not in str(caught.value)


def test_both_a_pattern_and_a_table_and_a_single_group_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all 15 images are of one group, 'p'"):
        prepare("folder", source, tmp_path / "out", image_size=SIZE, group_by="^(p)")
    table(source)
    with pytest.raises(InputError, match="both say the groups: give one of them"):
        prepare("folder", source, tmp_path / "out", image_size=SIZE, group_by=PATTERN)
