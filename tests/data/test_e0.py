"""Energies of isolated atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.config.sections import E0Config
from gapfit.data.e0 import e0_warnings, is_isolated, resolve_e0
from gapfit.data.frame import Frame, structure_arrays
from gapfit.errors import DataError


def frame(atoms: Atoms, energy: float, source: str = "x.xyz, frame 0") -> Frame:
    return replace(structure_arrays(atoms), energy=energy, source=source)


def lone(symbol: str = "Si", side: float = 9.0, pbc: bool = True) -> Atoms:
    return Atoms(symbol, cell=[side, side, side], pbc=pbc)


def test_isolated_atoms_are_recognised():
    assert is_isolated(structure_arrays(lone()))
    assert is_isolated(structure_arrays(lone(side=0, pbc=False)))
    assert not is_isolated(structure_arrays(lone(side=5.0)))
    assert not is_isolated(structure_arrays(bulk("Si")))
    for cell in (
        [[9, 0, 0], [8.5, 3, 0], [0, 0, 9]],
        [[8, 0, 0], [25, 2, 0], [0, 0, 9]],
    ):
        assert not is_isolated(structure_arrays(Atoms("Si", cell=cell, pbc=True)))


def test_from_isolated_atoms_and_given_values_win():
    frames = [
        frame(lone("Si"), -0.8),
        frame(lone("C"), -1.2),
        frame(bulk("SiC", "zincblende", 4.3), -15.0),
    ]
    assert resolve_e0(frames, E0Config()) == {6: -1.2, 14: -0.8}
    assert resolve_e0(frames, E0Config(C=-1.5)) == {6: -1.5, 14: -0.8}


def test_missing_isolated_atom():
    with pytest.raises(
        DataError, match=r"isolated atom for Si.*\[e0\] Si = .*least_sq"
    ):
        resolve_e0([frame(bulk("Si"), -10.0)], E0Config())


def test_isolated_atoms_that_disagree():
    frames = [
        frame(lone(), -0.8, "a.xyz, frame 3"),
        frame(lone(), -0.5, "b.xyz, frame 7"),
    ]
    with pytest.raises(
        DataError, match=r"a.xyz, frame 3 has -0.8.*b.xyz, frame 7 has -0.5"
    ):
        resolve_e0(frames, E0Config())


def test_least_squares_over_compositions():
    rng = np.random.default_rng(0)
    exact = {"Ge": -4.0, "Te": -3.0}
    frames = []
    for n_ge, n_te in ((1, 1), (3, 1), (1, 2), (2, 5)):
        atoms = Atoms(
            "Ge" * n_ge + "Te" * n_te, positions=rng.normal(size=(n_ge + n_te, 3))
        )
        frames.append(frame(atoms, n_ge * exact["Ge"] + n_te * exact["Te"]))
    found = resolve_e0(frames, E0Config(method="least_squares"))
    assert found == {32: pytest.approx(-4.0), 52: pytest.approx(-3.0)}
    found = resolve_e0(frames, E0Config(method="least_squares", Ge=-5.0))
    assert found[32] == -5.0


def test_undetermined_and_unused_values_are_noticed():
    ratio = [
        frame(bulk("SiC", "zincblende", 4.3) * (n, 1, 1), -15.0 * n) for n in (1, 2)
    ]
    config = E0Config(method="least_squares")
    (warning,) = e0_warnings(ratio, config)
    assert "do not determine e0 of C, Si one by one" in warning
    assert e0_warnings([*ratio, frame(bulk("Si"), -10.0)], config) == []
    assert e0_warnings(ratio, E0Config(method="least_squares", C=-1.0)) == []
    assert e0_warnings(ratio, E0Config(C=-1.0, Si=-1.0, Ge=-2.0)) == [
        "[e0] Ge: there is no Ge in the data"
    ]


def test_least_squares_needs_energies_of_every_species():
    frames = [frame(Atoms("Ge"), -4.0), structure_arrays(Atoms("Kr"))]
    with pytest.raises(DataError, match="no frame with Kr has an energy"):
        resolve_e0(frames, E0Config(method="least_squares"))


def test_forces_alone_leave_the_constant_open():
    assert resolve_e0([structure_arrays(bulk("Si"))], E0Config()) == {14: 0.0}


def test_unknown_symbol_in_the_configuration():
    with pytest.raises(ValueError, match="not a chemical symbol: Sillicon"):
        E0Config(Sillicon=-1.0)
