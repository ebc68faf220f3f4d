// Pairs of atoms that move, without a new search while all of them stay near.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "neighbours.hpp"

namespace gapfit {

inline bool all_within(const double *R, std::int64_t n_pairs, double cutoff) {
    for (std::int64_t k = 0; k < n_pairs; ++k) {
        const Vector3 r = vector_at(R, k);
        if (!(dot(r, r) < cutoff * cutoff)) return false;
    }
    return true;
}

// The pairs of a list that are shorter than a cutoff.
inline NeighbourList pairs_within(const std::int64_t *first, std::int64_t n_centres,
                                  const std::int64_t *i, const std::int64_t *j,
                                  const double *R, double cutoff) {
    NeighbourList found;
    found.first.resize(n_centres + 1);
    found.resize(first[n_centres]);
    std::int64_t n = 0;
    for (std::int64_t c = 0; c < n_centres; ++c) {
        found.first.data()[c] = n;
        for (std::int64_t k = first[c]; k < first[c + 1]; ++k)
            n = found.put(n, i[k], j[k], vector_at(R, k), cutoff * cutoff);
    }
    found.finish(n_centres, n);
    return found;
}

// Finds the pairs within a cutoff among those that were within cutoff + skin at a search:
// all there are, as long as no atom is farther than skin / 2 from where it was. Atoms that
// jump by whole cells are followed.
class SkinList {
  public:
    SkinList(const double *positions, std::int64_t n_atoms, const double *cell,
             const bool *pbc, double cutoff, double skin)
        : SkinList(NeighbourSearch(positions, n_atoms, cell, pbc, cutoff + skin), positions,
                   n_atoms, cutoff, skin) {}

    std::int64_t n_atoms() const { return n_atoms_; }

    // Whether the pairs of these positions can be listed.
    bool reaches(const double *positions) {
        bool jumped = false;
        for (std::int64_t i = 0; i < n_atoms_; ++i) {
            const Vector3 moved = displacement(positions, i);
            if (near(moved)) continue;
            if (!near(plus(moved, -1.0, combine(jump(moved), lattice_.vectors))))
                return false;
            jumped = true;
        }
        if (jumped) follow(positions);
        return true;
    }

    // The pairs of positions that are reached.
    NeighbourList list(const double *positions) const {
        NeighbourList found;
        found.first.resize(n_atoms_ + 1);
        found.resize(wide_.n_pairs);
        const std::int64_t *first = wide_.first.data(), *j = wide_.j.data();
        const double *cells = wide_.cells.data();
        std::int64_t n = 0;
        for (std::int64_t i = 0; i < n_atoms_; ++i) {
            found.first.data()[i] = n;
            const Vector3 centre = vector_at(positions, i);
            for (std::int64_t k = first[i]; k < first[i + 1]; ++k) {
                const Vector3 R = pair_vector(centre, vector_at(positions, j[k]),
                                              vector_at(cells, k), lattice_.given);
                n = found.put(n, i, j[k], R, cutoff_ * cutoff_);
            }
        }
        found.finish(n_atoms_, n);
        return found;
    }

  private:
    SkinList(NeighbourSearch search, const double *positions, std::int64_t n_atoms,
             double cutoff, double skin)
        : n_atoms_(n_atoms), cutoff_(cutoff),
          most_(std::max(0.5 * skin - search.slack(), 0.0)), lattice_(search.lattice()),
          start_(positions, positions + 3 * n_atoms), wide_(search.list(true)) {}

    Vector3 displacement(const double *positions, std::int64_t i) const {
        return plus(vector_at(positions, i), -1.0, vector_at(start_.data(), i));
    }

    // False for NaN.
    bool near(const Vector3 &moved) const { return dot(moved, moved) <= most_ * most_; }

    // Whole cells in a displacement, in reduced vectors.
    Vector3 jump(const Vector3 &moved) const {
        const Vector3 fraction = lattice_.fraction(moved);
        Vector3 cells{};
        for (std::size_t c = 0; c < lattice_.n_periodic; ++c)
            cells[c] = std::round(fraction[c]);
        return cells;
    }

    // Counts cells from where the atoms are now.
    void follow(const double *positions) {
        std::vector<Vector3> jumps(static_cast<std::size_t>(n_atoms_));
        for (std::int64_t i = 0; i < n_atoms_; ++i) {
            const Vector3 moved = displacement(positions, i);
            if (near(moved)) continue;
            const Vector3 cells = jump(moved);
            jumps[i] = combine(cells, lattice_.multiples);
            const Vector3 start =
                plus(vector_at(start_.data(), i), 1.0, combine(cells, lattice_.vectors));
            std::copy(start.begin(), start.end(), start_.data() + 3 * i);
        }
        const std::int64_t *first = wide_.first.data(), *j = wide_.j.data();
        for (std::int64_t i = 0; i < n_atoms_; ++i)
            for (std::int64_t k = first[i]; k < first[i + 1]; ++k)
                for (std::size_t c = 0; c < 3; ++c)
                    wide_.cells.data()[3 * k + c] += jumps[i][c] - jumps[j[k]][c];
    }

    std::int64_t n_atoms_;
    double cutoff_, most_;  // most: how far an atom may be from its start
    Lattice lattice_;
    std::vector<double> start_;
    NeighbourList wide_;  // cells of periodic directions, as its vectors are made of
};

}  // namespace gapfit
