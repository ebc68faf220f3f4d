"""Linear potentials of pacemaker read into gapfit: python-ace's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.expansions import assert_as_python_ace, crystal, expansion_model

import gapfit
from gapfit.errors import GapfitError
from gapfit.model.provenance import model_digest
from gapfit.pacemaker import load, save

ORDERS = {"nradmax_by_orders": [7, 3, 3, 2], "lmax_by_orders": [0, 3, 2, 2]}
FEW = {"nradmax_by_orders": [4, 2, 2], "lmax_by_orders": [0, 2, 1]}
LINEAR = {
    "npot": "FinnisSinclairShiftedScaled",
    "fs_parameters": [1, 1],
    "ndensity": 1,
}


def written_by_pacemaker(
    path, elements, orders, *, radial=False, embedding=LINEAR, **bond
):
    """Write a potential with coefficients at random, with python-ace alone."""
    pyace = pytest.importorskip("pyace")
    bonds = {
        "radbase": "SBessel",
        "radparameters": [5.25],
        "rcut": 4.0,
        "dcut": 0.01,
        "NameOfCutoffFunction": "cos",
        **bond,
    }
    settings = {
        "deltaSplineBins": 0.0005,
        "elements": elements,
        "embeddings": {"ALL": embedding},
        "bonds": {"ALL": bonds},
        "functions": {"ALL": orders},
    }
    basis = pyace.ACEBBasisSet(pyace.create_multispecies_basis_config(settings))
    rng = np.random.default_rng(4)
    basis.basis_coeffs = list(0.3 * rng.normal(size=len(basis.basis_coeffs)))
    if radial:
        n = len(basis.crad_coeffs)
        basis.crad_coeffs = list(0.4 * rng.normal(size=n))
    basis.to_ACECTildeBasisSet().save_yaml(str(path))
    return path


@pytest.mark.parametrize(
    ("elements", "orders", "radial"),
    [
        (["Si"], ORDERS, False),
        (["Si"], ORDERS, True),
        (["Si", "O"], FEW, False),
        (["Si", "Ge", "O"], {"nradmax_by_orders": [3], "lmax_by_orders": [0]}, False),
    ],
)
def test_files_of_pacemaker(tmp_path, elements, orders, radial):
    path = written_by_pacemaker(tmp_path / "p.yace", elements, orders, radial=radial)
    model = load(path)
    assert_as_python_ace(path, model, crystal(*elements))


def test_energies_of_atoms_and_factors_of_embeddings(tmp_path):
    embedding = LINEAR | {"fs_parameters": [2.5, 1]}
    path = written_by_pacemaker(
        tmp_path / "p.yace", ["Si", "O"], FEW, embedding=embedding
    )
    path.write_text(path.read_text().replace("E0: [0, 0]", "E0: [-3.5, 11]"))
    model = load(path)
    assert model.e0 == {8: -3.5, 14: 11.0}
    assert_as_python_ace(path, model, crystal("Si", "O"))


@pytest.mark.parametrize("radial", ["bessel", "combined"])
def test_what_is_written_is_read(tmp_path, radial):
    table = {
        "r_cut": 4.5,
        "orders": [2, 3, 4],
        "n_max": [4, 2, 1],
        "l_max": [3, 2, 2],
        "radial": radial,
    }
    single = {"r_cut": 4.5, "orders": [1], "n_max": [6], "l_max": [0]}
    model = expansion_model(single, table, species=(8, 14))
    back = load(save(model, tmp_path / "p.yace"))
    assert len(back.terms) == (1 if radial == "bessel" else 2)
    assert back.e0 == model.e0
    atoms = crystal("Si", "O")
    wanted, prediction = model.predict(atoms), back.predict(atoms)
    # Terms that are read as one have radial functions at other knots.
    atol = 1e-10 * max(1.0, np.abs(wanted.forces).max())
    assert prediction.energy == pytest.approx(wanted.energy, abs=atol)
    np.testing.assert_allclose(prediction.forces, wanted.forces, rtol=0, atol=atol)
    np.testing.assert_allclose(prediction.stress, wanted.stress, rtol=0, atol=atol)


def test_a_model_file_keeps_the_radial_functions(tmp_path):
    model = expansion_model(
        {"r_cut": 4.0, "orders": [2], "n_max": [2], "l_max": [2], "radial": "combined"}
    )
    read = load(save(model, tmp_path / "p.yace"))
    read.save(tmp_path / "model.npz")
    again = gapfit.load(tmp_path / "model.npz")
    atoms = crystal("Si")
    assert again.predict(atoms).energy == read.predict(atoms).energy
    assert again.record == read.record
    assert model_digest(again) == model_digest(read)


def test_radial_functions_count_in_the_digest(tmp_path):
    table = {"r_cut": 4.0, "orders": [2], "n_max": [2], "l_max": [2]}
    model = expansion_model(table | {"radial": "combined"})
    text = save(model, tmp_path / "p.yace").read_text()
    first = text.index("radcoefficients: [[[") + len("radcoefficients: [[[")
    changed = tmp_path / "q.yace"
    changed.write_text(text[:first] + "0.5, " + text[text.index(" ", first) + 1 :])
    digests = {model_digest(load(path)) for path in (tmp_path / "p.yace", changed)}
    assert len(digests) == 2


def test_what_a_fit_needs_is_missing(tmp_path):
    model = load(
        save(
            expansion_model({"orders": [2], "n_max": [2], "l_max": [1]}),
            tmp_path / "p.yace",
        )
    )
    with pytest.raises(GapfitError, match="model of pacemaker contains no posterior"):
        model.predict(crystal("Si"), std=True)
    with pytest.raises(GapfitError, match="model of pacemaker contains no sums"):
        gapfit.refit(model)
    purposes = [purpose for purpose, _ in gapfit.citations.papers(model)]
    assert "cluster expansion" in purposes
    assert "Gaussian approximation potentials" not in purposes


TWO_DENSITIES = {
    "npot": "FinnisSinclairShiftedScaled",
    "fs_parameters": [1, 1, 1, 0.5],
    "ndensity": 2,
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding": TWO_DENSITIES}, "ndensity: 2 is not supported"),
        (
            {"embedding": LINEAR | {"fs_parameters": [1, 0.5]}},
            r"FS_parameters: \[1.0, 0.5\], which is not linear",
        ),
        ({"radbase": "ChebExpCos"}, "radbasename: ChebExpCos is not supported"),
        ({"core-repulsion": [10.0, 5.0]}, "a repulsive core, prehc: 10 is not"),
        ({"r_in": 1.5, "delta_in": 0.3}, "an inner cutoff, rcut_in: 1.5 is not"),
    ],
)
def test_what_gapfit_does_not_have_is_named(tmp_path, options, message):
    path = written_by_pacemaker(tmp_path / "p.yace", ["Si"], FEW, **options)
    with pytest.raises(GapfitError, match=message) as caught:
        load(path)
    assert str(caught.value).count("\n") == 0


def test_radial_functions_of_pairs_are_refused(tmp_path):
    path = written_by_pacemaker(tmp_path / "p.yace", ["Si", "O"], FEW, radial=True)
    with pytest.raises(GapfitError, match="that differ by pair of elements"):
        load(path)
