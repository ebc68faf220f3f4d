// Forces of many 2-body potentials at once, which differ in their coefficients only.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "column_forces.hpp"
#include "pair_kernel.hpp"

namespace gapfit {

// Sparse points of one pair of species, with the coefficients of every potential.
struct PairColumnBlock {
    const double *points = nullptr;        // (n): distances
    const double *coefficients = nullptr;  // (n, n_columns): delta² c
    std::int64_t n = 0;
};

// Half of each pair's energy is that of each of its atoms: every pair comes twice in a full
// list.
class PairColumnSum {
  public:
    PairColumnSum(const PairKernel &kernel, const std::vector<PairColumnBlock> &blocks,
                  const PairList &pairs, const ColumnForces &out)
        : kernel_(kernel), blocks_(blocks), pairs_(pairs), out_(out),
          slopes_(static_cast<std::size_t>(out.n_columns)) {}

    void add(std::int64_t centre) {
        const std::int64_t i = pairs_.start + centre;
        const std::int32_t *block = kernel_.block + pairs_.species[i] * kernel_.n_species;
        for (std::int64_t p = pairs_.first[centre]; p < pairs_.first[centre + 1]; ++p) {
            const double *R = pairs_.R + 3 * p;
            const double r = std::sqrt(R[0] * R[0] + R[1] * R[1] + R[2] * R[2]);
            if (r >= kernel_.shape.r_cut) continue;
            const std::int64_t j = pairs_.j[p];
            find_slopes(blocks_[static_cast<std::size_t>(block[pairs_.species[j]])], r);
            const int n_columns = out_.n_columns;
            double *own = out_.of(i), *other = out_.of(j);
            for (int x = 0; x < 3; ++x) {
                const double u = 0.5 * R[x] / r;
                for (int s = 0; s < n_columns; ++s) {
                    const double g = u * slopes_[static_cast<std::size_t>(s)];
                    own[x * n_columns + s] += g;
                    other[x * n_columns + s] -= g;
                }
            }
        }
    }

  private:
    // dφ/dr of every potential at one distance.
    void find_slopes(const PairColumnBlock &block, double r) {
        std::fill(slopes_.begin(), slopes_.end(), 0.0);
        const Switch s(r, kernel_.shape);
        const double *c = block.coefficients;
        for (std::int64_t k = 0; k < block.n; ++k, c += out_.n_columns) {
            const double x = (r - block.points[k]) * kernel_.inverse_theta;
            const double slope =
                (s.slope - s.value * x * kernel_.inverse_theta) * std::exp(-0.5 * x * x);
            for (int column = 0; column < out_.n_columns; ++column)
                slopes_[static_cast<std::size_t>(column)] += slope * c[column];
        }
    }

    const PairKernel &kernel_;
    const std::vector<PairColumnBlock> &blocks_;
    const PairList &pairs_;
    ColumnForces out_;
    Buffer slopes_;
};

inline void add_pair_columns(const PairKernel &kernel,
                             const std::vector<PairColumnBlock> &blocks,
                             const PairList &pairs, ThreadTeam &team,
                             const ColumnForces &out) {
    in_shares(pairs.n_atoms, team, out, [&](int share, const ColumnForces &own) {
        PairColumnSum sum(kernel, blocks, pairs, own);
        for (std::int64_t c = share; c < pairs.n_centres; c += team.size()) {
            sum.add(c);
            if (c % 32 == 0) team.check();
        }
    });
}

}  // namespace gapfit
