"""From frames to sums: kernel rows block by block, each forgotten once it is added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gapfit.assembly import batches, row_block
from gapfit.config import SigmaConfig
from gapfit.factors import Factors
from gapfit.frame import Frame
from gapfit.groups import groups_of
from gapfit.solver import Whitening
from gapfit.terms import FittedTerm

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """What makes the rows of any frames of a fit.

    Attributes
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    sigma : SigmaConfig
        Standard deviations; config_types with their own are groups of their own.
    whitening : Whitening
        Factors of K_mm.
    method : {"cholesky", "qr"}
        See `Factors`.
    batch_atoms : int
        Atoms whose rows are held at a time.
    """

    terms: Sequence[FittedTerm]
    e0: dict[int, float]
    sigma: SigmaConfig
    whitening: Whitening
    method: str
    batch_atoms: int

    def sum_up(
        self,
        frames: Sequence[Frame],
        given: Sequence[Frame],
        report: Callable[[int], None],
    ) -> Factors:
        """Return the sums over the rows of some frames.

        Parameters
        ----------
        frames : sequence of Frame
            Without the baseline, with automatic sigmas.
        given : sequence of Frame
            The same as they were read.
        report : callable
            Called with the atoms done since the last call.
        """
        factors = Factors(self.whitening, self.method)
        apart = set(self.sigma.config_types)
        for part in batches([frame.n_atoms for frame in frames], self.batch_atoms):
            some = frames[part]
            block = row_block(some, self.terms, self.e0, self.sigma)
            factors.add_block(block, groups_of(given[part], apart))
            report(sum(frame.n_atoms for frame in some))
        factors.close()
        return factors
