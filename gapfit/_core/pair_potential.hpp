// Sums of tabulated pair potentials φ(r), one for each pair of species.
#pragma once

#include <cmath>
#include <cstdint>

#include "hermite.hpp"
#include "prediction.hpp"
#include "switch.hpp"

namespace gapfit {

// Values φ, φ' and φ'' at equidistant knots from `start`, for each potential; beyond the
// last knot potentials are zero. Interpolated by quintic Hermite polynomials, so that
// forces are the exact gradient of the energy.
struct PairTable {
    const double *values = nullptr;  // (n_potentials, n_knots, 3)
    std::int64_t n_knots = 0;
    double start = 0.0, spacing = 1.0;
    const std::int32_t *potential = nullptr;  // (n_species, n_species), -1: none
    std::int32_t n_species = 0;
    double cosine = 0.0;  // width of the cosine that ends with the last knot; 0: none

    // φ and φ' at r; false beyond the table.
    bool evaluate(std::int32_t which, double r, double &phi, double &slope) const {
        const double x = (r - start) / spacing;
        if (which < 0 || !(x < static_cast<double>(n_knots - 1))) return false;
        const std::int64_t knot = x > 0.0 ? static_cast<std::int64_t>(x) : 0;
        const double *below = values + 3 * (which * n_knots + knot);
        double weight[6], change[6];
        hermite_weights(x - static_cast<double>(knot), weight);
        hermite_slopes(x - static_cast<double>(knot), 1.0 / spacing, change);
        phi = slope = 0.0;
        const double scale[3] = {1.0, spacing, spacing * spacing};
        for (int k = 0; k < 6; ++k) {
            phi += weight[k] * scale[k % 3] * below[k];
            slope += change[k] * scale[k % 3] * below[k];
        }
        if (cosine > 0.0) {
            const double end = start + spacing * static_cast<double>(n_knots - 1);
            const Switch s(r, {end, cosine, true});
            slope = s.slope * phi + s.value * slope;
            phi *= s.value;
        }
        return true;
    }
};

// Adds half of each pair's energy to each of its atoms: every pair comes twice in a full
// list.
inline void add_pair_energies(const PairTable &table, const PairList &pairs,
                              ThreadTeam &team, PredictionArrays &out) {
    const auto add = [&](std::int64_t centre, PredictionArrays &own) {
        const std::int64_t i = pairs.start + centre;
        const std::int32_t *row = table.potential + pairs.species[i] * table.n_species;
        for (std::int64_t p = pairs.first[centre]; p < pairs.first[centre + 1]; ++p) {
            const std::int64_t j = pairs.j[p];
            const double *R = pairs.R + 3 * p;
            const double r = std::sqrt(R[0] * R[0] + R[1] * R[1] + R[2] * R[2]);
            double phi = 0.0, slope = 0.0;
            if (!table.evaluate(row[pairs.species[j]], r, phi, slope)) continue;
            own.energies[centre] += 0.5 * phi;
            if (own.forces == nullptr) continue;
            const double f = 0.5 * slope / r, g[3] = {f * R[0], f * R[1], f * R[2]};
            own.add_pair(pairs, i, j, R, g);
        }
    };
    for_each_centre(pairs, team, out, [&] { return add; });
}

}  // namespace gapfit
