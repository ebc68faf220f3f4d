"""Other sigmas for a fitted model, without its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import FitConfig, SigmaConfig, SigmaOverride
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.data.frame import Frame
from gapfit.data.observations import Quantity
from gapfit.errors import ConfigError
from gapfit.fitting.solve import solved
from gapfit.fitting.training_data import same_training_frames
from gapfit.gp.observations import Group
from gapfit.model.calibration import OUTDATED
from gapfit.model.gap_model import GAPModel
from gapfit.model.observation_groups import FRAME_SIGMA, ISOLATED
from gapfit.model.storage import load_with_sums
from gapfit.threads import limited

__all__ = ["refit"]

_RELATIVE = (Quantity.ENERGY, Quantity.FORCES)


def refit(
    model: GAPModel | str | Path,
    *,
    sigma: Mapping[str, Any] | None = None,
    frames: Any = None,
    progress: Progress | None = None,
) -> GAPModel:
    """Change the sigmas of a model, without a pass over its data.

    The result is what `gapfit.fit` of the same data gives with the configuration of the
    result. Where a sigma grows with forces or energies (``forces_relative``,
    ``energy_relative``), that fraction changes by the same factor, and so do the sigmas
    of all config_types. Sigmas that frames bring stay.

    Projections (`gapfit.model.projection`) are verified on `frames`, or on the training
    files of the model if these exist unchanged; otherwise there are none. Standard
    deviations are no longer calibrated, see `gapfit.calibrate`.

    Parameters
    ----------
    model : GAPModel, str or Path
        A model, or its file, with `GAPModel.training_sums`. It is not changed.
    sigma : mapping, optional
        As the table ``[sigma]``: ``energy`` (eV/atom), ``forces`` (eV/Å), ``virial``
        (eV/atom), and ``config_types`` with the same keys for each. Sigmas that are not
        given stay.
    frames : list of ase.Atoms, Dataset, path, or list of paths, optional
        Structures to verify projections on, preferably the training data.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Raises
    ------
    ConfigError
        Invalid sigmas, or sigmas of observations that share a sum.
    GapfitError
        The model contains no sums.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.refit("model.npz", sigma={"forces": 0.1})  # doctest: +SKIP
    """
    loaded = load_with_sums(model)
    assert loaded.training_sums is not None
    config = _changed(loaded.config, sigma or {})
    ratios = dict(
        _ratios(loaded.training_sums.groups, loaded.config.sigma, config.sigma)
    )
    notes = list(_notes(loaded, ratios))
    n_threads = config.run.threads or None
    with limited(n_threads):
        verifying = _structures(loaded, model, frames)
        if verifying is None and any(term.lossless for term in loaded.terms):
            notes.append(
                f"the training data ({', '.join(config.data.train)}) are missing or "
                "changed, so the projections that make predictions faster cannot be "
                "verified: the model has none; give the data as frames"
            )
        if loaded.calibration is not None:
            notes.append(
                f"{OUTDATED}they are no longer calibrated, because they change with the "
                "sigmas; calibrate again: gapfit calibrate"
            )
        warnings = list(dict.fromkeys([*loaded.record.warnings, *notes]))
        changed = replace(
            loaded,
            config=config,
            training_sums=loaded.training_sums.scaled(ratios),
            record=replace(loaded.record, warnings=tuple(warnings)),
        )
        return solved(changed, verifying, progress or silent)


def _changed(config: FitConfig, given: Mapping[str, Any]) -> FitConfig:
    """Return the configuration with other sigmas, and the relative parts scaled."""
    old = config.sigma
    _refuse(old, given)
    types: dict[str, Any] = {
        name: override.model_dump(exclude_none=True)
        for name, override in old.config_types.items()
    }
    for name, override in given.get("config_types", {}).items():
        is_table = isinstance(override, Mapping)
        types[name] = {**types[name], **override} if is_table else override
    values = {**old.model_dump(), **given, "config_types": types}
    tables = config.model_dump(mode="json", exclude_none=True)
    new = config_from_dict({**tables, "sigma": values}, "the new sigmas").sigma
    for quantity in _RELATIVE:
        new = _grown_along(quantity, old, new)
    return config.model_copy(update={"sigma": new})


def _refuse(old: SigmaConfig, given: Mapping[str, Any]) -> None:
    """Refuse sigmas of observations whose sums are not separate."""
    for quantity in _RELATIVE:
        name = f"{quantity}_relative"
        if name in given:
            raise ConfigError(
                f"the new sigmas: {name} cannot be changed by itself, because the sums "
                f"contain both parts together; give {quantity}, which changes both by one "
                "factor, or fit again"
            )
    unknown = sorted(set(given.get("config_types", {})) - set(old.config_types))
    if unknown:
        apart = ", ".join(sorted(old.config_types)) or "none"
        raise ConfigError(
            f"the new sigmas: config_types {', '.join(unknown)} had no sigma in the fit, "
            f"so they cannot be changed alone (these had one: {apart}); fit again with "
            "[sigma.config_types]"
        )


def _grown_along(quantity: Quantity, old: SigmaConfig, new: SigmaConfig) -> SigmaConfig:
    """Return sigmas whose relative part changes by the factor of the constant part."""
    name = f"{quantity}_relative"
    fraction = getattr(old, name)
    if not fraction:
        return new
    factor = getattr(new, quantity) / getattr(old, quantity)
    types = {}
    for key, override in new.config_types.items():
        was = getattr(old.config_types[key], quantity)
        now = getattr(override, quantity)
        if now != was:
            raise ConfigError(
                f"the new sigmas: {quantity} of config_type {key} cannot be changed alone, "
                f"because {name} = {fraction:g} is that of all frames; give {quantity} "
                "without a config_type, which changes all by one factor, or fit again"
            )
        types[key] = override
        if was is not None:
            types[key] = override.model_copy(update={str(quantity): factor * was})
    if factor * fraction > 1:
        raise ConfigError(
            f"the new sigmas: {quantity} = {getattr(new, quantity):g} would raise {name} "
            f"from {fraction:g} to {factor * fraction:.3g}, which is above 1; give at most "
            f"{quantity} = {getattr(old, quantity) / fraction:.3g}"
        )
    return new.model_copy(update={name: factor * fraction, "config_types": types})


def _ratios(
    groups: Mapping[Group, Any], old: SigmaConfig, new: SigmaConfig
) -> Iterator[tuple[Group, float]]:
    """Yield the factor of the sigmas of each group that changes."""
    for group in groups:
        if group[1] != FRAME_SIGMA:
            factor = _sigma_of(group, new) / _sigma_of(group, old)
            if factor != 1.0:
                yield group, factor


def _sigma_of(group: Group, sigma: SigmaConfig) -> float:
    quantity, name = group
    if name == ISOLATED:
        return sigma.isolated
    override = getattr(sigma.config_types.get(name, SigmaOverride()), quantity)
    return float(getattr(sigma, quantity) if override is None else override)


def _notes(model: GAPModel, ratios: Mapping[Group, float]) -> Iterator[str]:
    assert model.training_sums is not None
    for quantity in Quantity:
        sums = model.training_sums.groups.get((quantity, FRAME_SIGMA))
        if sums is not None and any(changed == quantity for changed, _ in ratios):
            yield (
                f"{sums.n_rows} observations of the {quantity} come from frames that bring "
                "a sigma: these sigmas stay"
            )


def _structures(model: GAPModel, given: Any, frames: Any) -> Sequence[Frame] | None:
    """Return structures to verify projections on; None if there are none."""
    wanted = [term.descriptor.lossless for term in model.terms]
    if not model.config.prediction.project or not any(wanted):
        return ()
    if frames is not None:
        return as_dataset(frames, model.config).frames
    if isinstance(given, str | Path):
        return same_training_frames(model, Path(given))
    return None
