// The two matrix products that the core takes from a BLAS, for programs without a fast one.
// Single-threaded, and only what `gapfit::Blas` calls.
#pragma once

#include <algorithm>
#include <cstddef>

#include "blas.hpp"
#include "simd.hpp"

namespace gapfit {

namespace detail {

// C (m, n) (+)= A (m, k) op(B), rows of all matrices being contiguous; op(B) (k, n) has
// element (p, j) at B[p b_k + j b_n].
class PackedProduct {
  public:
    void operator()(int m, int n, int k, const double *A, int lda, const double *B,
                    std::ptrdiff_t b_k, std::ptrdiff_t b_n, bool add, double *C, int ldc) {
        packed_.resize(static_cast<std::size_t>(depth * columns));
        for (int p = 0; p < k; p += depth) {
            const int K = std::min(depth, k - p);
            const double *rows = B + p * b_k;
            for (int j = 0; j < n; j += columns)
                panel(m, std::min(columns, n - j), K, A + p, lda, rows + j * b_n, b_k, b_n,
                      add || p > 0, C + j, ldc);
        }
    }

  private:
    // Slivers of B as wide as the registers that sums stay in; a sliver fits in the first
    // cache, a panel of them in the second.
    static constexpr int vectors = lanes == 8 ? 2 : 3, width = vectors * lanes;
    static constexpr int depth = 256, columns = 32 * width;

    void panel(int m, int n, int k, const double *A, int lda, const double *B,
               std::ptrdiff_t b_k, std::ptrdiff_t b_n, bool add, double *C, int ldc) {
        pack(n, k, B, b_k, b_n);
        for (int j = 0; j < n; j += width) {
            const double *sliver = packed_.data() + j * k;
            if (j + width <= n)
                multiply(m, k, A, lda, sliver, add, C + j, ldc);
            else
                narrow(m, n - j, k, A, lda, sliver, add, C + j, ldc);
        }
    }

    // Zeros fill the last sliver.
    void pack(int n, int k, const double *B, std::ptrdiff_t b_k, std::ptrdiff_t b_n) {
        for (int first = 0; first < n; first += width) {
            double *to = packed_.data() + first * k;
            const int w = std::min(width, n - first);
            if (w < width) std::fill(to, to + width * k, 0.0);
            const double *from = B + first * b_n;
            if (b_n == 1)
                for (int p = 0; p < k; ++p) std::copy_n(from + p * b_k, w, to + p * width);
            else
                for (int j = 0; j < w; ++j)
                    for (int p = 0; p < k; ++p) to[p * width + j] = from[j * b_n + p * b_k];
        }
    }

    static void multiply(int m, int k, const double *A, int lda, const double *sliver,
                         bool add, double *C, int ldc) {
        if (add)
            product<vectors, true>(m, k, A, lda, 1, sliver, width, C, ldc);
        else
            product<vectors, false>(m, k, A, lda, 1, sliver, width, C, ldc);
    }

    void narrow(int m, int n, int k, const double *A, int lda, const double *sliver,
                bool add, double *C, int ldc) {
        edge_.resize(static_cast<std::size_t>(m * width));
        multiply(m, k, A, lda, sliver, false, edge_.data(), width);
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < n; ++j) {
                double &to = C[static_cast<std::ptrdiff_t>(i) * ldc + j];
                to = edge_[static_cast<std::size_t>(i * width + j)] + (add ? to : 0.0);
            }
    }

    Buffer packed_, edge_;
};

inline PackedProduct &packed_product() {
    static thread_local PackedProduct product;
    return product;
}

// C^T = op(B)^T A^T in Fortran's order; alpha is 1, beta 0 or 1, the second matrix as it
// is.
inline void own_dgemm(const char *transposed, const char *, const int *n, const int *m,
                      const int *k, const double *, const double *B, const int *ldb,
                      const double *A, const int *lda, const double *beta, double *C,
                      const int *ldc) {
    const bool turned = *transposed == 'T';
    packed_product()(*m, *n, *k, A, *lda, B, turned ? 1 : *ldb, turned ? *ldb : 1,
                     *beta != 0.0, C, *ldc);
}

// C (m, n) = C L^T in place, for L lower triangular: columns from the last to the first, as
// each needs those before it.
inline void own_dtrmm(const char *, const char *, const char *, const char *,
                      const int *columns, const int *rows, const double *, const double *L,
                      const int *ldl, double *C, const int *ldc) {
    constexpr int block = 96;
    static thread_local Buffer triangle, own;
    const std::ptrdiff_t n = *columns, m = *rows, stride = *ldl, row = *ldc;
    for (std::ptrdiff_t first = (n - 1) / block * block; first >= 0; first -= block) {
        const int w = static_cast<int>(std::min<std::ptrdiff_t>(block, n - first));
        triangle.assign(static_cast<std::size_t>(w * w), 0.0);
        for (int j = 0; j < w; ++j)
            std::copy_n(L + (first + j) * stride + first, j + 1, triangle.data() + j * w);
        own.resize(static_cast<std::size_t>(m * w));
        for (std::ptrdiff_t i = 0; i < m; ++i)
            std::copy_n(C + i * row + first, w, own.data() + i * w);
        packed_product()(*rows, w, w, own.data(), w, triangle.data(), 1, w, false,
                         C + first, *ldc);
        if (first > 0)
            packed_product()(*rows, w, static_cast<int>(first), C, *ldc, L + first * stride,
                             1, stride, true, C + first, *ldc);
    }
}

}  // namespace detail

inline Blas own_blas() { return Blas(detail::own_dgemm, detail::own_dtrmm); }

}  // namespace gapfit
