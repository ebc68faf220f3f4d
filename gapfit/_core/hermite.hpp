// Quintic Hermite interpolation between two knots.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gapfit {

// Weights of f, h f', h² f'' at the knot below (0..2) and above (3..5), t from 0 to 1.
inline void hermite_weights(double t, double *weight) {
    const double s = 1.0 - t, t2 = t * t, s2 = s * s;
    weight[0] = s2 * s * (1.0 + 3.0 * t + 6.0 * t2);
    weight[1] = s2 * s * t * (1.0 + 3.0 * t);
    weight[2] = 0.5 * s2 * s * t2;
    weight[3] = t2 * t * (1.0 + 3.0 * s + 6.0 * s2);
    weight[4] = -t2 * t * s * (1.0 + 3.0 * s);
    weight[5] = 0.5 * t2 * t * s2;
}

// Their derivatives with the coordinate, which grows by one spacing as t goes to 1.
inline void hermite_slopes(double t, double inverse_spacing, double *slope) {
    const double s = 1.0 - t, t2 = t * t, s2 = s * s, h = inverse_spacing;
    slope[0] = -30.0 * s2 * t2 * h;
    slope[1] = s2 * (1.0 - 3.0 * t) * (1.0 + 5.0 * t) * h;
    slope[2] = 0.5 * s2 * t * (2.0 - 5.0 * t) * h;
    slope[3] = 30.0 * s2 * t2 * h;
    slope[4] = t2 * (1.0 - 3.0 * s) * (1.0 + 5.0 * s) * h;
    slope[5] = -0.5 * t2 * s * (2.0 - 5.0 * s) * h;
}

// Functions with values f, f' and f'' at knots; zero beyond the last one.
struct HermiteTable {
    const double *values = nullptr;  // (n_functions, n_knots, 3)
    std::int64_t n_knots = 0;
    double start = 0.0, spacing = 1.0;  // of equidistant knots
    const double *knots = nullptr;      // (n_functions, n_knots), ascending: any others

    double end() const {
        return knots != nullptr ? knots[n_knots - 1]
                                : start + spacing * static_cast<double>(n_knots - 1);
    }

    // f and f' at x; false for no function (-1), and beyond the table.
    bool evaluate(std::int32_t which, double x, double &value, double &slope) const {
        if (which < 0) return false;
        double t, h = spacing;
        std::int64_t knot = 0;
        if (knots != nullptr) {
            const double *own = knots + which * n_knots, *last = own + n_knots - 1;
            if (!(x < *last)) return false;
            // The last knot may be repeated.
            knot = std::max<std::int64_t>(std::upper_bound(own, last, x) - own - 1, 0);
            h = own[knot + 1] - own[knot];
            t = (x - own[knot]) / h;
        } else {
            const double place = (x - start) / spacing;
            if (!(place < static_cast<double>(n_knots - 1))) return false;
            knot = place > 0.0 ? static_cast<std::int64_t>(place) : 0;
            t = place - static_cast<double>(knot);
        }
        const double *below = values + 3 * (which * n_knots + knot);
        double weight[6], change[6];
        hermite_weights(t, weight);
        hermite_slopes(t, 1.0 / h, change);
        value = slope = 0.0;
        const double scale[3] = {1.0, h, h * h};
        for (int k = 0; k < 6; ++k) {
            value += weight[k] * scale[k % 3] * below[k];
            slope += change[k] * scale[k % 3] * below[k];
        }
        return true;
    }
};

}  // namespace gapfit
