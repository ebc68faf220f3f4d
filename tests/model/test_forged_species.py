"""Forged model files with all elements: memory in proportion to the file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import config, labelled_frames, silicon
from helpers.model_files import header_of

import gapfit
from gapfit._support.archive import read_arrays, write_archive
from gapfit.descriptors.soap_features import Features

#: Most memory beyond that of the program, bytes.
MOST = 700_000_000
SCRIPT = """
import resource, sys
from ase.build import bulk
import gapfit
from gapfit.errors import GapfitError
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
try:
    model = gapfit.load(sys.argv[1])
except GapfitError as error:
    print(error)
else:
    print(model.predict(bulk("Si", cubic=True) * (2, 2, 2)).energy)
print(peak() - before)
"""


def forged(folder: Path, n_points: int) -> Path:
    """Write a model of 118 species whose only block has some sparse points."""
    soap = {"type": "soap", "centres": ["Si"], "n_max": 5, "l_max": 3, "n_sparse": 3}
    model = gapfit.fit(labelled_frames(silicon, 3), config() | {"terms": [soap]})
    model.save(folder / "sound.npz")
    header = header_of(folder / "sound.npz")
    with zipfile.ZipFile(folder / "sound.npz") as archive:
        arrays = read_arrays(archive, header.pop("arrays"))
    species = list(range(1, 119))
    header |= {"species": species, "e0": {str(z): 0.0 for z in species}}
    header |= {"jitter": None, "posterior": False, "calibration": None}
    header["training_sums"] = None
    kept = {name: a for name, a in arrays.items() if name.count("/") == 1}
    basis = {name: a for name, a in kept.items() if name.startswith("term0/")}
    width = len(Features(118, 5, 3))
    points = np.full((n_points, width), width**-0.5)
    basis |= {"term0/14/sparse": points, "term0/14/coefficients": np.ones(n_points)}
    write_archive(folder / "forged.npz", header, basis)
    return folder / "forged.npz"


@pytest.mark.parametrize(
    ("n_points", "said"),
    [(0, "an environment has more numbers than the file"), (1, "-")],
)
def test_all_elements_take_memory_in_proportion_to_the_file(tmp_path, n_points, said):
    path = forged(tmp_path, n_points)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=tmp_path,
    )
    *lines, taken = done.stdout.splitlines()
    assert said in lines[0]
    assert int(taken) < MOST
