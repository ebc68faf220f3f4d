"""Models of gapfit as the XML files of QUIP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from gapfit._support.target_file import require_expressible, require_target
from gapfit._support.whole_writes import write_together
from gapfit.descriptors.blocks import species_of_pair
from gapfit.model.gap_model import GAPModel
from gapfit.quip.soap import WITH_DEGREES
from gapfit.quip.to_quip import Expressed, expressed, is_plain, obstacles

__all__ = ["save"]

#: ``gap_version`` of written files; QUIP refuses files that are newer than itself.
_VERSION = 1_686_220_958
#: Rows of sparse points that are converted to text together.
_ROWS = 64
_SUFFIX = ".xml"


def save(
    model: GAPModel, path: str | Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write a model as a GAP of QUIP, for quip, quippy and LAMMPS's ``pair_style quip``.

    Sparse points are written to text files in the folder of the XML file, which contains
    their names and MD5 sums; keep all together. Predictions are those of
    `GAPModel.without_projections`. Uncertainties are not written: QUIP has another form of
    them.

    Parameters
    ----------
    model : GAPModel
        A model with terms of QUIP: SOAP with ``rbf = "equispaced_gaussians"``, pairs and
        triplets with ``switch = "cosine"``, densities, and no baseline except one that was
        read from a model of QUIP.
    path : str or Path
        The file, ``.xml``. The others have names that are unique to the model, and the XML
        file is replaced last, once they are complete.
    overwrite : bool
        Whether `path` may exist already.

    Returns
    -------
    tuple of Path
        The files: the XML file first. The same model gives the same bytes.

    Raises
    ------
    GapfitError
        QUIP cannot express the model (all reasons are listed); the file exists, has
        another suffix, or cannot be written.
    """
    path = Path(path)
    require_target(path, _SUFFIX, "QUIP", overwrite=overwrite)
    require_expressible("QUIP cannot express this model:", obstacles(model))
    parts = expressed(model)
    label = _label(model, parts)
    sides = [
        path.with_name(f"{path.name}.sparseX.{label}{n}")
        for n in range(1, len(parts) + 1)
    ]

    def document(sums: list[str]) -> str:
        names = [side.name for side in sides]
        lines = _document(model, label, list(zip(parts, names, sums, strict=True)))
        return "".join(f"{line}\n" for line in lines)

    writers = {
        side: partial(_write_points, part.points)
        for side, part in zip(sides, parts, strict=True)
    }
    write_together(path, writers, document)
    return (path, *sides)


def _label(model: GAPModel, parts: Iterable[Expressed]) -> str:
    """Return a name that is unique to the model."""
    digest = hashlib.sha256(repr(sorted(model.e0.items())).encode())
    for part in parts:
        digest.update(f"{part.options} {part.theta} {part.orders}".encode())
        for array in (part.alpha, part.cutoffs, part.points):
            digest.update(np.ascontiguousarray(array).tobytes())
    for key, points in _glue(model).items():
        digest.update(f"{key}".encode() + np.ascontiguousarray(points).tobytes())
    return f"GAP_{digest.hexdigest()[:16]}"


def _glue(model: GAPModel) -> dict[int, np.ndarray]:
    return {} if model.baseline is None else model.baseline.points


def _write_points(points: np.ndarray, path: Path) -> str:
    """Write numbers, one per line, and return the MD5 sum of the file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for start in range(0, len(points), _ROWS):
            values = points[start : start + _ROWS].ravel().tolist()
            text = ("%.16e\n" * len(values) % tuple(values)).encode("ascii")
            digest.update(text)
            file.write(text)
    return digest.hexdigest()


def _document(
    model: GAPModel, label: str, parts: list[tuple[Expressed, str, str]]
) -> Iterator[str]:
    """Yield the lines of the XML file."""
    glue = _glue(model)
    init = f"IP GAP label={label}"
    if glue:
        init = f"Sum init_args_pot1={{IP Glue}} init_args_pot2={{{init}}}"
    yield f"<{label}>"
    yield f'<Potential label="{label}" init_args="{init}"/>'
    if glue:
        yield from _glue_lines(glue, model.species)
    version = WITH_DEGREES - 1 if is_plain(model) else _VERSION
    yield f'<GAP_params label="{label}" gap_version="{version}">'
    yield f'  <GAP_data do_core="{"T" if glue else "F"}">'
    for z in model.species:
        yield f'    <e0 Z="{z}" value="{float(model.e0[z])!r}"/>'
    yield "  </GAP_data>"
    yield f'  <gpSparse label="{label}" n_coordinate="{len(parts)}" fitted="T">'
    for number, (part, name, md5) in enumerate(parts, 1):
        yield from _coordinates(part, f"{label}{number}", name, md5)
    yield "  </gpSparse>"
    yield "</GAP_params>"
    yield f"</{label}>"


def _coordinates(part: Expressed, label: str, name: str, md5: str) -> Iterator[str]:
    n_sparse, width = part.points.shape
    zeta = "" if part.zeta is None else f' zeta="{part.zeta!r}"'
    yield (
        f'    <gpCoordinates label="{label}" dimensions="{width}" '
        f'signal_variance="{part.delta!r}" signal_mean="0.0" sparsified="T" '
        f'n_permutations="{len(part.orders)}" covariance_type="{part.kernel}"{zeta} '
        f'n_sparseX="{n_sparse}" sparseX_filename={quoteattr(name)} '
        f'sparseX_md5sum="{md5}">'
    )
    if part.theta:
        yield f"      <theta> {' '.join(map(repr, part.theta))} </theta>"
    yield f"      <descriptor>{part.options}</descriptor>"
    for n, order in enumerate(part.orders, 1):
        places = " ".join(str(place + 1) for place in order)
        yield f'      <permutation i="{n}">{places} </permutation>'
    weights = zip(part.alpha.tolist(), part.cutoffs.tolist(), strict=True)
    for n, (alpha, cutoff) in enumerate(weights, 1):
        yield f'      <sparseX i="{n}" alpha="{alpha!r}" sparseCutoff="{cutoff!r}"/>'
    yield "    </gpCoordinates>"


def _glue_lines(glue: dict[int, np.ndarray], species: tuple[int, ...]) -> Iterator[str]:
    """Yield pair potentials as QUIP's Glue, with densities that give no energy."""
    yield f'<Glue_params n_types="{len(species)}">'
    for n, z in enumerate(species, 1):
        yield f'  <per_type_data atomic_num="{z}" type="{n}">'
        yield '    <density num_points="2" density_y1="0.0" density_yn="0.0">'
        yield '      <point a="0.5" rho="0.0"/>'
        yield '      <point a="1.0" rho="0.0"/>'
        yield "    </density>"
        yield '    <potential_density num_points="2">'
        yield '      <point rho="0.0" E="0.0"/>'
        yield '      <point rho="1.0" E="0.0"/>'
        yield "    </potential_density>"
        yield "  </per_type_data>"
    for key, points in glue.items():
        a, b = (species.index(z) + 1 for z in species_of_pair(key))
        first, last = points[0, 2].item(), points[-1, 2].item()
        yield f'  <per_pair_data type1="{a}" type2="{b}">'
        yield (
            f'    <potential_pair num_points="{len(points)}" y1="{first!r}" '
            f'yn="{last!r}">'
        )
        for r, energy, _ in points.tolist():
            yield f'      <point r="{r!r}" E="{energy!r}"/>'
        yield "    </potential_pair>"
        yield "  </per_pair_data>"
    yield "</Glue_params>"
