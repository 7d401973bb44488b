"""A study is a file: `<storage>/study.json` holds the settings that everything in the storage was made with.

The first command writes it, later ones read it, so that none needs `--set` again. A command may compare more
models, datasets, schemes, protocols, seeds or indicators, and the study grows by them, or only some of them.
Whatever else recorded results depend on must be what the file says; speed, memory, places of data and the
score that chooses may differ from command to command.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError

from raytransfer.errors import InputError, reason
from raytransfer.settings import from_dict, result_settings, to_dict
from raytransfer.storage.files import StoragePath, resolve_path, write_json
from raytransfer.study import Study

NAME = "study.json"
FORMAT = 1
GROWING = ("models", "datasets", "schemes", "protocols", "seeds", "indicators")
"""What a study compares: a command may name some of them, or more."""


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """What `study.json` says.

    Attributes:
        path: The file.
        preset: The preset the study began with.
        study: Its settings, with the fingerprints of its data.
    """

    path: StoragePath
    preset: str
    study: Study

    def part(self, given: Study) -> Study:
        """Return a command's settings with what it compares in the order of the study.

        The order of the schemes says under which of them the untrained epoch 0 is listed.

        Raises:
            InputError: Names each setting that differs and must not.
        """
        here, there = result_settings(given), result_settings(self.study)
        differences = [
            f"{key}: {_shown(there[key])} there, {_shown(value)} here"
            for key, value in here.items()
            if key not in GROWING and value != there[key]
        ]
        if differences:
            raise InputError(
                f"{self.path} holds a study of other settings ({'; '.join(differences)}): leave these "
                "away, or use another --storage-path"
            )
        whole = self.grown(given)
        lists: dict[str, Any] = {
            name: tuple(value for value in getattr(whole, name) if value in getattr(given, name))
            for name in GROWING
        }
        return replace(given, **lists)

    def grown(self, given: Study) -> Study:
        """Return the study with what a command adds to it."""
        lists: dict[str, Any] = {
            name: _union(getattr(self.study, name), getattr(given, name)) for name in GROWING
        }
        fingerprints = {**dict(self.study.target.fingerprints), **dict(given.target.fingerprints)}
        return replace(
            self.study,
            **lists,
            source=given.source,
            target=replace(given.target, fingerprints=tuple(sorted(fingerprints.items()))),
        )


def read_study(root: StoragePath) -> StudyFile | None:
    """Return the study of a storage path, None where it has none yet.

    Raises:
        InputError: The file is damaged, or the storage path cannot be read.
    """
    path = resolve_path(root, attempts=1) / NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, BotoCoreError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--storage-path {root} cannot be used: {said}") from error
    try:
        values = json.loads(content)
        if values["format"] != FORMAT:
            raise InputError(
                f"{path} has format {values['format']!r}, not {FORMAT}: another version wrote it"
            )
        study = from_dict(Study, values["settings"])
        return StudyFile(path=path, preset=str(values["preset"]), study=study)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged ({reason(error)}): delete it, and give the next command the preset and "
            "the --set options that the study was begun with"
        ) from error


def write_study(root: StoragePath, preset: str, study: Study) -> None:
    """Write the study of a storage path.

    Args:
        root: The storage path.
        preset: The preset it began with.
        study: Its settings; data resolved.
    """
    write_json(root / NAME, {"format": FORMAT, "preset": preset, "settings": to_dict(study)})


def _union(known: Iterable[Any], given: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*known, *given)))


def _shown(value: object) -> str:
    return json.dumps(value)
