// Derivatives of power spectra for what is observed around one centre: the images of one
// atom moved together, the centre itself, the six strains.
//
// When an atom of one species moves, only features with that species change: rows fall
// into classes by active features.
#pragma once

#include <algorithm>
#include <vector>

#include "density_gradients.hpp"
#include "predict.hpp"
#include "row_projection.hpp"

namespace gapfit::detail {

// Rows with the same active features.
struct RowClass {
    std::vector<Segment> segments;
    int n_active = 0;
    RowProjection projection;  // where sparse points are projected
    int n_rows = 0;
    Buffer D, along, projected;    // (n_rows, n_active), D·q, (n_rows, projection.width)
    std::vector<int> environment;  // of each row, within the group
    std::vector<double *> target;  // of each row, at column 0

    void clear() {
        n_rows = 0;
        environment.clear();
        target.clear();
    }

    void allocate() {
        D.resize(static_cast<std::size_t>(n_rows) * n_active);
        along.resize(n_rows);
    }
};

inline std::vector<Segment> active_segments(const Layout &layout, int density) {
    std::vector<Segment> segments;
    int here = 0;
    for (const FeatureBlock &block : layout.blocks) {
        if (!layout.active(block, density)) continue;
        const int size = layout.size(block);
        if (!segments.empty() &&
            segments.back().there + segments.back().size == block.first)
            segments.back().size += size;
        else
            segments.push_back({here, block.first, size});
        here += size;
    }
    return segments;
}

// One environment of a group.
struct Environment {
    std::int64_t centre = 0;
    Neighbourhood near;
    std::vector<Moved> moved;
    int dense_row = 0;  // three rows of the centre, then those of the virial
    double norm = 1.0;
};

template <int NV>
class RowWorker {
  public:
    static constexpr int stride = NV * lanes;

    RowWorker(const Basis &basis, bool virials)
        : basis_(basis), layout_(basis.layout), expansion_(basis), gradients_(basis),
          size_(layout_.n_lm() * stride), n_dense_(virials ? 9 : 3),
          c_(expansion_.coefficients()), p_(expansion_.features()), dc_(3 * n()),
          sums_(n_dense_ * n()) {}

    // q and the norm of an environment; rows of D and D·q if there are classes.
    void form(Environment &e, double *q, std::vector<RowClass> &classes,
              const std::vector<int> &class_of_density) {
        expansion_.density(e.near, c_.data());
        expansion_.power_spectrum(c_.data(), p_.data());
        const int F = layout_.n_features();
        e.norm = normalise(p_.data(), F);
        std::copy(p_.begin(), p_.begin() + F, q);
        if (classes.empty()) return;
        gradients_.of(e.near);
        RowClass &dense = classes[0];
        std::fill_n(&dense.D[static_cast<std::size_t>(e.dense_row) * F],
                    n_dense_ * static_cast<std::size_t>(F), 0.0);
        for (int density = 0; density < layout_.n_densities; ++density) {
            if (e.near.begin(density) == e.near.end(density)) continue;
            std::fill(sums_.begin(), sums_.end(), 0.0);
            for (const Moved &moved : e.moved)
                if (moved.density == density)
                    form_moved(e, moved, classes[class_of_density[density]]);
            add_dense(dense, e.dense_row, density,
                      classes[class_of_density[density]].segments);
        }
        for (int row = 0; row < n_dense_; ++row) finish(dense, e.dense_row + row, q);
        for (const Moved &moved : e.moved)
            for (int x = 0; moved.row >= 0 && x < 3; ++x)
                finish(classes[class_of_density[moved.density]], moved.row + x, q);
    }

  private:
    std::size_t n() const { return static_cast<std::size_t>(size_); }

    // Rows of one atom; adds to the sums for the centre and the virial.
    void form_moved(const Environment &e, const Moved &moved, RowClass &rows) {
        std::fill(dc_.begin(), dc_.end(), 0.0);
        double *strain = n_dense_ > 3 ? sums_.data() + 3 * size_ : nullptr;
        for (int k : moved.neighbours)
            gradients_.add(e.near, k, moved.row < 0 ? nullptr : dc_.data(), strain);
        if (moved.row < 0) return;  // images of the centre itself: forces cancel
        for (int x = 0; x < 3; ++x) {
            const double *dc = dc_.data() + x * size_;
            double *centre = sums_.data() + x * size_;
            for (int k = 0; k < size_; k += lanes)
                store(centre + k, load(centre + k) - load(dc + k));
            expansion_.change(c_.data(), dc, moved.density, p_.data());
            std::copy(p_.begin(), p_.begin() + rows.n_active,
                      &rows.D[static_cast<std::size_t>(moved.row + x) * rows.n_active]);
        }
    }

    void add_dense(RowClass &dense, int first, int density,
                   const std::vector<Segment> &segments) {
        for (int row = 0; row < n_dense_; ++row) {
            expansion_.change(c_.data(), sums_.data() + row * size_, density, p_.data());
            double *D = &dense.D[static_cast<std::size_t>(first + row) * dense.n_active];
            for (const Segment &s : segments)
                for (int f = 0; f < s.size; ++f) D[s.there + f] += p_[s.here + f];
        }
    }

    void finish(RowClass &rows, int row, const double *q) const {
        const double *D = &rows.D[static_cast<std::size_t>(row) * rows.n_active];
        double along = 0.0;
        for (const Segment &s : rows.segments)
            along += dot(D + s.here, q + s.there, s.size);
        rows.along[row] = along;
    }

    const Basis &basis_;
    const Layout &layout_;
    Expansion<NV> expansion_;
    DensityGradients<NV> gradients_;
    int size_, n_dense_;
    Buffer c_, p_, dc_, sums_;
};

}  // namespace gapfit::detail
