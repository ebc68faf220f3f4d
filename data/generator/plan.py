"""Lists of frames, built from labels alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from .potentials import Potential
from .sampling import (
    md_snapshots,
    random_cell,
    random_in_box,
    rattled,
    rng_for,
    scaled,
)


@dataclass(frozen=True)
class Frame:
    """One structure to compute.

    Parameters
    ----------
    frame_id : str
        ``system:config_type:label``; fixes the structure for ever.
    config_type : str
        Kind of structure.
    source : Atoms or callable
        The structure, or a function that makes it (molecular dynamics).
    stage : int
        Frames of a lower stage are computed first.
    options : dict
        Calculation options: ``kgrid`` ("fine" for symmetric cells), ``kcell``
        (cell that fixes the grid), ``kspacing`` (1/Å), ``width`` (eV),
        ``magmoms``, ``magmoms_try`` (keep the lowest), ``fixmagmom``.
    """

    frame_id: str
    config_type: str
    source: Atoms | Callable[[], Atoms]
    stage: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Atoms:
        """Return the structure; runs the molecular dynamics if there is any."""
        return self.source() if callable(self.source) else self.source.copy()


class Plan:
    """Frames of one system, in the order of their definition.

    Parameters
    ----------
    system : str
        Name, the first part of every frame_id.

    Notes
    -----
    ``stage`` is the current stage of newly added frames.
    """

    def __init__(self, system: str) -> None:
        self.system = system
        self.stage = 0
        self.frames: list[Frame] = []

    def add(
        self,
        config_type: str,
        label: str,
        source: Atoms | Callable[[], Atoms],
        **options: Any,
    ) -> None:
        """Add one frame; the label must be new."""
        frame_id = f"{self.system}:{config_type}:{label}"
        if any(frame.frame_id == frame_id for frame in self.frames):
            raise ValueError(f"frame_id {frame_id!r} is planned twice")
        self.frames.append(Frame(frame_id, config_type, source, self.stage, options))

    def volumes(
        self,
        phase: str,
        atoms: Atoms,
        factors: Sequence[float],
        config_type: str = "bulk_eos",
        **options: Any,
    ) -> None:
        """Add isotropic volume factors; all with the k-grid of `atoms`."""
        options = {"kgrid": "fine", "kcell": atoms.cell, **options}
        for factor in factors:
            label = f"{phase}-v{factor:.3f}"
            self.add(config_type, label, scaled(atoms, factor), **options)

    def rattle(
        self,
        phase: str,
        atoms: Atoms,
        n: int,
        sigma: float,
        strain: float,
        *,
        start: int = 0,
        volume: tuple[float, float] = (0.95, 1.06),
        config_type: str = "bulk_rattled",
    ) -> None:
        """Add `n` randomly displaced and strained copies.

        Parameters
        ----------
        phase : str
            First part of the label.
        atoms : Atoms
            Structure to displace.
        n : int
            Number of frames.
        sigma : float
            Standard deviation of the displacements, Å.
        strain : float
            Standard deviation of the strain components.
        start : int, default 0
            First index: frames of an earlier call keep theirs.
        volume : (float, float)
            Range of the uniform volume factor.
        config_type : str
            Kind of structure.
        """
        for k in range(start, start + n):
            label = f"{phase}-s{sigma:g}-e{strain:g}-{k}"
            factor = rng_for("vol:" + self.system + label).uniform(*volume)
            copy = rattled(scaled(atoms, factor), self.system + label, sigma, strain)
            self.add(config_type, label, copy)

    def liquid(
        self,
        phase: str,
        atoms: Atoms,
        calc: Potential,
        t_melt: float,
        t_run: float,
        n: int,
        *,
        n_melt: int = 300,
        n_run: int = 100,
        timestep: float = 1.0,
        config_type: str = "liquid",
    ) -> None:
        """Add `n` snapshots of one trajectory at `t_run` (K), molten at `t_melt`.

        `n_melt` and `n_run` are steps of `timestep` (fs), before the first and
        before each snapshot.
        """

        @functools.cache
        def snapshots() -> list[Atoms]:
            schedule = [(t_run, n_run)] * n
            label = self.system + phase
            return md_snapshots(atoms, calc, label, t_melt, n_melt, schedule, timestep)

        def snapshot(k: int) -> Atoms:
            return snapshots()[k].copy()

        for k in range(n):
            label = f"{phase}-{t_run:.0f}K-{k}"
            self.add(config_type, label, functools.partial(snapshot, k))

    def quench(
        self,
        phase: str,
        lengths: Sequence[float],
        calc: Potential,
        schedule: Sequence[tuple[float, int]],
        *,
        n_atoms: int,
        d_min: float,
        t_melt: float,
        n_melt: int,
        timestep: float,
        t_liquid: float,
        gap: float = 0.0,
    ) -> None:
        """Add the snapshots of a quench from random positions.

        Parameters
        ----------
        phase : str
            First part of the label and seed.
        lengths : sequence of float
            Edges of the orthorhombic cell, Å.
        calc : Potential
            Classical potential.
        schedule : sequence of (float, int)
            Temperature (K) and steps before each snapshot.
        n_atoms : int
            Number of atoms.
        d_min : float
            Smallest distance of the random positions, Å.
        t_melt, n_melt : float, int
            Temperature (K) and steps of the melting stage.
        timestep : float
            Time step, fs.
        t_liquid : float
            Snapshots from this temperature (K) up are "liquid", the others
            "amorphous".
        gap : float, default 0.0
            Vacuum added along the third vector at the end, Å; the frames are
            then "surface".
        """
        symbols = [calc.symbol] * n_atoms

        @functools.cache
        def snapshots() -> list[Atoms]:
            label = self.system + phase
            start = random_in_box(symbols, label, lengths, d_min)
            return md_snapshots(start, calc, label, t_melt, n_melt, schedule, timestep)

        def snapshot(k: int) -> Atoms:
            out = snapshots()[k].copy()
            cell = np.asarray(out.cell) + np.diag([0.0, 0.0, gap])
            out.set_cell(cell)
            return out

        for k, (temperature, _) in enumerate(schedule):
            kind = "liquid" if temperature >= t_liquid else "amorphous"
            kind = "surface" if gap else kind
            label = f"{phase}-{temperature:.0f}K-{k}"
            self.add(kind, label, functools.partial(snapshot, k))

    def random(
        self, symbols: Sequence[str], volumes: Sequence[float], d_min: float, n: int
    ) -> None:
        """Add `n` random cells for each volume per atom (Å^3)."""
        for volume in volumes:
            for k in range(n):
                label = f"{len(symbols)}at-v{volume:g}-{k}"
                cell = random_cell(symbols, self.system + label, volume, d_min)
                self.add("random", label, cell)


def ordered(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames in the order of the calculation.

    Isolated atoms and the equations of state come first; within each stage the
    config types alternate, so that an unfinished set is balanced.
    """

    def key(frame: Frame) -> tuple[int, float, str, int]:
        first = frame.config_type in ("isolated_atom", "bulk_eos")
        group = groups[frame.stage, frame.config_type]
        k = group.index(frame.frame_id)
        stage = -1 if first else frame.stage
        return stage, (k + 0.5) / len(group), frame.config_type, k

    groups: dict[tuple[int, str], list[str]] = {}
    for frame in frames:
        groups.setdefault((frame.stage, frame.config_type), []).append(frame.frame_id)
    return sorted(frames, key=key)
