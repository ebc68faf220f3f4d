"""Groups of observations that share a sigma: quantity and class of frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gapfit.config.sections import FitConfig, SigmaConfig
from gapfit.data.frame import Frame
from gapfit.data.observations import Quantity
from gapfit.data.sigmas import takes_isolated_sigma
from gapfit.gp.observations import Group

__all__ = [
    "ALL",
    "DEFAULT",
    "FRAME_SIGMA",
    "ISOLATED",
    "class_of",
    "groups_of",
]


#: Class of frames that bring their own sigma.
FRAME_SIGMA = "(own)"
#: Class of isolated atoms, from which energies count.
ISOLATED = "(isolated)"
#: Class of all other frames.
DEFAULT = ""


#: The group of all observations.
ALL: Group = ("all", DEFAULT)


def class_of(
    frame: Frame,
    quantity: Quantity,
    classes: Collection[str],
    config: SigmaConfig | None = None,
    e0: Mapping[int, float] | None = None,
) -> str:
    """Return the class of the observations of a quantity of a frame, as it was read.

    Parameters
    ----------
    frame : Frame
        Before automatic sigmas.
    quantity : Quantity
        Observed quantity.
    classes : collection of str
        The config_types that are classes.
    config : SigmaConfig, optional
        Sigmas, which tell isolated atoms; these are no class of their own when absent.
    e0 : mapping of int to float, optional
        Energies of isolated atoms by atomic number, eV.
    """
    sigma = {
        Quantity.ENERGY: frame.energy_sigma,
        Quantity.FORCES: frame.force_sigma,
        Quantity.VIRIAL: frame.virial_sigma,
    }[quantity]
    if sigma is not None:
        return FRAME_SIGMA
    if (
        quantity is Quantity.ENERGY
        and config is not None
        and takes_isolated_sigma(frame, config, e0)
    ):
        return ISOLATED
    return frame.config_type if frame.config_type in classes else DEFAULT


def groups_of(
    frames: Sequence[Frame],
    config: FitConfig,
    e0: Mapping[int, float] | None = None,
) -> list[tuple[Group, Group, Group]]:
    """Return the group of each frame's energy, forces and virial in a fit.

    Parameters
    ----------
    frames : sequence of Frame
        Before automatic sigmas.
    config : FitConfig
        The config_types with sigmas are classes; all rows are one group where the sums
        are not kept for other sigmas (``run.store_sums = false``).
    e0 : mapping of int to float, optional
        Energies of isolated atoms by atomic number, eV.
    """
    if not config.run.store_sums:
        return [(ALL, ALL, ALL)] * len(frames)
    classes = config.sigma.config_types
    # Frames with the same groups share them: there may be millions.
    shared: dict[tuple[Group, Group, Group], tuple[Group, Group, Group]] = {}
    out = []
    for frame in frames:
        energy, forces, virial = (
            (q, class_of(frame, q, classes, config.sigma, e0)) for q in Quantity
        )
        groups = (energy, forces, virial)
        out.append(shared.setdefault(groups, groups))
    return out
