"""Some of the errors of a model, each with the place in the data where it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gapfit.data.frame import GPA, Frame
from gapfit.data.neighbours import pair_list
from gapfit.evaluation.residuals import Residuals
from gapfit.evaluation.scores import in_units
from gapfit.model.prediction import Prediction

__all__ = [
    "BIN_EDGES",
    "Collector",
    "Points",
    "Scored",
    "ShortPair",
    "short_source",
    "to_error",
]

#: Edges of the histogram of |error|, decades; what lies outside counts at the ends.
BIN_EDGES = np.linspace(-8.0, 5.0, 131)

#: What turns the difference of the values that are drawn into an error of the tables.
_TO_ERROR = {"energy": 1000.0, "forces": 1.0, "stress": 1.0}
# Distance up to which the closest pairs are looked for, Å.
_REACH = 3.5
# Share of the points that are kept because their errors are the largest.
_LARGEST = 0.1


def to_error(kind: str) -> float:
    """Return the unit of values of a kind in units of its errors."""
    return _TO_ERROR[kind]


@dataclass(frozen=True, eq=False)
class Points:
    """Observations of one kind, reference beside prediction.

    Attributes
    ----------
    frame : (n,) int64
        Number of the structure in the data.
    index : (n,) int64
        0 for energies; 3 × atom + component of forces; component of stresses, Voigt.
    reference, predicted : (n,) float64
        Energy relative to the isolated atoms, eV/atom; force, eV/Å; stress, GPa.
    n_total : int
        Observations that these were chosen from.
    """

    frame: np.ndarray
    index: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray
    n_total: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, which: np.ndarray) -> Points:
        """Return some of the points."""
        names = ("frame", "index", "reference", "predicted")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


@dataclass(frozen=True, eq=False)
class Scored:
    """Errors of one kind and their standard deviations, meV/atom, eV/Å or GPa.

    Attributes
    ----------
    frame, index : (n,) int64
        As in `Points`.
    error, std : (n,) float64
        Prediction minus reference, and the standard deviation of the observation.
    """

    frame: np.ndarray
    index: np.ndarray
    error: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class ShortPair:
    """Two atoms alone in their structure.

    Attributes
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    distance : float
        Å.
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

    Of each kind the largest errors are kept, and others drawn at random; histograms
    count all of them.

    Parameters
    ----------
    e0 : dict of int to float
        Energies of the isolated atoms, eV.
    cutoff : float
        Distance at which two atoms still feel each other, Å.
    most : int
        Points kept of each kind.
    seed : int
        Of what is drawn.

    Attributes
    ----------
    histograms : dict of str to (len(BIN_EDGES) - 1,) int64
        Errors of each kind by their size.
    dimers : list of ShortPair
        Dimers among the structures.
    closest : dict of (int, int) to float
        Shortest distance of two species, atomic numbers ascending, where it is below
        3.5 Å.
    """

    def __init__(
        self, e0: dict[int, float], cutoff: float, *, most: int, seed: int
    ) -> None:
        self.e0 = e0
        self.cutoff = cutoff
        self.most = most
        self.histograms: dict[str, np.ndarray] = {}
        self.dimers: list[ShortPair] = []
        self.closest: dict[tuple[int, int], float] = {}
        self._rng = np.random.default_rng([seed, 7])
        self._found: dict[str, list[Points]] = {}
        self._keys: dict[str, list[np.ndarray]] = {}
        self._scored: dict[str, list[Scored]] = {}

    def predicted(self, number: int, frame: Frame, prediction: Prediction) -> None:
        """Take in a structure; see `gapfit.evaluation.scores.Observer`."""
        self._look_for_close_pairs(frame)
        if frame.energy is not None:
            apart = sum(self.e0[z] for z in frame.numbers.tolist())
            both = np.array([frame.energy, prediction.energy]) - apart
            self._add(
                "energy", number, np.zeros(1, int), *(both / frame.n_atoms)[:, None]
            )
            self._look_for_dimer(number, frame, float(both[0]))
        if frame.forces is not None and prediction.forces is not None:
            known = np.flatnonzero(np.isfinite(frame.forces))
            reference, predicted = frame.forces.ravel(), prediction.forces.ravel()
            self._add("forces", number, known, reference[known], predicted[known])
        if frame.stress is not None and prediction.stress is not None:
            reference, predicted = GPA * frame.stress, GPA * prediction.stress
            self._add("stress", number, np.arange(6), reference, predicted)

    def _add(
        self,
        kind: str,
        number: int,
        index: np.ndarray,
        reference: np.ndarray,
        predicted: np.ndarray,
    ) -> None:
        if not len(index):
            return
        size = to_error(kind) * np.abs(predicted - reference)
        decades = np.log10(np.maximum(size, 1e-300))
        inside = np.clip(decades, BIN_EDGES[0], BIN_EDGES[-1])
        counts, _ = np.histogram(inside, BIN_EDGES)
        self.histograms[kind] = self.histograms.get(kind, 0) + counts
        frame = np.full(len(index), number)
        self._found.setdefault(kind, []).append(
            Points(frame, index, reference, predicted)
        )
        self._keys.setdefault(kind, []).append(self._rng.random(len(index)))
        if sum(map(len, self._keys[kind])) > 8 * self.most:
            self._thin_out(kind)

    def _thin_out(self, kind: str) -> None:
        """Forget all but the largest errors and those with the lowest random keys.

        What is dropped here could not have stayed to the end, whatever comes.
        """
        found, keys = _joined(self._found[kind]), np.concatenate(self._keys[kind])
        if len(found) > self.most:
            size = np.abs(found.predicted - found.reference)
            n_largest = int(_LARGEST * self.most)
            kept = np.union1d(
                np.argsort(-size, kind="stable")[:n_largest],
                np.argsort(keys, kind="stable")[: self.most - n_largest],
            )
            found, keys = found.take(kept), keys[kept]
        self._found[kind], self._keys[kind] = [found], [keys]

    def _look_for_close_pairs(self, frame: Frame) -> None:
        pairs = pair_list(frame, min(self.cutoff, _REACH))
        species = np.sort(frame.numbers[np.stack([pairs.i, pairs.j])], axis=0)
        distances = np.linalg.norm(pairs.R, axis=1)
        found, which = np.unique(species, axis=1, return_inverse=True)
        least = np.full(found.shape[1], np.inf)
        np.minimum.at(least, which.ravel(), distances)
        for first, second, own in zip(*found.tolist(), least.tolist(), strict=True):
            known = self.closest.get((first, second), np.inf)
            self.closest[first, second] = min(known, own)

    def _look_for_dimer(self, number: int, frame: Frame, energy: float) -> None:
        if frame.n_atoms != 2:
            return
        R = pair_list(frame, self.cutoff).R
        if len(R) == 2:
            first, second = sorted(frame.numbers.tolist())
            distance = float(np.linalg.norm(R[0]))
            self.dimers.append(ShortPair((first, second), distance, energy, number))

    def scored(
        self, number: int, frame: Frame, residuals: Residuals, std: np.ndarray
    ) -> None:
        """Take in standard deviations; see `gapfit.evaluation.scores.Observer`."""
        kind, factor = in_units(residuals)
        if not factor:
            return
        index = np.arange(len(std))
        if kind == "forces" and frame.forces is not None:
            index = np.flatnonzero(np.isfinite(frame.forces))
        some = residuals.informative
        self._scored.setdefault(kind, []).append(
            Scored(
                np.full(int(some.sum()), number),
                index[some],
                factor * residuals.error[some],
                abs(factor) * std[some],
            )
        )

    @property
    def points(self) -> dict[str, Points]:
        """Points of each kind, in the order of the data."""
        out = {}
        for kind, counts in self.histograms.items():
            self._thin_out(kind)
            out[kind] = replace(self._found[kind][0], n_total=int(counts.sum()))
        return out

    @property
    def standard_deviations(self) -> dict[str, Scored]:
        """All standard deviations of each kind that were compared with errors."""
        return {
            kind: Scored(
                *(
                    np.concatenate([getattr(part, name) for part in parts])
                    for name in ("frame", "index", "error", "std")
                )
            )
            for kind, parts in self._scored.items()
        }


def short_source(source: str) -> str:
    """Return where a structure came from, without folders."""
    file, comma, frame = source.rpartition(", frame ")
    return f"{file.replace(chr(92), '/').rpartition('/')[2]}{comma}{frame}"


def _joined(parts: Sequence[Points]) -> Points:
    """Return points one after the other."""

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Points(
        all_of("frame"), all_of("index"), all_of("reference"), all_of("predicted")
    )
