"""Write what it takes to repeat the fit of a model, and check its data.

The folder gets fit.toml with all settings and requirements.txt with the versions of the
libraries. The exit status is 1 if the training data are missing or have changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output, make_output_folder

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="for the files"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace files that are there"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Write the files and say whether the data are those of the fit."""
    from gapfit._support.archive import atomic_write
    from gapfit.fitting.reproduce import CONFIG, REQUIREMENTS, reproduction
    from gapfit.model.storage import load

    folder = args.output
    make_output_folder(folder, CONFIG)
    for name in (CONFIG, REQUIREMENTS):
        check_output(folder / name, force=args.force, inputs=[args.model])
    found = reproduction(load(args.model), args.model, folder)
    for name, text in found.files.items():
        with atomic_write(folder / name) as file:
            file.write_text(text, encoding="utf-8")
        console.say(f"wrote {folder / name}")
    console.warnings(list(found.remarks))
    if found.data:
        console.warnings([f"training data: {found.data}"])
        return 1
    console.say("training data: exactly those of the fit")
    console.say(
        f"\npip install -r {folder / REQUIREMENTS}\ngapfit fit {folder / CONFIG}"
    )
    return 0
