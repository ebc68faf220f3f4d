"""Small tables in HTML, as notebooks show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]

_ALIGNED = ' style="text-align: {}"'


def html_table(
    caption: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()
) -> str:
    """Return a table: the first column to the left, numbers to the right.

    It has no colours of its own, so it suits light and dark pages.

    Parameters
    ----------
    caption : str
        Title of the table.
    rows : iterable of sequence
        Cells of each row; numbers are texts already.
    head : sequence of str, optional
        Titles of the columns.

    Examples
    --------
    >>> html_table("a < b", [])
    '<table><caption>a &lt; b</caption></table>'
    """
    lines = []
    if head:
        lines.append("".join(f'<th scope="col">{escape(text)}</th>' for text in head))
    for first, *others in rows:
        left, side = (
            _ALIGNED.format("left"),
            _ALIGNED.format("right" if head else "left"),
        )
        cells = "".join(f"<td{side}>{escape(str(cell))}</td>" for cell in others)
        lines.append(f'<th scope="row"{left}>{escape(str(first))}</th>{cells}')
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>{escape(caption)}</caption>{body}</table>"
