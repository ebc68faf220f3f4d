"""Commands of QUIP's gap_fit, and models with arbitrary energies to time predictions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write


def program() -> str | None:
    """Return the path of ``gap_fit``, or None if it is not installed."""
    beside = shutil.which("gap_fit", path=str(Path(sys.executable).parent))
    return beside or shutil.which("gap_fit")


def available() -> bool:
    """Tell whether quippy and gap_fit are installed."""
    return find_spec("quippy") is not None and program() is not None


def soap_words(n_max: int, l_max: int, r_cut: float, n_sparse: int) -> str:
    """Return QUIP's SOAP with gapfit's default width of atoms and zeta."""
    return (
        f"soap n_max={n_max} l_max={l_max} cutoff={r_cut} cutoff_transition_width=0.5 "
        "atom_sigma=0.5 zeta=4 delta=1.0 covariance_type=dot_product "
        f"n_sparse={n_sparse} sparse_method=cur_points add_species=T"
    )


def fit_words(soap: str, sigma_energy: float, sigma_forces: float) -> list[str]:
    """Return the words of a fit of energies and forces, ``dft_...`` in train.xyz."""
    return [
        "at_file=train.xyz",
        f"gap={{{soap}}}",
        f"default_sigma={{{sigma_energy} {sigma_forces} 0.0 0.0}}",
        "e0_method=average",
        "energy_parameter_name=dft_energy",
        "force_parameter_name=dft_forces",
        "virial_parameter_name=none",
        "sparse_jitter=1e-8",
        "do_copy_at_file=F",
        "rnd_seed=1",
        "gp_file=gap.xml",
    ]


def relabelled(atoms: Atoms) -> Atoms:
    """Return a copy with labels under names that ASE does not take for its own."""
    copy = atoms.copy()
    copy.info["dft_energy"] = atoms.get_potential_energy()
    copy.arrays["dft_forces"] = atoms.get_forces()
    return copy


def fit(
    folder: Path, frames: Sequence[Atoms], n_max: int, l_max: int, n_sparse: int
) -> Path:
    """Fit a GAP to made-up energies and return its file."""
    name = f"n{n_max}_l{l_max}_m{n_sparse}"
    _write_frames(folder / f"{name}.xyz", frames)
    soap = soap_words(n_max, l_max, 5.0, n_sparse)
    options = [
        f"at_file={name}.xyz",
        f"gap={{{soap}}}",
        "default_sigma={0.01 0.1 0.0 0.0}",
        "e0={Si:0.0}",
        "energy_parameter_name=energy",
        "force_parameter_name=none",
        "virial_parameter_name=none",
        "sparse_jitter=1e-8",
        "do_copy_at_file=F",
        "rnd_seed=1",
        f"gp_file={name}.xml",
    ]
    done = subprocess.run(
        [str(program()), *options],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"gap_fit failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return folder / f"{name}.xml"


def _write_frames(path: Path, frames: Sequence[Atoms]) -> None:
    labelled = []
    for n, frame in enumerate(frames):
        own = frame.copy()
        energy = -4.6 * len(own) + np.sin(n)
        own.calc = SinglePointCalculator(own, energy=energy)
        labelled.append(own)
    write(path, labelled, format="extxyz")


def prediction(model: Path, atoms: Atoms) -> Callable[[], None]:
    """Return a call of energy, forces and virial, with new positions every time."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from quippy.potential import Potential

    potential = Potential("IP GAP", param_filename=str(model))
    structures = [atoms.copy(), atoms.copy()]
    structures[1].positions += 1e-6 * np.random.default_rng(0).normal(
        size=(len(atoms), 3)
    )

    def call() -> None:
        structures.reverse()
        potential.calculate(structures[0], ["energy", "forces", "stress"])

    return call
