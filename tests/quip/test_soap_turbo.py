"""soap_turbo of QUIP: quippy's descriptors and potentials, commands, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from builders import ROOT
from helpers.quippy_runs import by_quippy
from helpers.turbo_cases import quip_descriptor, random_case

import gapfit
from gapfit.config.terms import SoapConfig
from gapfit.config.turbo import TurboConfig
from gapfit.data.frame import structure_arrays, voigt_to_matrix
from gapfit.data.neighbours import pair_list
from gapfit.descriptors.soap_build import soap_basis, soap_term
from gapfit.errors import GapfitError
from gapfit.fitting.review import species_warnings
from gapfit.quip import load, local_variances, save, translate
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.soap_turbo import turbo_centre, turbo_order, turbo_settings
from gapfit.testing import OTHER_PROGRAM, REORDERED_SUMS

FOLDER = ROOT / "tests" / "quip_models" / "SiO"
ARRAYS = (
    "alpha_max={3 2} atom_sigma_r={0.5 0.4} atom_sigma_t={0.5 0.4} n_species=2 "
    "species_Z={14 8}"
)
PLAIN = f"soap_turbo l_max=2 rcut_hard=4.0 {ARRAYS}"
COMMAND = PLAIN.replace("{", "{{").replace("}", "}}")
COMMAND += " zeta=4 delta=0.5 n_sparse=8 sparse_method=cur_points"


def term_of(options: str, others: set[int] = frozenset()):
    """Return the descriptor of a string of options, QUIP's order, and the centre."""
    parsed = Options.of(options)
    config = SoapConfig(**turbo_settings(parsed))
    channels = parsed.integers("species_Z")
    species = tuple(sorted(set(channels) | others))
    term = soap_term(config, species, soap_basis(config))
    return term, turbo_order(config, channels), turbo_centre(parsed)


def descriptors(options: str, atoms: Atoms) -> np.ndarray:
    """Return gapfit's descriptors of the central atoms in QUIP's order."""
    term, order, centre = term_of(options, set(atoms.numbers.tolist()))
    pairs = pair_list(structure_arrays(atoms), term.cutoff)
    values = term.environments(pairs)[centre].values
    others = np.delete(values, order.features, axis=1)
    assert not others.any()
    out = np.zeros((len(values), order.width))
    out[:, order.places] = values[:, order.features]
    return out


RECORDED = json.loads((FOLDER / "descriptors.json").read_text())


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_descriptors_are_those_recorded_with_quippy(number):
    case = RECORDED[number]
    atoms = Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=True)
    found = descriptors(case["options"], atoms)[0]
    np.testing.assert_allclose(found, case["first"], rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 148))
def test_descriptors_are_those_of_quippy(seed, tmp_path):
    pytest.importorskip("quippy")
    options, atoms = random_case(seed)
    expected = quip_descriptor(options, atoms, tmp_path)
    found = descriptors(options, atoms)
    # Rounding counts for six functions; see `turbo_transform`.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_defaults_are_those_of_quippy(tmp_path):
    pytest.importorskip("quippy")
    atoms = random_case(4)[1]
    atoms.numbers = np.where(atoms.numbers == 14, 14, 8)
    for options in (PLAIN, PLAIN.replace("4.0", "5.5")):
        np.testing.assert_allclose(
            descriptors(options, atoms),
            quip_descriptor(options, atoms, tmp_path),
            rtol=0,
            atol=1e-11,
        )


@pytest.fixture(scope="module")
def model():
    return load(FOLDER / "gap.xml")


@pytest.fixture(scope="module")
def records():
    return json.loads((FOLDER / "reference.json").read_text())


def structure(record: dict) -> Atoms:
    return Atoms(record["symbols"], record["positions"], cell=record["cell"], pbc=True)


def test_energies_forces_virials_and_variances_are_those_of_quip(model, records):
    assert len(records) == 7
    for record in records:
        atoms = structure(record)
        found = model.predict(atoms)
        virial = -voigt_to_matrix(found.stress) * atoms.get_volume()
        for ours, theirs, bound in (
            (found.energies, record["local_energy"], 1e-8),
            (found.energy, record["energy"], 1e-8),
            (found.forces, record["forces"], 1e-8),
            (virial, record["virial"], 1e-7),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)
        np.testing.assert_allclose(
            local_variances(model, atoms),
            record["local_gap_variance"],
            rtol=0,
            atol=1e-12,
        )


def same(one: gapfit.GAPModel, other: gapfit.GAPModel, atoms: Atoms) -> None:
    first, second = one.predict(atoms), other.predict(atoms)
    REORDERED_SUMS.check(first.energies, second.energies)
    REORDERED_SUMS.check(first.forces, second.forces)


def test_a_model_makes_the_way_there_and_back(model, records, tmp_path):
    assert len(model.terms) == 1
    save(model, tmp_path / "gap.xml")
    same(model, load(tmp_path / "gap.xml"), structure(records[0]))
    model.save(tmp_path / "model.npz")
    same(model, gapfit.load(tmp_path / "model.npz"), structure(records[0]))


def test_a_fit_with_the_same_settings_and_sparse_points_is_the_one_of_gap_fit(
    model, records
):
    term = model.terms[0].config.model_dump(exclude={"n_sparse"})
    term |= {"sparse_method": "file", "sparse_file": str(FOLDER / "sparse.txt")}
    sigma = {"energy": 0.002, "isolated": 0.002, "forces": 0.1, "virial": 0.1}
    ours = gapfit.fit(
        FOLDER / "train.xyz",
        {
            "sigma": sigma,
            "data": {"check_labels": False},
            "e0": {"Si": 0.0, "O": 0.0},
            "solver": {"jitter": 1e-8 / term["delta"] ** 2},
            "calibration": {"method": "none"},
            "terms": [term],
        },
    )
    for record in records:
        one, two = (m.predict(structure(record)) for m in (ours, model))
        OTHER_PROGRAM.check(one.energy, two.energy)
        OTHER_PROGRAM.check(one.forces, two.forces)


@pytest.fixture(scope="module")
def fitted():
    turbo = {
        "r_soft": 3.4,
        "species": {"O": {"n_max": 3, "atom_sigma": 0.4, "central_weight": 0.7}},
    }
    term = {
        "type": "soap",
        "rbf": "poly3gauss",
        "r_cut": 4.0,
        "n_max": 4,
        "l_max": 3,
        "n_sparse": 15,
        "turbo": turbo,
    }
    config = {
        "data": {"train": "-", "check_labels": False},
        "e0": {"Si": 0.0, "O": 0.0},
        "terms": [term],
        "calibration": {"method": "none"},
    }
    return gapfit.fit(ase.io.read(FOLDER / "train.xyz", ":"), config)


def test_a_fit_is_written_for_quip(fitted, records, tmp_path):
    path, atoms = tmp_path / "gap.xml", structure(records[1])
    save(fitted, path)
    same(fitted, load(path), atoms)
    found = fitted.predict(atoms)
    (atoms,) = by_quippy(path, [atoms], tmp_path, "IP GAP")
    # Coefficients of up to 10^6 eV cancel.
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
    # QUIP's forces near the soft cutoff are not the slopes of its energies.
    scale = np.abs(found.forces).max()
    np.testing.assert_allclose(
        found.forces, atoms.get_forces(), rtol=0, atol=1e-4 * scale
    )


OBSTACLES = {
    "neighbours": ({"neighbours": ["O"]}, "without the central species Si"),
    "weight": (
        {"neighbours": ["O"], "central_weight": 0.5},
        "central_weight of a single species is 1",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_quip_does_not_have_is_not_written(name, fitted, tmp_path):
    turbo, message = OBSTACLES[name]
    term = fitted.config.terms[0].model_dump() | {"turbo": turbo}
    config = fitted.config.model_dump() | {"terms": [term]}
    frames = ase.io.read(FOLDER / "train.xyz", ":2")
    with pytest.raises(GapfitError, match=message):
        save(gapfit.fit(frames, config), tmp_path / "gap.xml")
    assert not list(tmp_path.iterdir())


REFUSED = {
    "no l_max": (PLAIN.replace("l_max=2", ""), "l_max is missing"),
    "no cutoff": (PLAIN.replace("rcut_hard=4.0", ""), "rcut_hard is missing"),
    "no width": (PLAIN.replace("atom_sigma_t", "sigma_t"), "atom_sigma_t is missing"),
    "one value for two": (
        PLAIN.replace("atom_sigma_t={0.5 0.4}", "atom_sigma_t={0.5}"),
        "atom_sigma_t = 0.5 must have n_species = 2 numbers",
    ),
    "a word": (f"{PLAIN} central_weight={{1 heavy}}", "central_weight = 1 heavy"),
    "species twice": (PLAIN.replace("{14 8}", "{8 8}"), "species_Z = 8 8"),
    "wildcard": (PLAIN.replace("{14 8}", "{0 8}"), "species_Z = 0 8"),
    "too few species": (PLAIN.replace("n_species=2", ""), "n_species = 1"),
    "index": (f"{PLAIN} central_index=3", "central_index = 3"),
    "basis": (f"{PLAIN} basis=POLY3", "basis = POLY3 .* small letters"),
    "scaling": (f"{PLAIN} scaling_mode=other", "scaling_mode = other"),
    "mixed": (f"{PLAIN} compress_mode=1_0", "compress_mode = 1_0"),
    "file": (f"{PLAIN} compress_file=c.dat", "compress_file = c.dat"),
    "functions": (PLAIN.replace("{3 2}", "{11 2}"), "1 to 10 radial functions"),
    "soft": (f"{PLAIN} rcut_soft=4.0", "r_soft = 4.0"),
    "enhancement": (f"{PLAIN} radial_enhancement=3", "radial_enhancement"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused(name, tmp_path):
    options, message = REFUSED[name]
    text = (FOLDER / "gap.xml").read_text()
    start, end = text.index("<descriptor>"), text.index("</descriptor>")
    path = tmp_path / "gap.xml"
    path.write_text(f"{text[:start]}<descriptor>{options}{text[end:]}")
    with pytest.raises(GapfitError, match=message):
        load(path)


def translated(*descriptors: str, species: tuple[str, ...] = ()):
    gap = " : ".join(descriptors)
    return translate(
        f"gap_fit at_file=a.xyz default_sigma={{1 1 1 1}} gap={{{gap}}}",
        species=species,
    )


def test_a_command_becomes_one_term():
    found = translated(
        *(f"{COMMAND} add_species=F central_index={k}" for k in (1, 2)),
    )
    (term,) = found.config.terms
    assert (term.rbf, term.r_cut, term.n_max) == ("poly3", 4.0, 3)
    assert sorted(term.centres) == ["O", "Si"]
    assert term.turbo.species["O"].model_dump(exclude_none=True) == {
        "n_max": 2,
        "atom_sigma": 0.4,
        "sigma_t": 0.4,
    }
    assert not found.remarks


def test_lists_that_gap_fit_gives_to_other_species_are_a_difference():
    (remark,) = translated(COMMAND, species=("Si", "O")).remarks
    assert remark.changes
    assert "add_species=F" in str(remark)
    alike = COMMAND.replace("{{3 2}}", "{{3 3}}").replace("{{0.5 0.4}}", "{{0.5 0.5}}")
    (term,) = translated(alike, species=("Si", "O")).config.terms
    assert not translated(alike, species=("Si", "O")).remarks
    assert not term.centres
    with pytest.raises(GapfitError, match="are not the species of the data, O, Si, Ti"):
        translated(alike, species=("Si", "O", "Ti"))


def test_descriptors_that_quip_confuses_are_named(model, tmp_path):
    """QUIP makes radial functions anew only if the sum of alpha_max changes."""
    one = f"{COMMAND} add_species=F basis=poly3gauss"
    other = one.replace("{{0.5 0.4}}", "{{0.4 0.4}}")
    assert not translated(one, one.replace("{{3 2}}", "{{4 2}}")).remarks
    (remark,) = translated(one, other).remarks
    assert remark.changes
    assert "descriptors 1 and 2 (soap_turbo)" in str(remark)
    assert not translated(
        *(c.replace("poly3gauss", "poly3") for c in (one, other))
    ).remarks
    second = model.terms[0].config.model_copy(update={"r_cut": 4.2})
    twice = replace(model.terms[0], config=second)
    terms = (*model.terms, twice)
    both = replace(model, terms=terms, record=replace(model.record, quip=None))
    with pytest.raises(GapfitError, match="change n_max of one"):
        save(both, tmp_path / "gap.xml")
    text = (FOLDER / "gap.xml").read_text()
    place = text.index("rcut_hard=4.0", text.rindex("<descriptor>"))
    path = tmp_path / "two.xml"
    path.write_text(f"{text[:place]}rcut_hard=4.1{text[place + 13 :]}")
    with pytest.raises(GapfitError, match="adds up to 9 in both"):
        load(path)


def test_neighbours_that_are_not_there_are_an_error(fitted):
    term = fitted.config.terms[0].model_dump() | {"turbo": {"neighbours": ["O", "Ti"]}}
    config = fitted.config.model_dump() | {"terms": [term]}
    with pytest.raises(GapfitError, match="neighbours: Ti is no species"):
        gapfit.fit(ase.io.read(FOLDER / "train.xyz", ":2"), config)


def test_a_fit_warns_of_steps_and_of_many_functions(fitted):
    turbo = {"species": {"O": {"amplitude_scaling": 0}}}
    config = SoapConfig(rbf="poly3", n_max=8, l_max=1, turbo=turbo)
    step, functions = soap_term(config, (8, 14), soap_basis(config)).cautions()
    assert "amplitude_scaling = 0 of O: energies jump" in step
    assert 'rbf = "poly3" is ill-conditioned above 7' in functions
    gentle = SoapConfig(rbf="poly3", n_max=3, turbo={"amplitude_scaling": 0.5})
    (forces,) = soap_term(gentle, (14,), soap_basis(gentle)).cautions()
    assert "amplitude_scaling = 0.5: forces jump" in forces
    assert not list(fitted.terms[0].descriptor.cautions())


def test_options_without_effect_are_listed():
    one = (
        "soap_turbo l_max=2 rcut_hard=4 alpha_max=3 atom_sigma_r=0.5 atom_sigma_t=0.5 "
        "species_Z=14 central_weight=0.3 zeta=4 delta=0.5 n_sparse=8 add_species=F "
        "atom_sigma_x=1"
    )
    found = translated(one)
    assert found.config.terms[0].turbo.central_weight == 1
    weight, unknown = found.remarks
    assert "central_weight" in str(weight)
    assert "atom_sigma_x" in str(unknown)
    assert not weight.changes


def test_settings_of_absent_species_are_named(fitted):
    turbo = {"species": {"Ge": {"sigma_t": 0.4}}}
    terms = [fitted.config.terms[0].model_copy(update={"turbo": TurboConfig(**turbo)})]
    (text,) = species_warnings((8, 14), terms)
    assert text.startswith("[[terms]] 1: turbo.species of Ge have no effect")


def test_the_paragraph_of_a_paper_has_the_settings():
    turbo = {"r_soft": 4.25, "species": {"O": {"sigma_t": 0.35}}}
    text = SoapConfig(rbf="poly3gauss", r_cut=4.75, turbo=turbo).in_words()
    for fact in ("poly3gauss", "r_soft 4.25", "steepness 4.0", "sigma_t 0.5", "0.35"):
        assert fact in text
