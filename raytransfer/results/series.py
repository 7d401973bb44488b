"""Whether a pretraining's checkpoint series is whole, was imported, or can be trained on."""

from typing import Any

from raytransfer.errors import InputError
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit


def is_imported(unit: PretrainingUnit, storage: Storage) -> bool:
    """Return whether a unit's checkpoint series was imported: it is used as it is, never trained on."""
    series = storage.series(unit.encoder, unit.scheme)
    return any("imported_from" in meta for meta in series.read_metas().values())


def series_problem(unit: PretrainingUnit, storage: Storage) -> str | None:
    """Return what keeps a unit's checkpoint series from being complete, None where nothing does.

    Raises:
        CorruptCheckpointError: A checkpoint of the series is damaged.
        InputError: The series was pretrained with other settings.
    """
    series = storage.series(unit.encoder, unit.scheme)
    metas = series.read_metas()
    for epoch, meta in metas.items():
        if "imported_from" not in meta and meta.get("pretraining") != unit.key:
            raise InputError(
                f"checkpoint {series.path(epoch)} was pretrained with other settings"
                f"{_difference(meta.get('settings', {}), unit.settings)}: use another --storage-path, or "
                f"delete {series.directory}"
            )
    missing = [epoch for epoch in unit.recipe.series if epoch not in metas]
    return f"{unit.name} lacks epochs {missing}" if missing else None


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Name the settings that differ, for example " (pretraining.epochs: 20 there, 3 here)"."""
    found = []
    for section, values in here.items():
        other = there.get(section)
        pairs = values.items() if isinstance(values, dict) else [("", values)]
        for key, value in pairs:
            theirs = other.get(key) if isinstance(other, dict) else other
            if theirs != value:
                found.append(f"{section}{'.' if key else ''}{key}: {theirs} there, {value} here")
    return f" ({'; '.join(found)})" if found else ""


def is_trainable(unit: PretrainingUnit, storage: Storage) -> bool:
    """Return whether a pretraining can go on: it is not imported, and its series or its epochs lack some."""
    if is_imported(unit, storage):
        return False
    return series_problem(unit, storage) is not None or storage.pretraining_run(unit.key).exists()


def is_pending(unit: PretrainingUnit, storage: Storage) -> bool:
    """Return whether this command is to train a unit: it can go on, and see `Failures`."""
    return is_trainable(unit, storage) and storage.failures.selects("pretraining", unit.key)
