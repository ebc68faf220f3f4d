"""Models written for TurboGAP: read back, summed apart, as QUIP's, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from builders import DATA, ROOT, open_files_limit
from helpers.quippy_runs import by_quippy
from helpers.turbogap_cases import OF_TWO, PAIRS, SOAP, TRIPLETS, fitted, molecule
from helpers.turbogap_sums import blocks_of, energies_of

import gapfit
import gapfit.quip
from gapfit.baseline.zbl import zbl
from gapfit.descriptors.switch import Switch
from gapfit.errors import GapfitError
from gapfit.turbogap import input_lines, load, save

SI_O = ROOT / "tests" / "quip_models" / "SiO"


@pytest.fixture(params=["silicon", "oxide"])
def case(request):
    """Return a model and structures it has not seen."""
    model = request.getfixturevalue(request.param)
    path = DATA / "silicon" / "test.extxyz"
    if request.param == "oxide":
        path = SI_O / "train.xyz"
    structures = [atoms for atoms in ase.io.read(path, ":") if len(atoms) > 2][-3:]
    for atoms in structures:
        atoms.rattle(0.02, seed=1)
    return model, structures


def same(one: gapfit.GAPModel, other: gapfit.GAPModel, structures: list[Atoms]) -> None:
    for atoms in structures:
        a, b = one.without_projections().predict(atoms), other.predict(atoms)
        assert np.abs(a.forces).max() > 0.01
        np.testing.assert_allclose(b.energies, a.energies, rtol=0, atol=1e-10)
        np.testing.assert_allclose(b.forces, a.forces, rtol=0, atol=1e-10)
        np.testing.assert_allclose(b.stress, a.stress, rtol=0, atol=1e-12)


def test_a_written_model_reads_back_with_the_same_predictions(case, tmp_path):
    model, structures = case
    files = save(model, tmp_path / "x.gap")
    assert set(tmp_path.iterdir()) == set(files)
    again = load(tmp_path / "x.gap")
    assert again.species == model.species
    assert again.e0 == model.e0
    assert again.record.program == "TurboGAP"
    assert not again.record.warnings
    same(model, again, structures)
    again.save(tmp_path / "x.npz")
    same(again, gapfit.load(tmp_path / "x.npz"), structures)
    first = [path.read_bytes() for path in files]
    assert [
        path.read_bytes() for path in save(again, files[0], overwrite=True)
    ] == first


@pytest.mark.parametrize(("name", "symbols"), [("silicon", "Si5"), ("oxide", "Si3O4")])
def test_sums_over_the_tables_are_the_energies(name, symbols, request, tmp_path):
    pytest.importorskip("quippy")
    model = request.getfixturevalue(name)
    save(model, tmp_path / "x.gap")
    for seed in range(2):
        atoms = molecule(symbols, seed)
        found = energies_of(tmp_path / "x.gap", atoms, tmp_path)
        assert len(found) == 3
        assert all(abs(value) > 1e-3 for value in found.values())
        e0 = sum(model.e0[z] for z in atoms.numbers)
        expected = model.without_projections().predict(atoms).energy
        assert sum(found.values()) + e0 == pytest.approx(expected, abs=1e-8)


def test_quippy_has_the_energies_of_the_same_model_as_xml(oxide, tmp_path):
    """Without SOAP: QUIP's forces near its soft cutoff are not slopes of its energies."""
    frames = ase.io.read(SI_O / "train.xyz", ":")
    model = fitted(frames, PAIRS, TRIPLETS, e0={"Si": -1.5, "O": -4.25})
    save(model, tmp_path / "x.gap")
    gapfit.quip.save(load(tmp_path / "x.gap"), tmp_path / "x.xml")
    for atoms in by_quippy(tmp_path / "x.xml", frames[-3:], tmp_path, "IP GAP"):
        found = model.without_projections().predict(atoms)
        assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
        np.testing.assert_allclose(found.forces, atoms.get_forces(), rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.stress, atoms.get_stress(), rtol=0, atol=1e-9)
    save(oxide, tmp_path / "soap.gap")
    gapfit.quip.save(load(tmp_path / "soap.gap"), tmp_path / "soap.xml")
    (atoms,) = by_quippy(tmp_path / "soap.xml", frames[-1:], tmp_path, "IP GAP")
    found = oxide.without_projections().predict(atoms)
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-7)


def test_files_are_what_turbogap_reads(oxide, tmp_path):
    folder = tmp_path / "gap_files"
    folder.mkdir()
    document, *tables = save(oxide, folder / "oxide.gap")
    blocks = blocks_of(document)
    kinds = [block["kind"][0] for block in blocks]
    assert kinds == ["soap_turbo"] * 2 + ["distance_2b"] * 3 + ["angle_3b"] * 6
    names = {
        block[key][0] for block in blocks for key in ("desc_sparse", "alphas_sparse")
    }
    assert names == {f"gap_files/{table.name}" for table in tables}
    for block in blocks:
        # TurboGAP counts lines: the length of a point is their number over that of alphas.
        alphas = (tmp_path / block["alphas_sparse"][0]).read_text().splitlines()
        points = (tmp_path / block["desc_sparse"][0]).read_text().splitlines()
        assert all(len(line.split()) == 2 for line in alphas)
        assert all(len(line.split()) == 1 for line in points)
        kind = block["kind"][0]
        width = {"distance_2b": 1, "angle_3b": 3}.get(kind, len(points) / len(alphas))
        assert len(points) == width * len(alphas)
    assert [block["central_species"] for block in blocks[:2]] == [["1"], ["2"]]
    assert blocks[0]["n_max"] == ["2", "3"]
    assert blocks[0]["rcut"] == ["4.5", "4.5"]
    assert [float(word) for word in blocks[0]["nf"]] == [3.0, 3.0]
    text = document.read_text()
    assert text.isascii()
    assert input_lines(oxide, document) == [
        "pot_file = 'gap_files/oxide.gap'",
        "n_species = 2",
        "species = O Si",
        "e0 = -4.25 -1.5",
    ]
    assert "! species = O Si\n! e0 = -4.25 -1.5\n" in text
    # TurboGAP goes back by as many lines as keys it read before n_species.
    assert "gap_beg soap_turbo\nn_species = 2\n" in text


@pytest.mark.parametrize(
    ("given", "runs_in"),
    [
        ("x.gap", "work"),
        ("./x.gap", "work"),
        ("../x.gap", ""),
        ("gap_files/x.gap", "work"),
        ("../work/gap_files/x.gap", "work"),
        ("gap_files/../x.gap", "work"),
    ],
)
def test_names_hold_in_the_folder_where_turbogap_runs(
    given, runs_in, silicon, tmp_path, monkeypatch
):
    """That of the file, or the one around it if the path names it: not gapfit's."""
    (tmp_path / "work" / "gap_files").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    document, *tables = [path.resolve() for path in save(silicon, given)]
    assert load(given).species == (14,)
    folder = tmp_path / runs_in
    keys = ("desc_sparse", "alphas_sparse")
    names = [block[key][0] for block in blocks_of(document) for key in keys]
    assert {(folder / name).resolve() for name in names} == set(tables)
    assert not any(name.startswith("..") for name in names)
    pot_file = input_lines(silicon, given)[0].split("'")[1]
    assert (folder / pot_file).resolve() == document


def test_the_weight_of_a_single_species_is_turbogaps(tmp_path):
    frames = ase.io.read(SI_O / "train.xyz", ":")
    silicon = [atoms[atoms.numbers == 14] for atoms in frames]
    for atoms, whole in zip(silicon, frames, strict=True):
        forces = whole.get_forces()[whole.numbers == 14]
        atoms.calc = None
        atoms.info["energy"] = -1.0 * len(atoms)
        atoms.arrays["forces"] = forces
    turbo = {"central_weight": 0.5, "compression": "trivial"}
    model = fitted(silicon, SOAP | {"turbo": turbo}, e0={"Si": 0.0})
    save(model, tmp_path / "x.gap")
    assert blocks_of(tmp_path / "x.gap")[0]["central_weight"] == ["0.5"]
    same(model, load(tmp_path / "x.gap"), silicon[:2])
    with pytest.raises(GapfitError, match="is 1 in QUIP"):
        gapfit.quip.save(model, tmp_path / "x.xml")


def test_pairs_that_quip_counts_once_count_twice(tmp_path):
    """The model of such a file is the same; TurboGAP has no other count."""
    frames = ase.io.read(SI_O / "train.xyz", ":")
    model = fitted(frames, PAIRS, e0={"Si": 0.0, "O": 0.0})
    gapfit.quip.save(model, tmp_path / "twice.xml")
    twice = gapfit.quip.load(tmp_path / "twice.xml")
    once = replace(
        model,
        record=replace(
            twice.record, quip=replace(twice.record.quip, counted_once=(True,))
        ),
    )
    gapfit.quip.save(once, tmp_path / "once.xml")
    assert "distance_Nb order=2" in (tmp_path / "once.xml").read_text()
    save(gapfit.quip.load(tmp_path / "once.xml"), tmp_path / "x.gap")
    same(model, load(tmp_path / "x.gap"), frames[:2])
    atoms = molecule("Si3O4", 3)
    found = energies_of(tmp_path / "x.gap", atoms, tmp_path)["distance_2b"]
    assert found == pytest.approx(model.predict(atoms).energy, abs=1e-8)


OBSTACLES = {
    "switch": (PAIRS | {"switch": "smooth", "width": 1.0}, 'switch = "smooth"'),
    "width": (TRIPLETS | {"width": 0.8}, "width = 0.8 Å: fit with"),
    "mean": (PAIRS | {"f0": 0.1}, "f0 = 0.1 eV: fit with f0 = 0"),
    "distances": (TRIPLETS | {"coordinates": "distances"}, 'coordinates = "distances"'),
    "basis": (SOAP | {"rbf": "bessel", "turbo": {}}, 'rbf = "bessel": fit with rbf'),
    "density": ({"type": "eam_density"}, "TurboGAP has no such descriptor"),
    "neighbours": (OF_TWO | {"turbo": {"neighbours": ["O"]}}, "species Si, which"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_turbogap_does_not_have_is_not_written(name, tmp_path):
    term, message = OBSTACLES[name]
    frames = ase.io.read(SI_O / "train.xyz", ":2")
    if name == "distances":
        model = gapfit.quip.load(ROOT / "tests" / "quip_models" / "P" / "gap.xml")
    else:
        model = fitted(frames, term, e0={"Si": 0.0, "O": 0.0})
    with pytest.raises(GapfitError, match=message) as caught:
        save(model, tmp_path / "x.gap")
    assert str(caught.value).startswith("TurboGAP cannot express this model:\n  - ")
    assert not list(tmp_path.iterdir())


def test_potentials_of_structures_are_not_written(tmp_path):
    frames = ase.io.read(SI_O / "train.xyz", ":2")
    e0 = {"Si": 0.0, "O": 0.0}
    baseline = {"charges": {"Si": 0.4, "O": -0.4}}
    model = fitted(frames, PAIRS, e0=e0, baseline=baseline)
    with pytest.raises(GapfitError, match=r"charges.*: fit without it"):
        save(model, tmp_path / "x.gap")


def test_repulsion_becomes_core_potentials(tmp_path):
    frames = ase.io.read(SI_O / "train.xyz", ":")
    model = fitted(
        frames,
        PAIRS,
        e0={"Si": 0.0, "O": 0.0},
        baseline={"repulsion": "zbl", "r_cut": 2.5, "width": 1.2},
    )
    save(model, tmp_path / "x.gap")
    again = load(tmp_path / "x.gap")
    assert again.baseline is not None
    for atoms in (*frames[-2:], molecule("Si3O4", 1)):
        one, two = model.predict(atoms), again.predict(atoms)
        np.testing.assert_allclose(two.energies, one.energies, rtol=0, atol=1e-8)
        np.testing.assert_allclose(two.forces, one.forces, rtol=0, atol=1e-5)
    for r in (0.5, 0.8, 1.2, 2.0):
        pair = Atoms("SiO", [[0, 0, 0], [r, 0, 0]], cell=[20.0] * 3, pbc=True)
        core = energies_of(tmp_path / "x.gap", pair, tmp_path)["core_pot"]
        (phi, _, _) = zbl(np.array([r]), 14, 8)
        (fades, _, _) = Switch(2.5, 1.2)(np.array([r]))
        assert core == pytest.approx(phi[0] * fades[0], rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("ends_with_zero", [False, True])
def test_tables_that_jump_at_their_end_are_not_sampled(ends_with_zero, tmp_path):
    """Slopes that are no cubic spline's: the table of one pair is shorter."""
    lines = []
    for pair, r_cut in (("Si-Si", 3.0), ("O-Si", 2.2)):
        r = np.linspace(0.3, r_cut, 30)
        last = r_cut if ends_with_zero else 4.0
        rows = np.column_stack([r, 4 * (last - r) ** 5, -20 * (last - r) ** 4])
        lines += [pair, *(" ".join(map(repr, row)) for row in rows.tolist())]
    (tmp_path / "pairs.dat").write_text("\n".join(lines))
    frames = ase.io.read(SI_O / "train.xyz", ":")
    baseline = {"table": str(tmp_path / "pairs.dat")}
    e0 = {"Si": 0.0, "O": 0.0}
    model = fitted(frames, PAIRS, e0=e0, baseline=baseline)
    if not ends_with_zero:
        with pytest.raises(
            GapfitError, match="Si-Si ends with 4 eV and -20 eV/Å at 3 Å"
        ):
            save(model, tmp_path / "x.gap")
        return
    save(model, tmp_path / "x.gap")
    again = load(tmp_path / "x.gap")
    for r in (0.5, 2.19, 2.21, 2.99):
        for symbols in ("SiO", "Si2"):
            pair = Atoms(symbols, [[0, 0, 0], [r, 0, 0]])
            one, two = model.predict(pair), again.predict(pair)
            assert two.energy == pytest.approx(one.energy, abs=1e-7)
            np.testing.assert_allclose(two.forces, one.forces, rtol=0, atol=2e-5)


def test_names_and_files_that_exist_are_refused(oxide, tmp_path):
    with pytest.raises(GapfitError, match=r"TurboGAP reads \.gap"):
        save(oxide, tmp_path / "x.xml")
    with pytest.raises(GapfitError, match="names of ASCII letters between quotes"):
        save(oxide, tmp_path / "o'neill.gap")
    assert not list(tmp_path.iterdir())
    (tmp_path / "x.gap").touch()
    with pytest.raises(GapfitError, match="exists already"):
        save(oxide, tmp_path / "x.gap")


def test_a_failed_write_leaves_the_files_before_it(
    silicon, oxide, tmp_path, monkeypatch
):
    """Tables have names of their own, so no file ever names those of another model."""
    before = {path: path.read_bytes() for path in save(oxide, tmp_path / "x.gap")}

    def fails(source, target):
        if str(target).endswith("alphas_angle_3b_1.dat"):
            raise OSError(28, "No space left on device")
        return rename(source, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(GapfitError, match="No space left"):
        save(silicon, tmp_path / "x.gap", overwrite=True)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    save(silicon, tmp_path / "x.gap", overwrite=True)
    assert load(tmp_path / "x.gap").e0 == silicon.e0
    assert all(before[path] == path.read_bytes() for path in [*before][1:])


def test_more_tables_than_files_can_be_open(oxide, tmp_path):
    with open_files_limit(8):
        assert len(save(oxide, tmp_path / "x.gap")) == 23
