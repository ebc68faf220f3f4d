"""The model file: one .npz with a JSON header, never pickled, written atomically."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.config import FitConfig
from gapfit.errors import ModelFileError
from gapfit.model import GAPModel
from gapfit.posterior import Posterior
from gapfit.solver import Whitening
from gapfit.terms import FittedTerm, build_term

__all__ = ["SCHEMA", "atomic_write", "load", "save"]

#: Raised whenever older versions of gapfit could not read the file rightly.
SCHEMA = 1
_FORMAT = "gapfit-model"
_UNITS = {"energy": "eV", "length": "Å", "forces": "eV/Å", "stress": "eV/Å³"}


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that replaces `path` on success and vanishes on failure."""
    target = Path(path)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix or ".tmp"
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save(model: GAPModel, path: str | Path) -> None:
    """Write a model; the same model gives the same bytes.

    Parameters
    ----------
    model : GAPModel
        What to write.
    path : str or Path
        Where; replaced only once the new file is complete.
    """
    header, arrays = _header(model), _arrays(model)
    header["arrays"] = {
        name: {"shape": list(a.shape), "dtype": a.dtype.str}
        for name, a in arrays.items()
    }
    text = json.dumps(header, indent=1, sort_keys=True, ensure_ascii=False)
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _member(archive, "header.json", text.encode())
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            _member(archive, f"{name}.npy", buffer.getvalue())


def load(path: str | Path) -> GAPModel:
    """Read a model written by `save`; predictions are the same to the last bit.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, not a gapfit model, or of a newer schema.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such model file")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "header.json" not in names:
                raise ModelFileError(
                    f"{path}: not a gapfit model (an archive without header.json)"
                )
            header = json.loads(archive.read("header.json"))
            _check_header(path, header)
            arrays = {
                name: _read(archive, name, spec)
                for name, spec in header["arrays"].items()
            }
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ModelFileError(_damaged(path, error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(_damaged(path, error)) from error
    return _build(path, header, arrays)


def _damaged(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"
    if not is_archive:
        return f"{path}: not a gapfit model (gapfit writes .npz archives)"
    return f"{path}: the model file is damaged or truncated ({error}); copy or fit it again"


def _member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # ZipInfo's default date, not today's: equal models give equal bytes.
    archive.writestr(zipfile.ZipInfo(name), data)


def _read(archive: zipfile.ZipFile, name: str, spec: dict[str, Any]) -> np.ndarray:
    buffer = io.BytesIO(archive.read(f"{name}.npy"))
    array = np.lib.format.read_array(buffer, allow_pickle=False)
    if list(array.shape) != spec["shape"] or array.dtype.str != spec["dtype"]:
        raise ValueError(
            f"array {name} is {array.dtype} {array.shape}, not as announced"
        )
    return array


def _check_header(path: Path, header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ModelFileError(
            f"{path}: not a gapfit model (header names another format)"
        )
    if header["schema"] > SCHEMA:
        writer = header.get("info", {}).get("versions", {}).get("gapfit", "a newer one")
        raise ModelFileError(
            f"{path}: written with schema {header['schema']} by gapfit {writer}; this "
            f"gapfit reads up to schema {SCHEMA}; upgrade gapfit"
        )


def _header(model: GAPModel) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "schema": SCHEMA,
        "units": _UNITS,
        "config": model.config.model_dump(mode="json"),
        "species": list(model.species),
        "e0": {str(z): energy for z, energy in model.e0.items()},
        "blocks": [list(term.sparse) for term in model.terms],
        "jitter": list(model.posterior.whitening.jitter) if model.posterior else None,
        "info": model.info,
    }


def _arrays(model: GAPModel) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for n, term in enumerate(model.terms):
        arrays |= {f"term{n}/{name}": table for name, table in term.basis.items()}
        for block, points in term.sparse.items():
            arrays[f"term{n}/{block}/sparse"] = points
            arrays[f"term{n}/{block}/coefficients"] = term.coefficients[block]
    if model.posterior:
        arrays["posterior/R"] = _packed(model.posterior.R)
        for n, U in enumerate(model.posterior.whitening.factors):
            arrays[f"posterior/U{n}"] = _packed(U)
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _packed(upper: np.ndarray) -> np.ndarray:
    return upper[np.triu_indices(len(upper))]


def _unpacked(packed: np.ndarray) -> np.ndarray:
    n = int((np.sqrt(8 * len(packed) + 1) - 1) / 2)
    upper = np.zeros((n, n), order="F")
    upper[np.triu_indices(n)] = packed
    return upper


def _build(
    path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray]
) -> GAPModel:
    try:
        config = FitConfig.model_validate(header["config"])
        species = tuple(int(z) for z in header["species"])
        terms = tuple(
            _build_term(n, config, species, blocks, arrays)
            for n, blocks in enumerate(header["blocks"])
        )
        posterior = None
        if header["jitter"] is not None:
            count = len(header["jitter"])
            factors = tuple(_unpacked(arrays[f"posterior/U{n}"]) for n in range(count))
            whitening = Whitening(factors, tuple(header["jitter"]))
            posterior = Posterior(whitening, _unpacked(arrays["posterior/R"]))
        e0 = {int(z): float(energy) for z, energy in header["e0"].items()}
        return GAPModel(config, species, e0, terms, posterior, header["info"])
    except (KeyError, ValueError, TypeError) as error:
        raise ModelFileError(
            f"{path}: the model file is inconsistent ({error}); fit it again"
        ) from error


def _build_term(
    n: int,
    config: FitConfig,
    species: tuple[int, ...],
    blocks: list[int],
    arrays: dict[str, np.ndarray],
) -> FittedTerm:
    prefix = f"term{n}/"
    basis = {name: arrays[prefix + name] for name in ("alphas", "betas")}
    bare = build_term(config.terms[n], species, basis)
    return FittedTerm(
        bare.config,
        basis,
        bare.descriptor,
        {block: arrays[f"{prefix}{block}/sparse"] for block in blocks},
        {block: arrays[f"{prefix}{block}/coefficients"] for block in blocks},
    )
