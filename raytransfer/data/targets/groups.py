"""Which images must not be in both splits: those of one patient, or of whatever else is one group."""

import csv
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raytransfer.errors import InputError

GROUPS = "groups.csv"
COLUMNS = (("file", "group"), ("image", "group"))


def read_groups(
    source: Path, images: Sequence[Path], pattern: str | None, problems: list[str]
) -> dict[Path, str] | None:
    """Return image -> group, by a pattern of file names or by `groups.csv`; None where neither is given.

    Args:
        source: The folder, which may hold `groups.csv`.
        images: The image files.
        pattern: Regular expression with one group, found in a file's name.
        problems: One line is appended for each image without a group, and for each line that is of no image.

    Raises:
        InputError: The pattern is none, the table is none, or both are given.
    """
    table = source / GROUPS
    if pattern is not None:
        if table.is_file():
            raise InputError(f"{table} and --group-by {pattern!r} both say the groups: give one of them")
        return _by_pattern(source, images, pattern, problems)
    return _by_table(source, images, table, problems) if table.is_file() else None


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern of groups, compiled.

    Raises:
        InputError: It is no regular expression, or has none or several groups.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group-by {pattern!r} is no regular expression: {error}") from error
    if compiled.groups != 1:
        raise InputError(
            f"--group-by {pattern!r} must have one group in brackets, as in '^([^_]+)_', "
            f"got {compiled.groups}"
        )
    return compiled


def _by_pattern(source: Path, images: Sequence[Path], pattern: str, problems: list[str]) -> dict[Path, str]:
    compiled, groups = check_pattern(pattern), {}
    for image in images:
        match = compiled.search(image.name)
        if match is None or not match[1]:
            problems.append(f"{image.relative_to(source)}: its name has no group by --group-by {pattern!r}")
        else:
            groups[image] = match[1]
    return groups


def _by_table(source: Path, images: Sequence[Path], table: Path, problems: list[str]) -> dict[Path, str]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            head, *lines = list(csv.reader(file, strict=True)) or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{table} is no CSV file in UTF-8: {error}") from error
    if tuple(head) not in COLUMNS:
        raise InputError(f"{table} must begin with the line file,group; it begins with {','.join(head)!r}")
    by_name: dict[str, list[Path]] = {}
    for image in images:
        for name in {image.name, image.relative_to(source).as_posix()}:
            by_name.setdefault(name, []).append(image)
    groups: dict[Path, str] = {}
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        name, group = (part.strip() for part in line) if len(line) == 2 else ("", "")
        found = by_name.get(os.path.normpath(name), [])
        if not name or not group:
            problems.append(f"{GROUPS}: not a file and its group (line {number}: {','.join(line)!r})")
        elif len(found) != 1:
            what = "several images have that name" if found else "no image has that name"
            problems.append(f"{GROUPS}: {what} (line {number}: {name!r})")
        elif found[0] in groups:
            problems.append(f"{GROUPS}: an image is listed twice (line {number}: {name!r})")
        else:
            groups[found[0]] = group
    problems += [
        f"{image.relative_to(source)}: not listed in {GROUPS}" for image in images if image not in groups
    ]
    return groups


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What names of images suggest about their groups.

    Attributes:
        pattern: As `--group-by` takes it.
        groups: Name of the image -> group, of those that the pattern is found in.
        example: Two names of one group.
    """

    pattern: str
    groups: dict[str, str]
    example: tuple[str, str]

    def option(self, names: Iterable[str]) -> str:
        """Return what a user can do about it: the option where it covers all names, else the table."""
        covered = all(name in self.groups for name in names)
        return f"--group-by {shlex.quote(self.pattern)}" if covered else f"a table {GROUPS}"


def guess_groups(names: Sequence[str]) -> Guess | None:
    """Return the coarsest grouping that names such as p01_3.png and p01_4.png suggest; None if they do not.

    A group ends in a number and is followed by more of the name. There must be several of them, and one at
    least must have several images: names that merely count, as img_001.png, suggest nothing.
    """
    patterns = [
        "^(" + f"[^{sep}]+{re.escape(sep)}" * before + rf"[^{sep}]*\d){re.escape(sep)}"
        for before in range(4)
        for sep in "_- "
    ]
    patterns += [r"^(.*\d)[A-Za-z]+\d+\.", r"^(.*\d)[A-Za-z]\."]
    best: Guess | None = None
    for pattern in patterns:
        matches = {name: match[1] for name in names if (match := re.search(pattern, name))}
        first: dict[str, str] = {}
        twins = [(first[g], name) for name, g in matches.items() if first.setdefault(g, name) != name]
        count = len(first)
        likely = twins and count >= 2 and 2 * len(matches) >= len(names)
        if likely and (best is None or count < len(set(best.groups.values()))):
            best = Guess(pattern=pattern, groups=matches, example=twins[0])
    return best
