"""QUIP's SOAP: its options as settings, and its order of features."""

from __future__ import annotations

import numpy as np

from gapfit.config.terms import QuipConfig, SoapConfig
from gapfit.descriptors.soap_features import Features
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.requirements import TermRead, refuse, require_kernel, require_width
from gapfit.quip.xml_file import Coordinates

__all__ = ["WITH_DEGREES", "soap_order", "soap_term"]

#: From this version on 1/sqrt(2l + 1) is part of the features.
WITH_DEGREES = 1_423_143_769
#: From this version on the central atom has a separate channel.
OWN_CHANNEL = 1_426_512_068


def soap_term(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> TermRead:
    """Return the settings, central species and sparse points of a SOAP.

    Parameters
    ----------
    source : Coordinates
        The descriptor in the file.
    options : Options
        Its options.
    species : tuple of int
        Atomic numbers of the model, ascending.
    version : int
        ``gap_version`` of the file.

    Raises
    ------
    GapfitError
        An option is not supported, or the sparse points have another length.
    """
    from ase.data import chemical_symbols

    require_kernel(source, options, 2)
    refuse(
        options,
        average=False,
        diagonal_radial=False,
        normalise=True,
        normalize=True,
        covariance_sigma0=0.0,
        basis_error_exponent=10.0,
        cutoff_dexp=0,
        radial_basis="EQUISPACED_GAUSS",
        nu_R=2,
        nu_S=2,
        Z_mix=False,
        R_mix=False,
        sym_mix=False,
        coupling=True,
        K=0,
        mix_shift=0.0,
    )
    if options.text("Z_map") is not None:
        raise GapfitError("soap: Z_map (compression by elements) is not supported")
    options.text("n_Z")
    channels = options.integers("species_Z") or [0]
    if len(channels) != options.integer("n_species", default=1):
        raise GapfitError(
            "soap: n_species does not agree with species_Z = "
            f"{shortened(options.text('species_Z') or 'none')}"
        )
    if len(set(channels)) != len(channels) or (0 in channels and len(channels) > 1):
        raise GapfitError(
            f"soap: species_Z = {shortened(options.text('species_Z') or '')} names a "
            "species twice, or all beside others"
        )
    wildcard = channels == [0]
    everywhere = version < OWN_CHANNEL or options.logical(
        "central_reference_all_species", default=len(channels) == 1
    )
    options.text("central_reference_all_species")
    if source.zeta is None:
        raise GapfitError(f"{source.label}: zeta of the dot product is missing")
    config = SoapConfig(
        rbf="equispaced_gaussians",
        r_cut=options.real("cutoff", default=0.0),
        n_max=options.integer("n_max", default=4),
        l_max=options.integer("l_max", default=4),
        atom_sigma=options.real("atom_sigma", "atom_gaussian_width", default=0.5),
        compression="mu2" if wildcard else "off",
        quip=QuipConfig(
            width=options.real("cutoff_transition_width", default=0.5),
            central_weight=options.real("central_weight", default=1.0),
            central_in_all=everywhere and not wildcard,
            neighbours=[]
            if wildcard
            else [chemical_symbols[z] for z in sorted(channels)],
            plain=version < WITH_DEGREES,
        ),
        zeta=source.zeta,
        delta=source.delta,
    )
    centres = tuple(z for z in options.integers("Z") if z) or species
    n_functions = len(channels) * config.n_max
    width = (config.l_max + 1) * n_functions * (n_functions + 1) // 2 + 1
    require_width(source, width)
    order = soap_order(channels, config.n_max, config.l_max)
    return config, centres, np.ascontiguousarray(source.points[:, order]), 1


def soap_order(channels: list[int], n_max: int, l_max: int) -> np.ndarray:
    """Return the index in QUIP's power spectrum of each feature of gapfit.

    QUIP counts radial functions through all its channels, K = 1 ... S n_max, and has
    features (K1, K2 <= K1, l), l running fastest; gapfit has blocks of two channels in
    ascending order of species, and in them l, n, n'.

    Parameters
    ----------
    channels : list of int
        Atomic numbers in QUIP's order; 0 for all species together.
    n_max, l_max : int
        Radial functions; highest angular momentum.
    """
    place = np.argsort(channels)
    a, b, degree, n, k = Features(len(channels), n_max, l_max).labels.T
    first, second = place[a] * n_max + n, place[b] * n_max + k
    larger, smaller = np.maximum(first, second), np.minimum(first, second)
    return (larger * (larger + 1) // 2 + smaller) * (l_max + 1) + degree
