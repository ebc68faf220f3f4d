"""The page: sections, style and script in one self-contained file."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from gapfit._support.resources import in_words
from gapfit.data.observations import Quantity
from gapfit.model.provenance import is_foreign
from gapfit.report.contents import TITLES, Contents
from gapfit.report.drawing import Rendered
from gapfit.report.sections import Sections, term_name
from gapfit.report.tables import number

__all__ = ["page"]


def page(contents: Contents, figures: Mapping[str, Rendered]) -> str:
    """Return a report as self-contained HTML.

    Parameters
    ----------
    contents : Contents
        Contents of the report.
    figures : mapping of str to Rendered
        Its figures by name.
    """
    sections = list(Sections(contents, figures))
    css, js = (_asset(name) for name in ("report.css", "report.js"))
    # Only this script may run, so texts from data cannot run others.
    digest = base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    title = escape(f"{_elements(contents)} ({contents.title}) - gapfit report")
    toc = "\n".join(
        f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections
    )
    body = "\n".join(
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{escape(title)}</h2>\n{html}\n</section>'
        for name, title, html in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<nav aria-label="Contents"><p class="brand">gapfit report</p><ol>
{toc}
</ol></nav>
<main>
<header>
<h1>Potential for {escape(_elements(contents))}</h1>
<p class="subtitle">{escape(_subtitle(contents))}</p>
{_cards(contents)}
</header>
{body}
<footer>{escape(_written(contents))}</footer>
</main>
<div id="tip" role="status" aria-live="polite" hidden></div>
<script type="application/json" id="marks">{_data(figures)}</script>
<script>{js}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return (files("gapfit.report") / "assets" / name).read_text(encoding="utf-8")


def _data(figures: Mapping[str, Rendered]) -> str:
    """Return the data of marks as JSON that cannot close its HTML element."""
    texts: dict[str, int] = {}

    def packed(value: Any) -> Any:
        """Return a column with numbers instead of texts, which repeat often."""
        if isinstance(value, list) and value and isinstance(value[0], str):
            return {"texts": [texts.setdefault(text, len(texts)) for text in value]}
        return value

    groups = {
        name: [
            {key: packed(value) for key, value in marks.items()}
            for marks in figure.marks
        ]
        for name, figure in figures.items()
        if figure.marks
    }
    units = {quantity.reported: quantity.error_unit for quantity in Quantity}
    data = {"figures": groups, "texts": list(texts), "units": units}
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _subtitle(contents: Contents) -> str:
    terms = " + ".join(term_name(term.config) for term in contents.model.terms)
    baseline = " + ".join(contents.model.config.baseline.parts)
    return (
        f"Gaussian approximation potential {contents.title}: {terms}"
        f"{f', baseline {baseline}' if baseline else ''}"
    )


def _written(contents: Contents) -> str:
    from importlib.metadata import version

    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    more = " `gapfit report` adds a learning curve."
    if contents.learning or is_foreign(contents.model):
        more = ""
    return f"Written by gapfit {version('gapfit')} on {now}.{more}"


def _elements(contents: Contents) -> str:
    from ase.data import chemical_symbols

    return ", ".join(chemical_symbols[z] for z in contents.model.species)


def _cards(contents: Contents) -> str:
    """Return the most important numbers."""
    model, record = contents.model, contents.model.record
    cards = []
    if not is_foreign(model):
        n_atoms = f"{record.n_atoms or '?'} atoms"
        cards.append(("Fitted structures", str(record.n_frames or "?"), n_atoms))
    terms = f"{len(model.terms)} term{'' if len(model.terms) == 1 else 's'}"
    cutoff = f"{terms}, cutoff {model.cutoff:g} Å"
    cards.append(("Sparse points", str(model.n_sparse), cutoff))
    if contents.parts:
        first, *others = contents.parts
        for quantity in Quantity:
            kind = quantity.reported
            errors = contents.parts[first].metrics["all"].get(kind)
            if errors is None:
                continue
            more = [f"{errors['unit']} on {_word(first)} data"]
            for name in others:
                others_errors = contents.parts[name].metrics["all"].get(kind)
                if others_errors:
                    more.append(
                        f"{number(others_errors['rmse'])} on {_word(name)} data"
                    )
            cards.append(
                (f"{kind.capitalize()} RMSE", number(errors["rmse"]), ", ".join(more))
            )
    if total := contents.timings.get("total"):
        peak = contents.memory.get("peak_bytes")
        memory = f"memory {in_words(peak)}" if peak else ""
        cards.append(("Time of the fit", f"{number(total)} s", memory))
    items = "".join(
        f'<div class="card"><p class="name">{escape(name)}</p>'
        f'<p class="value">{escape(value)}</p><p class="more">{escape(more)}</p></div>'
        for name, value, more in cards
    )
    return f'<div class="cards">{items}</div>'


def _word(name: str) -> str:
    return TITLES[name].split()[0].lower()
