// Rows of the kernel matrix between observations (energies, forces, virials) and sparse
// points, for fitting.
//
// With T = q·q_s and D = dp/dR, a row is δ² zeta T^(zeta-1) (D·q_s - (D·q) T) / |p|.
// D is formed for groups of environments and multiplied with the sparse points.
#pragma once

#include <algorithm>
#include <vector>

#include "derivatives.hpp"
#include "panels.hpp"

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

// Multiplies a group's rows with some panels of sparse points; adds them to the targets.
class RowProduct {
  public:
    struct Group {
        int n = 0;                  // environments
        const double *x = nullptr;  // (n, width): q, or U^T q
        int width = 0;              // of x, which has these
        const std::vector<Segment> *segments = nullptr;
        const double *norms = nullptr;      // (n)
        double *const *energies = nullptr;  // (n): where kernels of energies are added
        const std::vector<RowClass> *classes = nullptr;
    };

    void add(const Group &group, const RowBlock &block, const Panels &panels, int begin,
             int end, double delta2, double zeta) {
        // Few enough for their kernels to stay in the cache.
        constexpr int most = 1024 / Panels::width;
        const Power lower(zeta - 1.0);
        for (int first = begin; first < end; first += most) {
            const int stop = std::min(first + most, end);
            find_kernels(group, block, panels, first, stop, delta2, zeta, lower);
            for (const RowClass &rows : *group.classes)
                for (int panel = first; panel < stop; ++panel)
                    add_class(rows, block, panels, panel, panel - first);
        }
    }

  private:
    // Kernels and their slopes; adds kernels to those of the energies.
    void find_kernels(const Group &group, const RowBlock &block, const Panels &panels,
                      int first, int stop, double delta2, double zeta, const Power &lower) {
        n_columns_ = (stop - first) * Panels::width;
        const std::size_t size = static_cast<std::size_t>(group.n) * n_columns_;
        k_.resize(size);
        slope_.resize(size);
        factor_.assign(n_columns_, delta2);
        for (int panel = first; panel < stop; ++panel)
            panels.multiply(panel, *group.segments, group.n, group.x, group.width,
                            [&](int e, const Panels::Tile &products) {
                                double *to = &k_[at(e, panel - first)];
                                for (int v = 0; v < Panels::vectors; ++v)
                                    store(to + v * lanes, products[v]);
                            });
        const int m = std::min(n_columns_, block.n_sparse - first * Panels::width);
        const std::int64_t column = block.first_column + first * Panels::width;
        for (int e = 0; e < group.n; ++e) {
            double *k = &k_[at(e, 0)], *slope = &slope_[at(e, 0)];
            double *energies = group.energies[e] + column;
            lower.apply(k, factor_.data(), slope, m);
            for (int s = 0; s < m; ++s) {
                const double value = slope[s] * k[s];
                energies[s] += value;
                slope[s] *= zeta / group.norms[e];
                k[s] = value * (zeta / group.norms[e]);
            }
        }
    }

    void add_class(const RowClass &rows, const RowBlock &block, const Panels &panels,
                   int panel, int here) const {
        const bool projected = block.projection != nullptr;
        const double *from = projected ? rows.projected.data() : rows.D.data();
        const int width = projected ? rows.projection.width : rows.n_active;
        const auto &segments = projected ? rows.projection.segments : rows.segments;
        const int m = std::min(Panels::width, block.n_sparse - panel * Panels::width);
        const std::int64_t column = block.first_column + panel * Panels::width;
        panels.multiply(panel, segments, rows.n_rows, from, width,
                        [&](int row, const Panels::Tile &products) {
                            const std::size_t e = at(rows.environment[row], here);
                            const double *slope = &slope_[e], *k = &k_[e];
                            const double along = rows.along[row];
                            double *to = rows.target[row] + column;
                            if (m == Panels::width) {
                                for (int v = 0; v < Panels::vectors; ++v) {
                                    const int s = v * lanes;
                                    store(to + s, load(to + s) +
                                                      load(slope + s) * products[v] -
                                                      along * load(k + s));
                                }
                            } else {
                                double T[Panels::width];
                                for (int v = 0; v < Panels::vectors; ++v)
                                    store(T + v * lanes, products[v]);
                                for (int s = 0; s < m; ++s)
                                    to[s] += slope[s] * T[s] - along * k[s];
                            }
                        });
    }

    std::size_t at(int environment, int panel) const {
        return static_cast<std::size_t>(environment) * n_columns_ + panel * Panels::width;
    }

    int n_columns_ = 0;          // at a time
    Buffer k_, slope_, factor_;  // (n, n_columns)
};

// Works through the centres of one species, group by group.
template <int NV>
class RowBuilder {
  public:
    RowBuilder(const Basis &basis, ThreadTeam &team, const PairList &pairs,
               const RowArrays &out)
        : basis_(basis), layout_(basis.layout), team_(team), pairs_(pairs), out_(out),
          moved_(pairs.n_atoms), all_{{0, 0, layout_.n_features()}} {
        for (int t = 0; t < team.size(); ++t) {
            workers_.emplace_back(basis, out.virials != nullptr);
            products_.emplace_back();
        }
        if (out.forces == nullptr) return;
        classes_.emplace_back();
        classes_[0].segments = all_;
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
            const double *U = block.projection;
            const auto pieces = pieces_of(layout_, U, block.width);
            for (RowClass &rows : classes_)
                rows.projection = RowProjection(rows.segments, pieces, U, block.width);
            projection_ = RowProjection(all_, pieces, U, block.width);
        }
        panels_.pack(block.n_sparse, block.width, block.points, block.width, 1);
        // So many rows at once that reading the points takes little time.
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
        RowProduct::Group group;
        group.n = n_;
        group.x = q_.data();
        group.width = layout_.n_features();
        group.segments = &all_;
        group.norms = norms_.data();
        group.energies = energies_.data();
        group.classes = &classes_;
        if (block.projection != nullptr) {
            project();
            group.x = x_.data();
            group.width = projection_.width;
            group.segments = &projection_.segments;
        }
        team_.run([&](int thread) {
            const int n = panels_.size(), n_threads = team_.size();
            products_[thread].add(group, block, panels_, n * thread / n_threads,
                                  n * (thread + 1) / n_threads, delta2, zeta);
            team_.check();
        });
    }

    // Everything times the projection, each share of the work for a range of rows.
    void project() {
        x_.resize(static_cast<std::size_t>(n_) * projection_.width);
        projection_.apply(n_, q_.data(), layout_.n_features(), x_.data());
        for (RowClass &rows : classes_)
            rows.projected.resize(static_cast<std::size_t>(rows.n_rows) *
                                  rows.projection.width);
        team_.run([&](int share) {
            for (RowClass &rows : classes_) {
                const std::int64_t n = rows.n_rows;
                project_rows(rows, static_cast<int>(n * share / team_.size()),
                             static_cast<int>(n * (share + 1) / team_.size()));
            }
        });
    }

    static void project_rows(RowClass &rows, int begin, int end) {
        const std::size_t first = static_cast<std::size_t>(begin);
        rows.projection.apply(end - begin, rows.D.data() + first * rows.n_active,
                              rows.n_active,
                              rows.projected.data() + first * rows.projection.width);
    }

    const Basis &basis_;
    const Layout &layout_;
    ThreadTeam &team_;
    const PairList &pairs_;
    const RowArrays &out_;
    MovedAtoms moved_;
    std::vector<int> class_of_density_;
    std::vector<RowWorker<NV>> workers_;
    std::vector<RowProduct> products_;
    Panels panels_;
    std::vector<Segment> all_;  // features
    RowProjection projection_;  // of these
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
                 double zeta, const PairList &pairs, ThreadTeam &team,
                 const RowArrays &out) {
    detail::RowBuilder<NV> builder(basis, team, pairs, out);
    for (std::size_t species = 0; species < blocks.size(); ++species) {
        std::vector<std::int64_t> centres;
        for (std::int64_t k = 0; k < pairs.n_centres; ++k)
            if (pairs.species[pairs.start + k] == static_cast<std::int32_t>(species))
                centres.push_back(k);
        if (blocks[species].n_sparse > 0 && !centres.empty())
            builder.add(centres, blocks[species], delta2, zeta);
    }
}

}  // namespace gapfit
