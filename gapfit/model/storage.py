"""The model file: one .npz with a JSON header, never pickled, written atomically."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.archive import (
    Packed,
    Writable,
    read_arrays,
    read_header,
    unpacked,
    write_archive,
)
from gapfit._support.disk import in_short, unreadable
from gapfit._support.foreign import UnopenedError, file_size
from gapfit.baseline.baseline import Baseline, build_baseline
from gapfit.baseline.pair_file import points_problem
from gapfit.config.sections import FitConfig
from gapfit.descriptors.blocks import species_pairs
from gapfit.errors import GapfitError, ModelFileError
from gapfit.gp.posterior import Posterior
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening
from gapfit.model.calibration import Calibration
from gapfit.model.file_header import FORMAT, SCHEMA, checked_config, checked_header
from gapfit.model.gap_model import GAPModel
from gapfit.model.record import FitRecord
from gapfit.model.terms import FittedTerm, basis_shapes, build_term, feature_count

__all__ = ["load", "load_with_sums", "save"]

# Arrays of the local scale, by species.
_LOCAL = "calibration/local/"
_UNITS = {"energy": "eV", "length": "Å", "forces": "eV/Å", "stress": "eV/Å³"}


def save(model: GAPModel, path: str | Path, *, part_of: str = "") -> None:
    """Write a model; the same model gives the same bytes.

    Parameters
    ----------
    model : GAPModel
        The model.
    path : str or Path
        The file; replaced only once the new one is complete.
    part_of : str
        Name of the unfinished fit that the file belongs to.
    """
    header = _header(model) | ({"part_of": part_of} if part_of else {})
    write_archive(path, header, _arrays(model))


def load(
    path: str | Path, *, training_sums: bool = False, part_of: str = ""
) -> GAPModel:
    """Read a model written by `save`; predictions are the same to the last bit.

    Parameters
    ----------
    path : str or Path
        The model file.
    training_sums : bool
        Read the sums over the training data, too: `gapfit.append` and `gapfit.refit`
        need them, predictions do not.
    part_of : str
        Name of the unfinished fit that the file must belong to.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, not a gapfit model, of a newer schema, or part of
        another fit.
    """
    path = Path(path)
    try:
        file_size(path)
    except UnopenedError as error:
        reason = "there is no such model file" if error.missing else str(error)
        raise ModelFileError(f"{path}: {reason}{_hint(path)}") from None
    try:
        with zipfile.ZipFile(path) as archive:
            header = checked_header(path, read_header(archive))
            if part_of and header.get("part_of") != part_of:
                raise ModelFileError(
                    f"{path}: belongs to another fit than its folder; restore the file, "
                    f"or move {path.parent} elsewhere and start again"
                )
            if not training_sums:
                header |= {
                    "training_sums": None,
                    "arrays": _without_sums(header["arrays"]),
                }
            arrays = read_arrays(archive, header["arrays"])
        return _build(path, header, arrays)
    except ModelFileError:
        raise
    except Exception as error:  # damage shows in as many ways as there are bytes
        # Reading at a wrong offset in a damaged file is an OSError, too.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise ModelFileError(str(unreadable(path, error))) from error
        raise ModelFileError(_damaged(path, error)) from error


def _hint(path: Path) -> str:
    """Return which file to give instead of a folder; empty for all else."""
    # Methods of Path raise an error for names that are too long.
    if not os.path.isdir(path):  # noqa: PTH112
        return ""
    inside = path / "model.npz"
    return f"; give {inside if inside.is_file() else 'a model file, usually model.npz'}"


def load_with_sums(model: GAPModel | str | Path) -> GAPModel:
    """Return a model with the sums over its data.

    Parameters
    ----------
    model : GAPModel, str or Path
        A model, or its file.

    Raises
    ------
    GapfitError
        The sums were not kept, or not read.
    ModelFileError
        See `load`.
    """
    from_file = not isinstance(model, GAPModel)
    loaded = load(model, training_sums=True) if isinstance(model, str | Path) else model
    if loaded.training_sums is not None:
        return loaded
    where = f"{model}: " if from_file else ""
    if program := loaded.record.program:
        raise GapfitError(
            f"{where}a model of {program} contains no sums over its training data"
        )
    if from_file or not loaded.config.run.store_sums:
        raise GapfitError(
            f"{where}the model contains no sums over its training data; fit it again with "
            "run.store_sums = true"
        )
    raise GapfitError(
        "the model was read without the sums over its training data; give the path of "
        "its file instead, or gapfit.load(path, training_sums=True)"
    )


def _without_sums(specs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in specs.items() if not k.startswith("training_sums/")}


def _damaged(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"
    if not is_archive:
        programs = {".xml": "QUIP", ".yace": "pacemaker", ".gap": "TurboGAP"}
        program = programs.get(path.suffix)
        hint = (
            f"; convert a model of {program} with `gapfit convert`" if program else ""
        )
        return f"{path}: not a gapfit model (gapfit writes .npz archives){hint}"
    return (
        f"{path}: the model file is damaged or truncated "
        f"({in_short(error)}); copy it again or fit it again"
    )


def _header(model: GAPModel) -> dict[str, Any]:
    whitening = _whitening(model)
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "units": _UNITS,
        "config": model.config.model_dump(mode="json"),
        "species": list(model.species),
        "e0": {str(z): energy for z, energy in model.e0.items()},
        "blocks": [list(term.sparse) for term in model.terms],
        "baseline_pairs": list(model.baseline.points) if model.baseline else [],
        "jitter": list(whitening.jitter) if whitening else None,
        "posterior": model.posterior is not None,
        "training_sums": model.training_sums.header() if model.training_sums else None,
        "calibration": model.calibration.as_dict() if model.calibration else None,
        "info": model.record.plain(),
    }


def _whitening(model: GAPModel) -> Whitening | None:
    holder = model.posterior or model.training_sums
    return holder.whitening if holder else None


def _arrays(model: GAPModel) -> dict[str, Writable]:
    arrays: dict[str, Writable] = {}
    for n, term in enumerate(model.terms):
        arrays |= {f"term{n}/{name}": table for name, table in term.basis.items()}
        for block, points in term.sparse.items():
            arrays[f"term{n}/{block}/sparse"] = points
            arrays[f"term{n}/{block}/coefficients"] = term.coefficients[block]
            if block in term.projections:
                arrays[f"term{n}/{block}/projection"] = term.projections[block]
            if block in term.lossless:
                arrays[f"term{n}/{block}/lossless"] = term.lossless[block]
    for key, points in (model.baseline.points if model.baseline else {}).items():
        arrays[f"baseline/{key}"] = points
    whitening = _whitening(model)
    for n, U in enumerate(whitening.cholesky if whitening else ()):
        arrays[f"whitening/{n}"] = Packed(U)
    if model.calibration and model.calibration.local:
        for species, line in model.calibration.local.lines.items():
            arrays[f"{_LOCAL}{species}"] = line.vector
    if model.posterior:
        arrays["posterior/R"] = Packed(model.posterior.R)
    if model.training_sums:
        for name, array in model.training_sums.arrays().items():
            arrays[f"training_sums/{name}"] = array
    return arrays


def _build(
    path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray]
) -> GAPModel:
    config = checked_config(path, header)
    species = tuple(int(z) for z in header["species"])
    e0 = {int(z): float(energy) for z, energy in header["e0"].items()}
    _require(
        "species and e0",
        len(species) > 0
        and list(species) == sorted(set(species))
        and 1 <= species[0] <= species[-1] <= 118
        and set(species) <= set(e0)
        and bool(np.isfinite(list(e0.values())).all()),
    )
    terms = tuple(
        _build_term(n, config, species, arrays) for n in range(len(config.terms))
    )
    _require(
        "blocks", header["blocks"] == [list(term.descriptor.blocks) for term in terms]
    )
    posterior, sums = None, None
    if header["jitter"] is not None:
        whitening = _build_whitening(header["jitter"], terms, arrays)
        if header["posterior"]:
            R = _triangle(arrays, "posterior/R", whitening.n_sparse)
            posterior = Posterior(whitening, R)
        if header["training_sums"] is not None:
            sum_arrays = {
                name.removeprefix("training_sums/"): _checked(arrays, name, (None,))
                for name in arrays
                if name.startswith("training_sums/")
            }
            sums = TrainingSums.from_arrays(
                whitening, header["training_sums"], sum_arrays
            )
    model = GAPModel(
        config,
        species,
        e0,
        terms,
        _baseline(header.get("baseline_pairs", []), config, species, arrays),
        posterior,
        sums,
        _calibration(header.get("calibration"), terms, arrays),
        FitRecord.from_plain(header["info"]),
    )
    # Words such as "nan" have become numbers where numbers were expected.
    json.dumps(_header(model), allow_nan=False)
    return model


def _calibration(
    plain: dict[str, Any] | None,
    terms: tuple[FittedTerm, ...],
    arrays: dict[str, np.ndarray],
) -> Calibration | None:
    if plain is None:
        return None
    vectors = {
        int(name.removeprefix(_LOCAL)): _checked(arrays, name, (None,))
        for name in arrays
        if name.startswith(_LOCAL)
    }
    calibration = Calibration.from_dict(plain, vectors)
    for quantity, part in calibration.kinds.items():
        _require(f"calibration of {quantity}", part.is_valid)
    local = calibration.local
    _require("local scale", local is None or local.fits(terms))
    return calibration


def _require(part: str, consistent: bool) -> None:
    if not consistent:
        raise ValueError(f"inconsistent {part}")


def _checked(
    arrays: dict[str, np.ndarray], name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Return an array of finite float64 of the right shape (None: any length)."""
    array = arrays[name]
    fits = len(shape) == array.ndim and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    _require(f"array {name}", fits and array.dtype == np.dtype("<f8"))
    _require(f"array {name} (not finite)", bool(np.isfinite(array).all()))
    return array


def _baseline(
    pairs: list[int],
    config: FitConfig,
    species: tuple[int, ...],
    arrays: dict[str, np.ndarray],
) -> Baseline | None:
    settings = config.baseline
    _require(
        "baseline",
        bool(pairs) == (settings.table is not None)
        and pairs == [key for key in species_pairs(species) if key in pairs],
    )
    points = {}
    for key in pairs:
        name = f"baseline/{key}"
        points[key] = _checked(arrays, name, (None, None))
        problem = points_problem(points[key], settings.width)
        _require(f"array {name} ({problem})", not problem)
    return build_baseline(config, species, points, trusted=False)


def _build_term(
    n: int,
    config: FitConfig,
    species: tuple[int, ...],
    arrays: dict[str, np.ndarray],
) -> FittedTerm:
    prefix, settings = f"term{n}/", config.terms[n]
    basis = {
        name: _checked(arrays, f"{prefix}{name}", shape)
        for name, shape in basis_shapes(settings).items()
    }
    # A small file must not announce descriptors that fill the memory.
    sizes = [array.size for name, array in arrays.items() if name.startswith(prefix)]
    _require(
        f"term {n + 1} (an environment has more numbers than the file)",
        feature_count(settings, species) <= max(sizes, default=0),
    )
    bare = build_term(settings, species, basis)
    if bare.descriptor.components != "all":
        shape = (bare.descriptor.n_features, None)
        projections = {
            block: _checked(arrays, f"{prefix}{block}/projection", shape)
            for block in bare.descriptor.blocks
        }
        bare = build_term(settings, species, basis, projections)
    sparse, coefficients, lossless = {}, {}, {}
    for block in bare.descriptor.blocks:
        name = f"{prefix}{block}/"
        width = bare.descriptor.width(block)
        sparse[block] = _checked(arrays, f"{name}sparse", (None, width))
        size = len(sparse[block])
        coefficients[block] = _checked(arrays, f"{name}coefficients", (size,))
        if f"{name}lossless" in arrays:
            lossless[block] = _checked(arrays, f"{name}lossless", (width, None))
    return replace(
        bare,
        sparse=sparse,
        coefficients=coefficients,
        lossless=lossless,
        quadratic=config.prediction.quadratic,
    )


def _build_whitening(
    jitter: list[float], terms: tuple[FittedTerm, ...], arrays: dict[str, np.ndarray]
) -> Whitening:
    sizes = [len(points) for term in terms for points in term.sparse.values()]
    _require("jitter", len(jitter) == len(sizes))
    cholesky = [_triangle(arrays, f"whitening/{n}", m) for n, m in enumerate(sizes)]
    return Whitening(tuple(cholesky), tuple(float(value) for value in jitter))


def _triangle(arrays: dict[str, np.ndarray], name: str, size: int) -> np.ndarray:
    upper = unpacked(_checked(arrays, name, (size * (size + 1) // 2,)), size)
    _require(f"array {name} (singular)", bool(np.all(np.diag(upper) != 0)))
    return upper
