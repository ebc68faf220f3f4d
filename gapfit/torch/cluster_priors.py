"""Prior variances of terms whose energy is a sum of s g(x) over pairs or triplets."""

import torch
from torch import Tensor

from gapfit.torch.pairs import chunks, group

__all__ = ["cluster_priors", "gaussians"]


def gaussians(x: Tensor, y: Tensor) -> Tensor:
    """Return exp(-½ |x - y|²), (..., n, m), of (..., n, d) and (..., m, d) numbers.

    One product of matrices is several times faster than differences.
    """
    x_half = -0.5 * (x * x).sum(dim=-1, keepdim=True)
    y_half = -0.5 * (y * y).sum(dim=-1, keepdim=True)
    left = torch.cat([x, x_half, torch.ones_like(x_half)], dim=-1)
    right = torch.cat([y, torch.ones_like(y_half), y_half], dim=-1)
    return torch.matmul(left, right.transpose(-2, -1)).exp_()


def cluster_priors(
    x: Tensor, s: Tensor, centre: Tensor, block: Tensor, n_blocks: int, n_atoms: int
) -> Tensor:
    """Return Σ_ab s_a s_b exp(-½ |x_a - x_b|²) by atom, (n_atoms,).

    Sums are over clusters of one atom and one block, in parts that bound the memory.

    Parameters
    ----------
    x : (n, d) float64
        Arguments of g in units of its lengths.
    s : (n,) float64
        Weights of g.
    centre, block : (n,) int64
        Central atom and block of each cluster.
    n_blocks, n_atoms : int
        Numbers of blocks and of atoms.
    """
    priors = torch.zeros([n_atoms], dtype=x.dtype, device=x.device)
    if x.shape[0] == 0:
        return priors
    # Near 0 exponents lose the fewest digits.
    x = x - x.mean(dim=0)
    key, row = torch.unique(centre * n_blocks + block, return_inverse=True)
    n_rows, d = key.shape[0], x.shape[1]
    one_species = torch.zeros_like(key)
    groups = group(row, torch.zeros_like(row), 1, one_species, 1)
    n_numbers = (1 << 22) if x.is_cpu else (1 << 26)
    widest = int(groups.width[-1])
    tile = max(min(max(widest // 8, 64), n_numbers // widest), 1)
    sums = torch.zeros_like(priors[:1]).expand(n_rows).clone()
    for bounds in chunks(groups, 0, n_rows, max(n_numbers // (widest * tile), 1)):
        n, width = bounds[1] - bounds[0], bounds[4]
        chosen = groups.pair[bounds[2] : bounds[3]]
        place = (groups.row[bounds[2] : bounds[3]] - bounds[0]) * width
        place = place + groups.slot[bounds[2] : bounds[3]]
        at = torch.zeros([n * width, d], dtype=x.dtype, device=x.device)
        weight = torch.zeros([n * width, 1], dtype=x.dtype, device=x.device)
        at[place], weight[place] = x[chosen], s[chosen].unsqueeze(1)
        at, weight = at.view(n, width, d), weight.view(n, width, 1)
        own = torch.zeros_like(at[:, 0, 0])
        for begin in range(0, width, tile):
            k = gaussians(at[:, begin:], at[:, begin : begin + tile])
            part = torch.bmm(k, weight[:, begin : begin + tile]) * weight[:, begin:]
            # What is left out before the tile equals what lies behind it.
            own += part.sum(dim=[1, 2]) + part[:, tile:].sum(dim=[1, 2])
        sums[groups.atoms[bounds[0] : bounds[1]]] = own
    atom = torch.div(key, n_blocks, rounding_mode="floor")
    return priors.index_add(0, atom, sums)
