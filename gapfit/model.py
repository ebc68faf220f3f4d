"""The fitted potential: predictions from structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from gapfit.assembly import batches, pairs_of
from gapfit.config import FitConfig
from gapfit.descriptors import LocalPrediction
from gapfit.descriptors.engine import species_index
from gapfit.errors import GapfitError, StructureError
from gapfit.factors import Factors
from gapfit.frame import Frame, structure_arrays
from gapfit.known_energy import Baseline
from gapfit.local_variance import LocalVariance
from gapfit.neighbours import Pairs
from gapfit.posterior import Posterior
from gapfit.terms import FittedTerm
from gapfit.threads import blas_threads, use_threads

__all__ = ["GAPModel", "Prediction"]

# Atoms predicted together: amortises Python's overhead, bounds the memory.
_BATCH_ATOMS = 1024
_BATCH_STD = 20_000


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the potential says about one structure.

    Attributes
    ----------
    energy : float
        Total energy, eV.
    energies : (n_atoms,) float64
        Energy of each atom including e0, eV; they add up to `energy`.
    forces : (n_atoms, 3) float64 or None
        eV/Å.
    stress : (6,) float64 or None
        ASE sign and Voigt order xx yy zz yz xz xy, eV/Å³; None without a volume, or
        where the calculator of the baseline gives none.
    energies_std : (n_atoms,) float64 or None
        Predictive standard deviation of each atom's energy (DTC, without noise), eV.
    atom_virials : (n_atoms, 3, 3) float64 or None
        Virial by atom, -Σ_i R_ij ⊗ dE_i/dR_ij over the atoms i whose energy E_i feels
        atom j, eV; they add up to -stress × volume. W_j v_j, summed, is the potential
        part of the heat flux (Fan et al., PRB 92, 094301 (2015)).
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    energies_std: np.ndarray | None = None
    atom_virials: np.ndarray | None = None


class _Wanted(NamedTuple):
    forces: bool
    stress: bool
    std: bool
    atom_virials: bool

    @property
    def gradients(self) -> bool:
        return self.forces or self.stress or self.atom_virials


@dataclass(frozen=True, eq=False, repr=False)
class GAPModel:
    """A Gaussian Approximation Potential.

    Attributes
    ----------
    config : FitConfig
        The configuration it was fitted with.
    species : tuple of int
        Atomic numbers it knows, ascending.
    e0 : dict of int to float
        Energies of the isolated atoms, eV.
    terms : tuple of FittedTerm
        Descriptors with sparse points and coefficients.
    baseline : Baseline or None
        Pair potentials and a calculator, added to what the terms give.
    posterior : Posterior or None
        Factors for uncertainties; None if they were not kept.
    factors : Factors or None
        Sums over the training data, for `gapfit.append` and `gapfit.refit`; None if they
        were not kept, or not read.
    info : dict
        Facts about the fit: rows, jitter, log marginal likelihood, data digest, versions.
    """

    config: FitConfig
    species: tuple[int, ...]
    e0: dict[int, float]
    terms: tuple[FittedTerm, ...]
    baseline: Baseline | None = None
    posterior: Posterior | None = None
    factors: Factors | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        from ase.data import chemical_symbols

        symbols = " ".join(chemical_symbols[z] for z in self.species)
        kinds = " + ".join(term.config.type for term in self.terms)
        known = " + ".join(self.config.baseline.parts)
        return (
            f"<GAPModel {symbols}: {kinds}, {self.n_sparse} sparse points, "
            f"cutoff {self.cutoff:g} Å{known and f', baseline {known}'}>"
        )

    @property
    def cutoff(self) -> float:
        """Range of the potential, Å; that of a baseline's calculator is not known."""
        cutoffs = [term.descriptor.cutoff for term in self.terms]
        if self.baseline is not None:
            cutoffs.append(self.baseline.cutoff)
        return max(cutoffs)

    @property
    def n_sparse(self) -> int:
        """Number of sparse points of all terms."""
        return sum(term.n_sparse for term in self.terms)

    def save(self, path: str | Path) -> None:
        """Write the model to one file, atomically; see `gapfit.load`."""
        from gapfit.storage import save

        save(self, path)

    def without_shortcuts(self) -> GAPModel:
        """Return the same model, summing over all sparse points in all features.

        Slower; what `gapfit.shortcuts` approximates within its tolerances.
        """
        terms = [replace(term, shortcuts={}, quadratic=False) for term in self.terms]
        return replace(self, terms=tuple(terms))

    @overload
    def predict(
        self,
        atoms: list[Any] | tuple[Any, ...],
        *,
        forces: bool = ...,
        stress: bool = ...,
        std: bool = ...,
        atom_virials: bool = ...,
        n_threads: int | None = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        atoms: Any,
        *,
        forces: bool = ...,
        stress: bool = ...,
        std: bool = ...,
        atom_virials: bool = ...,
        n_threads: int | None = ...,
    ) -> Prediction: ...

    def predict(
        self,
        atoms: Any,
        *,
        forces: bool = True,
        stress: bool = True,
        std: bool = False,
        atom_virials: bool = False,
        n_threads: int | None = None,
    ) -> Any:
        """Predict energies, forces, stress and their uncertainty.

        Parameters
        ----------
        atoms : ase.Atoms, Frame, or a list of them
            What to predict.
        forces, stress : bool
            Whether to compute derivatives.
        std : bool
            Whether to compute the standard deviation of each atom's energy.
        atom_virials : bool
            Whether to compute the virial of each atom.
        n_threads : int, optional
            Threads to use; by default ``GAPFIT_NUM_THREADS`` or all cores of the process.
            The same number gives the same bits.

        Returns
        -------
        Prediction or list of Prediction
            One for each structure; a list if a list was given.

        Raises
        ------
        StructureError
            An unknown species, or atoms on top of each other.
        GapfitError
            `std` was asked of a model saved without its posterior; the calculator of
            the baseline cannot be imported, fails, or was asked for `atom_virials`.
        """
        if std and self.posterior is None:
            raise GapfitError(
                "this model was saved without its posterior, so it has no uncertainty; "
                "fit again with run.store_posterior = true"
            )
        single = hasattr(atoms, "positions")
        frames = [
            _as_frame(item, n) for n, item in enumerate([atoms] if single else atoms)
        ]
        wanted = _Wanted(forces, stress, std, atom_virials)
        predictions: list[Prediction] = []
        with use_threads(n_threads):
            for part in batches([frame.n_atoms for frame in frames], _BATCH_ATOMS):
                predictions += self._predict_batch(frames[part], wanted)
        return predictions[0] if single else predictions

    def _predict_batch(
        self, frames: Sequence[Frame], wanted: _Wanted
    ) -> list[Prediction]:
        pairs = pairs_of(frames, self.cutoff)
        energies = self._isolated(frames, pairs)
        forces = np.zeros((pairs.n_atoms, 3))
        virials = np.zeros((pairs.n_frames, 6))
        local = np.zeros((pairs.n_atoms, 3, 3)) if wanted.atom_virials else None
        variances = np.zeros(0)
        for part in self._contributions(frames, pairs, wanted):
            energies += part.energies
            if len(part.variances):
                variances = part.variances
            if wanted.gradients:
                forces += part.forces
                virials += part.virials
            if local is not None:
                local += part.atom_virials
        deviation = np.sqrt(self._variance(pairs, variances)) if wanted.std else None
        out, first = [], 0
        for frame, virial in zip(frames, virials, strict=True):
            own = slice(first, first + frame.n_atoms)
            first += frame.n_atoms
            volume = frame.volume if wanted.stress else 0.0
            out.append(
                Prediction(
                    energy=float(energies[own].sum()),
                    energies=energies[own],
                    forces=forces[own] if wanted.forces else None,
                    stress=-virial / volume
                    if volume > 1e-8 and np.isfinite(virial).all()
                    else None,
                    energies_std=None if deviation is None else deviation[own],
                    atom_virials=None if local is None else local[own],
                )
            )
        return out

    def _contributions(
        self, frames: Sequence[Frame], pairs: Pairs, wanted: _Wanted
    ) -> Iterator[LocalPrediction]:
        gradients, atom_virials = wanted.gradients, wanted.atom_virials
        for term in self.terms:
            yield term.predict(
                pairs,
                gradients=gradients,
                atom_virials=atom_virials,
                variance=self._local_variance.of(term, pairs) if wanted.std else None,
            )
        if self.baseline is not None:
            yield from self.baseline.contributions(
                frames, pairs, gradients=gradients, atom_virials=atom_virials
            )

    def _isolated(self, frames: Sequence[Frame], pairs: Pairs) -> np.ndarray:
        """Return e0 of each atom, (n_atoms,); unknown species raise."""
        try:
            index = species_index(self.species, pairs.numbers)
        except StructureError:
            for frame in frames:
                try:
                    species_index(self.species, frame.numbers)
                except StructureError as error:
                    raise StructureError(f"{frame.source}: {error}") from None
            raise
        return np.array([self.e0[z] for z in self.species])[index]

    @cached_property
    def _local_variance(self) -> LocalVariance:
        assert self.posterior is not None
        with blas_threads():
            return LocalVariance(self.terms, self.posterior)

    def _variance(self, pairs: Pairs, found: np.ndarray) -> np.ndarray:
        """Return the variance of each atom's energy, eV², shape (n_atoms,).

        That which a SOAP term has found with its energies; without one, from covariances.
        """
        assert self.posterior is not None
        if len(found):
            return self._local_variance.clipped(found)
        variance = np.empty(pairs.n_atoms)
        for chunk in pairs.chunks(_BATCH_STD):
            parts = [
                term.descriptor.covariances(
                    chunk.within(term.descriptor.cutoff), term.sparse
                )
                for term in self.terms
            ]
            k_m = np.concatenate([part for part, _ in parts], axis=1)
            prior = np.sum([part for _, part in parts], axis=0)
            with blas_threads():
                variance[chunk.start : chunk.stop] = self.posterior.variance(k_m, prior)
        return variance


def _as_frame(item: Any, number: int) -> Frame:
    if isinstance(item, Frame):
        return item
    if not hasattr(item, "positions"):
        raise GapfitError(f"cannot predict a {type(item).__name__}; give ase.Atoms")
    return structure_arrays(item, f"structure {number}")
