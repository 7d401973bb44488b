"""Whether every node of a cluster sees the storage path."""

import os
import secrets

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytransfer.config import InputError, reason
from raytransfer.files import Place, is_remote
from raytransfer.results import Storage

ANSWER_SECONDS = 60.0


def _look(token: Place, content: bytes) -> str | None:
    """Return what keeps this node from the storage, None where nothing does (runs in a Ray task)."""
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


def check_sight(storage: Storage) -> None:
    """Write a file into the storage and let every node read it, and write beside it.

    Nodes that join later are not asked.

    Raises:
        InputError: Names each node that cannot, and why.
    """
    content = secrets.token_bytes()
    token = storage.root / f".seen-{content.hex()[:8]}"
    token.write_bytes(content)
    try:
        look = ray.remote(num_cpus=0, max_retries=0)(_look)
        nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        asked = {
            node: look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                token, content
            )
            for node in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_SECONDS)
        problems = {node: _answer(answer) for node, answer in asked.items()}
    finally:
        token.unlink(missing_ok=True)
    blind = [f"{nodes[node]}: {problem}" for node, problem in problems.items() if problem is not None]
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


def _answer(answer: ray.ObjectRef) -> str | None:
    """Return what a node said, or that it did not."""
    try:
        said: str | None = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"it did not answer within {ANSWER_SECONDS:.0f} s"
    except ray.exceptions.RayError as error:
        return f"it could not be asked ({reason(error)})"
    return said
