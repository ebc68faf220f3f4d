"""The XML files of QUIP's GAP models as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from gapfit.errors import ModelFileError, shortened
from gapfit.quip.numbers import real, reals, whole, wholes
from gapfit.quip.xml_tree import parsed

__all__ = ["LARGEST_E0", "Coordinates", "GapFile", "read_gap_xml", "refuse_absurd"]

#: Largest numbers: descriptors are of the order of 1 to 100, and coefficients that cancel
#: do so within the digits of double precision.
_LARGEST_POINT, _LARGEST_ALPHA = 1e6, 1e30
#: Largest energy of an isolated atom, eV.
LARGEST_E0 = 1e10
#: Longest notation of a number in a file of sparse points, with its newline.
_BYTES_PER_NUMBER = 64


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
    init_args : str or None
        Arguments of QUIP's Potential; None if there is no such element.
    on_core : bool
        Whether the model says that it was fitted on top of another potential.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    coordinates : tuple of Coordinates
        Descriptors.
    glue : Element or None
        ``Glue_params``, the pair potentials under the model.
    others : tuple of str
        Elements that are no part of a GAP or of Glue: perhaps another potential.
    """

    path: Path
    label: str
    version: int
    init_args: str | None
    on_core: bool
    e0: dict[int, float]
    coordinates: tuple[Coordinates, ...]
    glue: Element | None
    others: tuple[str, ...]


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
    root = parsed(path)
    try:
        return _gap_file(path, root)
    except ModelFileError:
        raise
    except (ValueError, KeyError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(
            f"{path}: damaged or incomplete ({shortened(reason, 300)})"
        ) from error


#: Elements that a model may have, by the element around them; "" is the document's.
_PARTS = {
    "": ("Potential", "GAP_params", "Glue_params"),
    "GAP_params": ("GAP_data", "gpSparse", "Glue_params"),
    "GAP_data": ("e0",),
    "gpSparse": ("gpCoordinates",),
    "gpCoordinates": ("theta", "descriptor", "permutation", "sparseX"),
    "sparseX": ("sparseX_slice",),
    "Glue_params": ("per_type_data", "per_pair_data"),
    "per_type_data": ("density", "potential_density"),
    "per_pair_data": ("potential_pair",),
    **dict.fromkeys(("density", "potential_density", "potential_pair"), ("point",)),
}


def _unknown_parts(root: Element) -> Iterator[str]:
    """Yield the names of elements that are no part of a GAP or of Glue."""
    if root.tag not in ("GAP_params", "quip_params") and root.tag.endswith("_params"):
        yield root.tag
    place = "GAP_params" if root.tag == "GAP_params" else ""
    inside = [(place, child) for child in root]
    while inside:
        place, element = inside.pop()
        if element.tag in _PARTS.get(place, ()):
            place = "" if element.tag == "Potential" else element.tag
        elif place or element.tag.endswith("_params") or not len(element):
            yield element.tag
            continue
        # Others may enclose the parts of a document, such as <quip> those of Glue.
        inside += [(place, child) for child in element]


def _gap_file(path: Path, root: Element) -> GapFile:
    params, glue = list(root.iter("GAP_params")), list(root.iter("Glue_params"))
    if not params:
        raise ModelFileError(f"{path}: not a GAP of QUIP (it has no GAP_params)")
    for name, found in (("GAPs", params), ("Glue_params", glue)):
        if len(found) > 1:
            raise ModelFileError(
                f"{path}: contains {len(found)} {name}, and only files with one are "
                "supported; write each to a separate file"
            )
    data, every = params[0].find("GAP_data"), params[0].findall("gpSparse")
    if data is None or len(every) != 1:
        raise ValueError(f"{len(every)} gpSparse, or no GAP_data")
    elements = every[0].findall("gpCoordinates")
    declared = every[0].get("n_coordinate", str(len(elements)))
    if whole(declared) != len(elements) or not elements:
        raise ValueError(f"{declared} descriptors announced, {len(elements)} there")
    return GapFile(
        path=path,
        label=params[0].get("label", root.tag),
        version=whole(params[0].get("gap_version", "0")),
        init_args=_init_args(path, root),
        on_core=data.get("do_core", "F").strip().upper() in ("T", "TRUE"),
        e0=_e0(data),
        coordinates=tuple(_coordinates(path, element) for element in elements),
        glue=glue[0] if glue else None,
        others=tuple(dict.fromkeys(_unknown_parts(root))),
    )


def _init_args(path: Path, root: Element) -> str | None:
    """Return the arguments of the Potential that QUIP takes: the one of the document."""
    potentials = list(root.iter("Potential"))
    if len(potentials) > 1:
        labelled = [p for p in potentials if p.get("label") == root.tag]
        if len(labelled) != 1:
            names = ", ".join(
                shortened(p.get("label", "none"), 30) for p in potentials[:3]
            )
            raise ModelFileError(
                f"{path}: {len(potentials)} elements Potential (labels {names}), of which "
                f"not exactly one is labelled as the document, {shortened(root.tag)}; "
                "keep the one to read"
            )
        potentials = labelled
    if not potentials:
        return None
    if "init_args" not in potentials[0].attrib:
        raise ModelFileError(
            f"{path}: Potential has no attribute init_args, so what the model is made of "
            'is unknown; add it: init_args="IP GAP" if there is nothing else'
        )
    return potentials[0].attrib["init_args"]


def _e0(data: Element) -> dict[int, float]:
    entries = data.findall("e0")
    if entries:
        e0 = {whole(e.attrib["Z"]): real(e.attrib["value"]) for e in entries}
    else:
        e0 = dict.fromkeys(range(1, 119), real(data.get("e0", "0")))
    if (largest := max(map(abs, e0.values()))) > LARGEST_E0:
        raise ValueError(f"an e0 of {largest:.3g} eV is the energy of no atom")
    return e0


def _coordinates(path: Path, element: Element) -> Coordinates:
    attributes = element.attrib
    label = shortened(attributes.get("label", "?"))
    width = whole(attributes["dimensions"])
    points = element.findall("sparseX")
    n_sparse = whole(attributes.get("n_sparseX", str(len(points))))
    alpha = np.array([real(point.attrib["alpha"]) for point in points])
    cutoffs = np.array([real(point.get("sparseCutoff", "1")) for point in points])
    if (name := attributes.get("sparseX_filename")) is not None:
        values = _separate_points(
            path, name, attributes.get("sparseX_md5sum"), len(points) * width
        )
    else:
        values = np.concatenate([np.zeros(0), *map(_inline, points)])
    if len(alpha) != n_sparse or values.size != n_sparse * width or width < 1:
        raise ValueError(
            f"{label} announces {n_sparse} sparse points of {width} numbers, and has "
            f"{len(alpha)} coefficients and {values.size} numbers"
        )
    theta = reals(element.findtext("theta"))
    refuse_absurd(label, theta, alpha, cutoffs, values)
    covariance = whole(attributes["covariance_type"])
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
        delta=real(attributes["signal_variance"]),
        mean=real(attributes.get("signal_mean", "0")),
        zeta=None if zeta is None else real(zeta),
        theta=theta if covariance != 2 else np.zeros(0),
        permutations=_permutations(element, width),
        alpha=alpha,
        cutoffs=cutoffs,
        points=values.reshape(n_sparse, width),
    )


def refuse_absurd(
    label: str,
    theta: np.ndarray,
    alpha: np.ndarray,
    cutoffs: np.ndarray,
    values: np.ndarray,
) -> None:
    """Refuse numbers with which predictions are not finite.

    Parameters
    ----------
    label : str
        Name of the descriptor, for messages.
    theta : (n_dimensions,) float64
        Lengths of its kernel.
    alpha, cutoffs : (n_sparse,) float64
        Coefficients, 1/eV, and cutoff functions of its sparse points.
    values : float64
        Numbers of the sparse points, of any shape.

    Raises
    ------
    ValueError
        A number is larger than any fit gives.
    """
    for what, numbers, most in (
        ("length of the kernel", theta, _LARGEST_POINT),
        ("coefficient", alpha, _LARGEST_ALPHA),
        ("value of a cutoff function", cutoffs, _LARGEST_POINT),
        ("number of a sparse point", values, _LARGEST_POINT),
    ):
        if numbers.size and (largest := np.abs(numbers).max()) > most:
            raise ValueError(
                f"{label}: a {what} is {largest:.3g}, more than {most:g}: no fit gives that"
            )


def _permutations(element: Element, width: int) -> np.ndarray:
    rows = [
        [place - 1 for place in wholes(entry.text)]
        for entry in element.findall("permutation")
    ]
    if whole(element.get("n_permutations", "1")) != max(len(rows), 1):
        raise ValueError("n_permutations does not agree with the permutations")
    if len(rows) <= 1:  # the identity, which may be incomplete in the file
        return np.arange(width)[None, :]
    if any(sorted(row) != list(range(width)) for row in rows):
        raise ValueError("a permutation does not have each coordinate once")
    return np.array(rows)


def _inline(point: Element) -> np.ndarray:
    slices = point.findall("sparseX_slice")
    if not slices:
        return reals(point.text)
    ordered = sorted(slices, key=lambda part: whole(part.attrib["start"]))
    return np.concatenate([reals(part.text) for part in ordered])


def _separate_points(path: Path, name: str, md5: str | None, count: int) -> np.ndarray:
    """Return the `count` numbers of a file in the folder of the XML file."""
    # Folders in the name are ignored: files of QUIP are kept together.
    file = path.parent / Path(name).name
    size = _size(file, path)
    if size > _BYTES_PER_NUMBER * (count + 1):
        raise ModelFileError(
            f"{file}: has {size} bytes, too many for the {count} numbers that {path} "
            "announces; get both files again"
        )
    content = file.read_bytes()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and md5.strip().lower() != digest:
        raise ModelFileError(
            f"{file}: has the MD5 sum {digest}, but {path} expects {shortened(md5)}; get "
            "both files again"
        )
    try:
        return reals(content.decode("ascii"))
    except ValueError as error:
        raise ModelFileError(
            f"{file}: not a list of numbers ({shortened(str(error), 100)})"
        ) from error


def _size(file: Path, path: Path) -> int:
    """Return the size of a file of sparse points, bytes."""
    try:
        if file.is_file():
            return file.stat().st_size
        reason = "no such file"
    except OSError as error:
        reason = str(error.strerror)
    raise ModelFileError(
        f"{file.parent / shortened(file.name)}: the sparse points of {path} cannot be read "
        f"({reason}); put the file into the same folder under this name"
    )
