// Vectors in three dimensions, and short vectors that span a lattice.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace gapfit {

using Vector3 = std::array<double, 3>;
using Matrix3 = std::array<Vector3, 3>;  // rows

inline double dot(const Vector3 &a, const Vector3 &b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

inline Vector3 cross(const Vector3 &a, const Vector3 &b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0]};
}

inline Vector3 plus(const Vector3 &a, double factor, const Vector3 &b) {
    return {a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]};
}

inline Vector3 combine(const Vector3 &factors, const Matrix3 &rows) {
    return plus(plus(plus({}, factors[0], rows[0]), factors[1], rows[1]), factors[2],
                rows[2]);
}

// Periodic directions first: short vectors that span the same lattice as those given. Then
// unit vectors across them for the open directions.
class Lattice {
  public:
    // Vectors that enclose less than `least` count as linearly dependent.
    Lattice(const double *cell, const bool *pbc, double least) {
        for (std::size_t c = 0; c < 3; ++c)
            if (pbc[c]) {
                given[n_periodic] = {cell[3 * c], cell[3 * c + 1], cell[3 * c + 2]};
                multiples[n_periodic][n_periodic] = 1.0;
                ++n_periodic;
            }
        vectors = given;
        for (int round = 0; round < 1000 && shorten(); ++round) {
        }
        complete();
        invert(least);
    }

    Vector3 fraction(const Vector3 &r) const {
        return {dot(inverse[0], r), dot(inverse[1], r), dot(inverse[2], r)};
    }

    std::size_t n_periodic = 0;
    Matrix3 given{};      // the periodic rows of the cell
    Matrix3 vectors{};    // reduced
    Matrix3 multiples{};  // vectors = multiples · given
    Matrix3 inverse{};    // fraction = inverse · r
    Vector3 height{};     // distance of opposite faces

  private:
    // One round of Semaev's reduction; whether a vector became shorter.
    bool shorten() {
        bool shorter = false;
        for (std::size_t c = 0; c < n_periodic; ++c)
            for (std::size_t step = 1; step < n_periodic; ++step) {
                const std::size_t a = (c + step) % n_periodic;
                const double norm = dot(vectors[a], vectors[a]);
                if (!(norm > 0.0)) continue;
                const double along = std::round(dot(vectors[c], vectors[a]) / norm);
                shorter |= replace(c, a, -along, a, 0.0);
            }
        if (n_periodic == 3)
            for (std::size_t c = 0; c < 3; ++c)
                for (const double s : {-1.0, 1.0})
                    for (const double t : {-1.0, 1.0})
                        shorter |= replace(c, (c + 1) % 3, s, (c + 2) % 3, t);
        return shorter;
    }

    bool replace(std::size_t c, std::size_t a, double s, std::size_t b, double t) {
        const Vector3 trial = plus(plus(vectors[c], s, vectors[a]), t, vectors[b]);
        // Equally short vectors must not replace each other for ever.
        if (!(dot(trial, trial) < (1.0 - 1e-9) * dot(vectors[c], vectors[c]))) return false;
        vectors[c] = trial;
        multiples[c] = plus(plus(multiples[c], s, multiples[a]), t, multiples[b]);
        return true;
    }

    void complete() {
        if (n_periodic == 0) vectors = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
        if (n_periodic == 1) {
            const Vector3 &v = vectors[0];
            std::size_t flattest = 0;
            for (std::size_t x = 1; x < 3; ++x)
                if (std::abs(v[x]) < std::abs(v[flattest])) flattest = x;
            Vector3 axis{};
            axis[flattest] = 1.0;
            vectors[1] = unit(cross(v, axis));
        }
        if (n_periodic == 1 || n_periodic == 2)
            vectors[2] = unit(cross(vectors[0], vectors[1]));
    }

    static Vector3 unit(const Vector3 &v) {
        return plus({}, 1.0 / std::max(std::sqrt(dot(v, v)), 1e-300), v);
    }

    void invert(double least) {
        const double volume = dot(vectors[0], cross(vectors[1], vectors[2]));
        for (std::size_t c = 0; c < 3; ++c) {
            const Vector3 across = cross(vectors[(c + 1) % 3], vectors[(c + 2) % 3]);
            height[c] = std::abs(volume) / std::sqrt(dot(across, across));
            if (!(height[c] > least))
                throw std::invalid_argument(
                    "the periodic cell vectors are linearly dependent");
            inverse[c] = plus({}, 1.0 / volume, across);
        }
    }
};

}  // namespace gapfit
