"""Models of gapfit as potentials of TurboGAP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gapfit._support.target_file import require_expressible, require_target
from gapfit._support.whole_writes import write_together
from gapfit.config.sections import Angle3bConfig, Distance2bConfig, SoapConfig
from gapfit.config.turbo import TURBO_BASES
from gapfit.descriptors.blocks import species_of_pair
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.soap_turbo import shared_basis
from gapfit.quip.to_quip import Expressed, expressed
from gapfit.turbogap.core_potentials import against_core_potentials, core_potentials
from gapfit.turbogap.descriptors import ENDS

__all__ = ["input_lines", "save"]

_SUFFIX = ".gap"
#: Longest name of a file that TurboGAP reads.
_LONGEST_NAME = 1000
#: Rows of sparse points that are converted to text together.
_ROWS = 64


def save(
    model: GAPModel, path: str | Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write a model as a potential of TurboGAP, with its tables beside it.

    Predictions are those of `GAPModel.without_projections`. Energies of isolated atoms are
    in TurboGAP's input: `input_lines` has the lines that it needs, and they are comments in
    the file. Uncertainties are not written.

    Parameters
    ----------
    model : GAPModel
        A model of SOAP with ``rbf = "poly3"`` or ``"poly3gauss"``, and of pairs and
        triplets with ``switch = "cosine"`` and ``width = 0.5``. Pair potentials of the
        baseline become core potentials: exactly if they were read from a file of QUIP or
        TurboGAP, and else as cubic splines with points 0.005 Å apart.
    path : str or Path
        The file, ``FOLDER/NAME.gap``. Tables are ``FOLDER/NAME.DIGEST.*.dat``, where DIGEST
        is that of their contents: tables of other models stay as they are. The file, which
        is written last, names them with FOLDER, so TurboGAP runs in the folder around it;
        without a folder for ``NAME.gap`` and ``../NAME.gap``: TurboGAP runs beside these.
    overwrite : bool
        Whether `path` may exist already.

    Returns
    -------
    tuple of Path
        The files: the ``.gap`` first. The same model gives the same bytes.

    Raises
    ------
    GapfitError
        TurboGAP cannot express the model (all reasons are listed); the file exists, has
        another suffix, or cannot be written.
    """
    path = Path(path)
    require_target(path, _SUFFIX, "TurboGAP", overwrite=overwrite)
    require_expressible("TurboGAP cannot express this model:", _obstacles(model))
    blocks = [*_blocks(model)]
    stem = f"{path.stem}.{_digest(blocks)}"
    tables: dict[Path, Callable[[Path], None]] = {}
    lines = [*_comments(model, path)]
    for block in blocks:
        lines += ["", f"gap_beg {block.kind}"]
        lines += [f"{key} = {value}" for key, value in block.values.items()]
        for key, (name, content) in block.tables.items():
            table = path.with_name(f"{stem}.{name}.dat")
            lines.append(f"{key} = {_quoted(table)}")
            tables[table] = partial(_write_table, content)
        lines.append("gap_end")
    write_together(path, tables, lambda _: "".join(f"{line}\n" for line in lines))
    return (path, *tables)


def _digest(blocks: Iterable[_Block]) -> str:
    """Return a name that is unique to the tables of a model."""
    digest = hashlib.sha256()
    for block in blocks:
        for name, content in block.tables.values():
            digest.update(name.encode())
            if isinstance(content, str):
                digest.update(content.encode())
            else:
                digest.update(np.ascontiguousarray(content).tobytes())
    return digest.hexdigest()[:16]


def input_lines(model: GAPModel, path: str | Path) -> list[str]:
    """Return the lines about a potential that TurboGAP's input needs.

    Parameters
    ----------
    model : GAPModel
        The model.
    path : str or Path
        Where it is written to.
    """
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in model.species]
    e0 = [repr(float(model.e0[z])) for z in model.species]
    return [
        f"pot_file = {_quoted(Path(path))}",
        f"n_species = {len(symbols)}",
        f"species = {' '.join(symbols)}",
        f"e0 = {' '.join(e0)}",
    ]


def _comments(model: GAPModel, path: Path) -> Iterator[str]:
    from importlib.metadata import version

    yield f"! GAP by gapfit {version('gapfit')}; eV and Angstrom"
    yield "! These lines belong into the input of TurboGAP:"
    yield from (f"! {line}" for line in input_lines(model, path))


def _quoted(path: Path) -> str:
    """Return the name of a file where TurboGAP runs; see `save`."""
    folder = path.parent.name
    # Other folders see something else in "..": such names would hold in this one alone.
    name = path.name if folder in ("", "..") else f"{folder}/{path.name}"
    if "'" in name or not name.isascii() or len(name) > _LONGEST_NAME:
        raise GapfitError(
            f"{path}: TurboGAP reads names of ASCII letters between quotes: take a shorter "
            "name without apostrophes and accents"
        )
    return f"'{name}'"


def _obstacles(model: GAPModel) -> Iterator[str]:
    """Yield why TurboGAP cannot express a model, and what to do."""
    reasons = [
        f"[[terms]] {number} ({term.config.type}): {reason}"
        for number, term in enumerate(model.terms, 1)
        for reason in _against(term)
    ]
    if model.baseline is not None:
        reasons += [
            f"{potential.title}: fit without it"
            for potential in model.baseline.of_structures
        ]
        reasons += against_core_potentials(model)
    if not model.n_sparse:
        reasons.append("no term has sparse points; fit one")
    yield from reasons
    if not reasons:
        confused = shared_basis(part.options for part in expressed(model))
        if confused:
            yield f"{confused}; TurboGAP has the same library: change n_max of one"


def _against(term: FittedTerm) -> Iterator[str]:
    config = term.config
    if isinstance(config, SoapConfig):
        yield from _against_soap(term, config)
        return
    if not isinstance(config, Distance2bConfig | Angle3bConfig):
        yield "TurboGAP has no such descriptor: leave the term out"
        return
    if config.switch != "cosine" or config.width != ENDS:
        yield (
            f'switch = "{config.switch}", width = {config.width:g} Å: fit with switch = '
            f'"cosine" and width = {ENDS:g}'
        )
    if isinstance(config, Distance2bConfig):
        if config.f0:
            yield f"f0 = {config.f0:g} eV: fit with f0 = 0"
        if config.kernel != "exponential":
            yield f'kernel = "{config.kernel}": fit with kernel = "exponential"'
    elif config.coordinates != "angle":
        yield f'coordinates = "{config.coordinates}": fit with coordinates = "angle"'


def _against_soap(term: FittedTerm, config: SoapConfig) -> Iterator[str]:
    if config.rbf not in TURBO_BASES:
        yield f'rbf = "{config.rbf}": fit with rbf = "poly3" or "poly3gauss"'
        return
    if term.projections:
        yield f'components = {config.components!r}: fit with components = "all"'
    labels = [
        term.descriptor.label(z) for z, points in term.sparse.items() if len(points)
    ]
    named = config.turbo.neighbours
    if outside := [symbol for symbol in labels if named and symbol not in named]:
        yield (
            f"turbo.neighbours without the central species {', '.join(outside)}, which "
            "TurboGAP always has: add them"
        )


@dataclass(frozen=True, eq=False)
class _Block:
    """Keys of a block, and its tables by key: the middle of the name, and the content."""

    kind: str
    values: dict[str, str]
    tables: dict[str, tuple[str, str | np.ndarray]]


def _blocks(model: GAPModel) -> Iterator[_Block]:
    counts: dict[str, int] = {}
    for part in expressed(model):
        options = Options.of(part.options)
        kind = "distance_2b" if options.name == "distance_nb" else options.name
        counts[kind] = counts.get(kind, 0) + 1
        # TurboGAP counts pairs twice, where QUIP may count them once.
        once = 2.0 if options.name == "distance_nb" else 1.0
        yield _Block(
            kind,
            _soap_values(options, part)
            if kind == "soap_turbo"
            else _values_of_sides(options, part, once),
            _tables(part, f"{kind}_{counts[kind]}", once),
        )
    for number, (key, points) in enumerate(core_potentials(model).items(), 1):
        yield _core_pot(key, points, number)


def _tables(
    part: Expressed, name: str, once: float
) -> dict[str, tuple[str, str | np.ndarray]]:
    alpha, cutoffs = once * part.alpha, part.cutoffs
    if part.kernel == 2:
        # TurboGAP does not read cutoff functions of these.
        alpha, cutoffs = alpha * cutoffs, np.ones(len(alpha))
    return {
        "desc_sparse": (f"sparse_{name}", part.points),
        "alphas_sparse": (f"alphas_{name}", _lines(np.column_stack([alpha, cutoffs]))),
    }


def _values_of_sides(options: Options, part: Expressed, once: float) -> dict[str, str]:
    from ase.data import chemical_symbols

    keys = {"species_center": "z", "species1": "z1", "species2": "z2"}
    ends = {
        key: options.integers(theirs)[0]
        for key, theirs in keys.items()
        if options.text(theirs)
    }
    if options.name == "distance_nb":
        ends = dict(zip(("species1", "species2"), options.integers("z"), strict=True))
    values = {key: chemical_symbols[z] for key, z in ends.items()}
    values |= {
        "delta": repr(part.delta / once),
        "sigma": " ".join(map(repr, part.theta)),
        "rcut": options.text("cutoff", default="") or "",
    }
    if options.name == "angle_3b":
        values["kernel_type"] = "'pol'" if part.kernel == 4 else "'exp'"
    return values


def _soap_values(options: Options, part: Expressed) -> dict[str, str]:
    from ase.data import chemical_symbols

    channels = options.integers("species_Z")
    n_species = len(channels)
    r_cut = options.real("rcut_hard", default=0.0)
    buffer = r_cut - options.real("rcut_soft", default=0.0)

    def every(value: float) -> str:
        return " ".join([repr(value)] * n_species)

    def given(key: str) -> str:
        return options.text(key) or ""

    values = {
        "n_species": str(n_species),
        "species": " ".join(chemical_symbols[z] for z in channels),
        "central_species": given("central_index"),
        "rcut": every(r_cut),
        "buffer": every(buffer),
        **{
            key: given(key)
            for key in (
                "atom_sigma_r",
                "atom_sigma_t",
                "atom_sigma_r_scaling",
                "atom_sigma_t_scaling",
                "amplitude_scaling",
                "central_weight",
            )
        },
        "n_max": given("alpha_max"),
        "l_max": given("l_max"),
        "nf": every(options.real("nf", default=0.0)),
        "scaling_mode": "polynomial",
        "basis": f"'{given('basis')}'",
        "radial_enhancement": given("radial_enhancement"),
        "zeta": repr(part.zeta),
        "delta": repr(part.delta),
    }
    if options.text("compress_mode") is not None:
        values |= {"compress_soap": ".true.", "compress_mode": "'trivial'"}
    return values


def _core_pot(key: int, points: np.ndarray, number: int) -> _Block:
    from ase.data import chemical_symbols

    a, b = (chemical_symbols[z] for z in species_of_pair(key))
    head = f"{len(points)} {points[0, 2].item()!r} {points[-1, 2].item()!r}\n"
    table = head + _lines(points[:, :2])
    return _Block(
        "core_pot",
        {"species1": a, "species2": b},
        {"core_pot_file": (f"core_pot_{number}", table)},
    )


def _lines(rows: np.ndarray) -> str:
    """Return numbers in full precision, a row to a line."""
    line = " ".join(["%.16e"] * rows.shape[1]) + "\n"
    return line * len(rows) % tuple(rows.ravel().tolist())


def _write_table(content: str | np.ndarray, path: Path) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        if isinstance(content, str):
            file.write(content)
            return
        for start in range(0, len(content), _ROWS):
            file.write(_lines(content[start : start + _ROWS].reshape(-1, 1)))
