// Matrix products through a BLAS that the caller supplies.
#pragma once

namespace gapfit {

// Fortran interface with 32-bit integers, as in scipy.linalg.cython_blas.
using Dgemm = void (*)(const char *, const char *, const int *, const int *, const int *,
                       const double *, const double *, const int *, const double *,
                       const int *, const double *, double *, const int *);

using Dtrmm = void (*)(const char *, const char *, const char *, const char *, const int *,
                       const int *, const double *, const double *, const int *, double *,
                       const int *);

// Row-major products on top of them.
class Blas {
  public:
    Blas(Dgemm dgemm, Dtrmm dtrmm) : dgemm_(dgemm), dtrmm_(dtrmm) {}

    // C (m, n) = A (m, k) B (k, n) + beta C.
    void multiply(int m, int n, int k, const double *A, int lda, const double *B, int ldb,
                  double beta, double *C, int ldc) const {
        call("N", m, n, k, A, lda, B, ldb, beta, C, ldc);
    }

    // C (m, n) = A (m, k) B^T + beta C, B being (n, k).
    void multiply_transposed(int m, int n, int k, const double *A, int lda, const double *B,
                             int ldb, double beta, double *C, int ldc) const {
        call("T", m, n, k, A, lda, B, ldb, beta, C, ldc);
    }

    // C (m, n) = C L^T, L (n, n) being lower triangular.
    void multiply_lower_transposed(int m, int n, const double *L, double *C) const {
        if (m == 0 || n == 0) return;
        const double one = 1.0;
        dtrmm_("L", "U", "T", "N", &n, &m, &one, L, &n, C, &n);
    }

  private:
    void call(const char *transposed, int m, int n, int k, const double *A, int lda,
              const double *B, int ldb, double beta, double *C, int ldc) const {
        if (m == 0 || n == 0 || k == 0) return;
        const double one = 1.0;
        // Column-major BLAS sees the transposes: C^T = B^T A^T.
        dgemm_(transposed, "N", &n, &m, &k, &one, B, &ldb, A, &lda, &beta, C, &ldc);
    }

    Dgemm dgemm_;
    Dtrmm dtrmm_;
};

}  // namespace gapfit
