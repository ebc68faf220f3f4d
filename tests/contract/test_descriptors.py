"""The descriptors that come with gapfit pass the battery."""

from __future__ import annotations

from typing import ClassVar

import pytest
from descriptor_contract import DescriptorContract, PredictionContract

from gapfit.config import (
    AceConfig,
    Angle3bConfig,
    Distance2bConfig,
    EamDensityConfig,
    SoapConfig,
)

pytestmark = pytest.mark.core

#: No pair of the structures is near it, or where switches begin: third derivatives jump.
R_CUT = 4.02
SOAP = {"r_cut": R_CUT, "n_max": 4, "l_max": 3}
TURBO = {
    "sigma_r_scaling": 0.05,
    "sigma_t_scaling": 0.1,
    "species": {"Ge": {"n_max": 3, "amplitude_scaling": 2.0}},
}
#: Fewer features of QUIP's SOAP; with n_max = 2 in more functions than a channel holds.
QUIP = {
    "summed radial": {"nu_r": 1},
    "mixed species": {"mixed": "species", "n_mixed": 3, "coupled": False},
    "mixed radial": {"mixed": "radial", "n_mixed": 9, "coupled": False},
    "mixed both": {"mixed": "both", "n_mixed": 11, "symmetric": True},
}
TRIPLET = {"r_cut": R_CUT, "width": 0.9, "theta": [1.1, 1.4, 0.9]}


class TestSoap(DescriptorContract):
    SAME = 1e-12
    CONFIGS: ClassVar = {
        "gto": SoapConfig(**SOAP),
        "polynomial": SoapConfig(**SOAP, rbf="polynomial"),
        "bessel": SoapConfig(**SOAP, rbf="bessel"),
        "equispaced": SoapConfig(**SOAP, rbf="equispaced_gaussians"),
        "poly3": SoapConfig(**SOAP, rbf="poly3", turbo=TURBO),
        "poly3gauss": SoapConfig(
            **SOAP,
            rbf="poly3gauss",
            atom_sigma=0.55,
            turbo={**TURBO, "compression": "trivial", "radial_enhancement": 1},
        ),
        "large": SoapConfig(r_cut=R_CUT, n_max=9, l_max=5),
        "zeta 1": SoapConfig(**SOAP, zeta=1),
        "zeta 2": SoapConfig(**SOAP, zeta=2),
        "zeta 2.5": SoapConfig(**SOAP, zeta=2.5),
        "mu2": SoapConfig(**SOAP, compression="mu2", species_weights={"Ge": 0.6}),
        "mu1nu1": SoapConfig(**SOAP, compression="mu1nu1", species_weights={"Ge": 0.6}),
        "crossover": SoapConfig(**SOAP, compression="crossover"),
        "full kernel": SoapConfig(**SOAP, full_kernel=True),
        "projected": SoapConfig(**SOAP, components=12),
        "channels": SoapConfig(**SOAP, channels=3),
        **{
            name: SoapConfig(
                **{**SOAP, "n_max": 2},
                rbf="equispaced_gaussians",
                quip={"compression": compression},
            )
            for name, compression in QUIP.items()
        },
    }


class TestDscribe(DescriptorContract):
    """Its derivatives are central differences."""

    CONFIGS: ClassVar = {
        "gto": SoapConfig(r_cut=3.5, n_max=2, l_max=1, engine="dscribe")
    }
    ON = ("cluster", "one_atom")
    PRECISION = SAME = 1e-5


class TestPairs(DescriptorContract):
    CONFIGS: ClassVar = {
        "smooth": Distance2bConfig(r_cut=R_CUT, width=0.8, theta=0.6),
        "cosine": Distance2bConfig(r_cut=R_CUT, width=0.8, theta=0.6, switch="cosine"),
    }


class TestTriplets(DescriptorContract):
    CONFIGS: ClassVar = {
        "smooth": Angle3bConfig(**TRIPLET),
        "cosine": Angle3bConfig(**TRIPLET, switch="cosine"),
    }


class TestEamDensity(DescriptorContract):
    CONFIGS: ClassVar = {
        "power": EamDensityConfig(r_cut=R_CUT, theta=0.3),
        "high power": EamDensityConfig(r_cut=R_CUT, power=8, theta=0.05),
        "smooth": EamDensityConfig(r_cut=R_CUT, form="smooth", width=0.8, theta=1.5),
        "cosine": EamDensityConfig(r_cut=R_CUT, form="cosine", theta=0.5),
        "weighted": EamDensityConfig(
            r_cut=R_CUT, theta=0.3, species_weights={"Te": 1.4, "Ge-Te": 0.6}
        ),
    }


class TestAce(DescriptorContract):
    SAME = 1e-12
    CONFIGS: ClassVar = {
        "default orders": AceConfig(
            r_cut=R_CUT, orders=[3, 4], n_max=[2, 1], l_max=[2, 2]
        ),
        "all orders": AceConfig(
            r_cut=R_CUT, orders=[1, 2, 3, 4], n_max=[9, 3, 1, 1], l_max=[0, 3, 2, 1]
        ),
        "combined radial functions": AceConfig(
            r_cut=R_CUT, orders=[2], n_max=[3], l_max=[2], radial="combined"
        ),
        "contracted": AceConfig(
            r_cut=R_CUT, orders=[2, 3], n_max=[3, 2], l_max=[2, 1], radial="contracted"
        ),
    }


class TestTripletsOfDistances(PredictionContract):
    """Of models read from QUIP, which cannot be fitted."""

    CONFIGS: ClassVar = {
        "distances": Angle3bConfig(
            r_cut=R_CUT, width=0.9, theta=[1.1, 1.1, 1.1], coordinates="distances"
        )
    }
