// Triplets of atoms, their kernel sums and their rows for Python.
#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind_pairs.hpp"
#include "bind_threads.hpp"
#include "triplet_rows.hpp"

using namespace gapfit::bindings;

namespace {

using Choice = In<std::int32_t, nb::ndim<3>>;
using Grid = In<double, nb::ndim<3>>;
using Three = std::tuple<double, double, double>;

// Which triplets count and their blocks; keeps its array alive.
class Range {
  public:
    Range(Choice block, double r_cut, double width, bool cosine) : block_(block) {
        const std::size_t n = block.shape(0);
        require(block.shape(1) == n && block.shape(2) == n,
                "block must be (n_species, n_species, n_species)");
        require(r_cut > 0.0 && width > 0.0 && width <= r_cut && std::isfinite(r_cut),
                "r_cut and width must be positive, width at most r_cut");
        range_ = {{r_cut, width, cosine}, block.data(), static_cast<std::int32_t>(n)};
        for (std::size_t k = 0; k < block.size(); ++k) {
            require(range_.block[k] < (1 << 24), "block must be less than 2^24");
            n_blocks_ = std::max(n_blocks_, range_.block[k] + 1);
        }
    }

    const gapfit::TripletRange &range(const PairList &pairs) const {
        require(pairs.n_species() <= range_.n_species,
                "block must cover all species of the pairs");
        return range_;
    }
    std::int32_t n_blocks() const { return n_blocks_; }

  private:
    Choice block_;
    gapfit::TripletRange range_;
    std::int32_t n_blocks_ = 0;
};

class Kernel {
  public:
    Kernel(double delta, Three theta, bool permuted, bool polynomial) {
        const auto [u, v, w] = theta;
        require(u > 0.0 && v > 0.0 && w > 0.0, "lengths must be positive");
        kernel = {delta * delta, {1.0 / u, 1.0 / v, 1.0 / w}, permuted, polynomial};
    }
    gapfit::TripletKernel kernel;
};

// A table of spline coefficients, or sparse points; keeps the table alive.
class Potential {
  public:
    Potential(Grid coefficients, Three start, Three spacing)
        : potential_(table(coefficients, start, spacing)), grid_(coefficients) {}

    Potential(const Kernel &kernel, Vectors points, Vector coefficients)
        : potential_(kernel.kernel, checked(points, coefficients), coefficients.data(),
                     static_cast<std::int64_t>(points.shape(0))) {}

    const gapfit::TripletPotential &potential() const { return potential_; }

  private:
    static gapfit::TripletPotential table(Grid grid, Three start, Three spacing) {
        gapfit::SplineTable out;
        const auto [u, v, w] = start;
        const auto [du, dv, dw] = spacing;
        require(du > 0.0 && dv > 0.0 && dw > 0.0, "spacings must be positive");
        require(grid.shape(0) >= 6 && grid.shape(1) >= 6 &&
                    grid.shape(2) >= 6 + gapfit::SplineTable::spare,
                "a table needs six knots in each direction, and two numbers to spare");
        out.coefficients = grid.data();
        for (std::size_t d = 0; d < 3; ++d)
            out.n[d] = static_cast<std::int64_t>(grid.shape(d));
        out.n[2] -= gapfit::SplineTable::spare;
        std::copy_n(std::initializer_list<double>{u, v, w}.begin(), 3, out.start);
        std::copy_n(std::initializer_list<double>{1 / du, 1 / dv, 1 / dw}.begin(), 3,
                    out.inverse_spacing);
        return gapfit::TripletPotential(out);
    }

    static const double *checked(const Vectors &points, const Vector &coefficients) {
        require(points.shape(0) == coefficients.shape(0) && points.shape(0) > 0,
                "there must be one coefficient for each point, and at least one");
        return points.data();
    }

    gapfit::TripletPotential potential_;
    std::optional<Grid> grid_;
};

nb::tuple triplet_energies(const PairList &pairs, const Range &range,
                           const std::vector<Potential> &potentials, bool gradients,
                           bool atom_virials, int n_threads) {
    const gapfit::TripletRange &own = range.range(pairs);
    require(potentials.size() >= static_cast<std::size_t>(range.n_blocks()),
            "there must be one potential for each block");
    std::vector<gapfit::TripletPotential> functions;
    for (const Potential &potential : potentials)
        functions.push_back(potential.potential());
    const PredictionResult result(pairs.list(), gradients, atom_virials);
    gapfit::PredictionArrays out = result.arrays();
    run(n_threads, [&](gapfit::ThreadTeam &team) {
        gapfit::for_each_centre(pairs.list(), team, out, [&] {
            return gapfit::TripletSum(own, functions, pairs.list());
        });
    });
    return result.tuple();
}

template <class T>
nb::ndarray<nb::numpy, T> owned(std::vector<T> &&values, std::size_t width) {
    auto *kept = new std::vector<T>(std::move(values));
    const nb::capsule owner(
        kept, [](void *p) noexcept { delete static_cast<std::vector<T> *>(p); });
    const std::size_t shape[2] = {kept->size() / width, width};
    return nb::ndarray<nb::numpy, T>(kept->data(), width > 1 ? 2 : 1, shape, owner);
}

nb::tuple triplet_list(const PairList &pairs, const Range &range) {
    gapfit::TripletList found(range.range(pairs), pairs.list());
    return nb::make_tuple(owned(std::move(found.centre), 1),
                          owned(std::move(found.block), 1), owned(std::move(found.q), 3));
}

double *rows(const Out &array, std::size_t n_rows, std::int64_t n_columns) {
    require(
        array.shape(0) == n_rows && array.shape(1) == static_cast<std::size_t>(n_columns),
        "rows must be (observations, sparse points)");
    return array.data();
}

void add_triplet_rows(const PairList &pairs, const Range &range, const Kernel &kernel,
                      const std::vector<Vectors> &points, bool by_centre, Out energies,
                      std::optional<Out> forces, std::optional<Out> virials,
                      int n_threads) {
    const gapfit::TripletRange &own = range.range(pairs);
    require(points.size() == static_cast<std::size_t>(range.n_blocks()),
            "there must be points for each block");
    const gapfit::PairList &list = pairs.list();
    gapfit::TripletRows out;
    std::vector<gapfit::TripletColumns> blocks;
    for (const Vectors &block : points) {
        const std::int64_t n = static_cast<std::int64_t>(block.shape(0));
        blocks.push_back({block.data(), n, out.n_columns});
        out.n_columns += n;
    }
    const std::size_t n_frames = static_cast<std::size_t>(list.n_frames);
    out.by_centre = by_centre;
    out.energies =
        rows(energies, by_centre ? static_cast<std::size_t>(list.n_centres) : n_frames,
             out.n_columns);
    require(forces.has_value() == virials.has_value(),
            "give forces and virials, or neither");
    if (forces) {
        out.forces =
            rows(*forces, 3 * static_cast<std::size_t>(list.n_atoms), out.n_columns);
        out.virials = rows(*virials, 6 * n_frames, out.n_columns);
    }
    run(n_threads, [&](gapfit::ThreadTeam &team) {
        gapfit::add_triplet_rows(own, kernel.kernel, blocks, list, team, out);
    });
}

Array triplet_priors(const PairList &pairs, const Range &range, const Kernel &kernel,
                     int n_threads) {
    const gapfit::TripletRange &own = range.range(pairs);
    const NewArray priors{static_cast<std::size_t>(pairs.list().n_centres)};
    run(n_threads, [&](gapfit::ThreadTeam &team) {
        gapfit::triplet_priors(own, kernel.kernel, range.n_blocks(), pairs.list(), team,
                               priors.data);
    });
    return priors.array();
}

}  // namespace

void bind_triplets(nb::module_ &m) {
    nb::class_<Range>(m, "TripletRange")
        .def(nb::init<Choice, double, double, bool>(), "block"_a, "r_cut"_a, "width"_a,
             "cosine"_a);
    nb::class_<Kernel>(m, "TripletKernel")
        .def(nb::init<double, Three, bool, bool>(), "delta"_a, "theta"_a, "permuted"_a,
             "polynomial"_a);
    nb::class_<Potential>(m, "TripletPotential")
        .def(nb::init<Grid, Three, Three>(), "table"_a, "start"_a, "spacing"_a)
        .def(nb::init<const Kernel &, Vectors, Vector>(), "kernel"_a, "points"_a,
             "coefficients"_a);
    m.def("triplet_energies", &triplet_energies, "pairs"_a, "range"_a, "potentials"_a,
          "gradients"_a, "atom_virials"_a, "n_threads"_a);
    m.def("triplet_list", &triplet_list, "pairs"_a, "range"_a);
    m.def("add_triplet_rows", &add_triplet_rows, "pairs"_a, "range"_a, "kernel"_a,
          "points"_a, "by_centre"_a, "energies"_a.noconvert(),
          "forces"_a.noconvert().none(), "virials"_a.noconvert().none(), "n_threads"_a);
    m.def("triplet_priors", &triplet_priors, "pairs"_a, "range"_a, "kernel"_a,
          "n_threads"_a);
}
