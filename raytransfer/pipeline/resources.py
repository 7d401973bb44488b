"""Whether a study can ever run on a cluster: what no node has room for would be waited for without end."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ray

from raytransfer.errors import InputError
from raytransfer.ray_compat import active_node_kinds, cluster_config
from raytransfer.study import Study

Resources = Mapping[str, float]

JOIN_SECONDS = 60.0
"""How long nodes are waited for that an autoscaler may be starting."""

_UNITS = {"CPU": (1, "CPUs"), "GPU": (1, "GPUs"), "memory": (1e9, "GB of memory")}


@dataclass(frozen=True, kw_only=True)
class Need:
    """Processes that run at once.

    Attributes:
        what: What they are.
        settings: What sets their size.
        each: What one of them asks for: "CPU", "GPU" and "memory", bytes.
        count: How many.
    """

    what: str
    settings: str
    each: Resources
    count: int = 1


def needs(study: Study) -> list[Need]:
    """Return what a study runs at once, at least."""
    resources, pretraining = study.resources, study.pretraining
    workers = pretraining.min_workers or pretraining.num_workers
    name = "min_workers" if pretraining.min_workers else "num_workers"
    return [
        Need(
            what="a pretraining",
            settings=f"pretraining.{name}={workers} and resources.*_per_worker: "
            f"{_said(resources.of_worker)} for each",
            each=resources.of_worker,
            count=workers,
        ),
        Need(
            what="a scoring or downstream trial",
            settings=f"resources.*_per_trial: {_said(resources.of_trial)}",
            each=resources.of_trial,
        ),
    ]


def fits(need: Need, nodes: Sequence[Resources]) -> bool:
    """Return whether empty nodes have room for all of a need's processes, each on one of them."""
    return sum(_times(need.each, node) for node in nodes) >= need.count


def _times(each: Resources, node: Resources) -> int:
    """Return how often a node has what one process asks for."""
    return min(int(node.get(name, 0) / amount + 1e-9) for name, amount in each.items())


def _said(resources: Resources) -> str:
    return ", ".join(
        f"{resources.get(name, 0) / unit:g} {what}"
        for name, (unit, what) in _UNITS.items()
        if name in resources
    )


def _nodes() -> list[Resources]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _nodes_to_come() -> list[Resources]:
    """Return every node that the cluster's autoscaler could start."""
    config = cluster_config()
    if config is None:
        return []
    return [
        dict(group.resources)
        for group in config.node_group_configs
        for _ in range(1000 if group.max_count < 0 else group.max_count)
    ]


def _autoscales() -> bool:
    """Return whether the cluster starts nodes; one that only watches its nodes calls each by its own id."""
    watched = {f"node_{node['NodeID']}" for node in ray.nodes()}
    return cluster_config() is not None or not watched.issuperset(active_node_kinds())


def check_resources(study: Study) -> None:
    """Find what the cluster can never run.

    Where it has an autoscaler, what that could start counts, with a line on stderr; nodes that it may be
    starting and of which nothing is known are waited for.

    Raises:
        InputError: Names the setting, and the largest node there is.
    """
    deadline, waiting = time.monotonic() + JOIN_SECONDS, False
    for need in needs(study):
        while not fits(need, _nodes()):
            there, to_come = _nodes(), _nodes_to_come()
            if fits(need, [*there, *to_come]):
                print(f"{need.what} waits for nodes that the cluster has yet to start", file=sys.stderr)
                break
            if not _autoscales() or time.monotonic() > deadline:
                raise InputError(_refusal(need, [*there, *to_come]))
            if not waiting:
                print(f"{need.what} needs more nodes: waiting up to {JOIN_SECONDS:.0f} s", file=sys.stderr)
            waiting = True
            time.sleep(1)


def _refusal(need: Need, nodes: Sequence[Resources]) -> str:
    largest = max(
        nodes, key=lambda node: [node.get(name, 0) for name in ("GPU", "CPU", "memory")], default={}
    )
    room = sum(_times(need.each, node) for node in nodes)
    return (
        f"{need.what} can never start here: {need.settings}, but the cluster has room for {room} such "
        f"{'process' if room == 1 else 'processes'} (largest of {len(nodes)} nodes: {_said(largest)}): lower "
        "these settings with --set, or use a larger cluster"
    )
