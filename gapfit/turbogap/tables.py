"""Tables beside files ``.gap``: coefficients, sparse points and core potentials."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from gapfit._support.foreign import MB, ForeignError, foreign_text
from gapfit.descriptors.blocks import pair_label
from gapfit.errors import ModelFileError, shortened
from gapfit.quip.glue import spline_points
from gapfit.quip.numbers import real, reals, whole
from gapfit.turbogap.gap_file import Block

__all__ = ["coefficients", "core_potential", "kept_components", "sparse_points"]

#: Largest table but those of sparse points, bytes: a million lines.
_LARGEST = 50 * MB
#: Longest notation of a number in a file of sparse points, with its newline.
_BYTES_PER_NUMBER = 64


def coefficients(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of a block's sparse points, and their cutoff functions.

    TurboGAP multiplies the two in pairs and triplets, and does not read the latter of
    ``soap_turbo``, where they are 1.

    Returns
    -------
    alpha, cutoffs : (n_sparse,) float64
        Coefficients, 1/eV.

    Raises
    ------
    ModelFileError
        The file is missing or damaged; the message names the line.
    """
    path = _beside(block, "alphas_sparse")
    soap = block.kind == "soap_turbo"
    rows = _rows(path, _text(block, path, _LARGEST), {1, 2} if soap else {2})
    alpha = np.array([row[0] for row in rows])
    if soap:
        return alpha, np.ones(len(alpha))
    return alpha, np.array([row[1] for row in rows])


def sparse_points(block: Block, n_sparse: int, width: int) -> np.ndarray:
    """Return a block's sparse points, which have one number to a line.

    Parameters
    ----------
    block : Block
        The block.
    n_sparse, width : int
        Points, and numbers of each.

    Returns
    -------
    (n_sparse, width) float64

    Raises
    ------
    ModelFileError
        The file is missing or damaged, or has more or fewer numbers.
    """
    path = _beside(block, "desc_sparse")
    text = _text(block, path, _BYTES_PER_NUMBER * (n_sparse * width + 1)).rstrip()
    try:
        values = reals(text)
    except ValueError:
        values = np.zeros(0)
    n_lines = text.count("\n") + 1
    if len(values) != n_lines or not text:
        values = np.array([row[0] for row in _rows(path, text, {1})])
    if len(values) != n_sparse * width:
        raise ModelFileError(
            f"{path}: has {len(values)} numbers, but the {n_sparse} sparse points of the "
            f"block in line {block.line} of {block.path} need {n_sparse} x {width}; get "
            "all of these files again"
        )
    return values.reshape(n_sparse, width)


def core_potential(block: Block, pair: int) -> np.ndarray:
    """Return a block's core potential as points with slopes.

    The first line is the number of points and the slopes at both ends, or 1e50 where there
    is no curvature; then come lines r, φ.

    Parameters
    ----------
    block : Block
        The block.
    pair : int
        Its pair of species, see `gapfit.descriptors.blocks.pair_key`.

    Returns
    -------
    (n, 3) float64
        r (Å), φ (eV), φ' (eV/Å); see `gapfit.quip.glue.spline_points`.

    Raises
    ------
    ModelFileError
        The file is missing or damaged, or its points do not define a potential.
    """
    path = _beside(block, "core_pot_file")
    head, _, rest = _text(block, path, _LARGEST).partition("\n")
    words = head.split()
    try:
        if len(words) != 3:
            raise ValueError(f"found {shortened(head, 60)!r}")
        n_points, ends = whole(words[0]), (real(words[1]), real(words[2]))
    except ValueError as error:
        raise ModelFileError(
            f"{path}, line 1: expected the number of points and the slopes at both ends "
            f"({error})"
        ) from None
    rows = np.array(_rows(path, rest, {2}, first=2)).reshape(-1, 2)
    if len(rows) != n_points:
        raise ModelFileError(
            f"{path}: announces {n_points} points in line 1 and has {len(rows)}; get the "
            "file again"
        )
    try:
        return spline_points(rows[:, 0], rows[:, 1], ends, pair_label(pair))
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}") from None


def kept_components(block: Block, n_species: int) -> tuple[list[int], list[int]]:
    """Return what a block's file of compression keeps.

    Parameters
    ----------
    block : Block
        A block ``soap_turbo``.
    n_species : int
        Its number of species.

    Returns
    -------
    numbers : list of int
        Radial functions of each species, and l_max.
    components : list of int
        Components of the whole descriptor, from 1.

    Raises
    ------
    ModelFileError
        The file is missing or damaged.
    """
    path = _beside(block, "file_compress_soap")
    lines = _text(block, path, _LARGEST).split("\n")
    number = 1
    try:
        head = [whole(word) for word in lines[0].split()]
        if len(head) != n_species + 2:
            raise ValueError(f"{len(head)} numbers instead of {n_species + 2}")
        found = []
        for line in lines[1:]:
            number += 1
            if line.strip():
                found.append(whole(line))
    except ValueError as error:
        raise ModelFileError(f"{path}, line {number}: {error}") from None
    if len(found) != head[-1]:
        raise ModelFileError(
            f"{path}: announces {head[-1]} components in line 1 and has {len(found)}"
        )
    return head[:-1], found


def _beside(block: Block, key: str) -> Path:
    """Return the path of a table, which is in the folder of the file ``.gap``."""
    (name,) = block.words(key)
    # Folders in the name are those of the run, which may be anywhere.
    return block.path.parent / Path(name).name


def _text(block: Block, path: Path, most: int) -> str:
    try:
        return foreign_text(path, most)
    except ForeignError as error:
        raise ModelFileError(
            f"{path}: {error}; the block in line {block.line} of {block.path} needs this "
            "file in the same folder"
        ) from None


def _rows(
    path: Path, text: str, columns: Collection[int], first: int = 1
) -> list[list[float]]:
    """Return the numbers of each line, all of which have one of these counts."""
    rows = []
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines, first):
        words = line.split()
        try:
            if len(words) not in columns:
                raise ValueError(f"found {shortened(line, 60)!r}")
            rows.append([real(word) for word in words])
        except ValueError as error:
            needed = " or ".join(map(str, sorted(columns)))
            plural = "" if needed == "1" else "s"
            raise ModelFileError(
                f"{path}, line {number}: expected {needed} number{plural}: {error}"
            ) from None
    return rows
