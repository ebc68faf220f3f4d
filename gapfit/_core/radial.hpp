// Radial functions from a table, and the weight of a neighbour with its distance.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "hermite.hpp"
#include "simd.hpp"

namespace gapfit {

// w(r), dscribe's weighting. poly: c (1 + 2u³ - 3u²)^m for u < 1, else 0;
// pow: c / (d + u^m); exp: c / (d + exp(-u)); none: 1; u = r / r0. QUIP's is cosine: c
// until d before r0, then c (1 + cos(π (r - r0 + d) / d)) / 2.
class Weighting {
  public:
    enum class Kind { none, poly, pow, exp, cosine };

    static Kind kind_of(const std::string &name) {
        if (name == "poly") return Kind::poly;
        if (name == "pow") return Kind::pow;
        if (name == "exp") return Kind::exp;
        if (name == "none") return Kind::none;
        if (name == "cosine") return Kind::cosine;
        throw std::invalid_argument("weighting must be poly, pow, exp, cosine or none");
    }

    Weighting(Kind kind, double r0, double c, double d, double m)
        : kind(kind), r0(r0), c(c), d(d), m(m) {}

    // w and w' at n distances r > 0.
    void evaluate(int n, const double *r, double *w, double *slope) const {
        if (kind == Kind::poly && m == 1.0)
            for (int k = 0; k < n; ++k) poly(r[k], w[k], slope[k]);
        else
            for (int k = 0; k < n; ++k) any(r[k], w[k], slope[k]);
    }

  private:
    // The default, without branches.
    void poly(double r, double &w, double &slope) const {
        const double u = r / r0 < 1.0 ? r / r0 : 1.0;
        w = c * (1.0 + u * u * (2.0 * u - 3.0));
        slope = c * 6.0 * u * (u - 1.0) / r0;
    }

    void any(double r, double &w, double &slope) const {
        const double u = r / r0;
        switch (kind) {
            case Kind::poly: {
                if (u >= 1.0) {
                    w = slope = 0.0;
                    return;
                }
                const double base = 1.0 + u * u * (2.0 * u - 3.0);
                const double power = c * std::pow(base, m - 1.0);
                w = power * base;
                slope = m * power * 6.0 * u * (u - 1.0) / r0;
                return;
            }
            case Kind::pow: {
                const double um = std::pow(u, m), bottom = d + um;
                w = c / bottom;
                slope = -c * m * um / (bottom * bottom * r);
                return;
            }
            case Kind::exp: {
                const double decay = std::exp(-u), bottom = d + decay;
                w = c / bottom;
                slope = c * decay / (r0 * bottom * bottom);
                return;
            }
            case Kind::cosine: {
                const double t = std::clamp((r - r0) / d + 1.0, 0.0, 1.0);
                w = 0.5 * c * (1.0 + std::cos(pi * t));
                slope = -0.5 * c * std::sin(pi * t) * pi / d;
                return;
            }
            case Kind::none: break;
        }
        w = 1.0;
        slope = 0.0;
    }

    static constexpr double pi = 3.14159265358979323846;
    Kind kind;
    double r0, c, d, m;
};

// f_nl(r) by quintic Hermite interpolation between equidistant knots from 0 to the
// cutoff: f, h f' and h² f'' at each knot, n fastest and padded to whole vectors.
class RadialTable {
  public:
    // values: (n_knots, 3, n_l, n_max), f and its first two derivatives.
    RadialTable(const double *values, int n_knots, int n_l, int n_max, double spacing)
        : n_knots_(n_knots), n_l_(n_l), stride_(padded(n_max)), inverse_(1.0 / spacing),
          data_(static_cast<std::size_t>(n_knots) * static_cast<std::size_t>(n_l * 3) *
                    static_cast<std::size_t>(stride_),
                0.0) {
        std::size_t from = 0;
        for (int k = 0; k < n_knots; ++k) {
            double scale = 1.0;
            for (int order = 0; order < 3; ++order, scale *= spacing)
                for (int l = 0; l < n_l; ++l)
                    for (int n = 0; n < n_max; ++n)
                        data_[at(k, l) + static_cast<std::size_t>(order * stride_ + n)] =
                            scale * values[from++];
        }
    }

    // w f_nl(r), out[l][n].
    template <int NV>
    void values(double r, double w, double *out) const {
        double weight[6];
        const double *below = locate(r, weight, nullptr);
        for (double &part : weight) part *= w;
        for (int l = 0; l < n_l_; ++l, below += 3 * NV * lanes)
            for (int v = 0; v < NV; ++v)
                store(out + (l * NV + v) * lanes, combine<NV>(below, v, weight));
    }

    // What the gradient of w f_nl(r) Y_lm(R/r) needs, for w and w' at r:
    // across = w f / r, along = (w f)' - l w f / r.
    template <int NV>
    void gradients(double r, double w, double slope, double *across, double *along) const {
        double weight[6], change[6];
        const double *below = locate(r, weight, change);
        const double over = w / r;
        for (int l = 0; l < n_l_; ++l, below += 3 * NV * lanes) {
            const double factor = slope - l * over;
            for (int v = 0; v < NV; ++v) {
                const Vec f = combine<NV>(below, v, weight);
                const int to = (l * NV + v) * lanes;
                store(across + to, over * f);
                store(along + to, w * combine<NV>(below, v, change) + factor * f);
            }
        }
    }

  private:
    std::size_t at(int knot, int l) const {
        return static_cast<std::size_t>(knot * n_l_ + l) * 3 *
               static_cast<std::size_t>(stride_);
    }

    template <int NV>
    Vec combine(const double *below, int v, const double *weight) const {
        const double *above = below + n_l_ * 3 * NV * lanes;
        Vec sum{};
        for (int order = 0; order < 3; ++order) {
            const int from = (order * NV + v) * lanes;
            sum += weight[order] * load(below + from);
            sum += weight[3 + order] * load(above + from);
        }
        return sum;
    }

    // Weights of f, h f', h² f'' at the knots below and above r (and their slopes).
    const double *locate(double r, double *weight, double *change) const {
        const double x = r * inverse_;
        const int knot = x < n_knots_ - 1 ? static_cast<int>(x) : n_knots_ - 2;
        hermite_weights(x - knot, weight);
        if (change != nullptr) hermite_slopes(x - knot, inverse_, change);
        return data_.data() + at(knot, 0);
    }

    int n_knots_, n_l_, stride_;
    double inverse_;
    Buffer data_;
};

}  // namespace gapfit
