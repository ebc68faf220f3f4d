"""Fits whose rows are summed up by torch: the potentials of the core."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import SOAP, THREE_BODY, TWO_BODY, ZBL, config, silicon, three_species
from helpers.sums import FRAMES, Inline, Stop, fit, stopping_after
from helpers.torch_runs import import_or_skip

import gapfit
from gapfit.config import SigmaConfig
from gapfit.data.frame import Frame, as_frame
from gapfit.errors import ConfigError, GapfitError
from gapfit.execution import tasks as summation
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.fitting import fit_prepared as fitting
from gapfit.model.rows import row_block
from gapfit.testing import Tolerance

torch = import_or_skip("torch")
from gapfit.torch.fit_rows import FitRows  # noqa: E402

ENERGIES = Tolerance("the same fit in another order, eV per atom", atol=1e-8)
FORCES = Tolerance("the same fit in another order, eV/Å", atol=1e-8)
STD = Tolerance("differences of large variances, relative", rtol=1e-5)
DENSITY = {"type": "eam_density", "r_cut": 4.0, "n_sparse": 5}
EXPANSION = {"type": "ace", "r_cut": 4.0, "orders": [2], "n_max": [2], "l_max": [1]}
ON_DEVICE = {"run": {"device": "torch:cpu"}}


def assert_same_potential(one: gapfit.GAPModel, other: gapfit.GAPModel) -> None:
    """Compare predictions, error bars and what the fits tell of themselves."""
    for atoms in (silicon(), three_species()):
        if set(atoms.numbers) <= set(one.species):
            mine, theirs = (
                model.predict(atoms * (2, 1, 1), std=True) for model in (one, other)
            )
            ENERGIES.check(
                mine.energy / len(mine.forces), theirs.energy / len(mine.forces)
            )
            FORCES.check(mine.forces, theirs.forces)
            for name in ("energy_std", "forces_std"):
                STD.check(getattr(mine, name), getattr(theirs, name))
    evidence = [model.record.log_marginal_likelihood for model in (one, other)]
    assert evidence[0] == pytest.approx(evidence[1], rel=1e-8)
    assert one.record.n_rows == other.record.n_rows


@pytest.fixture(scope="module")
def plain() -> gapfit.GAPModel:
    return fit()


@pytest.mark.parametrize("method", ["cholesky", "qr"])
@pytest.mark.parametrize("terms", [[SOAP], [TWO_BODY, SOAP]], ids=["soap", "two terms"])
def test_fits_on_a_device_equal_those_of_the_core(method, terms):
    settings = {"terms": [{**term, "n_sparse": 12} for term in terms]}
    assert_same_potential(
        fit(method, settings=settings), fit(method, settings=settings | ON_DEVICE)
    )


def test_terms_without_rows_in_torch_take_those_of_the_cpu():
    settings = {
        **config(),
        "terms": [
            {**SOAP, "engine": "dscribe", "n_sparse": 15},
            THREE_BODY,
            DENSITY,
            EXPANSION,
        ],
        "baseline": ZBL,
        "e0": {"Ge": -1.0, "Sb": -2.0, "Te": -3.0},
    }
    mine = fit(frames=FRAMES[-2:], settings=settings)
    assert_same_potential(mine, fit(frames=FRAMES[-2:], settings=settings | ON_DEVICE))


def test_calibration_is_the_same(plain):
    found, wanted = fit(settings=ON_DEVICE).calibration, plain.calibration
    assert found.kinds.keys() == wanted.kinds.keys()
    for quantity in wanted.kinds:
        mine, theirs = found.scale(quantity), wanted.scale(quantity)
        assert mine.factor == pytest.approx(theirs.factor, rel=1e-6)


def _one_frame_each(sizes: np.ndarray, n_sparse: int) -> list[slice]:
    return [slice(n, n + 1) for n in range(len(sizes))]


@pytest.mark.parametrize("executor", [None, Inline()], ids=["here", "workers"])
def test_another_device_may_go_on_with_a_fit(executor, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(summation, "_LEAST_INTERVAL", 0.0)
    monkeypatch.setattr(summation, "_INTERVALS", 0.0)
    monkeypatch.setattr(fitting, "task_slices", _one_frame_each)
    folder = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(300))
    assert CheckpointFolder(folder).spans()
    resumed = fit(checkpoint=folder, resume=True, settings=ON_DEVICE, executor=executor)
    assert_same_potential(resumed, plain)


def test_rows_are_those_of_the_labels(si_full):
    rng = np.random.default_rng(3)

    def frame(n: int, **changes: object) -> Frame:
        atoms = silicon(n)
        labelled = replace(
            as_frame(atoms, "a structure"),
            energy=-1.0 * n,
            forces=rng.normal(size=(8, 3)),
            virial=rng.normal(size=6),
        )
        return replace(labelled, **changes)

    partly = rng.normal(size=(8, 3))
    partly[2:5] = np.nan
    frames = [
        frame(1),
        frame(2, energy=None),
        frame(3, forces=None),
        frame(4, forces=partly, virial=None),
    ]
    made = FitRows(si_full.terms, torch.device("cpu"))
    for some in (frames, [frame(5, forces=None, virial=None)]):
        wanted = row_block(some, si_full.terms, si_full.e0, SigmaConfig()).K
        np.testing.assert_allclose(
            made.labelled(some).numpy(), wanted, atol=1e-12 * np.abs(wanted).max()
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "torch:nonsense"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(GapfitError, match=f'run.device = "{device}": this machine has'):
        fit(settings={"run": {"device": device}})


def test_too_little_memory_says_what_to_do(monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 9 GiB. GPU 0"
        )

    monkeypatch.setattr(FitRows, "labelled", full)
    with pytest.raises(GapfitError, match=r"\(CUDA out of memory\): lower n_sparse"):
        fit(settings=ON_DEVICE)


def test_names_that_are_no_devices_are_refused():
    with pytest.raises(ConfigError, match=r"\[run\]: `device` = \"gpu 1\""):
        fit(settings={"run": {"device": "gpu 1"}})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_a_gpu_fits_the_same(method):
    settings = {"terms": [TWO_BODY, SOAP, EXPANSION]}
    on_gpu = {**settings, "run": {"device": "cuda"}}
    assert_same_potential(fit(method, settings=settings), fit(method, settings=on_gpu))


def test_a_device_without_torch_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(GapfitError, match=r'run.device = "cuda" needs .*gapfit\[torch'):
        fit(settings={"run": {"device": "cuda"}})
