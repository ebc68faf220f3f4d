"""Trajectories that are reweighted to the samples of a potential."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from builders import cluster, silicon, three_species

import gapfit
from gapfit.errors import DataError, GapfitError

KT = units.kB * 300.0


def walk(n: int = 60, seed: int = 0) -> list[Atoms]:
    """Return frames that are drawn independently around a crystal."""
    frames = []
    for k in range(n):
        atoms = silicon()
        atoms.rattle(0.02, seed=seed * 1000 + k)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return walk()


def bond(atoms: Atoms) -> float:
    return atoms.get_distance(0, 1, mic=True)


def brute(model, frames, k: int, method: str, seed: int = 2):
    """Return bond, energy per atom and heat capacity of a sample, by its own prediction."""
    sample = model.sample(3, seed=seed, scale=0.2)[k]
    E = np.array([p.energy for p in sample.predict(frames)])
    mean = np.array([p.energy for p in model.predict(frames)])
    A = np.array([bond(atoms) for atoms in frames])
    h = (E - mean) / KT
    if method == "direct":
        w = np.exp(h.min() - h)
        w /= w.sum()
        square = w @ (E - w @ E) ** 2
        return w @ A, w @ E / 8, 1.5 + square / KT**2 / 8
    centred = (E - E.mean()) ** 2

    def first_order(values):
        return values.mean() - np.mean((values - values.mean()) * (h - h.mean()))

    return first_order(A), first_order(E) / 8, 1.5 + first_order(centred) / KT**2 / 8


@pytest.mark.parametrize("method", ["direct", "cumulant"])
def test_averages_of_samples_follow_from_their_own_energies(si_model, frames, method):
    found = gapfit.reweight(
        si_model,
        frames,
        temperature=300.0,
        samples=3,
        seed=2,
        scale=0.2,
        observables={"bond": bond},
        method=method,
    )
    assert list(found.averages) == ["energy", "heat capacity", "bond"]
    for k in range(3):
        values = brute(si_model, frames, k, method)
        names = ("bond", "energy", "heat capacity")
        for name, expected in zip(names, values, strict=True):
            assert found[name].samples[k, 0] == pytest.approx(expected, rel=1e-6)
    energies = np.array([p.energy for p in si_model.predict(frames)]) / 8
    assert found["energy"].value[0] == pytest.approx(energies.mean())
    # Frames are independent here.
    assert found["energy"].statistical_std[0] == pytest.approx(
        energies.std(ddof=1) / np.sqrt(60), rel=0.5
    )
    average = found["energy"]
    np.testing.assert_allclose(average.model_std, average.samples.std(ddof=1))
    np.testing.assert_allclose(
        average.total_std**2, average.model_std**2 + average.statistical_std**2
    )
    assert (average.noise > 0).all()


def test_samples_that_are_all_alike_have_no_error_of_the_potential(si_model, frames):
    found = gapfit.reweight(
        si_model, frames, temperature=300, samples=2, scale=0.0, rdf=4.0
    )
    assert found.method == "direct"
    for average in found.averages.values():
        np.testing.assert_allclose(
            average.samples, np.stack([average.value] * 2), rtol=1e-12
        )
        assert average.model_std.max() < 1e-10
        assert average.noise.max() < 1e-10
        assert average.statistical_std.max() > 0
    np.testing.assert_allclose(found.effective_sizes, 60.0)


def test_too_few_effective_frames_are_refused_or_told(si_model, frames):
    wild = {"temperature": 10.0, "samples": 3, "scale": 50.0}
    with pytest.raises(GapfitError, match=r"direct weights of 3 of 3 .*cumulant") as e:
        gapfit.reweight(si_model, frames, method="direct", **wild)
    assert "smaller cell" in str(e.value)
    found = gapfit.reweight(si_model, frames, **wild)
    assert found.method == "cumulant"
    assert found.effective_sizes.min() < 3
    assert "the cumulant expansion is used instead" in found.notes[0]
    assert any("nearly Gaussian" in note for note in found.notes)


def test_it_can_be_read_from_files_and_written(si_model, frames, tmp_path):
    path = tmp_path / "md.extxyz"
    ase.io.write(path, frames)
    options = {"temperature": 300, "samples": 2, "scale": 1.0, "rdf": 5.0}
    found = gapfit.reweight(si_model, path, skip=10, every=2, **options)
    again = gapfit.reweight(si_model, iter(frames[10::2]), **options)
    assert found.n_frames == 25
    np.testing.assert_allclose(
        found["rdf"].samples, again["rdf"].samples, rtol=0, atol=1e-5
    )
    stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert stored["averages"]["rdf"]["grid"][:2] == pytest.approx([0.05, 0.15])
    assert len(stored["averages"]["energy"]["samples"]) == 2
    lines = found.table().splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "energy",
        "heat capacity",
        f"rdf at {found['rdf'].grid[found['rdf'].value.argmax()]:.4g} Å",
    ]
    with pytest.raises(DataError, match="no such file"):
        gapfit.reweight(si_model, Path("missing.extxyz"))


def test_species_have_their_own_radial_distributions(gst_model):
    frames = []
    for k in range(10):
        atoms = three_species()
        atoms.rattle(0.02, seed=k)
        frames.append(atoms)
    found = gapfit.reweight(gst_model, frames, temperature=300, samples=2, rdf=4.0)
    assert "rdf Ge-Te" in found.averages
    assert len(found.averages) == 2 + 6


def test_the_temperature_may_come_from_momenta(si_model, frames):
    moving = []
    for k, atoms in enumerate(frames):
        atoms = atoms.copy()
        width = np.sqrt(atoms.get_masses() * KT)[:, None]
        rng = np.random.default_rng(k)
        atoms.set_momenta(width * rng.standard_normal((8, 3)))
        moving.append(atoms)
    found = gapfit.reweight(si_model, moving, samples=2)
    kinetic = np.mean([atoms.get_temperature() for atoms in moving])
    assert found.temperature == pytest.approx(kinetic)
    assert kinetic == pytest.approx(300, rel=0.1)
    given = gapfit.reweight(si_model, moving, temperature=600, samples=2)
    assert any("kinetic temperature" in note for note in given.notes)
    with pytest.raises(GapfitError, match="no momenta"):
        gapfit.reweight(si_model, frames)


def test_a_trajectory_of_another_potential_is_noticed(si_model, frames):
    def labelled(scale: float) -> list[Atoms]:
        out = []
        for atoms in frames:
            atoms = atoms.copy()
            energy = scale * si_model.predict(atoms).energy + 5.0
            atoms.calc = SinglePointCalculator(atoms, energy=energy)
            out.append(atoms)
        return out

    def notes(scale: float) -> str:
        run = labelled(scale)
        found = gapfit.reweight(si_model, run, temperature=300, samples=2)
        return " ".join(found.notes)

    assert "another potential" not in notes(1.0)
    assert "another potential" in notes(1.5)


def test_what_is_missing_is_told(si_model, frames):
    moved = [atoms.copy() for atoms in frames]
    for k, atoms in enumerate(moved):
        atoms.set_cell(atoms.cell * (1 + 1e-3 * k), scale_atoms=True)
    found = gapfit.reweight(si_model, moved, temperature=300, samples=2)
    assert list(found.averages) == ["energy"]
    assert any("the volume varies" in note for note in found.notes)
    alone = gapfit.reweight(
        si_model, [cluster()] * 10, temperature=300, samples=2, scale=1.0
    )
    # Equal structures; sums of their energies may differ in the last digits.
    assert alone["energy"].statistical_std[0] == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "best"}, "method = 'best'"),
        ({"temperature": 0.0}, "temperature = 0 K"),
        ({"samples": 1}, "samples = 1"),
        ({"skip": -1}, "skip = -1"),
        ({"every": 0}, "every = 0"),
        ({"skip": 55}, "5 frames are left with skip = 55"),
        ({"observables": {"energy": bond}}, "'energy' is computed already"),
        ({"rdf": -1.0}, "reach = -1 Å"),
    ],
)
def test_wrong_requests_are_told(si_model, frames, change, message):
    with pytest.raises(GapfitError, match=message):
        gapfit.reweight(
            si_model, frames, **{"temperature": 300.0, "samples": 2, **change}
        )


def test_wrong_trajectories_are_told(si_model, frames):
    with pytest.raises(GapfitError, match="this is one structure"):
        gapfit.reweight(si_model, frames[0], temperature=300)
    with pytest.raises(GapfitError, match="frame 60: has other atoms than frame 0"):
        gapfit.reweight(si_model, [*frames, silicon() * 2], temperature=300)
    with pytest.raises(GapfitError, match="no density"):
        gapfit.reweight(
            si_model, [molecule("Si2H6")[:2]] * 10, temperature=300, rdf=4.0
        )
