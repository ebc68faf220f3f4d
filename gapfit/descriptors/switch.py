"""Switching functions that take a pair potential to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = [
    "Switch",
    "SwitchForm",
]

#: Forms of the switch at the cutoff.
SwitchForm = Literal["smooth", "cosine"]


@dataclass(frozen=True)
class Switch:
    """s(r): from 1 at r_cut - width to 0 at r_cut.

    With t = (r - r_cut) / width + 1, "smooth" is s = 1 - t³ (10 - 15 t + 6 t²), with two
    continuous derivatives; "cosine" is QUIP's s = (1 + cos(π t)) / 2, with one.

    Attributes
    ----------
    r_cut, width : float
        Cutoff, and width of the switch, Å.
    form : {"smooth", "cosine"}
        Form of the function.
    """

    r_cut: float
    width: float
    form: SwitchForm = "smooth"

    @property
    def for_core(self) -> tuple[float, float, bool]:
        """Arguments of the core: cutoff, width, and whether it is a cosine."""
        return self.r_cut, self.width, self.form == "cosine"

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Return s, s' and s''.

        Parameters
        ----------
        r : (n,) float64
            Distances, Å.

        Returns
        -------
        (3, n) float64
            Dimensionless, 1/Å and 1/Å²; s'' of a cosine is zero outside its range.
        """
        width = self.width
        t = np.clip((r - self.r_cut) / width + 1, 0.0, 1.0)
        if self.form == "cosine":
            turn = np.pi / width
            inside = (r >= self.r_cut - width) & (r <= self.r_cut)
            return np.stack(
                [
                    0.5 * (1 + np.cos(np.pi * t)),
                    -0.5 * turn * np.sin(np.pi * t),
                    np.where(inside, -0.5 * turn**2 * np.cos(np.pi * t), 0.0),
                ]
            )
        return np.stack(
            [
                1 - t**3 * (10 - 15 * t + 6 * t**2),
                -30 * t**2 * (1 - t) ** 2 / width,
                -60 * t * (1 - t) * (1 - 2 * t) / width**2,
            ]
        )

    def times(self, values: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return s φ with its first two derivatives.

        Parameters
        ----------
        values : (3, n) float64
            φ, φ' and φ'' at the distances; eV, eV/Å, eV/Å².
        r : (n,) float64
            Distances, Å.

        Returns
        -------
        (3, n) float64
            s φ and its derivatives in eV, eV/Å and eV/Å².
        """
        v, v1, v2 = values
        s, s1, s2 = self(r)
        return np.stack([s * v, s1 * v + s * v1, s2 * v + 2 * s1 * v1 + s * v2])
