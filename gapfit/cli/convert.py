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
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console
from gapfit.cli._data_conversion import convert_data
from gapfit.cli._labels import add_file_arguments, given_species
from gapfit.cli._outputs import EXTENDED_XYZ, check_output
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

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
        return {".npz": _from_quip}
    with source.open("rb") as file:
        begin = file.read(64).lstrip()
    if source.suffix == ".npz" or begin.startswith(b"PK"):
        return {
            ".xml": _to_quip,
            ".gap": _to_turbogap,
            ".yace": _to_pacemaker,
            ".fs": _to_eam,
            ".tabgap": _to_tabgap,
        }
    if source.suffix == ".yace" or begin.startswith(b"elements:"):
        return {".npz": _from_pacemaker}
    if source.suffix == ".gap" or begin.startswith(b"gap_beg"):
        return {".npz": _from_turbogap}
    if begin.startswith(b"<"):
        return {".npz": _from_quip}
    return {".toml": _from_command}


def _from_quip(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit.quip import load

    model = load(source, species=species or None)
    model.save(target)
    origin = model.record.quip
    assert origin is not None
    console.title(f"GAP of QUIP, {source}")
    console.rows(
        [
            ("label", origin.label),
            ("gap_version", str(origin.gap_version)),
            ("model", repr(model).strip("<>")),
            ("ignored", ", ".join(origin.ignored) or "nothing"),
        ]
    )
    if origin.ignored:
        console.say("  Ignored options have no effect in QUIP, either.")
    console.title("Written")
    console.say(f"  {target}")


def _to_quip(source: Path, target: Path, species: list[str], console: Console) -> None:
    from gapfit.model.storage import load
    from gapfit.quip import save
    from gapfit.quip.to_quip import cautions

    _refuse_species(species, "the model")
    model = load(source)
    document, *sides = save(model, target, overwrite=True)
    console.title("Written")
    console.say(f"  {document}")
    size = sum(side.stat().st_size for side in sides)
    console.say(f"  {sides[0].name} and so on: {len(sides)} files, {size / 1e6:.1f} MB")
    warnings = [
        *cautions(model),
        "keep all of these files together: the XML file names the others",
    ]
    if _has_uncertainty(model):
        warnings.append(
            "without uncertainties: QUIP has another form of them; those of gapfit are "
            f"only in {source}"
        )
    console.warnings([*warnings, *_projection_warnings(model, "QUIP")])


def _projection_warnings(model: GAPModel, program: str) -> list[str]:
    if not any(term.lossless for term in model.terms):
        return []
    return [
        f"{program} sums over all sparse points, without the projections of [prediction]: "
        "predictions differ within their tolerances"
    ]


def _from_turbogap(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit.turbogap import load

    _refuse_species(species, "the file")
    model = load(source)
    model.save(target)
    origin = model.record.quip
    assert origin is not None
    console.title(f"Potential of TurboGAP, {source}")
    left_out = ", ".join(origin.ignored)
    console.rows(
        [("model", repr(model).strip("<>")), ("left out", left_out or "nothing")]
    )
    console.title("Written")
    console.say(f"  {target}")
    warnings = list(model.record.warnings)
    if left_out:
        warnings.append(
            "local properties are left out: the energy of the GAP is without them, but "
            "that of TurboGAP has dispersion and electrostatics if its input asks for them"
        )
    console.warnings(warnings)


def _to_turbogap(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit.model.storage import load
    from gapfit.turbogap import input_lines, save

    _refuse_species(species, "the model")
    model = load(source)
    document, *tables = save(model, target, overwrite=True)
    console.title("Written")
    console.say(f"  {document}")
    size = sum(table.stat().st_size for table in tables)
    console.say(
        f"  {tables[0].name} and so on: {len(tables)} tables, {size / 1e6:.1f} MB"
    )
    console.title("For the input of TurboGAP")
    for line in input_lines(model, target):
        console.say(f"  {line}")
    warnings = ["keep all of these files together: the .gap names the others"]
    if _has_uncertainty(model):
        warnings.append(
            f"without uncertainties, which TurboGAP does not have; keep {source}"
        )
    console.warnings([*warnings, *_projection_warnings(model, "TurboGAP")])


def _has_uncertainty(model: GAPModel) -> bool:
    return model.posterior is not None or model.calibration is not None


def _from_pacemaker(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit.pacemaker import load

    _refuse_species(species, "the file")
    model = load(source)
    model.save(target)
    console.title(f"Potential of pacemaker, {source}")
    console.rows([("model", repr(model).strip("<>"))])
    console.title("Written")
    console.say(f"  {target}")


def _to_pacemaker(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit.pacemaker import save

    _write(save, source, target, species, console)


def _to_eam(source: Path, target: Path, species: list[str], console: Console) -> None:
    from gapfit.lammps import save_eam

    _write(save_eam, source, target, species, console)


def _to_tabgap(
    source: Path, target: Path, species: list[str], console: Console
) -> None:
    from gapfit.lammps import save_tabgap

    _write(save_tabgap, source, target, species, console)


def _write(
    save: Callable[..., Path | tuple[Path, ...]],
    source: Path,
    target: Path,
    species: list[str],
    console: Console,
) -> None:
    """Write a model without uncertainties."""
    from gapfit.model.storage import load

    _refuse_species(species, "the model")
    model = load(source)
    written = save(model, target, overwrite=True)
    console.title("Written")
    for path in written if isinstance(written, tuple) else (written,):
        console.say(f"  {path}: {path.stat().st_size / 1e6:.1f} MB")
    if _has_uncertainty(model):
        console.warnings(
            [f"without uncertainties, which the format does not have; keep {source}"]
        )


def _refuse_species(species: list[str], file: str) -> None:
    if species:
        raise GapfitError(f"--species: {file} names its species; leave it out")


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
