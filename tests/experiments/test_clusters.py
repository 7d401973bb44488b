"""The cluster files that nobody could run here: against Ray's schema, and against KubeRay's fields."""

from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import Draft202012Validator
from ray.autoscaler._private.util import prepare_config, validate_config


def _fields(*required: str, **properties: Any) -> dict[str, Any]:
    """An object of these fields and no others."""
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False,
    }  # fmt: skip


TEXT, COUNT, SWITCH = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
POD = {"type": "object", "required": ["spec"], "properties": {"spec": {"required": ["containers"]}}}
# Fields of a RayCluster's spec, as KubeRay's definition (helm-chart/kuberay-operator/crds, at 017710c) and
# types (raycluster_types.go) have them, without some that nothing here could want; of the pod templates,
# which are Kubernetes's, only that they have containers.
RAY_CLUSTER = _fields(
    "headGroupSpec",
    authOptions=_fields(mode={"enum": ["disabled", "token"]}, enableK8sTokenAuth=SWITCH),
    autoscalerOptions=_fields(
        idleTimeoutSeconds={"type": "integer"},
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        version={"enum": ["v1", "v2"]}, image=TEXT, imagePullPolicy=TEXT, resources={"type": "object"},
        securityContext={"type": "object"}, env={"type": "array"}, envFrom={"type": "array"},
        volumeMounts={"type": "array"},
    ),
    enableInTreeAutoscaling=SWITCH,
    headGroupSpec=_fields(
        "template", enableIngress=SWITCH, headService={"type": "object"}, rayStartParams=TEXTS,
        serviceType=TEXT, template=POD,
    ),
    rayVersion=TEXT,
    suspend=SWITCH,
    workerGroupSpecs={
        "type": "array",
        "items": _fields(
            "groupName", "maxReplicas", "minReplicas", "template", groupName=TEXT, maxReplicas=COUNT,
            minReplicas=COUNT, numOfHosts=COUNT, rayStartParams=TEXTS, replicas=COUNT, template=POD,
        ),
    },
)  # fmt: skip


@pytest.fixture
def aws(project: Path) -> dict[str, Any]:
    return yaml.safe_load((project / "experiments/clusters/aws.yaml").read_text())


@pytest.fixture
def kuberay(project: Path) -> dict[str, dict[str, Any]]:
    """What the file asks for, by kind and name."""
    documents = yaml.safe_load_all((project / "experiments/clusters/kuberay.yaml").read_text())
    return {f"{document['kind']}/{document['metadata']['name']}": document for document in documents}


def test_ray_takes_the_aws_file(aws: dict[str, Any], project: Path) -> None:
    whole = prepare_config(dict(aws))
    validate_config(whole)
    head, gpu = (whole["available_node_types"][name] for name in ("head", "gpu"))
    assert whole["head_node_type"] == "head"
    assert "InstanceMarketOptions" not in head["node_config"], "the head must not be taken back"
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert (gpu["min_workers"], gpu["max_workers"], head["resources"]) == (0, 8, {"CPU": 0})
    for node in (head, gpu):
        assert node["node_config"]["SecurityGroupIds"], "one that Ray makes opens ssh to the world"
    assert "security_group" not in whole["provider"]
    assert whole["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for source in set(whole["file_mounts"].values()) - {"~/.ray/auth_token"}:
        assert (project / source).exists(), source


def test_rays_schema_refuses_what_it_does_not_know(aws: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="min_worker"):
        validate_config(prepare_config({**aws, "min_worker": 0}))


def test_kuberay_has_the_fields_of_its_definition(kuberay: dict[str, dict[str, Any]]) -> None:
    cluster = kuberay["RayCluster/raytransfer"]
    assert cluster["apiVersion"] == "ray.io/v1"
    Draft202012Validator(RAY_CLUSTER).validate(cluster["spec"])
    wrong = {**cluster["spec"], "authOptions": {"mode": "password"}}
    assert not Draft202012Validator(RAY_CLUSTER).is_valid(wrong)
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"]
    (group,) = spec["workerGroupSpecs"]
    assert (group["minReplicas"], group["replicas"]) == (0, 0)
    (worker,) = group["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_what_kuberay_refers_to_is_there(kuberay: dict[str, dict[str, Any]]) -> None:
    spec = kuberay["RayCluster/raytransfer"]["spec"]
    server = kuberay["Deployment/mlflow"]["spec"]["template"]
    pods = [spec["headGroupSpec"]["template"], spec["workerGroupSpecs"][0]["template"], server]
    for pod in pods:
        volumes = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"]
        }
        assert all(f"PersistentVolumeClaim/{claim}" in kuberay for claim in volumes.values())
        (container,) = pod["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert len({pod["spec"]["containers"][0]["image"] for pod in pods}) == 1
    assert kuberay["Service/mlflow"]["spec"]["selector"] == server["metadata"]["labels"]
    policy = kuberay["NetworkPolicy/mlflow"]["spec"]
    assert policy["podSelector"]["matchLabels"] == server["metadata"]["labels"]


@pytest.mark.parametrize("name", ["aws.yaml", "kuberay.yaml"])
def test_versions_and_honesty(name: str, project: Path) -> None:
    text = (project / "experiments/clusters" / name).read_text()
    assert "It was NOT run" in text
    if name == "kuberay.yaml":
        pinned = (project / "constraints.txt").read_text()
        assert f"ray=={ray.__version__}\n" in pinned
        assert f"rayVersion: {ray.__version__}\n" in text
        assert f"FROM rayproject/ray:{ray.__version__}-py311\n" in text
