"""Sigmas that grow with forces and with energies above the lowest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gapfit.config.sections import SigmaConfig
from gapfit.data.e0 import same_energy
from gapfit.data.frame import Frame
from gapfit.data.frame_file import temporary_frames
from gapfit.data.isolated import FAR, is_isolated, is_marked
from gapfit.data.observations import Quantity

__all__ = [
    "frame_sigmas",
    "heights",
    "takes_isolated_sigma",
    "with_automatic_sigmas",
]


def heights(frames: Sequence[Frame]) -> list[float]:
    """Return the energy above the lowest frame of the same composition, eV per atom.

    Frames without an energy have height 0.
    """
    compositions: dict[tuple[tuple[int, float], ...], list[int]] = {}
    energies = np.zeros(len(frames))
    for n, frame in enumerate(frames):
        if frame.energy is not None:
            compositions.setdefault(_composition(frame), []).append(n)
            energies[n] = frame.energy / frame.n_atoms
    for members in compositions.values():
        energies[members] -= energies[members].min()
    return energies.tolist()


def _composition(frame: Frame) -> tuple[tuple[int, float], ...]:
    """Return atomic numbers and their shares; a lone atom is a separate composition."""
    numbers, counts = np.unique(frame.numbers, return_counts=True)
    shares = np.round(counts / frame.n_atoms, 6)
    lone = 0.0 if frame.n_atoms == 1 and not frame.pbc.any() else 1.0
    return tuple(zip(numbers.tolist(), (lone * shares).tolist(), strict=True))


def with_automatic_sigmas(
    frames: Sequence[Frame], reference: Sequence[Frame], config: SigmaConfig
) -> Sequence[Frame]:
    """Return frames with sigmas that include the parts that grow with the labels.

    sigma_E² = sigma² + (energy_relative × height)², per atom;
    sigma_F² = sigma² + (forces_relative × |F|)² for the components of each atom.
    Sigmas that come with a frame are kept.

    Parameters
    ----------
    frames : sequence of Frame
        Frames with the targets of the fit.
    reference : sequence of Frame
        The same frames with the labels as given: forces and heights are those before any
        baseline is subtracted.
    config : SigmaConfig
        Sigmas and the two fractions.

    Returns
    -------
    sequence of Frame
        `frames` itself if nothing changes; otherwise frames in a temporary file.
    """
    if not config.forces_relative and not config.energy_relative:
        return frames
    return temporary_frames(_grown(frames, reference, config))


def _grown(
    frames: Sequence[Frame], reference: Sequence[Frame], config: SigmaConfig
) -> Iterator[Frame]:
    for frame, given, height in zip(frames, reference, heights(reference), strict=True):
        energy, forces, _ = frame_sigmas(frame, config)
        per_atom = energy / np.sqrt(frame.n_atoms)
        if frame.energy_sigma is None and config.energy_relative:
            grown = float(np.hypot(per_atom, config.energy_relative * height))
            frame = replace(frame, energy_sigma=grown)
        if (
            frame.force_sigma is None
            and given.forces is not None
            and config.forces_relative
        ):
            size = np.linalg.norm(np.nan_to_num(given.forces), axis=1)
            sigmas = np.hypot(forces[:, 0], config.forces_relative * size)
            frame = replace(frame, force_sigma=sigmas)
        yield frame


def frame_sigmas(
    frame: Frame, config: SigmaConfig, e0: Mapping[int, float] | None = None
) -> tuple[float, np.ndarray, float]:
    """Return the sigmas of a frame's targets.

    Values of the frame take precedence over those of its config_type, and these over the
    global ones. Energies and virials scale with sqrt(n_atoms): errors of independent atoms.
    The energy of an isolated atom, from which all others count, has a sigma of its own
    unless the frame or its config_type gives another.

    Parameters
    ----------
    frame : Frame
        The frame.
    config : SigmaConfig
        Sigmas.
    e0 : mapping of int to float, optional
        Energies of isolated atoms by atomic number, eV. Lone atoms of another energy, such
        as those of an equation of state that goes far, are not isolated atoms then.

    Returns
    -------
    energy : float
        Sigma of the total energy, eV.
    forces : (n_atoms, 3) float64
        Sigmas of the force components, eV/Å.
    virial : float
        Sigma of a component of the total virial, eV.
    """
    override = config.config_types.get(frame.config_type)

    def choose(frame_value: float | None, quantity: Quantity) -> float:
        if frame_value is not None:
            return frame_value
        special = getattr(override, quantity, None)
        return float(getattr(config, quantity) if special is None else special)

    energy = choose(frame.energy_sigma, Quantity.ENERGY)
    if takes_isolated_sigma(frame, config, e0):
        energy = config.isolated
    root = float(np.sqrt(frame.n_atoms))
    if frame.force_sigma is None:
        forces = np.full((frame.n_atoms, 3), choose(None, Quantity.FORCES))
    else:
        forces = np.repeat(frame.force_sigma[:, None], 3, axis=1)
    return (
        energy * root,
        forces,
        choose(frame.virial_sigma, Quantity.VIRIAL) * root,
    )


def takes_isolated_sigma(
    frame: Frame, config: SigmaConfig, e0: Mapping[int, float] | None = None
) -> bool:
    """Return whether the energy of a frame has the sigma of isolated atoms.

    Parameters
    ----------
    frame : Frame
        The frame, as it was read.
    config : SigmaConfig
        Sigmas.
    e0 : mapping of int to float, optional
        As for `frame_sigmas`.
    """
    if frame.n_atoms > 1 or frame.energy_sigma is not None:
        return False
    override = config.config_types.get(frame.config_type)
    if override is not None and override.energy is not None:
        return False
    return _is_zero(frame, e0)


def _is_zero(frame: Frame, e0: Mapping[int, float] | None) -> bool:
    """Return whether a frame is the isolated atom from which energies count."""
    if not is_isolated(frame, FAR):
        return False
    if e0 is None or frame.energy is None:
        return is_marked(frame) or not frame.pbc.any()
    return same_energy(frame, e0)
