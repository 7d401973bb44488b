"""Whether every node of a cluster sees the storage path and the data."""

import os
import secrets

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytransfer.data.registry import unseen_data
from raytransfer.errors import InputError, reason
from raytransfer.results.storage import Storage
from raytransfer.storage.files import StoragePath, is_remote
from raytransfer.study import Study

ANSWER_SECONDS = 60.0

Answer = tuple[str | None, list[str]]
"""What keeps a node from the storage, None where nothing does; and the data it does not see."""


def _look(token: StoragePath, content: bytes, study: Study) -> Answer:
    """Return what this node does not see (runs in a Ray task)."""
    return _storage_problem(token, content), unseen_data(study.source, study.datasets, study.target)


def _storage_problem(token: StoragePath, content: bytes) -> str | None:
    try:
        if token.read_bytes() != content:
            return "it has another folder there"
        own = token.with_name(f"{token.name}-{os.getpid()}")
        own.write_bytes(content)
        own.unlink()
    except FileNotFoundError:
        return "it does not see what this machine writes there"
    except OSError as error:
        return f"it cannot write there ({error.strerror or reason(error)})"
    return None


def check_shared_storage(storage: Storage, study: Study) -> None:
    """Let every node read a file of the storage, write beside it, and look for the study's data.

    Nodes that join later are not asked.

    Args:
        storage: A file is written there, and deleted again.
        study: Its data are resolved.

    Raises:
        InputError: Names each node that does not see something, and what.
    """
    content = secrets.token_bytes()
    token = storage.root / f".seen-{content.hex()[:8]}"
    token.write_bytes(content)
    try:
        look = ray.remote(num_cpus=0, max_retries=0)(_look)
        nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        asked = {
            node: look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                token, content, study
            )
            for node in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_SECONDS)
        answers = [(nodes[node], _answer(answer)) for node, answer in asked.items()]
    finally:
        token.unlink(missing_ok=True)
    _refuse_blind_nodes(storage, answers)


def _refuse_blind_nodes(storage: Storage, answers: list[tuple[str, Answer]]) -> None:
    """Raise InputError where a node, by its address, does not see the storage or data."""
    blind = [f"{node}: {problem}" for node, (problem, _) in answers if problem is not None]
    if blind:
        remedy = (
            "give every node the same credentials and endpoint, by its role or its environment"
            if is_remote(storage.root)
            else "give a folder that all nodes share, such as a network file system mounted at the same place"
        )
        raise InputError(
            f"--storage-path {storage.root} is not the same folder on every node ({'; '.join(blind)}): "
            f"{remedy}"
        )
    unseen = [f"{node} does not see {line}" for node, (_, lines) in answers for line in lines]
    if unseen:
        raise InputError(f"{'; '.join(unseen)}: put the data where all nodes see them under the same path")


def _answer(answer: ray.ObjectRef) -> Answer:
    """Return what a node said, or that it did not."""
    try:
        said: Answer = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"it did not answer within {ANSWER_SECONDS:.0f} s", []
    except ray.exceptions.RayError as error:
        return f"it could not be asked ({reason(error)})", []
    return said
