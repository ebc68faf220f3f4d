"""SOAP by dscribe: a slow engine, as the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gapfit.config.sections import SoapConfig
from gapfit.data.frame import VOIGT
from gapfit.data.neighbours import Pairs, species_index
from gapfit.descriptors.kernels import DotProductKernel
from gapfit.descriptors.radial import Weighting
from gapfit.descriptors.row_points import SparsePoints
from gapfit.descriptors.soap_engine import EnergySum, VarianceRequest

__all__ = ["DscribeEngine", "dscribe_options"]


def dscribe_options(
    config: SoapConfig, weighting: Weighting, species_weights: Mapping[str, float]
) -> dict[str, Any]:
    """Return the arguments of ``dscribe.descriptors.SOAP`` except species."""
    weight: dict[str, Any] = {}
    if weighting.function != "none":
        weight.update(function=weighting.function, r0=weighting.r0, c=weighting.c)
        if weighting.function in ("poly", "pow"):
            weight["m"] = weighting.m
        if weighting.function in ("pow", "exp"):
            weight["d"] = weighting.d
    if weighting.w0 is not None:
        weight["w0"] = weighting.w0
    return {
        "r_cut": config.r_cut,
        "n_max": config.n_max,
        "l_max": config.l_max,
        "sigma": config.atom_sigma,
        "rbf": config.rbf,
        "weighting": weight,
        "compression": {
            "mode": config.compression,
            "species_weighting": dict(species_weights),
        },
    }


class DscribeEngine:
    """SOAP through ``dscribe.descriptors.SOAP`` on the explicit cluster of each centre.

    Clusters are not periodic, which avoids dscribe's wrong periodic derivatives for
    subsets of centres; derivatives are dscribe's central differences (error 1e-8).

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    options : mapping
        Arguments of ``dscribe.descriptors.SOAP`` except species.
    cutoff : float
        Range of the neighbours, Å.
    scale : (n_features,) float64
        Factor of each feature.
    """

    def __init__(
        self,
        species: tuple[int, ...],
        options: Mapping[str, Any],
        *,
        cutoff: float,
        scale: np.ndarray,
    ) -> None:
        from ase.data import chemical_symbols
        from dscribe.descriptors import SOAP

        self.species = species
        self.soap = SOAP(**options, species=[chemical_symbols[z] for z in species])
        self.cutoff = cutoff
        self.scale = scale
        self.n_features = len(scale)

    def _clusters(self, pairs: Pairs) -> Iterator[tuple[int, slice, Any]]:
        """Yield each centre, its pairs, and the cluster of its neighbours around it."""
        from ase import Atoms

        species_index(self.species, pairs.numbers)
        for centre in range(pairs.start, pairs.stop):
            begin, end = pairs.first[centre - pairs.start :][:2]
            neighbours = slice(int(begin), int(end))
            numbers = np.r_[pairs.numbers[centre], pairs.numbers[pairs.j[neighbours]]]
            positions = np.vstack([np.zeros(3), pairs.R[neighbours]])
            yield centre, neighbours, Atoms(numbers=numbers, positions=positions)

    def _power_spectrum(self, cluster: Any) -> np.ndarray:
        spectrum: np.ndarray = self.soap.create(cluster, centers=[0])[0] * self.scale
        return spectrum

    def _derivatives(self, cluster: Any) -> np.ndarray:
        """Return dp/dR of all neighbours, (n_neighbours, 3, n_features)."""
        derivatives = self.soap.derivatives(
            cluster,
            centers=[0],
            attach=True,
            method="numerical",
            return_descriptor=False,
        )
        scaled: np.ndarray = np.asarray(derivatives)[0, 1:] * self.scale
        return scaled

    def environments(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return unit power spectra and their norms; see `SoapEngine`."""
        p = np.zeros((pairs.n_centres, self.n_features))
        for centre, _, cluster in self._clusters(pairs):
            p[centre - pairs.start] = self._power_spectrum(cluster)
        norms = np.linalg.norm(p, axis=1)
        norms[norms == 0] = 1.0
        return p / norms[:, None], norms

    def add_rows(
        self,
        pairs: Pairs,
        points: Sequence[SparsePoints],
        kernel: DotProductKernel,
        energies: np.ndarray,
        forces: np.ndarray | None,
        virials: np.ndarray | None,
    ) -> None:
        """Add kernel rows; see `SoapEngine`."""
        q, norms = self.environments(pairs)
        ends = np.cumsum([0] + [len(part.values) for part in points])
        index = species_index(self.species, pairs.numbers)
        for centre, neighbours, cluster in self._clusters(pairs):
            block = index[centre]
            columns = slice(int(ends[block]), int(ends[block + 1]))
            unit, frame = q[centre - pairs.start], pairs.frame[centre]
            sparse = _in_all_features(points[block])
            k, slope = kernel.value_and_slope(sparse @ unit)
            energies[frame, columns] += k
            if forces is None:
                continue
            D = self._derivatives(cluster)
            dq = (D - (D @ unit)[..., None] * unit) / norms[centre - pairs.start]
            dk = (dq @ sparse.T) * slope
            forces[centre, :, columns] += dk.sum(axis=0)
            for pair, row in zip(
                range(neighbours.start, neighbours.stop), dk, strict=True
            ):
                forces[pairs.j[pair], :, columns] -= row
            if virials is None:
                continue
            strain = -np.einsum("px,pym->xym", pairs.R[neighbours], dk)
            for v, (x, y) in enumerate(VOIGT):
                virials[frame, v, columns] += 0.5 * (strain[x, y] + strain[y, x])

    def predict(
        self,
        pairs: Pairs,
        sums: Sequence[EnergySum],
        zeta: float,
        *,
        gradients: bool,
        atom_virials: bool,
        variance: VarianceRequest | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Return energies, derivatives and variances; see `SoapEngine`."""
        q, norms = self.environments(pairs)
        index = species_index(self.species, pairs.numbers)
        n_atoms = pairs.n_atoms if gradients else 0
        energies = np.zeros(pairs.n_centres)
        forces = np.zeros((n_atoms, 3))
        virials = np.zeros((pairs.n_frames if gradients else 0, 3, 3))
        local = np.zeros((n_atoms if atom_virials else 0, 3, 3))
        for centre, neighbours, cluster in self._clusters(pairs):
            at = centre - pairs.start
            energies[at], slope = _energy(sums[index[centre]], q[at], zeta)
            if not gradients:
                continue
            slope = (slope - q[at] * (q[at] @ slope)) / norms[at]
            dE_dR = self._derivatives(cluster) @ slope
            outer = -pairs.R[neighbours][:, :, None] * dE_dR[:, None, :]
            forces[centre] += dE_dR.sum(axis=0)
            np.subtract.at(forces, pairs.j[neighbours], dE_dR)
            virials[pairs.frame[centre]] += outer.sum(axis=0)
            if atom_virials:
                np.add.at(local, pairs.j[neighbours], outer)
        variances = np.zeros(0)
        if variance is not None:
            variances = _variances(variance, q, index[pairs.start : pairs.stop])
        return energies, forces, virials, local, variances


def _in_all_features(points: SparsePoints) -> np.ndarray:
    U = points.projection
    return points.values if U is None else points.values @ U.T


def _energy(total: EnergySum, q: np.ndarray, zeta: float) -> tuple[float, np.ndarray]:
    """Return ε and dε/dq of one environment."""
    U = total.points.projection
    x = q if U is None else q @ U
    if total.quadratic:
        slope = total.points.values @ x
        energy, slope = float(x @ slope), 2 * slope
    else:
        kernel = DotProductKernel(1.0, zeta)
        k, dk = kernel.value_and_slope(total.points.values @ x)
        energy = float(k @ total.coefficients)
        slope = (dk * total.coefficients) @ total.points.values
    return energy, slope if U is None else U @ slope


def _variances(
    request: VarianceRequest, q: np.ndarray, species: np.ndarray
) -> np.ndarray:
    """Return prior - |W^T k|² of every centre."""
    out = request.prior.copy()
    for n, form in enumerate(request.forms):
        centres, U = np.flatnonzero(species == n), form.points.projection
        x = q[centres] if U is None else q[centres] @ U
        k = form.kernel.matrix(x, form.points.values)
        k_other = request.k_other[centres, : len(form.W) - k.shape[1]]
        before, after = np.split(k_other, [form.before], axis=1)
        y = np.hstack([before, k, after]) @ form.W
        out[centres] += np.where(q[centres].any(axis=1), form.kernel.delta**2, 0.0)
        out[centres] -= np.einsum("nm,nm->n", y, y)
    return out
