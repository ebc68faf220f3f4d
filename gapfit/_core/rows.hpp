// Rows of the kernel matrix between observations (energies, forces, virials) and sparse
// points, for fitting.
//
// With T = q·q_s and D = dp/dR, a row is δ² zeta T^(zeta-1) (D·q_s - (D·q) T) / |p|.
// D is formed for groups of environments and multiplied with the sparse points.
#pragma once

#include <algorithm>
#include <vector>

#include "derivatives.hpp"

namespace gapfit {

// Sparse points of one central species and their columns.
struct RowBlock {
    int n_sparse = 0, width = 0;
    std::int64_t first_column = 0;
    const double *points = nullptr;      // (n_sparse, width)
    const double *projection = nullptr;  // (n_features, width) or null
};

// Results are added; virials may be null, and forces with them.
struct RowArrays {
    std::int64_t n_columns = 0;
    double *energies = nullptr;  // (n_frames, n_columns)
    double *forces = nullptr;    // (n_atoms, 3, n_columns)
    double *virials = nullptr;   // (n_frames, 6, n_columns), Voigt order
};

namespace detail {

// Multiplies a group's rows with a range of sparse points and adds them to the targets.
class RowProduct {
  public:
    explicit RowProduct(Blas blas) : blas_(blas) {}

    struct Group {
        int n = 0;                          // environments
        const double *x = nullptr;          // (n, width): q, or U^T q
        const double *norms = nullptr;      // (n)
        double *const *energies = nullptr;  // (n): where kernels of energies are added
        const std::vector<RowClass> *classes = nullptr;
    };

    void add(const Group &group, const RowBlock &block, int begin, int end, double delta2,
             double zeta) {
        // Few enough columns for the product to stay in the cache.
        constexpr int most = 1024;
        const Power lower(zeta - 1.0);
        for (int first = begin; first < end; first += most)
            add_columns(group, block, first, std::min(most, end - first), delta2, zeta,
                        lower);
    }

  private:
    void add_columns(const Group &group, const RowBlock &block, int first, int m,
                     double delta2, double zeta, const Power &lower) {
        const double *points = block.points + static_cast<std::size_t>(first) * block.width;
        const std::size_t size = static_cast<std::size_t>(group.n) * m;
        k_.resize(size);
        slope_.resize(size);
        blas_.multiply_transposed(group.n, m, block.width, group.x, block.width, points,
                                  block.width, 0.0, k_.data(), m);
        const std::int64_t column = block.first_column + first;
        for (int e = 0; e < group.n; ++e) {
            double *k = &k_[static_cast<std::size_t>(e) * m];
            double *slope = &slope_[static_cast<std::size_t>(e) * m];
            double *energies = group.energies[e] + column;
            factor_.assign(m, delta2);
            lower.apply(k, factor_.data(), slope, m);
            for (int s = 0; s < m; ++s) {
                const double value = slope[s] * k[s];
                energies[s] += value;
                slope[s] *= zeta / group.norms[e];
                k[s] = value * (zeta / group.norms[e]);
            }
        }
        for (const RowClass &rows : *group.classes)
            add_class(rows, block, points, column, m);
    }

    void add_class(const RowClass &rows, const RowBlock &block, const double *points,
                   std::int64_t column, int m) {
        if (rows.n_rows == 0) return;
        product_.resize(static_cast<std::size_t>(rows.n_rows) * m);
        const bool projected = block.projection != nullptr;
        const double *from = projected ? rows.projected.data() : rows.D.data();
        const int width = projected ? rows.projection.width : rows.n_active;
        const auto &segments = projected ? rows.projection.segments : rows.segments;
        if (segments.empty()) std::fill(product_.begin(), product_.end(), 0.0);
        double beta = 0.0;
        for (const Segment &s : segments) {
            blas_.multiply_transposed(rows.n_rows, m, s.size, from + s.here, width,
                                      points + s.there, block.width, beta, product_.data(),
                                      m);
            beta = 1.0;
        }
        for (int row = 0; row < rows.n_rows; ++row) {
            const std::size_t e = static_cast<std::size_t>(rows.environment[row]) * m;
            const double *T = &product_[static_cast<std::size_t>(row) * m];
            const double *slope = &slope_[e], *k = &k_[e];
            const double along = rows.along[row];
            double *to = rows.target[row] + column;
            int s = 0;
            for (; s + lanes <= m; s += lanes)
                store(to + s,
                      load(to + s) + load(slope + s) * load(T + s) - along * load(k + s));
            for (; s < m; ++s) to[s] += slope[s] * T[s] - along * k[s];
        }
    }

    Blas blas_;
    Buffer k_, slope_, factor_, product_;
};

// Works through the centres of one species, group by group.
template <int NV>
class RowBuilder {
  public:
    RowBuilder(const Basis &basis, Blas blas, ThreadTeam &team, const PairList &pairs,
               const RowArrays &out)
        : basis_(basis), layout_(basis.layout), blas_(blas), team_(team), pairs_(pairs),
          out_(out), moved_(pairs.n_atoms) {
        for (int t = 0; t < team.size(); ++t) {
            workers_.emplace_back(basis, out.virials != nullptr);
            products_.emplace_back(blas);
        }
        if (out.forces == nullptr) return;
        classes_.emplace_back();
        classes_[0].segments = {{0, 0, layout_.n_features()}};
        classes_[0].n_active = layout_.n_features();
        for (int density = 0; density < layout_.n_densities; ++density) {
            RowClass rows;
            rows.segments = active_segments(layout_, density);
            for (const Segment &s : rows.segments) rows.n_active += s.size;
            const bool all = rows.n_active == layout_.n_features();
            class_of_density_.push_back(all ? 0 : static_cast<int>(classes_.size()));
            if (!all) classes_.push_back(std::move(rows));
        }
    }

    void add(const std::vector<std::int64_t> &centres, const RowBlock &block, double delta2,
             double zeta) {
        if (block.projection != nullptr) {
            const auto pieces = pieces_of(layout_, block.projection, block.width);
            for (RowClass &rows : classes_)
                rows.projection = RowProjection(rows.segments, pieces, block.width);
        }
        // So many rows at once that the matrix product runs at full rate.
        const int enough = layout_.at_once(768), most = layout_.at_once(128);
        std::size_t next = 0;
        while (next < centres.size()) {
            clear();
            while (next < centres.size() && n_rows() < enough && n_ < most)
                take(centres[next++]);
            run(block, delta2, zeta);
        }
    }

  private:
    void clear() {
        n_ = 0;
        for (RowClass &rows : classes_) rows.clear();
    }

    int n_rows() const {
        int total = 0;
        for (const RowClass &rows : classes_) total += rows.n_rows;
        return total;
    }

    // Add an environment to the group: finds its rows.
    void take(std::int64_t centre) {
        if (static_cast<int>(group_.size()) == n_) group_.emplace_back();
        Environment &e = group_[n_];
        e.centre = centre;
        e.near.gather(basis_, pairs_, centre);
        if (!classes_.empty()) {
            moved_.find(layout_, pairs_, e.near, e.moved);
            e.dense_row = classes_[0].n_rows;
            const std::int64_t i = pairs_.start + centre;
            for (int x = 0; x < 3; ++x) new_row(classes_[0], force_row(i, x));
            for (int x = 0; x < 6 && out_.virials != nullptr; ++x)
                new_row(classes_[0],
                        out_.virials + (6 * pairs_.frame[i] + x) * out_.n_columns);
            for (Moved &moved : e.moved) {
                if (moved.atom == i) continue;
                RowClass &rows = classes_[class_of_density_[moved.density]];
                moved.row = rows.n_rows;
                for (int x = 0; x < 3; ++x) new_row(rows, force_row(moved.atom, x));
            }
        }
        ++n_;
    }

    double *force_row(std::int64_t atom, int x) const {
        return out_.forces + (3 * atom + x) * out_.n_columns;
    }

    void new_row(RowClass &rows, double *target) {
        ++rows.n_rows;
        rows.environment.push_back(n_);
        rows.target.push_back(target);
    }

    void run(const RowBlock &block, double delta2, double zeta) {
        const std::size_t F = layout_.n_features();
        q_.resize(n_ * F);
        norms_.resize(n_);
        energies_.resize(n_);
        for (RowClass &rows : classes_) rows.allocate();
        team_.run([&](int thread) {
            for (int e = thread; e < n_; e += team_.size()) {
                team_.check();
                workers_[thread].form(group_[e], &q_[e * F], classes_, class_of_density_);
                norms_[e] = group_[e].norm;
                const std::int64_t frame = pairs_.frame[pairs_.start + group_[e].centre];
                energies_[e] = out_.energies + frame * out_.n_columns;
            }
        });
        const double *x = q_.data();
        if (block.projection != nullptr) x = project(block);
        const RowProduct::Group group{n_, x, norms_.data(), energies_.data(), &classes_};
        team_.run([&](int thread) {
            const std::int64_t m = block.n_sparse;
            products_[thread].add(group, block, static_cast<int>(m * thread / team_.size()),
                                  static_cast<int>(m * (thread + 1) / team_.size()), delta2,
                                  zeta);
            team_.check();
        });
    }

    // Everything times the projection, each share of the work for a range of rows.
    const double *project(const RowBlock &block) {
        const int w = block.width, F = layout_.n_features();
        x_.resize(static_cast<std::size_t>(n_) * w);
        blas_.multiply(n_, w, F, q_.data(), F, block.projection, w, 0.0, x_.data(), w);
        for (RowClass &rows : classes_)
            rows.projected.resize(static_cast<std::size_t>(rows.n_rows) *
                                  rows.projection.width);
        team_.run([&](int share) {
            for (RowClass &rows : classes_) {
                const std::int64_t n = rows.n_rows;
                project_rows(rows, block, static_cast<int>(n * share / team_.size()),
                             static_cast<int>(n * (share + 1) / team_.size()));
            }
        });
        return x_.data();
    }

    void project_rows(RowClass &rows, const RowBlock &block, int begin, int end) const {
        const std::size_t first = static_cast<std::size_t>(begin);
        rows.projection.apply(blas_, end - begin, rows.D.data() + first * rows.n_active,
                              rows.n_active, block.projection, block.width,
                              rows.projected.data() + first * rows.projection.width);
    }

    const Basis &basis_;
    const Layout &layout_;
    Blas blas_;
    ThreadTeam &team_;
    const PairList &pairs_;
    const RowArrays &out_;
    MovedAtoms moved_;
    std::vector<int> class_of_density_;
    std::vector<RowWorker<NV>> workers_;
    std::vector<RowProduct> products_;
    std::vector<RowClass> classes_;
    std::vector<Environment> group_;
    Buffer q_, x_, norms_;
    std::vector<double *> energies_;
    int n_ = 0;
};

}  // namespace detail

// Adds the rows of all centres of a pair list; blocks are indexed by central species.
template <int NV>
void kernel_rows(const Basis &basis, const std::vector<RowBlock> &blocks, double delta2,
                 double zeta, const PairList &pairs, Blas blas, ThreadTeam &team,
                 const RowArrays &out) {
    detail::RowBuilder<NV> builder(basis, blas, team, pairs, out);
    for (std::size_t species = 0; species < blocks.size(); ++species) {
        std::vector<std::int64_t> centres;
        for (std::int64_t k = 0; k < pairs.n_centres; ++k)
            if (pairs.species[pairs.start + k] == static_cast<std::int32_t>(species))
                centres.push_back(k);
        if (blocks[species].n_sparse > 0)
            builder.add(centres, blocks[species], delta2, zeta);
    }
}

}  // namespace gapfit
