"""Descriptors of a command of gap_fit as terms of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gapfit.errors import GapfitError
from gapfit.quip.merging import Piece, merged
from gapfit.quip.options import Options, split_words, strip
from gapfit.quip.remarks import Remark, unknown_option

__all__ = ["named_numbers", "translate_terms", "type_values"]

#: Options without influence on the fit.
_SILENT = (
    "mark_sparse_atoms",
    "print_sparse_index",
    "unique_descriptor_tolerance",
    "unique_hash_tolerance",
    "energy_parameter_name",
    "n_Z",
    "n_species",
)
#: Options for which gapfit has but one value.
_FIXED: dict[str, tuple[str, ...]] = {
    "average": ("F",),
    "basis_error_exponent": ("10", "10.0"),
    "coupling": ("T",),
    "covariance_sigma0": ("0", "0.0"),
    "cutoff_dexp": ("0",),
    "diagonal_radial": ("F",),
    "exponents": ("1", "1.0"),
    "f0": ("0", "0.0"),
    "has_tail": ("F",),
    "K": ("0",),
    "mix_shift": ("0", "0.0"),
    "n_exponents": ("1",),
    "normalise": ("T",),
    "nu_R": ("2",),
    "nu_S": ("2",),
    "only_inter": ("F",),
    "only_intra": ("F",),
    "radial_basis": ("EQUISPACED_GAUSS",),
    "R_mix": ("F",),
    "sym_mix": ("F",),
    "Z_map": (),
    "Z_mix": ("F",),
}
_METHODS = {
    "random": "random",
    "uniform": "uniform",
    "cur_points": "cur",
    "cur_covariance": "cur",
    "kmeans": "kmeans",
    "cluster": "kmeans",
    "fuzzy": "kmeans",
    "covariance": "fps",
    "pivot": "fps",
}
#: Those that do the same.
_SAME_METHODS = ("random", "uniform", "cur_points", "kmeans")

Note = Callable[[str, str, str], None]


def named_numbers(gap: str) -> set[int]:
    """Return the atomic numbers that the descriptors of ``gap={...}`` name."""
    keys = ("Z", "Z1", "Z2", "species_Z")
    every = [Options.of(strip(text)) for text in split_words(gap, ":")]
    return {z for own in every for key in keys for z in own.integers(key)} - {0}


def translate_terms(gap: str, remarks: list[Remark]) -> list[dict[str, Any]]:
    """Return the terms of ``gap={... : ...}``; expanded ones are one again.

    Parameters
    ----------
    gap : str
        What is in the braces.
    remarks : list of Remark
        Takes what has no counterpart.

    Returns
    -------
    list of dict
        Tables ``[[terms]]``.

    Raises
    ------
    GapfitError
        A descriptor is broken, or none is left.
    """
    pieces: list[Piece] = []
    for number, text in enumerate(split_words(gap, ":"), 1):
        options = Options.of(strip(text))

        def note(
            key: str,
            value: str,
            text: str,
            name: str = f"gap {number} ({options.name})",
        ) -> None:
            remarks.append(Remark(f"{name} {key}".rstrip(), value, text))

        piece = _piece(options, note)
        if piece is not None:
            pieces.append(piece)
    if not pieces:
        raise GapfitError("gap={...} has no descriptor that gapfit knows")
    return merged(pieces, remarks)


def _piece(options: Options, note: Note) -> Piece | None:
    kinds = {
        "soap": _soap,
        "distance_2b": _distance_2b,
        "angle_3b": _angle_3b,
        "distance_Nb": _distance_nb,
    }
    if options.name not in kinds:
        note(
            "",
            "",
            f"left out: gapfit has {', '.join(kinds)}; fit without it, or add one",
        )
        return None
    piece = kinds[options.name](options, note)
    if piece is None:
        return None
    for key, usual in _FIXED.items():
        value = options.text(key)
        if value is not None and value.upper() not in usual:
            note(key, value, "has no counterpart: left out")
    for key in _SILENT:
        options.text(key)
    names = sorted(options.asked)
    for key in options.unknown:
        note(key, options.values[key], f"no effect: it is {unknown_option(key, names)}")
    return piece


def _required(options: Options, *keys: str) -> float:
    if options.text(*keys) is None:
        raise GapfitError(f"gap={{{options.name} ...}}: {keys[0]} is missing")
    return options.real(*keys, default=0.0)


def _sparse(options: Options, note: Note, kind: str) -> dict[str, Any]:
    """Return how sparse points are chosen."""
    named = options.text("sparse_method", default="random") or "random"
    method = _METHODS.get(named.lower())
    usual = "cur" if kind == "soap" else "uniform"
    options.text("sparse_file")
    if named.lower() in ("file", "index_file"):
        note(
            "sparse_method",
            named,
            f'taken as "{usual}": lists of points have another form here, see sparse_file '
            'of the term for sparse_method = "file"',
        )
    elif method is None:
        note("sparse_method", named, f'has no counterpart: taken as "{usual}"')
    elif method == "uniform" and kind == "soap":
        note("sparse_method", named, 'not for soap here: taken as "cur"')
        method = "cur"
    elif named.lower() not in _SAME_METHODS:
        note("sparse_method", named, f'taken as "{method}", which is near')
    quotas = {
        name: int(_number("config_type_n_sparse", values[0]))
        for name, values in type_values(
            options.text("config_type_n_sparse") or "", 1, "config_type_n_sparse"
        ).items()
    }
    given = options.integer("n_sparse", "n_sparseX", default=0)
    total = sum(quotas.values())
    if quotas and given and given != total:
        note("n_sparse", str(given), f"taken as {max(given, total)} with all quotas")
    found: dict[str, Any] = {
        "n_sparse": max(given, total, 1),
        "sparse_method": method or usual,
    }
    return found | ({"config_type_n_sparse": quotas} if quotas else {})


def type_values(text: str, n: int, key: str) -> dict[str, list[str]]:
    """Return what ``name:value:...:name:...`` gives each name, n values of each.

    Raises
    ------
    GapfitError
        The numbers of names and values do not fit.
    """
    words = [word.strip() for word in text.split(":")] if text.strip() else []
    if len(words) % (n + 1):
        raise GapfitError(
            f"{key} = {text[:60]}: each name needs {n} values after it, with colons between"
        )
    return {words[k]: words[k + 1 : k + 1 + n] for k in range(0, len(words), n + 1)}


def _number(key: str, text: str) -> float:
    return Options(key, {key: text}).real(key, default=0.0)


def _symbols(numbers: Sequence[int]) -> list[str]:
    from ase.data import chemical_symbols

    beyond = [z for z in numbers if not 0 < z < len(chemical_symbols)]
    if beyond:
        raise GapfitError(f"gap={{...}}: Z = {beyond[0]} is no atomic number")
    return [chemical_symbols[z] for z in numbers]


def _soap(options: Options, note: Note) -> Piece:
    _require_kernel(options, note, ("dot_product",))
    for key in ("theta_uniform", "theta_fac", "theta_file"):
        if (value := options.text(key)) is not None:
            note(key, value, "not for dot products: left out")
    expand = options.logical("add_species", default=True)
    centres = [z for z in options.integers("Z") if z]
    named = [z for z in options.integers("species_Z") if z]
    together = not named and not (expand and not centres)
    quip: dict[str, Any] = {
        "width": options.real("cutoff_transition_width", default=0.5),
        "central_weight": options.real("central_weight", default=1.0),
        "neighbours": _symbols(sorted(named)),
    }
    everywhere = options.logical(
        "central_reference_all_species", default=len(named) == 1
    )
    if everywhere and not together:
        quip["central_in_all"] = True
    settings: dict[str, Any] = {
        "type": "soap",
        "rbf": "equispaced_gaussians",
        "r_cut": _required(options, "cutoff"),
        "n_max": int(_required(options, "n_max")),
        "l_max": int(_required(options, "l_max")),
        "sigma": _required(options, "atom_sigma", "atom_gaussian_width"),
        "zeta": _required(options, "zeta", "soap_exponent"),
        "delta": _required(options, "delta", "energy_scale"),
        "compression": "mu2" if together else "off",
        "quip": quip,
        **_sparse(options, note, "soap"),
    }
    if together and not centres:
        note(
            "add_species",
            "F",
            "one species of neighbours, as given; each central species has its own points",
        )
    return Piece(settings, tuple(_symbols(sorted(centres))))


def _require_kernel(options: Options, note: Note, names: tuple[str, ...]) -> None:
    given = options.text("covariance_type", default=names[0]) or names[0]
    if given.lower() not in names:
        note("covariance_type", given, f"has no counterpart: taken as {names[0]}")


def _clusters(options: Options, note: Note, kind: str) -> dict[str, Any]:
    """Return what pairs and triplets share."""
    _require_kernel(options, note, ("ard_se", "gaussian"))
    options.asked.update(("zeta", "soap_exponent"))
    return {
        "type": kind,
        "switch": "cosine",
        "r_cut": _required(options, "cutoff"),
        "width": options.real("cutoff_transition_width", default=0.5),
        # QUIP counts pairs, and triplets of angle_3b, twice.
        "delta": 2 * _required(options, "delta", "energy_scale"),
        **_sparse(options, note, kind),
    }


def _length(options: Options, note: Note) -> float | None:
    """Return the length of the kernel, Å; None where it hangs on the data."""
    for key in ("theta_fac", "theta_file"):
        if (value := options.text(key)) is not None:
            note(
                key,
                value,
                "depends on the data: gapfit's default is taken; theta of a model that "
                "gap_fit made stands in its XML file",
            )
    if options.text("theta_uniform") is None:
        return None
    return options.real("theta_uniform", default=1.0)


def _everywhere(options: Options, note: Note, ends: list[int]) -> None:
    if not options.logical("add_species", default=True) and not any(ends):
        note("add_species", "F", "gapfit has a potential of its own for all species")


def _label(*numbers: int) -> str:
    *first, a, b = numbers
    return "-".join(_symbols([*first, *sorted((a, b))]))


def _distance_2b(options: Options, note: Note) -> Piece:
    return _pairs(
        options, note, [options.integer(key, default=0) for key in ("Z1", "Z2")]
    )


def _pairs(options: Options, note: Note, ends: list[int]) -> Piece:
    settings = _clusters(options, note, "distance_2b")
    if (theta := _length(options, note)) is not None:
        settings["theta"] = theta
    _everywhere(options, note, ends)
    return Piece(settings, (_label(*ends),) if all(ends) else ())


def _angle_3b(options: Options, note: Note) -> Piece:
    ends = [options.integer(key, default=0) for key in ("Z", "Z1", "Z2")]
    settings = _clusters(options, note, "angle_3b")
    if (theta := _length(options, note)) is not None:
        settings["theta"] = [theta] * 3
    _everywhere(options, note, ends)
    return Piece(settings, (_label(*ends),) if all(ends) else ())


def _distance_nb(options: Options, note: Note) -> Piece | None:
    order = options.integer("order", default=2)
    options.text("compact_clusters")
    ends = options.integers("Z") or [0] * order
    if order not in (2, 3):
        note("order", str(order), "left out: gapfit has terms of two and three atoms")
        return None
    if len(ends) != order:
        raise GapfitError(
            f"distance_Nb: order = {order} does not agree with Z = {ends}"
        )
    if order == 2:
        return _pairs(options, note, ends)
    settings = _clusters(options, note, "angle_3b")
    settings["delta"] /= 2
    note(
        "order",
        "3",
        "taken as angle_3b, of which distance and angle enter otherwise: the prior is "
        "alike, not equal",
    )
    if (theta := _length(options, note)) is not None:
        # Lengths of the sum and of the squared difference of two distances.
        settings["theta"] = [2**0.5 * theta, 2 * theta**2, theta]
    _everywhere(options, note, ends)
    return Piece(settings, (_label(*ends),) if all(ends) else ())
