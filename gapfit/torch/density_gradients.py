"""Derivatives of densities with displacements; see density_gradients.hpp of the core."""

from typing import NamedTuple

import torch
from torch import Tensor

from gapfit.torch.density import Chunk, Density, Expansion
from gapfit.torch.harmonics import gradient_matrix
from gapfit.torch.row_table import VOIGT, strains

__all__ = ["DensityGradients", "MovedAtoms", "moved_atoms"]


class DensityGradients:
    """Derivatives of the densities of a chunk of atoms, without autograd.

    That of w f_l(r) Y_lm(u) is u (f' - l f/r) Y_lm + f/r ∇S_lm(u), where S are the solid
    harmonics: their gradients are harmonics of one degree less.

    Parameters
    ----------
    density : Density
        The densities.
    """

    def __init__(self, density: Density) -> None:
        self.density = density
        self.matrices = [
            gradient_matrix(degree).transpose(0, 1).contiguous().to(density.rows)
            for degree in range(1, density.n_l)
        ]

    def matrix(self, degree: int) -> Tensor:
        """Return `gradient_matrix`, (2 l - 1, 3, 2 l + 1)."""
        return self.matrices[degree - 1]

    def of_pairs(self, e: Expansion, place: Tensor) -> Tensor:
        """Return derivatives with the vectors of some neighbours.

        Parameters
        ----------
        e : Expansion
            Of the chunk.
        place : (n_pairs,) int64
            Places of the neighbours among those of all atoms.

        Returns
        -------
        (n_pairs, 3, n_lm, n_max) float64
            Of the functions of the neighbour's channel, 1/Å.
        """
        n_l, n = self.density.n_l, self.density.n_max
        u = e.u.flatten(1)[:, place].t().unsqueeze(2)
        Y = e.Y.flatten(1)[:, place].t()
        inverse = 1.0 / e.r.flatten()[place].unsqueeze(1)
        F = [part.index_select(2, place) for part in e.F]
        shape = [place.shape[0], 3, n_l * n_l, n]
        dc = torch.empty(shape, dtype=u.dtype, device=u.device)
        for degree in range(n_l):
            across = F[0][degree].t() * inverse
            along = F[1][degree].t() - degree * across
            first, last = degree**2, (degree + 1) ** 2
            out, own = dc[:, :, first:last], Y[:, first:last]
            direct = (u * own.unsqueeze(1)).unsqueeze(3)
            torch.mul(direct, along.view(-1, 1, 1, n), out=out)
            if degree:
                lower = Y[:, (degree - 1) ** 2 : first]
                turned = (lower @ self.matrix(degree).flatten(1)).view(out.shape[:3])
                out.addcmul_(turned.unsqueeze(3), across.view(-1, 1, 1, n))
        return dc

    def of_strains(self, e: Expansion, chunk: Chunk, channel: int) -> list[Tensor]:
        """Return derivatives summed over the neighbours of a channel.

        Returns
        -------
        list of (n_atoms, 2 l + 1, 9, n_max) float64
            By degree, with all displacements along x, y, z, and with -R_a times those
            along b for the components ab of the virial.
        """
        u, R = e.u.permute(1, 2, 0), chunk.R.permute(1, 2, 0)
        n, n_atoms = self.density.n_max, R.shape[0]
        # Zero for neighbours of other channels.
        F = [
            (part * chunk.channel[channel]).unflatten(2, e.r.shape).permute(0, 2, 3, 1)
            for part in e.F
        ]
        direct = torch.cat([u, strains(R, u)], dim=2).unsqueeze(3)
        weights = torch.cat([torch.ones_like(R[:, :, :1]), -R], dim=2).unsqueeze(3)
        out: list[Tensor] = []
        for degree in range(self.density.n_l):
            across = (F[0][degree] / e.r.unsqueeze(2)).unsqueeze(2)
            along = F[1][degree].unsqueeze(2) - degree * across
            Y = e.Y[degree**2 : (degree + 1) ** 2].transpose(0, 1)
            dc = torch.bmm(Y, (direct * along).flatten(2)).view(n_atoms, -1, 9, n)
            if degree:
                Y = e.Y[(degree - 1) ** 2 : degree**2].transpose(0, 1)
                low = torch.bmm(Y, (weights * across).flatten(2))
                low = low.view(n_atoms, -1, 4, n)
                up = torch.einsum("kxm,pkyn->pmyxn", self.matrix(degree), low)
                dc[:, :, :3] += up[:, :, 0]
                dc[:, :, 3:] += up[:, :, 1:][:, :, list(VOIGT[0]), list(VOIGT[1])]
            out.append(dc)
        return out


class MovedAtoms(NamedTuple):
    """Atoms that move in each environment: all images of an atom move together.

    Attributes
    ----------
    place : (n_pairs,) int64
        By pair, the place of its neighbour below.
    environment, atom : (n,) int64
        Number of the environment, ascending, and that of the atom.
    """

    place: Tensor
    environment: Tensor
    atom: Tensor

    def sums(self, D: Tensor) -> Tensor:
        """Return derivatives (n, ...) of those of pairs (n_pairs, ...)."""
        n = len(self.atom)
        if n == len(self.place):
            return D
        out = torch.zeros([n, *D.shape[1:]], dtype=D.dtype, device=D.device)
        return out.index_add_(0, self.place, D)


def moved_atoms(environment: Tensor, atom: Tensor, n_atoms: int) -> MovedAtoms:
    """Return the atoms that move in some environments.

    Small cells have many images: products are taken of their sums alone.

    Parameters
    ----------
    environment, atom : (n_pairs,) int64
        Environment, ascending, and neighbour.
    n_atoms : int
        Number of all atoms.
    """
    keys, place = torch.unique(environment * n_atoms + atom, return_inverse=True)
    if len(keys) == len(atom):
        return MovedAtoms(
            torch.arange(len(keys), device=keys.device), environment, atom
        )
    environment = torch.div(keys, n_atoms, rounding_mode="floor")
    return MovedAtoms(place, environment, keys - environment * n_atoms)
