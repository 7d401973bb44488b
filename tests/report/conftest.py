"""A page as a browser reads it, and the verb that makes it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from raytransfer.cli.verbs import report as verb

VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict
    children: list = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def number(self) -> float:
        """The number of a cell, which its text rounds."""
        number, shown = float(self.attributes["data-value"]), self.children[0].strip().replace("−", "-")
        assert abs(float(shown) - number) <= 0.5001 * 10.0 ** -len(shown.partition(".")[2])
        return number

    def find(self, *tags: str) -> list["Element"]:
        inside = [child for child in self.children if isinstance(child, Element)]
        return [one for child in inside for one in ([child] if child.tag in tags else []) + child.find(*tags)]


class Page(HTMLParser):
    """A page whose tags must be closed in the order they were opened."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.source = path.read_text()
        self.feed(self.source)
        assert self.open == [self.root], "tags are left open"
        self.elements = self.root.find(*{tag for tag in self._tags(self.root)})

    def _tags(self, of: Element) -> set[str]:
        return {of.tag}.union(*(self._tags(c) for c in of.children if isinstance(c, Element)))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of <{tag}> is there twice"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def by_id(self, name: str) -> Element:
        return next(e for e in self.elements if e.attributes.get("id") == name)

    def table(self, name: str) -> list[dict[str, Element]]:
        """The rows of a table, each by its headers."""
        table = self.by_id(name).find("table")[0]
        headers = [cell.text for cell in table.find("th")]
        rows = [row.find("td") for row in table.find("tbody")[0].find("tr")]
        assert all(len(row) == len(headers) for row in rows)
        return [dict(zip(headers, row, strict=True)) for row in rows]


@pytest.fixture(scope="session")
def open_page() -> type[Page]:
    return Page


@pytest.fixture(scope="session")
def report() -> ModuleType:
    return verb
