"""A folder in which a person works: the scripts, data of his own, and nothing else of the checkout."""

import glob
import multiprocessing
import os
import runpy
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import generated_trees
import numpy as np
import torch
from scripts import Done
from smallest_presets import SMALLEST

from raytransfer.models.registry import create_encoder
from raytransfer.presets import PRESETS
from raytransfer.thesis.public_weights import reference_key

LIBRARIES = (
    "raytransfer.cli.command",
    "raytransfer.pipeline.cluster",
    "raytransfer.pipeline.reporting",
    "raytransfer.ray_tune.grid",
    "raytransfer.ray_tune.search",
)
PLACEHOLDERS = {"--published DIR": "--published published", "--output DIR": "--output output"}
"""What stands for a folder of the reader's -> what it is here."""


def _as_a_script(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Do in this process what `python script ...` does (runs in a fork)."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = words[1:]
    sys.path.insert(0, str(folder / Path(words[1]).parent))
    PRESETS.update(SMALLEST)
    runpy.run_path(words[1], run_name="__main__")


def imagenet(root: Path) -> None:
    """Write a tree of class folders whose colour tells their class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2)):
        for channel, name in enumerate(("n01440764", "n02105855", "n03445777")):
            for number in range(count):
                picture = rng.integers(0, 120, (70, 90, 3), np.uint8)
                picture[..., channel] += 120
                generated_trees.write_picture(root / split / name / f"{name}_{number}.JPEG", picture)


def public_encoder(path: Path) -> None:
    """Write a U-Net's encoder as the thesis published its own."""
    path.parent.mkdir()
    weights = {
        f"layers.0.{reference_key('unet', key)}": value
        for key, value in create_encoder("unet").state_dict().items()
    }
    torch.save(weights, path)


class Workplace:
    """The folder, and a person at its prompt.

    Scripts run in processes of their own, forked from one that has read the libraries, which takes each else
    ten seconds of computing.

    Args:
        project: The checkout.
        folder: An empty folder.
        published: Folder of the thesis's published tables.

    Attributes:
        folder: The folder.
        said: Each command that was run -> how it ended.
    """

    def __init__(self, project: Path, folder: Path, published: Path) -> None:
        self.folder = folder
        shutil.copytree(project / "experiments", folder / "experiments")
        (folder / "published").symlink_to(published)
        generated_trees.folder(folder / "my_scans")
        generated_trees.acdc(folder / "ACDC", train=(1,), shape=(54, 72, 2))
        imagenet(folder / "data/imagenet")
        public_encoder(folder / "downloads/unet_simple_pretraining_checkpoint_epoch_300.pt")
        self.said: dict[str, Done] = {}
        self._environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(project)}
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(list(LIBRARIES))

    def run(self, line: str, seconds: float = 280) -> Done:
        """Run a command line of a script, its placeholders filled in and its patterns expanded."""
        for placeholder, folder in PLACEHOLDERS.items():
            line = line.replace(placeholder, folder)
        words = [
            word
            for quoted in shlex.split(line)
            for word in (sorted(glob.glob(quoted, root_dir=self.folder)) if "*" in quoted else [quoted])
        ]
        assert words[0] == "python", line
        began = time.monotonic()
        process = self._forks.Process(target=_as_a_script, args=(words, self.folder, self._environment))
        process.start()
        try:
            process.join(seconds)
            out, err = ((self.folder / name).read_text() for name in ("out", "err"))
            assert process.exitcode is not None, f"{line} did not end: {err}"
        finally:
            if process.is_alive():
                os.killpg(process.pid, signal.SIGKILL)
        self.said[line] = Done(process.exitcode, out, err, time.monotonic() - began)
        return self.said[line]
