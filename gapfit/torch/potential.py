"""A fitted potential as a module: energies, forces and stress of many structures."""

import torch
from torch import Tensor, nn

from gapfit.torch.pairs import Neighbours, by_centre, of_centres, times_matrices
from gapfit.torch.precision import DoubleBuffers, Precision
from gapfit.torch.term import Term
from gapfit.torch.uncertainty import Uncertainty

__all__ = ["Potential"]


class Potential(DoubleBuffers):
    """The sum of all terms, the baseline and the energies of isolated atoms.

    Made by `gapfit.torch.torch_model`. Structures are given together: `system` tells to
    which of them an atom belongs. TorchScript compiles it (``torch.jit.script``).

    Parameters
    ----------
    terms : list of Term
        Terms and pair potentials of the baseline.
    numbers : list of int
        Atomic numbers that the potential knows, ascending.
    e0 : list of float
        Energies of isolated atoms, eV.
    cutoff : float
        Range of the potential, Å.
    uncertainty : Uncertainty
        Standard deviations, novelty and samples, for which the terms have `kernels`.

    Attributes
    ----------
    cutoff : float
        Range of the potential, Å: neighbours up to it must be given.
    numbers : list of int
        Atomic numbers, ascending.
    """

    place: Tensor
    e0: Tensor
    numbers: list[int]

    def __init__(
        self,
        terms: list[Term],
        numbers: list[int],
        e0: list[float],
        cutoff: float,
        uncertainty: Uncertainty,
    ) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)
        self.uncertainty = uncertainty
        self.precision = Precision()
        self.numbers, self.cutoff = numbers, cutoff
        place = torch.full([max(numbers) + 1], -1, dtype=torch.int64)
        place[numbers] = torch.arange(len(numbers))
        self.register_buffer("place", place)
        self.register_buffer("e0", torch.tensor(e0, dtype=torch.float64))

    def forward(
        self,
        positions: Tensor,
        cells: Tensor,
        numbers: Tensor,
        system: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        forces: bool = True,
        stress: bool = True,
        std: bool = False,
        novelty: bool = False,
    ) -> dict[str, Tensor]:
        """Return energies, forces and stress.

        Results are not tied to autograd; `differentiable_energies` is.

        Parameters
        ----------
        positions : (n_atoms, 3) float
            Å, in the precision of the module. Where they are not finite, the results of the
            atom and its structure are NaN.
        cells : (n_systems, 3, 3) float
            Lattice vectors as rows, Å. If they are not finite, all results of the structure
            are NaN.
        numbers : (n_atoms,) int64
            Atomic numbers.
        system : (n_atoms,) int64
            Structure of each atom, from 0.
        pairs : (2, n_pairs) int64
            Centre and neighbour of all pairs within the cutoff, in both directions; longer
            ones are left out here. In any order.
        shifts : (n_pairs, 3) float or int
            Lattice vectors between the cells: R = r_j + shift · cell - r_i.
        forces, stress : bool
            Whether to compute derivatives.
        std : bool
            Whether to compute standard deviations of the energies of atoms.
        novelty : bool
            Whether to compute how unlike the sparse points each environment is.

        Returns
        -------
        dict of str to tensor
            ``energy`` (n_systems,) and ``energies`` of atoms (n_atoms,), eV, always
            float64; ``forces`` (n_atoms, 3), eV/Å; ``stress`` (n_systems, 3, 3), eV/Å³,
            positive under tension (of a structure without a volume not finite);
            ``virial`` (n_systems, 3, 3) = -stress · volume, eV; what `uncertainties`
            returns.

        Raises
        ------
        ValueError
            An atomic number that the potential does not know; `std` or `novelty` of a
            potential without; positions or cells of another precision.
        """
        self.precision.require(positions, cells)
        positions, cells = positions.detach(), cells.detach()
        R = self.vectors(positions, cells, system, pairs, shifts)
        energies, slopes = self.local_energies(R, pairs, numbers, forces or stress)
        # Zero, but NaN where a position or a cell is not finite: no list has such pairs.
        undefined = 0.0 * cells.flatten(1).sum(dim=1, keepdim=True)
        undefined = 0.0 * positions + undefined.index_select(0, system)
        energies = energies + undefined.sum(dim=1)
        n_systems = cells.shape[0]
        energy = torch.zeros([n_systems], dtype=energies.dtype, device=R.device)
        energy = energy.index_add(0, system, energies)
        out = {"energy": energy, "energies": energies}
        if forces:
            out["forces"] = undefined.index_add(0, pairs[0], slopes).index_add(
                0, pairs[1], -slopes
            )
        if stress:
            virial = -self._strain_slopes(R, slopes, system[pairs[0]], n_systems)
            virial = virial + (0.0 * energy).to(R.dtype).view(-1, 1, 1)
            volume = torch.linalg.det(cells).abs().view(-1, 1, 1)
            out["virial"] = virial
            out["stress"] = -virial / volume
        if std or novelty:
            out.update(self.uncertainties(R, pairs, numbers, std, novelty))
        return out

    def _strain_slopes(
        self, R: Tensor, slopes: Tensor, system: Tensor, n_systems: int
    ) -> Tensor:
        """Return Σ R dE/dR of each system, (n_systems, 3, 3), eV."""
        # Threads of a GPU that add to the same numbers wait for each other, so the usual
        # single structure takes one product.
        if n_systems == 1:
            return (R.t() @ slopes).unsqueeze(0)
        parts = (R.unsqueeze(2) * slopes.unsqueeze(1)).flatten(1)
        zero = torch.zeros([n_systems, 9], dtype=R.dtype, device=R.device)
        return zero.index_add(0, system, parts).view(-1, 3, 3)

    def vectors(
        self,
        positions: Tensor,
        cells: Tensor,
        system: Tensor,
        pairs: Tensor,
        shifts: Tensor,
    ) -> Tensor:
        """Return the vectors from centre to neighbour, (n_pairs, 3), Å; see `forward`."""
        i, j = pairs[0], pairs[1]
        images = times_matrices(shifts, cells, system.index_select(0, i))
        vectors = positions.index_select(0, j) - positions.index_select(0, i)
        return vectors + images

    def local_energies(
        self, R: Tensor, pairs: Tensor, numbers: Tensor, gradients: bool
    ) -> tuple[Tensor, Tensor]:
        """Return energies of atoms and their slopes with the vectors of pairs.

        Parameters
        ----------
        R : (n_pairs, 3) float
            Vectors from centre to neighbour, Å.
        pairs : (2, n_pairs) int64
            Centre and neighbour.
        numbers : (n_atoms,) int64
            Atomic numbers.
        gradients : bool
            Whether to compute the slopes; otherwise they are empty.

        Returns
        -------
        energies : (n_atoms,) float64
            eV.
        slopes : (n_pairs, 3) float
            dE_i/dR with i the centre, eV/Å.

        Raises
        ------
        ValueError
            An atomic number that the potential does not know.
        """
        # Derivatives are computed here, chunk by chunk: no graph of all pairs is kept.
        with torch.no_grad():
            if R.is_cpu:
                # After it has freed a large block, glibc keeps what is freed later: new
                # memory costs a page fault for every few numbers. TorchScript leaves out
                # what nobody reads.
                large = torch.empty([32_000_000], dtype=torch.uint8)
                assert int(large[0]) >= 0
            near = self._neighbours(R, pairs, numbers)
            energies = self.e0[near.species]
            slopes = torch.zeros_like(R) if gradients else R[:0]
            for term in self.terms:
                own, g = term(near, gradients)
                energies = energies + own
                if gradients:
                    slopes = slopes + g
        return energies, slopes

    def uncertainties(
        self, R: Tensor, pairs: Tensor, numbers: Tensor, std: bool, novelty: bool
    ) -> dict[str, Tensor]:
        """Return standard deviations and novelty of the energies of atoms.

        Parameters are those of `local_energies` and `forward`.

        Returns
        -------
        dict of str to (n_atoms,) float64
            As those of `GAPModel.predict`. With `std` ``energies_std``, eV, and where the
            model has a scale of them ``extrapolation``, NaN for species without one. With
            `novelty` ``novelty``, 0..1.

        Raises
        ------
        ValueError
            The potential was made without, or an atomic number that it does not know.
        """
        self.uncertainty.require(std, novelty)
        parts: list[dict[str, Tensor]] = []
        with torch.no_grad():
            near = self._neighbours(R, pairs, numbers)
            order, chunks = by_centre(near, self.uncertainty.at_once(R.is_cpu))
            for bounds in chunks:
                k_m, prior = self._covariances(near, order, bounds)
                species = near.species[bounds[0] : bounds[1]]
                parts.append(self.uncertainty(k_m, prior, species, std, novelty))
        out: dict[str, Tensor] = {}
        for name in parts[0].keys():  # noqa: SIM118 - TorchScript
            out[name] = torch.cat([part[name] for part in parts])
        return out

    def sampled_energies(self, R: Tensor, pairs: Tensor, numbers: Tensor) -> Tensor:
        """Return the energies of atoms in samples of the posterior.

        Parameters are those of `local_energies`.

        Returns
        -------
        (n_atoms, n_samples) float64
            eV; as those of `GAPModel.sample`.

        Raises
        ------
        ValueError
            There are no samples, or an atomic number that the potential does not know.
        """
        self.uncertainty.require_samples()
        energies, _ = self.local_energies(R, pairs, numbers, False)
        with torch.no_grad():
            near = self._neighbours(R, pairs, numbers)
            out = energies.unsqueeze(1).repeat(1, self.uncertainty.n_samples)
            order, chunks = by_centre(near, self.uncertainty.at_once(R.is_cpu))
            for bounds in chunks:
                k_m, _ = self._covariances(near, order, bounds)
                out[bounds[0] : bounds[1]] += k_m @ self.uncertainty.samples
        return out

    def _covariances(
        self, near: Neighbours, order: Tensor, bounds: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Return covariances with all sparse points and priors of a chunk of atoms."""
        n = bounds[1] - bounds[0]
        near = of_centres(near, order, bounds, len(self.numbers))
        prior = torch.zeros([n], dtype=torch.float64, device=near.R.device)
        parts: list[Tensor] = []
        for term in self.terms:
            k_m, own = term.covariances(near)
            parts.append(k_m[:n])
            prior += own[:n]
        return torch.cat(parts, dim=1), prior

    def differentiable_energies(
        self, R: Tensor, pairs: Tensor, numbers: Tensor
    ) -> Tensor:
        """Return energies of atoms that autograd can differentiate once with `R`.

        Their gradients are those of `local_energies`, so memory does not grow with the
        number of operations.
        """
        energies, slopes = self.local_energies(R, pairs, numbers, True)
        linear = (slopes * (R - R.detach())).sum(dim=1)
        return energies.index_add(0, pairs[0], linear.to(energies.dtype))

    def _neighbours(self, R: Tensor, pairs: Tensor, numbers: Tensor) -> Neighbours:
        # A compiled module does not know of `DoubleBuffers`.
        if self.e0.dtype != torch.float64:
            raise ValueError(
                "the coefficients of this potential were rounded to single precision: call "
                ".float() before torch.jit.script"
            )
        fixed, species = R.detach(), self._species(numbers)
        r = torch.linalg.vector_norm(fixed, dim=1)
        return Neighbours(pairs[0], pairs[1], fixed, r, species)

    def _species(self, numbers: Tensor) -> Tensor:
        numbers = numbers.long()
        last = self.place.shape[0] - 1
        species = self.place[numbers.clamp(min=0, max=last)]
        wrong = (species < 0) | (numbers < 0) | (numbers > last)
        if bool(wrong.any()):
            unknown = int(numbers[wrong][0])
            raise ValueError(
                f"unknown atomic number {unknown}: this potential knows {self.numbers}"
            )
        return species
