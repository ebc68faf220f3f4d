"""The source of the core for compilers and systems that this machine does not have.

What MSVC would compile is compiled by GCC or Clang without their extensions, and must give
the same numbers. With the package ziglang, which no extra brings, its Clang compiles for
macOS, Windows and ARM as well (slow).
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "gapfit" / "_core"
COMPILER = shutil.which("g++") or shutil.which("clang++")
STRICT = ("-std=c++17", "-pedantic-errors", "-Wall", "-Wextra", "-Wvla", "-Werror")
TARGETS = {
    "aarch64-macos": (),
    "x86_64-macos": ("-mcpu=x86_64_v3",),
    "aarch64-linux-gnu.2.28": (),
    "x86_64-windows-gnu": ("-mcpu=x86_64_v3",),
}

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")

# Numbers that pass through all operators of vectors.
NUMBERS = r"""
#include <cmath>
#include <cstdio>

#include "exponential.hpp"
#include "kernel.hpp"

int main() {
    using namespace gapfit;
    for (double x = 0.0; x > -800.0; x = 1.7 * x - 0.0123456789) {
        const Vec e = exp_negative(broadcast(x));
        std::printf("%.17g\n", e[lanes - 1]);
    }
    Vec v = 2.0 - broadcast(0.3) * 3.0;
    v *= v, v += 0.125, v -= 0.25 * v, v = -v - 1.0, v = v + (1.0 + v);
    std::printf("%.17g %.17g\n", v[0], sum(power(v, 5)) / lanes);
    double a[37], b[37];
    for (int k = 0; k < 37; ++k) a[k] = std::sqrt(k + 2.0), b[k] = 1.0 / (k + 3.0);
    std::printf("%.17g %d\n", dot(a, b, 37), std::isnan(at_least(broadcast(NAN), 1.0)[0]));
}
"""

# Functions of Microsoft's compiler and system by those of GCC.
INTRIN = r"""
#include <cpuid.h>
#undef __cpuid
#define __cpuid own_cpuid
#define __cpuidex own_cpuidex
#define __declspec(x)
#define __stdcall
inline void __cpuidex(int *out, int leaf, int part) {
    unsigned words[4];
    __get_cpuid_count(leaf, part, words, words + 1, words + 2, words + 3);
    for (int k = 0; k < 4; ++k) out[k] = static_cast<int>(words[k]);
}
inline void __cpuid(int *out, int leaf) { __cpuidex(out, leaf, 0); }
"""
SYSTEM = r"""
extern "C" int IsProcessorFeaturePresent(unsigned long number) {
    return number == 40 ? __builtin_cpu_supports("avx2")
                        : __builtin_cpu_supports("avx512f");
}
"""
ASKING = r"""
#include <cstdio>
#include "instruction_set.hpp"
int main() { std::printf("%d\n", gapfit::instruction_set()); }
"""


def all_headers() -> str:
    names = sorted(path.name for path in CORE.glob("*.hpp") if path.name[:4] != "bind")
    return "".join(f'#include "{name}"\n' for name in names)


def compiled(command, tmp_path, source):
    """Compile a source text to a program and return what it prints."""
    (tmp_path / "main.cpp").write_text(source, "utf-8")
    program = tmp_path / "program"
    done = subprocess.run(
        [*command, f"-I{CORE}", "main.cpp", "-o", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


@pytest.mark.core
@needs_compiler
def test_the_headers_need_no_extensions(tmp_path):
    source = tmp_path / "all.cpp"
    source.write_text(all_headers(), "utf-8")
    done = subprocess.run(
        [
            COMPILER,
            *STRICT,
            "-DGAPFIT_PLAIN_VECTORS",
            "-fsyntax-only",
            f"-I{CORE}",
            source,
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.core
@needs_compiler
def test_plain_vectors_give_the_same_numbers(tmp_path):
    # Products and sums in one operation would round differently.
    command = [COMPILER, "-std=c++17", "-O2", "-ffp-contract=off"]
    own = compiled(command, tmp_path, NUMBERS)
    plain = compiled([*command, "-DGAPFIT_PLAIN_VECTORS"], tmp_path, NUMBERS)
    assert plain == own
    assert own.splitlines()[-1].endswith(" 1")


@pytest.mark.core
@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="for x86_64")
def test_windows_finds_the_same_instruction_set(tmp_path):
    (tmp_path / "intrin.h").write_text(INTRIN, "utf-8")
    own = compiled([COMPILER, "-std=c++17"], tmp_path, ASKING)
    command = [COMPILER, "-std=c++17", "-D_MSC_VER=1940", "-I."]
    windows = compiled(command, tmp_path, ASKING + SYSTEM)
    assert windows == own
    assert int(own) in (128, 256, 512)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_other_systems_compile_the_headers(tmp_path, target):
    pytest.importorskip("ziglang")
    (tmp_path / "all.cpp").write_text(all_headers() + "int main() {}\n", "utf-8")
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "ziglang",
                "c++",
                "-target",
                target,
                *TARGETS[target],
            ),
            *("-std=c++17", "-Wall", f"-I{CORE}", "-c", "all.cpp", "-o", "all.o"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
