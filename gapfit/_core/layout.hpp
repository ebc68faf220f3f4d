// What a power spectrum is made of: density channels, and the order of its features.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "harmonics.hpp"
#include "radial.hpp"

namespace gapfit {

// Full neighbour list of consecutive centres; see gapfit.data.neighbours.Pairs.
struct PairList {
    std::int64_t start = 0, n_centres = 0, n_atoms = 0, n_frames = 0;
    const std::int64_t *first = nullptr;    // (n_centres + 1): where pairs begin
    const std::int64_t *j = nullptr;        // (n_pairs)
    const double *R = nullptr;              // (n_pairs, 3)
    const std::int32_t *species = nullptr;  // (n_atoms)
    const std::int64_t *frame = nullptr;    // (n_atoms)
};

// Features of channels a and b: for each l all (n, n'), or n <= n' if a == b; if the
// layout is trivial, of those with n = 0 or n' = 0.
struct FeatureBlock {
    int a, b, first, per_degree;
};

struct Layout {
    int n_max = 0, l_max = 0;
    std::vector<int> channel;     // density channel of each species
    std::vector<double> weight;   // weight of each species
    int n_densities = 0;          // channels that atoms add to
    bool total = false;           // one more channel: the sum of them
    bool central_in_all = false;  // the central atom adds to every channel
    bool trivial = false;         // only features with the first function of a channel
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

    // How many environments or rows are handled together: `most`, fewer where their
    // features would take more than 256 MB.
    int at_once(int most) const {
        return std::clamp((1 << 25) / std::max(n_features(), 1), 1, most);
    }
};

// blocks: pairs of channels in the order of the features; scale: a factor for each feature.
inline Layout make_layout(int n_max, int l_max, std::vector<int> channel,
                          std::vector<double> weight, bool total, bool central_in_all,
                          const std::vector<std::pair<int, int>> &blocks,
                          std::vector<double> scale, bool trivial = false) {
    const auto require = [](bool holds, const char *message) {
        if (!holds) throw std::invalid_argument(message);
    };
    require(l_max >= 0 && l_max <= 20 && n_max >= 1 && n_max <= 16,
            "l_max must lie between 0 and 20, n_max between 1 and 16");
    require(!channel.empty() && channel.size() == weight.size(),
            "channel and species_weight must have one value for each species");
    Layout layout;
    layout.n_max = n_max;
    layout.l_max = l_max;
    layout.total = total;
    layout.central_in_all = central_in_all;
    layout.trivial = trivial;
    for (const int c : channel) {
        require(c >= 0, "channels must not be negative");
        layout.n_densities = std::max(layout.n_densities, c + 1);
    }
    layout.channel = std::move(channel);
    layout.weight = std::move(weight);
    int n_features = 0;
    for (const auto &[a, b] : blocks) {
        require(a >= 0 && b >= 0 && a < layout.n_channels() && b < layout.n_channels(),
                "blocks must be pairs of channels");
        const int all = a == b ? n_max * (n_max + 1) / 2 : n_max * n_max;
        const int size = !trivial ? all : a == b ? n_max : 2 * n_max - 1;
        layout.blocks.push_back({a, b, n_features, size});
        n_features += size * (l_max + 1);
    }
    require(scale.size() == static_cast<std::size_t>(n_features),
            "scale must have one value for each feature");
    layout.factor = std::move(scale);
    return layout;
}

// From a distance on, neighbours of a species have another table of radial functions.
struct NextTable {
    int species;
    double from;
    int table;
};

// Everything that defines a descriptor.
struct Basis {
    Layout layout;
    SolidHarmonics harmonics;
    std::vector<RadialTable> radial;
    std::vector<int> table;  // of `radial`, by species of the neighbour
    Weighting weighting;
    std::vector<double> centre;        // (n_tables, n_max): a central atom's share of c_n00
    std::vector<NextTable> next = {};  // by distance

    int table_at(int species, double r) const {
        int found = table[static_cast<std::size_t>(species)];
        for (const NextTable &change : next)
            if (change.species == species && r >= change.from) found = change.table;
        return found;
    }

    const double *centre_of(int species) const {
        return centre.data() +
               static_cast<std::size_t>(table[static_cast<std::size_t>(species)]) *
                   static_cast<std::size_t>(layout.n_max);
    }
};

// tables (n_tables, n_knots, 3, n_l, n_max): radial functions; table: that of each species
// at short distances; next: those beyond, by distance.
inline Basis make_basis(Layout layout, const double *tables, int n_tables, int n_knots,
                        double spacing, std::vector<int> table, Weighting weighting,
                        std::vector<double> centre, std::vector<NextTable> next = {}) {
    const int n_l = layout.l_max + 1, n_max = layout.n_max;
    if (table.size() != layout.channel.size())
        throw std::invalid_argument("there must be a table for each species");
    for (const int k : table)
        if (k < 0 || k >= n_tables)
            throw std::invalid_argument("species must name one of the tables");
    const int n_species = static_cast<int>(table.size());
    for (std::size_t k = 0; k < next.size(); ++k)
        if (next[k].species < 0 || next[k].species >= n_species || next[k].table < 0 ||
            next[k].table >= n_tables || !(next[k].from >= (k ? next[k - 1].from : 0.0)))
            throw std::invalid_argument(
                "tables beyond a distance must have a species, and be sorted by distance");
    std::vector<RadialTable> radial;
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(n_knots) * 3 * n_l * n_max;
    for (int k = 0; k < n_tables; ++k)
        radial.emplace_back(tables + k * size, n_knots, n_l, n_max, spacing);
    return Basis{
        std::move(layout), SolidHarmonics(n_l - 1), std::move(radial), std::move(table),
        weighting,         std::move(centre),       std::move(next)};
}

}  // namespace gapfit
