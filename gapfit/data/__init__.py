"""Data: files, labels, frames, neighbours, isolated-atom energies and sigmas."""

from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import Frame, structure_arrays

__all__ = ["Dataset", "Frame", "read", "structure_arrays"]
