"""Pages of the site that are made from other files, and links that leave ``docs/``.

MkDocs calls `on_files` and `on_page_markdown`. Nothing is written into ``docs/``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from reference_pages import api_page, options_page
from tutorials import notebook
from tutorials import pages as tutorial_pages

__all__ = ["COPIES", "MADE", "linked", "on_files", "on_page_markdown"]

_ROOT = Path(__file__).resolve().parents[2]
_BLOB = "https://github.com/gapfit/gapfit/blob/main"

#: Pages that are files outside ``docs/``.
COPIES = {
    "architecture.md": "gapfit/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": ".github/CONTRIBUTING.md",
    "examples.md": "examples/README.md",
    "large-fits.md": "examples/large/README.md",
    "security.md": ".github/SECURITY.md",
    "shipped-data.md": "data/README.md",
}
#: Pages that are made from the code.
MADE = {"reference/options.md": options_page, "reference/api.md": api_page}

# Where files of the repository are in the site.
_PAGES = {source: page for page, source in COPIES.items()} | {"README.md": "index.md"}
_LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are no files of ``docs/``."""
    from mkdocs.structure.files import File

    for page, source in COPIES.items():
        text = (_ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=text))
    for page, make in MADE.items():
        files.append(File.generated(config, page, content=make()))
    for path in tutorial_pages():
        name = f"tutorials/{path.stem}.ipynb"
        files.append(File.generated(config, name, content=notebook(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page whose links lead to pages of the site, or to the repository.

    A tutorial also gets a link to its notebook.
    """
    text = linked(markdown, page.file.src_uri)
    if page.file.src_uri.startswith("tutorials/"):
        name = PurePosixPath(page.file.src_uri).stem
        title, _, body = text.partition("\n")
        text = f"{title}\n\n[Download this page as a notebook]({name}.ipynb)\n{body}"
    return text


def linked(markdown: str, page: str) -> str:
    """Return Markdown in which relative links suit the site.

    Parameters
    ----------
    markdown : str
        The page as it is read in the repository.
    page : str
        Its path in the site, such as ``how-to/data.md``.
    """
    folder = PurePosixPath(COPIES.get(page, f"docs/{page}")).parent

    def turned(match: re.Match[str]) -> str:
        path = os.path.normpath(folder / match[1])
        if not (_ROOT / path).exists():
            return match[0]  # MkDocs complains of it
        return f"]({_target(path, page)}{match[2] or ''})"

    return _LINK.sub(turned, markdown)


def _target(path: str, page: str) -> str:
    """Return the link to a file of the repository."""
    inside = _PAGES.get(path)
    if path.startswith("docs/"):
        inside = path.removeprefix("docs/")
    if inside is None:
        return f"{_BLOB}/{path}"
    return os.path.relpath(inside, PurePosixPath(page).parent)
