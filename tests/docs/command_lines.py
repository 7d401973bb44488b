"""The command lines of README.md, docs/*.md and the scripts' help, as they stand there.

A command line is

- a line of a fenced block whose language is bash, sh, shell or console, or has none and whose first word is a
  program's; in a block that begins with `$ ` a line after that, and what follows is its output;
- in running text, what stands between backticks, begins with python, make or a script's name, and goes on;
- a line of a docstring's `Command:`.

A block that only shows output begins with no program's name, or has the language text.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raytransfer.commands import MODULES, SCRIPTS, with_scripts

COMMANDS, OUTPUT = ("bash", "sh", "shell", "console"), ("text", "yaml", "json", "python", "toml")
PROGRAMS = (
    "python", "python3", "make", "ray", "pip", "source", "export", "cd", "ssh", "git", "mlflow", "docker",
    "kubectl", "aws", "apt", "sudo", "curl", "raytransfer",
)  # fmt: skip
"""Programs that need not be on the machine that runs the tests."""


@dataclass(frozen=True)
class CommandLine:
    """One of them.

    Attributes:
        text: The line without what is said beside it.
        where: File and number of its line.
        output: What is shown of its output; nothing for most.
    """

    text: str
    where: str
    output: str = ""


def _without_comment(line: str) -> str:
    """Cut what is said beside a command, after # or in brackets after two spaces, and what aligns it."""
    match = re.match(r"""((?:'[^']*'|"[^"]*"|[^'"])*?)(?:\s+#\s.*|\s{2,}\(.*)?$""", line)
    return " ".join((match[1] if match else line).split())


def _is_program(word: str) -> bool:
    return word in PROGRAMS or (bool(word) and shutil.which(word) is not None)


def _of_block(language: str, lines: list[tuple[int, str]], file: str) -> Iterator[CommandLine]:
    first = next((line.strip() for _, line in lines if line.strip()), "")
    if language in OUTPUT or not (
        language in COMMANDS or first.startswith("$ ") or _is_program(first.partition(" ")[0])
    ):
        return
    if first.startswith("$ "):
        starts = [i for i, (_, line) in enumerate(lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            number, line = lines[start]
            shown = "\n".join(line for _, line in lines[start + 1 : end])
            yield CommandLine(
                _without_comment(line.removeprefix("$ ")), f"{file}:{number}", shown.rstrip("\n")
            )
        return
    begun = ""
    for number, line in lines:
        whole = begun + line.strip()
        begun = whole[:-1] if whole.endswith("\\") else ""
        if whole and not begun and not whole.startswith("#"):
            yield CommandLine(_without_comment(whole), f"{file}:{number}")


def _of_text(text: str, file: str, scripts: dict[str, str]) -> Iterator[CommandLine]:
    """Yield the commands between backticks; a script's name alone stands for `python experiments/...`."""
    for match in re.finditer(r"`([^`]+)`", text):
        code = " ".join(match[1].split())
        word, _, rest = code.partition(" ")
        if word in scripts:
            code = f"python {scripts[word]} {rest}"
        elif word not in ("python", "make"):
            continue
        if rest:
            yield CommandLine(code, f"{file}:{text.count(chr(10), 0, match.start()) + 1}")


def of_markdown(text: str, file: str, scripts: dict[str, str]) -> Iterator[CommandLine]:
    """Yield the command lines of a page.

    Args:
        text: The page.
        file: What it is called.
        scripts: What a script is called -> its path from the checkout.
    """
    running: list[str] = []
    block: list[tuple[int, str]] | None = None
    fence = language = ""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*(```+|~~~+)\s*(\S*)", line)
        if block is None and match:
            fence, language, block = match[1], match[2].lower(), []
            running.append("")
        elif block is not None and line.strip() == fence:
            yield from _of_block(language, block, file)
            block = None
            running.append("")
        elif block is not None:
            block.append((number, line))
            running.append("")
        else:
            running.append(line)
    assert block is None, f"{file}: a fenced block has no end"
    yield from _of_text("\n".join(running), file, scripts)


def of_script(source: str, file: str) -> Iterator[CommandLine]:
    """Yield the command lines of a docstring: under `Command:`, up to the next such word."""
    doc, under = ast.get_docstring(ast.parse(source), clean=False) or "", False
    for number, line in enumerate(doc.splitlines(), 1):
        if match := re.match(r"(\w+):(.*)", line):
            under, line = match[1] == "Command", match[2]
        if under and line.strip().startswith("python "):
            yield CommandLine(_without_comment(line.strip()), f"{file}:{number}")


def command_lines(project: Path) -> list[CommandLine]:
    """Return all command lines, each once: where it stands first, or where its output is shown."""
    paths = [str(file.relative_to(project)) for file in sorted(project.glob("experiments/*.py"))]
    scripts = {name: path for path in paths for name in (path, Path(path).name)}
    found: dict[str, CommandLine] = {}
    for page in [project / "README.md", *sorted(project.glob("docs/*.md"))]:
        for line in of_markdown(page.read_text(), str(page.relative_to(project)), scripts):
            if line.text not in found or line.output:
                found[line.text] = line
    for script, module in sorted((SCRIPTS[verb], module) for verb, module in MODULES.items()):
        source = (project / f"raytransfer/cli/verbs/{module}.py").read_text()
        for line in of_script(with_scripts(source), f"experiments/{script}"):
            found.setdefault(line.text, line)
    return list(found.values())
