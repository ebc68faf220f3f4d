"""All readers of text files of other programs, and how their files are known.

To add a format: a module beside this one with a function from lines to frames, and a line
in `READERS`. Contents decide; names only where contents do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.readers.cp2k_output import cp2k_frames
from gapfit.data.readers.cp2k_trajectory import HEADER, trajectory_frames
from gapfit.data.readers.lammps_dump import dump_frames
from gapfit.data.readers.ml_ab import ml_ab_frames
from gapfit.data.readers.mlip_cfg import mlip_frames
from gapfit.data.readers.n2p2 import n2p2_frames
from gapfit.data.readers.options import ReadOptions
from gapfit.data.text_lines import Lines

__all__ = ["READERS", "TextReader"]


@dataclass(frozen=True)
class TextReader:
    """Reader of one format.

    Attributes
    ----------
    noun : str
        The format, for messages.
    pattern : bytes
        Regular expression that its first lines match somewhere.
    frames : callable
        Generator of the frames of a file from its lines, the options and its path. Its
        errors are `XyzError` with the line.
    """

    noun: str
    pattern: bytes
    frames: Callable[[Lines, ReadOptions, Path], Iterator[XyzFrame]]

    def knows(self, head: bytes) -> bool:
        """Return whether a file with this beginning is of this format."""
        return re.search(self.pattern, head, re.MULTILINE) is not None


READERS = (
    TextReader("ML_AB of VASP", rb"\A\s*\d+\.\d+\s+Version", ml_ab_frames),
    TextReader(".cfg of MLIP", rb"^[ \t]*BEGIN_CFG", mlip_frames),
    TextReader(
        "dump of LAMMPS",
        rb"^ITEM: (?:TIMESTEP|UNITS|NUMBER OF ATOMS|ATOMS|BOX) *",
        dump_frames,
    ),
    TextReader(
        "input.data of n2p2 or RuNNer",
        rb"^[ \t]*begin\b.*\n\s*(?:comment|lattice|atom|energy|charge)\b",
        n2p2_frames,
    ),
    TextReader("output of CP2K", rb"^ (?: *DBCSR\||.*CP2K\|)", cp2k_frames),
    TextReader(
        "trajectory of CP2K",
        rb"\A\s*\d+[ \t]*\r?\n" + HEADER.encode(),
        trajectory_frames,
    ),
)
