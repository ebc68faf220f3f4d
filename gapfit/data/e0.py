"""Energies that are subtracted before the fit: isolated atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gapfit.config.sections import E0Config
from gapfit.data.frame import Frame
from gapfit.data.frame_file import species_counts
from gapfit.data.isolated import (
    SAME_ENERGY,
    LoneAtom,
    choice_warnings,
    given_warnings,
    lone_atoms,
    most_isolated,
    near_miss,
)
from gapfit.errors import DataError

__all__ = [
    "AtomEnergies",
    "e0_warnings",
    "isolated_energy",
    "resolve_e0",
    "same_energy",
]


class AtomEnergies(NamedTuple):
    """Energies of isolated atoms, and which of them stand in for missing atoms.

    Attributes
    ----------
    e0 : dict of int to float
        Energy by atomic number, eV; 0 where no frame has an energy.
    without_atom : tuple of int
        Species whose energy is neither given nor that of an isolated atom, ascending.
    """

    e0: dict[int, float]
    without_atom: tuple[int, ...]


def resolve_e0(frames: Sequence[Frame], config: E0Config) -> AtomEnergies:
    """Return the energy of the isolated atom of each species.

    Parameters
    ----------
    frames : sequence of Frame
        Training frames.
    config : E0Config
        Given values take precedence, then the most isolated atoms (see
        `gapfit.data.isolated.candidates`); what is left comes from least squares if that
        is ``config.method``.

    Raises
    ------
    DataError
        A species has no isolated atom, several that disagree, or no energy at all.
    """
    from ase.data import atomic_numbers, chemical_symbols

    species = list(species_counts(frames))
    energies = {atomic_numbers[symbol]: value for symbol, value in config.given.items()}
    wanted = [z for z in species if z not in energies]
    open_: list[int] = []
    if all(frame.energy is None for frame in frames):
        energies |= dict.fromkeys(wanted, 0.0)  # forces alone leave the constant open
    else:
        atoms = lone_atoms(frames, wanted)
        energies |= {z: best.energy for z in atoms if (best := most_isolated(atoms[z]))}
        open_ = [z for z in wanted if z not in energies]
        if open_ and config.method != "isolated":
            energies |= _least_squares(frames, open_, energies)
        missing = [z for z in open_ if z not in energies]
        if missing and config.method != "isolated":
            names = [str(chemical_symbols[z]) for z in missing]
            raise DataError(
                f"no frame with {', '.join(names)} has an energy, so least squares cannot "
                f"find e0; set it in the configuration ([e0] {names[0]} = ... in eV)"
            )
        if missing:
            raise _missing(missing, atoms)
    return AtomEnergies(
        {z: energies[z] for z in sorted(energies)}, tuple(sorted(open_))
    )


def same_energy(frame: Frame, e0: Mapping[int, float]) -> bool:
    """Return whether a lone atom has the energy that is e0 of its species."""
    z = int(frame.numbers[0])
    return (
        frame.energy is not None
        and z in e0
        and abs(frame.energy - e0[z]) <= SAME_ENERGY
    )


def e0_warnings(frames: Sequence[Frame], config: E0Config) -> list[str]:
    """Return warnings about the energies of `resolve_e0`."""
    from ase.data import atomic_numbers, chemical_symbols

    species = list(species_counts(frames))
    given = {atomic_numbers[symbol]: value for symbol, value in config.given.items()}
    warnings = [
        f"[e0] {chemical_symbols[z]}: there is no {chemical_symbols[z]} in the data"
        for z in sorted(set(given).difference(species))
    ]
    if all(frame.energy is None for frame in frames):
        return warnings
    atoms = lone_atoms(frames, species)
    for z in species:
        warnings += (
            given_warnings(atoms[z], given[z])
            if z in given
            else choice_warnings(atoms[z])
        )
    wanted = [z for z in species if z not in given]
    open_ = [z for z in wanted if most_isolated(atoms[z]) is None]
    warnings += [text for z in open_ if (text := near_miss(atoms[z]))]
    names = ", ".join(chemical_symbols[z] for z in open_)
    if config.method == "auto" and open_:
        warnings.append(
            f"no isolated atom of {names} in the data: e0 comes from least squares over "
            "the compositions, which suits the energies of the data, but not those of "
            "separated atoms; add a frame with the single atom in a large box, set [e0] "
            f"{chemical_symbols[open_[0]]} = ... in eV, or accept it with [e0] method = "
            '"least_squares"'
        )
    if config.method != "isolated" and not _determined(frames, open_):
        warnings.append(
            f"the compositions in the data do not determine e0 of {names} one by one: "
            "energies of other compositions will be wrong; add frames of other "
            "compositions or isolated atoms, or set e0 in the configuration"
        )
    return warnings


def _determined(frames: Sequence[Frame], wanted: Sequence[int]) -> bool:
    """Return whether the compositions of frames with energies tell species apart."""
    counts = np.array(
        [
            [np.sum(frame.numbers == z) for z in wanted]
            for frame in frames
            if frame.energy is not None
        ]
    )
    return bool(not counts.size or np.linalg.matrix_rank(counts) == len(wanted))


def isolated_energy(numbers: np.ndarray, e0: dict[int, float]) -> float:
    """Return the sum of the isolated atoms' energies, eV."""
    return float(sum(e0[int(z)] for z in numbers))


def _missing(
    missing: Sequence[int], atoms: Mapping[int, Sequence[LoneAtom]]
) -> DataError:
    """Return the error about species without an isolated atom."""
    from ase.data import chemical_symbols

    names = [str(chemical_symbols[z]) for z in missing]
    near = "".join(f"; {text}" for z in missing if (text := near_miss(atoms[z])))
    return DataError(
        f"no energy of the isolated atom for {', '.join(names)}{near}: add a "
        f"frame with the single atom in a large box, set it in the configuration ([e0] "
        f'{names[0]} = ... in eV), or choose [e0] method = "least_squares"'
    )


def _least_squares(
    frames: Sequence[Frame], wanted: Sequence[int], given: dict[int, float]
) -> dict[int, float]:
    """Return the energies per atom that fit all compositions best."""
    compositions, energies, sizes = [], [], []
    for frame in frames:
        if frame.energy is not None:
            compositions.append([np.sum(frame.numbers == z) for z in wanted])
            fixed = sum(given.get(int(z), 0.0) for z in frame.numbers)
            energies.append(frame.energy - fixed)
            sizes.append(frame.n_atoms)
    shares = np.array(compositions, float) / np.array(sizes, float)[:, None]
    present = shares.any(axis=0)
    if not present.any():
        return {}
    per_atom = np.array(energies) / np.array(sizes, float)
    solution = np.linalg.lstsq(shares[:, present], per_atom, rcond=None)[0]
    having = np.array(wanted)[present].tolist()
    return dict(zip(having, solution.tolist(), strict=True))
