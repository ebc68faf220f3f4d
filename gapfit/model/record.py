"""Records of how a model came about: its fit, data appended to it, or a foreign file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter

from gapfit.data.digest import chained_digest, data_digest
from gapfit.data.extxyz_rows import HEAVIEST
from gapfit.data.frame import Frame
from gapfit.data.pair_data import PairData

__all__ = ["Addition", "FitRecord", "Origin", "PaceOrigin"]


@dataclass(frozen=True)
class Addition:
    """Data that were appended to a model.

    Attributes
    ----------
    n_frames, n_atoms : int
        Size of the data.
    n_rows : dict of str to int
        Observations: energy, forces, virial.
    data_digest : str
        SHA-256 of the data.
    onto : str
        SHA-256 of the data that the model held before.
    sparse_points : tuple of dict
        New sparse points by term and block; see `gapfit.sparse.novelty.NewPoints`.
    """

    n_frames: int
    n_atoms: int
    n_rows: dict[str, int]
    data_digest: str
    onto: str
    sparse_points: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Origin:
    """The file of QUIP or TurboGAP that a model was read from.

    Attributes
    ----------
    file : str
        Name of the file.
    label : str
        Label of the potential.
    gap_version : int or None
        Version of the program that wrote it.
    ignored : tuple of str
        Options that have no effect on energies.
    sparse_cutoffs : tuple of dict
        For each term, by block: values of the cutoff function at the sparse points.
    counted_once : tuple of bool
        For each term: whether it is of pairs that QUIP counts once instead of twice.
    program : str
        Whose file it is: "QUIP" or "TurboGAP".
    """

    file: str
    label: str
    gap_version: int | None
    ignored: tuple[str, ...]
    sparse_cutoffs: tuple[dict[str, list[float]], ...]
    counted_once: tuple[bool, ...] = ()
    program: str = "QUIP"

    def __post_init__(self) -> None:
        # Version 0.1.0 did not store it; it counted all pairs twice.
        if not self.counted_once:
            twice = (False,) * len(self.sparse_cutoffs)
            object.__setattr__(self, "counted_once", twice)


def _sound_projection(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a `LosslessProjection`; refuse those that none has."""
    numbers = TypeAdapter(dict[int, int]).validate_python(facts["rank"])
    if not all(1 <= z <= HEAVIEST for z in numbers):
        raise ValueError(f"rank of {sorted(numbers)}, which are no elements")
    for name in ("energy_error", "forces_error", "n_atoms"):
        TypeAdapter(float).validate_python(facts[name])
    return facts


_Projection = Annotated[dict[str, Any], AfterValidator(_sound_projection)]


# A grade is a ratio to these.
_Deviations = dict[
    Annotated[int, Field(ge=1, le=HEAVIEST)],
    Annotated[float, Field(gt=0, allow_inf_nan=False)],
]


@dataclass(frozen=True)
class PaceOrigin:
    """The file of pacemaker that a model was read from.

    Attributes
    ----------
    file : str
        Its name.
    """

    file: str


@dataclass(frozen=True)
class FitRecord:
    """Facts about a fit; None where they are not known.

    Attributes
    ----------
    n_frames, n_atoms : int or None
        Size of all data.
    n_rows : dict of str to int
        Observations: energy, forces, virial; empty where they are not known.
    n_sparse : int or None
        Sparse points of all terms.
    jitter : tuple of float or None
        Jitter of each block of K_mm, relative to its mean diagonal.
    log_marginal_likelihood : float or None
        Of all data.
    projections : tuple of dict or None
        Lossless projections and the changes they were measured to make, by term.
    versions : dict of str to str
        Versions of gapfit and the libraries.
    warnings : tuple of str
        What the user should know.
    without_atom : tuple of int
        Atomic numbers of species whose e0 comes from least squares.
    usual_deviations : dict of int to float
        By atomic number, 99th percentile of the standard deviations of the energies of
        atoms in the data, eV; empty where it is not known.
    pairs : tuple of PairData
        Shortest distances and dimers by pair of species; empty where they are not known.
    data_digest : str or None
        SHA-256 of the data.
    appended : tuple of Addition
        Data that were appended.
    tuning : dict or None
        Trials of ``[tune]``.
    quip : Origin or None
        The file of QUIP or TurboGAP that the model was read from.
    pacemaker : PaceOrigin or None
        The file ``.yace`` that the model was read from.
    """

    n_frames: int | None = None
    n_atoms: int | None = None
    n_rows: dict[str, int] = field(default_factory=dict)
    n_sparse: int | None = None
    jitter: tuple[float, ...] | None = None
    log_marginal_likelihood: float | None = None
    projections: tuple[_Projection, ...] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    without_atom: tuple[int, ...] = ()
    usual_deviations: _Deviations = field(default_factory=dict)
    pairs: tuple[PairData, ...] = ()
    data_digest: str | None = None
    appended: tuple[Addition, ...] = ()
    tuning: dict[str, Any] | None = None
    quip: Origin | None = None
    pacemaker: PaceOrigin | None = None

    @property
    def program(self) -> str:
        """The other program whose file the model was read from; empty for fits."""
        if self.quip is not None:
            return self.quip.program
        return "pacemaker" if self.pacemaker is not None else ""

    def was_fitted_to(self, frames: Sequence[Frame]) -> bool:
        """Return whether frames are the data of the fit and of all additions, in order.

        Parameters
        ----------
        frames : sequence of Frame
            With labels, as they were read.
        """
        added = [addition.n_frames for addition in self.appended]
        unread = iter(frames)
        digest = data_digest(islice(unread, max((self.n_frames or 0) - sum(added), 0)))
        for n_frames in added:
            digest = chained_digest(digest, data_digest(islice(unread, n_frames)))
        return digest == self.data_digest and next(unread, None) is None

    def pair(self, first: int, second: int) -> PairData | None:
        """Return the data of two species, atomic numbers; None if they are not known."""
        species = tuple(sorted((first, second)))
        return next((pair for pair in self.pairs if pair.species == species), None)

    def plain(self) -> dict[str, Any]:
        """Return all that is known as JSON types."""
        values = asdict(self)
        # A fit without warnings says so.
        expected = () if self.program else ("warnings",)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in (None, (), {}) or name in expected
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> FitRecord:
        """Return what `plain` gave; keys of other versions are left out."""
        names = {entry.name for entry in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        record: FitRecord = _adapter().validate_python(known)
        return record


@cache
def _adapter() -> TypeAdapter[FitRecord]:
    """Return what checks the types of a record from a file."""
    return TypeAdapter(FitRecord)
