// Sums of tabulated pair potentials φ(r), one for each pair of species.
#pragma once

#include <cmath>
#include <cstdint>

#include "hermite.hpp"
#include "prediction.hpp"
#include "switch.hpp"

namespace gapfit {

// Potentials by pair of species. Quintic Hermite polynomials make forces the exact gradient
// of the energy.
struct PairTable : HermiteTable {
    const std::int32_t *potential = nullptr;  // (n_species, n_species), -1: none
    std::int32_t n_species = 0;
    double cosine = 0.0;  // width of the cosine that ends with the last knot; 0: none

    // φ and φ' at r; false beyond the table.
    bool evaluate(std::int32_t which, double r, double &phi, double &slope) const {
        if (!HermiteTable::evaluate(which, r, phi, slope)) return false;
        if (cosine > 0.0) {
            const Switch s(r, {end(), cosine, true});
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
