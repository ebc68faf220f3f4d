"""One trajectory of the mean potential, reweighted to samples of its posterior."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import kB

from gapfit._support.progress import Progress
from gapfit.data.files import require_files, structures
from gapfit.data.frame import Frame, as_frame
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import model_digest
from gapfit.model.samples import Samples
from gapfit.propagation import cautions
from gapfit.propagation.averages import (
    energy_average,
    heat_capacity,
    observable_average,
)
from gapfit.propagation.correlation import inefficiency
from gapfit.propagation.ensemble import sample_energies
from gapfit.propagation.observables import Observable, observe, radial_distributions
from gapfit.propagation.results import METHODS, Average, Method, Reweighting
from gapfit.propagation.reweighting import cumulant, direct, effective_size
from gapfit.propagation.spread import drawn

__all__ = ["reweight"]

# Fewest frames that have a standard error.
_FEWEST = 10
# Volumes that agree to this share are constant.
_SAME_VOLUME = 1e-6
_ESTIMATORS = {"direct": direct, "cumulant": cumulant}


def reweight(
    model: GAPModel,
    trajectory: Any,
    *,
    temperature: float | None = None,
    samples: int | Samples = 32,
    seed: int = 0,
    scale: float | None = None,
    rdf: float | None = None,
    observables: Mapping[str, Observable | Callable[[Any], Any]] | None = None,
    method: Method = "auto",
    skip: int = 0,
    every: int = 1,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Reweighting:
    """Return averages along a trajectory of a potential, with their error bars.

    The trajectory is that of the mean potential, at constant temperature. The averages of
    each sample of the posterior follow by reweighting, and their spread is the error of
    the potential. The statistical error, of a finite trajectory, is kept apart.

    Parameters
    ----------
    model : GAPModel
        The potential that made the trajectory, with its posterior.
    trajectory : str, Path or iterable of ase.Atoms
        Equilibrated frames in the order of time.
    temperature : float, optional
        K; by default the mean kinetic temperature of the frames, if they have momenta.
    samples : int or Samples
        How many potentials to draw, 2 or more, or those from `GAPModel.sample`.
    seed : int
        Seed of the random numbers: the same seed gives the same potentials.
    scale : float, optional
        Factor of the standard deviation of the coefficients; by default that of the
        calibration, as in `GAPModel.sample`.
    rdf : float, optional
        Largest distance of radial distribution functions, Å; by default there are none.
        Of several species there is one for each pair.
    observables : mapping of str to (callable or Observable), optional
        More observables by name: functions of ase.Atoms that return a number or a
        one-dimensional array.
    method : {"auto", "direct", "cumulant"}
        Weights exp(-ΔE/kT), or ⟨A⟩ - cov(A, ΔE) / kT; "auto": weights if enough frames
        are behind those of all samples.
    skip, every : int
        Frames at the begin that are left out, and every how many are used.
    n_threads : int, optional
        Threads to use, `gapfit.threads.available` by default.
    progress : callable, optional
        Called with the stage, the frames done and their number.

    Returns
    -------
    Reweighting
        Averages of the potential energy, the heat capacity (where the volume is constant),
        and of `rdf` and `observables`.

    Raises
    ------
    GapfitError
        Fewer than 10 frames; frames of other atoms than the first; no temperature;
        `method` "direct" with too few effective frames; and as for `GAPModel.sample` and
        `radial_distribution`.
    DataError
        The file cannot be read.
    StructureError
        See `GAPModel.predict`.

    References
    ----------
    G. Imbalzano, Y. Zhuang, V. Kapil, K. Rossi, E. A. Engel, F. Grasselli and M. Ceriotti,
    J. Chem. Phys. 154, 074102 (2021), https://doi.org/10.1063/5.0036522.
    """
    if method not in METHODS:
        raise GapfitError(
            f"method = {method!r}: there is no such method; choose among "
            f"{', '.join(METHODS)}"
        )
    ensemble = drawn(model, samples, seed, scale)
    atoms, frames = _read(trajectory, skip, every)
    temperature, notes = _temperature(atoms, temperature)
    found = sample_energies(ensemble, frames, n_threads=n_threads, progress=progress)
    beta = 1.0 / (kB * temperature)
    notes += cautions.other_potential(_stored_energies(atoms), found.mean, beta)
    h = beta * found.differences
    h -= h.mean(axis=0)
    sizes = effective_size(h)
    notes += cautions.not_calibrated(model, scale)
    chosen, why = cautions.choose(method, sizes, inefficiency(h), h)
    notes += why
    estimator = _ESTIMATORS[chosen]
    n_atoms = frames[0].n_atoms
    averages = {"energy": energy_average(found, h, n_atoms, estimator)}
    if _constant_volume(frames):
        averages["heat capacity"] = heat_capacity(found, h, n_atoms, beta, estimator)
    else:
        notes.append(
            "the volume varies: there is no heat capacity at constant volume, and none "
            "is given"
        )
    for name, average in _observed(atoms, frames, rdf, observables or {}, averages):
        averages[name] = observable_average(*average, h, estimator)
    g = float(inefficiency(found.mean[:, None])[0])
    notes += cautions.few_frames(len(frames), g) + cautions.noisy(averages)
    return Reweighting(
        averages=averages,
        method=chosen,
        temperature=temperature,
        n_frames=len(frames),
        n_atoms=n_atoms,
        inefficiency=g,
        effective_sizes=sizes,
        spreads=h.std(axis=0),
        scale=ensemble.scale,
        digest=model_digest(model),
        notes=tuple(notes),
    )


def _read(trajectory: Any, skip: int, every: int) -> tuple[list[Any], list[Frame]]:
    """Return the frames to use, as ase.Atoms and as arrays."""
    if skip < 0 or every < 1:
        raise GapfitError(
            f"skip = {skip}, every = {every}: leave out 0 or more frames, and use every "
            "first or later one"
        )
    if isinstance(trajectory, str | Path):
        require_files([trajectory], Path())
        items: Iterable[tuple[str, Any]] = structures(Path(trajectory), str(trajectory))
    elif hasattr(trajectory, "positions"):
        raise GapfitError(
            "trajectory: this is one structure; give the frames of a trajectory"
        )
    else:
        items = ((f"frame {n}", item) for n, item in enumerate(trajectory))
    used = list(islice(items, skip, None, every))
    if len(used) < _FEWEST:
        raise GapfitError(
            f"trajectory: {len(used)} frames are left with skip = {skip} and every = "
            f"{every}; averages need at least {_FEWEST}, better some hundred"
        )
    frames = [as_frame(item, source) for source, item in used]
    first = frames[0]
    for frame in frames:
        if not np.array_equal(frame.numbers, first.numbers):
            raise GapfitError(
                f"{frame.source}: has other atoms than {first.source}; give one "
                "trajectory, with the same atoms in the same order"
            )
    return [item for _, item in used], frames


def _temperature(atoms: Sequence[Any], given: float | None) -> tuple[float, list[str]]:
    """Return the temperature, K, and what is odd about it."""
    if given is not None and not 0 < given < np.inf:
        raise GapfitError(f"temperature = {given:g} K: give a positive one")
    moving = [item for item in atoms if item.has("momenta")]
    kinetic = [item.get_temperature() for item in moving]
    measured = float(np.mean(kinetic)) if len(kinetic) == len(atoms) else 0.0
    if given is not None:
        return given, cautions.other_temperature(given, measured)
    if not measured > 0:
        raise GapfitError(
            "temperature: the frames have no momenta to take it from; give it in K"
        )
    return measured, []


def _stored_energies(atoms: Sequence[Any]) -> np.ndarray | None:
    """Return the energies that the frames were stored with, eV, if all have one."""
    energies = []
    for item in atoms:
        calculator = item.calc
        results = getattr(calculator, "results", None) or {}
        if not hasattr(calculator, "check_state") or calculator.check_state(item):
            return None
        energy = results.get("energy")
        if energy is None:
            return None
        energies.append(float(energy))
    return np.array(energies)


def _constant_volume(frames: Sequence[Frame]) -> bool:
    volumes = np.array([frame.volume for frame in frames])
    return bool(np.ptp(volumes) <= _SAME_VOLUME * volumes.max())


def _observed(
    atoms: Sequence[Any],
    frames: Sequence[Frame],
    rdf: float | None,
    given: Mapping[str, Observable | Callable[[Any], Any]],
    there: Mapping[str, Average],
) -> list[tuple[str, tuple[Observable, np.ndarray]]]:
    """Return names, observables and their values along the trajectory."""
    wanted = {} if rdf is None else radial_distributions(rdf, frames[0].numbers)
    for name, item in given.items():
        if name in there or name in wanted:
            raise GapfitError(
                f"observables: {name!r} is computed already; give another name"
            )
        wanted[name] = item if isinstance(item, Observable) else Observable(item)
    values = observe(wanted, atoms)
    return [(name, (wanted[name], values[name])) for name in wanted]
