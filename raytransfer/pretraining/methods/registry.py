"""The pretraining methods by name."""

from raytransfer.pretraining.methods.base import Method
from raytransfer.registry import Registry

METHODS: Registry[type[Method]] = Registry(
    "pretraining method",
    supervised="raytransfer.pretraining.methods.supervised:Supervised",
    simsiam="raytransfer.pretraining.methods.simsiam:SimSiam",
)
