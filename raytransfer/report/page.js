// Tables sort by a click on a column's head: numbers by value, the rest as text, missing cells last.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = row => {
        const cell = row.cells[column], value = cell.dataset.value;
        if (cell.classList.contains("missing") || cell.textContent.trim() === "–") return null;
        return value === undefined ? cell.textContent.trim() : Number(value);
      };
      const compare = (a, b) => typeof a === "number" && typeof b === "number"
        ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      const rows = [...body.rows].map(row => [key(row), row]);
      rows.sort(([a], [b]) => a === null || b === null
        ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// A figure downloads as it is drawn in the page, in its light colours; without scripts, from the folder beside it.
for (const link of document.querySelectorAll("a.drawn")) {
  link.addEventListener("click", () => {
    const svg = link.closest("figure").querySelector("svg").cloneNode(true);
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const text = figureColors.reduceRight(
      (text, color, index) => text.replaceAll(`var(--figure-${index})`, color), svg.outerHTML);
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  });
}
