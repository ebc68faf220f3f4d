"""Small models that TurboGAP can express."""

from __future__ import annotations

import ase.io
import pytest
from builders import DATA, ROOT
from helpers.turbogap_cases import OF_TWO, PAIRS, SOAP, TRIPLETS, fitted


@pytest.fixture(scope="session")
def silicon():
    frames = ase.io.read(DATA / "silicon" / "train.extxyz", ":")
    large = [atoms for atoms in frames if len(atoms) > 2]
    return fitted(large[:: len(large) // 6][:6], SOAP, PAIRS, TRIPLETS)


@pytest.fixture(scope="session")
def oxide():
    frames = ase.io.read(ROOT / "tests" / "quip_models" / "SiO" / "train.xyz", ":")
    e0 = {"Si": -1.5, "O": -4.25}
    return fitted(frames, OF_TWO, PAIRS, TRIPLETS, e0=e0)
