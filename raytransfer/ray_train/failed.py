"""Why work on the cluster failed, what becomes of it, and whether more of it is worth beginning.

What work raises is its own doing, and so is running out of memory: it would fail again, and is marked. What
is wrong with the machine that it ran on is not (a file that is not there, a package that is not installed, a
GPU that torch cannot use): the same happens to all other work there, so that a few such failures end the
command. A process that is lost otherwise, with its host or without, is tried again by Ray, up to `RETRIES`
times beside announced preemptions, which do not count. A storage that takes nothing ends the command at once.
"""

import builtins
import errno
import re
import socket
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import ray.exceptions
import ray.train
import torch
from ray.train.v2._internal.exceptions import RayTrainError

from raytransfer.errors import WorkFailedError, reason
from raytransfer.models.checkpoints import CorruptCheckpointError, ReplacedCheckpointError
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit, PretrainingUnit, ScoringUnit
from raytransfer.runtime.devices import is_gpu_failure
from raytransfer.storage.files import is_storage_error

RETRIES = 3
"""How often lost work is tried again."""

MEMORY_KILL = "running low on memory"
"""What Ray says where its monitor killed a process for its node's memory."""

NOT_IMPORTED = "failed to import on the worker"
NOT_SET_UP = ("System error: ", "input arguments for this task could not be computed", "in its creation task")
"""What Ray says where a process could not load its work's code, or its arguments, or could not begin."""

OF_NETWORK = ("/gloo/", "Connection closed by peer", "Connection reset by peer")
"""What torch says where other processes of its group cannot be reached."""


class Cause(StrEnum):
    """What made work fail, and so what becomes of it.

    Attributes:
        OWN: Itself: it would fail again wherever it ran. It is marked, and later commands leave it out.
        PASSING: Its process or host was lost, its checkpoint damaged or replaced: the next command tries it.
        MACHINE: Its machine lacks something: the next command tries it, and see `FailureWatch`.
        STORAGE: The storage takes or gives nothing now. The command ends.
    """

    OWN = "own"
    PASSING = "passing"
    MACHINE = "machine"
    STORAGE = "storage"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """How work failed.

    Attributes:
        reason: One line.
        details: All of it.
        cause: What made it fail.
        host: Where, by name or address; "" where nobody knows.
    """

    reason: str
    details: str
    cause: Cause = Cause.OWN
    host: str = ""

    @property
    def permanent(self) -> bool:
        """Whether it would fail again."""
        return self.cause is Cause.OWN


def failed_by(error: BaseException) -> Failed:
    """Return how work failed, by what it raised, or by what Ray raises for it.

    An error's causes count, and they do not travel: call this where the error was raised, if that can be.
    """
    details = "".join(traceback.format_exception(error))
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return out_of_memory("resources.memory_per_trial", details)
    host = _host(error)
    if (said := _not_set_up(error)) is not None:
        return Failed(reason=said, details=details, cause=Cause.MACHINE, host=host)
    raised = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    return Failed(reason=_line(raised), details=details, cause=_cause(raised), host=host)


def _cause(error: BaseException) -> Cause:
    if is_storage_error(error):
        return Cause.STORAGE
    if any(_is_of_machine(each) for each in _chain(error)):
        return Cause.MACHINE
    if isinstance(error, (ray.exceptions.RayError, CorruptCheckpointError, ReplacedCheckpointError)):
        return Cause.PASSING
    of_network = isinstance(error, RuntimeError) and any(said in str(error) for said in OF_NETWORK)
    return Cause.PASSING if of_network or isinstance(error, torch.distributed.DistError) else Cause.OWN


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _is_of_machine(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno != errno.ENOMEM  # memory that runs out is the work's own doing
    return isinstance(error, ImportError) or is_gpu_failure(error) or _was_read_by_another(error)


def _was_read_by_another(error: BaseException) -> bool:
    """Return whether an error is that of a process that reads ahead, which could not read or import.

    Torch raises it again with the whole traceback as its message, and nothing as its cause.
    """
    if "in DataLoader worker process" not in str(error):
        return False
    return any(map(_names_machine, re.findall(r"^(?:\w+\.)*(\w+)(?=:|$)", str(error), re.MULTILINE)))


def _names_machine(name: str) -> bool:
    """Return whether an error of that name is of the machine, as `_is_of_machine` says of the error."""
    kind = getattr(builtins, name, None)
    known = isinstance(kind, type) and issubclass(kind, (OSError, ImportError))
    return known or name == "UnidentifiedImageError"  # Pillow's, an OSError


def _line(error: BaseException) -> str:
    """Return an error as one line; what CUDA says stands in its first, above how kernels are debugged."""
    if is_gpu_failure(error):
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return reason(error)


def _not_set_up(error: BaseException) -> str | None:
    """Return what kept Ray from setting up a process for its work, as one line; None where nothing did."""
    if isinstance(error, ray.exceptions.RuntimeEnvSetupError):
        return f"RuntimeEnvSetupError: {reason(error)}"
    if not isinstance(error, ray.exceptions.RayError):
        return None
    said, last = str(error), reason(error)
    name = last.partition(":")[0]
    of_machine = _names_machine(name) or name == "AttributeError"  # the code of another version there
    if NOT_IMPORTED in said or (of_machine and any(words in said for words in NOT_SET_UP)):
        return last
    return None


def _host(error: BaseException) -> str:
    """Return where an error was raised: its address where Ray brought it from another process."""
    if isinstance(error, ray.exceptions.RayError):
        found = re.search(r"\bip=([^,)\s]+)", str(error))
        return found[1] if found else ""
    return socket.gethostname()


def out_of_memory(setting: str, details: str) -> Failed:
    """Return how work failed whose node ran out of memory; the setting keeps some free for it."""
    said = f"OutOfMemoryError: its node ran out of memory; {setting}, in GB, keeps some free for each"
    return Failed(reason=said, details=details)


class GivenUpError(Exception):
    """What a pretraining worker raises that no other attempt of Ray Train would make good.

    Args:
        failed: How it failed, found out where it did.
    """

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed)
        self.failed = failed

    def __str__(self) -> str:
        return self.failed.reason


def given_up(error: ray.train.TrainingFailedError) -> Failed | None:
    """Return how a worker failed that gave up; None where none did."""
    raised = getattr(error, "worker_failures", {}).values()
    return next((each.failed for each in raised if isinstance(each, GivenUpError)), None)


def failed_training(found: ray.train.Result | BaseException) -> Failed | None:
    """Return why a trainer failed, None where it did not.

    Args:
        found: What `fit()` returned or raised; raised again where it is not a failed training.
    """
    if isinstance(found, ray.train.Result):
        return None
    if not isinstance(found, ray.train.TrainingFailedError):
        raise found
    if (failed := given_up(found)) is not None:
        return failed
    details = str(found)
    if MEMORY_KILL in details:
        return out_of_memory("resources.memory_per_worker", details)
    workers = list(getattr(found, "worker_failures", {}).values())
    raised = [failed_by(each) for each in workers if not isinstance(each, RayTrainError)]
    if raised:  # where others only lost their peer, what one raised by itself says more
        failed = next((each for each in raised if each.cause is not Cause.PASSING), raised[0])
        failed = replace(failed, details=details, host="")
    else:
        failed = replace(failed_by(getattr(found, "controller_failure", found)), details=details)
    if failed.cause in (Cause.MACHINE, Cause.STORAGE):
        return failed
    if len(raised) < len(workers):  # Ray Train's own errors are of lost ones
        said = f"a worker's process or its host was lost, {RETRIES + 1} times"
        return replace(failed, reason=said, cause=Cause.PASSING)
    return failed if raised else replace(failed, cause=Cause.PASSING)


def record_failure(
    storage: Storage, unit: PretrainingUnit | ScoringUnit | EvaluationUnit, failed: Failed
) -> None:
    """Keep under the storage how a unit failed, with a mark where it would fail again."""
    storage.failures.record(
        unit.kind, unit.key, unit.name, failed.reason,
        details=failed.details, permanent=failed.permanent, host=failed.host,
    )  # fmt: skip


ENOUGH = 3
"""So many failures for what is wrong with machines, and a command ends."""


class FailureWatch:
    """Sees when more of a command's work is not worth beginning: it would fail as that before did.

    That is where the storage takes nothing, and where `ENOUGH` of it, or all where there is less, failed for
    the same kind of thing that is wrong with machines. What failed on a host before other work ended well
    there does not count: a network file system that stumbles once a day does not end a grid of a week.

    Args:
        storage: Where the work writes.
        work: What it is, in the plural: "trials".
        total: How many there are.
    """

    def __init__(self, storage: Storage, work: str, total: int) -> None:
        self._storage, self._work, self._enough = storage, work, min(ENOUGH, total)
        self._of_machines: list[Failed] = []
        self._of_storage: Failed | None = None

    def add(self, failed: Failed) -> None:
        """Take in a failure."""
        if failed.cause is Cause.STORAGE:
            self._of_storage = self._of_storage or failed
        elif failed.cause is Cause.MACHINE and not self.over:
            self._of_machines.append(failed)

    def succeeded(self, host: str) -> None:
        """Take in that work ended well on a host."""
        if not self.over:
            self._of_machines = [failed for failed in self._of_machines if failed.host != host]

    @property
    def without_storage(self) -> bool:
        """Whether the storage takes nothing."""
        return self._of_storage is not None

    @property
    def over(self) -> bool:
        """Whether nothing more should begin."""
        return self.error() is not None

    def _same(self) -> list[Failed]:
        """Return failures for the same kind of thing, where they are enough."""
        kinds: dict[str, list[Failed]] = {}
        for failed in self._of_machines:
            kinds.setdefault(failed.reason.partition(":")[0], []).append(failed)
        return next((same for same in kinds.values() if len(same) >= self._enough), [])

    def error(self) -> WorkFailedError | None:
        """Return why nothing more should begin; None where more should."""
        if self._of_storage is not None:
            return storage_failed(self._storage, self._of_storage.reason)
        same = self._same()
        if not same:
            return None
        hosts = ", ".join(sorted({failed.host or "?" for failed in same}))
        work = self._work if same[1:] else self._work.removesuffix("s")
        return WorkFailedError(
            f"{len(same)} {work} failed for what is wrong with the machine, not with the work: "
            f"{same[-1].reason} (on {hosts}; in full under {self._storage.failures.root}): no more is begun; "
            "nothing is marked as failed and what was finished is kept: once this is mended, the same "
            "command goes on"
        )

    def check(self) -> None:
        """Raise WorkFailedError where nothing more should begin."""
        if (error := self.error()) is not None:
            raise error


def storage_failed(storage: Storage, said: object) -> WorkFailedError:
    """Return the error of a command that ends because its storage takes nothing."""
    return WorkFailedError(
        f"--storage-path {storage.root} takes no results now ({said}): nothing that was finished is lost; "
        "once it does, the same command goes on"
    )
