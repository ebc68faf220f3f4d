"""Few potentials for the uncertainty of forces: their error, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import labelled_frames, sheared, silicon, three_species

from gapfit.cli import main
from gapfit.errors import GapfitError, StructureError
from gapfit.model.force_factor import force_factor
from gapfit.model.storage import save


def structures(n: int = 6) -> list:
    return labelled_frames(silicon, n) + labelled_frames(sheared, n)


def test_the_tolerance_is_held_by_as_few_potentials_as_the_ladder_has(si_model):
    loose, tight = (
        force_factor(si_model, structures(), tolerance=t) for t in (0.2, 0.09)
    )
    assert loose.error <= 0.2
    assert tight.error <= 0.09
    assert loose.rank < tight.rank < si_model.n_sparse
    fewer = force_factor(si_model, structures(), rank=loose.rank // 2)
    assert fewer.error > loose.error
    assert tight.error < tight.largest_error


def test_all_directions_are_exact(si_model):
    factor = force_factor(si_model, structures(), rank=10_000)
    assert factor.rank == si_model.n_sparse
    assert factor.error < 1e-10


def test_the_stated_error_is_that_of_predictions(si_model):
    """Predicted standard deviations of structures that the factor was not found with."""
    factor = force_factor(si_model, structures(), rank=12)
    errors = []
    for seed in range(6):
        atoms = silicon(seed=50 + seed)
        exact = si_model.predict(
            atoms, std="forces", observation=False, calibrated=False
        ).forces_std
        columns = [
            replace(
                si_model, terms=terms, posterior=None, calibration=None, baseline=None
            )
            for terms in _columns(si_model, factor)
        ]
        forces = np.stack([column.predict(atoms).forces for column in columns])
        found = np.linalg.norm(forces, axis=(0, 2))
        errors.append(found / np.linalg.norm(exact, axis=1) - 1)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(factor.error, rel=0.5)


def _columns(model, factor):
    from gapfit.model.terms import with_coefficients

    plain = [replace(term, lossless={}) for term in model.terms]
    return [tuple(with_coefficients(plain, c)) for c in factor.coefficients]


def test_the_same_structures_give_the_same_factor(si_model):
    one, two = (force_factor(si_model, structures()) for _ in range(2))
    np.testing.assert_array_equal(one.coefficients, two.coefficients)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (structures(1)[:1], {}, r"1 of 1 structures have forces that are uncertain"),
        ([], {}, "0 of 0 structures"),
        (structures(2), {"tolerance": 0.0}, "tolerance = 0 .* positive"),
        (structures(2), {"tolerance": float("nan")}, "tolerance = nan"),
        (structures(2), {"rank": 0}, "rank = 0 .* 1 or more"),
    ],
    ids=["one", "none", "zero", "nan", "rank"],
)
def test_what_cannot_work_is_refused(given, options, message, si_model):
    with pytest.raises(GapfitError, match=message):
        force_factor(si_model, given, **options)


def test_crystals_without_forces_are_no_structures(si_model):
    from ase.build import bulk

    with pytest.raises(GapfitError, match="0 of 3 structures have forces"):
        force_factor(si_model, [bulk("Si", a=a) for a in (5.3, 5.4, 5.5)])


def test_other_models_are_refused(si_model, tmp_path):
    with pytest.raises(GapfitError, match="saved without its posterior"):
        force_factor(replace(si_model, posterior=None), structures())
    with pytest.raises(StructureError, match="unknown species"):
        force_factor(si_model, [three_species(), three_species()])


def test_the_command_says_the_error_and_how_often(
    si_model, tmp_path, monkeypatch, capsys
):
    from ase.io import read, write

    monkeypatch.chdir(tmp_path)
    save(si_model, "model.npz")
    write("some.extxyz", structures())
    command = ["export-lammps", "model.npz", "--output", "p.gapfit", "--force-std"]
    assert main([*command, "some.extxyz", "--force-std-error", "0.15"]) == 0
    factor = force_factor(si_model, read("some.extxyz", ":"), tolerance=0.15)
    said = " ".join(capsys.readouterr().out.split())
    assert f"by {factor.rank} potentials" in said
    assert f"relative error is {100 * factor.error:.2g} %" in said
    assert "gapfit forces_std 1" in said
    assert main(command) == 1
    assert "its training data (in memory) are not there" in capsys.readouterr().err


def exported(*arguments: str) -> int:
    return main(["export-lammps", "model.npz", "--output", "p.gapfit", *arguments])


def test_the_command_reads_training_data_as_the_fit_did(
    si_model, tmp_path, monkeypatch, capsys
):
    """Elements that only the configuration names."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for n, atoms in enumerate(labelled_frames(silicon, 6)):
        xx, yy, zz = atoms.cell.lengths()
        lines += ["ITEM: TIMESTEP", str(n), "ITEM: NUMBER OF ATOMS", str(len(atoms))]
        lines += ["ITEM: BOX BOUNDS pp pp pp", f"0 {xx}", f"0 {yy}", f"0 {zz}"]
        lines += ["ITEM: ATOMS id type x y z"]
        for k, (x, y, z) in enumerate(atoms.positions, 1):
            lines.append(f"{k} 1 {x} {y} {z}")
    (tmp_path / "run.lammpstrj").write_text("\n".join(lines) + "\n")
    data = si_model.config.data.model_copy(
        update={"train": ["run.lammpstrj"], "species": ["Si"]}
    )
    config = si_model.config.model_copy(update={"data": data})
    save(replace(si_model, config=config), "model.npz")
    for files in ([], ["run.lammpstrj"]):
        assert exported("--force-std", *files) == 0, capsys.readouterr().err
        assert "potentials: their relative error" in capsys.readouterr().out


def test_the_command_refuses_before_it_reads(si_model, tmp_path, monkeypatch, capsys):
    """A file that would be replaced, an error of nothing, a model without posterior."""
    from ase.io import write

    monkeypatch.chdir(tmp_path)
    save(replace(si_model, posterior=None), "model.npz")
    write("p.gapfit", structures(1), format="extxyz")
    before = (tmp_path / "p.gapfit").read_bytes()
    for arguments, message in [
        (["--force-std", "p.gapfit"], "is an input and would be replaced"),
        (["--force-std-error", "0.05"], "add --force-std"),
        (["--force-std", "missing.extxyz"], "saved without its posterior"),
        (["--force-std"], "saved without its posterior"),
    ]:
        assert exported(*arguments) == 1
        assert message in capsys.readouterr().err
    assert (tmp_path / "p.gapfit").read_bytes() == before
