// Rows of the kernel matrix between observations and the functions of a cluster expansion.
//
// With J = dB/dA, the row of a moved atom is w_f J·dA/dR: J and dA are formed for groups
// of environments, and multiplied for a range of functions on each thread.
#pragma once

#include <cstdint>
#include <vector>

#include "ace_basis.hpp"
#include "blas.hpp"
#include "density_gradients.hpp"
#include "rows.hpp"

namespace gapfit {

// Factors of the functions of one central species, and its columns.
struct AceRowBlock {
    const double *weights = nullptr;  // (n_functions); null: no columns
    std::int64_t first_column = 0;
};

namespace detail {

// One environment: its rows of dA, and J.
struct AceEnvironment {
    std::int64_t centre = 0;
    Neighbourhood near;
    std::vector<Moved> moved;
    Buffer J;                        // (n_functions, n_coefficients), weighted
    Buffer B;                        // (n_functions), weighted
    Buffer dense;                    // (9, n_coefficients): centre and strains
    Buffer sparse;                   // by moved atom (3, coefficients of its channel)
    std::vector<std::size_t> first;  // of each moved atom, in `sparse`
};

template <int NV>
class AceRowWorker {
  public:
    static constexpr int stride = NV * lanes;

    AceRowWorker(const AceBasis &basis, const PairList &pairs)
        : basis_(basis), layout_(basis.basis.layout), expansion_(basis.basis),
          gradients_(basis.basis), offsets_(basis.offsets(stride)), pairs_(pairs),
          size_(layout_.n_lm() * stride), c_(expansion_.coefficients()),
          v_(basis.invariants.n_values(), 0.0), A_(offsets_.size()),
          dc_(3 * static_cast<std::size_t>(size_)),
          sums_(9 * static_cast<std::size_t>(size_)) {}

    void form(AceEnvironment &e, const double *weights, bool gradients) {
        const Invariants &invariants = basis_.invariants;
        const std::size_t n = static_cast<std::size_t>(invariants.size());
        expansion_.density(e.near, c_.data());
        for (std::size_t k = 0; k < offsets_.size(); ++k) {
            A_[k] = c_[offsets_[k]];
            v_[Invariants::at(static_cast<int>(k), 0)] = A_[k];
        }
        invariants.multiply(v_.data());
        B_.resize(n * lanes);
        invariants.polynomials(v_.data(), B_.data());
        e.B.resize(n);
        for (std::size_t f = 0; f < n; ++f) e.B[f] = weights[f] * B_[f * lanes];
        if (!gradients) return;
        e.J.resize(n * A_.size());
        invariants.jacobian(A_.data(), weights, e.J.data());
        form_gradients(e);
    }

  private:
    void form_gradients(AceEnvironment &e) {
        gradients_.of(e.near);
        e.dense.assign(9 * A_.size(), 0.0);
        e.first.clear();
        std::size_t total = 0;
        for (const Moved &moved : e.moved) {
            e.first.push_back(total);
            total += 3 * n_coefficients(moved.density);
        }
        e.sparse.resize(total);
        for (int density = 0; density < layout_.n_densities; ++density) {
            if (e.near.begin(density) == e.near.end(density)) continue;
            std::fill(sums_.begin(), sums_.end(), 0.0);
            for (std::size_t m = 0; m < e.moved.size(); ++m)
                if (e.moved[m].density == density) form_moved(e, m);
            for (int row = 0; row < 9; ++row)
                pick(sums_.data() + row * size_, density,
                     e.dense.data() + row * A_.size() + basis_.channels[density]);
        }
    }

    // Rows of one atom; adds to the sums for the centre and the virial.
    void form_moved(AceEnvironment &e, std::size_t m) {
        const Moved &moved = e.moved[m];
        const bool is_centre = moved.atom == pairs_.start + e.centre;
        std::fill(dc_.begin(), dc_.end(), 0.0);
        double *strain = sums_.data() + 3 * size_;
        for (int k : moved.neighbours)
            gradients_.add(e.near, k, is_centre ? nullptr : dc_.data(), strain);
        for (int x = 0; x < 3; ++x) {
            const double *dc = dc_.data() + x * size_;
            double *centre = sums_.data() + x * size_;
            for (int k = 0; k < size_; k += lanes)
                store(centre + k, load(centre + k) - load(dc + k));
            pick(dc, moved.density,
                 e.sparse.data() + e.first[m] + x * n_coefficients(moved.density));
        }
    }

    std::size_t n_coefficients(int density) const {
        return static_cast<std::size_t>(basis_.channels[density + 1] -
                                        basis_.channels[density]);
    }

    // The coefficients of one density that are used, from all of them (n_lm, n).
    void pick(const double *dc, int density, double *to) const {
        const std::size_t before = static_cast<std::size_t>(density * size_);
        for (int k = basis_.channels[density]; k < basis_.channels[density + 1]; ++k)
            *to++ = dc[offsets_[k] - before];
    }

    const AceBasis &basis_;
    const Layout &layout_;
    Expansion<NV> expansion_;
    DensityGradients<NV> gradients_;
    std::vector<std::size_t> offsets_;
    const PairList &pairs_;
    int size_;
    Buffer c_, v_, A_, dc_, sums_, B_;
};

// Works through the centres of one species, group by group.
template <int NV>
class AceRowBuilder {
  public:
    AceRowBuilder(const AceBasis &basis, Blas blas, ThreadTeam &team, const PairList &pairs,
                  const RowArrays &out)
        : basis_(basis), blas_(blas), team_(team), pairs_(pairs), out_(out),
          moved_(pairs.n_atoms), products_(static_cast<std::size_t>(team.size())) {
        for (int t = 0; t < team.size(); ++t) workers_.emplace_back(basis, pairs);
    }

    void add(const std::vector<std::int64_t> &centres, const AceRowBlock &block) {
        if (block.weights == nullptr) return;
        const std::size_t together = 4 * static_cast<std::size_t>(team_.size());
        group_.resize(together);
        for (std::size_t first = 0; first < centres.size(); first += together) {
            const int n = static_cast<int>(std::min(together, centres.size() - first));
            for (int e = 0; e < n; ++e) take(group_[e], centres[first + e]);
            team_.run([&](int share) {
                for (int e = share; e < n; e += team_.size()) {
                    team_.check();
                    workers_[share].form(group_[e], block.weights, out_.forces != nullptr);
                }
            });
            team_.run([&](int share) {
                const std::int64_t m = basis_.invariants.size();
                for (int e = 0; e < n; ++e)
                    add_columns(
                        group_[e], block, static_cast<int>(m * share / team_.size()),
                        static_cast<int>(m * (share + 1) / team_.size()), products_[share]);
                team_.check();
            });
        }
    }

  private:
    void take(AceEnvironment &e, std::int64_t centre) {
        e.centre = centre;
        e.near.gather(basis_.basis, pairs_, centre);
        if (out_.forces != nullptr)
            moved_.find(basis_.basis.layout, pairs_, e.near, e.moved);
    }

    // Rows of one environment for functions begin to end.
    void add_columns(const AceEnvironment &e, const AceRowBlock &block, int begin, int end,
                     Buffer &product) const {
        const int m = end - begin;
        const std::int64_t column = block.first_column + begin;
        const std::int64_t i = pairs_.start + e.centre;
        add_row(e.B.data() + begin, m,
                out_.energies + pairs_.frame[i] * out_.n_columns + column);
        if (out_.forces == nullptr) return;
        const int n = basis_.invariants.n_coefficients();
        const double *J = e.J.data() + static_cast<std::size_t>(begin) * n;
        multiply(9, m, n, e.dense.data(), J, product);
        for (int x = 0; x < 3; ++x)
            add_row(&product[static_cast<std::size_t>(x) * m], m, force_row(i, x) + column);
        for (int x = 0; x < 6; ++x)
            add_row(&product[static_cast<std::size_t>(3 + x) * m], m,
                    out_.virials + (6 * pairs_.frame[i] + x) * out_.n_columns + column);
        for (std::size_t first = 0; first < e.moved.size();) {
            const int density = e.moved[first].density;
            std::size_t last = first;
            while (last < e.moved.size() && e.moved[last].density == density) ++last;
            const int begins = basis_.channels[density];
            const int rows = static_cast<int>(3 * (last - first));
            multiply(rows, m, basis_.channels[density + 1] - begins,
                     e.sparse.data() + e.first[first], J + begins, product);
            const double *from = product.data();
            for (; first < last; ++first)
                for (int x = 0; x < 3; ++x, from += m)
                    if (e.moved[first].atom != i)
                        add_row(from, m, force_row(e.moved[first].atom, x) + column);
        }
    }

    // product (rows, m) = D (rows, width) J^T, rows of J being n_coefficients apart.
    void multiply(int rows, int m, int width, const double *D, const double *J,
                  Buffer &product) const {
        product.resize(static_cast<std::size_t>(rows) * m);
        if (width == 0) std::fill(product.begin(), product.end(), 0.0);
        blas_.multiply_transposed(rows, m, width, D, width, J,
                                  basis_.invariants.n_coefficients(), 0.0, product.data(),
                                  m);
    }

    double *force_row(std::int64_t atom, int x) const {
        return out_.forces + (3 * atom + x) * out_.n_columns;
    }

    static void add_row(const double *from, int m, double *to) {
        int k = 0;
        for (; k + lanes <= m; k += lanes) store(to + k, load(to + k) + load(from + k));
        for (; k < m; ++k) to[k] += from[k];
    }

    const AceBasis &basis_;
    Blas blas_;
    ThreadTeam &team_;
    const PairList &pairs_;
    const RowArrays &out_;
    MovedAtoms moved_;
    std::vector<AceRowWorker<NV>> workers_;
    std::vector<AceEnvironment> group_;
    std::vector<Buffer> products_;
};

}  // namespace detail

}  // namespace gapfit
