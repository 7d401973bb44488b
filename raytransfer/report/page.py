"""The page: tables, figures and words as one HTML file that needs nothing else, and as CSV and SVG files."""

import base64
import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from raytransfer.report.figures import DARK

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a table on the page.

    Attributes:
        text: What it shows.
        note: Smaller text under it.
        value: What it is sorted by; the text where None.
        missing: Whether it stands for a result that is not there.
        strong: Whether it stands out.
    """

    text: str
    note: str = ""
    value: float | None = None
    missing: bool = False
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page, and its numbers in full.

    Attributes:
        name: Of its CSV file.
        title: What it shows.
        note: How to read it.
        headers: Of the columns.
        rows: Of cells.
        data: Plain rows of the CSV file, at least one.
    """

    name: str
    title: str
    note: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    data: Rows
    kind = "table"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the page, and what is drawn.

    Attributes:
        name: Of its SVG and CSV files.
        title: What it shows.
        note: How to read it.
        draw: Draws it into a file.
        data: Plain rows of the CSV file, at least one.
    """

    name: str
    title: str
    note: str
    draw: Callable[[Path], None]
    data: Rows
    kind = "figure"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes:
        name: Its anchor.
        title: Its heading.
        words: Paragraphs that introduce it.
        items: Tables and figures.
    """

    name: str
    title: str
    words: Sequence[str]
    items: Sequence[Table | Figure]


def number(value: float | None, places: int = 4, note: str = "", *, strong: bool = False) -> Cell:
    """Return a cell of a number; a dash where there is none."""
    if value is None or math.isnan(value):
        return Cell(text="–", note=note)
    return Cell(text=f"{value:.{places}f}".replace("-", "−"), note=note, value=value, strong=strong)


def words(text: Any) -> Cell:
    """Return a cell of text, or of a value that reads as its text does."""
    return Cell(text=str(text), value=float(text) if isinstance(text, int | float) else None)


def slug(name: str) -> str:
    """Return a name for a file."""
    return "".join(c if c.isalnum() else "_" for c in name)


def missing() -> Cell:
    """Return the cell of a result that is not there."""
    return Cell(text="missing", missing=True)


def csv_text(rows: Rows) -> str:
    """Return rows as CSV, numbers in full; what is not there is an empty cell."""

    def plain(value: Any) -> Any:
        return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value

    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: plain(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _data_uri(kind: str, content: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


def _inline(svg: str, name: str) -> str:
    """Return a figure for the page: its colours follow the page's, its ids are its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(?<= id=")|(?<="#)|(?<=url\(#)', f"{name}-", svg)
    for index, color in enumerate(DARK):
        svg = svg.replace(color, f"var(--figure-{index})")
    return svg


def _figure_files(figure: Figure, folder: Path) -> dict[str, Any]:
    path = folder / f"{figure.name}.svg"
    figure.draw(path)
    svg, data = path.read_text(), csv_text(figure.data)
    path.with_suffix(".csv").write_text(data)
    return {
        "inline": _inline(svg, figure.name),
        "svg": f"{folder.name}/{path.name}",
        "csv": _data_uri("text/csv", data),
    }


def _table_files(table: Table, folder: Path) -> dict[str, Any]:
    data = csv_text(table.data)
    (folder / f"{table.name}.csv").write_text(data)
    return {"csv": _data_uri("text/csv", data)}


def write_page(folder: Path, sections: Sequence[Section], **facts: Any) -> Path:
    """Write `report.html`, its tables and its figures; return the page's path.

    Args:
        folder: Where to; there already.
        sections: In their order.
        **facts: What else `page.html` shows.
    """
    for name in ("tables", "figures"):
        (folder / name).mkdir(exist_ok=True)
    files = {
        item.name: _figure_files(item, folder / "figures")
        if isinstance(item, Figure)
        else _table_files(item, folder / "tables")
        for section in sections
        for item in section.items
    }
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    ).get_template("page.html")  # fmt: skip
    colors = [(index, light, dark) for index, (light, dark) in enumerate(DARK.items())]
    page = folder / "report.html"
    page.write_text(template.render(sections=sections, files=files, colors=colors, **facts))
    return page
