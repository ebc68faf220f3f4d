"""Sparse points listed in a text file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gapfit.config.checks import turned
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import pairs_of
from gapfit.descriptors.protocol import Sparse
from gapfit.errors import ConfigError
from gapfit.model.terms import FittedTerm
from gapfit.sparse.methods import unique_rows

__all__ = ["count_listed", "listed_points"]

_BATCH_ATOMS = 1024


def listed_points(
    path: Path, term: FittedTerm, frames: Sequence[Frame]
) -> tuple[Sparse, int]:
    """Return the sparse points that a file lists; equal ones count once.

    For atomic descriptors such as SOAP, lines ``frame atom``: indices from 0, of the
    training frames in the order they are read (through all files) and of the atom within
    its frame; those of species that are not centres of the term are passed over. For the
    others, lines of a block's label and the values of the descriptor, such as
    ``Si-Si 2.35`` (Å). ``#`` begins a comment.

    Parameters
    ----------
    path : Path
        The file.
    term : FittedTerm
        With its final descriptor.
    frames : sequence of Frame
        All training frames.

    Returns
    -------
    sparse : dict of int to (n, width) float64
        Points by block; SOAP's in the order of frames and atoms.
    n_repeated : int
        How many points of the list were equal to others.

    Raises
    ------
    ConfigError
        The first mistake, with file and line.
    """
    if term.descriptor.atomic:
        sizes = frame_sizes(frames).tolist()
        wanted = Counter(
            _indices(words, frames, sizes, where) for words, where in _lines(path)
        )
        found, n_listed = _environments(wanted, term, frames)
    else:
        found = _listed_values(path, term)
        n_listed = sum(map(len, found.values()))
    sparse = {b: np.ascontiguousarray(v[unique_rows(v)]) for b, v in found.items()}
    return sparse, n_listed - sum(map(len, sparse.values()))


def count_listed(path: Path) -> int:
    """Return the number of points that a file lists, equal ones included."""
    return sum(1 for _ in _lines(path))


def _lines(path: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the words of each line that has any, and where it is."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
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
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise ConfigError(
            f"{where}: expected two whole numbers, frame and atom, counted from 0; found "
            f"{' '.join(words)!r}"
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
    """Return descriptors of atoms, and how many are centres, repeated ones included.

    Atoms are given as (frame, atom), with how often each is listed.
    """
    atoms: dict[int, list[int]] = {}
    for frame, atom in sorted(wanted):
        atoms.setdefault(frame, []).append(atom)
    needed = list(atoms)
    sizes = frame_sizes(frames)[needed].tolist()
    found: dict[int, list[np.ndarray]] = {b: [] for b in term.descriptor.blocks}
    n_listed = 0
    for part in batches(sizes, _BATCH_ATOMS):
        own = needed[part]
        starts = np.cumsum([0, *sizes[part]])
        pairs = pairs_of([frames[n] for n in own], term.descriptor.cutoff)
        listed = {
            start + a: wanted[n, a]
            for n, start in zip(own, starts, strict=False)
            for a in atoms[n]
        }
        for block, some in term.descriptor.environments(pairs).items():
            kept = np.isin(some.atoms, list(listed))
            found[block].append(some.values[kept])
            n_listed += sum(listed[a] for a in some.atoms[kept])
    sparse = {block: np.concatenate(parts) for block, parts in found.items()}
    return sparse, n_listed


def _listed_values(path: Path, term: FittedTerm) -> Sparse:
    descriptor = term.descriptor
    labels = {descriptor.label(block): block for block in descriptor.blocks}
    found: dict[int, list[np.ndarray]] = {block: [] for block in descriptor.blocks}
    for (name, *words), where in _lines(path):
        block = labels.get(name, labels.get(turned(name)))
        if block is None:
            raise ConfigError(
                f"{where}: {name!r} is unknown; this term has {', '.join(labels)}"
            )
        try:
            found[block].append(descriptor.listed(words))
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
    n = descriptor.n_features
    return {block: np.array(rows).reshape(-1, n) for block, rows in found.items()}
