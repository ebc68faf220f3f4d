// Products of rows with many points, used tile by tile while they are in registers: they
// need not be stored, and each depends on its row and its point alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "simd.hpp"

namespace gapfit::detail {

// A range of the features of a row.
struct Segment {
    int here, there, size;  // in the row; among all features
};

// Points in panels: a few points, of which all values of one feature are next to each
// other.
class Panels {
  public:
    static constexpr int vectors = 3;              // of a panel
    static constexpr int width = vectors * lanes;  // points of a panel
    using Tile = Vec[vectors];

    // Points are values[s * stride + f * step]; the last panel is filled up with zeros.
    void pack(int n_points, int n_features, const double *values, std::ptrdiff_t stride,
              std::ptrdiff_t step) {
        n_features_ = n_features;
        n_panels_ = (n_points + width - 1) / width;
        values_.resize(static_cast<std::size_t>(n_panels_) * n_features * width);
        for (int panel = 0; panel < n_panels_; ++panel) {
            const int first = panel * width, n = std::min(width, n_points - first);
            double *to = values_.data() + begin(panel);
            if (n < width) std::fill_n(to, n_features * width, 0.0);
            const double *from = values + first * stride;
            // Along the values as they lie in memory.
            if (step < stride) {
                for (int s = 0; s < n; ++s)
                    for (int f = 0; f < n_features; ++f)
                        to[f * width + s] = from[s * stride + f * step];
            } else {
                for (int f = 0; f < n_features; ++f)
                    for (int s = 0; s < n; ++s)
                        to[f * width + s] = from[s * stride + f * step];
            }
        }
    }

    int size() const { return n_panels_; }

    // Calls use(row, products) for the products of all rows A (n_rows, stride), which have
    // the features of `segments`, with the points of a panel.
    template <class Use>
    void multiply(int panel, const std::vector<Segment> &segments, int n_rows,
                  const double *A, std::ptrdiff_t stride, const Use &use) const {
        const double *points = values_.data() + begin(panel);
        int row = 0;
        for (; row + rows_at_once <= n_rows; row += rows_at_once)
            multiply_rows<rows_at_once>(points, segments, row, A, stride, use);
        for (; row + 2 <= n_rows; row += 2)
            multiply_rows<2>(points, segments, row, A, stride, use);
        for (; row < n_rows; ++row) multiply_rows<1>(points, segments, row, A, stride, use);
    }

  private:
    // As many as there are registers for their sums.
#if defined(__AVX512F__) || defined(__aarch64__)
    static constexpr int rows_at_once = 8;
#else
    static constexpr int rows_at_once = 4;
#endif

    std::size_t begin(int panel) const {
        return static_cast<std::size_t>(panel) * n_features_ * width;
    }

    template <int R, class Use>
    static void multiply_rows(const double *points, const std::vector<Segment> &segments,
                              int row, const double *A, std::ptrdiff_t stride,
                              const Use &use) {
        Tile sums[R]{};
        for (const Segment &segment : segments) {
            const double *a = A + row * stride + segment.here;
            const double *b = points + segment.there * width;
            for (int f = 0; f < segment.size; ++f, b += width) {
                Tile values;
                for (int v = 0; v < vectors; ++v) values[v] = load(b + v * lanes);
                for (int r = 0; r < R; ++r)
                    for (int v = 0; v < vectors; ++v)
                        sums[r][v] += a[r * stride + f] * values[v];
            }
        }
        for (int r = 0; r < R; ++r) use(row + r, sums[r]);
    }

    Buffer values_;
    int n_panels_ = 0, n_features_ = 0;
};

}  // namespace gapfit::detail
