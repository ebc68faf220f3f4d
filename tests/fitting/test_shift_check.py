"""Frames whose energies are shifted per atom are named; whole kinds of frames are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.data.frame import Frame
from gapfit.fitting.label_check import label_warnings


def labelled(structures: Iterable[Atoms]) -> tuple[Frame, ...]:
    """Return frames with energies and forces of EMT."""
    labels = []
    for atoms in structures:
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()
        )
        labels.append(atoms)
    return read(labels, DataConfig(train=["-"])).frames


def crystal(seed: int, *, rattle: float = 0.08, missing: int = 0) -> Atoms:
    """Return a strained and rattled crystal of copper, with atoms missing."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.set_cell(atoms.cell.array * (1 + 0.01 * rng.normal()), scale_atoms=True)
    atoms.rattle(rattle, seed=seed)
    del atoms[:missing]
    return atoms


@cache
def crystals() -> tuple[Frame, ...]:
    """Return 160 crystals, more than the sample of the quick fit takes."""
    return tuple(labelled(crystal(seed) for seed in range(160)))


def shifted(frames: Iterable[Frame], which: Iterable[int], size: float) -> list[Frame]:
    """Return frames, the energies of some shifted by a size in eV/atom."""
    out = list(frames)
    for n in which:
        out[n] = replace(out[n], energy=out[n].energy + size * out[n].n_atoms)
    return out


def test_sound_crystals_pass():
    assert label_warnings(crystals()) == []


@pytest.mark.parametrize("size", [0.15, -0.05])
@pytest.mark.parametrize(
    "which",
    [(3, 17, 46, 71, 90, 111, 130, 155), range(60, 68)],
    ids=["scattered", "one after another"],
)
def test_shifted_frames_are_named(size, which):
    (text,) = label_warnings(shifted(crystals(), which, size))
    assert "the energies of 8 of 160 frames compared are shifted" in text
    assert f"by {size:+.2f}" in text
    first = list(which)[:5]
    assert ", ".join(map(str, first[:4])) + f" and {first[4]}" in text
    assert "3 more" in text
    assert "other settings" in text


def test_shifted_frames_without_forces_are_named():
    which = (3, 17, 46, 71, 90)
    frames = shifted(crystals(), which, 0.1)
    for n in which:
        frames[n] = replace(frames[n], forces=None)
    (text,) = label_warnings(frames)
    assert "the energies of 5 of 160 frames compared are shifted by +0.10" in text


def test_errors_of_different_size_are_no_shift():
    frames = list(crystals())
    for k, n in enumerate((3, 17, 46, 71, 90, 111, 130, 155)):
        frames = shifted(frames, [n], 0.05 * (-2.0) ** k / 4)
    assert label_warnings(frames) == []


def test_a_kind_of_structures_that_differs_is_no_shift():
    """Vacancies whose energies are shifted alike may be missed alike by the quick fit."""
    vacancies = labelled(crystal(1000 + seed, missing=1) for seed in range(8))
    frames = shifted([*crystals(), *vacancies], range(160, 168), 0.02)
    assert label_warnings(frames) == []


@pytest.mark.parametrize("size", [0.15, -0.05])
@pytest.mark.parametrize("n_shifted", [40, 80])
def test_a_shift_of_up_to_half_of_the_frames_is_named(size, n_shifted):
    which = np.random.default_rng(1).permutation(160)[:n_shifted]
    (text,) = label_warnings(shifted(crystals(), which, size))
    found = re.search(r"energies of (\d+) of 160 frames compared are shifted", text)
    assert found
    assert 0.85 * n_shifted < int(found[1]) <= n_shifted + 2
    # Of two halves either may be the shifted one.
    assert f"by {size:+.2f}" in text or (n_shifted == 80 and f"by {-size:+.2f}" in text)


def test_a_few_frames_of_a_config_type_of_their_own_prove_nothing():
    others = [replace(f, config_type="other") for f in crystals()[:20]]
    frames = shifted([*others, *crystals()[20:]], range(20), 0.15)
    assert not [text for text in label_warnings(frames) if "shifted" in text]
