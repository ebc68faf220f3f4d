"""Potentials of TurboGAP as its converter writes them, and damaged ones."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols
from helpers.turbogap_cases import molecule
from helpers.turbogap_files import CORE, E0, TEXT, WIDTH, write
from helpers.turbogap_sums import energies_of

import gapfit
from gapfit.errors import GapfitError, ModelFileError
from gapfit.turbogap import load, save
from gapfit.turbogap.descriptors import trivial_places

CH = molecule("C3H4", 5)


def test_energies_are_the_sums_over_the_tables(tmp_path):
    pytest.importorskip("quippy")
    path = write(tmp_path, E0 + TEXT)
    model = load(path)
    assert model.e0 == {1: 0.05, 6: -0.25}
    assert [term.config.type for term in model.terms] == [
        *("distance_2b", "angle_3b", "soap")
    ]
    # Two atoms are closer than the first point of the core.
    near = Atoms(
        "CHC", [[0, 0, 0], [0.3, 0, 0], [0, 1.5, 0]], cell=[20.0] * 3, pbc=True
    )
    for atoms in (CH, near):
        found = energies_of(path, atoms, tmp_path)
        assert set(found) == {"distance_2b", "angle_3b", "soap_turbo", "core_pot"}
        e0 = sum(model.e0[z] for z in atoms.numbers)
        assert all(abs(value) > 1e-4 for value in found.values())
        predicted = model.predict(atoms).energy
        assert sum(found.values()) + e0 == pytest.approx(predicted, abs=1e-8)
    assert energies_of(path, near, tmp_path)["core_pot"] > 10


def test_forces_are_slopes_of_the_energy(tmp_path):
    model = load(write(tmp_path))
    atoms, step = CH.copy(), 1e-4
    forces = model.predict(atoms).forces
    for i, axis in ((0, 1), (4, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * step
            energies.append(model.predict(moved).energy)
        slope = (energies[0] - energies[1]) / (2 * step)
        assert forces[i, axis] == pytest.approx(-slope, abs=1e-5)


def test_a_read_potential_is_written_again(tmp_path):
    """With its kernels and its core potential, without its local properties."""
    pytest.importorskip("quippy")
    model = load(write(tmp_path, E0 + TEXT))
    assert model.record.quip.ignored[:2] == ("has_vdw", "vdw_qs")
    (tmp_path / "again").mkdir()
    document, *_ = save(model, tmp_path / "again" / "x.gap")
    again = load(document)
    assert not again.record.quip.ignored
    one, two = model.predict(CH), again.predict(CH)
    np.testing.assert_allclose(two.energies, one.energies, rtol=0, atol=1e-10)
    np.testing.assert_allclose(two.forces, one.forces, rtol=0, atol=1e-10)
    assert "kernel_type = 'pol'" in document.read_text()
    found = energies_of(document, CH, tmp_path)
    assert found["core_pot"] == pytest.approx(
        energies_of(tmp_path / "CH.gap", CH, tmp_path)["core_pot"], abs=1e-10
    )


def test_energies_of_atoms_are_comments_one_after_the_other(tmp_path):
    without = load(write(tmp_path))
    (warning,) = without.record.warnings
    assert "`! species = H C` and below it `! e0 = ... ...`" in warning
    assert set(without.e0.values()) == {0.0}
    with_e0 = load(write(tmp_path, f"# e0 = 7\n{E0}{TEXT}"))
    assert not with_e0.record.warnings
    shift = with_e0.predict(CH).energy - without.predict(CH).energy
    assert shift == pytest.approx(3 * -0.25 + 4 * 0.05, abs=1e-12)


def test_defaults_are_turbogaps(tmp_path):
    """sigma = 1 Å, kernel exp, buffer 0.5 Å, nf 4, and the others as in the text."""
    keys = ("buffer", "nf", "scaling mode", "amplitude_scaling")
    text = TEXT.replace("amplitude_scaling = 2.0 2.0", "amplitude_scaling = 1.0 1.0")
    explicit = load(write(tmp_path, text))
    lines = [line for line in text.split("\n") if not line.startswith(keys)]
    short = load(write(tmp_path, "\n".join(lines)))
    assert short.predict(CH).energy == explicit.predict(CH).energy
    no_lengths = re.sub(
        r"(sigma = .*|kernel_type = .*)\n", "", TEXT.split("gap_beg soap")[0]
    )
    bare = load(write(tmp_path, no_lengths))
    configs = [term.config for term in bare.terms]
    assert configs[0].theta == 1.0
    assert configs[1].theta == [1.0] * 3
    assert configs[1].kernel == "exponential"


def test_a_file_of_compression_is_the_trivial_one_or_refused(tmp_path):
    mode = load(write(tmp_path)).predict(CH).energy
    text = TEXT.replace(
        'compress_mode = "trivial"', "file_compress_soap = 'gap_files/compress.dat'"
    )
    places = trivial_places([2, 3], 2)
    rows = "\n".join(map(str, places))
    compress = f"2 3 2 {WIDTH}\n{rows}\n"
    path = write(tmp_path, text, **{"compress.dat": compress})
    assert load(path).predict(CH).energy == mode
    refused = {
        "2 3 2 2\n1\n2\n": "keeps other components",
        compress.replace("2 3 2", "3 2 2"): "keeps other components",
        "2 3 2 5\n1\n": "announces 5 components in line 1 and has 1",
        "2 3\n1\n": "compress.dat, line 1: 2 numbers instead of 4",
        "2 3 2 1\nx\n": "compress.dat, line 2: x is not a whole number",
    }
    for content, message in refused.items():
        with pytest.raises(GapfitError, match=message):
            load(write(tmp_path, text, **{"compress.dat": content}))


def test_kept_components_by_hand():
    """Of species with 2 and 1 functions and l_max = 1, all but (2, 2)."""
    assert trivial_places([2, 1], 1) == [1, 2, 3, 4, 5, 6, 9, 10, 11, 12]
    assert trivial_places([8], 8) == list(range(1, 73))


def change(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


#: Damaged files, with the line that the message names.
DAMAGED = {
    "no block": ("! nothing here\n", "not a potential of TurboGAP"),
    "truncated": (TEXT[:150], "line 1: the block distance_2b has no gap_end"),
    "no end": (
        change("gap_end\n\n! a", "\n! a"),
        "line 1: the block distance_2b has no gap_end",
    ),
    "outside": (f"rcut = 3\n{TEXT}", "line 1: 'rcut = 3' is outside of a block"),
    "end twice": (
        change("gap_end", "gap_end\ngap_end"),
        "line 10: 'gap_end' is outside",
    ),
    "unknown block": (
        change("angle_3b", "angle_4b"),
        "line 12: the block angle_4b is not supported; supported are distance_2b,",
    ),
    "unknown key": (
        change("rcut = 4.0", "rcutt = 4.0"),
        "line 6: distance_2b has no key rcutt that gapfit knows; did you mean rcut?",
    ),
    "key of another block": (
        change("rcut = 4.0", "l_max = 4"),
        "line 6: distance_2b has no key l_max",
    ),
    "electrostatics": (
        change("has_vdw", "has_charges"),
        "line 48: soap_turbo has no key has_charges",
    ),
    "no blanks": (
        change("delta = 0.5", "delta=0.5"),
        "line 4: expected a line such as",
    ),
    "no value": (change("delta = 0.5", "delta ="), "line 4: expected a line such as"),
    "twice": (
        change("delta = 0.5", "delta = 0.5\ndelta = 0.6"),
        "line 5: delta occurs twice in this block, first in line 4",
    ),
    "missing": (change("rcut = 4.0\n", ""), "line 1: distance_2b: rcut is missing"),
    "no number": (
        change("sigma = 0.7", "sigma = wide"),
        "line 5: distance_2b: sigma: w",
    ),
    "not finite": (
        change("delta = 0.5", "delta = NaN"),
        "line 4: .*NaN is not a finite",
    ),
    "two values": (
        change("delta = 0.5", "delta = 0.5 0.6"),
        "line 4: distance_2b: delta = 0.5 0.6 must have one value",
    ),
    "one length": (
        re.sub("sigma = 0.2.*", "sigma = 2.0", TEXT),
        "line 17: angle_3b: sigma = 2.0 must have 3 values",
    ),
    "no element": (
        change("species2 = C", "species2 = Xx"),
        "line 3: .*Xx is not a chem",
    ),
    "kernel": (
        change("kernel_type = pol", "kernel_type = lin"),
        "line 18: angle_3b: kernel_type = lin is not supported .only exp and pol",
    ),
    "cutoffs": (change("rcut = 4.0 4.0", "rcut = 4.0 4.5"), "line 28: .*same for all"),
    "centre": (
        change("central_species = 2", "central_species = 0"),
        "line 27: .*1 to n_s",
    ),
    "scale": (
        change("n_max = 2 3", "n_max = 2 3\nglobal_scaling = 1 2"),
        "line 36: soap_turbo: global_scaling .* same for all",
    ),
    "basis": (
        change("poly3gauss", "poly4"),
        "line 40: .*basis = poly4 is not supported",
    ),
    "functions": (change("n_max = 2 3", "n_max = 0 3"), "line 35: .*not possible"),
    "many functions": (
        change("n_species = 2", "n_species = 20")
        .replace("species =  H C\n", f"species = {' '.join(chemical_symbols[1:21])}\n")
        .replace("n_max = 2 3", f"n_max = {' '.join(['99'] * 20)}"),
        "line 35: .*n_max adds up to 1980; at most 1000 are supported",
    ),
    "l_max": (
        change("l_max = 2", "l_max = many"),
        "line 36: .*l_max: many is not a whole",
    ),
    "compression": (change('"trivial"', '"1_0"'), "line 47: .*compress_mode = 1_0"),
    "logical": (change(".true.", "yes"), "line 46: .*compress_soap = yes is not"),
    "enhancement": (
        change("radial_enhancement = 1", "radial_enhancement = 5"),
        "line 24: .*radial_enhancement",
    ),
    "e0": (E0.replace("C H", "C") + TEXT, "line 2: e0 = .*2 values for C"),
    "e0 twice": (
        E0.replace("C H", "C C") + TEXT,
        "line 2: e0 = .*a species occurs twice",
    ),
    "e0 absurd": (
        E0.replace("-0.25", "1e300") + TEXT,
        "line 2: e0 = .* 1e.300 eV is the",
    ),
    "e0 of one": (
        "! species = C\n! e0 = 1\n" + TEXT,
        "the comment e0 has no energy of H",
    ),
    "core alone": (TEXT[TEXT.index("gap_beg core") :], "has core potentials alone"),
    "core twice": (
        TEXT + TEXT[TEXT.index("gap_beg core") :],
        "a second core potential of H-C; TurboGAP adds both",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_with_its_line(name, tmp_path):
    text, message = DAMAGED[name]
    path = write(tmp_path, text)
    with pytest.raises(GapfitError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


#: Damaged tables: the name, what becomes of its text, and the message.
TABLES = {
    "a number less": (
        "CH.xml.sparseX.GAP_2",
        lambda text: text[: text.rindex("\n", 0, -1) + 1],
        "GAP_2: has 20 numbers, but the 7 sparse points .* in line 12 of .* 7 x 3",
    ),
    "a point less": (
        "alphas_soap_turbo_1.dat",
        lambda text: text[: text.rindex("\n", 0, -1) + 1],
        f"GAP_3: has {4 * WIDTH} numbers, but the 3 sparse points",
    ),
    "cutoffs missing": (
        "alphas_distance_2b_1.dat",
        lambda text: "\n".join(line.split()[0] for line in text.split("\n") if line),
        "alphas_distance_2b_1.dat, line 1: expected 2 numbers: found",
    ),
    "NaN": (
        "alphas_angle_3b_1.dat",
        lambda text: re.sub(r"\n\S+", "\nNaN", text, count=2),
        "alphas_angle_3b_1.dat, line 2: expected 2 numbers: NaN is not a finite number",
    ),
    "overflow": (
        "CH.xml.sparseX.GAP_1",
        lambda text: text.replace("E+00", "E+900", 1),
        "GAP_1, line 1: expected 1 number: .*E.900 is not a finite number",
    ),
    "other units": (
        "CH.xml.sparseX.GAP_1",
        lambda text: text.replace("E+00", "E+10"),
        "line 1: distance_2b: .* a number of a sparse point is .*no fit",
    ),
    "two in a line": (
        "CH.xml.sparseX.GAP_3",
        lambda text: text.replace("\n", " ", 1),
        "GAP_3, line 1: expected 1 number: found",
    ),
    "empty": ("CH.xml.sparseX.GAP_1", lambda _: "", "GAP_1, line 1: expected 1 number"),
    "core too short": (
        "core_pot_1.dat",
        lambda text: text[: text.rindex("2.4")],
        "core_pot_1.dat: announces 5 points in line 1 and has 4",
    ),
    "core without head": (
        "core_pot_1.dat",
        lambda text: text.partition("\n")[2],
        "core_pot_1.dat, line 1: expected the number of points and the slopes",
    ),
    "core reordered": (
        "core_pot_1.dat",
        lambda text: text.replace("0.8 20.0\n1.2 5.0", "1.2 5.0\n0.8 20.0"),
        "core_pot_1.dat: H-C: .* ascending r",
    ),
    "core damaged": (
        "core_pot_1.dat",
        lambda text: text.replace("1.2 5.0", "1.2"),
        "core_pot_1.dat, line 4: expected 2 numbers: found '1.2'",
    ),
    "core in eV per nm": (
        "core_pot_1.dat",
        lambda text: text.replace("60.0", "6e20"),
        "core_pot_1.dat: H-C: an energy or slope above",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_damaged_tables_are_named_with_their_line(name, tmp_path):
    table, damage, message = TABLES[name]
    path = write(tmp_path)
    (tmp_path / table).write_text(damage((tmp_path / table).read_text()))
    with pytest.raises(ModelFileError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(tmp_path))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"CH.gap: cannot be opened"):
        load(tmp_path / "CH.gap")
    path = write(tmp_path)
    (tmp_path / "core_pot_1.dat").unlink()
    with pytest.raises(ModelFileError, match=r"core_pot_1.dat: .* in the same folder"):
        load(path)


def test_tables_of_pairs_that_would_fill_the_memory_are_refused(tmp_path):
    symbols = " ".join(chemical_symbols[1:])
    text = f"! species = {symbols}\n! e0 = {'0 ' * 118}\n{TEXT}"
    path = write(tmp_path, text, **{"core_pot_1.dat": CORE.replace("2.4", "25.0")})
    with pytest.raises(GapfitError, match=r"CH.gap: 118 species are too many for tab"):
        load(path)


def test_descriptors_that_the_library_confuses_are_refused(tmp_path):
    block = TEXT[TEXT.index("gap_beg soap") : TEXT.index("gap_beg core")]
    other = block.replace("atom_sigma_r = 0.4 0.5", "atom_sigma_r = 0.4 0.6")
    with pytest.raises(GapfitError, match="adds up to 5 in both"):
        load(write(tmp_path, block + other))


def test_blocks_of_the_same_settings_are_one_term(tmp_path):
    pairs = TEXT[: TEXT.index("! a comment")]
    model = load(write(tmp_path, pairs + pairs.replace("species1 =  H", "Z1 = C")))
    (term,) = model.terms
    assert sorted(len(points) for points in term.sparse.values()) == [0, 6, 6]
    # Two blocks of one pair are the sum of both.
    one, two = (load(write(tmp_path, pairs * n)).predict(CH).energy for n in (1, 2))
    assert not math.isclose(one, 0.0, abs_tol=1e-3)
    assert two == pytest.approx(2 * one, rel=1e-12)


def test_commands_convert_there_and_back(silicon, tmp_path, capsys, monkeypatch):
    from gapfit.cli import main

    monkeypatch.chdir(tmp_path)
    Path("gap_files").mkdir()
    silicon.save("model.npz")
    assert main(["convert", "model.npz", "gap_files/si.gap"]) == 0
    out = capsys.readouterr().out
    for line in ("pot_file = 'gap_files/si.gap'", "species = Si", "e0 = -"):
        assert line in out
    assert main(["convert", "gap_files/si.gap", "back.npz"]) == 0
    atoms = Atoms("Si2", [[0, 0, 0], [2.2, 0, 0]], cell=[20.0] * 3, pbc=True)
    found = gapfit.load("back.npz").predict(atoms).energy
    assert found == pytest.approx(silicon.predict(atoms).energy, abs=1e-9)
    capsys.readouterr()
    assert main(["info", "back.npz"]) == 0
    assert "read from TurboGAP  si.gap" in capsys.readouterr().out
    write(tmp_path)
    assert main(["convert", "CH.gap", "ch.npz"]) == 0
    out = capsys.readouterr().out
    assert "left out  has_vdw, vdw_qs" in out
    assert "energies of isolated atoms are 0" in out
    assert "dispersion and electrostatics" in out
    assert main(["convert", "CH.gap", "ch.xml"]) == 1
    assert "becomes a file *.npz" in capsys.readouterr().err
    assert main(["predict", "CH.gap", "x.xyz", "--output", "y.xyz"]) == 1
