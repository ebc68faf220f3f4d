"""Potentials underneath a GAP of QUIP: Glue runs, and all others are refused by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ase import Atoms
from builders import ROOT

from gapfit.baseline.pair_file import read_pairs
from gapfit.errors import GapfitError
from gapfit.quip import load
from gapfit.quip.glue import pair_table_text, read_glue

TEXT = (ROOT / "tests" / "quip_models" / "CuAl" / "gap.xml").read_text()
LABEL = re.search(r'<Potential label="([^"]+)"', TEXT)[1]
GAP = f"IP GAP label={LABEL}"
GLUE = """<Glue_params n_types="1"><per_type_data type="1" atomic_num="29">
<density num_points="2" density_y1="0.0" density_yn="0.0"><point a="0.5" rho="0.0"/>
<point a="1.0" rho="0.0"/></density>
<potential_density num_points="2"><point rho="0.0" E="0.0"/><point rho="1.0" E="0.0"/>
</potential_density></per_type_data><per_pair_data type1="1" type2="1">
<potential_pair num_points="4" y1="-1.0" yn="0.0"><point r="1.0" E="5.0"/>
<point r="1.5" E="3.0"/><point r="2.5" E="1.2"/><point r="4.0" E="0.0"/>
</potential_pair></per_pair_data></Glue_params>"""
#: Of Cu2 with Glue alone, from quippy, eV.
GLUE_ENERGY = 1.272694736842
DISTANCE = 2.4


def both(one: str, other: str) -> str:
    return f"Sum init_args_pot1={{{one}}} init_args_pot2={{{other}}}"


def document(potential: str, extra: str = "") -> str:
    """Return the model with another element Potential, and elements after it."""
    return re.sub("<Potential[^>]*/>", lambda _: potential + extra, TEXT)


def summed(init: str, extra: str = "") -> str:
    return document(f'<Potential label="{LABEL}" init_args="{init}"/>', extra)


def energy(tmp_path, text: str) -> float:
    path = tmp_path / "gap.xml"
    path.write_text(text)
    dimer = Atoms("Cu2", [[0, 0, 0], [DISTANCE, 0, 0]], cell=[15.0] * 3, pbc=True)
    return load(path).predict(dimer).energy


ON_GLUE = {
    "as gap_fit writes it": summed(both("IP Glue", GAP), GLUE),
    "in the other order": summed(both(GAP, "IP Glue"), GLUE),
    "small letters": summed(
        both("ip glue", f"ip gap LABEL={LABEL}").replace("Sum", "sum"), GLUE
    ),
    "capitals": summed(
        both("IP GLUE", GAP).replace("Sum", "SUM").replace("init_args", "INIT_ARGS"),
        GLUE,
    ),
    "without labels": summed(both("IP Glue", "IP GAP"), GLUE),
    "with labels": summed(
        both("IP Glue label=core", GAP), GLUE.replace("n_types", 'label="core" n_types')
    ),
    "with quotes and commas": summed(
        f"Sum, init_args_pot1='IP,Glue',init_args_pot2='{GAP}'", GLUE
    ),
    "with blanks": summed(both("  IP   Glue ", f"IP GAP label = {LABEL}"), GLUE),
    "inside the root element of another file": summed(
        both("IP Glue", GAP), f"<quip><!-- Cu -->{GLUE}</quip>"
    ),
    "inside Potential": document(
        f'<Potential label="{LABEL}" init_args="{both("IP Glue", GAP)}">{GLUE}'
        "</Potential>"
    ),
    "inside GAP_params": summed(both("IP Glue", GAP)).replace(
        "</GAP_params>", f"{GLUE}</GAP_params>"
    ),
    "after the GAP, which says so": summed(both("IP Glue", GAP), GLUE).replace(
        'do_core="F"', 'do_core="T"'
    ),
    "beside a Potential of another label": summed(
        both("IP Glue", GAP), f'<Potential label="other" init_args="IP LJ"/>{GLUE}'
    ),
}


@pytest.mark.parametrize("name", ON_GLUE)
def test_glue_runs_however_it_is_spelled(tmp_path, name):
    alone = energy(tmp_path, summed(GAP))
    assert energy(tmp_path, ON_GLUE[name]) - alone == pytest.approx(
        GLUE_ENERGY, abs=1e-8
    )


@pytest.mark.parametrize("name", ON_GLUE)
def test_energies_on_glue_are_those_of_quippy(tmp_path, name):
    potential = pytest.importorskip("quippy.potential")
    found = energy(tmp_path, ON_GLUE[name])
    dimer = Atoms("Cu2", [[0, 0, 0], [DISTANCE, 0, 0]], cell=[15.0] * 3, pbc=True)
    dimer.calc = potential.Potential("", param_filename=str(tmp_path / "gap.xml"))
    assert found == pytest.approx(dimer.get_potential_energy(), abs=1e-8)


LJ = '<LJ_params n_types="1"><per_type_data type="1" atomic_num="29"/></LJ_params>'
REFUSED = {
    "Lennard-Jones": (summed(both("IP LJ", GAP), LJ), "sum of gap and lj"),
    "without parameters": (summed(both("IP ZBL", GAP)), "sum of gap and zbl"),
    "Tersoff after the GAP": (
        summed(both(GAP, "IP Tersoff")),
        "sum of gap and tersoff",
    ),
    "tight binding": (summed(both("TB DFTB", GAP)), "TB DFTB"),
    "callback": (summed("CallbackPot"), "CallbackPot"),
    "Glue alone": (summed("IP Glue", GLUE), "sum of glue"),
    "one part of a sum": (summed("Sum init_args_pot1={IP GAP}"), "init_args_pot1"),
    "a third part": (
        summed(f"{both('IP Glue', GAP)} init_args_pot3={{IP LJ}}", GLUE),
        "not supported",
    ),
    "a sum in a sum": (
        summed(both("IP Glue", both("IP LJ", GAP)), GLUE),
        "sum of gap and glue and lj",
    ),
    "Glue twice": (
        summed(both("IP Glue", both("IP Glue", GAP)), GLUE),
        "glue and glue",
    ),
    "the GAP twice": (summed(both(GAP, GAP)), "sum of gap and gap"),
    "two kinds in one": (summed("IP GAP Glue", GLUE), "IP GAP Glue"),
    "two in one": (summed(f"IP Glue {GAP}", GLUE), "IP Glue IP GAP"),
    "scaled energies": (summed(f"{GAP} E_scale=2.0"), "with e_scale"),
    "scaled distances": (summed(f"{GAP} do_rescale_r r_scale=1.1"), "not supported"),
    "another label": (summed("IP GAP label=other"), "names GAP label=other"),
    "another label of Glue": (
        summed(both("IP Glue label=other", GAP), GLUE),
        "names Glue label=other",
    ),
    "a tab": (summed(f"IP&#9;{GAP}"), "a tab"),
    "an open brace": (summed("Sum init_args_pot1={IP Glue"), "not closed"),
    "nothing": (summed(""), "not supported"),
    "Glue that is not there": (summed(both("IP Glue", GAP)), "Glue_params are missing"),
    "Glue in small letters": (
        summed(both("IP Glue", GAP), GLUE.replace("Glue_params", "glue_params")),
        "Glue_params are missing",
    ),
    "two Glues": (summed(both("IP Glue", GAP), GLUE + GLUE), "2 Glue_params"),
    "Glue that is left out": (summed(GAP, GLUE), "Glue_params are in the file"),
    "a core that is left out": (
        summed(GAP).replace('do_core="F"', 'do_core="T"'),
        'do_core="T"',
    ),
    "parameters of another potential": (summed(GAP, LJ), "LJ_params, which is not"),
    "the same inside another element": (summed(GAP, f"<a>{LJ}</a>"), "LJ_params"),
    "the same inside GAP_params": (
        summed(GAP).replace("</GAP_params>", f"{LJ}</GAP_params>"),
        "LJ_params",
    ),
    "an unknown element": (summed(GAP, '<Screening a="1"/>'), "Screening"),
    "an unknown element of a descriptor": (
        summed(GAP).replace("</gpCoordinates>", "<tail/></gpCoordinates>", 1),
        "tail",
    ),
    "no Potential, but Glue": (document("", GLUE), "no Potential"),
    "no Potential, but a core": (
        document("").replace('do_core="F"', 'do_core="T"'),
        "no Potential",
    ),
    "Potential in small letters": (
        document(f'<potential init_args="{GAP}"/>', GLUE),
        "no Potential",
    ),
    "Potential in small letters alone": (
        document(f'<potential init_args="{GAP}"/>'),
        "potential, which is not",
    ),
    "no arguments": (document(f'<Potential label="{LABEL}"/>'), "init_args"),
    "arguments in capitals": (
        document(f'<Potential label="{LABEL}" INIT_ARGS="{GAP}"/>'),
        "init_args",
    ),
    "two Potentials of the same label": (
        summed(GAP, f'<Potential label="{LABEL}" init_args="IP LJ"/>'),
        "2 elements Potential",
    ),
    "two Potentials of other labels": (
        summed(GAP, '<Potential label="b" init_args="IP LJ"/>').replace(
            f'Potential label="{LABEL}"', 'Potential label="a"'
        ),
        r"labels a, b",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_run_is_refused_by_name(tmp_path, name):
    text, message = REFUSED[name]
    path = tmp_path / "gap.xml"
    path.write_text(text)
    with pytest.raises(GapfitError, match=re.escape(message)) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_sums_nested_without_end_are_refused(tmp_path):
    init = "IP GAP"
    for _ in range(2000):
        init = both(init, "IP Glue")
    path = tmp_path / "gap.xml"
    path.write_text(summed(init, GLUE))
    with pytest.raises(GapfitError, match="not supported"):
        load(path)


def test_a_file_without_potential_is_the_gap_alone(tmp_path):
    assert energy(tmp_path, document("")) == energy(tmp_path, summed(GAP))


def test_glue_from_the_origin_is_the_same_beyond_the_core(tmp_path):
    """Such files exist; models of gapfit begin their pair potentials above r = 0."""
    text = GLUE.replace('<point r="1.0" E="5.0"/>', '<point r="0.0" E="5.0"/>')
    path = tmp_path / "gap.xml"
    path.write_text(summed(both("IP Glue", GAP), text))
    model = load(path)
    model.save(tmp_path / "model.npz")
    potential = pytest.importorskip("quippy.potential")
    quip = potential.Potential("", param_filename=str(path))
    for r in np.linspace(0.5, 4.2, 9):
        dimer = Atoms("Cu2", [[0, 0, 0], [r, 0, 0]], cell=[15.0] * 3, pbc=True)
        found = model.predict(dimer).energy
        dimer.calc = quip
        assert found == pytest.approx(dimer.get_potential_energy(), abs=1e-8)


@pytest.mark.parametrize(
    ("old", "new"), [('y1="-1.0"', 'y1="1.e50"'), ('yn="0.0"', 'yn="1.e50"')]
)
def test_a_slope_of_1e50_is_an_end_without_curvature(tmp_path, old, new):
    """Published files have it at the inner end of the core potential."""
    path = tmp_path / "gap.xml"
    path.write_text(summed(both("IP Glue", GAP), GLUE.replace(old, new)))
    model = load(path)
    potential = pytest.importorskip("quippy.potential")
    quip = potential.Potential("", param_filename=str(path))
    # Below the first point, too, and up to the last one.
    for r in (0.7, 0.95, 1.05, 1.2, 1.8, 2.4, 3.5, 3.95):
        dimer = Atoms("Cu2", [[0, 0, 0], [r, 0, 0]], cell=[15.0] * 3, pbc=True)
        found = model.predict(dimer)
        dimer.calc = quip
        assert found.energy == pytest.approx(dimer.get_potential_energy(), abs=1e-8)
        assert found.forces == pytest.approx(dimer.get_forces(), abs=1e-8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('r="4.0"', 'r="1e9"', "must be within 0 and 30"),
        ('r="1.5"', 'r="1.00000001"', "in steps of at least"),
        ('r="1.0"', 'r="-1.0"', "must be within 0"),
        ('y1="-1.0"', 'y1="-1e308"', "above 1e+12"),
        ('y1="-1.0"', 'y1="1e20"', "above 1e+12"),
        ('E="3.0"', 'E="-1e200"', "above 1e+12"),
        ('num_points="4"', 'num_points="3"', "num_points, 4 of them"),
        ('num_points="4"', f'num_points="{"9" * 5000}"', "999... is not a whole"),
        ('atomic_num="29"', f'atomic_num="{"9" * 20}"', "not an atomic number"),
        ('atomic_num="29"', 'atomic_num="0"', "not an atomic number"),
        ('type1="1"', 'type1="7"', "no 7"),
        ("</Glue_params>", GLUE[GLUE.index("<per_pair") :], "has two potentials"),
    ],
)
def test_absurd_glue_is_refused_before_memory_is_taken(tmp_path, old, new, message):
    assert old in GLUE
    path = tmp_path / "gap.xml"
    path.write_text(summed(both("IP Glue", GAP), GLUE.replace(old, new)))
    with pytest.raises(GapfitError, match=re.escape(message)) as caught:
        load(path)
    assert len(str(caught.value)) < 600


def test_a_file_with_glue_becomes_a_table_of_the_same_points(tmp_path):
    (tmp_path / "glue.xml").write_text(f"<quip>{GLUE}</quip>")
    pairs = read_glue(tmp_path / "glue.xml")
    (tmp_path / "pairs.txt").write_text(pair_table_text(pairs))
    table = read_pairs(tmp_path / "pairs.txt", 1.0)
    assert set(table) == set(pairs) == {29029}
    assert np.array_equal(table[29029], pairs[29029])
    assert table[29029][0, 2] == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<quip/>", "contains 0 Glue_params instead of one"),
        (f"<quip>{GLUE}{GLUE}</quip>", "contains 2 Glue_params"),
        (GLUE.replace('rho="1.0" E="0.0"', 'rho="1.0" E="0.5"'), "densities of Glue"),
        (GLUE[:300], "truncated"),
        (GLUE.replace('r="1.5"', 's="1.5"'), "Glue_params are damaged"),
    ],
)
def test_files_that_give_no_pair_potentials(tmp_path, text, message):
    path = tmp_path / "glue.xml"
    path.write_text(text)
    with pytest.raises(GapfitError, match=message) as caught:
        read_glue(path)
    assert str(caught.value).startswith(f"{path}: ")
