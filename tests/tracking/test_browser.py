"""What a person does in MLflow's UI, done in Chromium: list, filter, compare, look at a picture."""

import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from playwright import sync_api

from raytransfer.evaluation.predictions import draw_predictions
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

TRIALS = [
    f"unet-micro {dataset} simple epoch {epoch} {protocol} seed {seed}"
    for dataset, epoch, protocol, seed in product(
        ("acdc", "idrid"), (0, 20), ("fine_tuning", "frozen"), (0, 1)
    )
]


def _missing(what: str) -> None:
    """Fail in continuous integration, where everything must be there; skip elsewhere."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is not installed")


def _publish(root: Path, empty_store: Path) -> str:
    """Write made-up trials; return the link to them that people are given."""
    shutil.copy(empty_store, root / "mlflow.db")
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (3, 16, 16)).astype(np.uint8)
    picture = root / "predictions.png"
    draw_predictions(
        picture, rng.random((3, 16, 16, 1)).astype(np.float32), masks, 1 - masks.astype(np.int64),
        class_names=("none", "disc"), columns=("best", "median", "worst"), title="made up",
    )  # fmt: skip
    with Tracker(f"sqlite:///{root}/mlflow.db", artifact_root=root / "artifacts") as tracker:
        for number, name in enumerate(TRIALS):
            model, dataset, scheme, _, epoch, protocol, _, seed = name.split()
            dices = {e: (0.5 + number / 50) * (1 - math.exp(-e / 4)) for e in range(1, 13)}
            record = RunRecord(
                kind="evaluation",
                key=name.replace(" ", "-"),
                name=name,
                params={
                    "model": model,
                    "dataset": dataset,
                    "scheme": scheme,
                    "epoch": epoch,
                    "protocol": protocol,
                    "seed": seed,
                },
                epochs={e: {"train/loss": 1 - dice, "test/dice": dice} for e, dice in dices.items()},
                summary={"summary/final_performance": dices[12]},
                documents={"config.json": {"seed": seed}},
                artifacts={picture: ""},
            )
            assert tracker.publish(record, wait=True)
        return tracker.ui_hint()[1]


@pytest.fixture(scope="module")
def link(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The link to the trials of a server that serves them."""
    root = tmp_path_factory.mktemp("ui")
    given = _publish(root, empty_store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{root}/mlflow.db",
            "--port", str(port), "--workers", "1",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=root, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield given.replace(":5000", f":{port}")
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with its children; asked politely, it takes ten seconds
        server.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    chromium = shutil.which("chromium")
    if chromium is None:
        _missing("Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, link: str) -> Iterator:
    """The page of the trials."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(20_000)
    page.goto(link)
    _listed(page, len(TRIALS))
    yield page
    page.close()


def _listed(page, count: int) -> list[str]:
    """The trials in the table, from top to bottom, once there are so many."""
    rows = page.get_by_role("link", name=re.compile("^unet-micro "))
    sync_api.expect(rows).to_have_count(count, timeout=20_000)
    return [row.strip() for row in rows.all_inner_texts()]


def _filter(page, text: str, count: int) -> None:
    box = page.get_by_placeholder("metrics.rmse")
    box.fill(text)
    box.press("Enter")
    page.get_by_text(re.compile(f"^{count} matching runs$")).wait_for()


def test_the_link_lists_all_trials_the_best_first(page) -> None:
    assert _listed(page, len(TRIALS)) == TRIALS[::-1]


@pytest.mark.parametrize("field", ["params", "tags"])
def test_trials_are_filtered_by_what_they_are(page, field: str) -> None:
    _filter(page, f"{field}.dataset = 'idrid' and {field}.protocol = 'fine_tuning' and {field}.seed = '1'", 2)
    wanted = [name for name in TRIALS if "idrid" in name and "fine_tuning" in name and "seed 1" in name]
    assert _listed(page, 2) == wanted[::-1]


def test_trials_are_compared(page) -> None:
    """By the parallel-coordinates plot, and by the curves of their Dice."""
    _filter(page, "params.dataset = 'idrid'", 8)
    names, trials = _listed(page, 8), page.url
    page.get_by_label("Select all runs").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("Comparing 8 Runs from 1 Experiment").wait_for()
    page.locator(".parcoords").first.wait_for()
    assert {"epoch", "protocol", "seed"} <= set(page.locator(".parcoords .axis-title").all_text_contents())
    page.goto(f"{trials}&compareRunsMode=CHART")
    card = page.get_by_test_id("experiment-view-compare-runs-card").filter(has_text="test/dice")
    card.locator(".scatterlayer .trace").nth(7).wait_for()
    assert all(f"{name} (test/dice)" in card.inner_text() for name in names)


def test_a_picture_is_shown(page) -> None:
    page.get_by_role("link", name=TRIALS[0]).click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("predictions.png").click()
    picture = page.locator("img[alt='predictions.png'], .image-outer-container img, .ant-image img").first
    picture.wait_for()
    page.wait_for_function(
        "image => image.complete && image.naturalWidth > 300", arg=picture.element_handle()
    )
