"""Convert data to extended XYZ, and models from and to other programs.

SOURCE and TARGET are one of:
  ML_AB ...    data.extxyz reference data of any program, one file or several: VASP, CP2K,
                           MLIP, DeePMD, n2p2, LAMMPS, and all that ASE reads
  gap.xml      model.npz   read a GAP of QUIP (.xml or .xml.gz): the same predictions
  model.npz    gap.xml     write one, with its files of sparse points
  pot.gap      model.npz   read a potential of TurboGAP, with its tables beside it
  model.npz    pot.gap     write one, with its tables
  gap_fit.cmd  fit.toml    translate a command of gap_fit: a shell script, its config_file
  pot.yace     model.npz   read a linear potential of pacemaker: the same predictions
  model.npz    pot.yace    write one, for pacemaker and LAMMPS's pair_style pace
  model.npz    pot.eam.fs  write tables of pairs and densities for pair_style eam/fs
  model.npz    pot.tabgap  write tables of pairs and triplets for pair_style tabgap
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._data_conversion import convert_data
from gapfit.cli._labels import add_file_arguments, given_species
from gapfit.cli._model_conversion import WRITERS, read_model, write_model
from gapfit.cli._outputs import EXTENDED_XYZ, check_output
from gapfit.errors import GapfitError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="file to read; data may be several"
    )
    parser.add_argument("target", type=Path, metavar="TARGET", help="file to write")
    parser.add_argument(
        "--force", action="store_true", help="replace the file if it exists"
    )
    add_file_arguments(
        parser, "; species of a model or command that does not name them"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Convert according to the source; report its contents and what was lost."""
    target = args.target
    if target.suffix in EXTENDED_XYZ:
        check_output(target, force=args.force, inputs=args.source)
        convert_data(args.source, target, given_species(args), args.units, console)
        return 0
    source = _one_file(args.source, target)
    if args.units:
        raise GapfitError("--units is for data; leave it out")
    conversions = _conversions(source)
    if ".toml" in conversions and _is_data(source):
        raise GapfitError(
            f"{target}: {source} has structures, which become *.extxyz; give a name with "
            "this suffix"
        )
    if target.suffix not in conversions:
        suffixes = " or ".join(f"*{suffix}" for suffix in conversions)
        data = "; data become *.extxyz" * (".toml" in conversions)
        raise GapfitError(
            f"{target}: {source} becomes a file {suffixes}; give a name with this "
            f"suffix{data}"
        )
    check_output(target, force=args.force, inputs=[source])
    conversions[target.suffix](source, target, given_species(args), console)
    return 0


def _one_file(sources: list[str], target: Path) -> Path:
    """Return the only source of a model or command."""
    if len(sources) > 1:
        raise GapfitError(
            f"{target}: only data come from several files, and become *.extxyz; give one "
            "SOURCE, or a name with this suffix"
        )
    source = Path(sources[0])
    if source.is_dir():
        raise GapfitError(
            f"{source}: is a folder; data become *.extxyz, models are files"
        )
    if not source.is_file():
        raise GapfitError(f"{source}: there is no such file")
    return source


def _is_data(source: Path) -> bool:
    """Return whether a file is known to be data by its contents."""
    from gapfit.data.formats import file_format
    from gapfit.data.packed import DAMAGED

    try:
        return file_format(source, str(source)).kind != "other"
    except (GapfitError, *DAMAGED):
        return False


_Conversion = Callable[[Path, Path, list[str], Console], None]


def _conversions(source: Path) -> dict[str, _Conversion]:
    """Return the conversions of a file, by the suffix of the result."""
    suffixes = "".join(source.suffixes[-2:])
    if source.suffix == ".xml" or suffixes == ".xml.gz":
        return {".npz": partial(read_model, ".xml")}
    with source.open("rb") as file:
        begin = file.read(64).lstrip()
    if source.suffix == ".npz" or begin.startswith(b"PK"):
        return {suffix: partial(write_model, suffix) for suffix in WRITERS}
    if source.suffix == ".yace" or begin.startswith(b"elements:"):
        return {".npz": partial(read_model, ".yace")}
    if source.suffix == ".gap" or begin.startswith(b"gap_beg"):
        return {".npz": partial(read_model, ".gap")}
    if begin.startswith(b"<"):
        return {".npz": partial(read_model, ".xml")}
    return {".toml": _from_command}


def _from_command(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit._support.archive import atomic_write
    from gapfit.cli._translation import command_text, print_remarks, translated

    try:
        translation, missing = translated(
            command_text(source),
            base=source.parent,
            folder=target.parent,
            species=species,
        )
    except GapfitError as error:
        raise GapfitError(f"{source}: {error}") from error
    with atomic_write(target) as temporary:
        temporary.write_text(translation.toml(source.name), encoding="utf-8")
    console.title(f"Command of gap_fit, {source}")
    terms = " + ".join(term.type for term in translation.config.terms)
    console.rows([("terms", terms), ("data", translation.config.data.train[0])])
    print_remarks(console, translation.remarks)
    if missing is not None:
        warning = f"{missing}: does not exist, so its labels were not looked up"
        console.warnings([warning])
    name = shlex.quote(str(target))
    console.say(f"\nWrote {target}. Next:")
    console.say(f"  gapfit check {name}")
    console.say(f"  gapfit fit {name}")
