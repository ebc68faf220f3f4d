"""QUIP's SOAP: its options as settings."""

from __future__ import annotations

import numpy as np

from gapfit.config.quip import QuipCompressionConfig, QuipConfig
from gapfit.config.terms import SoapConfig
from gapfit.descriptors.quip_features import QuipFeatures
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.requirements import TermRead, refuse, require_kernel, require_width
from gapfit.quip.soap_compression import compression_settings, soap_order
from gapfit.quip.xml_file import Coordinates

__all__ = ["WITH_DEGREES", "soap_term"]

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
    require_kernel(source, options, 2)
    _refuse_others(options)
    channels = _channels(options)
    wildcard = channels == [0]
    if source.zeta is None:
        raise GapfitError(f"{source.label}: zeta of the dot product is missing")
    compression = QuipCompressionConfig(**compression_settings(options))
    config = SoapConfig(
        rbf="equispaced_gaussians",
        r_cut=options.real("cutoff", default=0.0),
        n_max=options.integer("n_max", default=4),
        l_max=options.integer("l_max", default=4),
        atom_sigma=options.real("atom_sigma", "atom_gaussian_width", default=0.5),
        compression="mu2" if wildcard else "off",
        quip=_conventions(options, channels, version, compression),
        zeta=source.zeta,
        delta=source.delta,
    )
    centres = tuple(z for z in options.integers("Z") if z) or species
    numbers = tuple(sorted(channels))
    features = QuipFeatures(numbers, config.n_max, config.l_max, wildcard, compression)
    require_width(source, len(features) + 1)
    order = soap_order(features, channels)
    return config, centres, np.ascontiguousarray(source.points[:, order]), 1


def _refuse_others(options: Options) -> None:
    """Refuse options that gapfit's SOAP does not have."""
    refuse(
        options,
        average=False,
        diagonal_radial=False,
        normalise=True,
        normalize=True,
        basis_error_exponent=10.0,
        cutoff_dexp=0,
        radial_basis="EQUISPACED_GAUSS",
    )
    if sigma := options.real("covariance_sigma0", default=0.0):
        raise GapfitError(
            f"soap: covariance_sigma0 = {sigma:g} is not supported: it adds a constant to "
            "all dot products, which gapfit's kernel does not have"
        )
    if options.text("Z_map") is not None:
        raise GapfitError("soap: Z_map (compression by elements) is not supported")


def _channels(options: Options) -> list[int]:
    """Return the atomic numbers of the neighbours in QUIP's order; [0] for all together."""
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
    return channels


def _conventions(
    options: Options,
    channels: list[int],
    version: int,
    compression: QuipCompressionConfig,
) -> QuipConfig:
    """Return the table ``[terms.quip]``."""
    from ase.data import chemical_symbols

    wildcard = channels == [0]
    everywhere = version < OWN_CHANNEL or options.logical(
        "central_reference_all_species", default=len(channels) == 1
    )
    options.text("central_reference_all_species")
    return QuipConfig(
        width=options.real("cutoff_transition_width", default=0.5),
        central_weight=options.real("central_weight", default=1.0),
        central_in_all=everywhere and not wildcard,
        neighbours=[] if wildcard else [chemical_symbols[z] for z in sorted(channels)],
        plain=version < WITH_DEGREES,
        compression=compression,
    )
