"""The configuration of the terms that come with gapfit."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from gapfit.config.base import Section, described
from gapfit.config.checks import (
    check_channels,
    check_components,
    check_symbols,
    check_width,
)
from gapfit.config.eam_density import EamDensityConfig
from gapfit.config.quip import QuipConfig, check_quip
from gapfit.config.term_base import (
    SparseTermConfig,
    TermConfig,
    delta,
    register_term,
)
from gapfit.config.turbo import TURBO_BASES, TurboConfig, check_turbo, turbo_words

__all__ = [
    "AceConfig",
    "Angle3bConfig",
    "Distance2bConfig",
    "EamDensityConfig",
    "QuipConfig",
    "SoapConfig",
    "WeightingConfig",
]


class WeightingConfig(Section):
    """Weight of neighbours with distance (dscribe's ``weighting``)."""

    function: Literal["poly", "pow", "exp", "none"] = described(
        "poly", "poly ends smoothly at r0; the others jump at the cutoff, unfit for MD"
    )
    r0: float | None = described(
        None, "end (poly) or scale; r_cut when absent", "Å", gt=0
    )
    c: float = described(1.0, "prefactor", gt=0)
    d: float = described(1.0, "constant of pow and exp", gt=0)
    m: float = described(1.0, "exponent of poly and pow", ge=1)
    w0: float | None = described(
        None, "weight of the central atom; w(0) when absent", gt=0
    )


@register_term
class SoapConfig(SparseTermConfig):
    """Smooth overlap of atomic positions, one block per central species."""

    title: ClassVar[str] = "SOAP"
    shown: ClassVar[tuple[str, ...]] = (
        "n_max",
        "l_max",
        "zeta",
        "atom_sigma",
        "compression",
        "sparse_method",
    )
    names_species: ClassVar[tuple[str, ...]] = (
        "centres",
        "species_weights",
        "species_n_sparse",
        "turbo.species",
    )

    type: Literal["soap"] = described("soap", "kind of term")
    centres: list[str] = described(
        [], "central species of this term, by symbol; all when empty"
    )
    n_max: int = described(
        8, "radial functions; above 12 they lose digits", ge=1, le=14
    )
    l_max: int = described(6, "highest angular momentum", ge=0, le=20)
    atom_sigma: float = described(
        0.5, "width of an atom's Gaussian", "Å", gt=0.05, le=5.0
    )
    rbf: Literal[
        "gto", "polynomial", "bessel", "equispaced_gaussians", "poly3", "poly3gauss"
    ] = described(
        "gto",
        "radial basis; polynomial for n_max up to 8, l_max up to 9; bessel is that of ace, "
        "which costs less beside it, without weighting; equispaced_gaussians is QUIP's, "
        "poly3 and poly3gauss are soap_turbo's: without weighting and with their full "
        "kernel",
    )
    quip: QuipConfig = described(QuipConfig(), "for equispaced_gaussians")
    turbo: TurboConfig = described(TurboConfig(), "for poly3 and poly3gauss")
    weighting: WeightingConfig = described(WeightingConfig(), "weight with distance")
    compression: Literal["off", "mu2", "mu1nu1", "crossover"] = described(
        "off", "selection of species pairs, as in dscribe"
    )
    species_weights: dict[str, float] = described(
        {}, "weight of each species' density, by symbol; 1 when absent"
    )
    full_kernel: bool = described(
        False, "sqrt(2) on off-diagonal features, unlike dscribe: the full kernel"
    )
    zeta: float = described(4.0, "power of the dot-product kernel", ge=1.0, le=20.0)
    n_sparse: int = described(1000, "sparse points of each central species", ge=1)
    sparse_method: Literal["cur", "fps", "kmeans", "random", "file"] = described(
        "cur",
        "leverage scores, farthest points, centres of clusters, random, or a list",
    )
    sparse_file: str | None = described(
        None, "for file: lines `frame atom`, from 0; n_sparse is then ignored"
    )
    components: Annotated[int | float | str, BeforeValidator(check_components)] = (
        described(
            "all",
            "leading directions to keep: their number, or the smallest relative size",
        )
    )
    channels: Annotated[int | float | str, BeforeValidator(check_channels)] = described(
        "all",
        "leading combinations of radial functions and species to keep, for each l: their "
        "number, or the share of the variance that they have to hold",
    )
    engine: Literal["native", "dscribe"] = described(
        "native", "dscribe is a slow reference"
    )

    @property
    def unused_tables(self) -> frozenset[str]:
        """Tables of other radial bases than that of the term."""
        used = {"gto": "weighting", "polynomial": "weighting"}
        used |= {"equispaced_gaussians": "quip", **dict.fromkeys(TURBO_BASES, "turbo")}
        return frozenset({"quip", "turbo", "weighting"}) - {used.get(self.rbf, "")}

    @model_validator(mode="after")
    def _sensible(self) -> SoapConfig:
        if self.rbf == "polynomial" and (self.n_max > 8 or self.l_max > 9):
            raise ValueError(
                f"n_max = {self.n_max}, l_max = {self.l_max}: the polynomial basis is "
                'good to n_max = 8 and l_max = 9; use rbf = "gto"'
            )
        if self.rbf == "bessel" and not (
            self.weighting == WeightingConfig() and self.engine == "native"
        ):
            raise ValueError('weighting, engine: not for rbf = "bessel"; remove them')
        check_symbols([*self.centres, *self.species_weights, *self.quip.neighbours])
        if self.rbf == "equispaced_gaussians":
            check_quip(self)
        elif self.quip != QuipConfig():
            raise ValueError('quip is for rbf = "equispaced_gaussians"')
        if self.rbf in TURBO_BASES:
            check_turbo(self)
        elif self.turbo != TurboConfig():
            raise ValueError('turbo is for rbf = "poly3" and "poly3gauss"')
        if self.channels != "all":
            _check_contracted(self)
        if any(weight <= 0 for weight in self.species_weights.values()):
            raise ValueError("species_weights must be positive")
        return self

    def in_words(self) -> str:
        """Return the term and its settings as text of a paper."""
        kept = ""
        if self.rbf in TURBO_BASES:
            kept = f', basis "{self.rbf}" of soap_turbo with {turbo_words(self)}'
        if self.channels != "all":
            kept = f", {_channels_in_words(self.channels)}"
        if self.components != "all":
            kept += f", {self.components} principal components"
        return (
            f"many-body environments (SOAP power spectra: cutoff {self.r_cut:g} Å, "
            f"n_max {self.n_max}, l_max {self.l_max}, atom width {self.atom_sigma:g} Å"
            f"{kept}; dot-product kernel to the power zeta = {self.zeta:g}, delta "
            f"{self.delta:g} eV)"
        )


def _channels_in_words(channels: int | float | str) -> str:
    if isinstance(channels, float):
        return f"contracted radial channels with {channels:.6g} of the variance"
    return f"{channels} contracted radial channels"


def _check_contracted(config: SoapConfig) -> None:
    """Refuse options that choose among densities of species."""
    unsupported = {
        "compression": config.compression != "off",
        "equispaced_gaussians": config.rbf == "equispaced_gaussians",
        "dscribe": config.engine != "native",
    }
    if names := [name for name, given in unsupported.items() if given]:
        raise ValueError(f"{', '.join(names)}: not with channels; remove one of them")


_KERNELS = {
    "exponential": "squared-exponential",
    "polynomial": "piecewise polynomial",
}


@register_term
class Distance2bConfig(SparseTermConfig):
    """Pair potential, one block per pair of species: the stiff part of the energy."""

    title: ClassVar[str] = "2-body"
    symbols_per_block: ClassVar[int] = 2

    type: Literal["distance_2b"] = described("distance_2b", "kind of term")
    width: float = described(1.0, "width of the switch at the cutoff", "Å", gt=0.05)
    switch: Literal["smooth", "cosine"] = described(
        "smooth", "form of the switch; cosine is QUIP's"
    )
    kernel: Literal["exponential", "polynomial"] = described(
        "exponential",
        "polynomial: the piecewise polynomial of models read from QUIP; not for fits",
    )
    theta: float = described(
        1.0, "length over which the potential varies", "Å", ge=0.05
    )
    delta: float = delta(3.0, "prior standard deviation per pair")
    f0: float = described(0.0, "prior mean per pair, within the switch", "eV")
    n_sparse: int = described(20, "sparse points of each pair of species", ge=1)
    sparse_file: str | None = described(
        None, "for file: lines `Si-Si 2.35`, pair and Å; n_sparse is then ignored"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Distance2bConfig:
        check_width(self.width, self.r_cut)
        if self.kernel == "polynomial" and self.switch != "cosine":
            raise ValueError('kernel = "polynomial" needs switch = "cosine"')
        return self

    def in_words(self) -> str:
        """Return the term and its settings as text of a paper."""
        return (
            f"pairs ({_KERNELS[self.kernel]} kernel of the distance: cutoff "
            f"{self.r_cut:g} Å, "
            f"theta {self.theta:g} Å, delta {self.delta:g} eV)"
        )


_Length = Annotated[float, Field(ge=0.05)]


@register_term
class Angle3bConfig(SparseTermConfig):
    """Three-body potential, one block per central species and pair of neighbours."""

    title: ClassVar[str] = "3-body"
    symbols_per_block: ClassVar[int] = 3

    type: Literal["angle_3b"] = described("angle_3b", "kind of term")
    r_cut: float = described(
        3.5, "cutoff of the two sides at the centre", "Å", gt=1.0, le=20.0
    )
    width: float = described(0.8, "width of the switch at the cutoff", "Å", gt=0.05)
    switch: Literal["smooth", "cosine"] = described(
        "smooth", "form of the switch; cosine is QUIP's"
    )
    coordinates: Literal["angle", "distances"] = described(
        "angle",
        "distances: the three sides in any order, of models read from QUIP; not for fits",
    )
    kernel: Literal["exponential", "polynomial"] = described(
        "exponential",
        "polynomial: the piecewise polynomial of models read from QUIP; not for fits",
    )
    theta: list[_Length] = described(
        [1.5, 1.5, 1.5],
        "lengths for sum, squared difference of these sides, and opposite side",
        "Å, Å², Å",
        min_length=3,
        max_length=3,
    )
    delta: float = delta(0.3, "prior standard deviation per triplet")
    n_sparse: int = described(200, "sparse points of each triplet of species", ge=1)
    sparse_method: Literal["uniform", "cur", "fps", "kmeans", "random", "file"] = (
        described("uniform", "one from each cell of a regular grid, or as for soap")
    )
    sparse_file: str | None = described(
        None, "for file: lines `Si-Si-Si`, then the three values; n_sparse is ignored"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Angle3bConfig:
        check_width(self.width, self.r_cut)
        if self.coordinates == "distances" and len(set(self.theta)) > 1:
            raise ValueError(
                f'theta = {self.theta} with coordinates = "distances": energies would '
                "depend on the order of the sides; give one length three times"
            )
        return self

    def in_words(self) -> str:
        """Return the term and its settings as text of a paper."""
        theta = ", ".join(f"{length:g}" for length in self.theta)
        return (
            f"triplets ({_KERNELS[self.kernel]} kernel of two sides and the distance "
            f"between their ends: cutoff {self.r_cut:g} Å, theta {theta}, delta "
            f"{self.delta:g} eV)"
        )


@register_term
class AceConfig(TermConfig):
    """Atomic cluster expansion: energies linear in polynomials of the density.

    What SOAP's power spectrum leaves out are products of three and four densities.
    """

    title: ClassVar[str] = "ACE"
    shown: ClassVar[tuple[str, ...]] = ("orders", "n_max", "l_max", "smoothness")

    type: Literal["ace"] = described("ace", "kind of term")
    orders: list[Annotated[int, Field(ge=1, le=4)]] = described(
        [3, 4],
        "numbers of densities that are multiplied: 3 for four-body functions",
        min_length=1,
        max_length=4,
    )
    n_max: list[Annotated[int, Field(ge=1, le=16)]] = described(
        [4, 2], "radial functions, for each of the orders"
    )
    l_max: list[Annotated[int, Field(ge=0, le=10)]] = described(
        [3, 2], "highest angular momentum, for each of the orders"
    )
    radial: Literal["bessel", "contracted", "combined"] = described(
        "bessel",
        "contracted: the combinations of Bessel functions and species that vary most in "
        "the data, n_max in all; bessel: n_max for each species; combined: those of models "
        "read from .yace, in fits the same as bessel",
    )
    delta: float = delta(0.3, "prior standard deviation per atom")
    smoothness: float = described(
        1.0, "power by which the prior of a function falls with its degree", ge=0, le=20
    )

    @model_validator(mode="after")
    def _one_size_for_each_order(self) -> AceConfig:
        for name in ("n_max", "l_max"):
            if len(getattr(self, name)) != len(self.orders):
                raise ValueError(
                    f"{name} = {getattr(self, name)} must have one number for each of "
                    f"orders = {self.orders}"
                )
        if len(set(self.orders)) < len(self.orders):
            raise ValueError(f"orders = {self.orders}: name each once")
        return self

    def in_words(self) -> str:
        """Return the term and its settings as text of a paper."""
        sizes = "; ".join(
            f"products of {order} densities with n_max {n} and l_max {degree}"
            for order, n, degree in zip(
                self.orders, self.n_max, self.l_max, strict=True
            )
        )
        radial = f"{self.radial} radial functions"
        if self.radial == "contracted":
            radial = _channels_in_words(max(self.n_max))
        return (
            f"an atomic cluster expansion (linear kernel: cutoff {self.r_cut:g} Å, {sizes}"
            f", {radial}, delta {self.delta:g} eV, smoothness {self.smoothness:g})"
        )


# Here, because the kinds are listed in the order in which they are registered.
register_term(EamDensityConfig)
