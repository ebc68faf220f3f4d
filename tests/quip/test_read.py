"""Models of QUIP read into gapfit: quippy's numbers, and those of the formulas."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import ROOT
from scipy.special import ive, sph_harm_y

import gapfit
from gapfit.data.frame import structure_arrays, voigt_to_matrix
from gapfit.data.neighbours import pair_list
from gapfit.errors import GapfitError, StructureError
from gapfit.quip import load, local_variances
from gapfit.testing import OTHER_PROGRAM

SMALL = ROOT / "tests" / "quip_models"
FILES = {
    "GST": SMALL / "GST" / "gap.xml",
    "P": SMALL / "P" / "gap.xml",
    "FeCrNi": SMALL / "FeCrNi" / "gap.xml.gz",
    "CuAl": SMALL / "CuAl" / "gap.xml",
    "SiC": SMALL / "SiC" / "gap.xml",
    "SiCO": SMALL / "SiCO" / "gap.xml",
}
PUBLIC = ROOT.parent / "shared" / "data" / "quip"
#: Public models, and how far energies (eV) and forces (eV/Å) may be off. References have
#: eight decimals. Coefficients of 10^7 eV that cancel leave QUIP itself fewer digits.
PUBLIC_FILES = {
    **{
        f"nano_{symbol}": (f"nano_{symbol}.xml.gz", 1e-8, 5e-8)
        for symbol in ("C", "Cr", "Cu", "Fe", "Mo", "Ni", "P", "Si", "W")
    },
    "lammps_Si": ("lammps_Si/gap_example.xml", 2e-8, 1e-8),
    "water2b": ("water2b/GAP.xml", 1e-8, 1e-8),
    "carbon_gap20_2b3b": ("carbon_gap20_2b3b/Carbon_GAP_20_2b3b.xml", 1e-7, 5e-8),
    "xpot_c2b_1": ("xpot_c2b_1/gap.xml", 5e-6, 1e-6),
}


def structure(record: dict) -> Atoms:
    return Atoms(
        record["symbols"],
        positions=record["positions"],
        cell=record["cell"],
        pbc=True,
    )


def compare(model: gapfit.GAPModel, record: dict, energy: float, forces: float) -> None:
    atoms = structure(record)
    found = model.predict(atoms)
    virial = -voigt_to_matrix(found.stress) * atoms.get_volume()
    assert found.energy == pytest.approx(record["energy"], abs=energy)
    np.testing.assert_allclose(found.forces, record["forces"], rtol=0, atol=forces)
    expected = np.reshape(record["virial"], (3, 3))
    np.testing.assert_allclose(virial, expected, rtol=0, atol=10 * forces)


@pytest.mark.parametrize("name", FILES)
def test_energies_forces_virials_and_variances_are_those_of_quip(name):
    model = load(FILES[name])
    records = json.loads((SMALL / name / "reference.json").read_text())
    assert len(records) == 7
    for record in records:
        compare(model, record, 1e-9, 1e-9)
        np.testing.assert_allclose(
            local_variances(model, structure(record)),
            record["local_gap_variance"],
            rtol=0,
            atol=1e-12,
        )
        if name not in ("P", "SiC"):
            # Energies of triplets belong to the centre here, to all three atoms there.
            energies = model.predict(structure(record)).energies
            np.testing.assert_allclose(energies, record["local_energy"], atol=1e-9)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public models are not shipped")
@pytest.mark.parametrize("name", PUBLIC_FILES)
def test_public_models_give_what_was_recorded_with_quip(name):
    file, energy, forces = PUBLIC_FILES[name]
    model = load(PUBLIC / "models" / file)
    references = json.loads((PUBLIC / "refs" / "gap_reference.json").read_text())
    for record in references[name]:
        compare(model, record, energy, forces)
        # QUIP's default of the regularisation; the records have eight decimals.
        np.testing.assert_allclose(
            local_variances(model, structure(record)),
            record["local_variance"],
            rtol=0,
            atol=6e-9,
        )


def test_a_fit_with_the_same_settings_and_sparse_points_is_the_one_of_gap_fit(caplog):
    """The whole way through `gapfit.fit`: gap_fit's jitter is absolute, ours relative."""
    theirs = load(SMALL / "P_soap" / "gap.xml")
    soap = {
        "type": "soap",
        "rbf": "equispaced_gaussians",
        "quip": {"central_in_all": True},
        "r_cut": 4.5,
        "n_max": 6,
        "l_max": 4,
        "atom_sigma": 0.5,
        "zeta": 4,
        "delta": 0.2,
        "sparse_method": "file",
        "sparse_file": str(SMALL / "P_soap" / "sparse.txt"),
    }
    ours = gapfit.fit(
        SMALL / "P" / "train.xyz",
        {
            "sigma": {
                "energy": 0.002,
                "isolated": 0.002,
                "forces": 0.05,
                "virial": 0.05,
            },
            "solver": {"jitter": 1e-8 / 0.2**2},
            "calibration": {"method": "none"},
            "terms": [soap],
        },
    )
    for record in json.loads((SMALL / "P" / "reference.json").read_text()):
        atoms = structure(record)
        one, two = ours.predict(atoms), theirs.predict(atoms)
        OTHER_PROGRAM.check(one.energy, two.energy)
        OTHER_PROGRAM.check(one.forces, two.forces)


@pytest.mark.parametrize("name", ["GST", "P", "FeCrNi"])
def test_forces_and_stresses_are_gradients(name):
    """Across the beginning and the end of the cosine, too."""
    model = load(FILES[name])
    record = json.loads((SMALL / name / "reference.json").read_text())[0]
    atoms = structure(record)
    found = model.predict(atoms)
    step = 1e-4
    for atom, axis in ((0, 0), (5, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(model.predict(moved).energy)
        slope = (energies[0] - energies[1]) / (2 * step)
        assert found.forces[atom, axis] == pytest.approx(-slope, abs=1e-6)
    for voigt, (row, column) in enumerate(
        ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    ):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[row, column] += sign * step / 2
            strain[column, row] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ strain, scale_atoms=True)
            energies.append(model.predict(strained).energy)
        slope = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
        assert found.stress[voigt] == pytest.approx(slope, abs=1e-7)


def test_a_converted_model_is_the_same_to_the_last_bit(tmp_path):
    model = load(FILES["FeCrNi"])
    model.save(tmp_path / "model.npz")
    again = gapfit.load(tmp_path / "model.npz")
    atoms = structure(json.loads((SMALL / "FeCrNi" / "reference.json").read_text())[1])
    one, two = model.predict(atoms), again.predict(atoms)
    assert one.energy == two.energy
    assert np.array_equal(one.forces, two.forces)
    assert np.array_equal(local_variances(model, atoms), local_variances(again, atoms))


def test_a_calculator_gives_the_variance_of_quip():
    model = load(FILES["GST"])
    atoms = structure(json.loads((SMALL / "GST" / "reference.json").read_text())[0])
    atoms.calc = gapfit.GAPCalculator(model)
    found = atoms.calc.get_property("local_gap_variance", atoms)
    assert np.array_equal(found, local_variances(model, atoms))
    assert np.array_equal(found, local_variances(model, [atoms * (2, 1, 1), atoms])[1])
    for impossible in (
        lambda: model.predict(atoms, std=True),
        lambda: model.sample(3),
        lambda: gapfit.calibrate(model, [atoms]),
        lambda: gapfit.append(model, [atoms]),
    ):
        with pytest.raises(GapfitError, match="model of QUIP"):
            impossible()


def test_unknown_species_are_an_error_and_not_silence():
    model = load(FILES["GST"])
    with pytest.raises(StructureError, match="unknown species Si"):
        model.predict(bulk("Si", cubic=True))
    with pytest.raises(GapfitError, match="was not read from QUIP"):
        local_variances(gapfit.GAPModel(model.config, (1,), {1: 0.0}, ()), bulk("Si"))
    with pytest.raises(GapfitError, match="positive number"):
        local_variances(model, bulk("Ge"), regularisation=0.0)


# Files made here: what the formulas say, written out without any of gapfit's code.


def xml(coordinates: str, *, version: int = 1_700_000_000, extra: str = "") -> str:
    init = "IP GAP"
    if extra:
        init = "Sum init_args_pot1={IP Glue} init_args_pot2={IP GAP}"
    energies = "".join(f'<e0 Z="{z}" value="{-0.5 * z}"/>' for z in range(1, 93))
    return (
        f'<G><Potential label="G" init_args="{init}"/>{extra}'
        f'<GAP_params label="G" gap_version="{version}"><GAP_data do_core="F">{energies}'
        f'</GAP_data><gpSparse label="G" n_coordinate="1">{coordinates}</gpSparse>'
        "</GAP_params></G>"
    )


def coordinates(
    descriptor: str, kind: int, points: np.ndarray, alpha: np.ndarray, **more: object
) -> str:
    attributes = " ".join(f'{key}="{value}"' for key, value in more.items())
    rows = "".join(
        f'<sparseX i="{n + 1}" alpha="{a!r}" sparseCutoff="{0.5 + 0.1 * n!r}">'
        f"{' '.join(map(repr, row.tolist()))}</sparseX>"
        for n, (a, row) in enumerate(zip(alpha.tolist(), points, strict=True))
    )
    theta = "" if kind == 2 else f"<theta> {'0.7 ' * points.shape[1]}</theta>"
    return (
        f'<gpCoordinates label="G1" dimensions="{points.shape[1]}" signal_variance="0.3" '
        f'covariance_type="{kind}" n_sparseX="{len(points)}" {attributes}>{theta}'
        f"<descriptor>{descriptor}</descriptor>{rows}</gpCoordinates>"
    )


def mixture() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.1, cubic=True)
    atoms.numbers[[0, 3]] = 14, 8
    atoms.rattle(0.15, seed=3)
    return atoms


def cosine(r: np.ndarray, r_cut: float, width: float) -> np.ndarray:
    inside = 0.5 * (1 + np.cos(np.pi * (r - r_cut + width) / width))
    return np.where(r < r_cut - width, 1.0, np.where(r < r_cut, inside, 0.0))


def test_a_wildcard_pair_potential_counts_all_pairs_twice(tmp_path):
    points = np.array([[2.2], [2.9], [3.6]])
    alpha = np.array([0.4, -0.8, 0.5])
    text = coordinates(
        "distance_2b cutoff=4.0 covariance_type=ard_se", 1, points, alpha
    )
    (tmp_path / "gap.xml").write_text(xml(text))
    with pytest.raises(GapfitError, match="only wildcards"):
        load(tmp_path / "gap.xml")
    atoms = mixture()
    model = load(
        tmp_path / "gap.xml", species=sorted(set(atoms.get_chemical_symbols()))
    )
    pairs = pair_list(structure_arrays(atoms), 4.0)
    r = np.linalg.norm(pairs.R, axis=1)
    weights = alpha * (0.5 + 0.1 * np.arange(3))
    k = 0.3**2 * np.exp(-0.5 * ((r[:, None] - points[:, 0]) / 0.7) ** 2)
    energy = np.sum(cosine(r, 4.0, 0.5) * (k @ weights)) - 0.5 * atoms.numbers.sum()
    assert model.predict(atoms).energy == pytest.approx(energy, abs=1e-9)


SOAPS = {
    "one channel for all": ("", 1_700_000_000),
    "some neighbours": ("Z=11 n_species=2 species_Z={17 8}", 1_700_000_000),
    "centre in all": (
        "Z=11 n_species=2 species_Z={17 11} central_reference_all_species=T "
        "central_weight=0.4",
        1_700_000_000,
    ),
    "before 2015": (
        "Z=11 n_species=2 species_Z={11 17} central_weight=0.4",
        1_420_000_000,
    ),
    "wildcard with given centre": ("Z=14 atom_sigma=0.6", 1_426_000_000),
    "one neighbour": ("Z=14 n_species=1 species_Z={17}", 1_700_000_000),
    "own channel": (
        "Z=17 n_species=1 species_Z={8} central_reference_all_species=F",
        1_700_000_000,
    ),
}


def quip_soap(atoms: Atoms, options: str, version: int) -> dict[int, np.ndarray]:
    """Return the normalised power spectra of QUIP by central atom."""
    words = dict(w.split("=") for w in options.replace("{", "").split() if "=" in w)
    tail = options.partition("species_Z={")[2].partition("}")[0]
    channels = [int(z) for z in tail.split()] or [0]
    sigma, weight = (
        float(words.get("atom_sigma", 0.5)),
        float(words.get("central_weight", 1)),
    )
    everywhere = words.get(
        "central_reference_all_species", "T" if len(channels) == 1 else "F"
    )
    everywhere = everywhere == "T" or version < 1_426_512_068
    r_cut, n_max, l_max, eta = 4.2, 4, 3, 0.5 / sigma**2
    nodes = np.arange(n_max) * (r_cut + sigma * math.sqrt(20 * math.log(10))) / n_max
    grid = np.linspace(0, 40, 400_001)
    phi = np.exp(-eta * (grid - nodes[:, None]) ** 2)
    overlap = np.trapezoid(grid**2 * phi[:, None] * phi, grid, axis=2)
    collocation = np.exp(-eta * (nodes[:, None] - nodes) ** 2)
    T = np.linalg.solve(collocation, np.linalg.cholesky(overlap))
    pairs = pair_list(structure_arrays(atoms), r_cut)
    found = {}
    for i in range(len(atoms)):
        if words.get("Z") and atoms.numbers[i] != int(words["Z"]):
            continue
        c = np.zeros((len(channels), n_max, (l_max + 1) ** 2), complex)
        for p in np.flatnonzero(pairs.i == i):
            z = atoms.numbers[pairs.j[p]]
            for s, channel in enumerate(channels):
                if channel in (0, z):
                    c[s] += neighbour(pairs.R[p], nodes, T, eta, l_max, r_cut)
        for s, channel in enumerate(channels):
            if everywhere or channel in (0, atoms.numbers[i]):
                c[s, :, 0] += (
                    weight / math.sqrt(4 * math.pi) * np.exp(-eta * nodes**2) @ T
                )
        found[i] = spectrum(c.reshape(-1, (l_max + 1) ** 2), l_max, version)
    return found


def neighbour(R, nodes, T, eta, l_max, r_cut):
    r = float(np.linalg.norm(R))
    theta, phi = math.acos(R[2] / r), math.atan2(R[1], R[0])
    out = np.zeros((len(nodes), (l_max + 1) ** 2), complex)
    for degree in range(l_max + 1):
        x = np.maximum(2 * eta * r * nodes, 1e-300)
        bessel = np.where(x > 1e-9, np.sqrt(np.pi / 2 / x) * ive(degree + 0.5, x), 0.0)
        bessel[x <= 1e-9] = degree == 0
        g = np.exp(-eta * (r - nodes) ** 2) * bessel
        for m in range(-degree, degree + 1):
            Y = sph_harm_y(degree, m, theta, phi)
            out[:, degree * (degree + 1) + m] = (
                cosine(np.array(r), r_cut, 0.5) * g @ T * Y
            )
    return out


def spectrum(c, l_max, version):
    p = []
    for first in range(len(c)):
        for second in range(first + 1):
            for degree in range(l_max + 1):
                some = slice(degree**2, (degree + 1) ** 2)
                value = np.sum(c[first, some].conj() * c[second, some]).real
                value *= math.sqrt(2) if first != second else 1.0
                if version >= 1_423_143_769:
                    value /= math.sqrt(2 * degree + 1)
                p.append(value)
    p = np.array([*p, 0.0])
    return p / np.linalg.norm(p)


@pytest.mark.parametrize("name", SOAPS)
def test_soap_is_the_one_of_the_formulas(tmp_path, name):
    options, version = SOAPS[name]
    atoms = mixture()
    spectra = quip_soap(atoms, options, version)
    assert spectra
    width = len(next(iter(spectra.values())))
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, width))
    points /= np.linalg.norm(points, axis=1)[:, None]
    points[:, -1] = 0
    alpha = np.array([0.4, -0.8, 0.5])
    descriptor = (
        f"soap l_max=3 n_max=4 cutoff=4.2 covariance_type=dot_product {options}"
    )
    text = coordinates(descriptor, 2, points, alpha, zeta=2.0)
    (tmp_path / "gap.xml").write_text(xml(text, version=version))
    model = load(tmp_path / "gap.xml", species=["Na", "Cl", "Si", "O"])
    weights = alpha * (0.5 + 0.1 * np.arange(3))
    energies = -0.5 * atoms.numbers.astype(float)
    for i, p in spectra.items():
        energies[i] += 0.3**2 * (p @ points.T) ** 2 @ weights
    found = model.predict(atoms).energies
    np.testing.assert_allclose(found, energies, rtol=0, atol=1e-9)


GLUE = """<Glue_params n_types="2">
<per_type_data atomic_num="14" type="1"><potential_density num_points="2">
<point rho="0" E="0.0"/><point rho="1" E="0.0"/></potential_density></per_type_data>
<per_type_data atomic_num="8" type="2"><potential_density num_points="2">
<point rho="0" E="0.0"/><point rho="1" E="{embedded}"/></potential_density></per_type_data>
<per_pair_data type1="1" type2="1"><potential_pair num_points="3" y1="-3.0" yn="0.0">
<point r="1.5" E="2.0"/><point r="2.5" E="0.4"/><point r="4.0" E="0.0"/>
</potential_pair></per_pair_data></Glue_params>"""


def test_glue_is_a_cubic_spline_with_given_slopes(tmp_path):
    from scipy.interpolate import CubicSpline

    points, alpha = np.array([[2.2]]), np.array([1e-9])
    text = coordinates("distance_2b cutoff=4.0", 1, points, alpha)
    path = tmp_path / "gap.xml"
    path.write_text(xml(text, extra=GLUE.format(embedded="0.0")))
    model = load(path)
    spline = CubicSpline(
        [1.5, 2.5, 4.0], [2.0, 0.4, 0.0], bc_type=((1, -3.0), (1, 0.0))
    )
    for r, expected in ((1.2, 2.9), (1.9, spline(1.9)), (3.3, spline(3.3)), (4.2, 0.0)):
        dimer = Atoms("Si2", [[0, 0, 0], [0, 0, r]])
        energy = model.predict(dimer).energy + 14.0
        assert energy == pytest.approx(float(expected), abs=1e-8)
    silica = Atoms("SiO", [[0, 0, 0], [0, 0, 1.9]])
    assert model.predict(silica).energy == pytest.approx(-11.0, abs=1e-8)
    model.save(tmp_path / "model.npz")
    again = gapfit.load(tmp_path / "model.npz")
    assert again.predict(dimer).energy == model.predict(dimer).energy
    path.write_text(path.read_text().replace("Glue_params", "Glue_lost"))
    with pytest.raises(GapfitError, match="Glue_params are missing"):
        load(path, species=["Si"])
    # A density of neighbours is not supported; without the atoms that have one it is.
    path.write_text(xml(text, extra=GLUE.format(embedded="-0.3")))
    assert load(path).species == (14,)
    with pytest.raises(GapfitError, match="densities of Glue"):
        load(path, species=["Si", "O"])


def test_capital_letters_are_small_ones(tmp_path):
    """In options of QUIP; gap_fit writes them as they were given."""
    points, alpha = np.array([[2.2], [2.9]]), np.array([0.4, -0.8])
    found = []
    for words in (
        "distance_2b cutoff=3.7 cutoff_transition_width=1.5 Z1=14 Z2=14",
        "Distance_2B CUTOFF=3.7 Cutoff_Transition_Width=1.5 z1=14 Z2={14}",
    ):
        path = tmp_path / "gap.xml"
        path.write_text(xml(coordinates(words, 1, points, alpha)))
        model = load(path)
        assert model.record.quip.ignored == ()
        found.append(model.predict(bulk("Si", cubic=True)).energy)
    assert found[0] == found[1]


def test_what_would_be_left_out_is_refused(tmp_path):
    path = tmp_path / "gap.xml"
    own = coordinates(
        "distance_2b cutoff=4.0 Z1=14 Z2=8", 1, np.ones((1, 1)), np.ones(1)
    )
    path.write_text(xml(own))
    with pytest.raises(GapfitError, match="also has O: list all"):
        load(path, species=["Si"])
    assert load(path, species=["Si", "O", "H"]).species == (1, 8, 14)
    text = xml(own)
    begin, end = text.index("<GAP_params"), text.index("</GAP_params>") + 13
    path.write_text(text[:end] + text[begin:end] + text[end:])
    with pytest.raises(GapfitError, match="contains 2 GAPs"):
        load(path)
    again = text.replace("</gpSparse>", "</gpSparse><gpSparse></gpSparse>")
    path.write_text(again)
    with pytest.raises(GapfitError, match="2 gpSparse"):
        load(path)
    path.write_text(
        text.replace("<G>", "<quip_params>").replace("</G>", "</quip_params>")
    )
    assert load(path).species == (8, 14)


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.5])
def test_forces_are_exact_for_narrow_gaussians(tmp_path, sigma):
    """Tables of radial functions are as fine as the Gaussians are narrow."""
    atoms = mixture()
    options = f"Z=11 n_species=1 species_Z={{17}} atom_sigma={sigma}"
    width = 4 * 10 + 1
    points = np.random.default_rng(0).normal(size=(2, width))
    points /= np.linalg.norm(points, axis=1)[:, None]
    descriptor = (
        f"soap l_max=3 n_max=4 cutoff=4.2 covariance_type=dot_product {options}"
    )
    text = coordinates(descriptor, 2, points, np.array([1.0, -2.0]), zeta=2.0)
    (tmp_path / "gap.xml").write_text(xml(text))
    model = load(tmp_path / "gap.xml", species=["Na", "Cl", "Si", "O"])
    atom = int(np.flatnonzero(atoms.numbers == 17)[0])

    def energy(shift: float) -> float:
        moved = atoms.copy()
        moved.positions[atom, 0] += shift
        spectra = quip_soap(moved, options, 1_700_000_000)
        k = np.array([0.3**2 * (p @ points.T) ** 2 for p in spectra.values()])
        return float(np.sum(k @ (np.array([1.0, -2.0]) * [0.5, 0.6])))

    h = 2e-4
    slope = (8 * (energy(h) - energy(-h)) - energy(2 * h) + energy(-2 * h)) / (12 * h)
    found = model.predict(atoms).forces[atom, 0]
    assert found == pytest.approx(-slope, abs=2e-9)


@pytest.mark.parametrize("version", [1_420_000_000, 1_424_000_000, 1_430_000_000])
def test_old_versions_are_those_of_quippy(tmp_path, version):
    """Conventions changed twice in 2015; here for a model of three species."""
    potential = pytest.importorskip("quippy.potential")
    text = FILES["GST"].read_text().replace("1769700636", str(version))
    folder = Path(FILES["GST"]).parent
    for file in folder.glob("gap.xml.sparseX*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "gap.xml").write_text(text)
    model = load(tmp_path / "gap.xml")
    quip = potential.Potential(param_filename=str(tmp_path / "gap.xml"))
    atoms = structure(json.loads((folder / "reference.json").read_text())[2])
    expected = atoms.copy()
    expected.calc = quip
    found = model.predict(atoms)
    OTHER_PROGRAM.check(found.energy, expected.get_potential_energy())
    OTHER_PROGRAM.check(found.forces, expected.get_forces())


def test_lengths_of_exchanged_sides_are_their_mean(tmp_path):
    """So the kernel of three sides in any order does not depend on the order of atoms."""
    text = FILES["P"].read_text()
    old = "0.10000000000000000E+001  0.10000000000000000E+001  0.10000000000000000E+001"
    assert old in text
    (tmp_path / "gap.xml").write_text(text.replace(old, "0.6 1.0 1.7"))
    model = load(tmp_path / "gap.xml")
    assert model.config.terms[1].theta == pytest.approx([1.1, 1.1, 1.1])
    reference = json.loads((FILES["P"].parent / "reference.json").read_text())
    atoms = max(map(structure, reference), key=len)
    found = model.predict(atoms)
    order = np.random.default_rng(0).permutation(len(atoms))
    OTHER_PROGRAM.check(model.predict(atoms[order]).energy, found.energy)
    potential = pytest.importorskip("quippy.potential")
    atoms.calc = potential.Potential(param_filename=str(tmp_path / "gap.xml"))
    OTHER_PROGRAM.check(found.energy, atoms.get_potential_energy())
    OTHER_PROGRAM.check(found.forces, atoms.get_forces())
