// Quintic Hermite interpolation between two knots.
#pragma once

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

}  // namespace gapfit
