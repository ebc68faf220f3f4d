"""New data for a fitted model, without the data that it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.baseline.baseline import targets
from gapfit.config.sections import DataConfig
from gapfit.data.checks import refuse_species
from gapfit.data.dataset import Dataset, as_dataset
from gapfit.data.digest import chained_digest, data_digest
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.isolated import SAME_ENERGY, candidates, lone_atoms
from gapfit.data.observations import count_rows, row_counts
from gapfit.data.pair_data import joined_pair_data, pair_data
from gapfit.errors import GapfitError
from gapfit.execution.accumulate import RowBuilder
from gapfit.execution.plan import batch_atoms
from gapfit.fitting.extend_sparse import extended
from gapfit.fitting.label_check import check_labels
from gapfit.fitting.solve import solved
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.calibration import OUTDATED
from gapfit.model.gap_model import GAPModel
from gapfit.model.observation_groups import groups_of
from gapfit.model.projection import Ranks
from gapfit.model.record import Addition, FitRecord
from gapfit.model.storage import load_with_sums
from gapfit.sparse.novelty import LEAST, NewPoints, novel_points
from gapfit.threads import limited, one_thread

__all__ = ["append"]


def append(
    model: GAPModel | str | Path,
    frames: Any,
    *,
    data: DataConfig | None = None,
    new_sparse: int = 0,
    progress: Progress | None = None,
    base: Path | None = None,
) -> GAPModel:
    """Add data to a model, without the data that it was fitted to.

    With the same sparse points, e0, baseline and sigmas it is the fit of all data. e0
    stays that of the model, also where it came from the data by least squares.
    ``sigma.energy_relative`` measures from the lowest energies of the new data alone.

    With `new_sparse` the model also gets sparse points for environments of the new data
    that its present ones do not describe (`gapfit.sparse.novelty`). The kernels of the
    earlier data with these are lost and neglected; see `gapfit.fitting.extend_sparse`.

    Projections (`gapfit.model.projection`) are verified on the new data, and keep as many
    directions as the earlier data needed. The calibration of standard deviations
    stays as it was, and is too small where the new data differ from the earlier ones;
    `gapfit.calibrate` takes a new one.

    Parameters
    ----------
    model : GAPModel, str or Path
        A model, or its file, with `GAPModel.training_sums`. It is not changed.
    frames : list of ase.Atoms, Dataset, path, or list of paths
        The new data, of species that the model knows. The same set twice is refused;
        single frames that were fitted before count again.
    data : DataConfig, optional
        Names of the labels; by default as the model was fitted.
    new_sparse : int
        Largest number of sparse points to add for each central species of each SOAP term.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    base : Path, optional
        Folder that relative paths refer to.

    Returns
    -------
    GAPModel
        Its ``record.appended`` has an entry for each addition.

    Raises
    ------
    GapfitError
        The model contains no sums, or has been fitted to these data.
    DataError
        Data that cannot be fitted, or new species.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.append("model.npz", "new.extxyz")  # doctest: +SKIP
    """
    if new_sparse < 0:
        raise GapfitError(f"new_sparse = {new_sparse}: give 0 or a positive number")
    loaded = load_with_sums(model)
    config = loaded.config.model_copy(update={"data": data or loaded.config.data})
    dataset = as_dataset(frames, config, base)
    refuse_species(
        dataset.frames,
        loaded.species,
        "the new data contain {species}, which the model does not know ({places}): its "
        "descriptors are those of its species; remove these frames, or fit all data "
        "again",
    )
    _refuse_fitted_data(loaded, dataset)
    n_threads = config.run.threads or None
    with limited(n_threads):
        addition = _Addition(loaded, dataset, progress or silent)
        if config.data.check_labels:
            check_labels(addition.frames, loaded.e0, addition.notes, addition.progress)
        return addition.run(new_sparse)


def _refuse_fitted_data(model: GAPModel, dataset: Dataset) -> None:
    record, digest = model.record, data_digest(dataset.frames)
    fitted = {record.data_digest}
    for addition in record.appended:
        fitted |= {addition.data_digest, addition.onto}
    if digest in fitted:
        raise GapfitError(
            f"the model has been fitted to these {len(dataset.frames)} frames already "
            f"(SHA-256 {digest[:12]}...): they would count twice; give other data"
        )


class _Addition:
    """One addition of data: its model, frames and warnings."""

    def __init__(self, model: GAPModel, dataset: Dataset, progress: Progress) -> None:
        self.model = model
        self.dataset = dataset
        self.progress = progress
        self.notes: list[str] = list(dataset.warnings)
        sigma = model.config.sigma
        self.frames = targets(dataset.frames, model.baseline, sigma, progress)
        self.notes += _isolated_warnings(self.frames, model.e0)
        if sigma.energy_relative:
            self.notes.append(
                f"sigma.energy_relative = {sigma.energy_relative:g}: heights of new "
                "energies are those above the lowest of the new data; a fit of all data "
                "would measure them from the lowest of all data"
            )

    def run(self, new_sparse: int) -> GAPModel:
        """Return the model with the data."""
        larger, added = self.model, list[NewPoints]()
        if new_sparse:
            # The choice between nearly equal points must not depend on the number of cores.
            with one_thread():
                points, added = novel_points(
                    self.model, self.frames, new_sparse, self.progress
                )
            larger = extended(self.model, points)
            self._note_points(new_sparse, added)
        if self.model.calibration is not None:
            self.notes.append(
                f"{OUTDATED}their calibration is still that of the earlier data, and too "
                "small where the new data differ from these; calibrate again on all "
                "fitted data, or on structures that were not fitted: gapfit calibrate"
            )
        sums = self._summed(larger)
        assert larger.training_sums is not None
        sums.merge(larger.training_sums)
        summed = replace(larger, training_sums=sums, record=self._record(added))
        model = solved(summed, self.frames, self.progress, self._ranks(larger))
        return replace(model, calibration=self.model.calibration)

    def _summed(self, model: GAPModel) -> TrainingSums:
        """Return the sums over the rows of the new data."""
        config, sums = model.config, model.training_sums
        assert sums is not None
        groups = groups_of(self.dataset.frames, config, self.model.e0)
        done, total = 0, int(row_counts(self.frames).sum())

        def report(n_rows: int) -> None:
            nonlocal done
            done += n_rows
            self.progress("rows", done, total)

        report(0)
        batch = batch_atoms(self.dataset.frames, model.terms, config)
        return RowBuilder.of(model).sum_up(self.frames, groups, batch, report)

    def _note_points(self, wanted: int, added: Sequence[NewPoints]) -> None:
        if not added:
            self.notes.append(
                f"new_sparse = {wanted}: no sparse point is added: of each environment of "
                f"the new data, less than {LEAST:g} of the prior variance is unexplained"
            )
        for new in added:
            self.notes.append(
                f"[[terms]] {new.term}: {new.n_points} sparse points for {new.block} "
                f"added: of {new.n_outside} new environments, up to "
                f"{new.unexplained_before:.2g} of the prior variance was unexplained, now "
                f"at most {new.unexplained_after:.2g}. The kernels of the earlier data "
                "with these points are neglected: check the errors on those data"
            )
        for n in sorted({new.term for new in added}):
            components = self.model.terms[n - 1].descriptor.components
            if components != "all":
                self.notes.append(
                    f"[[terms]] {n}: components = {components:g}: the directions are "
                    "those of the earlier data; the parts of new environments outside "
                    "them are not seen"
                )

    def _ranks(self, larger: GAPModel) -> list[Ranks]:
        """Return the number of directions of projections that the earlier data needed.

        New points may need one each. Where all directions were needed, all are kept.
        """
        return [
            {
                block: len(points)
                - len(old.sparse[block])
                + (
                    old.lossless[block].shape[1]
                    if block in old.lossless
                    else points.shape[1]
                )
                for block, points in new.sparse.items()
            }
            for old, new in zip(self.model.terms, larger.terms, strict=True)
        ]

    def _record(self, added: Sequence[NewPoints]) -> FitRecord:
        """Return the facts about all data."""
        old, digest = self.model.record, data_digest(self.dataset.frames)
        assert old.data_digest is not None
        rows = count_rows(self.frames)
        addition = Addition(
            n_frames=len(self.frames),
            n_atoms=int(frame_sizes(self.frames).sum()),
            n_rows=rows,
            data_digest=digest,
            onto=old.data_digest,
            sparse_points=tuple(asdict(new) for new in added),
        )
        return replace(
            old,
            n_frames=(old.n_frames or 0) + addition.n_frames,
            n_atoms=(old.n_atoms or 0) + addition.n_atoms,
            n_rows={name: n + rows[name] for name, n in old.n_rows.items()},
            data_digest=chained_digest(old.data_digest, digest),
            pairs=joined_pair_data(
                old.pairs,
                pair_data(self.dataset.frames, self.model.species, self.model.cutoff),
            ),
            appended=(*old.appended, addition),
            warnings=tuple(dict.fromkeys([*old.warnings, *self.notes])),
        )


def _isolated_warnings(frames: Sequence[Frame], e0: dict[int, float]) -> list[str]:
    """Return warnings of isolated atoms whose energy differs from e0 of the model."""
    return [
        f"{atom.source}: an isolated atom of {atom.energy:.6f} eV, where e0 of the model "
        f"is {e0[z]:.6f} eV: e0 stays; make sure that the new data were computed like the "
        "earlier ones"
        for z, atoms in lone_atoms(frames, list(e0)).items()
        for atom in candidates(atoms)
        if abs(atom.energy - e0[z]) > SAME_ENERGY
    ]
