"""Evaluation protocols by name."""

from raytransfer.evaluation.protocols.base import EvaluationProtocol
from raytransfer.registry import Registry

PROTOCOLS: Registry[EvaluationProtocol] = Registry(
    "protocol",
    fine_tuning="raytransfer.evaluation.protocols.fine_tuning:FINE_TUNING",
    frozen="raytransfer.evaluation.protocols.frozen:FROZEN",
    linear_probe="raytransfer.evaluation.protocols.linear_probe:LINEAR_PROBE",
)
