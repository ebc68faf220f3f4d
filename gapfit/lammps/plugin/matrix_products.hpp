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
        sliver_.resize(static_cast<std::size_t>(depth * width));
        for (int p = 0; p < k; p += depth) {
            const int K = std::min(depth, k - p);
            for (int j = 0; j < n; j += width) {
                const double *own = B + p * b_k + j * b_n;
                if (j + width <= n) {
                    pack(K, own, b_k, b_n);
                    multiply(m, K, A + p, lda, add || p > 0, C + j, ldc);
                } else {
                    pack_last(n - j, K, own, b_k, b_n);
                    narrow(m, n - j, K, A + p, lda, add || p > 0, C + j, ldc);
                }
            }
        }
    }

  private:
    // Slivers of B as wide as the registers that sums stay in; one fits in the first cache.
    static constexpr int vectors = lanes == 8 ? 2 : 3, width = vectors * lanes;
    static constexpr int depth = 256;

    // Loops of a fixed length: for few rows of A, packing takes as long as multiplying.
    void pack(int k, const double *B, std::ptrdiff_t b_k, std::ptrdiff_t b_n) {
        double *to = sliver_.data();
        if (b_n == 1)
            for (int p = 0; p < k; ++p)
                for (int v = 0; v < vectors; ++v)
                    store(to + p * width + v * lanes, load(B + p * b_k + v * lanes));
        else
            for (int p = 0; p < k; ++p)
                for (int j = 0; j < width; ++j) to[p * width + j] = B[p * b_k + j * b_n];
    }

    // The same for fewer columns, and zeros beside them.
    void pack_last(int w, int k, const double *B, std::ptrdiff_t b_k, std::ptrdiff_t b_n) {
        sliver_.assign(static_cast<std::size_t>(depth * width), 0.0);
        for (int p = 0; p < k; ++p)
            for (int j = 0; j < w; ++j)
                sliver_[static_cast<std::size_t>(p * width + j)] = B[p * b_k + j * b_n];
    }

    void multiply(int m, int k, const double *A, int lda, bool add, double *C,
                  int ldc) const {
        if (add)
            product<vectors, true>(m, k, A, lda, 1, sliver_.data(), width, C, ldc);
        else
            product<vectors, false>(m, k, A, lda, 1, sliver_.data(), width, C, ldc);
    }

    void narrow(int m, int n, int k, const double *A, int lda, bool add, double *C,
                int ldc) {
        edge_.resize(static_cast<std::size_t>(m * width));
        multiply(m, k, A, lda, false, edge_.data(), width);
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < n; ++j) {
                double &to = C[static_cast<std::ptrdiff_t>(i) * ldc + j];
                to = edge_[static_cast<std::size_t>(i * width + j)] + (add ? to : 0.0);
            }
    }

    Buffer sliver_, edge_;
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
