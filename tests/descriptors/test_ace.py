"""The cluster expansion: number, invariance and independence of its functions."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import DATA

import gapfit
from gapfit.config import AceConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.descriptors.ace_counts import largest_n_max, number_of_functions
from gapfit.descriptors.ace_coupling import invariant_tensors
from gapfit.descriptors.ace_functions import Order, expansion
from gapfit.descriptors.radial_bessel import bessel_functions, bessel_table
from gapfit.errors import ConfigError, GapfitError
from gapfit.model.terms import build_term, new_terms
from gapfit.sparse.functions import with_functions
from gapfit.testing import SAME_POTENTIAL

pytestmark = pytest.mark.core

R_CUT = 4.0


@pytest.mark.parametrize(
    ("order", "n_channels", "published"),
    [
        # A basis of pacemaker (SBessel, nradmax [15, 7, 4, 2], lmax [0, 5, 3, 2]).
        (Order(1, 15, 0), 1, 15),
        (Order(2, 7, 5), 1, 168),
        (Order(3, 4, 3), 1, 304),
        (Order(4, 2, 2), 1, 75),
        (Order(3, 2, 2), 2, None),
        (Order(4, 1, 3), 2, None),
        (Order(4, 3, 1), 1, None),
    ],
)
def test_number_of_functions(order, n_channels, published):
    """As many as there are invariants, by characters of the rotation group."""
    count = len(expansion((order,), n_channels).functions)
    assert count == number_of_functions(*order, n_channels)
    assert published in (None, count)


def cloud(seed: int, n: int = 9, symbols: str = "Si") -> Atoms:
    """Return an atom with neighbours at random places, some of another element."""
    rng = np.random.default_rng(seed)
    places = np.zeros((1, 3))
    while len(places) <= n:
        place = rng.uniform(-3.0, 3.0, size=3)
        if np.linalg.norm(places - place, axis=1).min() > 1.0:
            places = np.concatenate([places, [place]])
    return Atoms(["Si", *rng.choice(symbols.split(), size=n)], places)


def functions_of(
    settings: AceConfig,
    species: tuple[int, ...],
    *structures: Atoms,
    basis: dict[str, np.ndarray] | None = None,
):
    """Return the functions of the first atom of each structure."""
    term = build_term(settings, species, basis or {})
    frames = [structure_arrays(atoms) for atoms in structures]
    pairs = pairs_of(frames, settings.r_cut)
    environments = term.descriptor.environments(pairs)[14]
    first = np.flatnonzero(np.diff(pairs.frame, prepend=-1))
    return environments.values[np.isin(environments.atoms, first)]


@pytest.mark.parametrize("symbols", ["Si", "Si Ge"])
def test_functions_are_invariant_and_independent(symbols):
    settings = AceConfig(
        r_cut=R_CUT, orders=[1, 2, 3, 4], n_max=[2, 2, 2, 1], l_max=[0, 2, 2, 2]
    )
    species = (14, 32) if "Ge" in symbols else (14,)
    clouds = [cloud(seed, symbols=symbols) for seed in range(300)]
    B = functions_of(settings, species, *clouds)
    n_functions = B.shape[1]
    singular = np.linalg.svd(B / np.sqrt((B**2).mean(axis=0)), compute_uv=False)
    assert n_functions < len(clouds)
    assert singular[n_functions - 1] > 1e-8 * singular[0]
    turned = [atoms.copy() for atoms in clouds[:20]]
    for atoms in turned:
        atoms.rotate(47, (1, -2, 0.7))
        atoms.positions *= -1.0  # and inversion
    scale = np.abs(B).max(axis=0)
    found = functions_of(settings, species, *turned)
    SAME_POTENTIAL.check(found / scale, B[:20] / scale)


def functions_of_pacemaker(orders: dict[str, list[int]], structures: list[Atoms]):
    """Return python-ace's B-basis of the first atom of each structure."""
    pyace = pytest.importorskip("pyace")
    ends = {"rcut": R_CUT, "dcut": 0.01, "NameOfCutoffFunction": "cos"}
    settings = {
        "deltaSplineBins": 0.001,
        "elements": ["Si"],
        "embeddings": {
            "ALL": {
                "npot": "FinnisSinclairShiftedScaled",
                "fs_parameters": [1, 1],
                "ndensity": 1,
            }
        },
        "bonds": {"ALL": {"radbase": "SBessel", "radparameters": [R_CUT], **ends}},
        "functions": {"ALL": orders},
    }
    basis = pyace.ACEBBasisSet(pyace.create_multispecies_basis_config(settings))
    evaluator = pyace.ACEBEvaluator(basis)  # the calculator does not keep it alive
    calculator = pyace.ACECalculator(evaluator)
    rows = []
    for atoms in structures:
        environment = pyace.aseatoms_to_atomicenvironment(
            atoms, R_CUT, elements_mapper_dict={"Si": 0}
        )
        calculator.compute(environment, True)
        rows.append(calculator.projections[0])
    return np.array(rows)


def test_functions_span_the_basis_of_pacemaker():
    clouds = [cloud(seed) for seed in range(200)]
    settings = AceConfig(
        r_cut=R_CUT, orders=[1, 2, 3, 4], n_max=[4, 2, 2, 1], l_max=[0, 2, 2, 2]
    )
    theirs = functions_of_pacemaker(
        {"nradmax_by_orders": settings.n_max, "lmax_by_orders": settings.l_max}, clouds
    )
    ours = functions_of(settings, (14,), *clouds)
    assert theirs.shape == ours.shape
    ours, theirs = (B / np.sqrt((B**2).mean(axis=0)) for B in (ours, theirs))
    for left, right in ((ours, theirs), (theirs, ours)):
        left_out = right - left @ np.linalg.lstsq(left, right, rcond=1e-13)[0]
        assert np.abs(left_out).max() < 1e-8


def test_handedness_is_seen_by_no_function():
    """The triple product changes its sign with inversion: its tensor is left out."""
    assert invariant_tensors((1, 1, 1)) == ()
    assert len(invariant_tensors((1, 1, 2))) == 1
    assert len(invariant_tensors((1, 1, 1, 1))) == 3


def test_radial_functions_are_orthonormal_and_end_smoothly():
    table, spacing = bessel_table(5.0, bessel_functions(2, 6))
    r = spacing * np.arange(len(table))
    g = table[:, 0, 0]
    overlap = np.einsum("rn,rm,r->nm", g, g, r**2 * spacing)
    np.testing.assert_allclose(overlap, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(table[-1], 0.0, atol=1e-10)
    for order in (0, 1):
        slopes = (table[2:, order] - table[:-2, order]) / (2 * spacing)
        curvature = np.abs(table[1:-1, order + 1]).max()
        np.testing.assert_allclose(
            slopes, table[1:-1, order + 1], atol=3e-3 * curvature
        )
    np.testing.assert_array_equal(table[:, :, 0], table[:, :, 2])


def test_combined_radial_functions_are_sums_of_bessel_functions():
    order = {"r_cut": R_CUT, "orders": [1], "l_max": [0]}
    bessel = AceConfig(n_max=[5], **order)
    combined = AceConfig(n_max=[2], radial="combined", **order)
    clouds = [cloud(seed) for seed in range(5)]
    table = np.random.default_rng(0).normal(size=(1, 2, 5))
    sums = functions_of(combined, (14,), *clouds, basis={"combinations": table})
    values = functions_of(bessel, (14,), *clouds) @ table[0].T
    SAME_POTENTIAL.check(sums, values)
    for n in (0, 1000):
        with pytest.raises(GapfitError, match=f"of {n} Bessel functions; 1 to 64"):
            build_term(combined, (14,), {"combinations": np.zeros((1, 2, n))})


def silicon_frames(n: int):
    from ase.io import read

    return read(DATA / "silicon" / "train.extxyz", f":{n}")


def test_delta_is_the_prior_standard_deviation_of_an_atom():
    settings = AceConfig(r_cut=5.0, n_max=[2, 1], l_max=[2, 1], delta=0.7)
    frames = [structure_arrays(atoms) for atoms in silicon_frames(30)]
    term = with_functions(build_term(settings, (14,), {}), frames, 5.0)
    pairs = pairs_of(frames, 5.0)
    values = term.descriptor.environments(pairs)[14].values
    spread = values - values.mean(axis=0)
    prior = term.descriptor.variances(spread).mean()
    assert prior == pytest.approx(0.7**2, rel=1e-9)
    degrees = term.descriptor.expansion.degrees
    by_function = (spread**2).mean(axis=0) * degrees**2
    np.testing.assert_allclose(by_function, by_function[0], rtol=1e-9)


def test_functions_that_vanish_by_symmetry_have_no_weight():
    """Crystals at rest leave rounding of them, which must not be scaled up."""
    crystals = [
        structure_arrays(bulk("Si", "fcc", a=a, cubic=True)) for a in (3.9, 4.0, 4.1)
    ]
    settings = AceConfig(r_cut=5.0, n_max=[2, 1], l_max=[3, 2])
    term = with_functions(build_term(settings, (14,), {}), crystals, 5.0)
    moved = bulk("Si", "fcc", a=4.0, cubic=True)
    moved.rattle(0.1, seed=1)
    pairs = pairs_of([structure_arrays(moved)], 5.0)
    variances = term.descriptor.variances(
        term.descriptor.environments(pairs)[14].values
    )
    assert 0 < variances.max() < 1e4 * settings.delta**2


def test_too_many_functions_are_refused_at_once():
    with pytest.raises(GapfitError, match=r"more than 5000 .* order 4 \(n_max = 16, l"):
        build_term(AceConfig(orders=[4], n_max=[16], l_max=[10]), (14,), {})


def test_sizes_that_fit_are_proposed_and_are_the_largest():
    """With the defaults for three species, by number of the term."""
    with pytest.raises(ConfigError) as caught:
        new_terms([AceConfig(r_cut=4.0), AceConfig()], (14, 32, 50))
    message = str(caught.value).splitlines()[0]
    assert message.startswith(
        "[[terms]] 1: ace: more than 5000 functions for 3 species"
    )
    sizes = [
        int(n) for n in re.search(r"lower n_max to \[(\d), (\d)\]", message).groups()
    ]
    build_term(AceConfig(n_max=sizes), (14, 32, 50), {})
    for k, (n, given) in enumerate(zip(sizes, AceConfig().n_max, strict=True)):
        larger = [*sizes]
        larger[k] = n + 1
        if n < given:
            with pytest.raises(GapfitError, match="more than 5000"):
                build_term(AceConfig(n_max=larger), (14, 32, 50), {})
    assert largest_n_max([(4, 2, 2)], 100, 5000) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_max": [4]}, "n_max = \\[4\\] must have one number for each of orders"),
        ({"orders": [3, 3]}, "name each once"),
        ({"orders": [3, 5]}, "<= 4"),
        ({"n_sparse": 10}, "n_sparse"),
    ],
)
def test_mistakes_in_its_table(changes, message):
    with pytest.raises(ConfigError, match=message):
        gapfit.fit([], {"terms": [{"type": "ace", **changes}]})


def test_it_lowers_errors_of_left_out_structures():
    """Four- and five-body functions beside SOAP, on shipped data (measured: 0.90)."""
    soap = {"type": "soap", "n_max": 6, "l_max": 4, "n_sparse": 200}
    pair = {"type": "distance_2b"}
    frames = [a for a in silicon_frames(60) if len(a) > 1]
    errors = []
    for terms in ([pair, soap], [pair, soap, {"type": "ace"}]):
        settings = {
            "data": {"check_labels": False, "train": ["in memory"]},
            "e0": {"method": "least_squares"},
            "terms": terms,
        }
        model = gapfit.fit(frames, settings)
        left_out = gapfit.leave_one_out(model, frames, uncertainty=False)
        errors.append(left_out["all"]["forces"]["rmse"])
    assert errors[1] < 0.95 * errors[0]
