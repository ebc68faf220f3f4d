"""List and get data sets and potentials by name.

Six small sets come with gapfit. Others are downloaded from where they were published, with
their checksums, licences and what to cite; nothing but `gapfit data get` does so.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console

if TYPE_CHECKING:
    from gapfit.published import Entry, LocalCopy

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listed = actions.add_parser(
        "list",
        help="list the names, or say all that is known of some",
        description="List the names, or say all that is known of some of them.",
        allow_abbrev=False,
    )
    listed.add_argument(
        "names", nargs="*", metavar="NAME", help="default: all, in short"
    )
    listed.add_argument("--json", action="store_true", help="print all as JSON")
    listed.set_defaults(action=_list)
    got = actions.add_parser(
        "get",
        help="copy or download the files of one",
        description="Copy or download the files of a data set or potential.",
        allow_abbrev=False,
    )
    got.add_argument("name", metavar="NAME", help="see gapfit data list")
    got.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for them (default: data/NAME)",
    )
    got.add_argument(
        "--force",
        action="store_true",
        help="replace files of the same names that differ",
    )
    got.set_defaults(action=_get)


def run(args: argparse.Namespace, console: Console) -> int:
    """List or get."""
    args.action(args, console)
    return 0


def _list(args: argparse.Namespace, console: Console) -> None:
    from gapfit.published import entries
    from gapfit.published.fetch import entry_of

    chosen = tuple(map(entry_of, args.names)) or entries()
    if args.json:
        console.result([entry.as_dict() for entry in chosen])
        return
    for entry in chosen if args.names else ():
        console.title(entry.name)
        console.rows(_facts(entry))
    if not args.names:
        width = max(len(entry.name) for entry in chosen)
        for shipped, title in ((True, "Come with gapfit"), (False, "Are downloaded")):
            console.title(title)
            part = [entry for entry in chosen if bool(entry.shipped) is shipped]
            console.rows(
                [(f"{e.name:<{width}}", f"{e.species}: {e.title}") for e in part]
            )


def _get(args: argparse.Namespace, console: Console) -> None:
    from gapfit.published import get
    from gapfit.published.fetch import entry_of

    entry = entry_of(args.name)
    with console.progress() as progress:
        copy = get(entry, args.output, overwrite=args.force, progress=progress)
    console.title("There already" if copy.was_there else "Written")
    for path in copy.files:
        console.say(f"  {path}")
    console.title(entry.name)
    console.rows(_facts(entry))
    console.title("Next")
    for line in _next_steps(copy):
        console.say(f"  {line}")


def _facts(entry: Entry) -> list[tuple[str, str]]:
    """Return what is known, as names and values."""
    facts = [
        ("holds", f"{entry.species}: {entry.title}"),
        ("licence", entry.licence),
        ("DOI", entry.doi),
        ("cite", entry.paper.text if entry.paper else "gapfit (CITATION.cff)"),
        ("from", entry.url),
        ("checksum", entry.checksum),
    ]
    return [(name, value) for name, value in facts if value]


def _next_steps(copy: LocalCopy) -> list[str]:
    steps = [f"gapfit check {path}" for path in copy.structures[:1]]
    return steps + [f"gapfit convert {path} model.npz" for path in copy.potentials[:1]]
