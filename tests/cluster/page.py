"""The commands of docs/cluster.md. The lab runs these and no others of its own, so that the page is true."""

import re
from collections.abc import Mapping
from pathlib import Path


class Page:
    """The page's commands, with the lab's addresses, key and folder in place of its examples.

    Args:
        project: The checkout.
        instead: Example -> what the lab has instead.

    Attributes:
        unused: The commands that were not asked for yet, as they stand on the page.
    """

    def __init__(self, project: Path, instead: Mapping[str, str]) -> None:
        blocks = re.findall(r"```bash\n(.*?)```", (project / "docs/cluster.md").read_text(), flags=re.DOTALL)
        self._lines = [line for block in blocks for line in block.splitlines()]
        self._instead = instead
        self.unused = list(self._lines)

    def line(self, start: str, **instead: str) -> str:
        """Return the one command that begins so.

        Args:
            start: As it stands on the page.
            **instead: Name of a folder of the page -> the test's.
        """
        (line,) = [line for line in self._lines if line.startswith(start)]
        if line in self.unused:
            self.unused.remove(line)
        for name, other in instead.items():
            line = line.replace(f"/mnt/shared/{name}", f"/mnt/shared/{other}")
        for example, real in self._instead.items():
            line = line.replace(example, real)
        return line
