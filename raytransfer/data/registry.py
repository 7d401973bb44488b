"""Source and target datasets by name: what there is, what is missing on this machine, loading."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raytransfer.commands import command
from raytransfer.data.arrays import TargetData
from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.data.sources.images import ClassificationData
from raytransfer.data.targets.cases import PrepareSettings
from raytransfer.data.targets.prepared import DESCRIPTION, fingerprint, load_prepared, prepared_path
from raytransfer.errors import InputError, unknown_name
from raytransfer.registry import Registry, imported, require_packages


@dataclass(frozen=True, kw_only=True)
class _Loadable:
    """A dataset that is loaded by a function of its own.

    Attributes:
        where: What loads it, as in a `Registry`.
        packages: Those of the extra `demo` that hold it.
        task: What a target is for.
    """

    where: str
    packages: tuple[str, ...] = ()
    task: str = "segmentation"

    def load(self, config: Any) -> Any:
        """Return the data."""
        return imported(self.where)(config)


SOURCES = {
    "photographs": _Loadable(
        where="raytransfer.data.sources.photographs:load_photographs", packages=("skimage", "sklearn")
    ),
    "imagenet": _Loadable(where="raytransfer.data.sources.imagenet:load_imagenet"),
}
EMBEDDED_TARGETS = {
    "mni152": _Loadable(where="raytransfer.data.targets.mni152:load_mni152", packages=("nilearn",)),
    "mni152-planes": _Loadable(
        where="raytransfer.data.targets.mni152_planes:load_planes",
        packages=("nilearn",),
        task="classification",
    ),
}
OFFICIAL_TARGETS: Registry[Mapping[str, Mapping[str, int]]] = Registry(
    "target dataset",
    **{
        "acdc": "raytransfer.data.targets.acdc:OFFICIAL",
        "covid-qu-ex": "raytransfer.data.targets.covid_qu_ex:OFFICIAL",
        "idrid": "raytransfer.data.targets.idrid:OFFICIAL",
    },
)
"""Prepared targets whose owners say how large they are."""
TARGETS = (*EMBEDDED_TARGETS, *OFFICIAL_TARGETS)
"""The targets with a name of their own; any prepared folder and `msd/<Task>` are targets too."""
IMAGENET_SIZE = (1_281_167, 1000)
"""Training images and classes of ImageNet-1k."""


def _is_prepared(name: str, config: TargetSettings) -> bool:
    return (prepared_path(name, config.data_root) / DESCRIPTION).exists()


def _check_source(config: SourceSettings) -> None:
    if config.name not in SOURCES:
        raise unknown_name("source dataset", config.name, SOURCES)
    require_packages(f"source dataset {config.name!r}", SOURCES[config.name].packages, extra="demo")


def _check_target(name: str, config: TargetSettings) -> None:
    if name in EMBEDDED_TARGETS:
        require_packages(f"target dataset {name!r}", EMBEDDED_TARGETS[name].packages, extra="demo")
    elif not (
        name in OFFICIAL_TARGETS
        or name.startswith("msd/")
        or name in dict(config.fingerprints)
        or _is_prepared(name, config)
    ):
        raise unknown_name("target dataset", name, [*TARGETS, "msd/<Task>"])


def check_data(source: SourceSettings, datasets: Iterable[str], target: TargetSettings) -> None:
    """Check that there are such source and target datasets, and the packages they need.

    Raises:
        InputError: There is no such dataset, or a package it needs is missing.
    """
    _check_source(source)
    for name in datasets:
        _check_target(name, target)


def source_problem(config: SourceSettings) -> str | None:
    """Return what keeps a source dataset from being loaded on this machine; None where nothing does."""
    if config.name == "imagenet":
        from raytransfer.data.sources.imagenet import imagenet_classes  # with what decodes images

        try:
            imagenet_classes(config)
        except InputError as error:
            return f"source dataset 'imagenet': {error}"
    return None


def target_problem(name: str, config: TargetSettings) -> str | None:
    """Return what keeps a target dataset from being loaded on this machine; None where nothing does."""
    if name in EMBEDDED_TARGETS or _is_prepared(name, config):
        return None
    fill = command("prepare", "--dataset", name, "--source", "DIR", "--data-root", config.data_root)
    return f"target dataset {name!r} is not in {config.data_root}: {fill}"


def load_source(config: SourceSettings) -> ClassificationData:
    """Load a source dataset.

    Raises:
        InputError: There is no such dataset, or a package or folder it needs is missing.

    Examples:
        >>> data = load_source(SourceSettings(train_per_class=2, val_per_class=1))
        >>> len(data.train), len(data.class_names)
        (40, 20)
    """
    _check_source(config)
    loaded: ClassificationData = SOURCES[config.name].load(config)
    return loaded


def target_task(name: str) -> str:
    """Return the kind of target task that a target dataset is for; prepared datasets are of segmentation."""
    return EMBEDDED_TARGETS[name].task if name in EMBEDDED_TARGETS else "segmentation"


def load_target(name: str, config: TargetSettings) -> TargetData:
    """Load a target dataset.

    Raises:
        InputError: There is no such dataset, it is not prepared, or its prepared form is damaged.

    Examples:
        >>> load_target("mni152", TargetSettings(slice_step=10)).image_size
        64
    """
    _check_target(name, config)
    if name in EMBEDDED_TARGETS:
        loaded: TargetData = EMBEDDED_TARGETS[name].load(config)
        return loaded
    if (problem := target_problem(name, config)) is not None:
        raise InputError(problem)
    return load_prepared(prepared_path(name, config.data_root))


def source_size(config: SourceSettings) -> tuple[int, int]:
    """Return how many training images and classes a source dataset has; ImageNet's own where it is not here.

    Raises:
        InputError: As `load_source`.
    """
    if config.name == "imagenet" and source_problem(config) is not None:
        return IMAGENET_SIZE
    data = load_source(config)
    return len(data.train), len(data.class_names)


def training_size(name: str, config: TargetSettings) -> tuple[int, int]:
    """Return how many training items a target dataset has and their side in pixels.

    Where an official dataset is not prepared: its owners' number, and the size `prepare` has by default.

    Raises:
        InputError: It is not prepared, and no official number is known.
    """
    if name in OFFICIAL_TARGETS and not _is_prepared(name, config):
        return OFFICIAL_TARGETS[name]["train"]["items"], PrepareSettings().image_size
    data = load_target(name, config)
    return len(data.train), data.image_size


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().resolve()) if folder else folder


def resolve_data(
    source: SourceSettings, datasets: Iterable[str], target: TargetSettings
) -> tuple[SourceSettings, TargetSettings]:
    """Make paths absolute and read the fingerprints of all data that are on this machine.

    Called once, in the driver, in whose working directory relative paths are meant. Fingerprints that the
    settings already have are kept where the data are not here.

    Raises:
        InputError: Data are here, but with another fingerprint than the settings have.
    """
    source = replace(source, root=_absolute(source.root))
    target = replace(target, data_root=_absolute(target.data_root))
    if source.name == "imagenet" and source_problem(source) is None:
        from raytransfer.data.sources.imagenet import imagenet_fingerprint

        found = imagenet_fingerprint(source)
        _check_same(f"source dataset {source.name!r}", source.root, source.fingerprint, found)
        source = replace(source, fingerprint=found)
    fingerprints = dict(target.fingerprints)
    for name in datasets:
        if name not in EMBEDDED_TARGETS and _is_prepared(name, target):
            path = prepared_path(name, target.data_root)
            found = fingerprint(path)
            _check_same(f"target dataset {name!r}", str(path), fingerprints.get(name, ""), found)
            fingerprints[name] = found
    return source, replace(target, fingerprints=tuple(sorted(fingerprints.items())))


def _check_same(what: str, where: str, known: str, found: str) -> None:
    if known and found != known:
        raise InputError(
            f"{what} in {where} is not the one that this study was begun with (fingerprint "
            f"{known[:10]} then, {found[:10]} now): bring that one back, or use another --storage-path"
        )


def unseen_data(source: SourceSettings, datasets: Iterable[str], target: TargetSettings) -> list[str]:
    """Return which of the data that the driver resolved this machine does not see, a line each.

    Of an image tree the class folders are looked at, not its files.
    """
    lines = []
    if source.fingerprint and (problem := source_problem(source)) is not None:
        lines.append(f"source.root={source.root} ({problem})")
    known = dict(target.fingerprints)
    for name in (name for name in datasets if name in known):
        path = prepared_path(name, target.data_root)
        if not _is_prepared(name, target):
            lines.append(f"target.data_root={target.data_root} (there is no {path / DESCRIPTION})")
        elif fingerprint(path) != known[name]:
            lines.append(f"target.data_root={target.data_root} ({path} holds other data than here)")
    return lines


def target_identity(name: str, config: TargetSettings) -> dict[str, Any]:
    """Return what tells a target dataset's content from any other's, as plain JSON values; reads no file.

    Raises:
        InputError: It is a prepared dataset whose fingerprint `resolve_data` has not found.
    """
    if name in EMBEDDED_TARGETS:
        return {"image_size": config.image_size, "slice_step": config.slice_step}
    found = dict(config.fingerprints).get(name)
    if found is None:
        raise InputError(
            f"target dataset {name!r} has no fingerprint: resolve_data reads that of prepared data"
        )
    return {"fingerprint": found}
