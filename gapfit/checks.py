"""Cheap checks of structures and labels: what cannot be fitted, what looks wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np

from gapfit.errors import DataError, StructureError
from gapfit.frame import Frame
from gapfit.neighbours import pair_list

__all__ = ["check_frames", "frame_problems", "list_places", "refuse", "set_warnings"]

#: Range of the search for overlapping atoms, Å; a shorter one needs more cells.
_NEAR = 2.0
#: Frames listed in an error, and places listed in a warning.
MAX_LISTED, MAX_PLACES = 20, 5
#: Forces above this are rarely meant to be fitted, eV/Å.
LARGE_FORCE = 100.0
#: Net force that no converged calculation has: this times sqrt(n_atoms), eV/Å.
NET_FORCE = 0.05
#: Energies this far from the median of their composition are suspicious, eV/atom.
OUTLYING_ENERGY = 10.0
#: Fewer energies than this say nothing about their dependence on size.
MIN_FRAMES_FOR_TREND = 5
#: Structures whose positions and cells agree to this are the same, Å.
SAME_POSITION = 1e-6


def check_frames(frames: Sequence[Frame]) -> list[str]:
    """Refuse frames that cannot be fitted and return warnings about the others.

    Parameters
    ----------
    frames : sequence of Frame
        Structures with labels.

    Returns
    -------
    list of str
        Warnings: identical frames, large forces, net forces, outlying energies.

    Raises
    ------
    DataError
        Lists every frame that cannot be fitted.
    """
    refuse([problem for frame in frames for problem in frame_problems(frame)])
    return set_warnings(frames)


def refuse(problems: Sequence[str]) -> None:
    """Raise one error for all problems, if there are any."""
    if not problems:
        return
    lines = list(problems[:MAX_LISTED])
    if len(problems) > MAX_LISTED:
        lines.append(f"... and {len(problems) - MAX_LISTED} more")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise DataError(f"{count} in the data:\n  " + "\n  ".join(lines))


def frame_problems(frame: Frame) -> list[str]:
    """Return what prevents one frame from being fitted: where, what, what to do."""
    problems = []
    unknown = np.unique(frame.numbers[(frame.numbers < 1) | (frame.numbers > 118)])
    if len(unknown):
        atom = int(np.flatnonzero(frame.numbers == unknown[0])[0])
        symbol = " (symbol 'X')" if unknown[0] == 0 else ""
        problems.append(
            f"{frame.source}: atom {atom} has atomic number {unknown[0]}{symbol}, which is "
            "no element; name its species or remove the frame"
        )
    try:
        pair_list(frame, _NEAR)
    except StructureError as error:
        problems.append(str(error))
    for name, values in (
        ("energy", frame.energy),
        ("forces", frame.forces),
        ("stress", frame.virial),
    ):
        if values is not None and not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(np.ravel(values)))
            at = f" of atom {bad[0] // 3}" if name == "forces" else ""
            problems.append(
                f"{frame.source}: {name}{at} is {np.ravel(values)[bad[0]]}; "
                "compute it again or remove the frame"
            )
    return problems


def set_warnings(frames: Sequence[Frame]) -> list[str]:
    """Return what looks wrong in frames that can be fitted."""
    return [
        *_duplicates(frames),
        *_large_forces(frames),
        *_net_forces(frames),
        *_outlying_energies(frames),
        *_energies_per_atom(frames),
    ]


def list_places(frames: Sequence[Frame], limit: int = MAX_PLACES) -> str:
    """Return where frames came from: "frames 3 and 17 of train.extxyz"."""
    shown: dict[str, list[str]] = defaultdict(list)
    for frame in frames[:limit]:
        file, comma, index = frame.source.rpartition(", frame ")
        shown[file if comma else ""].append(index.removeprefix("frame "))
    texts = []
    for file, indices in shown.items():
        last = [" and ".join(filter(None, [", ".join(indices[:-1]), indices[-1]]))]
        of = f" of {file}" if file else ""
        texts.append(f"frame{'s' * (len(indices) > 1)} {last[0]}{of}")
    more = [f"{len(frames) - limit} more"] if len(frames) > limit else []
    return ", ".join(texts + more)


def _duplicates(frames: Sequence[Frame]) -> list[str]:
    equal, contradicting, evidence = [], [], ""
    for group in _identical(frames):
        difference = _label_difference(group)
        if difference:
            contradicting.append(list_places(group))
            evidence = evidence or difference
        else:
            equal.append(list_places(group))
    warnings = []
    if equal:
        warnings.append(
            f"{_join(equal)} are identical and count again each time in the fit; keep one "
            "of them"
        )
    if contradicting:
        warnings.append(
            f"{_join(contradicting)} are identical but their labels differ "
            f"({evidence}): not all can be right; keep those computed like the other "
            "frames"
        )
    return warnings


def _join(places: Sequence[str]) -> str:
    more = f"; and {len(places) - MAX_PLACES} more groups" * (len(places) > MAX_PLACES)
    return "; ".join(places[:MAX_PLACES]) + more


def _identical(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """Yield groups of frames that are the same to `SAME_POSITION`."""
    alike: dict[bytes, list[Frame]] = defaultdict(list)
    for frame in frames:
        alike[frame.numbers.tobytes() + frame.pbc.tobytes()].append(frame)
    for group in alike.values():
        rows = np.array([np.append(f.positions.ravel(), f.cell) for f in group])
        for same in _equal_rows(rows):
            yield [group[i] for i in same]


def _equal_rows(rows: np.ndarray) -> Iterator[list[int]]:
    """Yield the indices of rows that are equal to `SAME_POSITION`.

    Sorted by a random projection, equal rows are near neighbours: only those are
    compared.
    """
    weights = np.random.default_rng(0).uniform(-1.0, 1.0, rows.shape[1])
    projection = rows @ weights
    order = np.argsort(projection, kind="stable")
    reach = SAME_POSITION * np.abs(weights).sum()
    stops = np.searchsorted(projection[order], projection[order] + reach, "right")
    found: set[int] = set()
    for rank, (first, stop) in enumerate(zip(order, stops, strict=True)):
        near = [i for i in order[rank + 1 : stop] if i not in found]
        if first in found or not near:
            continue
        distance = np.abs(rows[near] - rows[first]).max(axis=1)
        same = [i for i, d in zip(near, distance, strict=True) if d <= SAME_POSITION]
        if same:
            found.update(same)
            yield sorted([first, *same])


def _label_difference(group: Sequence[Frame]) -> str:
    """Return how the labels of identical frames differ; empty when they do not."""
    for name, unit, tolerance in (
        ("energy", "eV", 1e-4 * group[0].n_atoms),
        ("forces", "eV/Å", 1e-3),
        ("virial", "eV", 1e-3 * group[0].n_atoms),
    ):
        values = [v for frame in group if (v := getattr(frame, name)) is not None]
        spread = np.ptp(values, axis=0).max() if len(values) > 1 else 0.0
        if spread > tolerance:
            return f"{name} by {spread:.4g} {unit}"
    return ""


def _large_forces(frames: Sequence[Frame]) -> list[str]:
    norms = [
        (np.nan_to_num(np.linalg.norm(f.forces, axis=1)).max(), f)
        for f in _with_forces(frames)
    ]
    large = [frame for norm, frame in norms if norm > LARGE_FORCE]
    if not large:
        return []
    most = max(norm for norm, _ in norms)
    return [
        f"{_count(large)} with forces above {LARGE_FORCE:g} eV/Å, up to {most:.1f} "
        f"({list_places(large)}): they outweigh the others in the fit; remove them, or "
        "give them a larger sigma (by config_type, or force_sigma)"
    ]


def _net_forces(frames: Sequence[Frame]) -> list[str]:
    whole = [f for f in _with_forces(frames) if np.isfinite(f.forces).all()]
    nets = [(np.linalg.norm(f.forces.sum(axis=0)), f) for f in whole]
    pushed = [(n, f) for n, f in nets if n > NET_FORCE * np.sqrt(f.n_atoms)]
    if not pushed:
        return []
    most = max(net for net, _ in pushed)
    where = list_places([frame for _, frame in pushed])
    return [
        f"{_count(pushed)} with forces that do not add up to zero, by up to {most:.3g} "
        f"eV/Å ({where}): no potential can reproduce them; look for fixed atoms whose "
        "forces were set to zero, or for an unconverged calculation"
    ]


def _with_forces(frames: Sequence[Frame]) -> Iterator[Any]:
    return (frame for frame in frames if frame.forces is not None)


def _count(items: Sized) -> str:
    return "1 frame" if len(items) == 1 else f"{len(items)} frames"


def _outlying_energies(frames: Sequence[Frame]) -> list[str]:
    """Warn of energies per atom far from others of the same composition."""
    groups: dict[tuple[Any, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.energy is not None:
            species, counts = np.unique(frame.numbers, return_counts=True)
            fractions = np.round(counts / frame.n_atoms, 6)
            groups[(*species.tolist(), *fractions.tolist())].append(frame)
    warnings = []
    for group in groups.values():
        per_atom = np.array([(frame.energy or 0.0) / frame.n_atoms for frame in group])
        median = float(np.median(per_atom))
        deviation = np.abs(per_atom - median)
        spread = 1.4826 * float(np.median(deviation))
        far = np.flatnonzero(deviation > max(OUTLYING_ENERGY, 20 * spread))
        if len(far):
            worst = per_atom[far[np.argmax(deviation[far])]]
            ratio = f"ratio {worst / median:.4g}; " if median else ""
            warnings.append(
                f"{_count(far)} with energies far from others of the same composition: "
                f"{worst:.4g} eV/atom where the median of {len(group)} is {median:.4g} "
                f"({ratio}a Hartree is 27.21 eV, 1 eV is 96.49 kJ/mol): "
                f"{list_places([group[i] for i in far])}; look for mixed units, atoms "
                "too close, or another zero of energy"
            )
    return warnings


def _energies_per_atom(frames: Sequence[Frame]) -> list[str]:
    """Warn when energies do not grow with the number of atoms."""
    having = [frame for frame in frames if frame.energy is not None]
    if len(having) < MIN_FRAMES_FOR_TREND:
        return []
    sizes = np.array([frame.n_atoms for frame in having])
    energies = np.array([frame.energy for frame in having], dtype=float)
    spread, mean = float(np.std(energies)), float(np.mean(energies))
    size_spread = float(np.std(sizes) / np.mean(sizes))
    # Total energies spread as the sizes do, or more.
    if size_spread < 0.3 or spread >= abs(mean) * size_spread / 3:
        return []
    return [
        f"energies do not grow with the number of atoms: {mean:.4g} ± {spread:.2g} eV "
        f"in {len(having)} frames of {sizes.min()} to {sizes.max()} atoms; they look like "
        "energies per atom, where the total energy of each frame is expected"
    ]
