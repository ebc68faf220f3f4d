"""Forces and stress that are exactly zero where they cannot be: placeholders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.neighbours import pair_list
from gapfit.data.places import count_frames, list_places

__all__ = ["ZeroLabels"]

#: Range of the neighbours that pull at an atom, Å.
_RANGE = 5.0
#: Forces vanish by symmetry where the pulls of all neighbours cancel to this share.
_CANCELS = 1e-3


class ZeroLabels:
    """Frames whose forces or stress are exactly zero, but not by symmetry."""

    def __init__(self) -> None:
        self._forces: list[int] = []
        self._fixed: list[int] = []
        self._virials: list[int] = []
        self._n_fixed = 0

    def add(self, number: int, frame: Frame) -> tuple[bool, bool]:
        """Look at the next frame.

        Returns
        -------
        bool
            Whether all forces are placeholders.
        bool
            Whether the virial is one.
        """
        zero_virial = frame.virial is not None and not np.any(frame.virial)
        zero_atoms = np.zeros(frame.n_atoms, dtype=bool)
        if frame.forces is not None:
            zero_atoms = np.all(frame.forces == 0, axis=1)
        if not zero_virial and not zero_atoms.any():
            return False, False
        pulls, n_pairs = _pulls(frame)
        if zero_virial and n_pairs:
            self._virials.append(number)
        pulled = zero_atoms & (pulls > _CANCELS)
        if not pulled.any():
            return False, zero_virial
        if zero_atoms.all():
            self._forces.append(number)
            return True, zero_virial
        self._fixed.append(number)
        self._n_fixed += int(pulled.sum())
        return False, zero_virial

    def warnings(self, frames: Sequence[Frame]) -> list[str]:
        """Return warnings; `frames` are all that were added."""
        warnings = []
        if self._forces:
            warnings.append(
                f"all forces are exactly zero in {count_frames(self._forces)} whose atoms "
                f"are not in places of symmetry ({list_places(frames, self._forces)}): "
                "they look like placeholders of forces that were not computed; remove the "
                "labels, or set use_forces = false"
            )
        if self._fixed:
            warnings.append(
                f"forces of {self._n_fixed} atoms are exactly zero in "
                f"{count_frames(self._fixed)} where those of other atoms are not "
                f"({list_places(frames, self._fixed)}): they look like fixed atoms whose "
                "forces were set to zero; give the computed forces, or leave them out with "
                "force_mask"
            )
        if self._virials:
            warnings.append(
                f"the stress is exactly zero in {count_frames(self._virials)} "
                f"({list_places(frames, self._virials)}): it looks like a placeholder of a "
                "stress that was not computed; remove the label, or set use_stress = false"
            )
        return warnings


def _pulls(frame: Frame) -> tuple[np.ndarray, int]:
    """Return how far the pulls of an atom's neighbours are from cancelling, 0 to 1.

    Forces that vanish by symmetry vanish for every potential, and so for pairs that attract
    each other by exp(-r / Å).

    Returns
    -------
    (n_atoms,) float64
        Norm of the sum of all pulls, relative to the sum of their norms.
    int
        Number of pairs.
    """
    pairs = pair_list(frame, _RANGE)
    distances = np.linalg.norm(pairs.R, axis=1)
    strength = np.exp(-distances)
    directed = pairs.R * (strength / distances)[:, None]
    total = np.bincount(pairs.i, strength, minlength=frame.n_atoms)
    net = np.stack(
        [np.bincount(pairs.i, x, minlength=frame.n_atoms) for x in directed.T], axis=1
    )
    return np.linalg.norm(net, axis=1) / np.maximum(total, 1e-300), len(distances)
