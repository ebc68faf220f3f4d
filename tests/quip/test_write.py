"""Models written for QUIP: quippy's numbers, gap_fit's fits, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from builders import DATA, ROOT, open_files_limit
from scipy.linalg import block_diag

import gapfit
from gapfit.config.sections import DataConfig, SigmaConfig
from gapfit.data import dataset
from gapfit.data.frame import voigt_to_matrix
from gapfit.errors import GapfitError
from gapfit.model.rows import row_block
from gapfit.quip import load, local_variances, save
from gapfit.quip import write as quip_writing
from gapfit.testing import OTHER_PROGRAM, REORDERED_SUMS

SMALL = ROOT / "tests" / "quip_models"
SOAP = {
    "type": "soap",
    "rbf": "equispaced_gaussians",
    "r_cut": 4.5,
    "n_max": 5,
    "l_max": 4,
    "zeta": 3.0,
    "n_sparse": 20,
    "quip": {"width": 0.7, "central_weight": 0.6},
}
PAIRS = {"type": "distance_2b", "switch": "cosine", "r_cut": 4.2, "n_sparse": 8}
TRIPLETS = {"type": "angle_3b", "switch": "cosine", "r_cut": 3.3, "n_sparse": 15}


def config(*terms: dict, **tables: dict) -> dict:
    return {
        "data": {"train": "-", "check_labels": False},
        "e0": {"method": "least_squares"},
        "terms": list(terms),
        "calibration": {"method": "none"},
        **tables,
    }


def frames(name: str, n: int) -> list[Atoms]:
    found = ase.io.read(DATA / name / "train.extxyz", ":")
    large = [atoms for atoms in found if len(atoms) > 2]
    return large[:: len(large) // n][:n]


@pytest.fixture(scope="session")
def silicon():
    soap = SOAP | {"quip": SOAP["quip"] | {"central_in_all": True}}
    return gapfit.fit(frames("silicon", 6), config(soap, PAIRS, TRIPLETS))


@pytest.fixture(scope="session")
def tellurides():
    soap = SOAP | {"n_max": 4, "centres": ["Ge", "Te"]}
    wildcard = SOAP | {"n_max": 4, "compression": "mu2", "zeta": 2.0}
    terms = (soap, wildcard, PAIRS, TRIPLETS)
    return gapfit.fit(frames("ge2sb2te5", 6), config(*terms))


CASES = {"silicon": "silicon", "tellurides": "ge2sb2te5"}


@pytest.fixture(params=CASES)
def case(request):
    """Return a model and structures it has not seen."""
    model = request.getfixturevalue(request.param)
    test = ase.io.read(DATA / CASES[request.param] / "test.extxyz", ":")
    return model, [atoms for atoms in test if len(atoms) > 2][:3]


def test_a_written_model_reads_back_with_the_same_predictions(case, tmp_path):
    model, structures = case
    files = save(model, tmp_path / "gap.xml")
    assert set(tmp_path.iterdir()) == set(files)
    again = load(tmp_path / "gap.xml")
    assert again.species == model.species
    for atoms in structures:
        one, two = model.without_projections().predict(atoms), again.predict(atoms)
        REORDERED_SUMS.check(two.energies, one.energies)
        REORDERED_SUMS.check(two.forces, one.forces)
        np.testing.assert_allclose(two.stress, one.stress, rtol=0, atol=1e-11)


def test_quippy_gives_the_numbers_of_a_written_model(case, tmp_path):
    potential = pytest.importorskip("quippy.potential")
    model, structures = case
    save(model, tmp_path / "gap.xml")
    quip = potential.Potential(param_filename=str(tmp_path / "gap.xml"))
    for atoms in structures:
        found = model.without_projections().predict(atoms)
        quip.calculate(atoms, ["energy", "forces", "stress", "energies"])
        theirs = quip.results
        OTHER_PROGRAM.check(theirs["energy"], found.energy)
        assert np.abs(found.forces).max() > 0.01
        OTHER_PROGRAM.check(theirs["forces"], found.forces)
        OTHER_PROGRAM.check(theirs["energies"], found.energies)
        volume = atoms.get_volume()
        np.testing.assert_allclose(
            theirs["stress"] * volume, found.stress * volume, atol=1e-7
        )


def test_side_files_hold_what_their_sums_say_in_full_precision(silicon, tmp_path):
    document, *sides = save(silicon, tmp_path / "gap.xml")
    text = document.read_text()
    names = re.findall(r'sparseX_filename="([^"]+)"', text)
    sums = re.findall(r'sparseX_md5sum="([^"]+)"', text)
    assert names == [side.name for side in sides]
    assert sums == [hashlib.md5(side.read_bytes()).hexdigest() for side in sides]
    pairs = silicon.terms[1].sparse[14014]
    assert np.array_equal(np.loadtxt(sides[1]), pairs[:, 0])


def test_the_same_model_gives_the_same_bytes_and_another_one_another_label(
    silicon, tellurides, tmp_path
):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(silicon, tmp_path / name / "gap.xml")
    one, two = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert [path.name for path in one] == [path.name for path in two]
    for a, b in zip(one, two, strict=True):
        assert a.read_bytes() == b.read_bytes()
    document, *_ = save(tellurides, tmp_path / "gap.xml")
    assert document.read_text()[:22] != one[0].read_text()[:22]


def test_nothing_is_replaced_unasked_and_nothing_is_left_half_written(
    silicon, tmp_path, monkeypatch
):
    path = tmp_path / "gap.xml"
    path.write_text("mine")
    with pytest.raises(GapfitError, match="exists already"):
        save(silicon, path)
    real, calls = quip_writing._write_points, []

    def fails(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(*args)

    monkeypatch.setattr(quip_writing, "_write_points", fails)
    with pytest.raises(GapfitError, match="No space left"):
        save(silicon, path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["gap.xml"]
    assert path.read_text() == "mine"
    monkeypatch.undo()
    save(silicon, path, overwrite=True)
    assert load(path).species == (14,)
    for name, message in (
        ("gap.dat", "suffix"),
        ("no/gap.xml", "gap.xml: there is no folder"),
    ):
        with pytest.raises(GapfitError, match=message):
            save(silicon, tmp_path / name)


def test_more_side_files_than_files_can_be_open(tellurides, tmp_path):
    with open_files_limit(8):
        document, *sides = save(tellurides, tmp_path / "gap.xml")
    assert len(sides) > 20
    assert load(document).n_sparse == tellurides.n_sparse


def test_all_that_quip_cannot_express_is_named_in_one_message(tmp_path):
    (tmp_path / "pairs.txt").write_text(
        "Si-Si\n"
        + "".join(f"{r} {(4 - r) ** 4}\n" for r in (1.0, 1.5, 2, 2.5, 3, 3.5, 4))
    )
    terms = (
        {"type": "soap", "n_sparse": 5},
        SOAP | {"components": 6, "n_sparse": 5},
        {"type": "distance_2b", "n_sparse": 5},
        PAIRS | {"f0": 0.3},
        {"type": "angle_3b", "n_sparse": 5},
    )
    baseline = {
        "repulsion": "zbl",
        "table": "pairs.txt",
        "calculator": "ase.calculators.lj:LennardJones",
    }
    model = gapfit.fit(
        frames("silicon", 3),
        config(*terms, baseline=baseline, data={"train": "-", "use_stress": False}),
        base=tmp_path,
    )
    with pytest.raises(GapfitError) as caught:
        save(model, tmp_path / "gap.xml")
    lines = str(caught.value).splitlines()[1:]
    expected = [
        ("1 (soap): rbf", 'fit with rbf = "equispaced_gaussians"'),
        ("2 (soap): components", 'fit with components = "all"'),
        ("3 (distance_2b): switch", 'fit with switch = "cosine"'),
        ("4 (distance_2b): f0", "fit with f0 = 0"),
        ("5 (angle_3b): switch", 'fit with switch = "cosine"'),
        ("[baseline] repulsion", "fit without it"),
        ("[baseline] calculator", "fit without it"),
        ("[baseline] table", "fit without it"),
    ]
    assert len(lines) == len(expected)
    for line, parts in zip(lines, expected, strict=True):
        assert all(part in line for part in parts), line
    assert [file.name for file in tmp_path.iterdir()] == ["pairs.txt"]


@pytest.mark.parametrize("name", ["P/gap.xml", "GST/gap.xml", "FeCrNi/gap.xml.gz"])
def test_models_of_gap_fit_make_the_way_there_and_back(name, tmp_path):
    """With the variances that QUIP gives, whose kernels hold cutoffs of sparse points."""
    model = load(SMALL / name)
    save(model, tmp_path / "gap.xml")
    again = load(tmp_path / "gap.xml")
    records = json.loads((SMALL / name).with_name("reference.json").read_text())
    atoms = structure(records[3])
    one, two = model.predict(atoms), again.predict(atoms)
    REORDERED_SUMS.check(two.energies, one.energies)
    REORDERED_SUMS.check(two.forces, one.forces)
    np.testing.assert_allclose(
        local_variances(again, atoms), records[3]["local_gap_variance"], atol=1e-12
    )


GLUE = """<Glue_params n_types="1">
<per_type_data atomic_num="14" type="1"/>
<per_pair_data type1="1" type2="1"><potential_pair num_points="4" y1="-3.0" yn="0.0">
<point r="1.5" E="2.0"/><point r="2.5" E="0.4"/><point r="3.1" E="0.1"/>
<point r="4.0" E="0.0"/></potential_pair></per_pair_data></Glue_params>"""


@pytest.fixture
def old(tmp_path):
    """Return a wildcard model on top of Glue, with the features of before 2015."""
    points = np.random.default_rng(0).normal(size=(2, 13))
    points[:, -1] = 0
    points /= np.linalg.norm(points, axis=1)[:, None]
    rows = "".join(
        f'<sparseX i="{n}" alpha="{alpha}" sparseCutoff="1">'
        f"{' '.join(map(repr, point.tolist()))}</sparseX>"
        for n, (alpha, point) in enumerate(zip((0.4, -0.3), points, strict=True), 1)
    )
    (tmp_path / "old.xml").write_text(
        f'<G><Potential label="G" init_args="Sum init_args_pot1={{IP Glue}} '
        f'init_args_pot2={{IP GAP label=G}}"/>{GLUE}<GAP_params label="G" '
        'gap_version="1423000000"><GAP_data do_core="T"><e0 Z="14" value="-0.7"/>'
        '</GAP_data><gpSparse label="G" n_coordinate="1"><gpCoordinates label="G1" '
        'dimensions="13" signal_variance="0.5" covariance_type="2" zeta="2" '
        'n_sparseX="2"><descriptor>soap cutoff=4.0 n_max=2 l_max=3 central_weight=0.3'
        f"</descriptor>{rows}</gpCoordinates></gpSparse></GAP_params></G>"
    )
    return load(tmp_path / "old.xml")


def test_glue_and_old_features_are_written_as_they_were(old, tmp_path):
    save(old, tmp_path / "gap.xml")
    again = load(tmp_path / "gap.xml")
    atoms = frames("silicon", 3)[1]
    one, two = old.predict(atoms), again.predict(atoms)
    REORDERED_SUMS.check(one.energy, two.energy)
    REORDERED_SUMS.check(two.forces, one.forces)
    potential = pytest.importorskip("quippy.potential")
    quip = potential.Potential(param_filename=str(tmp_path / "gap.xml"))
    quip.calculate(atoms, ["energy", "forces"])
    OTHER_PROGRAM.check(quip.results["energy"], one.energy)
    OTHER_PROGRAM.check(quip.results["forces"], one.forces)


def structure(record: dict) -> Atoms:
    return Atoms(
        record["symbols"], positions=record["positions"], cell=record["cell"], pbc=True
    )


SIGMAS = {
    "GST": {"energy": 0.002, "isolated": 0.002, "forces": 0.05, "virial": 0.05},
    "FeCrNi": {
        "energy": 0.002,
        "forces": 0.05,
        "virial": 0.05,
        "config_types": {
            "iso": {"energy": 1e-4, "forces": 0.01, "virial": 1.0},
            "bulk": {"energy": 0.003, "forces": 0.08, "virial": 0.05},
        },
    },
}
JITTER = 1e-8


@pytest.mark.parametrize("name", SIGMAS)
def test_fits_to_the_same_data_are_those_of_gap_fit(name):
    """With its sparse points, and its jitter on coefficients with cutoff functions.

    gap_fit minimises |y - K alpha|² + alpha^T (K_MM + jitter) alpha, where kernels hold
    the cutoff functions of the sparse points: jitter / cutoff² for those without.
    """
    path = next((SMALL / name).glob("gap.xml*"))
    theirs = load(path)
    source = dataset.read(SMALL / name / "train.xyz", DataConfig(train=["-"]))
    sigma = SigmaConfig.model_validate(SIGMAS[name])
    rows = row_block(source.frames, theirs.terms, theirs.e0, sigma)
    K_mm, added = [], []
    for term, cutoffs in zip(
        theirs.terms, theirs.record.quip.sparse_cutoffs, strict=True
    ):
        counts = 1 if term.config.type == "soap" else 2
        for block, points in term.sparse.items():
            K_mm.append(term.descriptor.kernel(points, points))
            cutoff = np.array(cutoffs.get(str(block), np.ones(len(points))))
            added.append((counts / cutoff) ** 2)
    prior = block_diag(*K_mm) + JITTER * np.diag(np.concatenate(added))
    root = np.linalg.cholesky(prior).T
    left = np.vstack([rows.K / rows.sigma[:, None], root])
    right = np.concatenate([rows.y / rows.sigma, np.zeros(len(root))])
    Q, R = np.linalg.qr(left)
    ours = with_coefficients(theirs, np.linalg.solve(R, Q.T @ right))
    for record in json.loads((SMALL / name / "reference.json").read_text()):
        atoms = structure(record)
        found = ours.predict(atoms)
        virial = -voigt_to_matrix(found.stress) * atoms.get_volume()
        expected = np.reshape(record["virial"], (3, 3))
        assert found.energy == pytest.approx(record["energy"], abs=1e-6 * len(atoms))
        np.testing.assert_allclose(found.forces, record["forces"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(virial, expected, rtol=0, atol=1e-6)


def with_coefficients(
    model: gapfit.GAPModel, coefficients: np.ndarray
) -> gapfit.GAPModel:
    from dataclasses import replace

    terms, first = [], 0
    for term in model.terms:
        own = {}
        for block, points in term.sparse.items():
            own[block] = coefficients[first : first + len(points)]
            first += len(points)
        terms.append(replace(term, coefficients=own))
    return replace(model, terms=tuple(terms))
