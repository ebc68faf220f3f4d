"""Kernel rows of all terms of a fit on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gapfit.data.frame import Frame
from gapfit.data.neighbours import Pairs, pairs_of, species_index
from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.kernels import SquaredExponential
from gapfit.descriptors.soap import Soap
from gapfit.descriptors.soap_engine import NativeEngine
from gapfit.model.rows import labelled_rows
from gapfit.model.terms import FittedTerm
from gapfit.torch.ace_rows import AceRows
from gapfit.torch.arrays import reals, whole
from gapfit.torch.build import ace_term, soap_term, triplet_sums, triplet_term
from gapfit.torch.build_uncertainty import neighbour_density
from gapfit.torch.embedding_rows import EmbeddingRows
from gapfit.torch.pair_rows import PairRows
from gapfit.torch.pairs import Neighbours, chunk_memory
from gapfit.torch.row_table import RowTable, TermRows, new_table
from gapfit.torch.soap_rows import SoapRows
from gapfit.torch.triplet_rows import TripletRows

__all__ = ["FitRows"]


class FitRows:
    """Makes kernel rows on a device; those of terms without a way in torch on the CPU.

    Parameters
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    device : torch.device
        Where the rows are.
    chunk_bytes : int
        About how much memory atoms may take that are handled together; 0: what suits the
        device.
    """

    def __init__(
        self, terms: Sequence[FittedTerm], device: torch.device, chunk_bytes: int = 0
    ) -> None:
        self.terms, self.device = terms, device
        self.cutoff = max(term.descriptor.cutoff for term in terms)
        self.n_sparse = sum(term.n_sparse for term in terms)
        self.makers = [_maker(term, device, chunk_bytes) for term in terms]

    def labelled(self, frames: Sequence[Frame]) -> Tensor:
        """Return the rows of the labels of frames, (n_rows, n_sparse) float64."""
        gradients = any(f.forces is not None or f.virial is not None for f in frames)
        rows = self.table(pairs_of(frames, self.cutoff), gradients=gradients)
        chosen = labelled_rows(frames)[: len(rows.all)]
        if chosen.all():
            return rows.all
        return rows.all[torch.from_numpy(np.flatnonzero(chosen)).to(self.device)]

    def table(self, pairs: Pairs, *, gradients: bool) -> RowTable:
        """Return all rows of a pair list."""
        rows = new_table(
            pairs.n_frames, pairs.n_atoms, self.n_sparse, gradients, self.device
        )
        near = self._neighbours(pairs)
        frame = whole(pairs.frame).to(self.device)
        begin = 0
        for term, maker in zip(self.terms, self.makers, strict=True):
            columns = rows.columns(begin, begin + term.n_sparse)
            begin += term.n_sparse
            if maker is None:
                self._add_from_cpu(term, pairs, columns)
            else:
                maker.add(near, frame, columns)
        return rows

    def _neighbours(self, pairs: Pairs) -> Neighbours:
        species = species_index(self.terms[0].species, pairs.numbers)
        R = reals(pairs.R).to(self.device)
        return Neighbours(
            whole(pairs.i).to(self.device),
            whole(pairs.j).to(self.device),
            R,
            torch.linalg.vector_norm(R, dim=1),
            whole(species).to(self.device),
        )

    def _add_from_cpu(self, term: FittedTerm, pairs: Pairs, rows: RowTable) -> None:
        made = term.descriptor.kernel_rows(
            pairs.within(term.descriptor.cutoff), term.sparse, gradients=rows.gradients
        )
        rows.energies.add_(torch.from_numpy(made.energies).to(self.device))
        if rows.gradients:
            for to, part in ((rows.forces, made.forces), (rows.virials, made.virials)):
                to.add_(torch.from_numpy(part).to(self.device).flatten(0, 1))


def _maker(term: FittedTerm, device: torch.device, chunk_bytes: int) -> TermRows | None:
    """Return what makes the rows of a term on a device; None: its descriptor does.

    That refuses other kernels of pairs and triplets, which are of models of QUIP.
    """
    descriptor = term.descriptor
    if isinstance(descriptor, Soap) and isinstance(descriptor.engine, NativeEngine):
        nothing = {block: np.zeros(len(p)) for block, p in term.sparse.items()}
        sums = descriptor.prepare(term.sparse, nothing)
        points = descriptor.engine.points_of_rows([own.points for own in sums])
        sums = [replace(own, points=p) for own, p in zip(sums, points, strict=True)]
        module = soap_term(descriptor, descriptor.engine, sums).to(device)
        module.chunk_bytes = chunk_bytes
        kernel = descriptor.dot_product
        return SoapRows(module, kernel.delta**2, kernel.zeta)
    if isinstance(descriptor, Ace):
        return _ace_rows(descriptor, term, device, chunk_bytes)
    if isinstance(descriptor, Distance2b) and isinstance(
        descriptor.kernel_of_g, SquaredExponential
    ):
        distance, switch = descriptor.kernel_of_g, descriptor.switch
        return PairRows(
            [reals(term.sparse[b][:, 0]).to(device) for b in descriptor.blocks],
            whole(descriptor.place).to(device),
            distance.delta,
            distance.theta,
            switch.r_cut,
            switch.width,
            switch.form == "cosine",
            chunk_memory(chunk_bytes, device.type == "cpu"),
        )
    if isinstance(descriptor, EamDensity):
        kernel_of_density = descriptor.squared_exponential
        return EmbeddingRows(
            neighbour_density(descriptor).to(device),
            [reals(term.sparse[b][:, 0]).to(device) for b in descriptor.blocks],
            kernel_of_density.delta,
            kernel_of_density.theta,
            chunk_memory(chunk_bytes, device.type == "cpu"),
        )
    if isinstance(descriptor, Angle3b) and _is_plain(descriptor):
        return _triplet_rows(descriptor, term, device, chunk_bytes)
    return None


def _ace_rows(
    ace: Ace, term: FittedTerm, device: torch.device, chunk_bytes: int
) -> AceRows:
    present = [len(term.sparse[z]) > 0 for z in ace.species]
    nothing = np.zeros(ace.n_features)
    module = ace_term(ace, [nothing if own else None for own in present]).to(device)
    module.chunk_bytes = chunk_bytes
    weights = [ace.dot_product.delta**2 * ace.scales(z) for z in ace.species]
    return AceRows(
        module,
        whole(ace.expansion.summands),
        reals(ace.expansion.factors),
        reals(weights).to(device),
    )


def _is_plain(angle: Angle3b) -> bool:
    return not (angle.permuted or angle.kernel_of_g.polynomial)


def _triplet_rows(
    angle: Angle3b, term: FittedTerm, device: torch.device, chunk_bytes: int
) -> TripletRows:
    kernel = angle.kernel_of_g
    present = tuple(block for block in angle.blocks if len(term.sparse[block]))
    module = triplet_term(angle, present, triplet_sums(angle, term, present))
    module = module.to(device)
    module.chunk_bytes = chunk_bytes
    return TripletRows(
        module,
        [reals(term.sparse[block]).to(device) for block in present],
        kernel.delta,
        reals(kernel.theta).to(device),
    )
