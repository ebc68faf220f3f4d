"""Sparse points listed in a text file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gapfit._support.foreign import MB, ForeignError, foreign_text
from gapfit.config.checks import turned
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import pairs_of
from gapfit.descriptors.protocol import Sparse
from gapfit.errors import ConfigError, shortened
from gapfit.model.terms import FittedTerm
from gapfit.sparse.methods import unique_rows

__all__ = ["count_listed", "listed_points"]

_BATCH_ATOMS = 1024
#: Largest file, bytes: millions of points.
_LARGEST = 100 * MB
#: Digits of the largest index.
_MOST_DIGITS = 15


def listed_points(
    path: Path, term: FittedTerm, frames: Sequence[Frame]
) -> tuple[Sparse, int]:
    """Return the sparse points that a file lists; equal ones count once.

    For atomic descriptors such as SOAP, lines ``frame atom``: indices from 0, of the
    training frame in the order of reading (through all files) and of the atom within its
    frame; atoms of species that are not centres of the term are ignored. For the others,
    lines with the label of a block and the values of the descriptor, such as
    ``Si-Si 2.35`` (Å). ``#`` begins a comment.

    Parameters
    ----------
    path : Path
        The file.
    term : FittedTerm
        Term with its final descriptor.
    frames : sequence of Frame
        All training frames.

    Returns
    -------
    sparse : dict of int to (n, width) float64
        Points by block; SOAP's in the order of frames and atoms.
    n_repeated : int
        Number of points in the list that repeat another one.

    Raises
    ------
    ConfigError
        The first error, with file and line.
    """
    if term.descriptor.atomic:
        sizes = frame_sizes(frames).tolist()
        wanted = Counter(
            _indices(words, frames, sizes, where) for words, where in _lines(path)
        )
        points, n_listed = _environments(wanted, term, frames)
    else:
        points = _listed_values(path, term)
        n_listed = sum(map(len, points.values()))
    sparse = {b: np.ascontiguousarray(v[unique_rows(v)]) for b, v in points.items()}
    return sparse, n_listed - sum(map(len, sparse.values()))


def count_listed(path: Path) -> int:
    """Return the number of points that a file lists, equal ones included."""
    return sum(1 for _ in _lines(path))


def _lines(path: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the words of each line that has any, and its place for messages."""
    try:
        lines = foreign_text(path, _LARGEST).split("\n")
    except ForeignError as error:
        raise ConfigError(
            f"sparse_file: {path} cannot be read as text: {error}"
        ) from None
    empty = True
    for number, line in enumerate(lines, 1):
        if words := line.partition("#")[0].split():
            empty = False
            yield words, f"{path}, line {number}"
    if empty:
        raise ConfigError(f"{path}: lists no sparse points; add some")


def _indices(
    words: list[str], frames: Sequence[Frame], sizes: Sequence[int], where: str
) -> tuple[int, int]:
    if len(words) != 2 or not all(
        word.isdecimal() and len(word) <= _MOST_DIGITS for word in words
    ):
        raise ConfigError(
            f"{where}: expected two whole numbers, frame and atom, counted from 0; found "
            f"{shortened(' '.join(words[:20]), 60)!r}"
        )
    frame, atom = map(int, words)
    if frame >= len(frames):
        raise ConfigError(
            f"{where}: there is no frame {frame}; the {len(frames)} training frames are "
            f"0 to {len(frames) - 1}"
        )
    n_atoms = sizes[frame]
    if atom >= n_atoms:
        raise ConfigError(
            f"{where}: there is no atom {atom} in frame {frame} "
            f"({frames[frame].source}); its {n_atoms} atoms are 0 to {n_atoms - 1}"
        )
    return frame, atom


def _environments(
    wanted: Counter[tuple[int, int]], term: FittedTerm, frames: Sequence[Frame]
) -> tuple[Sparse, int]:
    """Return descriptors of atoms, and the number of centres, repeated ones included.

    `wanted` counts how often each (frame, atom) is listed.
    """
    atoms: dict[int, list[int]] = {}
    for frame, atom in sorted(wanted):
        atoms.setdefault(frame, []).append(atom)
    needed = list(atoms)
    sizes = frame_sizes(frames)[needed].tolist()
    values: dict[int, list[np.ndarray]] = {b: [] for b in term.descriptor.blocks}
    n_listed = 0
    for part in batches(sizes, _BATCH_ATOMS):
        numbers = needed[part]
        starts = np.cumsum([0, *sizes[part]])
        pairs = pairs_of([frames[n] for n in numbers], term.descriptor.cutoff)
        listed = {
            start + a: wanted[n, a]
            for n, start in zip(numbers, starts, strict=False)
            for a in atoms[n]
        }
        for block, environments in term.descriptor.environments(pairs).items():
            chosen = np.isin(environments.atoms, list(listed))
            values[block].append(environments.values[chosen])
            n_listed += sum(listed[a] for a in environments.atoms[chosen])
    sparse = {block: np.concatenate(parts) for block, parts in values.items()}
    return sparse, n_listed


def _listed_values(path: Path, term: FittedTerm) -> Sparse:
    descriptor = term.descriptor
    labels = {descriptor.label(block): block for block in descriptor.blocks}
    points: dict[int, list[np.ndarray]] = {block: [] for block in descriptor.blocks}
    for (name, *words), where in _lines(path):
        block = labels.get(name, labels.get(turned(name)))
        if block is None:
            raise ConfigError(
                f"{where}: {shortened(name, 60)!r} is unknown; this term has "
                f"{', '.join(labels)}"
            )
        try:
            points[block].append(descriptor.listed(words))
        except ValueError as error:
            raise ConfigError(f"{where}: {shortened(str(error), 300)}") from None
    n = descriptor.n_features
    return {block: np.array(rows).reshape(-1, n) for block, rows in points.items()}
