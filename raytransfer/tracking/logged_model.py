"""A trained model of a target task in MLflow's own form, for those who want to use it."""

import importlib.metadata
import tempfile
from pathlib import Path

import mlflow.pytorch
import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.evaluation.trained import load_trained

MODEL_NAME = "model"


def log_model(client: MlflowClient, experiment_id: str, run_id: str, path: Path, *, step: int) -> str:
    """Log a model that `save_trained` wrote, in MLflow's flavour "pytorch", as an output of a run.

    `mlflow.pytorch.load_model(f"runs:/{run_id}/model")` gives a module from images (N, 3, size, size) in
    [0, 1] to what the task serves: of segmentation logits (N, classes, size, size), of classification
    probabilities (N, classes). It is stored as a graph (`torch.export`, "pt2"), not as a
    pickle: MLflow loads it with MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false too, and without this package.

    Args:
        client: Of the store.
        experiment_id: The run's experiment.
        run_id: The run.
        path: The file.
        step: Epochs of training.

    Returns:
        MLflow's id of the model.

    Raises:
        MlflowException: The store does not take it.
        OSError: The file cannot be read.
    """
    trained, about = load_trained(path)
    model, size = TASKS[about["task"]].served_model(trained).eval(), about["image_size"]
    images = np.zeros((2, 3, size, size), np.float32)  # of two, so that the graph takes any number
    with torch.inference_mode():
        output = model(torch.from_numpy(images))
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, 3, size, size))]),
        Schema([TensorSpec(np.dtype("float32"), (-1, *output.shape[1:]))]),
    )
    logged = client.create_logged_model(experiment_id, name=MODEL_NAME, source_run_id=run_id)
    try:
        with tempfile.TemporaryDirectory() as folder:
            mlflow.pytorch.save_model(
                model,
                f"{folder}/{MODEL_NAME}",
                mlflow_model=Model(artifact_path=MODEL_NAME, run_id=run_id, model_id=logged.model_id),
                signature=signature,
                input_example=images,
                pip_requirements=[
                    f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "numpy")
                ],
                serialization_format="pt2",
                metadata={"class_names": list(about["class_names"])},
            )
            client.log_model_artifacts(logged.model_id, f"{folder}/{MODEL_NAME}")
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step)])
    return str(logged.model_id)
