// Projections of rows of features on directions, of which each range of features may have
// its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "layout.hpp"
#include "panels.hpp"

namespace gapfit::detail {

// A range of features and the range of directions that it has a share in.
struct Piece {
    int feature, size, direction, width;
};

// The parts of U (n_features, width) that are not zero. Each degree of a block of features
// is one range; those next to each other with the same directions are joined.
inline std::vector<Piece> pieces_of(const Layout &layout, const double *U, int width) {
    std::vector<Piece> pieces;
    for (const FeatureBlock &block : layout.blocks)
        for (int l = 0; l <= layout.l_max; ++l) {
            const int first = block.first + l * block.per_degree;
            int begin = width, end = 0;
            for (int f = first; f < first + block.per_degree; ++f) {
                const double *row = U + static_cast<std::size_t>(f) * width;
                int k = 0;
                while (k < begin && row[k] == 0.0) ++k;
                begin = k;
                for (k = width; k > end && row[k - 1] == 0.0;) --k;
                end = k;
            }
            if (begin >= end) continue;
            Piece *last = pieces.empty() ? nullptr : &pieces.back();
            if (last != nullptr && last->feature + last->size == first &&
                last->direction == begin && last->width == end - begin)
                last->size += block.per_degree;
            else
                pieces.push_back({first, block.per_degree, begin, end - begin});
        }
    return pieces;
}

// The projection of rows that have some of the features, on the directions of these.
struct RowProjection {
    struct Step {
        std::vector<Segment> features;  // one range
        int direction, n_directions;    // among all
        int to;                         // in the projected rows
        Panels panels;                  // of the directions
    };

    std::vector<Step> steps;
    std::vector<Segment> segments;  // in the projected rows; among all directions
    int width = 0;                  // of the projected rows

    RowProjection() = default;

    // U is (n_features, n_directions).
    RowProjection(const std::vector<Segment> &active, const std::vector<Piece> &pieces,
                  const double *U, int n_directions) {
        std::vector<char> used(static_cast<std::size_t>(n_directions), 0);
        for (const Piece &piece : pieces)
            for (const Segment &s : active) {
                const int begin = std::max(piece.feature, s.there);
                const int end = std::min(piece.feature + piece.size, s.there + s.size);
                if (begin >= end) continue;
                const std::vector<Segment> range{
                    {s.here + begin - s.there, 0, end - begin}};
                steps.push_back({range, piece.direction, piece.width, 0, {}});
                steps.back().panels.pack(
                    piece.width, end - begin,
                    U + static_cast<std::ptrdiff_t>(begin) * n_directions + piece.direction,
                    1, n_directions);
                std::fill_n(used.begin() + piece.direction, piece.width, 1);
            }
        std::vector<int> place(used.size());
        for (int k = 0; k < n_directions; ++k) {
            if (!used[k]) continue;
            if (k == 0 || !used[k - 1]) segments.push_back({width, k, 0});
            ++segments.back().size;
            place[k] = width++;
        }
        for (Step &step : steps) step.to = place[step.direction];
    }

    // out (n_rows, width) = D (n_rows, n_active) U.
    void apply(int n_rows, const double *D, int n_active, double *out) const {
        std::fill_n(out, static_cast<std::size_t>(n_rows) * width, 0.0);
        // So few rows at a time that they stay in the cache.
        constexpr int most = 64;
        for (int first = 0; first < n_rows; first += most)
            for (const Step &step : steps)
                add(step, std::min(most, n_rows - first),
                    D + static_cast<std::ptrdiff_t>(first) * n_active, n_active,
                    out + static_cast<std::ptrdiff_t>(first) * width);
    }

  private:
    void add(const Step &step, int n_rows, const double *D, int n_active,
             double *out) const {
        for (int panel = 0; panel < step.panels.size(); ++panel) {
            const int first = panel * Panels::width;
            const int n = std::min(Panels::width, step.n_directions - first);
            step.panels.multiply(
                panel, step.features, n_rows, D, n_active,
                [&](int row, const Panels::Tile &products) {
                    add_some(
                        products, n,
                        out + static_cast<std::ptrdiff_t>(row) * width + step.to + first);
                });
        }
    }

    static void add_some(const Panels::Tile &products, int n, double *to) {
        for (int v = 0; v < Panels::vectors; ++v, to += lanes, n -= lanes) {
            if (n >= lanes) {
                store(to, load(to) + products[v]);
                continue;
            }
            for (int s = 0; s < n; ++s) to[s] += products[v][s];
            return;
        }
    }
};

}  // namespace gapfit::detail
