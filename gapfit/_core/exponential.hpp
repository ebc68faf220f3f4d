// The exponential of vectors of doubles.
#pragma once

#include "simd.hpp"

namespace gapfit {

// exp(x) for x <= 0 to within 2e-16 of its value; below -700 it stays at exp(-700).
inline Vec exp_negative(Vec x) {
    constexpr double log2e = 1.4426950408889634, lowest = -700.0;
    constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770e-10;
    // Adding this leaves the nearest whole number in the last bits.
    constexpr double shift = 6755399441055744.0;
    constexpr double inverse_factorial[13] = {1.0,
                                              1.0,
                                              1.0 / 2,
                                              1.0 / 6,
                                              1.0 / 24,
                                              1.0 / 120,
                                              1.0 / 720,
                                              1.0 / 5040,
                                              1.0 / 40320,
                                              1.0 / 362880,
                                              1.0 / 3628800,
                                              1.0 / 39916800,
                                              1.0 / 479001600};
    x = at_least(x, lowest);
    const Vec shifted = x * log2e + shift;
    const Vec n = shifted - shift;
    const Vec r = (x - n * ln2_high) - n * ln2_low;
    Vec p = broadcast(inverse_factorial[12]);
    for (int k = 11; k >= 0; --k) p = p * r + inverse_factorial[k];
    return scaled(p, shifted);
}

}  // namespace gapfit
