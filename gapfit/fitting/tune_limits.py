"""What tuning may choose, within which limits, and notes where a limit acts.

The likelihood takes an error of the model for a property of the potential: it asks for a
huge delta where that buys a little, and for less noise than any reference calculation has.
Such models have holes outside the data: the fitted function depends on the ratios of sigmas
to deltas alone, and swings the farther the smaller they are. So deltas, sigmas and these
ratios stay within a sensible range, which given values outside it extend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gapfit.config.sections import FitConfig, SigmaOverride, TuneConfig
from gapfit.data.observations import Quantity
from gapfit.gp.evidence import Scales
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.freedom import MOST, Freedom, Leash, Limits
from gapfit.gp.normal_equations import NormalEquations
from gapfit.gp.observations import Group
from gapfit.model.observation_groups import DEFAULT, FRAME_SIGMA, ISOLATED

__all__ = [
    "DELTA_RANGE",
    "FIXED",
    "LEAST_DELTA",
    "LEAST_SIGMA",
    "MOST_DELTA",
    "POWER_RANGE",
    "freedom_of",
    "limit_notes",
]

#: Range of delta, eV per atom or pair.
DELTA_RANGE = Limits(0.1, 30.0)
#: Least delta of functions of a linear kernel, which then count little, eV.
LEAST_DELTA = 0.01
#: Largest delta over sigma.forces, 1/Å. Potentials of InP, fitted to cold crystals and
#: defects, fall below the crystal at twice its melting temperature by 0.4 eV/atom at 60 and
#: 0.6 at 75; at 3000 K by 1.7 at 220, and without end from 330 on.
MOST_DELTA = 60.0
#: Least sigmas, eV per atom and eV/Å: about what cutoffs and k-points of careful DFT leave.
LEAST_SIGMA: Mapping[str, float] = {
    Quantity.ENERGY: 5e-4,
    Quantity.FORCES: 5e-3,
    Quantity.VIRIAL: 5e-3,
}
_UNITS: Mapping[str, str] = {
    Quantity.ENERGY: "eV/atom",
    Quantity.FORCES: "eV/Å",
    Quantity.VIRIAL: "eV/atom",
}
#: Range of the power by which a prior falls with the degree of a function.
POWER_RANGE = Limits(0.0, 8.0)
#: Classes of frames whose sigmas stay.
FIXED = (FRAME_SIGMA, ISOLATED)
# Classes with fewer observations share their sigma with all others.
_MIN_ROWS = 50
# A value nearer to a limit than this, relative to it, is that limit; deltas and the sigma
# that limits them are found in turn.
_AT, _LOOSE = 0.01, 0.03


def freedom_of(
    config: FitConfig,
    options: TuneConfig,
    grams: FoldGrams,
    totals: Sequence[NormalEquations],
) -> Freedom:
    """Return the freedom of the choice: a factor for each quantity, or for each class.

    Parameters
    ----------
    config : FitConfig
        Deltas and sigmas at which the sums were made.
    options : TuneConfig
        What is chosen.
    grams : FoldGrams
        Groups and columns.
    totals : sequence of NormalEquations
        `FoldGrams.totals` of them.
    """
    parameters: dict[Group, int] = {}
    sigma: list[int | None] = []
    separate = _separate(grams, totals)
    for group in grams.groups:
        quantity, name = group
        fixed = quantity == Quantity.ENERGY or not getattr(options, quantity)
        if fixed or name in FIXED:
            sigma.append(None)
            continue
        shared = group if group in separate else (quantity, DEFAULT)
        sigma.append(parameters.setdefault(shared, len(parameters)))
    energy = [
        quantity == Quantity.ENERGY and name not in FIXED and options.energy
        for quantity, name in grams.groups
    ]
    falling = {part.term: part.power for part in grams.columns.falling}
    return Freedom(
        tuple(
            _delta_limits(term.delta, n in falling) if options.delta else None
            for n, term in enumerate(config.terms)
        ),
        tuple(sigma),
        tuple(energy),
        options.score,
        {n: _sigma_limits(group, config, options) for group, n in parameters.items()},
        _sigma_limits((Quantity.ENERGY, DEFAULT), config, options),
        {n: _power_limits(power) for n, power in falling.items() if options.delta},
        tuple(n for group, n in parameters.items() if group[0] == Quantity.VIRIAL),
        options.delta and all(map(_is_free, grams.groups, sigma, energy)),
        _leash(config, grams),
    )


def _is_free(group: Group, number: int | None, energy: bool) -> bool:
    """Return whether a sigma is free, or hardly matters, as that of isolated atoms."""
    return number is not None or energy or group[1] == ISOLATED


def _separate(grams: FoldGrams, totals: Sequence[NormalEquations]) -> set[Group]:
    """Return the groups with enough observations for a separate sigma."""
    rows = zip(grams.groups, totals, strict=True)
    return {
        group
        for group, gram in rows
        if group[1] not in FIXED and gram.n_rows >= _MIN_ROWS
    }


def _delta_limits(delta: float, falling: bool) -> Limits:
    low, high = DELTA_RANGE
    if falling:
        low = LEAST_DELTA
    return Limits(min(low / delta, 1.0), max(high / delta, 1.0))


def _leash(config: FitConfig, grams: FoldGrams) -> Leash | None:
    """Return the limit of deltas by sigma.forces; None without forces."""
    groups = [
        n
        for n, (quantity, name) in enumerate(grams.groups)
        if quantity == Quantity.FORCES and name not in FIXED
    ]
    if not groups:
        return None
    sigma = config.sigma.forces
    most = [max(MOST_DELTA * sigma / term.delta, 1.0) for term in config.terms]
    return Leash(groups[0], tuple(most))


def _power_limits(power: float) -> Limits:
    low, high = POWER_RANGE
    return Limits(min(low - power, 0.0), max(high - power, 0.0))


def _sigma_limits(group: Group, config: FitConfig, options: TuneConfig) -> Limits:
    least = LEAST_SIGMA[group[0]]
    if group[0] == Quantity.FORCES and not options.delta:
        least = max(least, *(term.delta / MOST_DELTA for term in config.terms))
    ratio = least / _sigma(group, config)
    return Limits(min(max(ratio, 1.0 / MOST), 1.0), MOST)


def _sigma(group: Group, config: FitConfig) -> float:
    """Return the given sigma of a group, eV per atom or eV/Å."""
    quantity, name = group
    override = config.sigma.config_types.get(name, SigmaOverride())
    value = getattr(override, quantity)
    return float(getattr(config.sigma, quantity) if value is None else value)


def limit_notes(
    config: FitConfig, freedom: Freedom, scales: Scales, grams: FoldGrams
) -> Iterator[str]:
    """Yield notes about values that a limit keeps from going further.

    Parameters
    ----------
    config : FitConfig
        Deltas and sigmas as they were given.
    freedom : Freedom
        From `freedom_of`.
    scales : Scales
        What was chosen.
    grams : FoldGrams
        Groups and columns.
    """
    for n, (limits, factor) in enumerate(zip(freedom.delta, scales.delta, strict=True)):
        stopped = f"[[terms]] {n + 1}: delta stopped at "
        stopped += f"{config.terms[n].delta * factor:.3g} eV"
        if limits and factor < limits.low * (1 + _AT):
            yield (
                f"{stopped}: the data say little about this term; remove it, or set "
                "[tune] delta = false"
            )
        elif limits and _is_held(freedom, scales, n):
            yield (
                f"{stopped}, {MOST_DELTA:g} Å⁻¹ times sigma.forces: potentials with larger "
                "ones, for which the likelihood asks, have holes outside the data"
            )
        elif limits and factor > limits.high * (1 - _AT):
            yield (
                f"{stopped}: potentials with larger ones, for which the likelihood asks, "
                "have holes outside the data"
            )
    for n, limits in freedom.powers.items():
        change = scales.powers.get(n, 0.0)
        if min(abs(change - limits.low), abs(change - limits.high)) < _AT:
            yield (
                f"[[terms]] {n + 1}: smoothness stopped at the end of its range, "
                f"{POWER_RANGE.low:g} to {POWER_RANGE.high:g}"
            )
    yield from dict.fromkeys(_sigma_notes(config, freedom, scales, grams))


def _is_held(freedom: Freedom, scales: Scales, n: int) -> bool:
    """Return whether the leash kept the delta of a term from growing further."""
    leash = freedom.leash
    if leash is None:
        return False
    grown = float(scales.delta[n] / scales.sigma[leash.group])
    return grown > max(leash.most[n] * (1 - _LOOSE), 1 + _LOOSE)


def _sigma_notes(
    config: FitConfig, freedom: Freedom, scales: Scales, grams: FoldGrams
) -> Iterator[str]:
    for group, number, energy, factor in zip(
        grams.groups, freedom.sigma, freedom.energy, scales.sigma, strict=True
    ):
        if number is None and not energy:
            continue
        limits = freedom.energy_limits if energy else freedom.sigma_limits[number or 0]
        quantity, name = group
        shared = energy or freedom.sigma.count(number) > 1 or name == DEFAULT
        shown = f"sigma.{quantity}" if shared else f"sigma.{quantity} of {name}"
        value = factor * _sigma((quantity, DEFAULT) if shared else group, config)
        if factor > limits.high * (1 - _AT):
            yield (
                f"{shown} reached the end of the search, {factor:.3g} times the given "
                "one: give a better first value"
            )
        if factor < limits.low * (1 + _AT):
            yield (
                f"{shown} stopped at {value:.3g} {_UNITS[quantity]}, because reference "
                "calculations are hardly less noisy; give it a smaller value if yours are"
            )
