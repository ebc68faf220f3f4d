"""A sample of the errors of a model, each with its place in the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gapfit.data.frame import GPA, Frame
from gapfit.data.observations import Quantity
from gapfit.data.pair_data import PairTally, dimer_distance
from gapfit.evaluation.residuals import Residuals
from gapfit.evaluation.scores import error_factor
from gapfit.model.prediction import Prediction

__all__ = [
    "BIN_EDGES",
    "Collector",
    "ErrorPoints",
    "Scored",
    "ShortPair",
    "short_source",
    "to_error",
]

#: Edges of the histogram of |error|, decades; errors outside are counted at the ends.
BIN_EDGES = np.linspace(-8.0, 5.0, 131)

#: Factor from the difference of drawn values to an error in the unit of the tables.
_TO_ERROR = {Quantity.ENERGY: 1000.0, Quantity.FORCES: 1.0, Quantity.VIRIAL: 1.0}
# Share of the kept points that are those with the largest errors.
_LARGEST = 0.1


def to_error(quantity: Quantity) -> float:
    """Return the factor from values of a quantity to errors in the unit of the tables."""
    return _TO_ERROR[quantity]


@dataclass(frozen=True, eq=False)
class ErrorPoints:
    """References and predictions of observations of one quantity.

    Attributes
    ----------
    frame : (n,) int64
        Number of the structure in the data.
    index : (n,) int64
        0 for energies; 3 × atom + component of forces; component of stresses, Voigt.
    reference, predicted : (n,) float64
        Energy relative to the isolated atoms, eV/atom; force, eV/Å; stress, GPa.
    n_total : int
        Number of observations from which these were chosen.
    """

    frame: np.ndarray
    index: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray
    n_total: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, which: np.ndarray) -> ErrorPoints:
        """Return the points at indices."""
        names = ("frame", "index", "reference", "predicted")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


@dataclass(frozen=True, eq=False)
class Scored:
    """Errors of one quantity and their standard deviations, meV/atom, eV/Å or GPa.

    Attributes
    ----------
    frame, index : (n,) int64
        As in `ErrorPoints`.
    error, std : (n,) float64
        Prediction minus reference, and the standard deviation of the observation.
    """

    frame: np.ndarray
    index: np.ndarray
    error: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class ShortPair:
    """A structure of two atoms.

    Attributes
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    distance : float
        Distance, Å.
    energy : float
        Reference relative to the isolated atoms, eV.
    frame : int
        Number of the structure in the data.
    """

    species: tuple[int, int]
    distance: float
    energy: float
    frame: int


class Collector:
    """Keeps a bounded number of errors while a model is evaluated (an `Observer`).

    The largest errors of each quantity are kept, and a random sample of the others;
    histograms count all.

    Parameters
    ----------
    e0 : dict of int to float
        Energies of the isolated atoms, eV.
    cutoff : float
        Cutoff of the model, Å.
    most : int
        Largest number of points of each quantity.
    seed : int
        Seed of the random sample.

    Attributes
    ----------
    histograms : dict of Quantity to (len(BIN_EDGES) - 1,) int64
        Numbers of errors of each quantity by size.
    dimers : list of ShortPair
        Dimers among the structures.
    pairs : PairTally
        Shortest distances and dimers by pair of species.
    """

    def __init__(
        self, e0: dict[int, float], cutoff: float, *, most: int, seed: int
    ) -> None:
        self.e0 = e0
        self.cutoff = cutoff
        self.most = most
        self.histograms: dict[Quantity, np.ndarray] = {}
        self.dimers: list[ShortPair] = []
        self.pairs = PairTally(e0, cutoff)
        self._rng = np.random.default_rng([seed, 7])
        self._points: dict[Quantity, list[ErrorPoints]] = {}
        self._keys: dict[Quantity, list[np.ndarray]] = {}
        self._scored: dict[Quantity, list[Scored]] = {}

    def predicted(self, number: int, frame: Frame, prediction: Prediction) -> None:
        """Add a structure; see `gapfit.evaluation.scores.Observer`."""
        self.pairs.add(frame)
        if frame.energy is not None:
            apart = sum(self.e0[z] for z in frame.numbers.tolist())
            both = np.array([frame.energy, prediction.energy]) - apart
            energies = (both / frame.n_atoms)[:, None]
            self._add(Quantity.ENERGY, number, np.zeros(1, int), *energies)
            self._look_for_dimer(number, frame, float(both[0]))
        if frame.forces is not None and prediction.forces is not None:
            labelled = np.flatnonzero(np.isfinite(frame.forces))
            reference, predicted = frame.forces.ravel(), prediction.forces.ravel()
            self._add(
                Quantity.FORCES,
                number,
                labelled,
                reference[labelled],
                predicted[labelled],
            )
        if frame.stress is not None and prediction.stress is not None:
            reference, predicted = GPA * frame.stress, GPA * prediction.stress
            self._add(Quantity.VIRIAL, number, np.arange(6), reference, predicted)

    def _add(
        self,
        quantity: Quantity,
        number: int,
        index: np.ndarray,
        reference: np.ndarray,
        predicted: np.ndarray,
    ) -> None:
        if not len(index):
            return
        size = to_error(quantity) * np.abs(predicted - reference)
        decades = np.log10(np.maximum(size, 1e-300))
        inside = np.clip(decades, BIN_EDGES[0], BIN_EDGES[-1])
        counts, _ = np.histogram(inside, BIN_EDGES)
        self.histograms[quantity] = self.histograms.get(quantity, 0) + counts
        frame = np.full(len(index), number)
        self._points.setdefault(quantity, []).append(
            ErrorPoints(frame, index, reference, predicted)
        )
        self._keys.setdefault(quantity, []).append(self._rng.random(len(index)))
        if sum(map(len, self._keys[quantity])) > 8 * self.most:
            self._thin_out(quantity)

    def _thin_out(self, quantity: Quantity) -> None:
        """Drop all but the largest errors and those with the lowest random keys.

        The final choice is the same: dropped points could not have been part of it.
        """
        points = _joined(self._points[quantity])
        keys = np.concatenate(self._keys[quantity])
        if len(points) > self.most:
            size = np.abs(points.predicted - points.reference)
            n_largest = int(_LARGEST * self.most)
            kept = np.union1d(
                np.argsort(-size, kind="stable")[:n_largest],
                np.argsort(keys, kind="stable")[: self.most - n_largest],
            )
            points, keys = points.take(kept), keys[kept]
        self._points[quantity], self._keys[quantity] = [points], [keys]

    def _look_for_dimer(self, number: int, frame: Frame, energy: float) -> None:
        distance = dimer_distance(frame, self.cutoff)
        if distance is not None:
            first, second = sorted(frame.numbers.tolist())
            self.dimers.append(ShortPair((first, second), distance, energy, number))

    def scored(
        self, number: int, frame: Frame, residuals: Residuals, std: np.ndarray
    ) -> None:
        """Add standard deviations; see `gapfit.evaluation.scores.Observer`."""
        quantity, factor = residuals.quantity, error_factor(residuals)
        if not factor:
            return
        index = np.arange(len(std))
        if quantity is Quantity.FORCES and frame.forces is not None:
            index = np.flatnonzero(np.isfinite(frame.forces))
        used = residuals.informative
        self._scored.setdefault(quantity, []).append(
            Scored(
                np.full(int(used.sum()), number),
                index[used],
                factor * residuals.error[used],
                abs(factor) * std[used],
            )
        )

    @property
    def points(self) -> dict[Quantity, ErrorPoints]:
        """Points of each quantity, in the order of the data."""
        out = {}
        for quantity, counts in self.histograms.items():
            self._thin_out(quantity)
            out[quantity] = replace(
                self._points[quantity][0], n_total=int(counts.sum())
            )
        return out

    @property
    def standard_deviations(self) -> dict[Quantity, Scored]:
        """All standard deviations of each quantity that were compared with errors."""
        return {
            quantity: Scored(
                *(
                    np.concatenate([getattr(part, name) for part in parts])
                    for name in ("frame", "index", "error", "std")
                )
            )
            for quantity, parts in self._scored.items()
        }


def short_source(source: str) -> str:
    """Return where a structure came from, without folders."""
    file, comma, frame = source.rpartition(", frame ")
    return f"{file.replace(chr(92), '/').rpartition('/')[2]}{comma}{frame}"


def _joined(parts: Sequence[ErrorPoints]) -> ErrorPoints:
    """Return points concatenated."""

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return ErrorPoints(
        all_of("frame"), all_of("index"), all_of("reference"), all_of("predicted")
    )
