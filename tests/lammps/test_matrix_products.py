"""Matrix products of the LAMMPS plugin, against NumPy."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gapfit.lammps import build

_PRODUCTS = """
#include "matrix_products.hpp"
extern "C" void multiply(int m, int n, int k, const double *A, const double *B,
                         int turned, double beta, double *C) {
    const gapfit::Blas blas = gapfit::own_blas();
    if (turned) blas.multiply_transposed(m, n, k, A, k, B, k, beta, C, n);
    else blas.multiply(m, n, k, A, k, B, n, beta, C, n);
}
extern "C" void multiply_triangle(int m, int n, const double *L, double *C) {
    gapfit::own_blas().multiply_lower_transposed(m, n, L, C);
}
"""


@pytest.fixture(scope="module", params=["x86-64", "x86-64-v3", "native"])
def products(request, tmp_path_factory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("products")
    (folder / "p.cpp").write_text(_PRODUCTS)
    home = Path(build.__file__).parent
    command = [
        "c++",
        "-std=c++17",
        "-O2",
        f"-march={request.param}",
        "-fPIC",
        "-shared",
    ]
    core, plugin = home.parent / "_core", home / "plugin"
    command += [f"-I{plugin}", f"-I{core}", "p.cpp", "-o", "p.so"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no C++ compiler")
    if "march" in done.stderr:
        pytest.skip("another processor")
    assert done.returncode == 0, done.stderr
    if request.param == "x86-64-v3" and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("another processor")
    return ctypes.CDLL(str(folder / "p.so"))


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [
        (1, 1, 1),
        (3, 5, 2),
        (16, 252, 257),
        (7, 530, 600),
        (256, 24, 513),
        (33, 16, 256),
    ],
)
def test_own_products_equal_numpy(products, m, n, k, turned):
    rng = np.random.default_rng(3)
    A, B = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    given = np.ascontiguousarray(B.T) if turned else B
    for beta in (0.0, 1.0):
        C = rng.normal(size=(m, n))
        wanted = A @ B + beta * C
        if not beta:
            C[:] = np.nan
        products.multiply(
            m,
            n,
            k,
            pointer(A),
            pointer(given),
            turned,
            ctypes.c_double(beta),
            pointer(C),
        )
        np.testing.assert_allclose(C, wanted, rtol=0, atol=1e-13 * k)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 95), (17, 96), (40, 97), (9, 400)])
def test_own_triangular_product_equals_numpy(products, m, n):
    rng = np.random.default_rng(4)
    L, C = rng.normal(size=(n, n)), rng.normal(size=(m, n))
    wanted = C @ np.tril(L).T
    products.multiply_triangle(m, n, pointer(L), pointer(C))
    np.testing.assert_allclose(C, wanted, rtol=0, atol=1e-13 * n)
