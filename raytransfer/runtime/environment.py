"""What this platform asks of the libraries that it uses, where they take it from the environment only.

Nothing here happens by import: commands call `prepare_process` before they begin, and tasks on other machines
do, whose processes have the environment of their node.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing of a study is told to others
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # one report is taken in per interval
    "RAY_AIR_NEW_OUTPUT": "0",  # else Tune ignores the reporter it is given
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger and MLflow have the results
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that failed has no score
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
    # A server that is gone must not hold anything up (the default is 7 retries of 120 s).
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for every run
}
"""Variable -> its value where the user has set none. MLflow reads its own when it is imported."""


def prepare_process() -> None:
    """Set what libraries take from this process's environment, and processes that it starts inherit.

    What the user has set stays. To call it twice is to call it once.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def without_update_check() -> Iterator[None]:
    """Import albumentations in the `with` block: it does not ask the network for newer versions then."""
    name = "NO_ALBUMENTATIONS_UPDATE"
    kept = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if kept is None:
            del os.environ[name]


def spare_libraries_collection() -> None:
    """Leave all objects that there are now out of garbage collection.

    MLflow's stores make thousands of objects per batch; without the libraries' millions the collector is a
    third of the time of writing cheaper.
    """
    gc.freeze()
