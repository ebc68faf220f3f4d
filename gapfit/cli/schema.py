"""Print the JSON schema of fit.toml or learn.toml, for editors.

An editor that knows TOML and JSON schemas (Taplo, Even Better TOML) then completes keys,
shows their meaning, and marks mistakes as they are typed. `gapfit init --schema` writes
both files; for a fit.toml that exists, write the schema beside it and name it in the
first line of fit.toml:

  gapfit schema fit --output fit.schema.json

  #:schema ./fit.schema.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run", "schema_line", "write_schema"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "kind", choices=("fit", "learn"), help="schema of fit.toml, or of learn.toml"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write (default: standard output)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the file if it exists"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print or write the schema."""
    if args.output is None:
        console.result(_schema(args.kind))
        return 0
    check_output(args.output, (".json",), force=args.force)
    write_schema(args.output, args.kind)
    console.say(
        f"Wrote {args.output}. First line of the {args.kind}.toml beside it:\n"
        f"  {schema_line(args.output)}"
    )
    return 0


def schema_line(path: Path) -> str:
    """Return the line by which a configuration names the schema beside it."""
    return f"#:schema ./{path.name}"


def write_schema(path: Path, kind: str) -> None:
    """Write the schema of ``"fit"`` or ``"learn"``."""
    from gapfit._support.archive import atomic_write
    from gapfit.cli._console import to_json

    with atomic_write(path) as temporary:
        temporary.write_text(to_json(_schema(kind)) + "\n", encoding="utf-8")


def _schema(kind: str) -> dict[str, object]:
    from gapfit.config import FitConfig, LearnConfig
    from gapfit.config.schema import config_schema

    return config_schema(LearnConfig if kind == "learn" else FitConfig)
