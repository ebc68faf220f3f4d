"""Models from and to files of other programs: a table of formats, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = ["WRITERS", "read_model", "write_model"]


class _Told(NamedTuple):
    """What is said about a model besides the names of its files."""

    rows: tuple[tuple[str, str], ...] = ()
    note: str = ""
    input_lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def _of_quip(model: GAPModel) -> _Told:
    origin = model.record.quip
    assert origin is not None
    rows = (
        ("label", origin.label),
        ("gap_version", str(origin.gap_version)),
        _in_short(model),
        ("ignored", ", ".join(origin.ignored) or "nothing"),
    )
    note = "Ignored options have no effect in QUIP, either." * bool(origin.ignored)
    return _Told(rows, note)


def _of_turbogap(model: GAPModel) -> _Told:
    origin = model.record.quip
    assert origin is not None
    left_out = ", ".join(origin.ignored)
    warnings = tuple(model.record.warnings)
    if left_out:
        warnings += (
            "local properties are left out: the energy of the GAP is without them, but "
            "that of TurboGAP has dispersion and electrostatics if its input asks for them",
        )
    rows = (_in_short(model), ("left out", left_out or "nothing"))
    return _Told(rows, warnings=warnings)


def _of_pacemaker(model: GAPModel) -> _Told:
    return _Told((_in_short(model),))


def _in_short(model: GAPModel) -> tuple[str, str]:
    return "model", repr(model).strip("<>")


def _for_quip(model: GAPModel, source: Path, _: Path) -> _Told:
    from gapfit.quip.to_quip import cautions

    why = f"QUIP has another form of them; those of gapfit are only in {source}"
    warnings = (
        *cautions(model),
        "keep all of these files together: the XML file names the others",
        *_uncertainty_warnings(model, f": {why}"),
        *_projection_warnings(model, "QUIP"),
    )
    return _Told(warnings=warnings)


def _for_turbogap(model: GAPModel, source: Path, target: Path) -> _Told:
    from gapfit.turbogap import input_lines

    why = f"which TurboGAP does not have; keep {source}"
    warnings = (
        "keep all of these files together: the .gap names the others",
        *_uncertainty_warnings(model, f", {why}"),
        *_projection_warnings(model, "TurboGAP"),
    )
    return _Told(input_lines=tuple(input_lines(model, target)), warnings=warnings)


def _for_others(model: GAPModel, source: Path, _: Path) -> _Told:
    why = f"which the format does not have; keep {source}"
    return _Told(warnings=_uncertainty_warnings(model, f", {why}"))


def _uncertainty_warnings(model: GAPModel, why: str) -> tuple[str, ...]:
    known = model.posterior is not None or model.calibration is not None
    return (f"without uncertainties{why}",) * known


def _projection_warnings(model: GAPModel, program: str) -> tuple[str, ...]:
    text = (
        f"{program} sums over all sparse points, without the projections of [prediction]: "
        "predictions differ within their tolerances"
    )
    return (text,) * any(term.lossless for term in model.terms)


class _Reader(NamedTuple):
    function: str
    title: str
    told: Callable[[GAPModel], _Told]
    takes_species: bool = False


class _Writer(NamedTuple):
    function: str
    told: Callable[[GAPModel, Path, Path], _Told] = _for_others
    sides: str = ""


#: Formats that are read, by suffix. Functions are imported once they are needed.
_READERS = {
    ".xml": _Reader("gapfit.quip:load", "GAP of QUIP", _of_quip, takes_species=True),
    ".gap": _Reader("gapfit.turbogap:load", "Potential of TurboGAP", _of_turbogap),
    ".yace": _Reader("gapfit.pacemaker:load", "Potential of pacemaker", _of_pacemaker),
}
#: Formats that are written, and the word for files beside the first, by suffix.
WRITERS = {
    ".xml": _Writer("gapfit.quip:save", _for_quip, "files"),
    ".gap": _Writer("gapfit.turbogap:save", _for_turbogap, "tables"),
    ".yace": _Writer("gapfit.pacemaker:save"),
    ".fs": _Writer("gapfit.lammps:save_eam"),
    ".tabgap": _Writer("gapfit.lammps:save_tabgap"),
}


def read_model(
    suffix: str, source: Path, target: Path, species: list[str], console: Console
) -> None:
    """Read a model of the format `suffix`, save it, and say what it is."""
    reader = _READERS[suffix]
    if not reader.takes_species:
        _refuse_species(species, "the file")
    given = {"species": species} if species else {}
    model = resolve_name(reader.function)(source, **given)
    model.save(target)
    told = reader.told(model)
    console.title(f"{reader.title}, {source}")
    console.rows([*told.rows])
    if told.note:
        console.say(f"  {told.note}")
    console.title("Written")
    console.say(f"  {target}")
    console.warnings([*told.warnings])


def write_model(
    suffix: str, source: Path, target: Path, species: list[str], console: Console
) -> None:
    """Write a model in the format `suffix`, and say what it lacks there."""
    from gapfit.model.storage import load

    _refuse_species(species, "the model")
    writer, model = WRITERS[suffix], load(source)
    written = resolve_name(writer.function)(model, target, overwrite=True)
    files = written if isinstance(written, tuple) else (written,)
    console.title("Written")
    if writer.sides:
        document, first, *_ = files
        size = _megabytes(*files[1:])
        console.say(f"  {document}")
        console.say(
            f"  {first.name} and so on: {len(files) - 1} {writer.sides}, {size}"
        )
    else:
        for path in files:
            console.say(f"  {path}: {_megabytes(path)}")
    told = writer.told(model, source, target)
    if told.input_lines:
        console.title("For the input of TurboGAP")
        for line in told.input_lines:
            console.say(f"  {line}")
    console.warnings([*told.warnings])


def _megabytes(*paths: Path) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"


def _refuse_species(species: list[str], file: str) -> None:
    if species:
        raise GapfitError(f"--species: {file} names its species; leave it out")
