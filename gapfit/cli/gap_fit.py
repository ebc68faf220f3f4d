"""Fit by a command of QUIP's gap_fit, and write what gap_fit writes.

KEY=VALUE are the options of gap_fit, or config_file=FILE with all of them. The potential
is fitted with QUIP's basis, and written under gp_file (default gap_new.xml) with its
files gp_file.sparseX.*, for quip, quippy and LAMMPS. Beside it is a folder with
gapfit's files of the fit, GAP-model for GAP.xml: model.npz, report.html, fit.log,
metrics.json, fit.toml; gap_fit.toml, the command as a configuration of gapfit; and
core.txt, the pair potentials of core_ip_args={IP Glue}. Files of an earlier fit are
replaced, as gap_fit does.

Options without counterpart are listed; those that would make another fit than
gap_fit's are errors without --lenient.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli import fit
from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output
from gapfit.errors import GapfitError, shortened

if TYPE_CHECKING:
    from gapfit.quip.gap_fit_command import Translation
    from gapfit.quip.gap_fit_options import Options
    from gapfit.quip.remarks import Remark

__all__ = ["NAME", "add_arguments", "run"]

#: Name of the command, that of the program it stands for.
NAME = "gap_fit"
#: Where gap_fit writes the potential by default.
_GP_FILE = "gap_new.xml"
#: File of the pair potentials underneath, in the folder of the fit.
_CORE = "core.txt"
#: Options that this command follows, and the values for which it does; None for all.
_FOLLOWED = {
    "gap_file": None,
    "gp_file": None,
    "sparse_separate_file": ("", "T", "TRUE"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="fit in spite of options that gapfit does not have: without them",
    )
    parser.add_argument(
        "--no-report",
        dest="report",
        action="store_false",
        help="do not write the page with figures",
    )
    # All words after the first KEY=VALUE: a value in braces may contain -158.5}.
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="KEY=VALUE",
        help="options of gap_fit, after those of gapfit",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Translate, fit, and write the potential for QUIP."""
    from gapfit._support.archive import atomic_write
    from gapfit.cli._translation import print_remarks, translated
    from gapfit.quip.gap_fit_tokens import command_options

    command = _command(args.words)
    options = command_options(command, [])
    given = options.text("gap_file", "gp_file", default=_GP_FILE) or _GP_FILE
    target = Path(given)
    train = options.text("atoms_filename", "at_file")
    check_output(target, (".xml",), inputs=[train] if train else [])
    folder = target.with_name(f"{target.stem}-model")
    core = _core(options)
    translation, missing = translated(
        command, base=Path(), folder=folder, core_table=_CORE if core else None
    )
    if missing is not None:
        raise GapfitError(f"at_file = {missing}: there is no such file")
    translation = _for_quip(translation)
    if not args.lenient:
        _refuse_changes(translation)
    print_remarks(console, translation.remarks)
    folder.mkdir(exist_ok=True)
    config = folder / "gap_fit.toml"
    texts = {config: translation.toml("its words")} | (
        {folder / _CORE: core} if core else {}
    )
    for path, text in texts.items():
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    _fit(config, folder, console, report=args.report)
    _write(folder / "model.npz", target, console)
    return 0


def _command(words: Sequence[str]) -> str | Sequence[str]:
    """Return the words, or the contents of the file that they name.

    gap_fit reads all options from the file, and none from its command line then.
    """
    from gapfit.cli._translation import command_text
    from gapfit.quip.gap_fit_tokens import command_options

    for word in words:
        if word.startswith("--"):
            raise GapfitError(
                f"{shortened(word)}: is no option of gap_fit; give those of gapfit before "
                "the first KEY=VALUE"
            )
    file = command_options(words, []).text("config_file")
    if file is None:
        return words
    path = Path(file)
    if not path.is_file():
        raise GapfitError(f"config_file = {shortened(file)}: there is no such file")
    return command_text(path)


def _core(options: Options) -> str | None:
    """Return the pair potentials underneath, as a table; None if there are none, or others.

    Other potentials are named by the translation.
    """
    from gapfit.quip.gap_fit_options import entries
    from gapfit.quip.glue import pair_table_text, read_glue

    words = entries(options.text("core_ip_args", "baseline_ip_args") or "")
    if {key.lower() for key, value in words if value is None} != {"ip", "glue"}:
        return None
    names = ("core_param_file", "baseline_param_filename")
    path = Path(options.text(*names) or "quip_params.xml")
    if not path.is_file():
        raise GapfitError(f"core_param_file = {path}: there is no such file")
    return pair_table_text(read_glue(path))


def _for_quip(translation: Translation) -> Translation:
    """Return a translation whose model and XML file give the same numbers."""
    config = translation.config
    exact = config.prediction.model_copy(update={"project": False})
    remarks = tuple(r for r in translation.remarks if not _is_followed(r))
    return replace(
        translation,
        config=config.model_copy(update={"prediction": exact}),
        remarks=remarks,
    )


def _is_followed(remark: Remark) -> bool:
    values = _FOLLOWED.get(remark.option, ())
    return values is None or remark.value.upper() in values


def _refuse_changes(translation: Translation) -> None:
    """Refuse options without which the fit is another one."""
    changes = [remark for remark in translation.remarks if remark.changes]
    if changes:
        lines = "\n".join(f"  - {remark}" for remark in changes)
        raise GapfitError(
            f"the fit would differ from that of gap_fit:\n{lines}\nchange these options, "
            "or give --lenient as the first word"
        )


def _fit(config: Path, folder: Path, console: Console, *, report: bool) -> None:
    """Fit as `gapfit fit` does, replacing an earlier fit."""
    parser = argparse.ArgumentParser()
    fit.add_arguments(parser)
    words = [str(config), "--output", str(folder), "--force"]
    fit.run(parser.parse_args(words + ["--no-report"] * (not report)), console)


def _write(model: Path, target: Path, console: Console) -> None:
    """Write the potential for QUIP."""
    from gapfit.model.storage import load
    from gapfit.quip import save
    from gapfit.quip.to_quip import cautions

    potential = load(model)
    document, *sides = save(potential, target, overwrite=True)
    console.title("Written for QUIP")
    console.say(f"  {document}")
    console.say(f"  {sides[0]} and so on: {len(sides)} files to keep beside it")
    console.warnings(cautions(potential))
