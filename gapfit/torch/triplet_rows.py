"""Kernel rows of a three-body term; see `gapfit.descriptors.angle_3b`."""

import torch
from torch import Tensor

from gapfit.torch.pairs import Neighbours, chunks
from gapfit.torch.row_table import RowTable, components, strains
from gapfit.torch.switch import switch
from gapfit.torch.triplets import TripletTerm

__all__ = ["TripletRows"]


class TripletRows:
    """Makes the kernel rows of a three-body term.

    Parameters
    ----------
    term : TripletTerm
        Finds the triplets; its functions do not matter.
    points : list of (n_sparse, 3) float64
        Sparse points of each function.
    delta : float
        Standard deviation of the kernel, eV.
    theta : (3,) float64
        Its lengths: Å, Å², Å.
    """

    def __init__(
        self, term: TripletTerm, points: list[Tensor], delta: float, theta: Tensor
    ) -> None:
        self.term, self.points = term, points
        self.variance, self.theta = delta**2, theta

    def add(self, near: Neighbours, frame: Tensor, rows: RowTable) -> None:
        """Add rows; see `TermRows`."""
        inside, groups = self.term.grouped(near)
        n_atoms = near.species.shape[0]
        if n_atoms == 0 or inside.shape[0] == 0:
            return
        most = self.term.at_once(groups.width, self.term.n_numbers)
        for bounds in chunks(groups, 0, n_atoms, most):
            a, b, which = self.term.triplets(
                near, inside, groups, bounds, self.term.block
            )
            begin = 0
            for n, points in enumerate(self.points):
                columns = rows.columns(begin, begin + points.shape[0])
                begin += points.shape[0]
                members = torch.nonzero(which == n).flatten()
                if members.shape[0] > 0:
                    self._add(near, a[members], b[members], points, frame, columns)

    def _add(
        self,
        near: Neighbours,
        a: Tensor,
        b: Tensor,
        points: Tensor,
        frame: Tensor,
        rows: RowTable,
    ) -> None:
        """Add the rows of some triplets of one block, given by both pairs."""
        centre = near.centre[a]
        Ra, Rb, ra, rb = near.R[a], near.R[b], near.r[a], near.r[b]
        across = Rb - Ra
        opposite = torch.linalg.vector_norm(across, dim=1)
        difference = (ra - rb).unsqueeze(1)
        q = torch.stack([ra + rb, (ra - rb) ** 2, opposite], dim=1)
        d = [(q[:, x : x + 1] - points[:, x]) / self.theta[x] for x in range(3)]
        k = torch.exp(-0.5 * (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]))
        k.mul_(self.variance)
        term = self.term
        sa, change_a = switch(ra, term.cutoff, term.width, term.cosine)
        sb, change_b = switch(rb, term.cutoff, term.width, term.cosine)
        s = (sa * sb).unsqueeze(1)
        rows.energies.index_add_(0, frame[centre], s * k)
        if not rows.gradients:
            return
        even, odd, away = (-s * d[x] * k / self.theta[x] for x in range(3))
        odd = 2.0 * difference * odd
        along_a = (change_a * sb).unsqueeze(1) * k + even + odd
        along_b = (sa * change_b).unsqueeze(1) * k + even - odd
        ua, ub = Ra / ra.unsqueeze(1), Rb / rb.unsqueeze(1)
        # Two atoms in one place have no direction.
        n = across / torch.where(opposite > 0.0, opposite, 1.0).unsqueeze(1)
        by_a = _outer(ua, along_a) - _outer(n, away)
        by_b = _outer(ub, along_b) + _outer(n, away)
        for numbers, part, sign in (
            (centre, by_a + by_b, 1.0),
            (near.neighbour[a], by_a, -1.0),
            (near.neighbour[b], by_b, -1.0),
        ):
            target = components(numbers, 3)
            rows.forces.index_add_(0, target, part.flatten(0, 1), alpha=sign)
        virials = _outer(strains(Ra, ua), along_a) + _outer(strains(Rb, ub), along_b)
        virials += _outer(strains(across, n), away)
        target = components(frame[centre], 6)
        rows.virials.index_add_(0, target, virials.flatten(0, 1))


def _outer(vectors: Tensor, rows: Tensor) -> Tensor:
    """Return components (n, k) times rows (n, n_sparse), (n, k, n_sparse)."""
    return vectors.unsqueeze(2) * rows.unsqueeze(1)
