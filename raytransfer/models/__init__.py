"""Encoders (networks as levels), segmentation models, encoder weights in and out."""

from raytransfer.models.checkpoints import (
    CheckpointSeries,
    CorruptCheckpointError,
    ReplacedCheckpointError,
    load_encoder,
    read_meta,
    save_encoder,
)
from raytransfer.models.encoder import Encoder
from raytransfer.models.public_weights import import_public_encoder
from raytransfer.models.registry import create_encoder, create_segmentation_model, encoder_of, num_levels
from raytransfer.models.segmentation import SegmentationModel
from raytransfer.models.trained import load_trained, save_trained

__all__ = [
    "CheckpointSeries",
    "CorruptCheckpointError",
    "Encoder",
    "ReplacedCheckpointError",
    "SegmentationModel",
    "create_encoder",
    "create_segmentation_model",
    "encoder_of",
    "import_public_encoder",
    "load_encoder",
    "load_trained",
    "num_levels",
    "read_meta",
    "save_encoder",
    "save_trained",
]
