// Covariances of local energies with the sparse points of a 2-body term, and their prior
// variances.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "exponential.hpp"
#include "layout.hpp"
#include "switch.hpp"
#include "threads.hpp"

namespace gapfit {

// Squared-exponential kernel delta² exp(-½ (r - r')² / theta²) of pairs within r_cut.
struct PairKernel {
    double delta2 = 1.0, inverse_theta = 1.0;
    SwitchShape shape;
    const std::int32_t *block = nullptr;  // (n_species, n_species)
    std::int32_t n_species = 0;
};

// Sparse points of one pair of species, and their columns.
struct PairColumns {
    const double *points = nullptr;  // (n): distances
    std::int64_t n = 0, first = 0;
};

// One centre after the other. A local energy is ½ Σ_j s(r_j) g(r_j): its covariance with
// g(r_s) is ½ Σ_j s_j k(r_j, r_s), its prior variance ¼ Σ_jk s_j s_k k(r_j, r_k), in which
// only pairs of the same species count.
class PairCovariances {
  public:
    PairCovariances(const PairKernel &kernel, const std::vector<PairColumns> &columns,
                    const PairList &pairs)
        : kernel_(kernel), columns_(columns), pairs_(pairs), near_(columns.size()),
          points_(columns.size()) {
        for (std::size_t b = 0; b < columns.size(); ++b)
            for (std::int64_t k = 0; k < columns[b].n; ++k)
                points_[b].add(columns[b].points[k] * kernel.inverse_theta, 1.0);
        for (Distances &points : points_) points.pad();
    }

    // row: covariances (n_columns) of the centre. Returns its prior variance.
    double evaluate(std::int64_t centre, double *row) {
        gather(centre);
        double prior = 0.0;
        for (std::size_t b = 0; b < near_.size(); ++b) {
            const Distances &near = near_[b];
            if (near.size == 0) continue;
            const double half = 0.5 * kernel_.delta2;
            for (std::int64_t k = 0; k < columns_[b].n; ++k)
                row[columns_[b].first + k] = half * near.sum(points_[b].scaled[k]);
            double self = 0.0;
            for (int k = 0; k < near.size; ++k)
                self += near.weight[k] * near.sum(near.scaled[k]);
            prior += 0.5 * half * self;
        }
        return prior;
    }

  private:
    // Distances in units of theta with their weights, padded to whole vectors.
    struct Distances {
        Buffer scaled, weight;
        int size = 0;

        void clear() {
            scaled.clear();
            weight.clear();
            size = 0;
        }
        void add(double x, double w) {
            scaled.push_back(x);
            weight.push_back(w);
            ++size;
        }
        void pad() {
            scaled.resize(static_cast<std::size_t>(padded(size)), 0.0);
            weight.resize(static_cast<std::size_t>(padded(size)), 0.0);
        }
        // Σ_j w_j exp(-½ (x_j - x)²).
        double sum(double x) const {
            Vec total{};
            for (int k = 0; k < size; k += lanes) {
                const Vec d = load(scaled.data() + k) - x;
                total += load(weight.data() + k) * exp_negative(-0.5 * d * d);
            }
            return gapfit::sum(total);
        }
    };

    void gather(std::int64_t centre) {
        for (Distances &near : near_) near.clear();
        const std::int32_t own = pairs_.species[pairs_.start + centre];
        const std::int32_t *block = kernel_.block + own * kernel_.n_species;
        for (std::int64_t p = pairs_.first[centre]; p < pairs_.first[centre + 1]; ++p) {
            const double *R = pairs_.R + 3 * p;
            const double r = std::sqrt(R[0] * R[0] + R[1] * R[1] + R[2] * R[2]);
            if (r >= kernel_.shape.r_cut) continue;
            near_[block[pairs_.species[pairs_.j[p]]]].add(r * kernel_.inverse_theta,
                                                          Switch(r, kernel_.shape).value);
        }
        for (Distances &near : near_) near.pad();
    }

    const PairKernel &kernel_;
    const std::vector<PairColumns> &columns_;
    const PairList &pairs_;
    std::vector<Distances> near_, points_;
};

// covariances (n_centres, n_columns), zero before, and priors (n_centres).
inline void pair_covariances(const PairKernel &kernel,
                             const std::vector<PairColumns> &columns,
                             std::int64_t n_columns, const PairList &pairs,
                             ThreadTeam &team, double *covariances, double *priors) {
    constexpr std::int64_t together = 32;
    team.run([&](int share) {
        PairCovariances work(kernel, columns, pairs);
        for (std::int64_t first = share * together; first < pairs.n_centres;
             first += team.size() * together) {
            const std::int64_t end = std::min(first + together, pairs.n_centres);
            for (std::int64_t c = first; c < end; ++c)
                priors[c] = work.evaluate(c, covariances + c * n_columns);
            team.check();
        }
    });
}

}  // namespace gapfit
