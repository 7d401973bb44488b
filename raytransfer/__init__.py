"""Which encoder to transfer to a medical imaging task, and how long it should have been pretrained.

What is public stands in `__all__`, and is imported when it is first asked for: `import raytransfer` reads
neither torch nor Ray.

Examples:
    >>> import raytransfer
    >>> study = raytransfer.presets.smoke()
    >>> study.models
    ('unet-micro', 'resnet-unet-micro')
    >>> raytransfer.create_encoder("unet-micro").level_channels
    (8, 16, 32, 64, 128)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytransfer import presets
    from raytransfer.data.registry import load_source, load_target
    from raytransfer.errors import InputError, WorkFailedError
    from raytransfer.metrics.ranking import transferability_indicator_score
    from raytransfer.models.registry import create_encoder, create_segmentation_model
    from raytransfer.pipeline.api import evaluate, load_checkpoint, pretrain, run, score, session
    from raytransfer.study import Study

_PUBLIC = {
    "InputError": "raytransfer.errors",
    "Study": "raytransfer.study",
    "WorkFailedError": "raytransfer.errors",
    "create_encoder": "raytransfer.models.registry",
    "create_segmentation_model": "raytransfer.models.registry",
    "evaluate": "raytransfer.pipeline.api",
    "load_checkpoint": "raytransfer.pipeline.api",
    "load_source": "raytransfer.data.registry",
    "load_target": "raytransfer.data.registry",
    "presets": "",
    "pretrain": "raytransfer.pipeline.api",
    "run": "raytransfer.pipeline.api",
    "score": "raytransfer.pipeline.api",
    "session": "raytransfer.pipeline.api",
    "transferability_indicator_score": "raytransfer.metrics.ranking",
}
"""Public name -> the module that has it; a module itself has none."""

__all__ = [
    "InputError",
    "Study",
    "WorkFailedError",
    "create_encoder",
    "create_segmentation_model",
    "evaluate",
    "load_checkpoint",
    "load_source",
    "load_target",
    "presets",
    "pretrain",
    "run",
    "score",
    "session",
    "transferability_indicator_score",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _PUBLIC[name]
    value = getattr(import_module(module), name) if module else import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
