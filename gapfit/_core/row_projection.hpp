// Projections of rows of features on directions, of which each range of features may have
// its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "blas.hpp"
#include "layout.hpp"

namespace gapfit::detail {

struct Segment {
    int here, there, size;  // in the rows of a class; among all features
};

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
        int here;  // in the rows
        Piece piece;
        int to;  // in the projected rows
    };

    std::vector<Step> steps;
    std::vector<Segment> segments;  // in the projected rows; among all directions
    int width = 0;                  // of the projected rows

    RowProjection() = default;

    RowProjection(const std::vector<Segment> &active, const std::vector<Piece> &pieces,
                  int n_directions) {
        std::vector<char> used(static_cast<std::size_t>(n_directions), 0);
        for (const Piece &piece : pieces)
            for (const Segment &s : active) {
                const int begin = std::max(piece.feature, s.there);
                const int end = std::min(piece.feature + piece.size, s.there + s.size);
                if (begin >= end) continue;
                steps.push_back({s.here + begin - s.there,
                                 {begin, end - begin, piece.direction, piece.width},
                                 0});
                std::fill_n(used.begin() + piece.direction, piece.width, 1);
            }
        std::vector<int> place(used.size());
        for (int k = 0; k < n_directions; ++k) {
            if (!used[k]) continue;
            if (k == 0 || !used[k - 1]) segments.push_back({width, k, 0});
            ++segments.back().size;
            place[k] = width++;
        }
        for (Step &step : steps) step.to = place[step.piece.direction];
    }

    // out (n_rows, width) = D (n_rows, n_active) U of n_directions columns.
    void apply(const Blas &blas, int n_rows, const double *D, int n_active, const double *U,
               int n_directions, double *out) const {
        std::fill_n(out, static_cast<std::size_t>(n_rows) * width, 0.0);
        for (const Step &step : steps)
            blas.multiply(n_rows, step.piece.width, step.piece.size, D + step.here,
                          n_active,
                          U + static_cast<std::size_t>(step.piece.feature) * n_directions +
                              step.piece.direction,
                          n_directions, 1.0, out + step.to, width);
    }
};

}  // namespace gapfit::detail
