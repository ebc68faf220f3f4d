"""A potential of hydrocarbons as TurboGAP's converter writes it, with random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gapfit.turbogap.descriptors import trivial_places

#: As TurboGAP's converter of XML files writes it: quotes, folders, Fortran's numbers.
TEXT = """gap_beg distance_2b
species1 =  H
species2 = C
delta = 0.5
sigma = 0.7
rcut = 4.0
desc_sparse = "gap_files/CH.xml.sparseX.GAP_1"
alphas_sparse = "gap_files/alphas_distance_2b_1.dat"
gap_end

! a comment between the blocks
gap_beg angle_3b
species_center = C
species1 =  H
species2 = C
delta = 0.1
sigma = 0.20000000000000000E+001  0.15000000000000000E+001  0.20000000000000000E+001
kernel_type = pol
rcut = 3.0
desc_sparse = "gap_files/CH.xml.sparseX.GAP_2"
alphas_sparse = "gap_files/alphas_angle_3b_1.dat"
gap_end

gap_beg soap_turbo
n_species = 2
species =  H C
central_species = 2
rcut = 4.0 4.0
buffer = 0.5 0.5
atom_sigma_r = 0.4 0.5
atom_sigma_t = 0.4 0.5
atom_sigma_r_scaling = 0.1 0.1
atom_sigma_t_scaling = 0.1 0.1
amplitude_scaling = 2.0 2.0
n_max = 2 3
l_max = 2
nf = 4 4
central_weight = 1.0 0.8
scaling mode = polynomial
basis = "poly3gauss"
radial_enhancement = 1
zeta = 4
delta = 0.1
desc_sparse = "gap_files/CH.xml.sparseX.GAP_3"
alphas_sparse = "gap_files/alphas_soap_turbo_1.dat"
compress_soap = .true.
compress_mode = "trivial"
has_vdw = .true.
vdw_qs = "gap_files/hirshfeld.xml.sparseX.GAP_1"
vdw_alphas = "gap_files/alphas_hirshfeld_1.dat"
vdw_zeta = 4
vdw_delta = 0.1
vdw_v0 = 0.9
gap_end

gap_beg core_pot
species1 = C
species2 =  H
core_pot_file = "gap_files/core_pot_1.dat"
gap_end core_pot

"""
E0 = "! species = C H\n! e0 = -0.25 .5D-001\n"
CORE = "5 1.e50 0.0\n0.4 60.0\n0.8 20.0\n1.2 5.0\n1.6 .2E+001\n2.4 0.0\n"
WIDTH = len(trivial_places([2, 3], 2))


def fortran(values: np.ndarray) -> str:
    return "".join(f"{value:.16E}\n".replace("0.", ".", 1) for value in values)


def write(folder: Path, text: str = TEXT, **tables: str) -> Path:
    """Write a potential with its tables; `tables` replaces those named."""
    rng = np.random.default_rng(3)
    sides = {"distance_2b": (6, 1), "angle_3b": (7, 3), "soap_turbo": (4, WIDTH)}
    files = {"core_pot_1.dat": CORE}
    for number, (kind, (n, width)) in enumerate(sides.items(), 1):
        points = rng.uniform(1, 3, (n, width))
        if kind == "soap_turbo":
            points /= np.linalg.norm(points, axis=1)[:, None]
        alpha = rng.normal(size=n) * 5
        cutoffs = np.ones(n) if kind == "soap_turbo" else rng.uniform(0.1, 1, n)
        files[f"CH.xml.sparseX.GAP_{number}"] = fortran(points.ravel())
        files[f"alphas_{kind}_1.dat"] = "".join(
            f"{a!r} {c!r}\n"
            for a, c in zip(alpha.tolist(), cutoffs.tolist(), strict=True)
        )
    for name, content in (files | tables).items():
        (folder / name).write_text(content)
    path = folder / "CH.gap"
    path.write_text(text)
    return path
