"""What `gapfit init` proposes, and the summary that `gapfit check` prints."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.config.sections import DataConfig
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.summary import Range, element_counts, summarise
from gapfit.fitting.proposal import nearest_distances, propose, without_isolated_atom

DATA = DataConfig(train=["a.xyz"])


def frame(atoms, config_type="default", energy=None, forces=None):
    bare = structure_arrays(atoms)
    return Frame(
        bare.numbers,
        bare.positions,
        bare.cell,
        bare.pbc,
        config_type=config_type,
        energy=energy,
        forces=forces,
    )


DIMER = Atoms("Si2", [[0, 0, 0], [0, 0, 1.8]])
ATOM = Atoms("Si", cell=[12, 12, 12], pbc=True)


def test_distances_are_those_of_bonds_not_of_dimers():
    frames = [frame(bulk("Si", cubic=True)), *[frame(DIMER)] * 20, frame(ATOM)]
    assert nearest_distances(frames) == {14: pytest.approx(5.43 * np.sqrt(3) / 4)}


@pytest.mark.parametrize(
    ("atoms", "r_cut"),
    [
        (bulk("Si"), 5.2),  # 2.2 × 2.351 Å
        (bulk("C", "diamond", a=3.57), 4.5),  # 2.2 × 1.546 = 3.4 Å, too short
        (bulk("Mg"), 6.5),  # 2.2 × 3.2 = 7.0 Å, too long
        (bulk("MgO", "rocksalt", a=4.8), 5.3),  # 2.2 × 2.4 Å
        (ATOM, 5.0),  # nothing to go by: the default
    ],
)
def test_cutoff(atoms, r_cut):
    assert propose([frame(atoms)], DATA).config.terms[0].r_cut == r_cut


@pytest.mark.parametrize(
    ("atoms", "r_cut", "n_sparse"),
    [
        (bulk("Si"), 3.5, 200),  # 1.5 × 2.351 Å
        (bulk("C", "diamond", a=3.57), 2.5, 200),  # 1.5 × 1.546 = 2.3 Å, too short
        (bulk("Mg"), 4.5, 200),  # 1.5 × 3.2 = 4.8 Å, too long
        (bulk("MgO", "rocksalt", a=4.8), 3.6, 100),  # six triplets of species
        (ATOM, 3.5, 200),  # nothing to go by: the default
    ],
)
def test_triplets_reach_over_bonds_and_share_their_sparse_points(
    atoms, r_cut, n_sparse
):
    config = propose([frame(atoms)], DATA, three_body=True).config
    *_, triplets = config.terms
    assert triplets.type == "angle_3b"
    assert (triplets.r_cut, triplets.n_sparse) == (r_cut, n_sparse)
    assert len(propose([frame(atoms)], DATA).config.terms) == len(config.terms) - 1


@pytest.mark.parametrize(
    ("n_atoms", "n_sparse"),
    [(1, 1), (2, 2), (105, 100), (600, 500), (1800, 600), (3072, 1000)],
)
def test_sparse_points(n_atoms, n_sparse):
    atoms = bulk("Si", cubic=True) * (8, 8, 6)
    assert propose([frame(atoms[:n_atoms])], DATA).config.terms[0].n_sparse == n_sparse


def test_isolated_atoms_decide_on_e0():
    crystal = frame(bulk("GaAs", "zincblende", a=5.65), energy=-8.0)
    proposal = propose([crystal, frame(ATOM, energy=-0.8)], DATA)
    assert proposal.config.e0.method == "least_squares"
    comment = " ".join(proposal.comments["e0"])
    assert "no energy of an isolated atom of Ga, As." in comment
    assert comment.endswith("give its energy in [e0]: Ga = ...")
    silicon = frame(bulk("Si"), energy=-10.0)
    proposal = propose([silicon, frame(ATOM, energy=-0.8)], DATA)
    assert proposal.config.e0.method == "isolated"
    assert proposal.comments["e0"] == [
        "The data have an isolated atom of every species."
    ]


def test_isolated_atoms_without_energy_do_not_count():
    frames = [frame(bulk("Si"), energy=-10.0), frame(ATOM)]
    assert without_isolated_atom(frames) == ["Si"]
    assert propose(frames, DATA).config.e0.method == "least_squares"
    forces_only = [frame(bulk("Si"))]
    assert without_isolated_atom(forces_only) == []
    proposal = propose(forces_only, DATA)
    assert proposal.config.e0.method == "isolated"
    assert proposal.comments["e0"] == [
        "The data have no energies; those of isolated atoms are set to 0."
    ]


def test_comments_speak_of_suggestions_only_if_there_are_any():
    proposal = propose([frame(bulk("Si"), "bulk")], DATA)
    own = "Each may have separate sigmas under [sigma.config_types.NAME]"
    assert proposal.comments["sigma"][1:] == [f"{own}."]
    proposal = propose([frame(bulk("Si"), "liquid")], DATA)
    assert proposal.comments["sigma"][1:] == [
        f"{own};",
        "those proposed below are worth trying.",
    ]


def test_comment_on_sparse_points():
    frames = [frame(bulk("GaAs", "zincblende", a=5.65)), frame(Atoms("As"))]
    assert propose(frames, DATA).comments["terms"][2:] == [
        "n_sparse is a third of the 2 environments of As, but at least 500",
        "(or all of them, if fewer) and at most 1000; rounded down.",
    ]


def test_suggested_sigmas():
    silicon = bulk("Si")
    frames = [
        frame(silicon),
        frame(silicon, "bulk"),
        frame(silicon, "liquid"),
        frame(DIMER, "dimer"),
        frame(ATOM, "lone"),
    ]
    proposal = propose(frames, DATA)
    assert list(proposal.suggestions) == ["dimer", "liquid", "lone"]
    assert proposal.suggestions["liquid"].forces == pytest.approx(0.2)
    assert proposal.suggestions["lone"].energy == pytest.approx(1e-4)
    assert proposal.suggestions["lone"].forces is None


def test_summary():
    forces = np.array([[0, 0, 3.0], [4.0, 0, 3.0]])
    frames = [
        frame(bulk("Si"), "b", -10.0, forces),
        frame(bulk("Si", a=5.0), "b", -8.0, np.full((2, 3), np.nan)),
        frame(DIMER, "a"),
        frame(ATOM, "a"),
    ]
    everything, a, b = summarise(frames)
    assert [item.name for item in (everything, a, b)] == ["all", "a", "b"]
    assert (everything.n_frames, everything.n_atoms) == (4, 7)
    assert b.energy == Range(-5.0, -4.0)
    assert b.max_force == pytest.approx(5.0)
    assert b.volume == Range(pytest.approx(125 / 8), pytest.approx(5.43**3 / 8))
    assert b.min_distance == pytest.approx(5.0 * np.sqrt(3) / 4)
    assert a.energy is None
    assert a.max_force is None
    assert a.min_distance == pytest.approx(1.8)
    assert a.volume == Range(pytest.approx(1728.0), pytest.approx(1728.0))
    assert element_counts(frames) == {"Si": 7}
    total, other, own = summarise([frame(DIMER, "all"), frame(ATOM, "a")])
    assert (total.n_atoms, own.n_atoms) == (3, 2)
    assert [item.name for item in (total, other, own)] == [
        "all",
        "a",
        "all (config_type)",
    ]


def test_bonds_too_short_for_a_repulsion_get_none():
    atoms = Atoms("H8", positions=0.66 * np.array(list(np.ndindex(2, 2, 2))))
    atoms.cell, atoms.pbc = [5, 5, 5], True
    assert propose([frame(atoms)], DATA).config.baseline.repulsion == "none"
