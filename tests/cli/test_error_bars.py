"""Standard deviations on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from builders import label
from helpers.error_bars import frames_of, salt, settings

import gapfit
from gapfit.cli import main
from gapfit.testing import PRINTED


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(12), settings(calibration={}))


@pytest.fixture(scope="module")
def files(tmp_path_factory, model):
    """A folder with a model, its training data and other data."""
    folder = tmp_path_factory.mktemp("salt")
    data = {"train": str(folder / "train.xyz"), "check_labels": False}
    ase.io.write(folder / "train.xyz", frames_of(12), format="extxyz")
    gapfit.fit(str(folder / "train.xyz"), settings(data=data, calibration={})).save(
        folder / "model.npz"
    )
    new = [label(salt(60 + k), config_type="new") for k in range(12)]
    ase.io.write(folder / "new.xyz", new, format="extxyz")
    return folder


@pytest.fixture
def here(files, tmp_path, monkeypatch):
    for file in files.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(capsys, *argv: str) -> str:
    assert main(list(argv)) == 1
    return capsys.readouterr().err.removeprefix("gapfit: error: ").strip()


def written(here: Path, *argv: str) -> list:
    command = ["predict", "model.npz", "new.xyz", "--output", "out.xyz", *argv]
    assert main(command) == 0
    return ase.io.read(here / "out.xyz", ":")


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ((), {}),
        (("--function",), {"observation": False}),
        (("--uncalibrated",), {"observation": False, "calibrated": False}),
    ],
)
def test_predict_writes_standard_deviations(here, argv, options):
    model, given = gapfit.load("model.npz"), ase.io.read("new.xyz", ":")
    expected = model.predict(given, std=True, novelty=True, **options)
    for atoms, own in zip(written(here, "--std", *argv), expected, strict=True):
        for name in ("energies_std", "forces_std", "novelty"):
            np.testing.assert_allclose(
                atoms.arrays[name], getattr(own, name), rtol=0, atol=1e-7
            )
        for name in ("energy_std", "stress_std"):
            np.testing.assert_allclose(atoms.info[name], getattr(own, name), rtol=1e-7)
        PRINTED.check(atoms.get_forces(), own.forces)


def test_predict_grades_atoms_and_warns_of_those_unlike_the_data(here, capsys):
    assert not any("extrapolation" in atoms.arrays for atoms in written(here))
    model = gapfit.load("model.npz", training_sums=True)
    usual = {z: 0.2 * std for z, std in model.record.usual_deviations.items()}
    model.with_record(usual_deviations=usual).save("model.npz")
    capsys.readouterr()
    graded = [atoms.arrays["extrapolation"] for atoms in written(here, "--std")]
    worst = max(range(len(graded)), key=lambda n: graded[n].max())
    n_outside = sum(grades.max() > 2 for grades in graded)
    assert n_outside
    out = " ".join(capsys.readouterr().out.split())
    assert f"{n_outside} of {len(graded)} structures have atoms unlike" in out
    assert f"frame {worst} the most with a grade of {graded[worst].max():.3g}" in out
    assert main(["info", "model.npz"]) == 0
    text = capsys.readouterr().out
    assert "grade 1 where the std of an atom's energy is" in text
    assert all(f"{1000 * value:.3g} meV" in text for value in usual.values())


def test_predict_writes_only_the_kinds_named(here):
    for atoms in written(here, "--std-of", "forces", "--std-of", "novelty"):
        assert {"forces_std", "novelty"} <= set(atoms.arrays)
        assert not {"energies_std"} & set(atoms.arrays)
        assert not {"energy_std", "stress_std"} & set(atoms.info)


def test_predict_writes_intervals(here):
    model, given = gapfit.load("model.npz"), ase.io.read("new.xyz", ":")
    expected = model.predict(given, std=True)
    for argv in ((), ("--std-of", "energy")):
        found = written(here, "--interval", "0.8", *argv)
        for atoms, own in zip(found, expected, strict=True):
            times = {
                kind: model.calibration.multiplier(kind, 0.8)
                for kind in ("energy", "forces", "virial")
            }
            PRINTED.check(
                atoms.arrays["forces_interval"], times["forces"] * own.forces_std
            )
            for kind, name in (("energy", "energy"), ("virial", "stress")):
                np.testing.assert_allclose(
                    atoms.info[f"{name}_interval"],
                    times[kind] * getattr(own, f"{name}_std"),
                    rtol=1e-6,
                )
            assert ("energy_std" in atoms.info) == bool(argv)


def test_predict_refuses_intervals_that_it_cannot_tell(here, capsys, model):
    argv = ["predict", "model.npz", "new.xyz", "--output", "out.xyz", "--interval"]
    message = error_of(capsys, *argv, "0.99")
    assert message.startswith("interval 0.99 of the energy: ")
    assert "13 structures of the calibration give intervals up to 0.92" in message
    assert "give a probability between 0 and 1" in error_of(capsys, *argv, "95")
    gapfit.refit("model.npz", sigma={"forces": 2.0}).save("model.npz")
    assert error_of(capsys, *argv, "0.5").split("\n") == [
        "interval 0.5: the model is not calibrated; use gapfit calibrate",
        "  see https://github.com/gapfit/gapfit/blob/main/docs/faq.md#not-calibrated",
    ]
    bare = settings(run={"store_posterior": False})
    gapfit.fit(frames_of(1), bare).save("model.npz")
    assert "saved without its posterior" in error_of(capsys, *argv, "0.5")
    assert not Path("out.xyz").exists()


@pytest.mark.parametrize("flag", ["--function", "--uncalibrated"])
def test_predict_refuses_flags_without_standard_deviations(here, capsys, flag):
    argv = ["predict", "model.npz", "new.xyz", "--output", "out.xyz", flag]
    assert error_of(capsys, *argv) == (
        f"{flag} changes standard deviations, which are not written; add --std"
    )


def test_predict_warns_of_models_that_are_not_calibrated(here, capsys):
    gapfit.refit("model.npz", sigma={"forces": 2.0}).save("model.npz")
    for flags, warned in (((), True), (("--uncalibrated",), False)):
        written(here, "--std", *flags)
        assert ("the model is not calibrated" in capsys.readouterr().out) == warned
    written(here, "--std-of", "energies")
    assert "not calibrated" not in capsys.readouterr().out


def test_calibrate_from_end_to_end(here, capsys):
    old = gapfit.load("model.npz", training_sums=True)
    argv = ["calibrate", "model.npz", "new.xyz", "--output"]
    assert main([*argv, "new.npz"]) == 0
    out = capsys.readouterr().out
    assert "Calibration (validation, 12 structures)" in out
    assert out.rstrip().endswith("Written to new.npz")
    model = gapfit.load("new.npz", training_sums=True)
    expected = gapfit.calibrate(old, ase.io.read("new.xyz", ":")).calibration
    assert model.calibration == expected
    for kind, own in expected.kinds.items():
        scale = own.scale
        line = next(text for text in out.splitlines() if text.startswith(kind))
        assert line.split()[1:3] == [str(own.n), f"{scale.factor:.3g}"]
    # All else is as it was: coefficients, and the sums for gapfit append.
    a, b = (own.predict(salt(1)) for own in (old, model))
    assert a.energy == b.energy
    assert model.training_sums.n_rows == old.training_sums.n_rows


def test_calibrate_on_the_training_data_restores_that_of_the_fit(here, capsys):
    known = gapfit.load("model.npz").calibration
    argv = ["calibrate", "model.npz", "new.xyz", "--output", "model.npz"]
    assert main(argv) == 0
    assert gapfit.load("model.npz").calibration != known
    argv[2] = "train.xyz"
    capsys.readouterr()
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["method"] == "leave one out"
    assert found["kinds"]["forces"]["scale"]["factor"] == (
        known.kinds["forces"].scale.factor
    )
    assert gapfit.load("model.npz").calibration == known


def test_calibrate_on_some_of_the_training_data_must_be_told(here):
    some = ase.io.read("train.xyz", ":5")
    ase.io.write("some.xyz", some, format="extxyz")
    argv = ["calibrate", "model.npz", "some.xyz", "--output", "new.npz"]
    for more, method in (([], "validation"), (["--fitted"], "leave one out")):
        assert main([*argv, *more]) == 0
        found = gapfit.load("new.npz").calibration
        assert (found.method, found.n_structures) == (method, 5)
    assert main([*argv, "--rows", "40"]) == 0
    assert gapfit.load("new.npz").calibration.n_structures == 2


def test_calibrate_says_once_what_could_not_be_left_out(here):
    frames = [label(salt(k), config_type=f"type {min(k, 1)}") for k in range(4)]
    sigma = {"energy": 0.1, "forces": 1.0, "virial": 1.0}
    sigma["config_types"] = {"type 0": {"energy": 1e-8}}
    solver = {"method": "qr", "jitter": 1e-8}
    gapfit.fit(frames, settings(sigma=sigma, solver=solver)).save("exact.npz")
    ase.io.write("exact.xyz", frames, format="extxyz")
    argv = ["calibrate", "exact.npz", "exact.xyz", "--fitted", "--output", "new.npz"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gapfit", *argv],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("calibration without 1 structures") == 1
    assert done.stderr == ""


def test_calibrate_refuses_what_makes_no_sense(here, capsys):
    argv = ["calibrate", "model.npz", "new.xyz", "--output"]
    assert "n_rows = 0: give" in error_of(capsys, *argv, "new.npz", "--rows", "0")
    assert "would be replaced" in error_of(capsys, *argv, "new.xyz")
    gapfit.fit(frames_of(1), settings(run={"store_posterior": False})).save("bare.npz")
    argv[1] = "bare.npz"
    assert "without its posterior" in error_of(capsys, *argv, "new.npz")
    assert not Path("new.npz").exists()


def test_evaluate_prints_and_draws_the_scores(here, capsys):
    argv = ["evaluate", "model.npz", "new.xyz"]
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    api = gapfit.evaluate("model.npz", ase.io.read("new.xyz", ":"))
    for kind in ("energy", "forces", "stress"):
        own, expected = (x["new"][kind]["uncertainty"] for x in (found, api))
        assert set(own) == set(expected)
        for key in ("coverage_68", "rms_z", "crps", "rank", "diagram"):
            assert own[key] == pytest.approx(expected[key], rel=1e-6)
    assert main([*argv, "--plot", "plot.png"]) == 0
    assert Path("plot.png").read_bytes().startswith(b"\x89PNG\r\n")
    lines = capsys.readouterr().out.splitlines()
    first = next(n for n, text in enumerate(lines) if text.startswith("Uncertainty"))
    end = lines.index("", first)
    assert lines[end + 1].startswith("std: meV/atom, eV/Å, GPa.")
    rows = [text.split() for text in lines[first + 1 : end]]
    groups = ("all", "new")
    kinds = ("energy", "forces", "stress")
    assert [row[:2] for row in rows] == [[g, k] for g in groups for k in kinds]
    for row in rows:
        own = found[row[0]][row[1]]["uncertainty"]
        assert row[2] == str(own["n"])
        assert row[3] == f"{100 * own['coverage_68']:.0f}"
        assert row[5] == f"{own['rms_z']:.2f}"


def test_evaluate_says_that_data_were_fitted(here, capsys):
    said = "these are the training data"
    for argv, expected in (
        (["train.xyz"], True),
        (["new.xyz"], False),
        (["train.xyz", "--leave-one-out"], False),
    ):
        assert main(["evaluate", "model.npz", *argv]) == 0
        assert (said in capsys.readouterr().out) == expected


def test_evaluate_without_uncertainty(here, capsys):
    argv = ["evaluate", "model.npz", "new.xyz", "--no-uncertainty"]
    assert main(argv) == 0
    assert "Uncertainty" not in capsys.readouterr().out
    message = error_of(capsys, *argv, "--plot", "plot.png")
    assert "there are no standard deviations to draw" in message
    argv = ["evaluate", "model.npz", "new.xyz", "--plot"]
    assert "there is no folder" in error_of(capsys, *argv, "nowhere/plot.png")
    assert "plot.pdf: ends in '.pdf'; give a name that ends in .png" in error_of(
        capsys, *argv, "plot.pdf"
    )


def test_evaluate_has_nothing_to_draw(here, capsys):
    """Atoms at rest by symmetry, and no energies: no error tells anything."""
    from ase.build import bulk
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = bulk("Si", cubic=True)
    atoms.calc = SinglePointCalculator(atoms, forces=np.zeros((8, 3)))
    ase.io.write("rest.xyz", atoms, format="extxyz")
    argv = ["evaluate", "model.npz", "rest.xyz"]
    assert main(argv) == 0
    assert "Uncertainty" not in capsys.readouterr().out
    assert main([*argv, "--plot", "plot.png"]) == 1
    captured = capsys.readouterr()
    # What was found is not lost.
    assert "MAE" in captured.out
    assert "error: --plot plot.png: there are no errors to draw" in captured.err
    assert not Path("plot.png").exists()


def test_leave_one_out_has_scores_and_a_plot(here, capsys):
    argv = ["evaluate", "model.npz", "train.xyz", "--leave-one-out"]
    assert main([*argv, "--plot", "plot.png"]) == 0
    assert "Uncertainty" in capsys.readouterr().out
    assert Path("plot.png").stat().st_size > 1000
    assert main([*argv, "--no-uncertainty"]) == 0
    assert "Uncertainty" not in capsys.readouterr().out
