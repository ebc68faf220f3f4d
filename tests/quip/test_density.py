"""The descriptor eam_density in files and commands of QUIP's version for tabGAP.

The release has no such descriptor: the formulas are written out here.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from builders import config, labelled_frames, three_species

import gapfit
from gapfit.cli import main
from gapfit.config import config_from_dict
from gapfit.errors import GapfitError
from gapfit.quip import load, local_variances, save
from gapfit.quip.gap_fit_terms import translate_terms
from gapfit.quip.remarks import Remark
from gapfit.testing import FORCE_SLOPE, forces_error

POINTS, ALPHA = np.array([0.1, 0.6, 1.3]), {42: [0.4, -0.8, 0.5], 74: [1.0, 0.2, -0.3]}


def xml(options: str) -> str:
    """Return a file with an embedding energy for Mo and for W."""
    coordinates = ""
    for z, alpha in ALPHA.items():
        rows = "".join(
            f'<sparseX i="{n}" alpha="{a!r}" sparseCutoff="1.0">{x!r}</sparseX>'
            for n, (a, x) in enumerate(zip(alpha, POINTS.tolist(), strict=True), 1)
        )
        coordinates += (
            f'<gpCoordinates label="G{z}" dimensions="1" signal_variance="0.3" '
            'covariance_type="1" n_sparseX="3"><theta> 0.7 </theta><descriptor>'
            f"eam_density cutoff=4.5 Z={z} covariance_type=ard_se {options}"
            f"</descriptor>{rows}</gpCoordinates>"
        )
    return (
        '<G><Potential label="G" init_args="IP GAP"/><GAP_params label="G" '
        'gap_version="1700000000"><GAP_data do_core="F"><e0 Z="42" value="-1.5"/>'
        f'</GAP_data><gpSparse label="G" n_coordinate="2">{coordinates}</gpSparse>'
        "</GAP_params></G>"
    )


def alloy() -> Atoms:
    atoms = bulk("Mo", cubic=True) * (2, 2, 1)
    atoms.numbers[::3] = 74
    atoms.rattle(0.1, seed=1)
    return atoms


def polynomial(x: np.ndarray) -> np.ndarray:
    return 1 - 10 * x**3 + 15 * x**4 - 6 * x**5


FORMS = {
    "pair_function=FSgen order=3": lambda r: (1 - r / 4.5) ** 3,
    "pair_function=FSgen order=5 mode=blind": lambda r: (1 - r / 4.5) ** 5,
    "pair_function=polycutoff rmin=0.0": lambda r: polynomial(r / 4.5),
    "pair_function=polycutoff rmin=2.0": (
        lambda r: polynomial(np.clip((r - 2.0) / 2.5, 0, 1))
    ),
    "pair_function=coscutoff cutoff_transition_width=1.5": (
        lambda r: 0.5 * (1 + np.cos(np.pi * np.clip((r - 3.0) / 1.5, 0, 1)))
    ),
}
MODES = {
    "": lambda a, b: 1.0,
    "mode=EAM": lambda a, b: np.sqrt(b) / 10,
    "mode=FSgen": lambda a, b: a**0.1 * np.sqrt(b) / 10,
    "mode=FSsym": lambda a, b: np.sqrt(a * b) / 40,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", MODES)
def test_files_give_the_energies_of_the_formulas(form, mode, tmp_path):
    (tmp_path / "gap.xml").write_text(xml(f"{form} {mode}"))
    model, atoms = load(tmp_path / "gap.xml"), alloy()
    i, j, r = neighbor_list("ijd", atoms, 4.5)
    weights = MODES[mode](*atoms.numbers[np.stack([i, j])].astype(float))
    density = np.bincount(i, weights * FORMS[form](r), minlength=len(atoms))
    alpha = np.array([ALPHA[z] for z in atoms.numbers])
    k = 0.3**2 * np.exp(-0.5 * ((density[:, None] - POINTS) / 0.7) ** 2)
    expected = (k * alpha).sum(axis=1) - 1.5 * (atoms.numbers == 42)
    found = model.predict(atoms)
    np.testing.assert_allclose(found.energies, expected, rtol=0, atol=1e-9)
    assert forces_error(model, atoms) < FORCE_SLOPE.atol
    k_mm = 0.3**2 * np.exp(-0.5 * ((POINTS[:, None] - POINTS) / 0.7) ** 2)
    k_mm += 0.1**2 * np.eye(3)
    explained = np.einsum("im,mn,in->i", k, np.linalg.inv(k_mm), k)
    variances = local_variances(model, atoms, regularisation=0.1)
    np.testing.assert_allclose(variances, 0.3**2 + 0.1**2 - explained, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "pair_function = nothing is not supported"),
        ("pair_function=EAMpot", "pair_function = EAMpot is not supported"),
        ("pair_function=FSgen", "eam_density without order: add order=3"),
        ("pair_function=FSgen order=2.5", "power = 2.5 is not supported"),
        ("pair_function=coscutoff", "coscutoff needs rmin"),
        ("pair_function=FSgen order=3 mode=other", "mode = other is not supported"),
    ],
)
def test_other_densities_are_refused(options, said, tmp_path):
    (tmp_path / "gap.xml").write_text(xml(options))
    with pytest.raises(GapfitError, match=said):
        load(tmp_path / "gap.xml")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", FORMS)
def test_written_files_are_read_as_the_same_potential(form, mode, tmp_path, capsys):
    (tmp_path / "gap.xml").write_text(xml(f"{form} {mode}"))
    model, atoms = load(tmp_path / "gap.xml"), alloy()
    model.save(tmp_path / "model.npz")
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "gap.xml"
    assert main(["convert", f"{tmp_path}/model.npz", str(target)]) == 0
    assert "not in its release" in capsys.readouterr().out
    found, expected = load(target).predict(atoms), model.predict(atoms)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.energies, expected.energies, rtol=0, atol=1e-12)
    assert target.read_text().count("<descriptor>eam_density ") == 2


def test_weights_of_no_mode_cannot_be_written(tmp_path):
    term = {"type": "eam_density", "r_cut": 4.5, "species_weights": {"Te": 0.7}}
    frames = labelled_frames(three_species)
    model = gapfit.fit(frames, config() | {"terms": [term]})
    with pytest.raises(GapfitError, match="species_weights are not those of a mode"):
        save(model, tmp_path / "gap.xml")


def translated(gap: str) -> tuple[list[dict], list[Remark]]:
    remarks: list[Remark] = []
    terms = translate_terms(gap, [42, 74], remarks)
    config_from_dict({"data": {"train": "a"}, "terms": terms})
    return terms, remarks


def test_a_command_of_tabgap_becomes_terms():
    terms, remarks = translated(
        "distance_2b cutoff=5.0 delta=10.0 theta_uniform=1.0 n_sparse=20 "
        "covariance_type=ard_se sparse_method=uniform : eam_density cutoff=5.0 "
        "pair_function=FSgen order=3 mode=EAM delta=1.0 theta_uniform=1.0 n_sparse=20 "
        "covariance_type=ard_se sparse_method=uniform add_species=T"
    )
    assert not remarks
    weights = {"Mo": 42**0.5 / 10, "W": 74**0.5 / 10}
    assert terms[1] == {
        "type": "eam_density",
        "r_cut": 5.0,
        "form": "power",
        "power": 3,
        "species_weights": pytest.approx(weights),
        "delta": 1.0,
        "theta": 1.0,
        "n_sparse": 20,
        "sparse_method": "uniform",
    }


def test_densities_of_single_species_are_merged_and_what_is_missing_is_told():
    own = (
        "eam_density Z={} cutoff=5.0 pair_function=FSgen delta=1.0 theta_uniform=1.0 "
        "n_sparse={} sparse_method=uniform add_species=F"
    )
    terms, remarks = translated(f"{own.format(42, 20)} : {own.format(74, 15)}")
    assert len(terms) == 1
    assert terms[0]["species_n_sparse"] == {"W": 15}
    assert all(r.changes and "3 is taken" in str(r) for r in remarks)
    terms, _ = translated(own.format(74, 15))
    assert terms[0]["species_n_sparse"] == {"Mo": 0}
