"""The configuration of soap_turbo: SOAP with Gaussian atoms of varying width."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from gapfit.config.base import Section, described
from gapfit.config.checks import check_symbols

__all__ = [
    "TURBO_BASES",
    "TurboConfig",
    "TurboSpeciesConfig",
    "check_turbo",
    "turbo_words",
]

#: Radial bases of soap_turbo, and the most functions for which QUIP has them.
TURBO_BASES = {"poly3": 10, "poly3gauss": 11}
#: Width of the filter when r_soft is absent, Å.
_SOFT = 0.5


class TurboSpeciesConfig(Section):
    """What differs for the atoms of one species; as in the term where absent."""

    n_max: int | None = described(None, "radial functions", ge=1, le=11)
    atom_sigma: float | None = described(
        None, "width of the Gaussian along the distance", "Å", gt=0.05, le=5.0
    )
    sigma_t: float | None = described(None, "width across it", "Å", gt=0.05, le=5.0)
    sigma_r_scaling: float | None = described(
        None, "growth of atom_sigma with the distance", ge=0, le=1
    )
    sigma_t_scaling: float | None = described(
        None, "growth of sigma_t with the distance", ge=0, le=1
    )
    amplitude_scaling: float | None = described(
        None, "power of the decay with the distance", ge=0, le=20
    )
    central_weight: float | None = described(
        None, "weight of the central atom", ge=0, le=1000
    )


class TurboConfig(Section):
    """Settings of soap_turbo, for ``rbf = "poly3"`` and ``"poly3gauss"``.

    QUIP's names are rcut_soft, nf, atom_sigma_t, atom_sigma_r_scaling,
    atom_sigma_t_scaling and compress_mode; r_cut of the term is rcut_hard, n_max
    alpha_max and atom_sigma atom_sigma_r.
    """

    r_soft: float | None = described(
        None, "where the filter begins; 0.5 Å before r_cut when absent", "Å", gt=0
    )
    steepness: float = described(
        4.0, "widths of the filter's Gaussian from r_soft to r_cut", gt=0, le=20
    )
    sigma_t: float | None = described(
        None,
        "width of a Gaussian across the distance; atom_sigma when absent",
        "Å",
        gt=0.05,
        le=5.0,
    )
    sigma_r_scaling: float = described(
        0.0, "growth of atom_sigma with the distance", ge=0, le=1
    )
    sigma_t_scaling: float = described(
        0.0, "growth of sigma_t with the distance", ge=0, le=1
    )
    amplitude_scaling: float = described(
        1.0,
        "power of 1 - 3 u² + 2 u³, u = r/r_cut, that neighbours decay with; forces jump "
        "at r_cut with 0.5 or less, energies with 0",
        ge=0,
        le=20,
    )
    radial_enhancement: int = described(
        0, "power of the distance that neighbours grow with", ge=0, le=2
    )
    central_weight: float = described(1.0, "weight of the central atom", ge=0, le=1000)
    compression: Literal["off", "trivial"] = described(
        "off",
        "trivial: only features with the first radial function of a species",
    )
    neighbours: list[str] = described(
        [], "species of neighbours to include, by symbol; all when empty"
    )
    species: dict[str, TurboSpeciesConfig] = described(
        {}, "what differs for a species, by symbol"
    )


def check_turbo(term: Any) -> None:
    """Raise a ValueError unless the settings of a SOAP term go with soap_turbo's basis.

    Parameters
    ----------
    term : SoapConfig
        A term whose ``rbf`` is one of `TURBO_BASES`.
    """
    turbo = term.turbo
    check_symbols([*turbo.neighbours, *turbo.species])
    _check_radial(term, [term.n_max, *_given(turbo, "n_max")])
    if turbo.r_soft is not None and turbo.r_soft >= term.r_cut:
        raise ValueError(
            f"turbo.r_soft = {turbo.r_soft} Å: it must be less than r_cut = "
            f"{term.r_cut} Å"
        )
    if turbo.r_soft is None and term.r_cut <= _SOFT:
        raise ValueError("turbo.r_soft: give it, r_cut is short")
    defaults = type(term).model_fields
    unsupported = [
        key
        for key in ("weighting", "species_weights", "compression", "engine", "channels")
        if getattr(term, key) != defaults[key].default
    ]
    if unsupported:
        raise ValueError(
            f'{", ".join(unsupported)}: not for rbf = "{term.rbf}"; remove them'
        )


def _given(turbo: TurboConfig, key: str) -> Iterable[Any]:
    """Return the values of a key for species that have one."""
    values = (getattr(species, key) for species in turbo.species.values())
    return [value for value in values if value is not None]


def _check_radial(term: Any, numbers: list[int]) -> None:
    least, most = (2 if term.rbf == "poly3gauss" else 1), TURBO_BASES[term.rbf]
    if not least <= min(numbers) <= max(numbers) <= most:
        raise ValueError(
            f"n_max = {max(numbers) if max(numbers) > most else min(numbers)}: rbf = "
            f'"{term.rbf}" needs {least} to {most} radial functions'
        )
    if max(numbers) > term.n_max:
        raise ValueError(
            f"turbo.species: n_max = {max(numbers)} of a species is more than n_max = "
            f"{term.n_max} of the term, which must be the largest"
        )


def turbo_words(term: Any) -> str:
    """Return the settings of a SOAP term with such a basis as text of a paper."""
    turbo = term.turbo
    given = {
        "r_soft": turbo.r_soft if turbo.r_soft is not None else term.r_cut - _SOFT,
        "steepness": turbo.steepness,
        "sigma_t": turbo.sigma_t if turbo.sigma_t is not None else term.atom_sigma,
    }
    rest = turbo.model_dump(exclude_defaults=True, exclude=set(given))
    return ", ".join(f"{key} {value}" for key, value in (given | rest).items())
