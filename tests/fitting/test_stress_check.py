"""Stress labels that contradict energies and forces are found, sound ones are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import DATA

from gapfit.config.sections import DataConfig, E0Config
from gapfit.data.dataset import read
from gapfit.data.frame import GPA, Frame
from gapfit.fitting.label_check import label_warnings
from gapfit.fitting.stress_check import VirialComparison, diagnose

N = 12


def comparison(
    labels: np.ndarray, predicted: np.ndarray, *names: str
) -> VirialComparison:
    types = names or ("md",) * N
    return VirialComparison(labels, predicted, np.full(N, 20.0), types, {})


@pytest.fixture
def virials() -> tuple[np.ndarray, np.ndarray]:
    """Return labels (eV/atom) and a prediction of them with 10 % error."""
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(N, 6)) * [0.5, 0.5, 0.5, 0.1, 0.1, 0.1]
    return labels, labels * (1 + 0.1 * rng.normal(size=(N, 6)))


def test_sound_labels_pass(virials):
    assert diagnose(comparison(*virials)) == []


def test_opposite_sign(virials):
    labels, predicted = virials
    (text,) = diagnose(comparison(-labels, predicted))
    assert "opposite sign" in text
    assert "'md' (12 frames, correlation -0.99)" in text or "correlation -1.00" in text
    assert "use_stress = false" in text


@pytest.mark.parametrize(
    ("factor", "unit"),
    [
        (GPA, "like GPa"),
        (10 * GPA, "like kbar"),
        (1 / 183.6, "like Hartree/Bohr"),
        (20, ""),
    ],
)
def test_other_units(virials, factor, unit):
    labels, predicted = virials
    (text,) = diagnose(comparison(factor * labels, predicted))
    assert "not of the size" in text
    assert "must be in eV/Å³" in text
    assert unit in text


@pytest.mark.parametrize(
    ("order", "meant"),
    [
        ((0, 1, 2, 4, 3, 5), "yz xz are really xz yz"),
        ((0, 1, 2, 5, 4, 3), "yz xy are really xy yz"),
        ((0, 1, 2, 4, 5, 3), "yz xz xy are really xz xy yz"),
    ],
)
def test_permuted_shear(virials, order, meant):
    labels, predicted = virials
    (text,) = diagnose(comparison(labels[:, order], predicted))
    assert "another order than yz xz xy" in text
    assert meant in text
    assert "reorder the labels" in text


def test_tiny_shear_proves_nothing(virials):
    labels, predicted = virials
    small = labels * [1, 1, 1, 0.01, 0.01, 0.01]
    assert diagnose(comparison(small[:, [0, 1, 2, 4, 3, 5]], predicted)) == []


def test_constant_offset(virials):
    labels, predicted = virials
    shifted = labels + np.array([0.3, 0.3, 0.3, 0, 0, 0])
    (text,) = diagnose(comparison(shifted, predicted))
    assert "differs by a constant" in text
    assert "Pulay stress" in text
    assert "GPa" in text


def test_only_the_wrong_config_type_is_named(virials):
    labels, predicted = virials
    labels = labels.copy()
    labels[6:] *= -1
    (text,) = diagnose(comparison(labels, predicted, *["good"] * 6, *["bad"] * 6))
    assert "'bad' (6 frames" in text
    assert "good" not in text


def frames_of(system: str) -> tuple[Frame, ...]:
    path = DATA / system / "train.extxyz"
    return read(path, DataConfig(train=[str(path)])).frames


def relabelled(frames, change) -> list[Frame]:
    return [
        f if f.virial is None else replace(f, virial=change(f.virial, f.n_atoms))
        for f in frames
    ]


def warnings_for(frames) -> str:
    from gapfit.data.e0 import resolve_e0

    return "\n".join(label_warnings(frames, resolve_e0(frames, E0Config()).e0))


@pytest.mark.parametrize("system", ["silicon", "carbon", "tungsten"])
def test_the_shipped_data_pass(system):
    assert warnings_for(frames_of(system)) == ""


def test_mistakes_in_real_data_are_found():
    """The same silicon data with flipped sign, in GPa, with a swap, with Pulay stress."""
    frames = frames_of("silicon")
    swap = [0, 1, 2, 4, 3, 5]
    pulay = np.array([0.8, 0.8, 0.8, 0, 0, 0])
    assert "opposite sign" in warnings_for(relabelled(frames, lambda v, n: -v))
    assert "like GPa" in warnings_for(relabelled(frames, lambda v, n: GPA * v))
    assert "another order" in warnings_for(relabelled(frames, lambda v, n: v[swap]))
    assert "differs by a constant" in warnings_for(
        relabelled(frames, lambda v, n: v + n * pulay)
    )


def test_without_stress_or_forces_there_is_nothing_to_check():
    frames = frames_of("silicon")
    assert label_warnings([replace(f, virial=None) for f in frames]) == []
    (text,) = label_warnings([replace(f, forces=None) for f in frames])
    assert "was not checked: only 0 of them have forces" in text
