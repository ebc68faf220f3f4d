"""Settings of terms that have a torch module."""

from __future__ import annotations

from gapfit.config import (
    AceConfig,
    Angle3bConfig,
    Distance2bConfig,
    EamDensityConfig,
    SoapConfig,
)

__all__ = ["R_CUT", "SILICON", "SPECIAL_SOAP", "TERMS"]

R_CUT = 4.02
SOAP = {"r_cut": R_CUT, "n_max": 4, "l_max": 3}
TRIPLET = {"r_cut": R_CUT, "width": 0.9, "theta": [1.1, 1.4, 0.9]}
QUIP = {"central_in_all": True, "neighbours": ["Te"]}
TURBO = {
    "r_soft": 3.9,
    "sigma_r_scaling": 0.1,
    "species": {"Te": {"n_max": 4, "sigma_t": 0.4, "atom_sigma": 0.35}},
}
TERMS = {
    "gto": SoapConfig(**SOAP),
    "polynomial": SoapConfig(**SOAP, rbf="polynomial"),
    "bessel": SoapConfig(**SOAP, rbf="bessel"),
    "equispaced": SoapConfig(**SOAP, rbf="equispaced_gaussians"),
    "large": SoapConfig(r_cut=R_CUT, n_max=9, l_max=5),
    "degree 0": SoapConfig(r_cut=R_CUT, n_max=4, l_max=0),
    "zeta 1": SoapConfig(**SOAP, zeta=1),
    "zeta 2": SoapConfig(**SOAP, zeta=2),
    "zeta 2.5": SoapConfig(**SOAP, zeta=2.5),
    "mu2": SoapConfig(**SOAP, compression="mu2", species_weights={"Ge": 0.6}),
    "mu1nu1": SoapConfig(**SOAP, compression="mu1nu1", species_weights={"Ge": 0.6}),
    "crossover": SoapConfig(**SOAP, compression="crossover"),
    "full kernel": SoapConfig(**SOAP, full_kernel=True),
    "projected": SoapConfig(**SOAP, components=12),
    "channels": SoapConfig(**SOAP, channels=3),
    "weight pow": SoapConfig(**SOAP, weighting={"function": "pow", "m": 3.0}),
    "weight exp": SoapConfig(**SOAP, weighting={"function": "exp", "d": 0.5}),
    "weight poly": SoapConfig(**SOAP, weighting={"function": "poly", "m": 2.5}),
    "weight of the centre": SoapConfig(
        **SOAP, weighting={"function": "poly", "w0": 2.0}
    ),
    "pairs": Distance2bConfig(r_cut=R_CUT, width=0.8, theta=0.6),
    "pairs, cosine": Distance2bConfig(
        r_cut=R_CUT, width=0.8, theta=0.6, switch="cosine"
    ),
    "triplets": Angle3bConfig(**TRIPLET),
    "triplets, cosine": Angle3bConfig(**TRIPLET, switch="cosine"),
    "triplets of distances": Angle3bConfig(
        r_cut=R_CUT, width=0.9, theta=[1.1, 1.1, 1.1], coordinates="distances"
    ),
    "density": EamDensityConfig(r_cut=R_CUT, species_weights={"Ge-Te": 0.7}),
    "density, smooth": EamDensityConfig(r_cut=R_CUT, form="smooth", width=1.5),
    "density, cosine": EamDensityConfig(r_cut=R_CUT, form="cosine", width=1.5),
    "ace": AceConfig(r_cut=R_CUT, orders=[3, 4], n_max=[2, 1], l_max=[2, 2]),
    "ace, all orders": AceConfig(
        r_cut=R_CUT, orders=[1, 2, 3, 4], n_max=[9, 3, 1, 1], l_max=[0, 3, 2, 1]
    ),
    "ace, combined": AceConfig(
        r_cut=R_CUT, orders=[2], n_max=[3], l_max=[2], radial="combined"
    ),
    "ace, contracted": AceConfig(
        r_cut=R_CUT, orders=[2, 3], n_max=[3, 2], l_max=[2, 1], radial="contracted"
    ),
}
#: Structures without many atoms, with and without periods and neighbours.
SILICON = ("sheared", "slab", "wire", "cluster", "one_atom")
#: Settings of `random_term`, for three species.
SPECIAL_SOAP = {
    "quadratic form": {"zeta": 2.0, "repeat": 12, "n_max": 2, "l_max": 1},
    "one centre": {"channels": 5, "centres": ["Te"]},
    "named neighbours": {"rbf": "equispaced_gaussians", "quip": QUIP},
    "poly3": {"rbf": "poly3", "turbo": TURBO},
    "poly3gauss": {"rbf": "poly3gauss", "turbo": TURBO | {"radial_enhancement": 2}},
    "trivial compression": {
        "rbf": "poly3",
        "turbo": TURBO | {"compression": "trivial"},
    },
}
