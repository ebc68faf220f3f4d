"""Blocks of TurboGAP as descriptors of QUIP, whose form they have.

TurboGAP evaluates what gap_fit fits, with the same scales, coefficients and order of
components. It has fewer forms: pairs and triplets end over 0.5 Å, pairs have the squared
exponential alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.config.terms import SoapConfig
from gapfit.quip.descriptors import TermPart, part_of
from gapfit.quip.xml_file import Coordinates, refuse_absurd
from gapfit.turbogap.gap_file import Block
from gapfit.turbogap.tables import coefficients, kept_components, sparse_points

__all__ = ["ENDS", "block_species", "descriptor_of", "part_of_block", "trivial_places"]

#: Width of the cutoff of pairs and triplets, which files cannot change, Å.
ENDS = 0.5
#: Any version of QUIP's present conventions.
_VERSION = 1_686_220_958
#: Most radial functions of all species of a block; potentials have 10 of each.
_MOST_FUNCTIONS = 1000
#: Kernels of triplets by the number of QUIP's.
_KERNELS = {"exp": (1, "ard_se"), "pol": (4, "pp")}
_TRUE = frozenset({"t", "true"})
_LOGICAL = _TRUE | {"f", "false"}
#: Keys of settings by species: TurboGAP's, QUIP's, and the default.
_BY_SPECIES: tuple[tuple[str, str, float | None], ...] = (
    ("atom_sigma_r", "atom_sigma_r", None),
    ("atom_sigma_t", "atom_sigma_t", None),
    ("atom_sigma_r_scaling", "atom_sigma_r_scaling", 0.0),
    ("atom_sigma_t_scaling", "atom_sigma_t_scaling", 0.0),
    ("amplitude_scaling", "amplitude_scaling", 1.0),
    ("central_weight", "central_weight", 1.0),
)


def block_species(block: Block) -> list[int]:
    """Return the atomic numbers that a block names, in its order."""
    if block.kind == "soap_turbo":
        return block.species("species", _n_species(block))
    ends = [*block.species("species1"), *block.species("species2")]
    if block.kind == "angle_3b":
        return [*block.species("species_center"), *ends]
    return ends


def part_of_block(
    block: Block, source: Coordinates, species: tuple[int, ...]
) -> TermPart:
    """Return the term of a block with its sparse points.

    Parameters
    ----------
    block : Block
        A block other than ``core_pot``.
    source : Coordinates
        The same as a descriptor of QUIP, from `descriptor_of`.
    species : tuple of int
        Atomic numbers of the model, ascending.

    Raises
    ------
    GapfitError
        A setting is not supported.
    """
    part = part_of(source, species, _VERSION)
    config = part.config
    if isinstance(config, SoapConfig) and _n_species(block) == 1:
        # QUIP does not read this weight of a single species, TurboGAP does.
        (weight,) = block.numbers("central_weight", 1, 1.0)
        turbo = config.turbo.model_copy(update={"central_weight": weight})
        config = config.model_copy(update={"turbo": turbo})
    return TermPart(
        config,
        part.blocks,
        part.points,
        part.coefficients,
        part.cutoffs,
        (),
        counted_once=False,
    )


def descriptor_of(block: Block) -> Coordinates:
    """Return a block other than ``core_pot`` as a descriptor of QUIP.

    Raises
    ------
    ModelFileError
        A table is missing or damaged, or a setting is not possible or not supported.
    """
    alpha, cutoffs = coefficients(block)
    (delta,) = block.numbers("delta", 1, 1.0)
    if block.kind == "soap_turbo":
        kernel, theta = 2, np.zeros(0)
        options, width = _soap_options(block)
    else:
        width = 3 if block.kind == "angle_3b" else 1
        theta = np.array(block.numbers("sigma", width, 1.0))
        kernel, options = _options_of_sides(block)
    points = sparse_points(block, len(alpha), width)
    label = f"{block.kind} in line {block.line}"
    try:
        refuse_absurd(label, theta, alpha, cutoffs, points)
    except ValueError as error:
        raise block.error("", str(error)) from None
    return Coordinates(
        label=label,
        descriptor=options,
        covariance=kernel,
        delta=delta,
        mean=0.0,
        zeta=block.numbers("zeta", 1, 2.0)[0] if kernel == 2 else None,
        theta=theta,
        permutations=np.arange(width)[None, :],
        alpha=alpha,
        cutoffs=cutoffs,
        points=points,
    )


def _options_of_sides(block: Block) -> tuple[int, str]:
    """Return the kernel and the options of pairs or triplets."""
    (r_cut,) = block.numbers("rcut")
    a, b = block.species("species1")[0], block.species("species2")[0]
    kernel, covariance = 1, "ard_se"
    ends = f"Z1={a} Z2={b}"
    if block.kind == "angle_3b":
        (centre,) = block.species("species_center")
        kernel, covariance = _KERNELS[block.only("kernel_type", "exp", *_KERNELS)]
        ends = f"Z={centre} {ends}"
    return kernel, (
        f"{block.kind} cutoff={r_cut!r} cutoff_transition_width={ENDS!r} "
        f"covariance_type={covariance} {ends}"
    )


def _n_species(block: Block) -> int:
    (n_species,) = block.wholes("n_species")
    if not 1 <= n_species <= 118:
        raise block.error("n_species", f"n_species = {n_species} must be 1 to 118")
    return n_species


def _soap_options(block: Block) -> tuple[str, int]:
    """Return the options of soap_turbo, and the length of a descriptor."""
    n_species = _n_species(block)
    channels = block.species("species", n_species)
    (centre,) = block.wholes("central_species")
    if not 1 <= centre <= n_species:
        raise block.error(
            "central_species",
            f"central_species = {centre} must be 1 to n_species = {n_species}",
        )
    numbers = block.wholes("n_max", n_species)
    (l_max,) = block.wholes("l_max")
    if min(numbers) < 1 or max(numbers) > 99 or not 0 <= l_max <= 99:
        raise block.error(
            "n_max", f"n_max = {numbers}, l_max = {l_max} are not possible"
        )
    if sum(numbers) > _MOST_FUNCTIONS:
        raise block.error(
            "n_max",
            f"n_max adds up to {sum(numbers)}; at most {_MOST_FUNCTIONS} are supported",
        )
    if _same(block, "global_scaling", n_species, 1.0) != 1:
        raise block.error("global_scaling", "global_scaling must be 1")
    r_cut = _same(block, "rcut", n_species)
    by_species = {"alpha_max": [float(n) for n in numbers]} | {
        theirs: block.numbers(ours, n_species, default)
        for ours, theirs, default in _BY_SPECIES
    }
    lists = " ".join(
        f"{key}={{{' '.join(map(_short, values))}}}"
        for key, values in by_species.items()
    )
    (enhancement,) = block.wholes("radial_enhancement", 1, 0)
    compressed = _is_compressed(block, numbers, l_max)
    width = sum(numbers) * (sum(numbers) + 1) // 2 * (l_max + 1)
    if compressed:
        width = len(trivial_places(numbers, l_max))
    return (
        f"soap_turbo l_max={l_max} {lists} rcut_hard={r_cut!r} "
        f"rcut_soft={r_cut - _same(block, 'buffer', n_species, ENDS)!r} "
        f"nf={_same(block, 'nf', n_species, 4.0)!r} "
        f"basis={block.only('basis', 'poly3', 'poly3', 'poly3gauss')} "
        f"scaling_mode={block.only('scaling_mode', 'polynomial', 'polynomial')} "
        f"radial_enhancement={enhancement} "
        f"{'compress_mode=trivial ' if compressed else ''}"
        f"covariance_type=dot_product n_species={n_species} "
        f"species_Z={{{' '.join(map(str, channels))}}} central_index={centre}"
    ), width


def _short(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _same(
    block: Block, key: str, n_species: int, default: float | None = None
) -> float:
    """Return the value of a key that gapfit and QUIP have once for all species."""
    values = block.numbers(key, n_species, default)
    if len(set(values)) > 1:
        raise block.error(
            key,
            f"{key} = {values} must be the same for all species: others are not supported",
        )
    return values[0]


def trivial_places(numbers: Sequence[int], l_max: int) -> list[int]:
    """Return the components that the trivial compression keeps, from 1.

    Radial functions count through all species, K = 1 ... N; components are (K1, K2 >= K1,
    l), l running fastest. Kept are those of which K1 or K2 is the first of a species.

    Parameters
    ----------
    numbers : sequence of int
        Radial functions of each species.
    l_max : int
        Largest degree.
    """
    first = np.cumsum(numbers) - numbers
    rows, columns = np.triu_indices(sum(numbers))
    kept = np.isin(rows, first) | np.isin(columns, first)
    return (np.flatnonzero(np.repeat(kept, l_max + 1)) + 1).tolist()


def _is_compressed(block: Block, numbers: list[int], l_max: int) -> bool:
    """Return whether a block has the trivial compression; refuse others."""
    (flag,) = block.words("compress_soap", 1, ".false.")
    word = flag.lower().strip(".")
    if word not in _LOGICAL:
        raise block.error(
            "compress_soap", f"compress_soap = {flag} is not .true. or .false."
        )
    if word not in _TRUE:
        return False
    # As in TurboGAP, a file has priority over a mode.
    if "file_compress_soap" not in block.entries:
        if "compress_mode" not in block.entries:
            raise block.error(
                "compress_soap",
                "compress_soap without compress_mode or file_compress_soap",
            )
        return block.only("compress_mode", "", "trivial") == "trivial"
    head, kept = kept_components(block, len(numbers))
    if head != [*numbers, l_max] or kept != trivial_places(numbers, l_max):
        raise block.error(
            "file_compress_soap",
            "the file of compression keeps other components than compress_mode = trivial, "
            "which is not supported",
        )
    return True
