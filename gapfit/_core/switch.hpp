// The switch that ends pairs and triplets at the cutoff.
#pragma once

#include <algorithm>

namespace gapfit {

// s = 1 - t³ (10 - 15 t + 6 t²) and ds/dr, t = (r - r_cut) / width + 1, for r < r_cut.
struct Switch {
    Switch(double r, double r_cut, double width) {
        const double t = std::max((r - r_cut) / width + 1.0, 0.0);
        value = 1.0 - t * t * t * (10.0 - 15.0 * t + 6.0 * t * t);
        slope = -30.0 * t * t * (1.0 - t) * (1.0 - t) / width;
    }
    double value, slope;
};

}  // namespace gapfit
