"""All properties of one crystal, in one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.calculator import GAPCalculator
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import energies_were_fitted, why_no_posterior
from gapfit.model.samples import Samples
from gapfit.properties import plausibility
from gapfit.properties.defects import vacancy
from gapfit.properties.dimer import dimer_curve
from gapfit.properties.elastic import (
    Response,
    cubic_constants,
    elastic_response,
    moduli,
)
from gapfit.properties.equation_of_state import (
    EquationOfState,
    birch_murnaghan,
    volume_scan,
)
from gapfit.properties.evaluators import by_calculator, by_samples, energy_std
from gapfit.properties.phonon_bands import phonons
from gapfit.properties.quantities import CrystalQuantity
from gapfit.properties.relax import relaxed
from gapfit.properties.results import PROPERTIES, Report, Settings
from gapfit.properties.stability import run_nve
from gapfit.properties.surfaces import surface

__all__ = ["compute"]

# Vacuum between slabs beyond the cutoff, Å; thickness of slabs, Å.
_BEYOND_CUTOFF, _THICKNESS = 2.0, 12.0
# Constants below this share of the largest are zero by symmetry.
_ZERO = 1e-3

# Surfaces of cells that are not cubic.
_FACES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
# Parameters of the equation of state that are reported, and their units.
_EOS = {"volume": "Å³/atom", "bulk_modulus": "GPa", "derivative": ""}
# Averages over orientations that are reported, and their units.
_MODULI = {
    "bulk_hill": "GPa",
    "shear_voigt": "GPa",
    "shear_reuss": "GPa",
    "shear_hill": "GPa",
    "young": "GPa",
    "poisson": "",
}


def compute(
    model: GAPModel,
    crystal: Any,
    *,
    only: Sequence[str] = PROPERTIES,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Report:
    """Return the properties of a crystal that a potential predicts.

    Error bars come from the posterior. For lattice, equation of state and elastic
    constants they are the spread of potentials drawn from it (`GAPModel.sample`); for
    vacancies, surfaces and dimers the standard deviation of energy differences at the
    relaxed structures (`energy_std`). Phonons and dynamics have none.

    Parameters
    ----------
    model : GAPModel
        The potential; without its posterior there are no error bars, and no cohesive
        energy where no energies were fitted.
    crystal : ase.Atoms
        Near its minimum, periodic in three directions. Miller indices refer to the
        vectors of this cell: give the conventional one.
    only : sequence of str
        Names from `PROPERTIES`.
    settings : Settings, optional
        How properties are computed.
    progress : callable, optional
        Called with the property, the steps done and their total.

    Returns
    -------
    Report
        A property that cannot be computed becomes a warning in it.

    Raises
    ------
    GapfitError
        An unknown property, a structure that is not periodic, or one that does not
        relax.
    StructureError
        The model does not know a species.
    """
    unknown = [name for name in only if name not in PROPERTIES]
    if unknown:
        raise GapfitError(
            f"unknown property {unknown[0]!r}; known are {', '.join(PROPERTIES)}"
        )
    if not crystal.pbc.all():
        raise GapfitError(
            f"{crystal.get_chemical_formula()}: not a crystal; give a structure that is "
            "periodic in three directions"
        )
    work = _Computation(model, crystal, settings or Settings(), progress or silent)
    for name, add_property in _METHODS.items():
        if name not in only:
            continue
        work.progress(name, 0, 1)
        try:
            add_property(work)
        except GapfitError as error:
            work.report.warnings.append(f"{name}: {error}")
        work.progress(name, 1, 1)
    return work.report


class _Computation:
    """A report and what its properties are computed with; the methods add properties."""

    def __init__(
        self,
        model: GAPModel,
        crystal: Any,
        settings: Settings,
        progress: Progress,
    ) -> None:
        self.model, self.settings, self.progress = model, settings, progress
        self.calculator = GAPCalculator(model, uncertainty=False)
        # Species are checked before any time is spent.
        if model.predict(crystal).stress is None:
            raise GapfitError(
                f"{crystal.get_chemical_formula()}: crystals are relaxed by their "
                "stress, and there is none: the calculator of the baseline does not "
                "give it, or the structure has no volume"
            )
        self.samples: Samples | None = None
        progress("structure", 0, 1)
        self.crystal = relaxed(crystal, self.calculator, cell="free")
        self.report = Report(self.crystal.copy())
        self.report.warnings += plausibility.doubts_of_crystal(
            model, crystal, self.crystal
        )
        if model.posterior is None:
            self.report.warnings.append(f"no error bars: {why_no_posterior(model)}")
        elif settings.samples:
            self.samples = model.sample(settings.samples, settings.seed)
        self.structure()
        progress("structure", 1, 1)

    @cached_property
    def responses(self) -> Response | None:
        """Elastic response of all samples."""
        if self.samples is None:
            return None
        if len(self.crystal) > self.settings.elastic_atoms:
            self.report.warnings.append(
                f"no error bars of lattice and elasticity: they are computed for cells of "
                f"up to {self.settings.elastic_atoms} atoms, this has {len(self.crystal)}"
            )
            return None
        try:
            return elastic_response(self.crystal, by_samples(self.samples))
        except GapfitError as error:
            self.report.warnings.append(
                f"no error bars of lattice and elasticity: {error}"
            )
            return None

    def put(self, name: str, value: float, unit: str, std: Any = None) -> None:
        """Add a quantity; `std` may be the values of all samples, empty without any."""
        if isinstance(std, np.ndarray):
            std = std.std(ddof=1) if len(std) else None
        std = None if std is None else float(std)
        self.report.quantities[name] = CrystalQuantity(float(value), unit, std)

    def difference_std(self, parts: Sequence[tuple[float, Any]]) -> float | None:
        """Return the standard deviation of a sum of energies, eV; None without samples."""
        return None if self.samples is None else energy_std(self.model, parts)

    def structure(self) -> None:
        """Add lattice, volume, and the cohesive energy."""
        crystal, n = self.crystal, len(self.crystal)
        cell, response = crystal.cell[:], self.responses
        cells = np.empty((0, 3, 3)) if response is None else response.cells(cell)
        lattice, samples = _lattice(cell), [_lattice(sample) for sample in cells]
        cubic = np.allclose(list(lattice.values())[1:3], lattice["a"], rtol=1e-4) and (
            np.allclose(list(lattice.values())[3:], 90, atol=0.01)
        )
        for k, (name, value) in enumerate(lattice.items()):
            if k == 0 or not cubic:
                unit = "Å" if k < 3 else "°"
                std = np.array([sample[name] for sample in samples])
                self.put(f"structure.{name}", value, unit, std)
        volumes = np.abs(np.linalg.det(cells)) / n
        self.put("structure.volume", crystal.get_volume() / n, "Å³/atom", volumes)
        if energies_were_fitted(self.model) and not self.model.record.without_atom:
            self.cohesion()

    def cohesion(self) -> None:
        """Add the cohesive energy, relative to the potential's energies of single atoms."""
        from ase import Atoms

        crystal, n = self.crystal, len(self.crystal)
        parts = [(-1 / n, crystal)]
        for symbol, count in crystal.symbols.formula.count().items():
            parts.append((count / n, Atoms(symbol)))
        bound = sum(
            weight * self.model.predict(atoms, forces=False, stress=False).energy
            for weight, atoms in parts
        )
        std = self.difference_std(parts)
        self.put("structure.cohesive_energy", bound, "eV/atom", std)

    def eos(self) -> None:
        """Add the equation of state; samples share the geometries of the mean potential."""
        cells = volume_scan(self.crystal, self.calculator)
        n = len(self.crystal)
        volumes = np.array([cell.get_volume() for cell in cells]) / n
        energies = np.array([cell.get_potential_energy() for cell in cells]) / n
        curves = self.report.curves
        curves.volumes, curves.energies = volumes, energies
        curves.fitted = best = birch_murnaghan(volumes, energies)
        self.report.warnings += plausibility.doubts_of_curve(best)
        samples = self._sampled_curves(cells)
        for name, unit in _EOS.items():
            std = np.array([getattr(curve, name) for curve in samples])
            self.put(f"eos.{name}", getattr(best, name), unit, std)

    def _sampled_curves(self, cells: Sequence[Any]) -> list[EquationOfState]:
        """Return the equations of state of all samples; empty if one has no minimum."""
        if self.samples is None:
            return []
        n = len(self.crystal)
        volumes = [cell.get_volume() / n for cell in cells]
        energies = np.array([self.samples.predict(cell).energies for cell in cells]) / n
        lowest = energies[energies.mean(axis=1).argmin()]
        self.report.curves.energies_std = (energies - lowest).std(axis=1, ddof=1)
        try:
            return [birch_murnaghan(volumes, sample) for sample in energies.T]
        except GapfitError as error:
            self.report.warnings.append(
                f"eos: no error bars, a potential drawn from the posterior has {error}"
            )
            return []

    def elastic(self) -> None:
        """Add elastic constants, averages over orientations, and Born's criterion."""
        mean = elastic_response(self.crystal, by_calculator(self.calculator))
        C, response = mean.constants[0], self.responses
        samples = np.empty((0, 6, 6)) if response is None else response.constants
        cubic = cubic_constants(C)
        if cubic is not None:
            names = {"C11": ([0, 1, 2], [0, 1, 2])}
            names["C12"] = ([0, 0, 1], [1, 2, 2])
            names["C44"] = ([3, 4, 5], [3, 4, 5])
        else:
            least = _ZERO * np.abs(C).max()
            names = {
                f"C{i + 1}{j + 1}": ([i], [j])
                for i, j in combinations_with_replacement(range(6), 2)
                if abs(C[i, j]) > least
            }
        for name, (i, j) in names.items():
            std = samples[:, i, j].mean(axis=1)
            self.put(f"elastic.{name}", C[i, j].mean(), "GPa", std)
        self.report.facts["elastic.stable"] = bool(mean.is_stable[0])
        if not mean.is_stable[0]:
            self.report.warnings.append(
                "elastic: this crystal is not stable (Born's criterion, or atoms that "
                "leave their places); its moduli are not given"
            )
            return
        averages = [moduli(sample) for sample in samples]
        for name, unit in _MODULI.items():
            std = np.array([getattr(average, name) for average in averages])
            self.put(f"elastic.{name}", getattr(moduli(C), name), unit, std)

    def vacancy(self) -> None:
        """Add the formation energy, and its change with the size of the supercell."""
        width = self.settings.width
        small, large = (
            vacancy(self.crystal, self.calculator, width=width, extra=extra)
            for extra in (0, 1)
        )
        std = self.difference_std(large.parts())
        self.put("vacancy.energy", large.energy, "eV", std)
        std = self.difference_std(large.parts(relaxed=False))
        self.put("vacancy.unrelaxed", large.unrelaxed, "eV", std)
        self.put("vacancy.size_effect", large.energy - small.energy, "eV")
        self.report.facts["vacancy.n_atoms"] = len(large.bulk)

    def surface(self) -> None:
        """Add the energies of low-index planes."""
        planes = self.settings.planes
        if planes is None:
            cubic = "structure.b" not in self.report.quantities
            planes = ((1, 0, 0), (1, 1, 0), (1, 1, 1)) if cubic else _FACES
        for k, plane in enumerate(planes):
            name = f"surface.{''.join(map(str, plane))}"
            try:
                cut = surface(
                    self.crystal,
                    plane,
                    self.calculator,
                    thickness=_THICKNESS,
                    vacuum=self.model.cutoff + _BEYOND_CUTOFF,
                )
            except GapfitError as error:
                self.report.warnings.append(f"{name}: {error}")
                continue
            std = self.difference_std(cut.parts())
            self.put(f"{name}.energy", cut.energy, "J/m²", std)
            std = self.difference_std(cut.parts(relaxed=False))
            self.put(f"{name}.unrelaxed", cut.unrelaxed, "J/m²", std)
            self.progress("surface", k + 1, len(planes) + 1)

    def dimer(self) -> None:
        """Add the curves of all pairs of species."""
        from ase.data import chemical_symbols

        for pair in combinations_with_replacement(self.model.species, 2):
            name = "-".join(chemical_symbols[z] for z in pair)
            curve = dimer_curve(self.model, *pair)
            self.report.curves.dimers[name] = curve
            best = curve.lowest
            std = None
            if self.samples is not None and curve.std is not None:
                std = curve.std[best]
            self.put(f"dimer.{name}.distance", curve.distances[best], "Å")
            self.put(f"dimer.{name}.energy", curve.energies[best], "eV", std)
            self.report.facts[f"dimer.{name}.repulsive"] = curve.is_repulsive
            if curve.data is not None:
                self.report.facts[f"dimer.{name}.n_dimers"] = curve.data.n_dimers
        self.report.warnings += plausibility.doubts_of_dimers(self.report.curves.dimers)

    def phonon(self) -> None:
        """Add bands and density of states."""
        modes = phonons(self.crystal, self.calculator, width=self.settings.width)
        self.report.curves.phonons = modes
        self.put("phonon.highest", modes.highest, "THz")
        self.put("phonon.lowest", modes.lowest, "THz")
        acoustic, optical = np.split(modes.gamma[np.argsort(np.abs(modes.gamma))], [3])
        self.put("phonon.gamma_acoustic", np.abs(acoustic).max(), "THz")
        if len(optical):
            self.put("phonon.gamma_highest", optical.max(), "THz")
        self.report.facts["phonon.stable"] = modes.is_stable
        if not modes.is_stable:
            self.report.warnings.append(
                f"phonon: imaginary modes down to {modes.lowest:.2f} THz (shown "
                "negative): by this potential the crystal is unstable, or the supercell "
                "is too small"
            )

    def nve(self) -> None:
        """Add the drift and fluctuation of dynamics at constant energy."""
        settings = self.settings
        trajectory = run_nve(
            self.crystal,
            self.calculator,
            temperature=settings.temperature,
            timestep=settings.timestep,
            steps=settings.steps,
            width=settings.width,
            seed=settings.seed,
            progress=lambda done, total: self.progress("nve", done, total + 1),
        )
        self.put("nve.drift", trajectory.drift, "meV/atom/ps")
        self.put("nve.fluctuation", trajectory.fluctuation, "meV/atom")
        self.put("nve.temperature", trajectory.temperature, "K")


# All but the structure, in the order of the report.
_METHODS: Mapping[str, Callable[[_Computation], None]] = {
    "eos": _Computation.eos,
    "elastic": _Computation.elastic,
    "vacancy": _Computation.vacancy,
    "surface": _Computation.surface,
    "dimer": _Computation.dimer,
    "phonon": _Computation.phonon,
    "nve": _Computation.nve,
}


def _lattice(cell: np.ndarray) -> dict[str, float]:
    """Return lengths (Å) and angles (degrees) of a cell."""
    from ase.cell import Cell

    names = ("a", "b", "c", "alpha", "beta", "gamma")
    return dict(zip(names, map(float, Cell(cell).cellpar()), strict=True))
