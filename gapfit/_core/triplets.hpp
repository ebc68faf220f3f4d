// Triplets of a central atom and two of its neighbours, and sums of their potentials.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "exponential.hpp"
#include "layout.hpp"
#include "prediction.hpp"
#include "spline.hpp"
#include "switch.hpp"

namespace gapfit {

// One neighbour of a centre, with the switch s(r) that ends its triplets at the cutoff.
struct Neighbour {
    const double *R;    // from the centre
    double r, unit[3];  // distance and direction
    double s, slope;    // s(r), s'(r)
    std::int64_t j;
    std::int32_t species;
};

// Which triplets count, and the block that each belongs to.
struct TripletRange {
    SwitchShape shape;
    const std::int32_t *block = nullptr;  // (n_species)³, centre first; -1: none
    std::int32_t n_species = 0;

    void gather(const PairList &pairs, std::int64_t centre,
                std::vector<Neighbour> &near) const {
        near.clear();
        for (std::int64_t p = pairs.first[centre]; p < pairs.first[centre + 1]; ++p) {
            const double *R = pairs.R + 3 * p;
            const double r = std::sqrt(R[0] * R[0] + R[1] * R[1] + R[2] * R[2]);
            if (r >= shape.r_cut) continue;
            const double h = 1.0 / r;
            const Switch s(r, shape);
            near.push_back({R,
                            r,
                            {R[0] * h, R[1] * h, R[2] * h},
                            s.value,
                            s.slope,
                            pairs.j[p],
                            pairs.species[pairs.j[p]]});
        }
    }

    // Calls use(block, a, b) for all pairs of neighbours, given by their positions.
    template <class Use>
    void for_each(std::int32_t species, const std::vector<Neighbour> &near,
                  const Use &use) const {
        const std::int32_t *own = block + species * n_species * n_species;
        for (std::size_t a = 0; a < near.size(); ++a) {
            const std::int32_t *row = own + near[a].species * n_species;
            for (std::size_t b = a + 1; b < near.size(); ++b)
                if (row[near[b].species] >= 0) use(row[near[b].species], a, b);
        }
    }
};

// q = (r_a + r_b, (r_a - r_b)², r_ab) of one triplet, the sides (r_a, r_b, r_ab), and the
// direction from a to b.
struct Triplet {
    Triplet(const Neighbour &a, const Neighbour &b) : difference(a.r - b.r) {
        double square = 0.0;
        for (int x = 0; x < 3; ++x) {
            along[x] = b.R[x] - a.R[x];
            square += along[x] * along[x];
        }
        q[0] = a.r + b.r;
        q[1] = difference * difference;
        q[2] = std::sqrt(square);
        sides[0] = a.r;
        sides[1] = b.r;
        sides[2] = q[2];
        // Two atoms in one place: only lists that were not checked have them.
        const double h = square > 0.0 ? 1.0 / q[2] : 0.0;
        for (int x = 0; x < 3; ++x) along[x] *= h;
    }

    // Slopes along the sides of a function of q.
    Slopes by_sides(const Slopes &g) const {
        const double odd = 2.0 * difference * g.slope[1];
        return {g.value, {g.slope[0] + odd, g.slope[0] - odd, g.slope[2]}};
    }

    double q[3], sides[3], difference, along[3];
};

// Kernel k = delta² e(u) of u² = Σ ((q - q') / theta)²: e = exp(-½ u²), or the piecewise
// polynomial (1 - u)⁴ (4 u + 1) for u < 1 (Rasmussen & Williams, Gaussian Processes for
// Machine Learning (2006), eq. 4.21). If it is permuted, the sides x take the place of q,
// and k = delta² Σ_P e(P x, x') / (n(x) n(x'))^½ over their permutations with n(x) =
// Σ_P e(P x, x).
struct TripletKernel {
    double delta2 = 1.0, inverse_theta[3] = {1, 1, 1};
    bool permuted = false, polynomial = false;

    // e and -e'(u) / u.
    void evaluate(Vec square, Vec &value, Vec &pull) const {
        if (!polynomial) {
            value = pull = exp_negative(-0.5 * square);
            return;
        }
        double u2[lanes], u[lanes];
        std::memcpy(u2, &square, sizeof u2);
        for (int k = 0; k < lanes; ++k) u[k] = std::sqrt(u2[k]);
        const Vec distance = load(u), left = at_least(1.0 - distance, 0.0);
        const Vec cube = left * left * left;
        value = cube * left * (4.0 * distance + 1.0);
        pull = 20.0 * cube;
    }

    void evaluate(double square, double &value, double &pull) const {
        if (!polynomial) {
            value = pull = std::exp(-0.5 * square);
            return;
        }
        const double u = std::sqrt(square), left = std::max(1.0 - u, 0.0);
        pull = 20.0 * left * left * left;
        value = left * left * left * left * (4.0 * u + 1.0);
    }
};

constexpr int permutations[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

// n(x) of a permuted kernel and its slopes.
inline Slopes permuted_norm(const TripletKernel &kernel, const double *x) {
    Slopes out{0.0, {0.0, 0.0, 0.0}};
    for (const auto &to : permutations) {
        double d[3], square = 0.0;
        for (int k = 0; k < 3; ++k) {
            d[k] = (x[to[k]] - x[k]) * kernel.inverse_theta[k];
            square += d[k] * d[k];
        }
        double own, change;
        kernel.evaluate(square, own, change);
        out.value += own;
        for (int k = 0; k < 3; ++k) {
            const double pull = change * d[k] * kernel.inverse_theta[k];
            out.slope[to[k]] -= pull;
            out.slope[k] += pull;
        }
    }
    return out;
}

// Points in units of theta, one row for each direction, padded with repeats of the last.
struct ScaledPoints {
    ScaledPoints() = default;
    ScaledPoints(const TripletKernel &kernel, const double *points, std::int64_t n) {
        size = static_cast<int>(n);
        width = padded(size);
        values.resize(static_cast<std::size_t>(3 * width));
        for (int d = 0; d < 3; ++d)
            for (int k = 0; k < width; ++k)
                values[d * width + k] =
                    points[3 * std::min(k, size - 1) + d] * kernel.inverse_theta[d];
    }

    int size = 0, width = 0;
    Buffer values;
};

// Σ_s c_s k(q, q_s), from a table or as it stands.
class TripletPotential {
  public:
    explicit TripletPotential(const SplineTable &table) : table_(table) {}

    TripletPotential(const TripletKernel &kernel, const double *points,
                     const double *coefficients, std::int64_t n)
        : kernel_(kernel), points_(kernel, points, n) {
        coefficients_.assign(static_cast<std::size_t>(points_.width), 0.0);
        for (std::int64_t k = 0; k < n; ++k) {
            coefficients_[k] = kernel.delta2 * coefficients[k];
            if (kernel.permuted)
                coefficients_[k] /= std::sqrt(permuted_norm(kernel, points + 3 * k).value);
        }
    }

    // The value and its slopes along the sides.
    Slopes evaluate(const Triplet &triplet) const {
        if (kernel_.permuted) return permuted_sum(triplet.sides);
        return triplet.by_sides(points_.size > 0 ? kernel_sum(triplet.q)
                                                 : table_.evaluate(triplet.q));
    }

  private:
    Slopes kernel_sum(const double *q) const {
        Vec value{}, slope[3] = {};
        for (int k = 0; k < points_.width; k += lanes) {
            Vec d[3], square{};
            for (int x = 0; x < 3; ++x) {
                d[x] = q[x] * kernel_.inverse_theta[x] -
                       load(points_.values.data() + x * points_.width + k);
                square += d[x] * d[x];
            }
            Vec e, pull;
            kernel_.evaluate(square, e, pull);
            const Vec c = load(coefficients_.data() + k);
            value += c * e;
            pull *= c;
            for (int x = 0; x < 3; ++x) slope[x] -= pull * d[x];
        }
        Slopes out{sum(value), {}};
        for (int x = 0; x < 3; ++x) out.slope[x] = sum(slope[x]) * kernel_.inverse_theta[x];
        return out;
    }

    Slopes permuted_sum(const double *x) const {
        Slopes sum{0.0, {0.0, 0.0, 0.0}};
        for (const auto &to : permutations) {
            const double turned[3] = {x[to[0]], x[to[1]], x[to[2]]};
            const Slopes own = kernel_sum(turned);
            sum.value += own.value;
            for (int k = 0; k < 3; ++k) sum.slope[to[k]] += own.slope[k];
        }
        const Slopes norm = permuted_norm(kernel_, x);
        const double h = 1.0 / std::sqrt(norm.value);
        Slopes out{h * sum.value, {}};
        for (int k = 0; k < 3; ++k)
            out.slope[k] =
                h * (sum.slope[k] - 0.5 * sum.value * norm.slope[k] / norm.value);
        return out;
    }

    SplineTable table_;
    TripletKernel kernel_;
    ScaledPoints points_;
    Buffer coefficients_;
};

// Energies, forces and virials of one centre after the other.
class TripletSum {
  public:
    TripletSum(const TripletRange &range, const std::vector<TripletPotential> &potentials,
               const PairList &pairs)
        : range_(range), potentials_(potentials), pairs_(pairs) {}

    void operator()(std::int64_t centre, PredictionArrays &out) {
        const std::int64_t i = pairs_.start + centre;
        range_.gather(pairs_, centre, near_);
        gradients_.assign(3 * near_.size(), 0.0);
        double energy = 0.0;
        range_.for_each(pairs_.species[i], near_,
                        [&](std::int32_t block, std::size_t a, std::size_t b) {
                            energy += add(potentials_[block], a, b);
                        });
        out.energies[centre] = energy;
        if (out.forces == nullptr) return;
        for (std::size_t n = 0; n < near_.size(); ++n)
            out.add_pair(pairs_, i, near_[n].j, near_[n].R, gradients_.data() + 3 * n);
    }

  private:
    // Returns the energy of a triplet; adds its gradients with both vectors.
    double add(const TripletPotential &potential, std::size_t first, std::size_t second) {
        const Neighbour &a = near_[first], &b = near_[second];
        const Triplet triplet(a, b);
        const Slopes g = potential.evaluate(triplet);
        const double s = a.s * b.s;
        const double along_a = a.slope * b.s * g.value + s * g.slope[0];
        const double along_b = a.s * b.slope * g.value + s * g.slope[1];
        const double opposite = s * g.slope[2];
        for (int x = 0; x < 3; ++x) {
            const double across = opposite * triplet.along[x];
            gradients_[3 * first + x] += along_a * a.unit[x] - across;
            gradients_[3 * second + x] += along_b * b.unit[x] + across;
        }
        return s * g.value;
    }

    const TripletRange &range_;
    const std::vector<TripletPotential> &potentials_;
    const PairList &pairs_;
    std::vector<Neighbour> near_;
    Buffer gradients_;
};

// All triplets of a list, as centres and blocks (n) and values q (n, 3).
struct TripletList {
    std::vector<std::int64_t> centre, block;
    std::vector<double> q;

    TripletList(const TripletRange &range, const PairList &pairs) {
        std::vector<Neighbour> near;
        for (std::int64_t c = 0; c < pairs.n_centres; ++c) {
            range.gather(pairs, c, near);
            range.for_each(pairs.species[pairs.start + c], near,
                           [&](std::int32_t own, std::size_t a, std::size_t b) {
                               const Triplet triplet(near[a], near[b]);
                               centre.push_back(pairs.start + c);
                               block.push_back(own);
                               q.insert(q.end(), triplet.q, triplet.q + 3);
                           });
        }
    }
};

}  // namespace gapfit
