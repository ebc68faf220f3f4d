// What a power spectrum is made of: density channels, and the order of its features.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "harmonics.hpp"
#include "radial.hpp"

namespace gapfit {

// Full neighbour list of consecutive centres; see gapfit.neighbours.Pairs.
struct PairList {
    std::int64_t start = 0, n_centres = 0, n_atoms = 0, n_frames = 0;
    const std::int64_t *first = nullptr;    // (n_centres + 1): where pairs begin
    const std::int64_t *j = nullptr;        // (n_pairs)
    const double *R = nullptr;              // (n_pairs, 3)
    const std::int32_t *species = nullptr;  // (n_atoms)
    const std::int64_t *frame = nullptr;    // (n_atoms)
};

// Features of channels a and b: for each l all (n, n'), or n <= n' if a == b.
struct FeatureBlock {
    int a, b, first, per_degree;
};

struct Layout {
    int n_max = 0, l_max = 0;
    std::vector<int> channel;    // density channel of each species
    std::vector<double> weight;  // weight of each species
    int n_densities = 0;         // channels that atoms add to
    bool total = false;          // one more channel: the sum of them
    std::vector<FeatureBlock> blocks;
    std::vector<double> factor;  // (n_features): multiplies Σ_m c c'

    int n_lm() const { return (l_max + 1) * (l_max + 1); }
    int n_channels() const { return n_densities + (total ? 1 : 0); }
    int n_features() const { return static_cast<int>(factor.size()); }

    // Whether features of a block change with the density of a channel.
    bool depends(int block_channel, int density) const {
        return block_channel == density || block_channel == n_densities;
    }
    bool active(const FeatureBlock &block, int density) const {
        return depends(block.a, density) || depends(block.b, density);
    }
    int size(const FeatureBlock &block) const { return block.per_degree * (l_max + 1); }
};

// Everything that defines a descriptor.
struct Basis {
    Layout layout;
    SolidHarmonics harmonics;
    RadialTable radial;
    Weighting weighting;
    std::vector<double> centre;  // (n_max): the central atom's share of c_n00
};

}  // namespace gapfit
