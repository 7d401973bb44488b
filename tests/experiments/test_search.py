"""A search for real: Optuna, ASHA, reused processes."""

from pathlib import Path

import pytest

from raytransfer.results import Ledger

pytestmark = pytest.mark.cluster


def test_a_search_ends_with_a_table_and_leaves_the_study_alone(run, runs, tmp_path: Path) -> None:
    options = ["--trials=2", "--set", "models=unet-micro", "--set", "pretraining.epochs=2",
               "--set", "pretraining.series=[0, 2]"]  # fmt: skip
    done = run("search", tmp_path, *options)
    assert done.code == 0, done.err
    rows = [line for line in done.out.splitlines() if "unet-micro-simple-" in line]
    assert len(rows) == 2
    assert ["2", "of", "2"] in [row.split()[4:7] for row in rows], "one is not stopped"
    assert float(rows[0].split()[0]) >= float(rows[1].split()[0])
    trained = Ledger(tmp_path / "results").read("pretraining").to_pylist()
    assert {row["pretraining"] for row in trained} == {row.split()[-1] for row in rows}
    assert not (tmp_path / "pretraining").exists(), "the series of the study are not the search's"
    shown = runs(tmp_path, "pretraining")
    assert {found.data.tags["raytransfer.key"] for found in shown} == {row.split()[-1] for row in rows}
    assert {found.info.status for found in shown} <= {"FINISHED", "KILLED"}
    again = run("search", tmp_path, *options)
    assert again.out == done.out
    assert again.seconds < done.seconds


def test_a_rule_that_does_not_exist_is_one_line(run, tmp_path: Path) -> None:
    done = run("early_stop", tmp_path, "--rule=first-pik")
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "unknown rule 'first-pik': did you mean 'first-peak'?" in line
