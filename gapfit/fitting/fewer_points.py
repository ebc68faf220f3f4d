"""Configurations with fewer sparse points, and what was chosen with them for all points."""

from __future__ import annotations

from gapfit.config.sections import FitConfig, SparseTermConfig

__all__ = ["refined", "with_fewer_points"]

_SIZES = ("n_sparse", "species_n_sparse", "config_type_n_sparse")


def with_fewer_points(config: FitConfig, share: float, least: int) -> FitConfig:
    """Return a configuration with a share of the sparse points of each term.

    Parameters
    ----------
    config : FitConfig
        The configuration. Quotas of config_types are left out where numbers fall, because
        parts of the data may not have them; listed points stay.
    share : float
        Share of the points that are kept, at most 1.
    least : int
        Smaller numbers than this are not reduced.
    """
    if share == 1:
        return config

    def reduced(n_sparse: int) -> int:
        return max(round(n_sparse * share), min(n_sparse, least))

    terms = []
    for term in config.terms:
        if isinstance(term, SparseTermConfig) and term.sparse_method != "file":
            by_species = term.species_n_sparse.items()
            sizes: dict[str, object] = {
                "n_sparse": reduced(term.n_sparse),
                "species_n_sparse": {name: reduced(n) for name, n in by_species},
            }
            fewer = term.model_copy(update=sizes)
            if fewer != term:
                term = fewer.model_copy(update={"config_type_n_sparse": {}})
        terms.append(term)
    return config.model_copy(update={"terms": terms})


def refined(config: FitConfig, chosen: FitConfig | None) -> FitConfig:
    """Return a configuration with deltas and sigmas that were chosen with other points.

    Parameters
    ----------
    config : FitConfig
        The configuration whose numbers of sparse points are kept.
    chosen : FitConfig or None
        The same terms, with all else as it was chosen; None if nothing was.
    """
    if chosen is None:
        return config
    terms = [
        old.model_copy(update={n: getattr(new, n) for n in _SIZES if hasattr(new, n)})
        for old, new in zip(chosen.terms, config.terms, strict=True)
    ]
    return config.model_copy(update={"terms": terms, "sigma": chosen.sigma})
