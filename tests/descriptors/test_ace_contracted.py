"""Cluster expansions of contracted densities."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from ase import Atoms
from builders import ROOT, config, labelled_frames, three_species

import gapfit
from gapfit.config import AceConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.descriptors.ace_radial import contracted
from gapfit.errors import GapfitError
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.sparse.adapt import adapted

pytestmark = pytest.mark.core

R_CUT = 4.0
#: Functions of each species that are combined.
N_BESSEL = 8


def clusters(n: int, symbols: tuple[str, ...] = ("Si", "Ge")) -> list[Atoms]:
    """Return clusters without any symmetry."""
    out = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        atoms = Atoms(
            rng.choice(symbols, size=8),
            [[x, y, z] for x in (0, 2) for y in (0, 2.1) for z in (0, 2.3)],
        )
        atoms.rattle(0.3, rng=rng)
        out.append(atoms)
    return out


def pairs(frames: list[Atoms]) -> Pairs:
    return pairs_of([structure_arrays(atoms) for atoms in frames], R_CUT)


def term_of(frames: list[Atoms], **settings: object) -> FittedTerm:
    """Return a term whose radial functions come from structures."""
    made = AceConfig(r_cut=R_CUT, **settings)
    species = tuple(sorted({int(z) for atoms in frames for z in atoms.numbers}))
    term = build_term(made, species, new_basis(made))
    arrays = [structure_arrays(atoms) for atoms in frames]
    return adapted(term, arrays, term.descriptor.cutoff)


def functions(term: FittedTerm, frames: list[Atoms]) -> np.ndarray:
    parts = term.descriptor.environments(pairs(frames)).values()
    return np.concatenate([part.values for part in parts])


def test_all_combinations_span_all_functions():
    """8 combinations of 8 functions are only another basis."""
    frames = clusters(20, ("Si",))
    sizes = {"orders": [2], "l_max": [1]}
    whole = functions(term_of(frames, n_max=[N_BESSEL], **sizes), frames)
    combined = functions(
        term_of(frames, n_max=[N_BESSEL], radial="contracted", **sizes), frames
    )
    assert whole.shape == combined.shape
    factors = np.linalg.lstsq(whole, combined, rcond=None)[0]
    rest = combined - whole @ factors
    assert np.abs(rest).max() < 1e-8 * np.abs(combined).max()
    # A square matrix of full rank: nothing is left out.
    assert np.linalg.matrix_rank(factors) == whole.shape[1]


def test_the_number_of_functions_does_not_grow_with_the_species():
    sizes = {"orders": [3, 4], "n_max": [4, 2], "l_max": [3, 2]}
    for species in ((14,), (14, 32), (14, 32, 50, 82)):
        made = AceConfig(r_cut=R_CUT, radial="contracted", **sizes)
        assert build_term(made, species, {}).descriptor.n_features == 304 + 75


@pytest.mark.parametrize("n_species", [1, 3])
def test_combinations_are_those_that_vary_most_among_smooth_ones(n_species):
    """Of independent densities: variances over the squares of 1 + n decide."""
    made = AceConfig(orders=[3], n_max=[3], l_max=[1], radial="contracted")
    rng = np.random.default_rng(4)
    variances = rng.uniform(0.1, 1.0, size=(2, n_species * N_BESSEL))
    gram = np.array([np.diag(values) for values in variances])
    factors = contracted(made, n_species, gram)
    assert factors.shape == (n_species, 2, 3, N_BESSEL)
    nodes = np.tile(1.0 + np.arange(N_BESSEL), n_species)
    for degree, values in enumerate(variances):
        expected = np.argsort(-values / nodes**2)[:3]
        flat = factors[:, degree].transpose(1, 0, 2).reshape(3, -1)
        for row, place in zip(flat, expected, strict=True):
            np.testing.assert_array_equal(np.flatnonzero(row), [place])
            assert row[place] == pytest.approx(1 / nodes[place])


def test_densities_that_are_combined_are_those_of_the_functions():
    """A function of one density is the combination of those of Bessel functions."""
    frames = clusters(3)
    sizes = {"orders": [1], "l_max": [0]}
    bessel = functions(term_of(frames, n_max=[N_BESSEL], **sizes), frames)
    term = term_of(frames, n_max=[5], radial="contracted", **sizes)
    factors = term.basis["combinations"][:, 0]
    # By species, then n, as the densities are.
    expected = bessel @ factors.transpose(0, 2, 1).reshape(2 * N_BESSEL, 5)
    np.testing.assert_allclose(functions(term, frames), expected, atol=1e-12)


ACE = {"type": "ace", "r_cut": 4.5, "radial": "contracted", "n_max": [3, 1]}


@pytest.fixture(scope="module")
def model():
    return gapfit.fit(labelled_frames(three_species), {**config(), "terms": [ACE]})


def test_the_model_file_keeps_the_combinations(model, tmp_path):
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz", training_sums=True)
    atoms = three_species()
    one, other = (m.predict(atoms, std=True) for m in (model, loaded))
    np.testing.assert_array_equal(other.forces, one.forces)
    np.testing.assert_array_equal(other.forces_std, one.forces_std)
    more = gapfit.append(loaded, labelled_frames(three_species, 8)[6:])
    np.testing.assert_array_equal(
        more.terms[0].basis["combinations"], model.terms[0].basis["combinations"]
    )


def test_combinations_of_other_species_are_refused(model):
    term = model.terms[0]
    with pytest.raises(GapfitError, match="of 3 species, not of 2"):
        build_term(term.config, term.species[:2], term.basis)


def test_a_file_of_pacemaker_cannot_hold_mixed_species(model, tmp_path):
    with pytest.raises(GapfitError, match='mix species: fit with radial = "bessel"'):
        gapfit.pacemaker.save(model, tmp_path / "m.yace")


def test_the_papers_name_contraction(model):
    assert "contracted densities" in dict(model.terms[0].descriptor.papers())


def test_more_of_the_data_is_explained_than_by_as_many_bessel_functions():
    """The evidence of a fit to three species."""
    example = ROOT / "examples" / "ge2sb2te5"
    settings = tomllib.loads((example / "fit.toml").read_text())
    pair, soap = settings["terms"]
    soap |= {"n_max": 4, "l_max": 3, "channels": 8, "n_sparse": 60}
    evidence = {}
    for radial, n_max in (("bessel", [1, 1]), ("contracted", [3, 3])):
        ace = {"type": "ace", "r_cut": 5.25, "n_max": n_max, "radial": radial}
        changes = {"terms": [pair, soap, ace], "calibration": {"method": "none"}}
        fit = gapfit.fit(None, config_from_dict(settings | changes), base=example)
        assert fit.terms[2].descriptor.n_features == 437
        evidence[radial] = fit.record.log_marginal_likelihood
    assert evidence["contracted"] > evidence["bessel"] + 50
