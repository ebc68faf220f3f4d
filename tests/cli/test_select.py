"""`gapfit select`."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from builders import cluster, config, label, slab, wire
from helpers.selection import bare, calm

import gapfit
from gapfit.cli import main
from gapfit.testing import PRINTED


@pytest.fixture(scope="module")
def model():
    """A model that knows diamond and nothing else."""
    return gapfit.fit(calm(4), config(n_sparse=12, zeta=4, atom_sigma=0.4))


@pytest.fixture(scope="module")
def varied() -> list[Atoms]:
    """Labelled structures that range from known to unknown."""
    frames = [*calm(4, seed=50), *calm(3, rattle=0.15, seed=60), label(wire())]
    return [*frames, label(slab()), label(cluster())]


@pytest.fixture(scope="module")
def pool(varied):
    return bare(varied)


@pytest.fixture
def files(model, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("model.npz")
    for n, atoms in enumerate(pool):
        atoms = atoms.copy()
        atoms.info["name"] = f"structure {n}"
        atoms.arrays["colour"] = np.arange(len(atoms))
        atoms.write(f"{n // 6}.xyz", format="extxyz", append=True)
    return ["model.npz", "0.xyz", "1.xyz"]


def test_the_command(model, pool, files, capsys):
    wanted = gapfit.select(model, pool, 4, by="d-optimal")
    options = ["-n", "4", "--by", "d-optimal"]
    written = ["--output", "chosen.extxyz", "--indices", "chosen.txt"]
    assert main(["select", *files, *options, *written]) == 0
    out = capsys.readouterr().out
    assert "structures  10\n  candidates  10\n" in out
    assert "Chosen by d-optimal, per atom" in out
    assert out.endswith("Written\n  chosen.extxyz\n  chosen.txt\n")
    with open("chosen.txt", encoding="utf-8") as stream:
        assert [int(line) for line in stream] == wanted.indices.tolist()
    found = ase.io.read("chosen.extxyz", ":")
    for rank, atoms in enumerate(found):
        n = wanted.indices[rank]
        assert atoms.info["gapfit_rank"] == rank
        assert atoms.info["gapfit_pool_index"] == n
        assert atoms.info["gapfit_score"] == pytest.approx(
            wanted.scores[rank], rel=1e-6
        )
        assert atoms.info["name"] == f"structure {n}"
        assert atoms.arrays["colour"].tolist() == list(range(len(atoms)))
        PRINTED.check(atoms.positions, pool[n].positions)


def test_the_command_in_json(files, capsys):
    argv = ["select", *files, "-n", "2", "--labelled", "1.xyz", "--json"]
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_pool"], found["n_labelled"], found["n_kept"]) == (10, 4, 6)
    assert len(found["chosen"]) == 2
    assert found["chosen"][0]["source"].startswith("0.xyz, frame ")
    assert (
        found["chosen"][0]["score"]
        >= found["chosen"][1]["score"]
        >= found["next_score"]
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "nothing would be written; give --output OUT.extxyz, --indices FILE or"),
        (["--output", "0.xyz"], "0.xyz: is an input and would be replaced"),
        (["--indices", "model.npz"], "model.npz: is an input"),
        (["--output", "out.cif"], "out.cif: ends in '.cif'; give a name"),
        (["--output", "no/out.xyz"], "no/out.xyz: there is no folder no"),
        (["--json", "--memory", "5"], "memory = '5': give a number with a unit"),
    ],
)
def test_bad_arguments(files, capsys, argv, message):
    assert main(["select", *files, "-n", "2", *argv]) == 1
    assert capsys.readouterr().err.startswith(f"gapfit: error: {message}")
