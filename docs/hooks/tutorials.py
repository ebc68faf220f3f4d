"""Tutorials: pages whose cells run, whose outputs are inside the page, and their notebooks.

A cell is a block of Python or of the shell below a line ``<!-- cell -->``. What it printed
is the block of text after it; an image after it is its variable ``figure``. Below
``<!-- file: NAME -->`` a block is a file that the page writes. All cells of a page run in
one Python and one folder.

``python docs/hooks/tutorials.py NAME ...`` runs pages and writes their outputs anew.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = [
    "FOLDER",
    "Cell",
    "cells",
    "differences",
    "notebook",
    "pages",
    "run",
    "with_results",
]

FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
_SITE = "https://github.com/gapfit/gapfit/blob/main/docs/tutorials"

_CELL = re.compile(
    r"<!-- (cell|file)(?:: ([^\n]*?))? -->\n"
    r"```(\w*)\n(.*?)```\n"
    r"(?:\n```text\n(.*?)```\n)?"
    r"(?:\n!\[([^\]]*)\]\(([^)\s]+)\)\n)?",
    re.DOTALL,
)
_PROGRESS = re.compile(r"^  [\w ]{16,} done in \d")
#: Numbers agree to this part, or to two units of the last digit that is shown: another
#: processor may choose other sparse points.
_PART = 0.05
#: What may stand beside a number in a word.
_AROUND = "()[],:;%±|"
#: What is smaller is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Cell:
    """A block of a page that runs.

    Attributes
    ----------
    kind : str
        ``"cell"``, or ``"file"`` for a file to be written.
    mark : str
        Name of the file; or ``within N %``, how far numbers of the output may differ, or
        ``quiet`` if the output is not shown.
    language, source : str
        Language and text of the block.
    output : str
        What it printed.
    title, figure : str
        Title and path of its figure, relative to the page; empty if there is none.
    """

    kind: str
    mark: str
    language: str
    source: str
    output: str = ""
    title: str = ""
    figure: str = ""

    @property
    def part(self) -> float:
        """Part by which numbers of the output may differ."""
        within = re.fullmatch(r"within (\d+) %", self.mark)
        return int(within[1]) / 100 if within else _PART

    @property
    def markdown(self) -> str:
        """The cell in the page."""
        mark = f": {self.mark}" if self.mark else ""
        text = f"<!-- {self.kind}{mark} -->\n```{self.language}\n{self.source}```\n"
        if self.output:
            text += f"\n```text\n{self.output}```\n"
        return text + (f"\n![{self.title}]({self.figure})\n" if self.figure else "")


def pages() -> list[Path]:
    """Return all tutorials."""
    return sorted(FOLDER.glob("*.md"))


def cells(text: str) -> list[Cell]:
    """Return the cells of a page."""
    return [part for part in _parts(text) if isinstance(part, Cell)]


def _parts(text: str) -> Iterator[str | Cell]:
    """Yield a page as text and cells."""
    end = 0
    for match in _CELL.finditer(text):
        yield text[end : match.start()]
        yield Cell(*(group or "" for group in match.groups()))
        end = match.end()
    yield text[end:]


def run(text: str) -> Iterator[tuple[Cell, str, str]]:
    """Run the cells of a page in the current folder.

    Yields
    ------
    tuple of Cell, str, str
        The cell as it is in the page; what it printed; and its figure as SVG, empty
        without one.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if cell.kind == "file":
                Path(cell.mark).write_text(cell.source, "utf-8")
            elif cell.language == "bash":
                _run_lines(cell.source)
            else:
                _run_python(cell.source, names)
        output = "" if cell.mark == "quiet" else _tidy(printed.getvalue())
        yield cell, output, _svg(names["figure"]) if cell.figure else ""


def _run_python(source: str, names: dict[str, Any]) -> None:
    """Run code; print the value of a last line that is an expression, as notebooks do."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        if value is not None and value is not names.get("figure"):
            print(value)


def _run_lines(source: str) -> None:
    """Run lines of a shell, those of gapfit in this process."""
    from gapfit.cli import main

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for line in source.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True)
        if program == "gapfit":
            if status := main(words):
                raise RuntimeError(f"{line}: exit status {status}")
        else:
            done = subprocess.run(
                [program, *words],
                env=os.environ | {"PATH": path},
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
            print(done.stdout, end="")


def _tidy(text: str) -> str:
    """Return an output without the times of progress and blanks at the ends of lines."""
    lines = [line.rstrip() for line in text.splitlines() if not _PROGRESS.search(line)]
    body = "\n".join(lines).strip("\n")
    return f"{body}\n" if body else ""


def _svg(figure: Any) -> str:
    """Return a figure as SVG with its texts as texts."""
    import matplotlib

    file = io.StringIO()
    # The same figure is the same file.
    fixed = {"svg.fonttype": "none", "svg.hashsalt": "gapfit"}
    with matplotlib.rc_context(fixed):
        figure.savefig(file, format="svg", metadata={"Date": None}, facecolor="white")
    # A hundredth of a point is enough.
    return _tidy(re.sub(r"(\d\.\d\d)\d+", r"\1", file.getvalue()))


def texts_of(svg: str) -> str:
    """Return the texts of a figure, in lines."""
    return "\n".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def differences(expected: str, actual: str, part: float = _PART) -> list[str]:
    """Return the lines in which two outputs differ by more than small parts of numbers."""
    pairs = zip(expected.splitlines(), actual.splitlines(), strict=False)
    found = [f"{a!r} became {b!r}" for a, b in pairs if not _agree(a, b, part)]
    n_expected, n_actual = len(expected.splitlines()), len(actual.splitlines())
    if n_expected != n_actual:
        found.append(f"{n_expected} lines became {n_actual}:\n{actual}")
    return found


def _agree(expected: str, actual: str, part: float) -> bool:
    words, others = expected.split(), actual.split()
    return len(words) == len(others) and all(
        word == other or _near(word.strip(_AROUND), other.strip(_AROUND), part)
        for word, other in zip(words, others, strict=True)
    )


def _near(word: str, other: str, part: float) -> bool:
    word, other = word.replace("−", "-"), other.replace("−", "-")  # matplotlib's minus
    try:
        a, b = float(word), float(other)
    except ValueError:
        return False
    mantissa, _, exponent = word.lower().partition("e")
    last = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(a - b) <= max(part * max(abs(a), abs(b)), 2.001 * last, _ROUNDING)


def with_results(page: Path) -> str:
    """Run a page in a new folder, write its figures, and return it with its outputs."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        done = []
        for cell, output, svg in run(text):
            if svg:
                (page.parent / cell.figure).write_text(svg, "utf-8")
            done.append(replace(cell, output=output))
    new = iter(done)
    return "".join(
        part if isinstance(part, str) else next(new).markdown for part in _parts(text)
    )


def notebook(page: Path) -> str:
    """Return a page as a Jupyter notebook, with its outputs and figures."""
    blocks = []
    for n, part in enumerate(_parts(page.read_text("utf-8"))):
        if isinstance(part, Cell):
            blocks.append(_code_cell(part, page, f"cell-{n}"))
        elif part.strip():
            blocks.append(
                {
                    "cell_type": "markdown",
                    "id": f"text-{n}",
                    "metadata": {},
                    "source": _absolute(part.strip()),
                }
            )
    content = {
        "cells": blocks,
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            }
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _code_cell(cell: Cell, page: Path, name: str) -> dict[str, Any]:
    outputs: list[dict[str, Any]] = []
    if cell.output:
        outputs.append({"output_type": "stream", "name": "stdout", "text": cell.output})
    if cell.figure:
        svg = (page.parent / cell.figure).read_text("utf-8")
        data = {"image/svg+xml": svg, "text/plain": cell.title}
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
    source = cell.source.rstrip("\n")
    if cell.kind == "file":
        source = f"%%writefile {cell.mark}\n{source}"
    elif cell.language == "bash":
        joined = source.replace("\\\n", " ")
        source = "\n".join(f"!{line}" for line in joined.splitlines())
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": {},
        "source": source,
        "outputs": outputs,
    }


def _absolute(text: str) -> str:
    """Return text whose links lead to the repository."""
    return re.sub(r"\]\((?!\w+:|#)([^)\s]+)\)", rf"]({_SITE}/\1)", text)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        tutorial = FOLDER / f"{argument}.md"
        tutorial.write_text(with_results(tutorial), "utf-8")
