"""Why work failed and what becomes of it: errors in, `Failed` out; and when failures end a command."""

import errno
import socket
from pathlib import Path

import pytest
import ray.train
import torch
from botocore.exceptions import EndpointConnectionError
from PIL import UnidentifiedImageError
from ray.exceptions import (
    ActorDiedError,
    OutOfMemoryError,
    RayActorError,
    RaySystemError,
    RayTaskError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from torch._utils import ExceptionWrapper

from raytransfer.errors import InputError, WorkFailedError
from raytransfer.models.checkpoints import CorruptCheckpointError, ReplacedCheckpointError
from raytransfer.ray_compat import RetryUnless
from raytransfer.ray_train.failed import (
    Cause,
    Failed,
    FailureWatch,
    GivenUpError,
    failed_by,
    failed_training,
)
from raytransfer.ray_train.pretraining import has_given_up
from raytransfer.results.storage import Storage
from raytransfer.runtime.devices import UnusableGpuError

NO_FILE = FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/a.png")
NO_MODULE = ModuleNotFoundError("No module named 'timm'")
FULL = OSError(errno.ENOSPC, "No space left on device")
WHERE = "\x1b[36mray::T.__init__()\x1b[39m (pid=7, ip=10.0.0.7, actor_id=ab)"
NOT_IMPORTED = (
    f"The actor died because of an error raised in its creation task, {WHERE}\nRuntimeError: The actor with "
    f"name T failed to import on the worker. This may be because ...:\n\n{WHERE}\n{{}}"
)


def _from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def _in_task(error: Exception) -> RayTaskError:
    return RayTaskError("f", f"traceback\n{type(error).__name__}: {error}", error, ip="10.0.0.7")


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (FloatingPointError("loss is nan"), Cause.OWN, "FloatingPointError: loss is nan"),
        (InputError("batch_size is 0"), Cause.OWN, "batch_size is 0"),
        (KeyError("x"), Cause.OWN, "KeyError: 'x'"),
        (MemoryError(), Cause.OWN, "MemoryError"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Cause.OWN, "Cannot allocate memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), Cause.OWN, "CUDA out of memory."),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), Cause.OWN, "illegal memory"),
        (_in_task(ValueError("x")), Cause.OWN, "ValueError: x"),
        (OutOfMemoryError("killed"), Cause.OWN, "resources.memory_per_trial, in GB, keeps some free"),
        (FULL, Cause.STORAGE, "No space left"),
        (_in_task(FULL), Cause.STORAGE, "No space left"),
        (EndpointConnectionError(endpoint_url="http://s3"), Cause.STORAGE, "http://s3"),
        (NO_FILE, Cause.MACHINE, "FileNotFoundError: [Errno 2] No such file or directory: '/data/a.png'"),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), Cause.MACHINE, "Permission denied"),
        (_from(InputError("image a.png cannot be read"), NO_FILE), Cause.MACHINE, "a.png cannot be read"),
        (_from(CorruptCheckpointError("no readable meta.json"), NO_FILE), Cause.MACHINE, "no readable"),
        (_in_task(NO_FILE), Cause.MACHINE, "FileNotFoundError"),
        (NO_MODULE, Cause.MACHINE, "ModuleNotFoundError: No module named 'timm'"),
        (ImportError("libcudnn.so.9: cannot open shared object file"), Cause.MACHINE, "libcudnn.so.9"),
        (UnusableGpuError("node7: torch can use no GPU"), Cause.MACHINE, "UnusableGpuError: node7: torch"),
        (
            torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered\nCompile with ..."),
            Cause.MACHINE,
            "AcceleratorError: CUDA error: uncorrectable ECC error encountered",
        ),
        (_in_task(RuntimeError("No CUDA GPUs are available")), Cause.MACHINE, "No CUDA GPUs"),
        (ActorDiedError(), Cause.PASSING, "ActorDiedError"),
        (RayActorError(error_msg="in its creation task\nValueError: x"), Cause.PASSING, "ValueError: x"),
        (WorkerCrashedError(), Cause.PASSING, "WorkerCrashedError"),
        (_from(CorruptCheckpointError("is corrupt"), ValueError("torn")), Cause.PASSING, "is corrupt"),
        (ReplacedCheckpointError("was replaced"), Cause.PASSING, "was replaced"),
        (RuntimeError("[/pytorch/third_party/gloo/gloo/pair.cc:5] Connection closed"), Cause.PASSING, "gloo"),
        (torch.distributed.DistNetworkError("timed out"), Cause.PASSING, "timed out"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)  # fmt: skip
def test_what_an_error_says_of_its_cause(error: BaseException, cause: Cause, reason: str) -> None:
    failed = failed_by(error)
    assert failed.cause is cause
    assert failed.permanent is (cause is Cause.OWN)
    assert reason in failed.reason
    assert "\n" not in failed.reason
    assert type(error).__name__ in failed.details


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            _in_task(RuntimeError(f"The remote function failed to import on the worker:\n\n{NO_MODULE!r}\n"
                                  "ModuleNotFoundError: No module named 'timm'")),
            "ModuleNotFoundError: No module named 'timm'",
        ),
        (
            _in_task(RaySystemError("System error: No module named 'timm'\ntraceback: ...\n"
                                    "ModuleNotFoundError: No module named 'timm'")),
            "ModuleNotFoundError: No module named 'timm'",
        ),
        (
            RayActorError(error_msg=NOT_IMPORTED.format(f"ModuleNotFoundError: {NO_MODULE}")),
            "ModuleNotFoundError: No module named 'timm'",
        ),
        (
            RayActorError(error_msg=NOT_IMPORTED.format("AttributeError: Can't get attribute 'T'")),
            "AttributeError: Can't get attribute 'T'",
        ),
        (
            RayActorError(error_msg=f"died because of an error raised in its creation task, {WHERE}\n"
                                    "PermissionError: [Errno 13] Permission denied: '/tmp/ray'"),
            "PermissionError: [Errno 13] Permission denied: '/tmp/ray'",
        ),
        (
            RuntimeEnvSetupError("[Node 10.0.0.7] Traceback ...\nFileNotFoundError: '/x.zip'\n"),
            "RuntimeEnvSetupError: FileNotFoundError: '/x.zip'",
        ),
    ],
    ids=["task", "argument", "actor", "other version", "folder", "environment"],
)  # fmt: skip
def test_what_ray_cannot_set_up_is_of_the_machine(error: BaseException, reason: str) -> None:
    failed = failed_by(error)
    assert (failed.cause, failed.reason) == (Cause.MACHINE, reason)


def test_where_it_failed_is_known() -> None:
    assert failed_by(NO_FILE).host == socket.gethostname()
    assert failed_by(RayActorError(error_msg=NOT_IMPORTED.format("ImportError: x"))).host == "10.0.0.7"
    assert failed_by(WorkerCrashedError()).host == ""


@pytest.mark.parametrize(
    ("raised", "cause", "expected"),
    [
        (InputError("image a.png cannot be read"), NO_FILE, Cause.MACHINE),
        (NO_MODULE, None, Cause.MACHINE),
        (InputError("image a.png cannot be read"), UnidentifiedImageError("no image"), Cause.MACHINE),
        (InputError("image a.png has no pixels"), None, Cause.OWN),
    ],
)
def test_what_a_process_that_reads_ahead_could_not_read(raised, cause, expected: Cause) -> None:
    try:
        try:
            raise cause or KeyError
        except Exception as error:
            raise raised from (error if cause else None)
    except Exception:
        told = ExceptionWrapper(where="in DataLoader worker process 0")  # how torch brings it to the trainer
    with pytest.raises(type(raised)) as found:
        told.reraise()
    failed = failed_by(found.value)
    assert failed.cause is expected
    assert str(raised) in failed.reason


GIVEN_UP = GivenUpError(Failed(reason="FloatingPointError: nan", details="all", host="b"))
LOST = WorkerHealthCheckFailedError("lost", ActorDiedError())


def _workers(*raised: Exception) -> ray.train.WorkerGroupError:
    return ray.train.WorkerGroupError("\n".join(map(str, raised)), dict(enumerate(raised)))


@pytest.mark.parametrize(
    ("error", "cause", "reason", "again"),
    [
        (_workers(GIVEN_UP, RuntimeError("peer")), Cause.OWN, "FloatingPointError: nan", False),
        (_workers(LOST, GIVEN_UP), Cause.OWN, "FloatingPointError: nan", False),
        (_workers(RuntimeError("a bug")), Cause.OWN, "RuntimeError: a bug", True),
        (_workers(RuntimeError("/gloo/pair.cc: closed"), RuntimeError("a bug")), Cause.OWN, "a bug", True),
        (_workers(RuntimeError("/gloo/pair.cc: closed")), Cause.PASSING, "closed", True),
        (_workers(torch.distributed.DistNetworkError("peer"), FULL), Cause.STORAGE, "No space left", True),
        (_workers(FULL), Cause.STORAGE, "OSError: [Errno 28] No space left on device", True),
        (_workers(LOST), Cause.PASSING, "a worker's process or its host was lost, 4 times", True),
        (
            _workers(RuntimeError("peer"), LOST),
            Cause.PASSING,
            "a worker's process or its host was lost",
            True,
        ),
        (_workers(RuntimeError("running low on memory")), Cause.OWN, "resources.memory_per_worker", True),
        (
            ray.train.ControllerError(_in_task(UnusableGpuError("b: torch can use no GPU there"))),
            Cause.MACHINE,
            "UnusableGpuError: b: torch can use no GPU there",
            False,
        ),
        (ray.train.ControllerError(TimeoutError("start")), Cause.MACHINE, "TimeoutError: start", False),
        (ray.train.ControllerError(RuntimeError("no group")), Cause.PASSING, "RuntimeError: no group", False),
    ],
)
def test_how_a_training_failed(error: Exception, cause: Cause, reason: str, again: bool) -> None:
    failed = failed_training(error)
    assert failed is not None
    assert failed.cause is cause
    assert reason in failed.reason
    policy = RetryUnless(ray.train.FailureConfig(max_failures=1), has_given_up)
    assert policy.make_decision(error).name == ("RETRY" if again else "RAISE")


def test_what_is_no_failed_training_is_raised_again() -> None:
    with pytest.raises(KeyError):
        failed_training(KeyError("x"))


def _failed(kind: str, host: str = "a", *, cause: Cause = Cause.MACHINE) -> Failed:
    return Failed(reason=f"{kind}: {host}", details="", cause=cause, host=host)


@pytest.mark.parametrize(
    ("total", "history", "over"),
    [
        (9, ["FileNotFoundError a"] * 2, False),
        (9, ["FileNotFoundError a"] * 3, True),
        (9, ["FileNotFoundError a", "FileNotFoundError b", "FileNotFoundError c"], True),
        (2, ["FileNotFoundError a"] * 2, True),
        (1, ["ImportError a"], True),
        (2, ["ImportError a"], False),
        (9, ["FileNotFoundError a", "FileNotFoundError a", "ImportError a"], False),
        (9, ["FileNotFoundError a", "ImportError a"] * 2 + ["ImportError b"], True),
        (9, ["FileNotFoundError a", "FileNotFoundError a", "done a", "FileNotFoundError a"], False),
        (9, ["FileNotFoundError a", "done b", "FileNotFoundError a", "done b", "FileNotFoundError a"], True),
        (9, ["own a"] * 9, False),
        (9, ["passing a"] * 9, False),
        (9, ["done a"] * 8 + ["storage a"], True),
    ],
)  # fmt: skip
def test_when_nothing_more_is_worth_beginning(
    tmp_path: Path, total: int, history: list[str], over: bool
) -> None:
    watch = FailureWatch(Storage(tmp_path), "trials", total)
    for kind, host in map(str.split, history):
        if kind == "done":
            watch.succeeded(host)
        else:
            watch.add(_failed(kind, host, cause=Cause(kind) if kind in set(Cause) else Cause.MACHINE))
    assert watch.over is over
    if not over:
        watch.check()
        return
    with pytest.raises(WorkFailedError):
        watch.check()


def test_what_a_command_that_ends_says(tmp_path: Path) -> None:
    watch = FailureWatch(Storage(tmp_path), "trials", 5)
    for host in ("b", "a", "b", "c"):
        watch.add(_failed("UnusableGpuError", host))
    with pytest.raises(WorkFailedError) as raised:
        watch.check()
    assert str(raised.value) == (
        "3 trials failed for what is wrong with the machine, not with the work: UnusableGpuError: b "
        f"(on a, b; in full under {tmp_path}/failed): no more is begun; nothing is marked as failed and what "
        "was finished is kept: once this is mended, the same command goes on"
    )
    one = FailureWatch(Storage(tmp_path), "trials", 1)
    one.add(_failed("ImportError"))
    with pytest.raises(WorkFailedError, match=r"^1 trial failed for what"):
        one.check()
