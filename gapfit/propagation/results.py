"""Averages along a trajectory, with the error of the potential and that of the sampling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student

from gapfit.errors import GapfitError

__all__ = ["METHODS", "Average", "Method", "Reweighting", "interval_factor"]

#: Direct weights, the cumulant expansion, or the first of them that may be used.
Method = Literal["auto", "direct", "cumulant"]
METHODS: tuple[Method, ...] = ("auto", "direct", "cumulant")

#: Probability of the intervals that are printed and written.
LEVEL = 0.95
_NAMES = {"direct": "direct weights", "cumulant": "cumulant expansion, first order"}


def interval_factor(n_samples: int, level: float) -> float:
    """Return the half width of an interval over the standard deviation of samples.

    With this probability it holds another sample of a normal distribution of which some
    are known: Student's t, times sqrt(1 + 1/n).

    Parameters
    ----------
    n_samples : int
        Number of samples, 2 or more.
    level : float
        Probability.

    Raises
    ------
    GapfitError
        `level` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise GapfitError(f"level = {level:g}: give a probability between 0 and 1")
    t = student.ppf(0.5 + 0.5 * level, n_samples - 1)
    return float(t * np.sqrt(1 + 1 / n_samples))


@dataclass(frozen=True, eq=False)
class Average:
    """Average of one observable, with two errors that have nothing to do with each other.

    Attributes
    ----------
    value : (n_values,) float64
        By the mean potential, in `unit`.
    samples : (n_samples, n_values) float64
        By each sample of the posterior.
    model_std : (n_values,) float64
        Standard deviation of the samples: the error of the potential.
    noise : (n_values,) float64
        Part of `model_std` that is scatter of the reweighting, which a longer trajectory
        makes smaller (root mean square over the samples).
    statistical_std : (n_values,) float64
        Standard error of `value` from the length of the trajectory.
    unit : str
        Unit of all of these.
    grid : (n_values,) float64 or None
        Where the values are, such as distances.
    grid_unit : str
        Unit of the grid.
    """

    value: np.ndarray
    samples: np.ndarray
    model_std: np.ndarray
    noise: np.ndarray
    statistical_std: np.ndarray
    unit: str = ""
    grid: np.ndarray | None = None
    grid_unit: str = ""

    @property
    def total_std(self) -> np.ndarray:
        """Both errors together, (n_values,) float64."""
        total: np.ndarray = np.hypot(self.model_std, self.statistical_std)
        return total

    def interval(self, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of an interval of both errors around `value`.

        Parameters
        ----------
        level : float
            Probability that it holds the average of the true potential, as far as the
            samples are right about that.

        Raises
        ------
        GapfitError
            `level` is not between 0 and 1.
        """
        half = interval_factor(len(self.samples), level) * self.total_std
        return self.value - half, self.value + half

    def as_dict(self) -> dict[str, Any]:
        """Return plain data; single numbers are lists of one."""
        low, high = self.interval()
        arrays = {
            "grid": self.grid,
            "value": self.value,
            "model_std": self.model_std,
            "noise": self.noise,
            "statistical_std": self.statistical_std,
            "low_95": low,
            "high_95": high,
            "samples": self.samples,
        }
        out: dict[str, Any] = {"unit": self.unit, "grid_unit": self.grid_unit}
        return out | {name: a.tolist() for name, a in arrays.items() if a is not None}


@dataclass(frozen=True, eq=False)
class Reweighting:
    """Averages along a trajectory of the mean potential, and of all samples.

    Attributes
    ----------
    averages : dict of str to Average
        By name: ``"energy"`` (potential energy, eV/atom), ``"heat capacity"`` (k_B/atom),
        ``"rdf"`` and those of the user.
    method : {"direct", "cumulant"}
        How the averages of the samples were found.
    temperature : float
        K.
    n_frames, n_atoms : int
        Size of the trajectory.
    inefficiency : float
        Correlated frames that count as one for the mean energy.
    effective_sizes : (n_samples,) float64
        Frames behind direct weights, (Σw)² / Σw².
    spreads : (n_samples,) float64
        Standard deviation of (E_k - E) / kT along the trajectory.
    scale : float
        Factor of the standard deviation of the coefficients; see `GAPModel.sample`.
    digest : str
        Digest of the model, as `gapfit info` prints it.
    notes : tuple of str
        What to be careful about.
    """

    averages: dict[str, Average]
    method: str
    temperature: float
    n_frames: int
    n_atoms: int
    inefficiency: float
    effective_sizes: np.ndarray
    spreads: np.ndarray
    scale: float
    digest: str
    notes: tuple[str, ...] = field(default=())

    @property
    def n_samples(self) -> int:
        """Number of sampled potentials."""
        return len(self.effective_sizes)

    def __getitem__(self, name: str) -> Average:
        """Return an average by name."""
        return self.averages[name]

    def facts(self) -> list[tuple[str, str]]:
        """Return what was computed, as names and values."""
        sizes = self.effective_sizes
        independent = self.n_frames / self.inefficiency
        return [
            ("temperature", f"{self.temperature:.4g} K"),
            ("frames", f"{self.n_frames} of {self.n_atoms} atoms"),
            ("independent frames", f"about {independent:.0f}"),
            ("samples", f"{self.n_samples}, scale {self.scale:.3g}"),
            ("method", _NAMES[self.method]),
            ("effective frames", f"{sizes.min():.1f} to {sizes.max():.1f}"),
            ("std of ΔE/kT", f"{self.spreads.min():.2g} to {self.spreads.max():.2g}"),
        ]

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table: heading, then a line for each average."""
        lines: list[tuple[str, ...]] = [
            ("", "unit", "value", "model", "of it noise", "statistical")
        ]
        for name, average in self.averages.items():
            n = int(np.argmax(average.value))
            shown = name if average.value.size == 1 else f"{name}, largest"
            if average.grid is not None:
                shown = f"{name} at {average.grid[n]:.4g} {average.grid_unit}".rstrip()
            std = average.total_std[n]
            digits = 6 if std == 0 else int(np.clip(2 - np.floor(np.log10(std)), 0, 9))
            numbers = (
                average.value,
                average.model_std,
                average.noise,
                average.statistical_std,
            )
            lines.append(
                (shown, average.unit, *(f"{a[n]:.{digits}f}" for a in numbers))
            )
        return lines

    def table(self) -> str:
        """Return the averages and their errors as plain text.

        Of an array the largest value is shown, with its place.
        """
        lines = self._rows()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                [
                    line[0].ljust(widths[0]),
                    *(
                        cell.rjust(w)
                        for cell, w in zip(line[1:], widths[1:], strict=True)
                    ),
                ]
            ).rstrip()
            for line in lines
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "method": self.method,
            "temperature": self.temperature,
            "n_frames": self.n_frames,
            "n_atoms": self.n_atoms,
            "n_samples": self.n_samples,
            "scale": self.scale,
            "digest": self.digest,
            "inefficiency": self.inefficiency,
            "effective_sizes": self.effective_sizes.tolist(),
            "spreads": self.spreads.tolist(),
            "averages": {name: a.as_dict() for name, a in self.averages.items()},
            "notes": list(self.notes),
        }
