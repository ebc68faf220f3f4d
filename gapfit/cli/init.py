"""Write a commented fit.toml with sensible values for given data."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._data import print_contents, print_labels
from gapfit.cli._labels import add_label_arguments, given_keys, read_files
from gapfit.cli._next_steps import fit_commands
from gapfit.cli._outputs import check_output
from gapfit.cli.schema import schema_line, write_schema

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("data", nargs="+", metavar="DATA", help="training data")
    parser.add_argument(
        "--test", nargs="+", default=[], metavar="FILE", help="test data, never fitted"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("fit.toml"),
        metavar="CONFIG",
        help="file to write (default: fit.toml)",
    )
    parser.add_argument(
        "--three-body",
        action="store_true",
        help="propose a three-body term (angle_3b) beside SOAP and pairs",
    )
    parser.add_argument(
        "--preset",
        choices=["fast", "default", "accurate"],
        default="default",
        help="fast: few SOAP features, with a cluster expansion (ace); default: SOAP and "
        "pairs; accurate: default with ace",
    )
    parser.add_argument(
        "--schema",
        action="store_true",
        help="also write the JSON schema beside it, and name it for editors",
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    add_label_arguments(parser, "found automatically")


def run(args: argparse.Namespace, console: Console) -> int:
    """Read the data, propose a configuration and write it."""
    output: Path = args.output
    inputs = [*args.data, *args.test]
    check_output(output, force=args.force, inputs=inputs)
    schema = output.with_suffix(".schema.json")
    if args.schema:
        check_output(schema, force=args.force, inputs=inputs)

    from gapfit._support.archive import atomic_write
    from gapfit.config.sections import DataConfig, SparseTermConfig
    from gapfit.config.template import template_toml
    from gapfit.data.files import require_files
    from gapfit.fitting.proposal import propose

    require_files([*args.data, *args.test], Path())
    files = {
        "train": _relative(args.data, output),
        "test": _relative(args.test, output),
    }
    data = DataConfig.model_validate({**files, **given_keys(args)})
    dataset = read_files(args.data, data)
    if args.test:
        read_files(args.test, data)
    proposal = propose(
        dataset.frames, data, three_body=args.three_body, preset=args.preset
    )
    text = template_toml(proposal.config, proposal.comments, proposal.suggestions)
    if args.schema:
        write_schema(schema, "fit")
        # Editors look for it above the first table.
        text = f"{schema_line(schema)}\n\n{text}"
    with atomic_write(output) as temporary:
        temporary.write_text(text, encoding="utf-8")

    print_contents(console, ", ".join(args.data), dataset)
    print_labels(console, dataset)
    console.title("Proposed")
    term = proposal.config.terms[0]
    assert isinstance(term, SparseTermConfig)
    console.rows(
        [
            ("terms", " + ".join(t.type for t in proposal.config.terms)),
            ("baseline", proposal.config.baseline.repulsion),
            ("r_cut", f"{term.r_cut} Å"),
            ("n_sparse", str(term.n_sparse)),
            ("e0", proposal.config.e0.method),
        ]
    )
    warnings = list(dataset.warnings)
    if proposal.config.e0.method == "least_squares":
        warnings.append(" ".join(proposal.comments["e0"]).removeprefix("WARNING: "))
    console.warnings(warnings)
    written = f"{output} and {schema}" if args.schema else f"{output}"
    console.say(f"\nWrote {written}. Next:")
    check = f"gapfit check {shlex.quote(str(output))}"
    for command in (check, *fit_commands(output)):
        console.say(f"  {command}")
    return 0


def _relative(files: list[str], output: Path) -> list[str]:
    """Return paths relative to the folder of the configuration."""
    folder = output.parent.absolute()
    return [
        file
        if Path(file).is_absolute()
        else Path(os.path.relpath(Path(file).absolute(), folder)).as_posix()
        for file in files
    ]
