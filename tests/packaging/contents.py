"""Check what a wheel and a source distribution contain: ``contents.py FOLDER``."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

# Bytes. PyPI takes 100 MB; what is larger than this has taken in what it should not.
MOST_WHEEL, MOST_SDIST = 10_000_000, 1_500_000

IN_WHEEL = (
    "gapfit/py.typed",
    "gapfit/cli/__init__.py",
    "gapfit/_core/_native.pyi",
    "gapfit/published/registry.toml",
    "gapfit/published/data/silicon/train.extxyz",
    # The LAMMPS plugin is compiled from them.
    "gapfit/_core/expansion.hpp",
    "gapfit/lammps/plugin/pair_gapfit.cpp",
)
IN_SDIST = (
    "pyproject.toml",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "gapfit/_core/CMakeLists.txt",
    "gapfit/_core/bindings.cpp",
    "examples/silicon/fit.toml",
    "data/silicon/train.extxyz",
    "docs/index.md",
)
FOLDERS_IN_SDIST = {"gapfit", "data", "docs", "examples"}
FILES_IN_SDIST = {"PKG-INFO", "CITATION.cff"}
NOT_IN_SDIST = ("data/generator/", "docs/hooks/")


def check_wheel(path: Path) -> None:
    """Check the names in a wheel."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    missing = [name for name in IN_WHEEL if name not in names]
    allowed = ("gapfit/", "gapfit.libs/", "gapfit-")
    extra = [name for name in names if not name.startswith(allowed)]
    sources = [
        name
        for name in names
        if PurePosixPath(name).match("gapfit/_core/*.cpp")
        or name.endswith(("CMakeLists.txt", ".pyc", ".o", ".a"))
        or name.startswith("gapfit/published/data/generator")
    ]
    if missing or extra or sources:
        sys.exit(f"{path.name}: missing {missing}, not to be there {extra + sources}")
    assert any("_native" in name for name in names), path.name
    assert path.stat().st_size < MOST_WHEEL, path.stat().st_size


def check_sdist(path: Path) -> None:
    """Check the names in a source distribution."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in IN_SDIST if name not in names]
    expected = FOLDERS_IN_SDIST | FILES_IN_SDIST | set(IN_SDIST) | {""}
    extra = [
        name
        for name in names
        if name.partition("/")[0] not in expected
        or name.startswith(NOT_IN_SDIST)
        or name.endswith((".so", ".pyc", "model.npz"))
    ]
    if missing or extra:
        sys.exit(f"{path.name}: missing {missing}, not to be there {extra}")
    assert path.stat().st_size < MOST_SDIST, path.stat().st_size


def main(folder: Path) -> None:
    """Check all archives in a folder, of which there must be one of each kind."""
    wheels, sources = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    assert wheels, f"{folder}: no wheel"
    assert len(sources) == 1, f"{folder}: {len(sources)} source distributions"
    for path in wheels:
        check_wheel(path)
    check_sdist(sources[0])
    for path in (*wheels, *sources):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
