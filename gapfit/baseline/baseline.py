"""The baseline: a known energy, subtracted before the fit and added to predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gapfit._support.progress import Progress
from gapfit.baseline.ase_calculator import NamedCalculator
from gapfit.baseline.charges import PointCharges, point_charges
from gapfit.baseline.dispersion import Dispersion
from gapfit.baseline.pair_file import read_pairs, table_of_points
from gapfit.baseline.structure_potential import StructurePotential
from gapfit.baseline.zbl import pair_baseline
from gapfit.config.sections import (
    BaselineConfig,
    FitConfig,
    SigmaConfig,
)
from gapfit.data.batching import batches
from gapfit.data.checks import refuse
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes, temporary_frames
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.data.sigmas import with_automatic_sigmas
from gapfit.descriptors.blocks import species_pairs
from gapfit.descriptors.pair_table import PairTable
from gapfit.descriptors.protocol import LocalPrediction
from gapfit.descriptors.registry import kind_of
from gapfit.errors import ConfigError, GapfitError
from gapfit.threads import use_threads

__all__ = [
    "Baseline",
    "baseline_points",
    "build_baseline",
    "targets",
    "without_baseline",
]

_BATCH_ATOMS = 2048


@dataclass(frozen=True, eq=False)
class Baseline:
    """A sum of pair potentials and potentials of whole structures.

    Attributes
    ----------
    tables : tuple of PairTable
        Pair potentials.
    points : dict of int to (n, 2) float64
        Points of the potentials from a file, as read: r (Å) and φ (eV) by
        `gapfit.descriptors.blocks.pair_key`. Stored with the model.
    of_structures : tuple of StructurePotential
        Dispersion, point charges and a calculator; packages that they need are imported at
        their first evaluation.
    """

    tables: tuple[PairTable, ...] = ()
    points: dict[int, np.ndarray] = field(default_factory=dict)
    of_structures: tuple[StructurePotential, ...] = ()

    @property
    def cutoff(self) -> float:
        """Range of the pair potentials, Å; 0 without any."""
        return max((table.cutoff for table in self.tables), default=0.0)

    @property
    def calculator(self) -> NamedCalculator | None:
        """The calculator among the potentials of structures; None without one."""
        named = (p for p in self.of_structures if isinstance(p, NamedCalculator))
        return next(named, None)

    @property
    def charges(self) -> PointCharges | None:
        """The charges among the potentials of structures; None without any."""
        charges = (p for p in self.of_structures if isinstance(p, PointCharges))
        return next(charges, None)

    def contributions(
        self,
        frames: Sequence[Frame],
        pairs: Pairs,
        *,
        gradients: bool,
        atom_virials: bool = False,
    ) -> Iterator[LocalPrediction]:
        """Yield the contribution of each part, for frames and their pair list.

        Virials are NaN where a calculator gives no stress.

        Raises
        ------
        GapfitError
            A part cannot be evaluated, or `atom_virials` are asked of one of a structure.
        """
        if atom_virials and self.of_structures:
            raise GapfitError(
                f"{self.of_structures[0].title} gives no virials of atoms, so a model with "
                "it has none (atom_virials, stresses); leave them out"
            )
        for table in self.tables:
            yield table.evaluate(
                pairs.within(table.cutoff),
                gradients=gradients,
                atom_virials=atom_virials,
            )
        for potential in self.of_structures:
            parts = [potential.evaluate(f, gradients=gradients) for f in frames]
            yield LocalPrediction(
                np.concatenate([part.energies for part in parts]),
                np.concatenate([part.forces for part in parts]),
                np.concatenate([part.virials for part in parts]),
                np.zeros((0, 3, 3)),
            )


def baseline_points(
    config: BaselineConfig, species: tuple[int, ...], base: Path
) -> dict[int, np.ndarray]:
    """Return the tabulated potentials from the file of the configuration, by pair.

    Parameters
    ----------
    config : BaselineConfig
        Baseline with the name of the file; without one there are no potentials.
    species : tuple of int
        Atomic numbers, ascending.
    base : Path
        Folder that a relative path refers to.

    Raises
    ------
    ConfigError
        The file cannot be used.
    """
    if config.table is None:
        return {}
    path = base / Path(config.table).expanduser()
    listed = read_pairs(path, config.width)
    points = {key: listed[key] for key in species_pairs(species) if key in listed}
    if not points:
        from ase.data import chemical_symbols

        symbols = ", ".join(chemical_symbols[z] for z in species)
        raise ConfigError(
            f"{path}: contains no pair of the species in the data ({symbols}); add one, or "
            "remove `table` from [baseline]"
        )
    return points


def build_baseline(
    config: FitConfig,
    species: tuple[int, ...],
    points: Mapping[int, np.ndarray],
    *,
    trusted: bool,
) -> Baseline | None:
    """Return the baseline; None without one.

    Parameters
    ----------
    config : FitConfig
        Configuration; uses ``[baseline]`` and the prior means of pair terms.
    species : tuple of int
        Atomic numbers, ascending.
    points : mapping of int to (n, 2) float64
        Tabulated potentials, from `baseline_points` or a model file.
    trusted : bool
        Whether the user, not a file, named the calculator; see `NamedCalculator`.

    Raises
    ------
    ConfigError
        Charges are given, but not of all species.
    """
    named = config.baseline
    tables = [
        pair_baseline(named, species),
        table_of_points(points, species, named.width) if named.table else None,
        *(kind_of(term).prior_mean(term, species) for term in config.terms),
    ]
    potentials = [
        Dispersion(named.d3) if named.d3 else None,
        point_charges(named.charges, species),
        NamedCalculator(named.calculator, named.calculator_options, trusted)
        if named.calculator
        else None,
    ]
    present = tuple(table for table in tables if table is not None)
    of_structures = tuple(potential for potential in potentials if potential)
    if not present and not of_structures:
        return None
    return Baseline(present, dict(points), of_structures)


def without_baseline(
    frames: Sequence[Frame],
    baseline: Baseline | None,
    progress: Callable[[str, int, int], None],
) -> Sequence[Frame]:
    """Return the frames with the baseline subtracted from their labels.

    Parameters
    ----------
    frames : sequence of Frame
        Frames with energies, forces and virials.
    baseline : Baseline or None
        Baseline to subtract.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    sequence of Frame
        `frames` itself without a baseline; otherwise frames in a temporary file.

    Raises
    ------
    DataError
        Lists every frame of which the point charges have no energy.
    GapfitError
        The calculator fails, or gives no stress where a frame has one.
    """
    if baseline is None:
        return frames
    if baseline.charges:
        refuse(_problems(frames, baseline.charges))
    return temporary_frames(_without(frames, baseline, progress))


def _problems(frames: Sequence[Frame], charges: PointCharges) -> list[str]:
    """Return the frames that have no energy of charges: place, cause, cure."""
    refusals = ((frame.source, charges.refusal(frame)) for frame in frames)
    return [f"{place}: {why.reason}; {why.cure}" for place, why in refusals if why]


def _without(
    frames: Sequence[Frame],
    baseline: Baseline,
    progress: Callable[[str, int, int], None],
) -> Iterator[Frame]:
    # These may take long, so progress is reported for each frame.
    size = 1 if baseline.of_structures else _BATCH_ATOMS
    progress("baseline", 0, len(frames))
    for part in batches(frame_sizes(frames), size):
        yield from _subtracted(frames[part], baseline)
        progress("baseline", part.stop, len(frames))


def _subtracted(frames: Sequence[Frame], baseline: Baseline) -> list[Frame]:
    pairs = pairs_of(frames, max(baseline.cutoff, 1.0))
    # Threads add up forces: targets must not depend on the number of threads of the
    # leading process. A calculator may need them all.
    with use_threads(None if baseline.calculator else 1):
        parts = list(baseline.contributions(frames, pairs, gradients=True))
    energies = np.sum([part.energies for part in parts], axis=0)
    forces = np.sum([part.forces for part in parts], axis=0)
    virials = np.sum([part.virials for part in parts], axis=0)
    out, first = [], 0
    for frame, virial in zip(frames, virials, strict=True):
        atoms = slice(first, first + frame.n_atoms)
        first = atoms.stop
        if frame.virial is not None and not np.isfinite(virial).all():
            title = baseline.calculator.title if baseline.calculator else "[baseline]"
            raise GapfitError(
                f"{title} gives no stress for {frame.source}, which has a stress to fit; "
                "set use_stress = false under [data]"
            )
        out.append(
            replace(
                frame,
                energy=None
                if frame.energy is None
                else frame.energy - float(energies[atoms].sum()),
                forces=None if frame.forces is None else frame.forces - forces[atoms],
                virial=None if frame.virial is None else frame.virial - virial,
            )
        )
    return out


def targets(
    frames: Sequence[Frame],
    baseline: Baseline | None,
    sigma: SigmaConfig,
    progress: Progress,
) -> Sequence[Frame]:
    """Return frames as they are fitted: without the baseline, with automatic sigmas."""
    return with_automatic_sigmas(
        without_baseline(frames, baseline, progress), frames, sigma
    )
