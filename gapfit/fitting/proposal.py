"""A first configuration for a data set, with reasons."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.config.paths import IN_MEMORY
from gapfit.config.sections import (
    Angle3bConfig,
    BaselineConfig,
    DataConfig,
    E0Config,
    FitConfig,
    SigmaOverride,
    SoapConfig,
)
from gapfit.data.dataset import read
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, species_counts
from gapfit.data.isolated import is_isolated
from gapfit.data.neighbours import pair_list
from gapfit.data.observations import count_rows
from gapfit.fitting.presets import Preset, preset_comment, preset_terms

__all__ = [
    "Proposal",
    "data_table",
    "nearest_distances",
    "propose",
    "usual_cutoff",
    "without_isolated_atom",
]

#: Cutoff in nearest-neighbour distances; 2.0 to 2.5 fit best.
_SHELLS = 2.2
#: Range of cutoffs, Å; short bonds (carbon) need their second and third shells, too.
_R_CUT = (4.5, 6.5)
#: Cutoff of triplets in nearest-neighbour distances, between the first two shells, and its
#: range, Å: further out triplets are many and say little.
_SHELL, _R_CUT_TRIPLETS = 1.5, (2.5, 4.5)
#: Sparse points of all triplets of species together, of which each has some.
_TRIPLET_POINTS, _TRIPLET_RANGE = 600, (50, 200)
#: More sparse points than this cost more than they gain.
_MAX_SPARSE = 1000
#: A set with at most this many environments keeps all of them.
_SMALL_SET = 500
#: Number of frames whose distances are measured.
_MAX_FRAMES = 300
_REACH = 5.0

# Range of the repulsive baseline in distances of nearest neighbours.
_CORE = 0.75
# Below this range there is no baseline, Å.
_SHORTEST = 0.6

_TRIPLET_COMMENT = (
    f"angle_3b: r_cut is {_SHELL} times the longest, within {_R_CUT_TRIPLETS[0]} .. "
    f"{_R_CUT_TRIPLETS[1]} Å; each triplet of",
    f"species has {_TRIPLET_RANGE[0]} to {_TRIPLET_RANGE[1]} sparse points, "
    f"about {_TRIPLET_POINTS} together.",
)

_LOOSE = re.compile(r"liq|amorph|melt|rand|rss|dimer|trimer|cluster|spheres", re.I)


@dataclass(frozen=True)
class Proposal:
    """A configuration, with the reasons that its file states.

    Attributes
    ----------
    config : FitConfig
        The values.
    comments : dict of str to list of str
        Reasons, by table.
    suggestions : dict of str to SigmaOverride
        Sigmas worth considering, by config_type.
    """

    config: FitConfig
    comments: dict[str, list[str]]
    suggestions: dict[str, SigmaOverride]


def propose(
    frames: Any,
    data: DataConfig | Mapping[str, Any] | None = None,
    *,
    three_body: bool = False,
    preset: Preset = "default",
) -> Proposal:
    """Return a configuration that suits a data set.

    Parameters
    ----------
    frames : list of ase.Atoms, path, list of paths, or sequence of Frame
        The training data.
    data : DataConfig or dict, optional
        The table ``[data]``; by default with the paths, and labels as they are found.
    three_body : bool
        Whether to propose a three-body term (``angle_3b``), too.
    preset : {"default", "fast", "accurate"}
        Terms to propose; see `gapfit.fitting.presets.preset_terms`.

    Returns
    -------
    Proposal
        Its ``config`` can be given to `gapfit.fit`.

    Examples
    --------
    >>> import gapfit
    >>> proposal = gapfit.propose("train.extxyz")  # doctest: +SKIP
    >>> model = gapfit.fit("train.extxyz", proposal.config)  # doctest: +SKIP
    """
    from ase.data import chemical_symbols

    if not isinstance(data, DataConfig):
        data = data_table(frames, data or {})
    if isinstance(frames, str | Path) or not isinstance(frames[0], Frame):
        frames = read(frames, data).frames
    counts = species_counts(frames)
    distances = nearest_distances(frames)
    r_cut = usual_cutoff(distances)
    n_sparse = _n_sparse(max(counts.values()))
    n_labels = sum(count_rows(frames).values())
    missing = without_isolated_atom(frames)
    method = "least_squares" if missing else "isolated"
    config = FitConfig(
        data=data,
        e0=E0Config.model_validate({"method": method}),
        baseline=_baseline(distances),
        terms=[
            *preset_terms(preset, r_cut, n_sparse, len(counts), n_labels),
            *([_triplets(distances, len(counts))] if three_body else []),
        ],
    )
    near = ", ".join(
        f"{chemical_symbols[z]} {d:.2f}" for z, d in sorted(distances.items())
    )
    suggestions = _suggestions(frames, config)
    most = max(counts, key=lambda z: counts[z])
    comments = {
        "terms": [
            f"Distance of nearest neighbours, Å: {near or 'none found'}.",
            f"r_cut is {_SHELLS} times the longest, within {_R_CUT[0]} .. {_R_CUT[1]} Å.",
            f"n_sparse is a third of the {counts[most]} environments of "
            f"{chemical_symbols[most]}, but at least {_SMALL_SET}",
            f"(or all of them, if fewer) and at most {_MAX_SPARSE}; rounded down.",
            *preset_comment(preset),
            *(_TRIPLET_COMMENT if three_body else ()),
        ],
        "baseline": [
            f"Ends at {_CORE} of the shortest distance of nearest neighbours; keeps atoms",
            "apart where there are no data.",
        ],
        "sigma": _sigma_comment(frames, suggestions),
        "e0": _e0_comment(frames, missing),
    }
    return Proposal(config, comments, suggestions)


def data_table(frames: Any, given: Mapping[str, Any]) -> DataConfig:
    """Return the table of the data, with the paths of the frames if these are paths."""
    files = [frames] if isinstance(frames, str | Path) else list(frames[:1]) and frames
    named = all(isinstance(file, str | Path) for file in files)
    train = [str(file) for file in files] if named else [IN_MEMORY]
    return DataConfig.model_validate({"train": train, **given})


def without_isolated_atom(frames: Sequence[Frame]) -> list[str]:
    """Return the species that have no energy of an isolated atom in the data.

    Empty if no frame has an energy: then these energies do not matter.
    """
    from ase.data import chemical_symbols

    any_energy, lone = False, set()
    for frame in frames:
        if frame.energy is not None:
            any_energy = True
            if is_isolated(frame):
                lone.add(int(frame.numbers[0]))
    if not any_energy:
        return []
    return [str(chemical_symbols[z]) for z in species_counts(frames) if z not in lone]


def nearest_distances(frames: Sequence[Frame]) -> dict[int, float]:
    """Return the usual distance to the nearest neighbour, Å, by atomic number.

    This is the upper quartile: in liquids the nearest of several neighbours is closer
    than a bond is long.

    Atoms with fewer than two neighbours within 5 Å (alone, or in dimers) do not count.
    """
    by_species: dict[int, list[float]] = {}
    for n in range(0, len(frames), -(-len(frames) // _MAX_FRAMES)):
        frame = frames[n]
        pairs = pair_list(frame, _REACH)
        distances = np.linalg.norm(pairs.R, axis=1)
        nearest = np.full(frame.n_atoms, np.inf)
        np.minimum.at(nearest, pairs.i, distances)
        crowded = np.bincount(pairs.i, minlength=frame.n_atoms) >= 2
        for z, distance in zip(frame.numbers[crowded], nearest[crowded], strict=True):
            by_species.setdefault(int(z), []).append(float(distance))
    return {z: float(np.percentile(values, 75)) for z, values in by_species.items()}


def usual_cutoff(distances: Mapping[int, float]) -> float:
    """Return a cutoff for the species with the longest bonds, Å.

    Parameters
    ----------
    distances : mapping of int to float
        See `nearest_distances`.
    """
    if not distances:
        return float(SoapConfig.model_fields["r_cut"].default)
    return round(float(np.clip(_SHELLS * max(distances.values()), *_R_CUT)), 1)


def _baseline(distances: dict[int, float]) -> BaselineConfig:
    """Return a repulsion that ends before the shortest bonds."""
    r_cut = round(_CORE * min(distances.values(), default=0.0), 2)
    if r_cut < _SHORTEST:
        return BaselineConfig()
    return BaselineConfig(repulsion="zbl", r_cut=r_cut, width=round(0.5 * r_cut, 2))


def _n_sparse(n_environments: int) -> int:
    """Return all environments of a small set, a third of a large one, in two digits."""
    wanted = max(n_environments // 3, min(n_environments, _SMALL_SET), 1)
    step = 10 ** max(len(str(wanted)) - 2, 0)
    return min(wanted // step * step, _MAX_SPARSE)


def _triplets(distances: dict[int, float], n_species: int) -> Angle3bConfig:
    """Return a three-body term of bonds and their angles."""
    if not distances:
        return Angle3bConfig()
    r_cut = float(np.clip(_SHELL * max(distances.values()), *_R_CUT_TRIPLETS))
    n_triplets = n_species * n_species * (n_species + 1) // 2
    n_sparse = int(np.clip(_TRIPLET_POINTS // n_triplets, *_TRIPLET_RANGE))
    return Angle3bConfig(r_cut=round(r_cut, 1), n_sparse=n_sparse)


def _sigma_comment(
    frames: Sequence[Frame], suggestions: dict[str, SigmaOverride]
) -> list[str]:
    counts = Counter(config_types(frames))
    words = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items()))
    options = "Each may have separate sigmas under [sigma.config_types.NAME]"
    advice = [f"{options}."]
    if suggestions:
        advice = [f"{options};", "those proposed below are worth trying."]
    return [*textwrap.wrap(f"config_types (frames): {words}.", 84), *advice]


def _e0_comment(frames: Sequence[Frame], missing: Sequence[str]) -> list[str]:
    if all(frame.energy is None for frame in frames):
        return ["The data have no energies; those of isolated atoms are set to 0."]
    if not missing:
        return ["The data have an isolated atom of every species."]
    names = ", ".join(missing)
    return [
        f"WARNING: the data have no energy of an isolated atom of {names}. Least squares",
        "over the compositions suits the energies of the data, but not those of separated",
        f"atoms: better compute the atom and give its energy in [e0]: {missing[0]} = ...",
    ]


def _suggestions(
    frames: Sequence[Frame], config: FitConfig
) -> dict[str, SigmaOverride]:
    """Return looser sigmas for disorder and clusters, tighter ones for lone atoms."""
    sigma = config.sigma
    suggestions: dict[str, SigmaOverride] = {}
    lone: dict[str, bool] = {}
    for frame in frames:
        name = frame.config_type
        lone[name] = lone.get(name, True) and is_isolated(frame)
    for name in sorted(lone.keys() - {"default"}):
        if lone[name]:
            suggestions[name] = SigmaOverride(energy=sigma.energy / 20)
        elif _LOOSE.search(name):
            suggestions[name] = SigmaOverride(
                energy=5 * sigma.energy,
                forces=4 * sigma.forces,
                virial=4 * sigma.virial,
            )
    return suggestions
