// Neighbour lists in time and memory linear in atoms, for any mixture of periodic and
// open directions.
//
// Atoms are wrapped into a reduced cell, all images that its atoms can reach are made
// explicit and sorted into bins, so that neighbours of an atom lie in a few contiguous
// runs. Bins repeat once there are more than a few for each image: empty space is free.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "lattice.hpp"
#include "simd.hpp"

namespace gapfit {

// Array that grows without being zeroed, and that can be given away.
template <class T>
class Column {
  public:
    T *data() const { return data_.get(); }
    T *release() { return data_.release(); }

    void resize(std::int64_t size) {
        const std::size_t room = static_cast<std::size_t>(std::max<std::int64_t>(size, 1));
        T *moved = static_cast<T *>(std::realloc(data_.get(), room * sizeof(T)));
        if (moved == nullptr) throw std::bad_alloc();
        static_cast<void>(data_.release());
        data_.reset(moved);
    }

  private:
    struct Free {
        void operator()(T *p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> data_;
};

struct NeighbourList {
    std::int64_t n_pairs = 0;
    Column<std::int64_t> first;  // (n_atoms + 1): where pairs of each atom begin
    Column<std::int64_t> i, j;   // (n_pairs), sorted by i
    Column<double> R;            // (n_pairs, 3): r_j + S·cell - r_i
    Column<double> cells;        // (n_pairs, 3): S of periodic directions, if asked for
    std::int64_t closest_i = -1, closest_j = -1;
    double closest = std::numeric_limits<double>::infinity();  // its square until the end

    void resize(std::int64_t size) {
        i.resize(size);
        j.resize(size);
        R.resize(3 * size);
    }

    // Writes the n-th pair, to be replaced by the next unless it is kept; returns the next
    // n.
    std::int64_t put(std::int64_t n, std::int64_t centre, std::int64_t near,
                     const Vector3 &vector, double limit, bool another = true) {
        const double d2 = dot(vector, vector);
        i.data()[n] = centre;
        j.data()[n] = near;
        std::copy(vector.begin(), vector.end(), R.data() + 3 * n);
        const bool keep = (d2 < limit) & another;
        if (keep && d2 < closest) {
            closest = d2;
            closest_i = centre;
            closest_j = near;
        }
        return n + keep;
    }

    void finish(std::int64_t n_centres, std::int64_t n) {
        first.data()[n_centres] = n_pairs = n;
        resize(n);
        closest = std::sqrt(closest);
    }
};

// R of a pair. The reverse pair has exactly -R: each step only changes sign.
inline Vector3 pair_vector(const Vector3 &centre, const Vector3 &near, const Vector3 &cells,
                           const Matrix3 &given) {
    return plus(plus(near, -1.0, centre), 1.0, combine(cells, given));
}

inline Vector3 vector_at(const double *values, std::int64_t k) {
    return {values[3 * k], values[3 * k + 1], values[3 * k + 2]};
}

// Bins along three directions. Rows of bins along the first are contiguous.
class Bins {
  public:
    Bins() = default;
    // Bins of the given range of fractions; fractions closer than `reach` interact.
    Bins(const Vector3 &begin, const Vector3 &end, const Vector3 &reach,
         std::int64_t n_images)
        : begin_(begin) {
        const std::int64_t most = 4 * n_images + 256;
        // Fine bins along a row cut runs of neighbours to length.
        for (const double parts : {4.0, 2.0, 1.0}) {
            divide(0, end, reach[0] / parts);
            divide(1, end, reach[1]);
            divide(2, end, reach[2]);
            if (total() <= static_cast<double>(most)) return;
        }
        while (total() > static_cast<double>(most)) repeat_sooner();
    }

    std::int64_t bin(std::size_t c, double fraction) const {
        const double position = (fraction - begin_[c]) * per_fraction_[c];
        return static_cast<std::int64_t>(
            std::max(0.0, std::min(position, static_cast<double>(count_[c] - 1))));
    }

    std::int64_t place(std::int64_t x, std::int64_t y, std::int64_t z) const {
        return (fold(2, z) * size_[1] + fold(1, y)) * size_[0] + fold(0, x);
    }

    std::int64_t n_places() const { return size_[0] * size_[1] * size_[2]; }
    std::int64_t row_length() const { return size_[0]; }

  private:
    void divide(std::size_t c, const Vector3 &end, double width) {
        const double range = end[c] - begin_[c];
        width = std::max(width, range / (1 << 20));
        count_[c] = static_cast<std::int64_t>(range / width) + 1;
        size_[c] = count_[c];
        per_fraction_[c] = 1.0 / width;
    }

    double total() const {
        return static_cast<double>(size_[0]) * static_cast<double>(size_[1]) *
               static_cast<double>(size_[2]);
    }

    void repeat_sooner() {
        std::size_t longest = 0;
        for (std::size_t c = 1; c < 3; ++c)
            if (size_[c] * least[longest] > size_[longest] * least[c]) longest = c;
        size_[longest] = std::max((size_[longest] + 1) / 2, least[longest]);
    }

    std::int64_t fold(std::size_t c, std::int64_t bin) const {
        return bin < size_[c] ? bin : bin % size_[c];
    }

    // More than an atom reaches, so that no place is visited twice; their product is
    // less than the most places there may be.
    static constexpr std::int64_t least[3] = {12, 4, 4};

    Vector3 begin_{}, per_fraction_{};
    std::int64_t count_[3] = {}, size_[3] = {};  // size: bins before places repeat
};

// Finds all pairs with |R| < cutoff.
class NeighbourSearch {
  public:
    NeighbourSearch(const double *positions, std::int64_t n_atoms, const double *cell,
                    const bool *pbc, double cutoff)
        : positions_(positions), n_atoms_(n_atoms), cutoff_(cutoff),
          slack_(1e-12 * (1.0 + largest(positions, n_atoms, cell, pbc, cutoff))),
          lattice_(cell, pbc, slack_) {
        wrap();
        for (std::size_t c = 0; c < 3; ++c) {
            reach_[c] = (cutoff + slack_) / lattice_.height[c];
            if (c >= lattice_.n_periodic) continue;
            begin_[c] -= reach_[c];
            end_[c] += reach_[c];
        }
        sort(images());
    }

    const Lattice &lattice() const { return lattice_; }
    double slack() const { return slack_; }

    NeighbourList list(bool with_cells = false) {
        NeighbourList found;
        with_cells_ = with_cells;
        found.first.resize(n_atoms_ + 1);
        std::int64_t room = 0;
        for (std::int64_t i = 0; i < n_atoms_; ++i) {
            found.first.data()[i] = found.n_pairs;
            const std::int64_t n_near = search(i);
            arrange(n_near);
            if (found.n_pairs + n_near > room) {
                room = std::max(2 * room, found.n_pairs + n_near + 32 * n_atoms_);
                resize(found, room);
            }
            add_pairs(i, n_near, found);
        }
        found.finish(n_atoms_, found.n_pairs);
        return found;
    }

  private:
    struct Atom {
        Vector3 fraction{};  // wrapped
        Vector3 shift{};     // cells that wrapping added, in reduced vectors
        std::int64_t home = 0;
    };
    struct Image {
        std::int32_t atom, place;
        std::array<std::int32_t, 3> cell;
    };
    // What the vector to an image is made of, without the rounding of wrapped positions.
    struct alignas(64) Source {
        Vector3 r;
        Vector3 shift;  // in the given cell vectors
        std::int64_t atom;
    };

    // Largest length there is; rounding of wrapped positions is in proportion to it.
    static double largest(const double *positions, std::int64_t n_atoms, const double *cell,
                          const bool *pbc, double cutoff) {
        constexpr double most = 1e12;
        double largest = cutoff;
        bool sound = cutoff >= 0.0 && cutoff <= most;
        const auto include = [&](double x) {
            sound &= std::abs(x) <= most;  // false for NaN
            largest = std::max(largest, std::abs(x));
        };
        for (std::int64_t k = 0; k < 3 * n_atoms; ++k) include(positions[k]);
        for (std::size_t k = 0; k < 9; ++k)
            if (pbc[k / 3]) include(cell[k]);
        if (!sound)
            throw std::invalid_argument(
                "positions, cell and cutoff must be finite and below 1e12 Å, and the "
                "cutoff not negative");
        return largest;
    }

    Vector3 position(std::int64_t atom) const { return vector_at(positions_, atom); }

    void wrap() {
        atoms_.resize(static_cast<std::size_t>(n_atoms_));
        begin_.fill(n_atoms_ > 0 ? std::numeric_limits<double>::infinity() : 0.0);
        end_.fill(n_atoms_ > 0 ? -std::numeric_limits<double>::infinity() : 0.0);
        for (std::int64_t i = 0; i < n_atoms_; ++i) {
            Atom &atom = atoms_[i];
            atom.fraction = lattice_.fraction(position(i));
            for (std::size_t c = 0; c < lattice_.n_periodic; ++c) {
                atom.shift[c] = -std::floor(atom.fraction[c]);
                atom.fraction[c] += atom.shift[c];
            }
            for (std::size_t c = 0; c < 3; ++c) {
                begin_[c] = std::min(begin_[c], atom.fraction[c]);
                end_[c] = std::max(end_[c], atom.fraction[c]);
            }
        }
    }

    // All images that atoms in the cell can reach, atoms themselves included.
    std::vector<Image> images() const {
        double most = static_cast<double>(n_atoms_);
        for (std::size_t c = 0; c < lattice_.n_periodic; ++c)
            most *= end_[c] - begin_[c] + 1.0;
        if (!(most < 1 << 28))
            throw std::length_error("the cutoff is too large for this cell");
        std::vector<Image> images;
        images.reserve(static_cast<std::size_t>(n_atoms_));
        for (std::int64_t i = 0; i < n_atoms_; ++i) {
            std::int32_t from[3] = {}, to[3] = {};
            for (std::size_t c = 0; c < lattice_.n_periodic; ++c) {
                const double fraction = atoms_[i].fraction[c];
                from[c] = static_cast<std::int32_t>(std::ceil(begin_[c] - fraction));
                to[c] = static_cast<std::int32_t>(std::floor(end_[c] - fraction));
            }
            for (std::int32_t x = from[0]; x <= to[0]; ++x)
                for (std::int32_t y = from[1]; y <= to[1]; ++y)
                    for (std::int32_t z = from[2]; z <= to[2]; ++z)
                        images.push_back({static_cast<std::int32_t>(i), 0, {x, y, z}});
        }
        return images;
    }

    // Counting sort by place: images of one place stay in the order of their atoms.
    void sort(std::vector<Image> images) {
        const std::int64_t n = static_cast<std::int64_t>(images.size());
        bins_ = Bins(begin_, end_, reach_, n);
        starts_.assign(static_cast<std::size_t>(bins_.n_places()) + 1, 0);
        for (Image &image : images) {
            const Vector3 &f = atoms_[image.atom].fraction;
            std::int64_t at[3];
            for (std::size_t c = 0; c < 3; ++c) at[c] = bins_.bin(c, f[c] + image.cell[c]);
            image.place = static_cast<std::int32_t>(bins_.place(at[0], at[1], at[2]));
            ++starts_[image.place + 1];
        }
        for (std::size_t k = 1; k < starts_.size(); ++k) starts_[k] += starts_[k - 1];
        for (Buffer &x : wrapped_) x.resize(static_cast<std::size_t>(n + lanes));
        sources_.resize(static_cast<std::size_t>(n));
        ranks_.resize(static_cast<std::size_t>(n));
        std::int32_t rank = 0;
        for (const Image &image : images) {
            ranks_[starts_[image.place]] = rank++;
            put(image, starts_[image.place]++);
        }
        // Each start has moved to the next.
        for (std::size_t k = starts_.size() - 1; k > 0; --k) starts_[k] = starts_[k - 1];
        starts_[0] = 0;
    }

    void put(const Image &image, std::int64_t slot) {
        Atom &atom = atoms_[image.atom];
        const Vector3 cell{static_cast<double>(image.cell[0]),
                           static_cast<double>(image.cell[1]),
                           static_cast<double>(image.cell[2])};
        const Vector3 r = position(image.atom);
        const Vector3 shift = plus(cell, 1.0, atom.shift);
        const Vector3 added = combine(shift, lattice_.vectors);
        for (std::size_t x = 0; x < 3; ++x) wrapped_[x][slot] = r[x] + added[x];
        sources_[slot] = {r, combine(shift, lattice_.multiples), image.atom};
        if (image.cell == std::array<std::int32_t, 3>{}) atom.home = slot;
    }

    // Slots of images within the cutoff of an atom, or just beyond it, go to near_.
    std::int64_t search(std::int64_t i) {
        const Vector3 &f = atoms_[i].fraction;
        std::int64_t from[3], to[3];
        for (std::size_t c = 0; c < 3; ++c) {
            from[c] = bins_.bin(c, f[c] - reach_[c]);
            to[c] = bins_.bin(c, f[c] + reach_[c]);
        }
        std::int64_t n_near = 0;
        for (std::int64_t z = from[2]; z <= to[2]; ++z)
            for (std::int64_t y = from[1]; y <= to[1]; ++y) {
                const std::int64_t begin = bins_.place(from[0], y, z);
                const std::int64_t end = bins_.place(to[0], y, z) + 1;
                if (begin < end) {
                    n_near = scan(atoms_[i].home, starts_[begin], starts_[end], n_near);
                    continue;
                }
                const std::int64_t row = bins_.place(0, y, z);
                n_near = scan(atoms_[i].home, starts_[begin],
                              starts_[row + bins_.row_length()], n_near);
                n_near = scan(atoms_[i].home, starts_[row], starts_[end], n_near);
            }
        return n_near;
    }

    std::int64_t scan(std::int64_t home, std::int64_t begin, std::int64_t end,
                      std::int64_t n_near) {
        const std::size_t room = static_cast<std::size_t>(n_near + end - begin + lanes);
        if (near_.size() < room) near_.resize(2 * room);
        const double limit = (cutoff_ + slack_) * (cutoff_ + slack_);
        const double *x = wrapped_[0].data(), *y = wrapped_[1].data(),
                     *z = wrapped_[2].data();
        const Vec cx = broadcast(x[home]), cy = broadcast(y[home]), cz = broadcast(z[home]);
        std::int32_t *near = near_.data();
        for (std::int64_t k = begin; k < end; k += lanes) {
            const Vec dx = load(x + k) - cx, dy = load(y + k) - cy, dz = load(z + k) - cz;
            double d2[lanes];
            store(d2, dx * dx + dy * dy + dz * dz);
            for (int l = 0; l < lanes; ++l) {
                near[n_near] = static_cast<std::int32_t>(k + l);
                n_near += (d2[l] < limit) & (k + l < end);
            }
        }
        return n_near;
    }

    // Puts near_ in the order of atoms and their cells. That of bins would change the
    // rounding of sums with the cutoff, and as atoms move.
    void arrange(std::int64_t n_near) {
        const std::size_t n = static_cast<std::size_t>(n_near);
        // Counting what is smaller runs in vectors, and beats sorting up to here.
        constexpr std::size_t few = 256;
        if (n > few) {
            const auto before = [this](std::int32_t a, std::int32_t b) {
                return ranks_[a] < ranks_[b];
            };
            std::sort(near_.begin(), near_.begin() + n_near, before);
            return;
        }
        std::int32_t keys[few], slots[few];
        for (std::size_t k = 0; k < n; ++k) {
            slots[k] = near_[k];
            keys[k] = ranks_[slots[k]];
        }
        for (std::size_t k = 0; k < n; ++k) {
            std::int32_t smaller = 0;
            for (std::size_t l = 0; l < n; ++l) smaller += keys[l] < keys[k];
            near_[smaller] = slots[k];
        }
    }

    void add_pairs(std::int64_t i, std::int64_t n_near, NeighbourList &found) const {
        const Source &centre = sources_[atoms_[i].home];
        const double limit = cutoff_ * cutoff_;
        std::int64_t n = found.n_pairs;
        for (std::int64_t k = 0; k < n_near; ++k) {
            const Source &near = sources_[near_[k]];
            const Vector3 cells = plus(near.shift, -1.0, centre.shift);
            const Vector3 R = pair_vector(centre.r, near.r, cells, lattice_.given);
            if (with_cells_)
                std::copy(cells.begin(), cells.end(), found.cells.data() + 3 * n);
            n = found.put(n, i, near.atom, R, limit, &near != &centre);
        }
        found.n_pairs = n;
    }

    void resize(NeighbourList &found, std::int64_t size) const {
        found.resize(size);
        if (with_cells_) found.cells.resize(3 * size);
    }

    const double *positions_;
    std::int64_t n_atoms_;
    double cutoff_, slack_;
    bool with_cells_ = false;
    Lattice lattice_;
    Vector3 begin_{}, end_{}, reach_{};  // range and reach of fractions
    std::vector<Atom> atoms_;
    Bins bins_;
    std::vector<std::int32_t> starts_;  // slots of each place begin here
    std::array<Buffer, 3> wrapped_;     // x, y and z of images
    std::vector<Source> sources_;
    std::vector<std::int32_t> ranks_;  // order of slots by atom and cell
    std::vector<std::int32_t> near_;
};

}  // namespace gapfit
