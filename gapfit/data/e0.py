"""Energies that are subtracted before the fit: isolated atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.config.sections import E0Config
from gapfit.data.frame import Frame
from gapfit.data.frame_file import species_counts
from gapfit.data.neighbours import pair_list
from gapfit.errors import DataError

__all__ = ["e0_warnings", "is_isolated", "isolated_energy", "resolve_e0"]

#: A lone atom counts as isolated when its images are at least this far away, Å.
ISOLATION = 6.0

#: Isolated atoms of one species must agree to this, eV.
_TOLERANCE = 1e-3


def is_isolated(frame: Frame, reach: float = ISOLATION) -> bool:
    """Return whether a frame is one atom without neighbours within `reach`, Å."""
    return frame.n_atoms == 1 and pair_list(frame, reach).n_pairs == 0


def resolve_e0(frames: Sequence[Frame], config: E0Config) -> dict[int, float]:
    """Return the energy of the isolated atom of each species.

    Parameters
    ----------
    frames : sequence of Frame
        Training frames.
    config : E0Config
        Given values take precedence; the others come from ``config.method``.

    Returns
    -------
    dict of int to float
        Energy by atomic number, eV; 0 where no frame has an energy.

    Raises
    ------
    DataError
        A species has no isolated atom, several that disagree, or no energy at all.
    """
    from ase.data import atomic_numbers, chemical_symbols

    species = list(species_counts(frames))
    given = {atomic_numbers[symbol]: value for symbol, value in config.given.items()}
    wanted = [z for z in species if z not in given]
    if all(frame.energy is None for frame in frames):
        energies = dict.fromkeys(wanted, 0.0)  # forces alone leave the constant open
    elif config.method == "least_squares":
        energies = _least_squares(frames, wanted, given)
    else:
        energies = _isolated(frames)
    missing = [chemical_symbols[z] for z in wanted if z not in energies]
    if missing and config.method == "least_squares":
        raise DataError(
            f"no frame with {', '.join(missing)} has an energy, so least squares cannot "
            f"find e0; set it in the configuration ([e0] {missing[0]} = ... in eV)"
        )
    if missing:
        raise DataError(
            f"no energy of the isolated atom for {', '.join(missing)}: add a frame with "
            f"the single atom in a large box, set it in the configuration ([e0] "
            f'{missing[0]} = ... in eV), or choose [e0] method = "least_squares"'
        )
    return {
        z: given[z] if z in given else energies[z] for z in sorted({*species, *given})
    }


def e0_warnings(frames: Sequence[Frame], config: E0Config) -> list[str]:
    """Return warnings about the energies of `resolve_e0`."""
    from ase.data import atomic_numbers, chemical_symbols

    species = list(species_counts(frames))
    given = {atomic_numbers[symbol] for symbol in config.given}
    warnings = [
        f"[e0] {chemical_symbols[z]}: there is no {chemical_symbols[z]} in the data"
        for z in sorted(given.difference(species))
    ]
    wanted = [z for z in species if z not in given]
    counts = np.array(
        [
            [np.sum(frame.numbers == z) for z in wanted]
            for frame in frames
            if frame.energy is not None
        ]
    )
    determined = not counts.size or np.linalg.matrix_rank(counts) == len(wanted)
    if config.method == "least_squares" and not determined:
        names = ", ".join(chemical_symbols[z] for z in wanted)
        warnings.append(
            f"the compositions in the data do not determine e0 of {names} one by one: "
            "energies of other compositions will be wrong; add frames of other "
            "compositions or isolated atoms, or set e0 in the configuration"
        )
    return warnings


def isolated_energy(numbers: np.ndarray, e0: dict[int, float]) -> float:
    """Return the sum of the isolated atoms' energies, eV."""
    return float(sum(e0[int(z)] for z in numbers))


def _isolated(frames: Sequence[Frame]) -> dict[int, float]:
    atoms: dict[int, tuple[float, str]] = {}
    for frame in frames:
        if frame.energy is None or not is_isolated(frame):
            continue
        z = int(frame.numbers[0])
        if z in atoms and abs(atoms[z][0] - frame.energy) > _TOLERANCE:
            raise DataError(
                f"isolated atoms disagree: {atoms[z][1]} has {atoms[z][0]:.6f} eV and "
                f"{frame.source} has {frame.energy:.6f} eV for the same element; keep the "
                "right one, or set the value under [e0]"
            )
        atoms.setdefault(z, (frame.energy, frame.source))
    return {z: energy for z, (energy, _) in atoms.items()}


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
