// Rows of the kernel matrix between observations and sparse triplets, and covariances.
#pragma once

#include <array>

#include "triplets.hpp"

namespace gapfit {

// Sparse points (n_sparse, 3) of one block, and where its columns begin.
struct TripletColumns {
    const double *points;
    std::int64_t n_sparse, first;
};

// Rows that are added to; forces and virials may be null.
struct TripletRows {
    std::int64_t n_columns = 0;
    bool by_centre = false;      // energies of centres rather than of frames
    double *energies = nullptr;  // (n_frames or n_centres, n_columns)
    double *forces = nullptr;    // (3 n_atoms, n_columns)
    double *virials = nullptr;   // (6 n_frames, n_columns), Voigt order
};

namespace detail {

// Some sparse points of one block: a share of the work.
struct TripletShare {
    std::int32_t block;
    std::int64_t column;
    ScaledPoints points;
};

// Columns are computed as whole vectors, always in the same way, so that rows do not
// depend on how the columns are shared out.
class TripletRowWorker {
  public:
    TripletRowWorker(const TripletRange &range, const TripletKernel &kernel,
                     const PairList &pairs, const TripletRows &out)
        : range_(range), kernel_(kernel), pairs_(pairs), out_(out) {}

    void add(const TripletShare &share, std::int64_t centre) {
        const std::int64_t i = pairs_.start + centre;
        range_.gather(pairs_, centre, near_);
        width_ = share.points.width;
        const bool gradients = out_.forces != nullptr;
        energy_.assign(width_, 0.0);
        // By neighbour: slopes along the vector from the centre, then across it.
        if (gradients) slopes_.assign(near_.size() * 4 * width_, 0.0);
        touched_.assign(near_.size(), 0);
        bool any = false;
        range_.for_each(pairs_.species[i], near_,
                        [&](std::int32_t block, std::size_t a, std::size_t b) {
                            if (block != share.block) return;
                            touched_[a] = touched_[b] = true;
                            any = true;
                            gradients ? triplet<true>(share.points, a, b)
                                      : triplet<false>(share.points, a, b);
                        });
        if (!any) return;
        const std::int64_t row = out_.by_centre ? centre : pairs_.frame[i];
        add_to(out_.energies, row, share, energy_.data());
        if (gradients) scatter(share, i);
    }

  private:
    template <bool Gradients>
    void triplet(const ScaledPoints &points, std::size_t first, std::size_t second) {
        const Neighbour &a = near_[first], &b = near_[second];
        const Triplet own(a, b);
        const double *h = kernel_.inverse_theta;
        const double s = kernel_.delta2 * a.s * b.s, odd = 2.0 * own.difference * h[1];
        const double slope_a = kernel_.delta2 * a.slope * b.s;
        const double slope_b = kernel_.delta2 * a.s * b.slope;
        double *to_a = slopes_.data() + first * 4 * width_;
        double *to_b = slopes_.data() + second * 4 * width_;
        for (int k = 0; k < width_; k += lanes) {
            Vec d[3], square{};
            for (int x = 0; x < 3; ++x) {
                d[x] = own.q[x] * h[x] - load(points.values.data() + x * width_ + k);
                square += d[x] * d[x];
            }
            const Vec g = exp_negative(-0.5 * square), whole = s * g;
            increase(energy_.data() + k, whole);
            if constexpr (!Gradients) continue;
            const Vec sum = h[0] * d[0], difference = odd * d[1];
            increase(to_a + k, slope_a * g - whole * (sum + difference));
            increase(to_b + k, slope_b * g - whole * (sum - difference));
            const Vec across = whole * (h[2] * d[2]);
            for (int x = 0; x < 3; ++x) {
                increase(to_a + (x + 1) * width_ + k, across * own.along[x]);
                increase(to_b + (x + 1) * width_ + k, -across * own.along[x]);
            }
        }
    }

    void scatter(const TripletShare &share, std::int64_t i) {
        total_.assign(9 * width_, 0.0);  // force on i, then virial
        for (std::size_t n = 0; n < near_.size(); ++n) {
            if (!touched_[n]) continue;
            const Neighbour &near = near_[n];
            double *along = slopes_.data() + n * 4 * width_, *across = along + width_;
            for (int k = 0; k < width_; k += lanes) {
                Vec g[3];
                for (int x = 0; x < 3; ++x) {
                    g[x] = load(across + x * width_ + k) + near.unit[x] * load(along + k);
                    increase(total_.data() + x * width_ + k, g[x]);
                    store(across + x * width_ + k, -g[x]);
                }
                for (int v = 0; v < 6; ++v) {
                    const auto [x, y] = voigt[v];
                    increase(total_.data() + (3 + v) * width_ + k,
                             -0.5 * (near.R[x] * g[y] + near.R[y] * g[x]));
                }
            }
            for (int x = 0; x < 3; ++x)
                add_to(out_.forces, 3 * near.j + x, share, across + x * width_);
        }
        for (int x = 0; x < 3; ++x)
            add_to(out_.forces, 3 * i + x, share, total_.data() + x * width_);
        for (int v = 0; v < 6; ++v)
            add_to(out_.virials, 6 * pairs_.frame[i] + v, share,
                   total_.data() + (3 + v) * width_);
    }

    static void increase(double *sum, Vec by) { store(sum, load(sum) + by); }

    void add_to(double *rows, std::int64_t row, const TripletShare &share,
                const double *values) const {
        double *to = rows + row * out_.n_columns + share.column;
        for (int k = 0; k < share.points.size; ++k) to[k] += values[k];
    }

    static constexpr std::array<std::array<int, 2>, 6> voigt = {
        {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}}};

    const TripletRange &range_;
    const TripletKernel &kernel_;
    const PairList &pairs_;
    const TripletRows &out_;
    int width_ = 0;
    std::vector<Neighbour> near_;
    std::vector<char> touched_;
    Buffer energy_, slopes_, total_;
};

inline std::vector<TripletShare> share_columns(const TripletKernel &kernel,
                                               const std::vector<TripletColumns> &blocks,
                                               std::int64_t n_columns, int n_threads) {
    // Enough columns to be worth the geometry, few enough for the caches.
    constexpr std::int64_t least = 16, most = 64;
    const std::int64_t even = (n_columns + n_threads - 1) / n_threads;
    const std::int64_t size = std::clamp((even + 7) / 8 * 8, least, most);
    std::vector<TripletShare> shares;
    for (std::size_t block = 0; block < blocks.size(); ++block) {
        const TripletColumns &own = blocks[block];
        for (std::int64_t first = 0; first < own.n_sparse; first += size)
            shares.push_back({static_cast<std::int32_t>(block), own.first + first,
                              ScaledPoints(kernel, own.points + 3 * first,
                                           std::min(size, own.n_sparse - first))});
    }
    return shares;
}

}  // namespace detail

// Each thread owns some of the columns, so that the rows do not depend on their number.
inline void add_triplet_rows(const TripletRange &range, const TripletKernel &kernel,
                             const std::vector<TripletColumns> &blocks,
                             const PairList &pairs, ThreadTeam &team,
                             const TripletRows &out) {
    constexpr std::int64_t together = 32;
    const auto shares = detail::share_columns(kernel, blocks, out.n_columns, team.size());
    team.run([&](int thread) {
        detail::TripletRowWorker worker(range, kernel, pairs, out);
        for (std::size_t n = thread; n < shares.size(); n += team.size())
            for (std::int64_t centre = 0; centre < pairs.n_centres; ++centre) {
                worker.add(shares[n], centre);
                if (centre % together == 0) team.check();
            }
    });
}

// Prior variances (n_centres): Σ_tt' s_t s_t' k(q_t, q_t') over triplets of one block.
inline void triplet_priors(const TripletRange &range, const TripletKernel &kernel,
                           std::int32_t n_blocks, const PairList &pairs, ThreadTeam &team,
                           double *priors) {
    struct Group {
        std::vector<double> q, s;
    };
    const auto variance = [&](Group &group) {
        const ScaledPoints own(kernel, group.q.data(),
                               static_cast<std::int64_t>(group.s.size()));
        group.s.resize(static_cast<std::size_t>(own.width), 0.0);
        Vec total{};
        for (int t = 0; t < own.size; ++t)
            for (int k = 0; k < own.width; k += lanes) {
                Vec square{};
                for (int x = 0; x < 3; ++x) {
                    const double *values = own.values.data() + x * own.width;
                    const Vec d = values[t] - load(values + k);
                    square += d * d;
                }
                total +=
                    group.s[t] * load(group.s.data() + k) * exp_negative(-0.5 * square);
            }
        return kernel.delta2 * sum(total);
    };
    team.run([&](int share) {
        std::vector<Neighbour> near;
        std::vector<Group> groups(static_cast<std::size_t>(n_blocks));
        for (std::int64_t c = share; c < pairs.n_centres; c += team.size()) {
            for (Group &group : groups) group.q.clear(), group.s.clear();
            range.gather(pairs, c, near);
            range.for_each(pairs.species[pairs.start + c], near,
                           [&](std::int32_t block, std::size_t a, std::size_t b) {
                               const Triplet triplet(near[a], near[b]);
                               Group &own = groups[block];
                               own.q.insert(own.q.end(), triplet.q, triplet.q + 3);
                               own.s.push_back(near[a].s * near[b].s);
                           });
            priors[c] = 0.0;
            for (Group &group : groups)
                if (!group.s.empty()) priors[c] += variance(group);
            team.check();
        }
    });
}

}  // namespace gapfit
