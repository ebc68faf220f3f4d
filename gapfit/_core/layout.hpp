// What a power spectrum is made of: density channels, and the order of its features.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
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

// Which functions (n, n') of two channels give features; of one channel those with n <= n'.
enum class Products { all, first, equal };  // first: n = 0 or n' = 0; equal: n = n'

inline Products products_of(const std::string &name) {
    if (name == "all") return Products::all;
    if (name == "first") return Products::first;
    if (name == "equal") return Products::equal;
    throw std::invalid_argument("products must be all, first or equal");
}

// Features of channels a and b, n_a and n_b functions, for each l.
struct FeatureBlock {
    int a, b, n_a, n_b, first, per_degree;
};

// How the functions of one density enter a mixed channel: m_n += Σ_k W_kn c_k.
struct Mixture {
    enum class Kind { none, same, any };  // same: W is the identity
    Kind kind = Kind::none;
    Buffer W, transposed;  // (n_max, padded), of any
};

// A channel whose functions combine those of all densities.
struct MixedChannel {
    int n;                         // functions
    std::vector<Mixture> mixture;  // by density
};

struct Layout {
    int n_max = 0, l_max = 0;
    std::vector<int> channel;         // density channel of each species
    std::vector<double> weight;       // weight of each species
    int n_densities = 0;              // channels that atoms add to
    std::vector<MixedChannel> mixed;  // more channels, after those
    bool central_in_all = false;      // the central atom adds to every density
    Products products = Products::all;
    std::vector<FeatureBlock> blocks;
    std::vector<double> factor;  // (n_features): multiplies Σ_m c c'

    int n_lm() const { return (l_max + 1) * (l_max + 1); }
    int n_channels() const { return n_densities + static_cast<int>(mixed.size()); }
    int n_features() const { return static_cast<int>(factor.size()); }

    // Whether features of a block change with the density of a channel.
    bool depends(int block_channel, int density) const {
        if (block_channel < n_densities) return block_channel == density;
        const auto &mixture = mixed[static_cast<std::size_t>(block_channel - n_densities)];
        return mixture.mixture[static_cast<std::size_t>(density)].kind !=
               Mixture::Kind::none;
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

namespace detail {

// weights (n_max, n_max): how the k-th function of a density enters the n-th.
inline Mixture make_mixture(const double *weights, int n_max) {
    const auto at = [=](int k, int n) { return weights[k * n_max + n]; };
    bool none = true, same = true;
    for (int k = 0; k < n_max; ++k)
        for (int n = 0; n < n_max; ++n) {
            none = none && at(k, n) == 0.0;
            same = same && at(k, n) == (k == n ? 1.0 : 0.0);
        }
    Mixture out;
    if (none) return out;
    out.kind = same ? Mixture::Kind::same : Mixture::Kind::any;
    if (same) return out;
    const int stride = padded(n_max);
    out.W.assign(static_cast<std::size_t>(n_max * stride), 0.0);
    out.transposed = out.W;
    for (int k = 0; k < n_max; ++k)
        for (int n = 0; n < n_max; ++n) {
            out.W[static_cast<std::size_t>(k * stride + n)] = at(k, n);
            out.transposed[static_cast<std::size_t>(n * stride + k)] = at(k, n);
        }
    return out;
}

inline int products_per_degree(Products products, bool same, int n_a, int n_b) {
    if (products == Products::equal) return std::min(n_a, n_b);
    if (products == Products::first) return same ? n_a : n_a + n_b - 1;
    return same ? n_a * (n_a + 1) / 2 : n_a * n_b;
}

}  // namespace detail

// What a layout is made of.
struct LayoutParts {
    int n_max, l_max;
    std::vector<int> channel;    // density channel of each species
    std::vector<double> weight;  // of each species
    bool central_in_all = false;
    std::vector<std::pair<int, int>> blocks =
        {};                          // of channels, in the order of the features
    std::vector<double> scale = {};  // of each feature
    Products products = Products::all;
    std::vector<int> mixed = {};     // number of functions of each mixed channel
    const double *mixing = nullptr;  // (n_mixed, n_densities, n_max, n_max)
};

inline Layout make_layout(LayoutParts parts) {
    const auto require = [](bool holds, const char *message) {
        if (!holds) throw std::invalid_argument(message);
    };
    const int n_max = parts.n_max, l_max = parts.l_max;
    require(l_max >= 0 && l_max <= 20 && n_max >= 1 && n_max <= 16,
            "l_max must lie between 0 and 20, n_max between 1 and 16");
    require(!parts.channel.empty() && parts.channel.size() == parts.weight.size(),
            "channel and species_weight must have one value for each species");
    Layout layout;
    layout.n_max = n_max;
    layout.l_max = l_max;
    layout.central_in_all = parts.central_in_all;
    layout.products = parts.products;
    for (const int c : parts.channel) {
        require(c >= 0, "channels must not be negative");
        layout.n_densities = std::max(layout.n_densities, c + 1);
    }
    layout.channel = std::move(parts.channel);
    layout.weight = std::move(parts.weight);
    const double *mixing = parts.mixing;
    for (const int n : parts.mixed) {
        require(n >= 1 && n <= n_max, "mixed channels must have 1 to n_max functions");
        layout.mixed.push_back({n, {}});
        for (int density = 0; density < layout.n_densities; ++density) {
            layout.mixed.back().mixture.push_back(detail::make_mixture(mixing, n_max));
            mixing += n_max * n_max;
        }
    }
    const auto n_of = [&](int c) {
        return c < layout.n_densities
                   ? n_max
                   : layout.mixed[static_cast<std::size_t>(c - layout.n_densities)].n;
    };
    int n_features = 0;
    for (const auto &[a, b] : parts.blocks) {
        require(a >= 0 && b >= 0 && a < layout.n_channels() && b < layout.n_channels(),
                "blocks must be pairs of channels");
        const int size =
            detail::products_per_degree(layout.products, a == b, n_of(a), n_of(b));
        layout.blocks.push_back({a, b, n_of(a), n_of(b), n_features, size});
        n_features += size * (l_max + 1);
    }
    require(parts.scale.size() == static_cast<std::size_t>(n_features),
            "scale must have one value for each feature");
    layout.factor = std::move(parts.scale);
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
