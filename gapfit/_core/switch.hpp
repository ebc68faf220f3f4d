// The switch that ends pairs and triplets at the cutoff.
#pragma once

#include <algorithm>
#include <cmath>

namespace gapfit {

// Where a switch ends, how far before it begins, and whether it is QUIP's.
struct SwitchShape {
    double r_cut = 0.0, width = 1.0;
    bool cosine = false;
};

// s and ds/dr for r < r_cut with t = (r - r_cut) / width + 1:
// s = 1 - t³ (10 - 15 t + 6 t²), or (1 + cos(π t)) / 2 as in QUIP.
struct Switch {
    Switch(double r, const SwitchShape &shape) {
        const double t = std::max((r - shape.r_cut) / shape.width + 1.0, 0.0);
        if (shape.cosine) {
            constexpr double pi = 3.14159265358979323846;
            value = 0.5 * (1.0 + std::cos(pi * t));
            slope = -0.5 * pi * std::sin(pi * t) / shape.width;
            return;
        }
        value = 1.0 - t * t * t * (10.0 - 15.0 * t + 6.0 * t * t);
        slope = -30.0 * t * t * (1.0 - t) * (1.0 - t) / shape.width;
    }
    double value, slope;
};

}  // namespace gapfit
