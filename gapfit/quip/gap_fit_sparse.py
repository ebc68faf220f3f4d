"""How a command of gap_fit has sparse points chosen, as keys of a term."""

from __future__ import annotations

from typing import Any

from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.gap_fit_values import integer, type_values, whole_number
from gapfit.quip.remarks import Note

__all__ = ["sparse_settings"]

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
#: Methods that are the same in gapfit.
_SAME_METHODS = ("random", "uniform", "cur_points", "kmeans")


def sparse_settings(options: Options, note: Note, kind: str) -> dict[str, Any]:
    """Return the keys of a term about the choice of its sparse points.

    Parameters
    ----------
    options : Options
        Options of a descriptor.
    note : Note
        Called with options that have no exact counterpart.
    kind : str
        Type of the term.

    Raises
    ------
    GapfitError
        There is no number of points, or it is not a whole number.
    """
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
            changes=True,
        )
    elif method is None:
        text = f'has no counterpart: taken as "{usual}"'
        note("sparse_method", named, text, changes=True)
    elif method == "uniform" and kind == "soap":
        note("sparse_method", named, 'not for soap here: taken as "cur"')
        method = "cur"
    elif named.lower() not in _SAME_METHODS:
        note("sparse_method", named, f'taken as "{method}", which is near')
    quotas = {
        name: whole_number(f"config_type_n_sparse: {name}", values[0])
        for name, values in type_values(
            options.text("config_type_n_sparse") or "", 1, "config_type_n_sparse", note
        ).items()
    }
    given = integer(options, "n_sparse", "n_sparseX", default=0)
    total = sum(quotas.values())
    if given < 0 or min(quotas.values(), default=1) < 0 or not max(given, total):
        raise GapfitError(
            f"gap={{{options.name} ...}}: n_sparse = {given}: gap_fit needs n_sparse or "
            "config_type_n_sparse above 0"
        )
    if quotas and given and given != total:
        note("n_sparse", str(given), f"taken as {max(given, total)} with all quotas")
    table: dict[str, Any] = {
        "n_sparse": max(given, total),
        "sparse_method": method or usual,
    }
    return table | ({"config_type_n_sparse": quotas} if quotas else {})
