// Energies of environments, ε(q) = Σ_s c_s delta² (q·q_s)^zeta, and dε/dq.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "blas.hpp"
#include "simd.hpp"

namespace gapfit {

inline Vec power(Vec base, int exponent) {
    Vec result = broadcast(1.0);
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

// base^exponent; whole exponents by multiplication, others clip the base at 0.
class Power {
  public:
    explicit Power(double exponent)
        : exponent_(exponent), whole_(exponent == std::floor(exponent)) {}

    // out = factor * base^exponent elementwise.
    void apply(const double *base, const double *factor, double *out, int n) const {
        int k = 0;
        if (whole_)
            for (; k + lanes <= n; k += lanes)
                store(out + k, load(factor + k) *
                                   power(load(base + k), static_cast<int>(exponent_)));
        for (; k < n; ++k) out[k] = factor[k] * one(base[k]);
    }

    double one(double base) const {
        if (!whole_) return std::pow(std::max(base, 0.0), exponent_);
        double result = 1.0;
        for (int n = static_cast<int>(exponent_); n > 0; n >>= 1, base *= base)
            if (n & 1) result *= base;
        return result;
    }

  private:
    double exponent_;
    bool whole_;
};

// The sparse points of one central species. With a projection U (n_features, width) dot
// products are taken of U^T q, and points are U^T q_s or, for zeta = 2, the matrix A of
// ε = q^T A q, A = delta² Σ_s c_s q_s q_s^T.
struct BlockKernel {
    int n_features = 0;
    int width = 0;  // columns of points: n_features, or those of U
    int n_sparse = 0;
    const double *points = nullptr;        // (n_sparse, width)
    const double *coefficients = nullptr;  // (n_sparse): delta² c
    const double *quadratic = nullptr;     // (width, width), symmetric; replaces points
    const double *projection = nullptr;    // (n_features, width) or null
    double zeta = 1.0;
};

// Where kernels delta² (q·q_s)^zeta of environments go; nowhere if there are no values.
struct KernelArray {
    double *values = nullptr;  // (n, n_sparse)
    std::ptrdiff_t stride = 0;
    double delta2 = 1.0;
};

class KernelSum {
  public:
    struct Scratch {
        Buffer x, g, dot, slope, factor, weighted;
    };

    KernelSum(Blas blas, Scratch &scratch) : blas_(blas), scratch_(scratch) {}

    // energies (n) and gradients G (n, n_features; null to leave them out) of n
    // environments q (n, n_features), and kernels unless a quadratic form replaces them.
    void evaluate(const BlockKernel &block, int n, const double *q, double *energies,
                  double *G, const KernelArray &kernels = {}) {
        const std::size_t size = static_cast<std::size_t>(n) * block.width;
        const double *x = projected(block, n, q);
        double *gradient = G;
        if (block.projection != nullptr && G != nullptr) {
            scratch_.g.resize(size);
            gradient = scratch_.g.data();
        }
        if (block.quadratic != nullptr)
            quadratic_form(block, n, x, energies, gradient);
        else
            sum_over_points(block, n, x, energies, gradient, kernels);
        if (block.projection != nullptr && G != nullptr)
            blas_.multiply_transposed(n, block.n_features, block.width, gradient,
                                      block.width, block.projection, block.width, 0.0, G,
                                      block.n_features);
    }

    // Kernels alone.
    void evaluate(const BlockKernel &block, int n, const double *q,
                  const KernelArray &kernels) {
        const double *x = projected(block, n, q);
        for (int first = 0; first < block.n_sparse; first += columns_) {
            const int m = std::min(columns_, block.n_sparse - first);
            const double *T = dot_products(block, first, m, n, x);
            store_kernels(block, first, m, n, T, kernels);
        }
    }

    // Gradients G (n, n_columns, n_features) for each of several sets of coefficients
    // (n_columns, n_sparse) in place of those of the block, which has no quadratic form.
    void column_gradients(const BlockKernel &block, const double *coefficients,
                          int n_columns, int n, const double *q, double *G) {
        const double *x = projected(block, n, q);
        const int rows = n * n_columns;
        double *gradient = G;
        if (block.projection != nullptr) {
            scratch_.g.resize(static_cast<std::size_t>(rows) * block.width);
            gradient = scratch_.g.data();
        }
        std::fill(gradient, gradient + static_cast<std::size_t>(rows) * block.width, 0.0);
        // So many sparse points at once that the weighted kernels stay in the cache.
        constexpr int together = 256;
        for (int first = 0; first < block.n_sparse; first += together) {
            const int m = std::min(together, block.n_sparse - first);
            weigh_columns(block, first, m, coefficients, n_columns, n, x);
            blas_.multiply(rows, block.width, m, scratch_.weighted.data(), m,
                           block.points + static_cast<std::size_t>(first) * block.width,
                           block.width, 1.0, gradient, block.width);
        }
        if (block.projection != nullptr)
            blas_.multiply_transposed(rows, block.n_features, block.width, gradient,
                                      block.width, block.projection, block.width, 0.0, G,
                                      block.n_features);
    }

  private:
    // weighted (n, n_columns, m): zeta c T^(zeta-1).
    void weigh_columns(const BlockKernel &block, int first, int m,
                       const double *coefficients, int n_columns, int n, const double *x) {
        const double *T = dot_products(block, first, m, n, x);
        const Power lower(block.zeta - 1.0);
        scratch_.factor.assign(static_cast<std::size_t>(m), block.zeta);
        scratch_.slope.resize(static_cast<std::size_t>(m));
        scratch_.weighted.resize(static_cast<std::size_t>(n) * n_columns * m);
        const double *slope = scratch_.slope.data();
        double *to = scratch_.weighted.data();
        for (int i = 0; i < n; ++i) {
            lower.apply(T + static_cast<std::size_t>(i) * m, scratch_.factor.data(),
                        scratch_.slope.data(), m);
            for (int s = 0; s < n_columns; ++s, to += m) {
                const double *c =
                    coefficients + static_cast<std::size_t>(s) * block.n_sparse + first;
                for (int k = 0; k < m; ++k) to[k] = slope[k] * c[k];
            }
        }
    }

    // U^T q, or q without a projection.
    const double *projected(const BlockKernel &block, int n, const double *q) {
        if (block.projection == nullptr) return q;
        scratch_.x.resize(static_cast<std::size_t>(n) * block.width);
        blas_.multiply(n, block.width, block.n_features, q, block.n_features,
                       block.projection, block.width, 0.0, scratch_.x.data(), block.width);
        return scratch_.x.data();
    }

    // So many sparse points at once that their kernels stay in the cache.
    static constexpr int columns_ = 2048;

    // Dot products (n, m) with m points from the first.
    double *dot_products(const BlockKernel &block, int first, int m, int n,
                         const double *x) {
        scratch_.dot.resize(static_cast<std::size_t>(n) * columns_);
        blas_.multiply_transposed(
            n, m, block.width, x, block.width,
            block.points + static_cast<std::size_t>(first) * block.width, block.width, 0.0,
            scratch_.dot.data(), m);
        return scratch_.dot.data();
    }

    void store_kernels(const BlockKernel &block, int first, int m, int n, const double *T,
                       const KernelArray &kernels) {
        const Power power(block.zeta);
        scratch_.factor.assign(static_cast<std::size_t>(m), kernels.delta2);
        for (int i = 0; i < n; ++i)
            power.apply(T + static_cast<std::size_t>(i) * m, scratch_.factor.data(),
                        kernels.values + i * kernels.stride + first, m);
    }

    void sum_over_points(const BlockKernel &block, int n, const double *x, double *energies,
                         double *G, const KernelArray &kernels) {
        std::fill(energies, energies + n, 0.0);
        if (G != nullptr) std::fill(G, G + static_cast<std::size_t>(n) * block.width, 0.0);
        const Power lower(block.zeta - 1.0);
        for (int first = 0; first < block.n_sparse; first += columns_) {
            const int m = std::min(columns_, block.n_sparse - first);
            const double *points =
                block.points + static_cast<std::size_t>(first) * block.width;
            double *T = dot_products(block, first, m, n, x);
            if (kernels.values != nullptr) store_kernels(block, first, m, n, T, kernels);
            for (int i = 0; i < n; ++i)
                energies[i] +=
                    weigh(lower, block, first, m, T + static_cast<std::size_t>(i) * m);
            if (G != nullptr)
                blas_.multiply(n, block.width, m, T, m, points, block.width, 1.0, G,
                               block.width);
        }
    }

    // Replaces dot products T by zeta c T^(zeta-1); returns Σ c T^zeta.
    double weigh(const Power &lower, const BlockKernel &block, int first, int m,
                 double *dot) {
        const double *c = block.coefficients + first;
        scratch_.slope.resize(static_cast<std::size_t>(m));
        lower.apply(dot, c, scratch_.slope.data(), m);
        Vec sums{};
        int k = 0;
        for (; k + lanes <= m; k += lanes) {
            const Vec part = load(scratch_.slope.data() + k);
            sums += part * load(dot + k);
            store(dot + k, block.zeta * part);
        }
        double energy = sum(sums);
        for (; k < m; ++k) {
            energy += scratch_.slope[k] * dot[k];
            dot[k] = block.zeta * scratch_.slope[k];
        }
        return energy;
    }

    void quadratic_form(const BlockKernel &block, int n, const double *x, double *energies,
                        double *G) {
        const int w = block.width;
        scratch_.dot.resize(static_cast<std::size_t>(n) * w);
        double *Ax = G != nullptr ? G : scratch_.dot.data();
        blas_.multiply(n, w, w, x, w, block.quadratic, w, 0.0, Ax, w);
        for (int i = 0; i < n; ++i) {
            const std::size_t row = static_cast<std::size_t>(i) * w;
            energies[i] = dot(x + row, Ax + row, w);
            if (G != nullptr)
                for (int k = 0; k < w; ++k) G[row + k] *= 2.0;
        }
    }

    Blas blas_;
    Scratch &scratch_;
};

}  // namespace gapfit
