"""Models as tables of tabGAP: a reader of its own has the energies and forces of Python."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from builders import (
    SOAP,
    THREE_BODY,
    TWO_BODY,
    ZBL,
    config,
    labelled_frames,
    silicon,
    three_species,
)
from scipy.interpolate import BSpline

import gapfit
from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.lammps import save_tabgap
from gapfit.lammps.tabgap_file import spline_coefficients

DENSITY = {"type": "eam_density", "r_cut": 4.5}
_STEP = 1e-4


class Tables:
    """The contents of a file, and energies by B-splines of SciPy."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text().splitlines()
        assert all(line.startswith("#") for line in lines[:2])
        assert max(map(len, lines)) < 1024  # LAMMPS reads no longer ones
        n, *rest = lines[2].split()
        self.e0 = dict(zip(rest[::2], map(float, rest[1::2]), strict=True))
        assert len(self.e0) == int(n)
        words = iter(" ".join(lines[3:]).split())
        n_pairs, n_triplets = int(next(words)), int(next(words))
        self.pairs = dict(self._table(words, 1, 2) for _ in range(n_pairs))
        self.triplets = dict(self._table(words, 3, 3) for _ in range(n_triplets))
        assert next(words, None) is None

    @staticmethod
    def _table(words, n_axes, n_elements):
        key = tuple(itertools.islice(words, n_elements))
        low, high = (
            [float(x) for x in itertools.islice(words, n_axes)] for _ in range(2)
        )
        sizes = [int(x) for x in itertools.islice(words, n_axes)]
        shape = [n + 2 for n in sizes]
        values = [float(x) for x in itertools.islice(words, int(np.prod(shape)))]
        return key, (low, high, sizes, np.reshape(values, shape))

    @staticmethod
    def _value(table, points):
        """Return the splines at points (n, n_axes), which lie within the table."""
        low, high, sizes, values = table
        rows = []
        for x, a, b, n in zip(points.T, low, high, sizes, strict=True):
            knots = a + (b - a) / (n - 1) * np.arange(-3, n + 3)
            rows.append(BSpline.design_matrix(np.clip(x, a, b), knots, 3).toarray())
        if len(rows) == 1:
            return rows[0] @ values
        return np.einsum("ni,nj,nk,ijk->n", *rows, values, optimize=True)

    def energy(self, atoms: Atoms) -> float:
        symbols = np.array(atoms.get_chemical_symbols())
        total = sum(self.e0[s] for s in symbols)
        for key, table in self.pairs.items():
            i, j, r = neighbor_list("ijd", atoms, table[1][0])
            forward = (symbols[i] == key[0]) & (symbols[j] == key[1])
            if not forward.any():
                continue
            total += self._value(table, r[forward][:, None]).sum() / (
                2 if key[0] == key[1] else 1
            )
        return float(total + self._of_triplets(atoms, symbols))

    def _of_triplets(self, atoms, symbols):
        """Return the energy of all triplets, once for each pair of neighbours."""
        if not self.triplets:
            return 0.0
        i, j, D = neighbor_list(
            "ijD", atoms, max(t[1][0] for t in self.triplets.values())
        )
        points: dict[tuple[str, ...], list[list[float]]] = {}
        for centre in range(len(atoms)):
            around = np.flatnonzero(i == centre)
            for a, b in itertools.combinations(around, 2):
                key = (symbols[centre], *sorted(symbols[j[[a, b]]]))
                r = np.linalg.norm(D[[a, b]], axis=1)
                points.setdefault(key, []).append([*r, D[a] @ D[b] / r.prod()])
        return sum(
            self._value(self.triplets[key], np.array(own)).sum()
            for key, own in points.items()
        )

    def force(self, atoms: Atoms, atom: int, axis: int) -> float:
        energies = []
        for step in (_STEP, -_STEP):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            energies.append(self.energy(moved))
        return -(energies[0] - energies[1]) / (2 * _STEP)


@pytest.fixture(scope="module")
def alloy() -> gapfit.GAPModel:
    """Return a model of three species; one triplet has no sparse points."""
    three = {**THREE_BODY, "species_n_sparse": {"Sb-Ge-Te": 0}}
    settings = {**config(), "terms": [TWO_BODY, three], "baseline": ZBL}
    settings["e0"] = {"Ge": -1.5, "Sb": -2.0, "Te": 0.25}
    return gapfit.fit(labelled_frames(three_species), settings)


def errors(model, tables: Tables, atoms: Atoms) -> tuple[float, float]:
    """Return errors of the energy by atom, eV, and of some forces, eV/Å."""
    wanted = model.predict(atoms)
    some = [(0, 0), (1, 1), (len(atoms) - 1, 2)]
    forces = [tables.force(atoms, a, x) - wanted.forces[a, x] for a, x in some]
    energy = (tables.energy(atoms) - wanted.energy) / len(atoms)
    return abs(energy), float(np.abs(forces).max())


def test_an_independent_reader_has_the_energies_and_forces(alloy, tmp_path):
    atoms = three_species()
    atoms.rattle(0.05, seed=7)
    found = []
    for knots in ((12, 12), (24, 24), (48, 48)):
        file = tmp_path / f"{knots[0]}.tabgap"
        assert save_tabgap(alloy, file, knots=knots) == (file,)
        found.append(errors(alloy, Tables(file), atoms))
    energies, forces = zip(*found, strict=True)
    assert energies[0] > 4 * energies[1]
    assert energies[2] < 1e-5
    assert forces[0] > 4 * forces[1] > 64 * forces[2]
    assert forces[2] < 1e-3


def test_a_density_is_a_file_beside_it(tmp_path):
    """Energies of isolated atoms, pairs and triplets are in one file, F in the other."""
    terms = [TWO_BODY, THREE_BODY, DENSITY]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    tables, density = save_tabgap(model, tmp_path / "si.tabgap", knots=(40, 40))
    assert density == tmp_path / "si.eam.fs"
    lines = density.read_text().splitlines()
    assert lines[2] == "the density alone"
    n_rho, d_rho, n_r, d_r, cutoff = map(float, lines[4].split())
    numbers = np.array(" ".join(lines[6:]).split(), dtype=float)
    F, phi, pairs = np.split(numbers, [int(n_rho), int(n_rho + n_r)])
    assert not pairs.any()
    assert F[0] == pytest.approx(0.0, abs=2.0)
    atoms = silicon()
    atoms.rattle(0.05, seed=1)
    i, r = neighbor_list("id", atoms, cutoff)
    rho = np.bincount(i, np.interp(r, d_r * np.arange(n_r), phi), len(atoms))
    energy = np.interp(rho, d_rho * np.arange(n_rho), F).sum()
    energy += Tables(tables).energy(atoms)
    assert energy == pytest.approx(model.predict(atoms).energy, abs=1e-4 * len(atoms))


@pytest.mark.parametrize("n", [5, 6, 30])
def test_splines_go_through_their_values_and_have_cubic_polynomials(n):
    x = np.linspace(0.5, 2.0, n)
    h = x[1] - x[0]
    knots = x[0] + h * np.arange(-3, n + 3)

    def cubic(x):
        return 1 + 2 * x - 3 * x**2 + 0.7 * x**3

    c = spline_coefficients(np.stack([np.sin(3 * x), cubic(x)]), axis=1)
    splines = [BSpline(knots, row, 3) for row in c]
    np.testing.assert_allclose(splines[0](x), np.sin(3 * x), atol=1e-13)
    y = np.linspace(0.5, 2.0, 101)
    np.testing.assert_allclose(splines[1](y), cubic(y), atol=1e-12)


def test_the_command_writes_the_same_file(tmp_path, capsys):
    terms = [TWO_BODY, THREE_BODY]
    model = gapfit.fit(labelled_frames(silicon, 3), {**config(), "terms": terms})
    model.save(tmp_path / "model.npz")
    assert main(["convert", f"{tmp_path}/model.npz", f"{tmp_path}/c.tabgap"]) == 0
    assert "without uncertainties" in capsys.readouterr().out
    save_tabgap(model, tmp_path / "p.tabgap")
    assert (tmp_path / "c.tabgap").read_bytes() == (tmp_path / "p.tabgap").read_bytes()
    with pytest.raises(GapfitError, match="exists already"):
        save_tabgap(model, tmp_path / "p.tabgap")


def test_what_the_format_cannot_hold_is_refused_with_all_reasons(tmp_path):
    terms = [{**SOAP, "n_sparse": 5}, DENSITY, DENSITY]
    model = gapfit.fit(labelled_frames(silicon, 3), {**config(), "terms": terms})
    with pytest.raises(GapfitError) as error:
        save_tabgap(model, tmp_path / "p.tabgap")
    text = str(error.value)
    assert "[[terms]] 1 (soap): only pairs, triplets and a density" in text
    assert "[[terms]] 3 (eam_density): an atom has one density" in text
    with pytest.raises(GapfitError, match="give 5 or more"):
        save_tabgap(model, tmp_path / "p.tabgap", knots=(4, 80))
    with pytest.raises(GapfitError, match=r"reads \.tabgap"):
        save_tabgap(model, tmp_path / "p.tab")
