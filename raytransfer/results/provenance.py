"""Where a result comes from: the code's git revision and the libraries' versions."""

import importlib.metadata
import subprocess
from functools import cache
from pathlib import Path

LIBRARIES = (
    "raytransfer", "torch", "torchvision", "timm", "segmentation-models-pytorch", "ray", "mlflow", "optuna",
    "pyarrow", "albumentations", "numpy",
)  # fmt: skip


@cache
def git_sha() -> str:
    """Return the revision of the checkout this code runs from, "-dirty" with changes, or "unknown"."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
