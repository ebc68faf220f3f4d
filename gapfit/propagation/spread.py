"""Any function of a calculator, with the spread that the posterior gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.calculator import GAPCalculator
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.samples import Samples
from gapfit.propagation.results import LEVEL, interval_factor

__all__ = ["Spread", "drawn", "propagate"]


@dataclass(frozen=True, eq=False)
class Spread:
    """A result of the mean potential and of samples of its posterior.

    Attributes
    ----------
    value : float64 array of any shape
        Result of the mean potential, in the unit of the function.
    samples : (n_samples, ...) float64
        Result of each sample.
    scale : float
        Factor of the standard deviation of the coefficients; see `GAPModel.sample`.
    """

    value: np.ndarray
    samples: np.ndarray
    scale: float

    @property
    def mean(self) -> np.ndarray:
        """Mean of the samples; differs from `value` where the function is not linear."""
        mean: np.ndarray = self.samples.mean(axis=0)
        return mean

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the samples, in the shape of `value`."""
        std: np.ndarray = self.samples.std(axis=0, ddof=1)
        return std

    def interval(self, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds that hold the result of another sample with a probability.

        Parameters
        ----------
        level : float
            The probability, for normal samples: Student's t around their mean.

        Raises
        ------
        GapfitError
            `level` is not between 0 and 1.
        """
        half = interval_factor(len(self.samples), level) * self.std
        return self.mean - half, self.mean + half

    def summary(self) -> str:
        """Return the result in words; of an array, the value of largest deviation."""
        n = int(np.argmax(self.std))
        value, std = self.value.reshape(-1)[n], self.std.reshape(-1)[n]
        low, high = (bound.reshape(-1)[n] for bound in self.interval())
        place = "" if self.value.size == 1 else f"element {n}: "
        return (
            f"{place}{value:.6g} ± {std:.2g}, {LEVEL:.0%} from {low:.6g} to {high:.6g} "
            f"({len(self.samples)} samples)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: numbers, or nested lists."""
        low, high = self.interval()
        arrays = {
            "value": self.value,
            "mean": self.mean,
            "std": self.std,
            "low_95": low,
            "high_95": high,
            "samples": self.samples,
        }
        return {"scale": self.scale} | {name: a.tolist() for name, a in arrays.items()}


def propagate(
    model: GAPModel,
    function: Callable[[Any], Any],
    *,
    samples: int | Samples = 16,
    seed: int = 0,
    scale: float | None = None,
    progress: Progress | None = None,
) -> Spread:
    """Return a function of a potential with its error bar, by samples of the posterior.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    function : callable
        Takes an ASE calculator and returns a number or an array, always of one shape. It
        is called once with the mean potential and once with each sample.
    samples : int or Samples
        How many potentials to draw, 2 or more, or those from `GAPModel.sample`.
    seed : int
        Seed of the random numbers: the same seed gives the same potentials.
    scale : float, optional
        Factor of the standard deviation of the coefficients; by default that of the
        calibration, as in `GAPModel.sample`.
    progress : callable, optional
        Called with the stage, the potentials done and their number.

    Raises
    ------
    GapfitError
        The model was saved without its posterior; fewer than 2 samples; the function
        returns numbers that are not finite, or another shape than before.

    Notes
    -----
    What the function raises is not caught; the note of the exception names the sample.
    The spread is the error of the potential alone. Dynamics in the function should start
    from the same seed each time, and add a statistical error that `reweight` keeps apart.
    """
    report = progress or silent
    ensemble = drawn(model, samples, seed, scale)
    potentials = [("the mean potential", model)]
    potentials += [(f"sample {k}", sample) for k, sample in enumerate(ensemble)]
    results: list[np.ndarray] = []
    for n, (name, potential) in enumerate(potentials):
        report("samples", n, len(potentials))
        results.append(_result(function, potential, name, results))
    report("samples", len(potentials), len(potentials))
    return Spread(results[0], np.stack(results[1:]), ensemble.scale)


def drawn(
    model: GAPModel, samples: int | Samples, seed: int, scale: float | None
) -> Samples:
    """Return samples of a model: drawn anew, or those given.

    Raises
    ------
    GapfitError
        Fewer than 2, which have no spread, or samples of another model.
    """
    if isinstance(samples, Samples):
        if samples.model is not model:
            raise GapfitError(
                "samples: they were drawn from another model; draw them from this one "
                "with model.sample(n), or give their number"
            )
        given = samples
    else:
        given = model.sample(max(samples, 1), seed, scale=scale)
    n = len(given) if isinstance(samples, Samples) else samples
    if n < 2:
        raise GapfitError(f"samples = {n}: give 2 or more, one has no spread")
    return given


def _result(
    function: Callable[[Any], Any],
    potential: GAPModel,
    name: str,
    before: list[np.ndarray],
) -> np.ndarray:
    try:
        found = np.asarray(
            function(GAPCalculator(potential, uncertainty=False)), dtype=float
        )
    except Exception as error:
        error.add_note(f"gapfit.propagate: this happened with {name}")
        raise
    if not found.size:
        raise GapfitError(
            f"{name}: the function returned nothing; return a number or an array"
        )
    if not np.isfinite(found).all():
        raise GapfitError(
            f"{name}: the function returned a value that is not finite; return finite "
            "numbers, or lower scale= if the samples are too wild for it"
        )
    if before and found.shape != before[0].shape:
        raise GapfitError(
            f"{name}: the function returned shape {found.shape}, and {before[0].shape} "
            "before; return the same shape with each potential"
        )
    return found
