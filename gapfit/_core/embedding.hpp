// Energies of atoms by the density of their neighbours, as of the embedded-atom method:
// E_i = F(ρ_i), ρ_i = Σ_j w φ(r_ij), with w by the species of the centre and the neighbour.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "hermite.hpp"
#include "pair_potential.hpp"
#include "prediction.hpp"

namespace gapfit {

struct EmbeddingTable {
    PairTable density;                    // φ; its potential 0
    const double *weights = nullptr;      // (n_species, n_species): centre, neighbour
    HermiteTable energy;                  // F
    const std::int32_t *curve = nullptr;  // (n_species): F of a centre, -1: none
};

// The density at one centre after the other, with the slopes w φ' of its pairs.
class DensitySum {
  public:
    DensitySum(const EmbeddingTable &table, const PairList &pairs)
        : table_(table), pairs_(pairs) {}

    struct Near {
        std::int64_t pair;
        double slope;  // dρ/dr over r
    };

    double evaluate(std::int64_t centre) {
        const std::int32_t own = pairs_.species[pairs_.start + centre];
        const double *weights = table_.weights + own * table_.density.n_species;
        double density = 0.0;
        near_.clear();
        for (std::int64_t p = pairs_.first[centre]; p < pairs_.first[centre + 1]; ++p) {
            const double *R = pairs_.R + 3 * p;
            const double r = std::sqrt(R[0] * R[0] + R[1] * R[1] + R[2] * R[2]);
            double phi = 0.0, slope = 0.0;
            if (!table_.density.evaluate(0, r, phi, slope)) continue;
            const double weight = weights[pairs_.species[pairs_.j[p]]];
            density += weight * phi;
            near_.push_back({p, weight * slope / r});
        }
        return density;
    }

    const std::vector<Near> &near() const { return near_; }

  private:
    const EmbeddingTable &table_;
    const PairList &pairs_;
    std::vector<Near> near_;
};

inline void add_embedding_energies(const EmbeddingTable &table, const PairList &pairs,
                                   ThreadTeam &team, PredictionArrays &out) {
    const auto make = [&] {
        return [&, sum = DensitySum(table, pairs)](std::int64_t centre,
                                                   PredictionArrays &own) mutable {
            const std::int64_t i = pairs.start + centre;
            double energy = 0.0, slope = 0.0;
            const double density = sum.evaluate(centre);
            if (!table.energy.evaluate(table.curve[pairs.species[i]], density, energy,
                                       slope))
                return;
            own.energies[centre] += energy;
            if (own.forces == nullptr) return;
            for (const DensitySum::Near &near : sum.near()) {
                const double *R = pairs.R + 3 * near.pair;
                const double f = slope * near.slope;
                const double g[3] = {f * R[0], f * R[1], f * R[2]};
                own.add_pair(pairs, i, pairs.j[near.pair], R, g);
            }
        };
    };
    for_each_centre(pairs, team, out, make);
}

}  // namespace gapfit
