"""The fitted potential: predictions from structures (Eq. 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np

from gapfit._support.caching import WithoutCaches
from gapfit._support.html import html_table
from gapfit.baseline.baseline import Baseline
from gapfit.config.sections import FitConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame, as_frame
from gapfit.data.neighbours import Pairs, pairs_of, species_index
from gapfit.data.skin_pairs import MovingPairs
from gapfit.descriptors.protocol import LocalPrediction
from gapfit.descriptors.soap_engine import VarianceRequest
from gapfit.errors import GapfitError, StructureError
from gapfit.gp.posterior import Posterior
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.calibration import Calibration, interval_multipliers
from gapfit.model.local_variance import LocalVarianceForm
from gapfit.model.prediction import (
    Form,
    Prediction,
    PredictionRequest,
    PredictOptions,
    StdKind,
    std_kinds,
)
from gapfit.model.provenance import in_one_line, summary, why_no_posterior
from gapfit.model.record import FitRecord
from gapfit.model.shared_terms import SharedTerms, shared_terms
from gapfit.model.terms import FittedTerm
from gapfit.model.uncertainty import StandardDeviations
from gapfit.threads import one_thread, use_threads

if TYPE_CHECKING:
    from gapfit.model.samples import Samples

__all__ = ["GAPModel"]

# Atoms predicted together: amortises Python's overhead, bounds the memory.
_BATCH_ATOMS = 1024


@dataclass(frozen=True, eq=False, repr=False)
class GAPModel(WithoutCaches):
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
        Pair potentials and potentials of structures, added to what the terms give.
    posterior : Posterior or None
        Factor of the fit for uncertainties; None if they were not kept.
    training_sums : TrainingSums or None
        Sums over the training data, for `gapfit.append` and `gapfit.refit`; None if they
        were not kept, or not read.
    calibration : Calibration or None
        Scales of standard deviations; None if they were not computed, see
        `gapfit.calibrate`.
    record : FitRecord
        Facts about the fit: rows, jitter, log marginal likelihood, data digest, versions.
    """

    config: FitConfig
    species: tuple[int, ...]
    e0: dict[int, float]
    terms: tuple[FittedTerm, ...]
    baseline: Baseline | None = None
    posterior: Posterior | None = None
    training_sums: TrainingSums | None = None
    calibration: Calibration | None = None
    record: FitRecord = field(default_factory=FitRecord)

    def __repr__(self) -> str:
        return f"<GAPModel {in_one_line(self)}>"

    def _repr_html_(self) -> str:
        return html_table("GAPModel", summary(self))

    @property
    def cutoff(self) -> float:
        """Range of the potential, Å; not that of potentials of whole structures."""
        cutoffs = [term.descriptor.cutoff for term in self.terms]
        if self.baseline is not None:
            cutoffs.append(self.baseline.cutoff)
        return max(cutoffs, default=0.0)

    @property
    def n_sparse(self) -> int:
        """Number of sparse points of all terms."""
        return sum(term.n_sparse for term in self.terms)

    def save(self, path: str | Path) -> None:
        """Write the model to one file, atomically; see `gapfit.load`."""
        from gapfit.model.storage import save

        save(self, path)

    def without_projections(self) -> GAPModel:
        """Return the same model, summing over all sparse points in all features: slower."""
        terms = (replace(term, lossless={}, quadratic=False) for term in self.terms)
        return replace(self, terms=tuple(terms))

    def without_terms(self) -> GAPModel:
        """Return the part that is not fitted: isolated atoms and the baseline."""
        return replace(self, terms=(), posterior=None, training_sums=None)

    def sample(self, n: int, seed: int = 0, *, scale: float | None = None) -> Samples:
        """Draw potentials from the posterior of the fit.

        Parameters
        ----------
        n : int
            Number of potentials.
        seed : int
            Seed of the random numbers: the same seed gives the same potentials.
        scale : float, optional
            Factor of the standard deviation of the coefficients; by default the
            factor of the model's calibration for forces (for energies where no forces
            were fitted), at least 1.

        Returns
        -------
        Samples
            A sequence of models; its ``predict`` treats all of them together.

        Raises
        ------
        GapfitError
            The model was saved without its posterior, `n` is not positive, or `scale`
            is negative or not finite.
        """
        from gapfit.model.samples import Samples

        self.require_posterior()
        if n < 1:
            raise GapfitError(f"n = {n}: give a positive number of samples")
        if scale is not None and not 0 <= scale < np.inf:
            raise GapfitError(f"scale = {scale}: give a finite number, 0 or more")
        return Samples(self, n, seed, scale)

    def with_record(self, **changes: Any) -> GAPModel:
        """Return the same model with other facts; names as in `FitRecord`."""
        return replace(self, record=replace(self.record, **changes))

    def require_posterior(self) -> Posterior:
        """Return the posterior.

        Raises
        ------
        GapfitError
            The model was saved without it, or was read from QUIP, which keeps none.
        """
        if self.posterior is None:
            raise GapfitError(why_no_posterior(self))
        return self.posterior

    @overload
    def predict(
        self, atoms: list[Any] | tuple[Any, ...], **options: Unpack[PredictOptions]
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        atoms: Any,
        *,
        moving: MovingPairs | None = ...,
        **options: Unpack[PredictOptions],
    ) -> Prediction: ...

    def predict(
        self,
        atoms: Any,
        *,
        forces: bool = True,
        stress: bool = True,
        std: bool | str | Sequence[str] = False,
        novelty: bool = False,
        observation: bool = True,
        calibrated: bool = True,
        interval: float | None = None,
        form: Form = "sor",
        atom_virials: bool = False,
        n_threads: int | None = None,
        moving: MovingPairs | None = None,
    ) -> Any:
        """Predict energies, forces, stress and their uncertainty.

        Parameters
        ----------
        atoms : ase.Atoms, Frame, or a list of them
            The structures.
        forces, stress : bool
            Whether to compute derivatives.
        std : bool, str or sequence of str
            Standard deviations to compute, among ``"energy"``, ``"energies"`` (of each
            atom, nearly free), ``"forces"`` and ``"stress"`` (these and ``"energy"`` take
            the time of kernel rows, about 50 times that of the forces); True: all.
        novelty : bool
            Whether to compute how unlike the sparse points each environment is.
        observation : bool
            Standard deviations of the difference from a new reference calculation: with
            the floor of the calibration, mostly an error of the model, or the noise of
            the fit. False: of the function alone, as the posterior knows it.
        calibrated : bool
            Whether standard deviations are scaled to the errors of left-out structures,
            where the model has such a calibration.
        interval : float, optional
            Probability, between 0 and 1, that an interval contains a new reference
            calculation (`Calibration.multiplier`): half widths are computed.
        form : {"sor", "dtc"}
            For energy, forces and stress: the subset of regressors, which ranks errors
            best; or with the unexplained variance, as energies of atoms always are.
        atom_virials : bool
            Whether to compute the virial of each atom.
        n_threads : int, optional
            Threads to use, `gapfit.threads.available` by default; bits depend on it.
        moving : MovingPairs, optional
            Neighbours of a single structure within this model's cutoff, kept between
            calls as long as atoms move little.

        Returns
        -------
        Prediction or list of Prediction
            One for each structure; a list if a list was given.

        Raises
        ------
        StructureError
            An unknown species, or atoms on top of each other.
        GapfitError
            `std` for a model saved without its posterior, or an unknown name; an
            `interval` for a model without calibration, or with too few structures in it;
            an unknown `form`; `moving` of another cutoff; a part of the baseline fails,
            needs a package that is missing, or was asked for `atom_virials`.
        """
        kinds = std_kinds(std)
        if kinds or novelty or interval is not None:
            self.require_posterior()
        wanted = PredictionRequest(
            forces,
            stress,
            atom_virials,
            kinds,
            novelty,
            observation,
            calibrated,
            form,
            interval_multipliers(self.calibration, interval),
        )
        single = hasattr(atoms, "positions")
        if moving and not (single and moving.cutoff == self.cutoff):
            raise GapfitError(
                f"moving: the neighbours of one structure within {moving.cutoff:g} Å; "
                f"give one structure, and MovingPairs for {self.cutoff:g} Å"
            )
        given = [atoms] if single else atoms
        frames = [as_frame(item, f"structure {n}") for n, item in enumerate(given)]
        predictions: list[Prediction] = []
        # Overflows end in numbers that `finite` refuses.
        with use_threads(n_threads), np.errstate(over="ignore", invalid="ignore"):
            for part in batches([frame.n_atoms for frame in frames], _BATCH_ATOMS):
                batch = frames[part]
                pairs = moving.of(batch[0]) if moving else pairs_of(batch, self.cutoff)
                predictions += self._predict_batch(batch, pairs, wanted)
        return predictions[0] if single else predictions

    def _predict_batch(
        self, frames: Sequence[Frame], pairs: Pairs, wanted: PredictionRequest
    ) -> list[Prediction]:
        energies = self._isolated(frames, pairs)
        forces = np.zeros((pairs.n_atoms, 3))
        virials = np.zeros((pairs.n_frames, 6))
        local = np.zeros((pairs.n_atoms, 3, 3)) if wanted.atom_virials else None
        variances, prior = np.zeros(0), np.zeros(0)
        form = self._local_form(wanted)
        requests = [form.of(term, pairs) if form else None for term in self.terms]
        for request in requests:
            if form and request:
                prior = form.prior(request, pairs)
        for part in self._contributions(frames, pairs, wanted, requests):
            energies += part.energies
            if len(part.variances):
                variances = part.variances
            if wanted.gradients:
                forces += part.forces
                virials += part.virials
            if local is not None:
                local += part.atom_virials
        out, first = [], 0
        deviations = self._deviations(frames, pairs, wanted, (variances, prior))
        for frame, virial, std in zip(frames, virials, deviations, strict=True):
            atoms = slice(first, first + frame.n_atoms)
            first += frame.n_atoms
            has_stress = (
                wanted.stress and frame.has_volume and not np.isnan(virial).all()
            )
            prediction = Prediction(
                energy=float(energies[atoms].sum()),
                energies=energies[atoms],
                forces=forces[atoms] if wanted.forces else None,
                stress=-virial / frame.volume if has_stress else None,
                atom_virials=None if local is None else local[atoms],
                **std,
            )
            out.append(prediction.finite(frame.source))
        return out

    def _contributions(
        self,
        frames: Sequence[Frame],
        pairs: Pairs,
        wanted: PredictionRequest,
        requests: Sequence[VarianceRequest | None],
    ) -> Iterator[LocalPrediction]:
        asked = {"gradients": wanted.gradients, "atom_virials": wanted.atom_virials}
        host, guest, form = self._shared or (None, None, None)
        for term, request in zip(self.terms, requests, strict=True):
            if term is not guest:
                added = form if term is host else None
                yield term.predict(pairs, **asked, variance=request, ace=added)
        if self.baseline is not None:
            yield from self.baseline.contributions(frames, pairs, **asked)

    @cached_property
    def _shared(self) -> SharedTerms | None:
        return shared_terms(self.terms)

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
        return np.take([self.e0[z] for z in self.species], index)

    def _local_form(self, wanted: PredictionRequest) -> LocalVarianceForm | None:
        """Return the form computed along with energies: variances, or the novelty."""
        if StdKind.ENERGIES in wanted.std:
            return self.local_variance
        return self.local_unexplained if wanted.novelty else None

    @cached_property
    def local_variance(self) -> LocalVarianceForm:
        """Factors for the variances of local energies; needs the posterior."""
        return self._new_local_form(prior_only=False)

    @cached_property
    def local_unexplained(self) -> LocalVarianceForm:
        """Factors for the unexplained parts of prior variances; needs the posterior."""
        return self._new_local_form(prior_only=True)

    def _new_local_form(self, *, prior_only: bool) -> LocalVarianceForm:
        assert self.posterior is not None
        # The bits must not depend on which prediction comes first.
        with one_thread():
            tolerance = self.config.prediction.energy_tolerance
            return LocalVarianceForm(
                self.terms, self.posterior, tolerance, prior_only=prior_only
            )

    def _deviations(
        self,
        frames: Sequence[Frame],
        pairs: Pairs,
        wanted: PredictionRequest,
        local: tuple[np.ndarray, np.ndarray],
    ) -> list[dict[str, Any]]:
        """Return the standard deviations of each frame, named as in `Prediction`."""
        if not (wanted.rows or wanted.local):
            return [{} for _ in frames]
        assert self.posterior is not None
        sigma, usual = self.config.sigma, self.record.usual_deviations
        deviations = StandardDeviations(
            self.terms, self.posterior, sigma, self.calibration, usual
        )
        return deviations.of(frames, pairs, wanted, *local)
