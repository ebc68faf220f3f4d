// Variances of local energies, prior - |W^T k|², k being the covariances with the sparse
// points.
#pragma once

#include <cstddef>
#include <vector>

#include "kernel.hpp"

namespace gapfit {

// What turns the covariances of one central species into variances. k holds those with its
// own sparse points, and before and after them those with points of other terms.
struct VarianceBlock {
    BlockKernel points;         // its own; coefficients are not used
    double delta2 = 0.0;        // prior variance, and factor of the kernel
    int before = 0, other = 0;  // points of other terms before its own, and in all
    const double *L = nullptr;  // (size, size): W^T, lower triangular

    int size() const { return other + points.n_sparse; }
    // Whether a sum over sparse points takes the same dot products.
    bool shares(const BlockKernel &sum) const {
        return sum.quadratic == nullptr && sum.points == points.points &&
               sum.projection == points.projection && sum.n_sparse == points.n_sparse;
    }
};

// Of all centres; left out if there are no values.
struct Variances {
    std::vector<VarianceBlock> blocks;  // by species
    const double *other = nullptr;  // (n_centres, n_columns): with points of other terms
    std::ptrdiff_t n_columns = 0;
    double *values = nullptr;  // (n_centres): prior variances of other terms; changed
};

}  // namespace gapfit
