// Forces of many 3-body potentials at once, which differ in their coefficients only.
#pragma once

#include <cstdint>
#include <vector>

#include "blas.hpp"
#include "column_forces.hpp"
#include "triplet_rows.hpp"

namespace gapfit {

// One centre after the other: kernel rows of the forces on it and on its neighbours, times
// the coefficients.
class TripletColumnSum {
  public:
    // coefficients: (n_sparse, n_columns), of all blocks.
    TripletColumnSum(const TripletRange &range, const TripletKernel &kernel,
                     const std::vector<TripletColumns> &blocks, std::int64_t n_sparse,
                     const double *coefficients, const PairList &pairs, Blas blas,
                     const ColumnForces &out)
        : range_(range), coefficients_(coefficients), pairs_(pairs), blas_(blas), out_(out),
          shares_(detail::share_columns(kernel, blocks, n_sparse, 1)),
          worker_(range_, kernel, near_, rows_) {
        rows_.n_columns = n_sparse;
    }
    TripletColumnSum(const TripletColumnSum &) = delete;
    TripletColumnSum &operator=(const TripletColumnSum &) = delete;

    void add(std::int64_t centre) {
        take(centre);
        const std::size_t n = static_cast<std::size_t>(rows_.n_columns);
        const std::size_t n_rows = 3 * atoms_.size();
        forces_.assign(n_rows * n, 0.0);
        others_.assign(7 * n, 0.0);
        rows_.forces = forces_.data();
        rows_.energies = others_.data();
        rows_.virials = others_.data() + n;
        for (const detail::TripletShare &share : shares_) worker_.add(share, 0);
        const int n_sparse = static_cast<int>(n), n_columns = out_.n_columns;
        product_.resize(n_rows * static_cast<std::size_t>(n_columns));
        blas_.multiply(static_cast<int>(n_rows), n_columns, n_sparse, forces_.data(),
                       n_sparse, coefficients_, n_columns, 0.0, product_.data(), n_columns);
        const double *from = product_.data();
        for (const std::int64_t atom : atoms_) {
            double *to = out_.of(atom);
            for (int k = 0; k < 3 * n_columns; ++k) to[k] += *from++;
        }
    }

  private:
    // The centre and its neighbours as a list of their own, in which each is an atom.
    void take(std::int64_t centre) {
        const std::int64_t i = pairs_.start + centre;
        atoms_.assign(1, i);
        species_.assign(1, pairs_.species[i]);
        R_.clear();
        for (std::int64_t p = pairs_.first[centre]; p < pairs_.first[centre + 1]; ++p) {
            const double *R = pairs_.R + 3 * p;
            const double square = R[0] * R[0] + R[1] * R[1] + R[2] * R[2];
            if (square >= range_.shape.r_cut * range_.shape.r_cut) continue;
            atoms_.push_back(pairs_.j[p]);
            species_.push_back(pairs_.species[pairs_.j[p]]);
            R_.insert(R_.end(), R, R + 3);
        }
        const std::int64_t n = static_cast<std::int64_t>(atoms_.size());
        frame_.assign(atoms_.size(), 0);
        while (static_cast<std::int64_t>(numbers_.size()) < n)
            numbers_.push_back(static_cast<std::int64_t>(numbers_.size()) + 1);
        ends_[1] = n - 1;
        near_.n_centres = near_.n_frames = 1;
        near_.n_atoms = n;
        near_.first = ends_;
        near_.j = numbers_.data();
        near_.R = R_.data();
        near_.species = species_.data();
        near_.frame = frame_.data();
    }

    const TripletRange &range_;
    const double *coefficients_;
    const PairList &pairs_;
    Blas blas_;
    ColumnForces out_;
    std::vector<detail::TripletShare> shares_;
    PairList near_;
    TripletRows rows_;
    detail::TripletRowWorker worker_;
    std::int64_t ends_[2] = {0, 0};
    std::vector<std::int64_t> atoms_, frame_, numbers_;  // numbers: 1, 2, ...
    std::vector<std::int32_t> species_;
    Buffer R_, forces_, others_, product_;
};

inline void add_triplet_columns(const TripletRange &range, const TripletKernel &kernel,
                                const std::vector<TripletColumns> &blocks,
                                std::int64_t n_sparse, const double *coefficients,
                                const PairList &pairs, Blas blas, ThreadTeam &team,
                                const ColumnForces &out) {
    in_shares(pairs.n_atoms, team, out, [&](int share, const ColumnForces &own) {
        TripletColumnSum sum(range, kernel, blocks, n_sparse, coefficients, pairs, blas,
                             own);
        for (std::int64_t c = share; c < pairs.n_centres; c += team.size()) {
            sum.add(c);
            team.check();
        }
    });
}

}  // namespace gapfit
