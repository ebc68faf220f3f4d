// Functions of three variables as tensor products of quintic B-splines.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simd.hpp"

namespace gapfit {

// A function of three variables and its slopes.
struct Slopes {
    double value, slope[3];
};

// Coefficients on equidistant knots: from the knot at or below x, splines -2..3 count.
// The function has four continuous derivatives, of which these are the exact first.
struct SplineTable {
    // Rows are loaded as whole vectors: so many numbers beyond the sixth must be there.
    static constexpr int row = padded(6), spare = 2;

    const double *coefficients = nullptr;  // (n[0], n[1], n[2] + spare)
    std::int64_t n[3] = {6, 6, 6};         // at least 6
    double start[3] = {0, 0, 0};           // where spline 2 is centred
    double inverse_spacing[3] = {1, 1, 1};

    Slopes evaluate(const double *q) const {
        alignas(64) double weight[3][row], change[3][row];
        const double *corner = coefficients;
        const std::int64_t length = n[2] + spare, stride[3] = {n[1] * length, length, 1};
        for (int d = 0; d < 3; ++d) {
            const double x = (q[d] - start[d]) * inverse_spacing[d];
            const std::int64_t knot =
                std::clamp<std::int64_t>(static_cast<std::int64_t>(x), 0, n[d] - 6);
            weights(x - static_cast<double>(knot), weight[d], change[d]);
            corner += knot * stride[d];
        }
        constexpr int NV = row / lanes;
        Vec sums[NV] = {}, along_u[NV] = {}, along_v[NV] = {};
        for (int a = 0; a < 6; ++a) {
            Vec part[NV] = {}, slope[NV] = {};
            for (int b = 0; b < 6; ++b) {
                const double *from = corner + a * stride[0] + b * stride[1];
                for (int v = 0; v < NV; ++v) {
                    const Vec c = load(from + v * lanes);
                    part[v] += weight[1][b] * c;
                    slope[v] += change[1][b] * c;
                }
            }
            for (int v = 0; v < NV; ++v) {
                sums[v] += weight[0][a] * part[v];
                along_u[v] += change[0][a] * part[v];
                along_v[v] += weight[0][a] * slope[v];
            }
        }
        Vec value{}, u{}, v{}, w{};
        for (int k = 0; k < NV; ++k) {
            const Vec own = load(weight[2] + k * lanes);
            value += own * sums[k];
            u += own * along_u[k];
            v += own * along_v[k];
            w += load(change[2] + k * lanes) * sums[k];
        }
        return {sum(value),
                {sum(u) * inverse_spacing[0], sum(v) * inverse_spacing[1],
                 sum(w) * inverse_spacing[2]}};
    }

    // Values and slopes, per spacing, of the six splines at t from 0 to 1 after a knot;
    // what is beyond the sixth is zero.
    static void weights(double t, double *value, double *slope) {
        constexpr double f = 1.0 / 120;
        alignas(64) static constexpr double power[6][8] = {
            {1 * f, 26 * f, 66 * f, 26 * f, 1 * f, 0, 0, 0},
            {-5 * f, -50 * f, 0, 50 * f, 5 * f, 0, 0, 0},
            {10 * f, 20 * f, -60 * f, 20 * f, 10 * f, 0, 0, 0},
            {-10 * f, 20 * f, 0, -20 * f, 10 * f, 0, 0, 0},
            {5 * f, -20 * f, 30 * f, -20 * f, 5 * f, 0, 0, 0},
            {-1 * f, 5 * f, -10 * f, 10 * f, -5 * f, 1 * f, 0, 0}};
        for (int v = 0; v < row; v += lanes) {
            Vec sum = load(power[5] + v), change = 5.0 * sum;
            for (int k = 4; k >= 0; --k) {
                const Vec c = load(power[k] + v);
                sum = sum * t + c;
                if (k > 0) change = change * t + static_cast<double>(k) * c;
            }
            store(value + v, sum);
            store(slope + v, change);
        }
    }
};

}  // namespace gapfit
