"""Values of labels: their shapes, signs and units."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit.config.base import LEAST_SIGMA
from gapfit.data.extxyz import bracketed
from gapfit.data.frame import Frame, to_voigt

__all__ = ["BadLabelError", "label_value", "mask_value", "sigma_value"]

#: Largest asymmetry of a stress tensor, relative to its largest component.
MAX_ASYMMETRY = 1e-3


class BadLabelError(ValueError):
    """A label whose value does not fit its name."""


def label_value(kind: str, value: Any, frame: Frame) -> Any:
    """Return a label in the form that `Frame` has.

    Parameters
    ----------
    kind : str
        A key of `CANDIDATES`.
    value : array_like
        Energy: one number, eV. Forces: (n_atoms, 3), eV/Å. Stress: six numbers in Voigt
        order, nine, or (3, 3), eV/Å³, tension positive. Virial: the same shapes,
        -stress × volume, eV.
    frame : Frame
        The structure.

    Returns
    -------
    float or ndarray
        Energy; forces, (n_atoms, 3) float64; or, for both stress and virial, the virial
        in Voigt order, (6,) float64, eV.

    Raises
    ------
    BadLabelError
        The value is not numeric, has another shape, or is not symmetric.
    """
    array = _numbers(value)
    if kind == "energy":
        return _one_number(array)
    if kind == "forces":
        if array.shape != (frame.n_atoms, 3):
            raise BadLabelError(
                f"has shape {array.shape} where ({frame.n_atoms}, 3) is expected, "
                "three components for each atom"
            )
        return array
    # What becomes infinite, or is, has no symmetry and is refused as such.
    with np.errstate(over="ignore", invalid="ignore"):
        voigt = _voigt(kind, array, frame.n_atoms)
        return -voigt * frame.volume if kind == "stress" else voigt


def sigma_value(kind: str, value: Any, n_atoms: int) -> Any:
    """Return a standard deviation: one number, or for forces one for each atom."""
    array = _numbers(value)
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= LEAST_SIGMA)))
    if bad.size:
        where = f" for atom {bad[0]}" if array.size > 1 else ""
        raise BadLabelError(
            f"is {array.flat[bad[0]]:g}{where}; a sigma must be finite and at least "
            f"{LEAST_SIGMA:g}"
        )
    if kind != "force_sigma":
        return _one_number(array)
    if array.size == 1:
        return np.full(n_atoms, float(array.flat[0]))
    if array.shape != (n_atoms,):
        raise BadLabelError(
            f"has shape {array.shape} where one number is expected, or one for each of "
            f"the {n_atoms} atoms"
        )
    return array


def mask_value(value: Any, n_atoms: int) -> np.ndarray:
    """Return a mask of atoms, (n_atoms,) bool, from true and false or 1 and 0."""
    array = np.asarray(value)
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise BadLabelError(f"is {str(value)[:60]!r}, which is not true and false")
    if array.shape != (n_atoms,):
        raise BadLabelError(
            f"has shape {array.shape} where one value for each of the {n_atoms} atoms is "
            "expected"
        )
    return array.astype(bool)


def _numbers(value: Any) -> np.ndarray:
    if isinstance(value, str) and value.strip().startswith("["):
        value = bracketed(value.strip())
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different length
        array = np.array(str(value))
    if array.dtype.kind not in "iuf":
        raise BadLabelError(
            f"is {str(value)[:60]!r}, which is not a number or an array"
        )
    return array.astype(float)


def _one_number(array: np.ndarray) -> float:
    if array.size != 1:
        raise BadLabelError(f"has shape {array.shape} where one number is expected")
    return float(array.flat[0])


def _voigt(kind: str, array: np.ndarray, n_atoms: int) -> np.ndarray:
    """Return the six components of a stress (eV/Å³) or virial (eV)."""
    if array.shape in ((9,), (3, 3)):
        matrix = array.reshape(3, 3)
        asymmetry = np.abs(matrix - matrix.T).max()
        floor = 1e-5 if kind == "stress" else 1e-4 * n_atoms
        # NaN and infinity pass; they are refused as such.
        if asymmetry > max(MAX_ASYMMETRY * np.abs(matrix).max(), floor):
            raise BadLabelError(
                f"is not symmetric: opposite components differ by {asymmetry:.4g} "
                f"where the largest is {np.abs(matrix).max():.4g}"
            )
        return to_voigt(matrix)
    if array.shape != (6,):
        raise BadLabelError(
            f"has shape {array.shape} where 6, 9 or (3, 3) numbers are expected"
        )
    return array
