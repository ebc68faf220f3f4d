"""Exported potentials that were tampered with, with a checksum that is right."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.lammps.array_file import write_array_file

Arrays = dict[str, Any]
_LINE = 64


def read_array_file(path: Path) -> Arrays:
    """Return what `write_array_file` was given; text as str."""
    body, at, out = path.read_bytes()[_LINE:], 0, {}
    while at < len(body):
        name_length, kind, n_dims, _ = struct.unpack_from("<IIII", body, at)
        shape = struct.unpack_from(f"<{n_dims}Q", body, at + 16)
        begin = at + 16 + 8 * n_dims
        name = body[begin : begin + name_length].decode()
        data = -(-(begin + name_length) // _LINE) * _LINE
        dtype = np.dtype(["<f8", "<i8", "u1"][kind])
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        array = np.frombuffer(body[data : data + n_bytes], dtype).reshape(shape)
        out[name] = array.tobytes().decode() if kind == 2 else array.copy()
        at = data + -(-n_bytes // _LINE) * _LINE
    return out


def signed(body: bytes) -> bytes:
    """Return a file with a header that fits what follows."""
    header = b"GAPFITLAMMPS" + struct.pack("<IQI", 1, len(body), zlib.crc32(body))
    return header.ljust(_LINE, b"\0") + body


def mutated(path: Path, n: int, seed: int) -> Iterator[bytes]:
    """Yield files with random bytes, most of them in descriptions and small arrays."""
    whole = path.read_bytes()[_LINE:]
    rng = np.random.default_rng(seed)
    heads = _descriptions(whole)
    for k in range(n):
        body = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            # A description and what follows it; anywhere in the file now and then.
            at = int(rng.choice(heads)) + int(rng.integers(0, 160))
            if k % 8 == 0:
                at = int(rng.integers(0, len(body)))
            values = [0, 1, 2, 127, 128, 255, int(rng.integers(256))]
            body[min(at, len(body) - 1)] = int(rng.choice(values))
        yield signed(bytes(body))


def _descriptions(body: bytes) -> list[int]:
    out, at = [], 0
    while at < len(body):
        out.append(at)
        name_length, kind, n_dims, _ = struct.unpack_from("<IIII", body, at)
        shape = struct.unpack_from(f"<{n_dims}Q", body, at + 16)
        end = at + 16 + 8 * n_dims + name_length
        size = int(np.prod(shape)) * (1 if kind == 2 else 8)
        at = -(-end // _LINE) * _LINE + -(-size // _LINE) * _LINE
    return out


def _local(
    soap: int = 0, size: int | None = None, least: float = 0.0
) -> Callable[[Arrays], None]:
    """Return a change that adds the local scale of one species."""

    def change(arrays: Arrays) -> None:
        width = len(arrays["soap0/scale"]) if size is None else size
        arrays["force_std/local/soap"] = soap
        arrays["force_std/local/0/vector"] = np.zeros(width)
        arrays["force_std/local/0/numbers"] = np.array([0.0, least, 0.0])

    return change


def _set(name: str, value: Any) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        assert name in arrays
        arrays[name] = value

    return change


def _put(name: str, value: float, place: int = 0) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name].flat[place] = value

    return change


def _put_new(name: str, value: int) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = value

    return change


def _cut(name: str) -> Callable[[Arrays], None]:
    """Take away the last row."""

    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name][:-1]

    return change


def _emptied(arrays: Arrays) -> None:
    for name in ("species", "e0", "masses"):
        arrays[name] = arrays[name][:0]
    arrays["symbols"] = ""


def _many_blocks(arrays: Arrays) -> None:
    arrays["soap0/blocks"] = np.zeros((450_000, 2), dtype=np.int64)


def _hollow(arrays: Arrays) -> None:
    """Claim a dimension without numbers that 32 bits do not hold."""
    arrays["soap0/sum0/points"] = np.zeros((0, 2**32 + 5))
    arrays["soap0/sum0/quadratic"] = 0


def _further(species: int, distances: list[float], table: int) -> Callable:
    """Give a species other radial functions from distances on."""

    def change(arrays: Arrays) -> None:
        n = len(distances)
        arrays["soap0/first_table_of"] = arrays.pop("soap0/table_of")
        arrays["soap0/next_species"] = np.full(n, species)
        arrays["soap0/next_from"] = np.array(distances)
        arrays["soap0/next_table"] = np.full(n, table)

    return change


def _fewer_further(arrays: Arrays) -> None:
    _further(0, [2.0, 3.0], 0)(arrays)
    arrays["soap0/next_table"] = arrays["soap0/next_table"][:1]


_HUGE = 2**62
_SIZES = "of another type or shape"
#: Forgeries of a potential of three species with terms of all types and with standard
#: deviations: what is done to its arrays, and what must be said of it.
FORGERIES: dict[str, tuple[Callable[[Arrays], None], str]] = {
    "more_symbols": (_set("symbols", "Ge Sb Te Si"), "has 4 symbols for 3 species"),
    "fewer_symbols": (_set("symbols", "Ge Sb"), "has 2 symbols for 3 species"),
    "equal_symbols": (_set("symbols", "Ge Ge Te"), "has 3 symbols for 3 species"),
    "no_species": (_emptied, "has 0 symbols for 0 species"),
    "more_species": (_set("species", np.array([32, 51, 52, 14])), "3 symbols for 4"),
    "no_element": (_put("species", 0), "0 in the array species"),
    "fewer_e0": (_cut("e0"), f"array e0 {_SIZES}"),
    "nan_e0": (_put("e0", np.nan), "has nan in the array e0"),
    "fewer_masses": (_cut("masses"), f"array masses {_SIZES}"),
    "negative_mass": (_put("masses", -1.0), "mass that is not positive"),
    "usual_deviation": (
        _put("usual_deviations", 0.0),
        "usual deviation that is not positive",
    ),
    "fewer_usual_deviations": (
        _cut("usual_deviations"),
        f"array usual_deviations {_SIZES}",
    ),
    "nan_cutoff": (_put("cutoff", np.nan), "in the array cutoff"),
    "far_cutoff": (_put("cutoff", 1e9), "in the array cutoff"),
    "no_shortest": (_put("shortest", 0.0), "in the array shortest"),
    "negative_terms": (_put("n_soap", -1), "has -1 in the array n_soap"),
    "many_terms": (_put("n_pair", 9), "lacks the array pair2/values"),
    "huge_number_of_terms": (_put("n_triplet", _HUGE), "in the array n_triplet"),
    "no_such_soap": (_put("variance/soap", 1), "has 1 in the array variance/soap"),
    "zeta": (_put("soap0/zeta", 1e300), "has 1e+300 in the array soap0/zeta"),
    "channel": (_put("soap0/channel", 2**31 - 1), "in the array soap0/channel"),
    "wrapped_channel": (_put("soap0/channel", 2**32), "in the array soap0/channel"),
    "block": (_put("soap0/blocks", 99), "in the array soap0/blocks"),
    "many_blocks": (_many_blocks, "has features of two channels twice"),
    "scale": (_cut("soap0/scale"), "scale must have one value for each feature"),
    "infinite_scale": (_put("soap0/scale", np.inf), "has inf in the array soap0/scale"),
    "weights": (_cut("soap0/species_weight"), f"species_weight {_SIZES}"),
    "centre": (_cut("soap0/centre"), f"soap0/centre {_SIZES}"),
    "weighting": (_set("soap0/weighting_function", "?"), "weighting must be poly"),
    "radial_spacing": (_put("soap0/spacing", 0.0), "in the array soap0/spacing"),
    "one_knot": (_set("soap0/table", np.zeros((1, 1, 3, 5, 5))), "without knots"),
    "next_species": (_further(3, [2.0], 0), "in the array soap0/next_species"),
    "next_table": (_further(0, [2.0], 1), "in the array soap0/next_table"),
    "next_distance": (_further(0, [1e300], 0), "out of order"),
    "next_order": (_further(0, [3.0, 2.0], 0), "out of order"),
    "fewer_next": (_fewer_further, f"array soap0/next_table {_SIZES}"),
    "hollow": (_hollow, "a length of 4294967301"),
    "points": (_set("soap0/sum0/points", np.ones((3, 2))), "points of another length"),
    "coefficients": (_cut("soap0/sum0/coefficients"), "soap0/sum0/coefficients"),
    "pair_potential": (_put("pair0/potential", 99), "in the array pair0/potential"),
    "pair_knots": (_set("pair0/values", np.zeros((6, 1, 3))), "without knots"),
    "pair_start": (_put("pair0/start", 1e300), "in the array pair0/start"),
    "pair_spacing": (_put("pair0/spacing", -1.0), "in the array pair0/spacing"),
    "triplet_block": (_put("triplet0/block", 900), "in the array triplet0/block"),
    "triplets": (_put("triplet0/n_potentials", _HUGE), "array triplet0/n_potentials"),
    "fewer_triplets": (_put("triplet0/n_potentials", 1), "in the array triplet0/block"),
    "triplet_knots": (
        _set("triplet0/potential0/table", np.zeros((6, 5, 9))),
        "too few knots",
    ),
    "triplet_start": (_put("triplet0/start", 1e300), "impossible start"),
    "triplet_width": (_put("triplet0/width", 0.0), "in the array triplet0/width"),
    "theta": (_put("variance/other1/theta", 0.0), "array variance/other1/theta"),
    "column": (_put("variance/0/columns", _HUGE), "in the array variance/0/columns"),
    "negative_column": (_put("variance/0/columns", -1), "array variance/0/columns"),
    "before": (_put("variance/0/before", 2**32), "in the array variance/0/before"),
    "factor": (_cut("variance/0/L"), f"array variance/0/L {_SIZES}"),
    "others": (_put("variance/n_others", 9), "lacks the array variance/other2"),
    "other_type": (
        _set("variance/other0/type", "?"),
        "type of terms that there is not",
    ),
    "other_soap": (
        lambda arrays: arrays.update(
            {"variance/other0/type": "soap", "variance/other0/soap": -1}
        ),
        "has -1 in the array variance/other0/soap",
    ),
    "no_rank": (_put("force_std/rank", 0), "in the array force_std/rank"),
    "rank": (_put("force_std/rank", 4), f"force_std/soap0/0/coefficients {_SIZES}"),
    "no_scale": (_put("force_std/scale", 0.0), "impossible scale"),
    "negative_floor": (_put("force_std/scale", -1.0, 1), "impossible scale"),
    "no_tilt": (_set("force_std/tilt", np.zeros(6)), "impossible tilt"),
    "local_soap": (_local(soap=7), "in the array force_std/local/soap"),
    "local_vector": (_local(size=3), f"force_std/local/0/vector {_SIZES}"),
    "local_limits": (_local(least=1.0), "impossible limits of the local scale"),
    "shared": (_put("force_std/soap0/0/shared", 2), "array force_std/soap0/0/shared"),
    "soap_columns": (_cut("force_std/soap0/1/coefficients"), _SIZES),
    "pair_columns": (_cut("force_std/pair0/coefficients0"), _SIZES),
    "pair_points": (_cut("force_std/pair0/points0"), _SIZES),
    "column_pairs": (_put("force_std/n_pair", 2), "lacks the array force_std/pair1"),
    "triplet_columns": (_cut("force_std/triplet0/coefficients"), _SIZES),
    "permuted_columns": (_put("force_std/triplet0/permuted", 1), "permuted kernel"),
    "other_block": (_put("variance/other0/block", -1), "array variance/other0/block"),
    "other_blocks": (_put("variance/other0/n_blocks", 2), "variance/other0/block"),
}
#: Forgeries of a potential with a term `eam_density` beside SOAP.
DENSITIES: dict[str, tuple[Callable[[Arrays], None], str]] = {
    "densities": (_put("n_embedding", 9), "lacks the array embedding1/values"),
    "two_densities": (_set("embedding0/values", np.zeros((2, 9, 3))), _SIZES),
    "density_knots": (_set("embedding0/values", np.zeros((1, 1, 3))), "without knots"),
    "no_curves": (_set("embedding0/curves", np.zeros((0, 9, 3))), "embedding0/curve"),
    "density_weights": (_cut("embedding0/weights"), f"embedding0/weights {_SIZES}"),
    "nan_weight": (_put("embedding0/weights", np.nan), "has nan in the array"),
    "curve": (_put("embedding0/curve", 3), "has 3 in the array embedding0/curve"),
    "curve_spacing": (
        _put("embedding0/curve_spacing", 0.0),
        "embedding0/curve_spacing",
    ),
    "which_density": (_put("variance/other0/eam_density", 1), "other0/eam_density"),
    "density_columns": (
        _set("force_std/embedding0/1/curves", np.zeros((0, 9, 3))),
        "force_std/embedding0/1/curve",
    ),
    "density_theta": (_put("variance/other0/theta", -1.0), "variance/other0/theta"),
}


#: The same of tests/quip_models/SiC, whose pairs have knots of their own, and of SiCO,
#: whose channels are mixed.
KNOTS = {
    "falling_knots": (_put("pair0/knots", 9.0, 3), "knots of a pair potential out of"),
    "knots_of_nan": (_put("pair0/knots", np.nan, 1), "nan in the array"),
    "fewer_knots": (_cut("pair0/knots"), f"array pair0/knots {_SIZES}"),
    "kernel_of_another_kind": (_put_new("triplet0/polynomial", 2), "2 in the array"),
}
MIXED = {
    "fewer_channels": (_cut("soap0/mixing"), f"array soap0/mixing {_SIZES}"),
    "wide_channels": (_put("soap0/mixed", 17), "17 in the array soap0/mixed"),
    "no_functions": (_put("soap0/mixed", 0), "0 in the array soap0/mixed"),
    "blocks_beyond": (_put("soap0/blocks", 99), "99 in the array soap0/blocks"),
    "unknown_products": (_set("soap4/products", "some"), "products must be"),
    "other_products": (_set("soap4/products", "all"), "one value for each feature"),
}


def forge(path: Path, name: str, folder: Path) -> Path:
    """Write a forgery of a potential."""
    arrays = read_array_file(path)
    {**FORGERIES, **DENSITIES, **KNOTS, **MIXED}[name][0](arrays)
    forged = folder / f"{name}.gapfit"
    write_array_file(forged, arrays)
    return forged
