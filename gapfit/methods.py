"""The paragraph of a paper that says how a potential was fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gapfit.citations import GAP, SOLVER, SPARSE, papers
from gapfit.model.calibration import CALIBRATION_UNITS
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import (
    baseline_text,
    e0_origin,
    fit_config,
    is_foreign,
    model_digest,
)

__all__ = ["methods_text"]

_Cite = Callable[..., str]
# Characters that no text has, around the keys of references.
_BEGIN, _END = "\x02", "\x03"
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "^": r"\^{}",
    "~": r"\~{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "Å": r"\AA{}",
    "²": r"$^2$",
    "√": r"$\surd$",
}
_CHOSEN = {
    "uniform": "evenly over the values of the data",
    "cur": "chosen by leverage scores (CUR)",
    "fps": "chosen as farthest points",
    "kmeans": "chosen as centres of clusters",
    "random": "drawn at random",
    "file": "read from a list",
}
_NUMBERS = ("no", "one", "two", "three", "four", "five")


def methods_text(model: GAPModel, *, latex: bool = False) -> str:
    r"""Return a paragraph with all settings, data and versions behind a potential.

    Parameters
    ----------
    model : GAPModel
        The potential.
    latex : bool
        As LaTeX, with the keys of ``gapfit cite --bibtex`` in ``\cite``.

    Returns
    -------
    str
        Sentences. Keys of references are in brackets, as ``gapfit cite --bibtex`` has
        them.
    """
    cited: list[str] = []

    def cite(*keys: str) -> str:
        new = list(dict.fromkeys(keys))
        cited.extend(new)
        return _BEGIN + ", ".join(new) + _END

    text = " ".join(_sentences(model, cite))
    others = [(p, paper) for p, paper in papers(model) if paper.key not in cited]
    if others:
        used = "; ".join(f"{purpose}{cite(paper.key)}" for purpose, paper in others)
        text += f" Other methods: {used}."
    return _latex(text) if latex else text.replace(_BEGIN, " [").replace(_END, "]")


def _latex(text: str) -> str:
    """Return text as LaTeX."""
    text = "".join(_LATEX.get(character, character) for character in text)
    return text.replace(_BEGIN, r"~\cite{").replace(_END, "}")


def _sentences(model: GAPModel, cite: _Cite) -> Iterator[str]:
    from ase.data import chemical_symbols

    symbols = ", ".join(chemical_symbols[z] for z in model.species)
    if is_foreign(model):
        yield (
            f"The potential for {symbols} was read from a file of {model.record.program}, "
            "which does not say how it was fitted."
        )
        yield from _terms(model, cite)
        yield f"The digest of the potential (SHA-256) is {model_digest(model)}."
        return
    yield (
        f"A Gaussian approximation potential{cite(GAP.key)} for {symbols} was fitted to "
        f"{_data(model)}."
    )
    yield from _energies(model)
    yield from _terms(model, cite)
    yield from _noise(model)
    yield _solution(model, cite)
    yield from _deviations(model, cite)
    known = sorted(model.record.versions.items())
    versions = ", ".join(f"{name} {version}" for name, version in known)
    yield f"Versions: {versions}." if versions else ""
    yield (
        f"The digests (SHA-256) are {model.record.data_digest or 'unknown'} of the data "
        f"and {model_digest(model)} of the potential."
    )


def _data(model: GAPModel) -> str:
    record = model.record
    rows = record.n_rows
    names = {
        "energy": "energies",
        "forces": "force components",
        "virial": "virial components",
    }
    counted = ", ".join(f"{n} {names[kind]}" for kind, n in rows.items() if n)
    size = f"{record.n_frames} structures with {record.n_atoms} atoms"
    return f"{size} ({counted})" if counted else size


def _energies(model: GAPModel) -> Iterator[str]:
    from ase.data import chemical_symbols

    e0 = ", ".join(f"{chemical_symbols[z]} {e:.4f}" for z, e in model.e0.items())
    yield f"Energies are relative to those of single atoms (eV: {e0}; {e0_origin(model)})."
    if model.baseline is not None:
        baseline = baseline_text(model) + _ranges(model)
        yield f"The fit is of what a fixed baseline leaves ({baseline})."


def _ranges(model: GAPModel) -> str:
    """Return the lengths of a baseline, as text."""
    baseline = model.config.baseline
    parts = []
    if baseline.repulsion != "none":
        parts.append(f"repulsion to {baseline.r_cut:g} Å over {baseline.width:g} Å")
    if baseline.d3:
        parts.append(
            f"D3 to {baseline.d3.r_cut:g} Å, coordination to {baseline.d3.cn_r_cut:g} Å"
        )
    return f"; {', '.join(parts)}" if parts else ""


def _terms(model: GAPModel, cite: _Cite) -> Iterator[str]:
    count = len(model.terms)
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    parts = []
    for term in model.terms:
        keys = [paper.key for _, paper in term.descriptor.papers()]
        used = cite(*keys) if keys else ""
        chosen = ""
        if term.config.points_method and not is_foreign(model):
            method = term.config.points_method
            chosen = f" {_CHOSEN.get(method, f'chosen by {method}')}"
        found = f" of {term.descriptor.found}" if term.descriptor.found else ""
        members = f"{term.n_sparse} {term.members}{chosen}"
        parts.append(f"{term.config.in_words()}{used}{found} with {members}")
    plural = "terms" if count != 1 else "term"
    yield f"The energy of an atom has {number} {plural}: {'; '.join(parts)}."


def _noise(model: GAPModel) -> Iterator[str]:
    sigma = fit_config(model)["sigma"]
    yield (
        f"The standard deviations of the noise are {1000 * sigma['energy']:g} meV/atom for "
        f"energies, {sigma['forces']:g} eV/Å for forces and {1000 * sigma['virial']:g} "
        "meV/atom for virials."
    )
    relative = {
        "energies": sigma["energy_relative"],
        "forces": sigma["forces_relative"],
    }
    for name, share in relative.items():
        if share:
            yield f"Those of {name} grow with their size by the fraction {share:g}."
    units = {
        "energy": (1000, "meV/atom"),
        "forces": (1, "eV/Å"),
        "virial": (1000, "meV/atom"),
    }
    groups: dict[str, list[str]] = {}
    for config_type, values in sigma["config_types"].items():
        given = ", ".join(
            f"{name} {factor * values[name]:g} {unit}"
            for name, (factor, unit) in units.items()
            if values.get(name) is not None
        )
        groups.setdefault(given, []).append(config_type)
    for given, config_types in groups.items():
        if given:
            yield f"For structures of type {', '.join(config_types)} they are {given}."


def _solution(model: GAPModel, cite: _Cite) -> str:
    solver = model.config.solver
    how = {"qr": "by QR", "cholesky": "by Cholesky decomposition"}
    jitter = max(model.record.jitter or (solver.jitter,))
    return (
        f"The sparse Gaussian process is solved{cite(SOLVER.key)} "
        f"{how.get(solver.method, solver.method)}, with a jitter of {jitter:g} of the mean "
        "diagonal of K_mm."
    )


def _deviations(model: GAPModel, cite: _Cite) -> Iterator[str]:
    if model.posterior is None:
        return
    text = (
        "Standard deviations of predictions are those of the subset of regressors"
        f"{cite(SPARSE.key)}"
    )
    calibration = model.calibration
    if calibration is None:
        yield f"{text}."
        return
    how = "left out of the fit in turn"
    if calibration.method != "leave one out":
        how = "that were not fitted"
    scales = "; ".join(
        f"{quantity.reported} {part.scale.factor:.3g} and {part.scale.floor:.3g} "
        f"{CALIBRATION_UNITS[quantity]}"
        for quantity, part in calibration.kinds.items()
    )
    yield (
        f"{text}, scaled to the errors of {calibration.n_structures} structures {how} "
        f"(factor and floor: {scales})."
    )
