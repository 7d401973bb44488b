"""What a study is worked on with from Python, each step in one call."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING

import pyarrow as pa

from raytransfer.models.checkpoints import load_encoder
from raytransfer.pipeline.session import Session, open_session
from raytransfer.pipeline.study import resolved
from raytransfer.results.storage import Storage
from raytransfer.results.study_file import read_study
from raytransfer.results.units import Encoders, pretraining_units
from raytransfer.storage.files import resolve_path
from raytransfer.study import Study
from raytransfer.terminal import terminal

if TYPE_CHECKING:
    from raytransfer.models.encoder import Encoder
    from raytransfer.statistics.answer import Answer

Path = str | PathLike[str]


def load_checkpoint(path: Path) -> "Encoder":
    """Read the encoder of a checkpoint, after checking that its weights are those that were written.

    Args:
        path: Its folder, `<storage>/pretraining/<encoder>/<scheme>/epoch_NNNN`, or the same in s3://.

    Returns:
        The encoder, in evaluation mode on the CPU.

    Raises:
        InputError: There is no checkpoint, or it is damaged.

    Examples:
        >>> load_checkpoint("runs/mine/pretraining/unet-micro/simple/epoch_0020")
        Traceback (most recent call last):
            ...
        raytransfer.models.checkpoints.CorruptCheckpointError: checkpoint ...epoch_0020 has no readable ...
    """
    return load_encoder(resolve_path(path))[0]


@contextmanager
def session(
    study: Study,
    *,
    storage: Path,
    address: str | None = None,
    tracking_uri: str | None = None,
    retry_failed: bool = False,
    verbose: bool = False,
) -> Iterator[Session]:
    """Check a study, connect to Ray and MLflow, and give what the steps of `raytransfer.pipeline` work with.

    Args:
        study: What is compared, and the settings. The first call on a storage path writes it there.
        storage: Folder for encoders, results and pictures, or "s3://bucket/folder".
        address: Ray cluster, "host:port" or "auto"; Ray is started on this machine where None.
        tracking_uri: MLflow server or store; the database `mlflow.db` in the storage path where None.
        retry_failed: Whether what failed before is done again, and nothing else.
        verbose: Whether libraries' warnings, Ray's log and what workers print is shown.

    Raises:
        InputError: Something that was given is wrong: a name, a path, an address, a study that is not the
            storage path's.

    Examples:
        >>> from raytransfer.presets import smoke
        >>> with session(smoke(), storage="gs://bucket/study"):
        ...     pass
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: gs://bucket/study: results go to a folder or to s3://bucket/folder
    """
    where = Storage(storage, retry_failed=retry_failed)
    with (
        terminal(verbose=verbose),
        open_session(
            resolved(study, read_study(where.root)),
            where,
            tracking_uri=tracking_uri,
            address=address,
            verbose=verbose,
        ) as opened,
    ):
        yield opened


def pretrain(study: Study, *, storage: Path, address: str | None = None) -> Encoders:
    """Pretrain the encoders of a study, as far as their checkpoints are not there.

    Args:
        study: What is compared, and the settings.
        storage: Folder for encoders, results and pictures, or "s3://bucket/folder".
        address: Ray cluster, "host:port" or "auto"; Ray is started on this machine where None.

    Returns:
        (encoder, scheme) -> epoch -> SHA-256 of the checkpoint's weights.

    Raises:
        InputError: As `session`.
        WorkFailedError: A pretraining failed.

    Examples:
        >>> from dataclasses import replace
        >>> from raytransfer.presets import smoke
        >>> pretrain(replace(smoke(), models=("unet-mikro",)), storage="runs/mine")
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: unknown model 'unet-mikro': did you mean 'unet-micro'?
    """
    from raytransfer.pipeline.steps import make_series

    with session(study, storage=storage, address=address) as opened:
        encoders = make_series(opened)
        opened.finish_all(pretraining_units(opened.study))
        return encoders


def score(study: Study, *, storage: Path, address: str | None = None) -> pa.Table:
    """Score every checkpoint of a study on its target images, after pretraining what is missing.

    Args:
        study: What is compared, and the settings.
        storage: Folder for encoders, results and pictures, or "s3://bucket/folder".
        address: Ray cluster, "host:port" or "auto"; Ray is started on this machine where None.

    Returns:
        The ledger's rows of the scorings, the scores of all parameter choices among them.

    Raises:
        InputError: As `session`.
        WorkFailedError: A pretraining or a scoring failed.

    Examples:
        >>> from dataclasses import replace
        >>> from raytransfer.presets import smoke
        >>> score(replace(smoke(), datasets=("mni",)), storage="runs/mine")
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: unknown target dataset 'mni': did you mean 'mni152'? ...
    """
    from raytransfer.pipeline.steps import make_scores, make_series

    with session(study, storage=storage, address=address) as opened:
        scorings = make_scores(opened, make_series(opened))
        opened.finish_all([*pretraining_units(opened.study), *scorings])
        return opened.storage.ledger.read("score", [unit.key for unit in scorings])


def evaluate(study: Study, *, storage: Path, address: str | None = None) -> pa.Table:
    """Train every checkpoint of a study on its target tasks, after what is missing of the steps before.

    Args:
        study: What is compared, and the settings.
        storage: Folder for encoders, results and pictures, or "s3://bucket/folder".
        address: Ray cluster, "host:port" or "auto"; Ray is started on this machine where None.

    Returns:
        The ledger's rows of the trainings that are finished; those that failed are named on stderr.

    Raises:
        InputError: As `session`, or there is no checkpoint.
        WorkFailedError: A pretraining or a scoring failed.

    Examples:
        >>> from dataclasses import replace
        >>> from raytransfer.presets import smoke
        >>> evaluate(replace(smoke(), schemes=("simpel",)), storage="runs/mine")
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: unknown pretraining scheme 'simpel': did you mean 'simple'? ...
    """
    from raytransfer.pipeline.steps import finish_study, make_trials

    with session(study, storage=storage, address=address) as opened:
        scorings, trials = make_trials(opened)
        finish_study(opened, scorings, trials)
        return opened.storage.ledger.read("evaluation", [unit.key for unit in trials])


def run(study: Study, *, storage: Path, address: str | None = None) -> "Answer":
    """Do a whole study, pretraining, scores and downstream trainings, and return its answer.

    What is recorded in the storage path is not done again.

    Args:
        study: What is compared, and the settings.
        storage: Folder for encoders, results and pictures, or "s3://bucket/folder".
        address: Ray cluster, "host:port" or "auto"; Ray is started on this machine where None.

    Returns:
        Of every complete configuration the best checkpoint, those that simple strategies and the score
        select, what these cost, and how sure that is. What failed is named on stderr.

    Raises:
        InputError: As `session`, or there is no checkpoint.
        WorkFailedError: A pretraining or a scoring failed.

    Examples:
        >>> from raytransfer.presets import smoke
        >>> run(smoke(), storage="")
        Traceback (most recent call last):
            ...
        raytransfer.errors.InputError: a folder needs a name, got ''
    """
    from raytransfer.pipeline.steps import finish_study, make_trials
    from raytransfer.results.curves import curves, recorded
    from raytransfer.statistics.answer import recommend
    from raytransfer.statistics.signals import Signal

    with session(study, storage=storage, address=address) as opened:
        scorings, trials = make_trials(opened)
        complete = curves(*recorded(opened.storage.ledger, scorings, trials))
        finish_study(opened, scorings, trials)
        return recommend(complete, Signal.of_study(opened.study.robustness))
