"""Blocks of rows for the solver: kernel rows, targets and sigmas of some frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from gapfit.baseline import baseline_energy
from gapfit.config import SigmaConfig, Term
from gapfit.descriptors import KernelRows
from gapfit.frame import Frame
from gapfit.frame_file import config_types
from gapfit.groups import KINDS
from gapfit.neighbours import Pairs, concatenate, pair_list
from gapfit.terms import FittedTerm

__all__ = [
    "RowBlock",
    "batches",
    "count_rows",
    "frame_sigmas",
    "pairs_of",
    "quota_warnings",
    "row_block",
    "row_counts",
    "sigma_warnings",
    "species_warnings",
]


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Observations ready for a solver: all energies, then all forces, then all virials.

    Attributes
    ----------
    K : (n_rows, n_sparse) float64
        Kernel rows, eV² per unit of the target.
    y : (n_rows,) float64
        Targets: energies without baseline (eV), forces (eV/Å), virials (eV).
    sigma : (n_rows,) float64
        Standard deviations in the targets' units.
    kind : (n_rows,) int64
        Position in `gapfit.groups.KINDS`.
    frame : (n_rows,) int64
        Index of the frame that each row belongs to.
    """

    K: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    kind: np.ndarray
    frame: np.ndarray


def batches(
    sizes: Sequence[int] | np.ndarray, max_size: int, *, start: int = 0
) -> Iterator[slice]:
    """Yield slices of consecutive items whose sizes add up to at most `max_size`."""
    total, first = 0, start
    for n in range(start, len(sizes)):
        if total and total + sizes[n] > max_size:
            yield slice(first, n)
            total, first = 0, n
        total += sizes[n]
    if first < len(sizes):
        yield slice(first, len(sizes))


def pairs_of(frames: Sequence[Frame], cutoff: float) -> Pairs:
    """Return one pair list for several frames."""
    return concatenate([pair_list(frame, cutoff) for frame in frames])


def row_counts(frames: Sequence[Frame]) -> np.ndarray:
    """Return how many observations of each kind each frame holds, (n_frames, 3) int64."""
    counts = np.zeros((len(frames), len(KINDS)), dtype=np.int64)
    for n, frame in enumerate(frames):
        known = 0 if frame.forces is None else np.isfinite(frame.forces).sum()
        counts[n] = frame.energy is not None, known, 6 * (frame.virial is not None)
    return counts


def count_rows(frames: Sequence[Frame]) -> dict[str, int]:
    """Return how many observations of each kind the frames hold."""
    return dict(zip(KINDS, row_counts(frames).sum(axis=0).tolist(), strict=True))


def frame_sigmas(frame: Frame, config: SigmaConfig) -> tuple[float, np.ndarray, float]:
    """Return the sigmas of a frame's targets.

    The frame's own values win over those of its config_type, these over the global
    ones. Energies and virials scale with sqrt(n_atoms): errors of independent atoms.

    Returns
    -------
    energy : float
        Of the total energy, eV.
    forces : (n_atoms, 3) float64
        eV/Å.
    virial : float
        Of a component of the total virial, eV.
    """
    override = config.config_types.get(frame.config_type)

    def choose(own: float | None, kind: str) -> float:
        if own is not None:
            return own
        special = getattr(override, kind, None)
        return float(getattr(config, kind) if special is None else special)

    root = float(np.sqrt(frame.n_atoms))
    if frame.force_sigma is None:
        forces = np.full((frame.n_atoms, 3), choose(None, "forces"))
    else:
        forces = np.repeat(frame.force_sigma[:, None], 3, axis=1)
    return (
        choose(frame.energy_sigma, "energy") * root,
        forces,
        choose(frame.virial_sigma, "virial") * root,
    )


def sigma_warnings(frames: Sequence[Frame], config: SigmaConfig) -> list[str]:
    """Return the config_types that have sigmas but no frames, with the nearest name."""
    return _absent_types("[sigma.config_types]", config.config_types, frames)


def quota_warnings(frames: Sequence[Frame], terms: Sequence[Term]) -> list[str]:
    """Return the config_types that are to give sparse points but have no frames."""
    return [
        text
        for n, term in enumerate(terms)
        for text in _absent_types(
            f"[[terms]] {n + 1}: config_type_n_sparse:",
            term.config_type_n_sparse,
            frames,
        )
    ]


def species_warnings(species: tuple[int, ...], terms: Sequence[Term]) -> list[str]:
    """Return the keys of terms that name species which the data do not hold."""
    from ase.data import chemical_symbols

    present = [chemical_symbols[z] for z in species]
    warnings = []
    for n, term in enumerate(terms):
        for key in ("centres", "species_weights", "species_n_sparse"):
            names = getattr(term, key, ())
            absent = [x for x in names if not set(x.split("-")) <= set(present)]
            if absent:
                warnings.append(
                    f"[[terms]] {n + 1}: {key} of {', '.join(absent)} have no effect: "
                    f"the data hold {', '.join(present)}"
                )
    return warnings


def _absent_types(
    where: str, names: Iterable[str], frames: Sequence[Frame]
) -> list[str]:
    present = sorted(set(config_types(frames)))
    warnings = []
    for name in names:
        if name in present:
            continue
        folded = {other.casefold(): other for other in present}
        near = get_close_matches(name.casefold(), folded, n=1)
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        warnings.append(
            f"{where} {name}: no frame has this config_type{hint} "
            f"(there are {', '.join(present)})"
        )
    return warnings


def row_block(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    e0: dict[int, float],
    sigma: SigmaConfig,
) -> RowBlock:
    """Return all observations of some frames.

    Parameters
    ----------
    frames : sequence of Frame
        Handled together; memory grows with their atoms.
    terms : sequence of FittedTerm
        With sparse points.
    e0 : dict of int to float
        Baseline by atomic number, eV.
    sigma : SigmaConfig
        Standard deviations.
    """
    pairs = pairs_of(frames, max(term.descriptor.cutoff for term in terms))
    gradients = any(f.forces is not None or f.virial is not None for f in frames)
    counts = row_counts(frames)
    places = _places(counts)
    K = np.empty((int(counts.sum()), sum(term.n_sparse for term in terms)))
    first = 0
    for term in terms:
        _fill(
            K[:, first : first + term.n_sparse],
            frames,
            places,
            term.descriptor.kernel_rows(
                pairs.within(term.descriptor.cutoff), term.sparse, gradients=gradients
            ),
        )
        first += term.n_sparse
    y, sigmas = _targets(frames, places, len(K), e0, sigma)
    numbers = np.arange(len(frames))
    return RowBlock(
        K,
        y,
        sigmas,
        np.repeat(np.arange(len(KINDS)), counts.sum(axis=0)),
        np.concatenate([np.repeat(numbers, of_kind) for of_kind in counts.T]),
    )


def _places(counts: np.ndarray) -> list[list[slice]]:
    """Return the rows of each kind of each frame, from their numbers (n_frames, 3)."""
    ends = np.cumsum(counts.T).reshape(counts.T.shape)
    return [
        [slice(int(end - n), int(end)) for n, end in zip(*own, strict=True)]
        for own in zip(counts.T, ends, strict=True)
    ]


def _fill(
    K: np.ndarray,
    frames: Sequence[Frame],
    places: list[list[slice]],
    found: KernelRows,
) -> None:
    """Copy the rows of what is labelled; frame by frame, for the copies' sake."""
    energies, forces, virials = places
    first = 0
    for n, frame in enumerate(frames):
        atoms = slice(first, first + frame.n_atoms)
        first += frame.n_atoms
        if frame.energy is not None:
            K[energies[n]] = found.energies[n]
        if frame.forces is not None:
            K[forces[n]] = found.forces[atoms][np.isfinite(frame.forces)]
        if frame.virial is not None:
            K[virials[n]] = found.virials[n]


def _targets(
    frames: Sequence[Frame],
    places: list[list[slice]],
    n_rows: int,
    e0: dict[int, float],
    config: SigmaConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and their standard deviations, each (n_rows,)."""
    energies, forces, virials = places
    y, sigmas = np.empty(n_rows), np.empty(n_rows)
    for n, frame in enumerate(frames):
        of_energy, of_forces, of_virial = frame_sigmas(frame, config)
        if frame.energy is not None:
            y[energies[n]] = frame.energy - baseline_energy(frame.numbers, e0)
            sigmas[energies[n]] = of_energy
        if frame.forces is not None:
            known = np.isfinite(frame.forces)
            y[forces[n]] = frame.forces[known]
            sigmas[forces[n]] = of_forces[known]
        if frame.virial is not None:
            y[virials[n]] = frame.virial
            sigmas[virials[n]] = of_virial
    return y, sigmas
