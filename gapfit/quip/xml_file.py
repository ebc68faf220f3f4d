"""The XML files of QUIP's GAP models as plain data, read defensively.

A file cannot include others or grow in memory: documents with a DTD (entities) are
refused, and unused elements are skipped while reading.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from gapfit._support.foreign import MB, ForeignError, foreign_bytes
from gapfit.errors import ModelFileError

__all__ = ["Coordinates", "GapFile", "read_gap_xml"]

#: Parts that predictions do not need: the command line and the training data.
_SKIPPED = frozenset({"command_line", "XYZ_data"})
#: Largest factor by which a compressed file may grow.
_MOST_GROWTH = 50
_PIECE = 1 << 20
#: Largest file of sparse points, bytes.
_LARGEST_POINTS = 4000 * MB
#: Mean size of elements must exceed this, bytes, in files with more than so many.
_SHORTEST, _FEW = 16, 10_000


@dataclass(frozen=True, eq=False)
class Coordinates:
    """One descriptor of a model with its sparse points (``gpCoordinates``).

    Attributes
    ----------
    label : str
        Name in the file.
    descriptor : str
        The descriptor's options, as they were given to gap_fit.
    covariance : int
        1: squared exponential, 2: dot product, 3: bond real space, 4: piecewise polynomial.
    delta, mean : float
        Scale of the kernel and mean of the function, eV.
    zeta : float or None
        Power of the dot product.
    theta : (n_dimensions,) float64
        Lengths of the kernel; empty for dot products.
    permutations : (n_permutations, n_dimensions) int64
        Permutations of the coordinates, from 0.
    alpha, cutoffs : (n_sparse,) float64
        Coefficients, 1/eV, and the cutoff functions of the sparse points.
    points : (n_sparse, n_dimensions) float64
        Sparse points.
    """

    label: str
    descriptor: str
    covariance: int
    delta: float
    mean: float
    zeta: float | None
    theta: np.ndarray
    permutations: np.ndarray
    alpha: np.ndarray
    cutoffs: np.ndarray
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class GapFile:
    """Contents of an XML file.

    Attributes
    ----------
    path : Path
        The file.
    label : str
        Name of the model.
    version : int
        ``gap_version``: seconds since 1970; conventions changed with it.
    init_args : str
        Arguments of QUIP's Potential.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    coordinates : tuple of Coordinates
        Descriptors.
    glue : Element or None
        ``Glue_params``, the pair potentials under the model.
    command_line : str
        Command of the fit, if it is stored.
    """

    path: Path
    label: str
    version: int
    init_args: str
    e0: dict[int, float]
    coordinates: tuple[Coordinates, ...]
    glue: Element | None = None
    others: tuple[str, ...] = field(default=())


def read_gap_xml(path: str | Path) -> GapFile:
    """Read a model of QUIP; sparse points may be in other files of its folder.

    Parameters
    ----------
    path : str or Path
        The file, ``.xml`` or ``.xml.gz``.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, not a GAP, or has a DTD; a file of sparse points is
        missing or has a wrong checksum or length.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file")
    root = _parsed(path)
    params = root.find("GAP_params") if root.tag != "GAP_params" else root
    if params is None:
        raise ModelFileError(f"{path}: not a GAP of QUIP (it has no GAP_params)")
    try:
        return _gap_file(path, root, params)
    except ModelFileError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(f"{path}: damaged or incomplete ({reason})") from error


def _parsed(path: Path) -> Element:
    """Return the root of the document without skipped elements."""
    builder = TreeBuilder()
    skipping = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal skipping, count
        if skipping or name in _SKIPPED:
            skipping += 1
            return
        count += 1
        if count > _FEW and count * _SHORTEST > parser.CurrentByteIndex:
            raise ModelFileError(
                f"{path}: more elements than a GAP of QUIP can have: refused"
            )
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal skipping
        if skipping:
            skipping -= 1
        else:
            builder.end(name)

    def text(data: str) -> None:
        if not skipping:
            builder.data(data)

    def refuse(*_: object) -> None:
        raise ModelFileError(
            f"{path}: declares a document type or entities, which no GAP of QUIP needs: "
            "refused"
        )

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        for piece in _pieces(path):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
        return builder.close()
    except expat.ExpatError as error:
        raise ModelFileError(
            f"{path}: not well-formed XML, or truncated: {error}; get the file again"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ModelFileError(
            f"{path}: the compressed file is damaged or truncated ({error}); get it again"
        ) from error
    except AssertionError as error:
        raise ModelFileError(f"{path}: contains no XML elements") from error


def _pieces(path: Path) -> Iterator[bytes]:
    compressed = path.suffix == ".gz"
    most = _MOST_GROWTH * max(path.stat().st_size, _PIECE)
    with path.open("rb") as raw:
        file: BinaryIO = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
        n_bytes = 0
        while piece := file.read(_PIECE):
            n_bytes += len(piece)
            if compressed and n_bytes > most:
                raise ModelFileError(
                    f"{path}: grows to more than {most / 1e6:.0f} MB, which is unusual; "
                    "if it is a model, decompress it and read that file"
                )
            yield piece


def _gap_file(path: Path, root: Element, params: Element) -> GapFile:
    if (n_gaps := sum(1 for _ in root.iter("GAP_params"))) > 1:
        raise ModelFileError(
            f"{path}: contains {n_gaps} GAPs, and only files with one are supported; "
            "write each to a separate file"
        )
    data = params.find("GAP_data")
    every = params.findall("gpSparse")
    if data is None or len(every) != 1:
        raise ValueError(f"{len(every)} gpSparse, or no GAP_data")
    sparse = every[0]
    potential = root.find("Potential")
    elements = sparse.findall("gpCoordinates")
    declared = int(sparse.get("n_coordinate", len(elements)))
    if declared != len(elements) or not elements:
        raise ValueError(f"{declared} descriptors announced, {len(elements)} there")
    return GapFile(
        path=path,
        label=params.get("label", root.tag),
        version=int(params.get("gap_version", 0)),
        init_args=potential.get("init_args", "") if potential is not None else "",
        e0=_e0(data),
        coordinates=tuple(_coordinates(path, element) for element in elements),
        glue=next(root.iter("Glue_params"), None),
        others=tuple(
            child.tag
            for child in root.iter()
            if child.tag.endswith("_params")
            and child.tag not in ("GAP_params", "Glue_params", "quip_params")
        ),
    )


def _e0(data: Element) -> dict[int, float]:
    entries = data.findall("e0")
    if not entries:
        return dict.fromkeys(range(1, 119), _real(data.get("e0", "0")))
    return {int(entry.attrib["Z"]): _real(entry.attrib["value"]) for entry in entries}


def _real(text: str) -> float:
    """Return a number in the notation of Fortran."""
    value = float(text.replace("D", "E").replace("d", "e"))
    if not np.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _reals(text: str | None) -> np.ndarray:
    words = (text or "").replace("D", "E").split()
    values = np.array(words, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("a number is not finite")
    return values


def _coordinates(path: Path, element: Element) -> Coordinates:
    attributes = element.attrib
    label = attributes.get("label", "?")
    width = int(attributes["dimensions"])
    points = element.findall("sparseX")
    alpha = np.array([_real(point.attrib["alpha"]) for point in points])
    cutoffs = np.array([_real(point.get("sparseCutoff", "1")) for point in points])
    if (name := attributes.get("sparseX_filename")) is not None:
        values = _separate_points(path, name, attributes.get("sparseX_md5sum"))
    else:
        values = np.concatenate([np.zeros(0), *map(_inline, points)])
    n_sparse = int(attributes.get("n_sparseX", len(points)))
    if len(alpha) != n_sparse or values.size != n_sparse * width:
        raise ValueError(
            f"{label} announces {n_sparse} sparse points of {width} numbers, and has "
            f"{len(alpha)} coefficients and {values.size} numbers"
        )
    theta = _reals(element.findtext("theta"))
    covariance = int(attributes["covariance_type"])
    if covariance != 2 and len(theta) != width:
        raise ValueError(
            f"{label} has {len(theta)} values of theta for {width} numbers"
        )
    zeta = attributes.get("zeta")
    # Older files have zeta in the place of theta.
    if covariance == 2 and zeta is None and theta.size:
        zeta = str(theta[0])
    return Coordinates(
        label=label,
        descriptor=(element.findtext("descriptor") or "").strip(),
        covariance=covariance,
        delta=_real(attributes["signal_variance"]),
        mean=_real(attributes.get("signal_mean", "0")),
        zeta=None if zeta is None else _real(zeta),
        theta=theta if covariance != 2 else np.zeros(0),
        permutations=_permutations(element, width),
        alpha=alpha,
        cutoffs=cutoffs,
        points=values.reshape(n_sparse, width),
    )


def _permutations(element: Element, width: int) -> np.ndarray:
    rows = [
        _reals(entry.text).astype(int) - 1 for entry in element.findall("permutation")
    ]
    if int(element.get("n_permutations", 1)) != max(len(rows), 1):
        raise ValueError("n_permutations does not agree with the permutations")
    if len(rows) <= 1:  # the identity, which may be incomplete in the file
        return np.arange(width)[None, :]
    if any(sorted(row.tolist()) != list(range(width)) for row in rows):
        raise ValueError("a permutation does not have each coordinate once")
    return np.array(rows)


def _inline(point: Element) -> np.ndarray:
    slices = point.findall("sparseX_slice")
    if not slices:
        return _reals(point.text)
    ordered = sorted(slices, key=lambda part: int(part.attrib["start"]))
    return np.concatenate([_reals(part.text) for part in ordered])


def _separate_points(path: Path, name: str, md5: str | None) -> np.ndarray:
    """Return the numbers of a file in the folder of the XML file."""
    # Folders in the name are ignored: files of QUIP are kept together.
    file = path.parent / Path(name).name
    try:
        content = foreign_bytes(file, _LARGEST_POINTS)
    except ForeignError as error:
        raise ModelFileError(
            f"{file}: the sparse points of {path} cannot be read: it {error}; put "
            "the file into the same folder under this name"
        ) from None
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and md5.strip().lower() != digest:
        raise ModelFileError(
            f"{file}: has the MD5 sum {digest}, but {path} expects {md5.strip()}; get "
            "both files again"
        )
    try:
        return _reals(content.decode("ascii"))
    except ValueError as error:
        raise ModelFileError(f"{file}: not a list of numbers ({error})") from error
