"""Energies of isolated atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.config.sections import E0Config
from gapfit.data.e0 import e0_warnings, resolve_e0
from gapfit.data.frame import Frame, structure_arrays
from gapfit.errors import DataError


def frame(
    atoms: Atoms, energy: float, source: str = "x.xyz, frame 0", kind: str = "default"
) -> Frame:
    return replace(
        structure_arrays(atoms), energy=energy, source=source, config_type=kind
    )


def lone(symbol: str = "Si", side: float = 9.0, pbc: bool = True) -> Atoms:
    return Atoms(symbol, cell=[side, side, side], pbc=pbc)


def test_from_isolated_atoms_and_given_values_win():
    frames = [
        frame(lone("Si"), -0.8),
        frame(lone("C"), -1.2),
        frame(bulk("SiC", "zincblende", 4.3), -15.0),
    ]
    assert resolve_e0(frames, E0Config()).e0 == {6: -1.2, 14: -0.8}
    assert resolve_e0(frames, E0Config(C=-1.5)).e0 == {6: -1.5, 14: -0.8}


def test_missing_isolated_atom():
    with pytest.raises(
        DataError, match=r"isolated atom for Si.*\[e0\] Si = .*least_sq"
    ):
        resolve_e0([frame(bulk("Si"), -10.0)], E0Config(method="isolated"))


def test_least_squares_stand_in_for_missing_atoms_with_a_warning():
    frames = [frame(bulk("Si"), -10.0), frame(lone("Ge"), -4.0)]
    assert resolve_e0(frames, E0Config()).e0 == {14: pytest.approx(-5.0), 32: -4.0}
    (text,) = e0_warnings(frames, E0Config())
    assert text.startswith("no isolated atom of Si in the data: e0 comes from least")
    assert e0_warnings(frames, E0Config(method="least_squares")) == []
    assert e0_warnings(frames[1:], E0Config()) == []
    assert resolve_e0(frames, E0Config()).without_atom == (14,)
    assert resolve_e0(frames, E0Config(Si=-0.8)).without_atom == ()


def test_isolated_atoms_that_disagree():
    frames = [
        frame(lone(), -0.8, "a.xyz, frame 3"),
        frame(lone(), -0.5, "b.xyz, frame 7"),
    ]
    with pytest.raises(
        DataError, match=r"a.xyz, frame 3 has -0.8.*b.xyz, frame 7 has -0.5"
    ):
        resolve_e0(frames, E0Config())


def test_given_values_end_the_search():
    """Two spin states, an equation of state: nothing matters once a value is given."""
    frames = [frame(lone(), -0.8), frame(lone(), -0.5), frame(lone(side=7.0), -0.6)]
    for method in ("isolated", "least_squares"):
        assert resolve_e0(frames, E0Config(method=method, Si=-0.7)).e0 == {14: -0.7}
    assert e0_warnings(frames, E0Config(Si=-0.7)) == []


def test_given_values_far_from_the_atom_in_the_data_are_named():
    frames = [frame(lone(), -0.8, "a.xyz, frame 3"), frame(bulk("Si"), -10.0)]
    assert e0_warnings(frames, E0Config(Si=-0.75)) == []
    (text,) = e0_warnings(frames, E0Config(Si=-158.5))
    assert "[e0] Si = -158.5 eV is used" in text
    assert "the isolated atom in a.xyz, frame 3 has -0.800000 eV" in text
    assert resolve_e0(frames, E0Config(Si=-158.5)).e0 == {14: -158.5}
    small = [frame(lone(side=4.0), -0.8), frame(bulk("Si"), -10.0)]
    assert e0_warnings(small, E0Config(Si=-3.0)) == []


@pytest.mark.parametrize(
    "kind", ["IsolatedAtom", "isolated_atom", "isolated-atom", "ISOLATED ATOM Si"]
)
def test_marked_atoms_win_over_lone_ones(kind):
    curve = [frame(lone(side=a), -0.8 - 4 / a**2, kind="eos") for a in (4.0, 6.5, 30.0)]
    frames = [*curve, frame(lone(side=9.5), -0.8, kind=kind)]
    assert resolve_e0(frames, E0Config()).e0 == {14: -0.8}
    assert e0_warnings(frames, E0Config()) == []


def test_the_most_isolated_of_unmarked_atoms():
    sides = (4.0, 6.5, 14.0, 9.0)
    frames = [frame(lone(side=a), -0.8 - 4 / a**2) for a in sides]
    assert resolve_e0(frames, E0Config()).e0 == {14: -0.8 - 4 / 14.0**2}
    assert e0_warnings(frames, E0Config()) == []
    free = frame(lone(side=0, pbc=False), -0.8)
    assert resolve_e0([*frames, free], E0Config()).e0 == {14: -0.8}
    (text,) = e0_warnings(frames[:2], E0Config())
    assert "images are only 6.50 Å away" in text


def test_marked_atoms_of_several_boxes():
    """The largest box counts, and the difference is told."""
    frames = [
        frame(lone(side=8.0), -0.9, "a.xyz, frame 1", "isolated_atom"),
        frame(lone(side=15.0), -0.8, "a.xyz, frame 2", "isolated_atom"),
    ]
    assert resolve_e0(frames, E0Config()).e0 == {14: -0.8}
    (text,) = e0_warnings(frames, E0Config())
    assert "a.xyz, frame 2, -0.800000 eV with images 15.00" in text
    assert "a.xyz, frame 1, also named an isolated atom, has -0.900000 eV" in text


def test_a_marked_atom_in_too_small_a_box():
    frames = [frame(lone(side=5.0), -0.8, "a.xyz, frame 3", "IsolatedAtom")]
    expected = r"a.xyz, frame 3 is named an isolated atom of Si.*5.00 Å away.*least 6 Å"
    with pytest.raises(DataError, match=expected):
        resolve_e0(frames, E0Config(method="isolated"))
    (text,) = e0_warnings(frames, E0Config(method="least_squares"))
    assert "too small" in text


def test_least_squares_keep_isolated_atoms():
    rng = np.random.default_rng(0)
    frames = [frame(lone("Ge"), -5.0)]
    for n in (1, 2, 3):
        atoms = Atoms("Ge" * n + "Te", positions=rng.normal(size=(n + 1, 3)))
        frames.append(frame(atoms, -4.0 * n - 3.0))
    found = resolve_e0(frames, E0Config(method="least_squares")).e0
    per_atom = [(5.0 * n - 4.0 * n - 3.0) / (n + 1) for n in (1, 2, 3)]
    shares = [1 / (n + 1) for n in (1, 2, 3)]
    expected = np.dot(shares, per_atom) / np.dot(shares, shares)
    assert found == {32: -5.0, 52: pytest.approx(expected)}


def test_least_squares_over_compositions():
    rng = np.random.default_rng(0)
    exact = {"Ge": -4.0, "Te": -3.0}
    frames = []
    for n_ge, n_te in ((1, 1), (3, 1), (1, 2), (2, 5)):
        atoms = Atoms(
            "Ge" * n_ge + "Te" * n_te, positions=rng.normal(size=(n_ge + n_te, 3))
        )
        frames.append(frame(atoms, n_ge * exact["Ge"] + n_te * exact["Te"]))
    found = resolve_e0(frames, E0Config(method="least_squares")).e0
    assert found == {32: pytest.approx(-4.0), 52: pytest.approx(-3.0)}
    found = resolve_e0(frames, E0Config(method="least_squares", Ge=-5.0)).e0
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
    assert resolve_e0([structure_arrays(bulk("Si"))], E0Config()).e0 == {14: 0.0}


def test_unknown_symbol_in_the_configuration():
    with pytest.raises(ValueError, match="not a chemical symbol: Sillicon"):
        E0Config(Sillicon=-1.0)
