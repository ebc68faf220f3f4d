// Python binding of the neighbour list.
#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include <nanobind/stl/optional.h>

#include "bindings.hpp"
#include "neighbours.hpp"
#include "skin_list.hpp"

using namespace gapfit::bindings;

namespace {

// A NumPy array of what a column holds, without a copy.
template <class T>
nb::ndarray<nb::numpy, T> give(gapfit::Column<T> &column,
                               std::initializer_list<std::size_t> shape) {
    T *data = column.data();
    const nb::capsule owner(data, [](void *p) noexcept { std::free(p); });
    static_cast<void>(column.release());
    return nb::ndarray<nb::numpy, T>(data, shape, owner);
}

nb::tuple arrays(gapfit::NeighbourList &found, std::size_t n_centres) {
    const std::size_t n_pairs = static_cast<std::size_t>(found.n_pairs);
    return nb::make_tuple(give(found.first, {n_centres + 1}), give(found.i, {n_pairs}),
                          give(found.j, {n_pairs}), give(found.R, {n_pairs, 3}),
                          found.closest_i, found.closest_j, found.closest);
}

// All of these are too short to be worth releasing the GIL.

nb::tuple neighbour_list(Vectors positions, In<double, nb::shape<3, 3>> cell,
                         In<bool, nb::shape<3>> pbc, double cutoff) {
    const std::size_t n_atoms = positions.shape(0);
    gapfit::NeighbourList found =
        gapfit::NeighbourSearch(positions.data(), static_cast<std::int64_t>(n_atoms),
                                cell.data(), pbc.data(), cutoff)
            .list();
    return arrays(found, n_atoms);
}

std::optional<nb::tuple> pairs_within(Integers first, Integers i, Integers j, Vectors R,
                                      double cutoff) {
    const std::int64_t n_pairs = static_cast<std::int64_t>(R.shape(0));
    require(first.shape(0) > 0 && i.shape(0) == R.shape(0) && j.shape(0) == R.shape(0) &&
                std::is_sorted(first.data(), first.data() + first.shape(0)) &&
                first(0) == 0 && first(first.shape(0) - 1) == n_pairs,
            "first, i, j and R must be those of one list");
    if (gapfit::all_within(R.data(), n_pairs, cutoff)) return std::nullopt;
    const std::size_t n_centres = first.shape(0) - 1;
    gapfit::NeighbourList found =
        gapfit::pairs_within(first.data(), static_cast<std::int64_t>(n_centres), i.data(),
                             j.data(), R.data(), cutoff);
    return arrays(found, n_centres);
}

gapfit::SkinList skin_list(Vectors positions, In<double, nb::shape<3, 3>> cell,
                           In<bool, nb::shape<3>> pbc, double cutoff, double skin) {
    return {positions.data(), static_cast<std::int64_t>(positions.shape(0)),
            cell.data(),      pbc.data(),
            cutoff,           skin};
}

std::optional<nb::tuple> kept_pairs(gapfit::SkinList &list, Vectors positions) {
    require(static_cast<std::int64_t>(positions.shape(0)) == list.n_atoms(),
            "the list is that of another number of atoms");
    if (!list.reaches(positions.data())) return std::nullopt;
    gapfit::NeighbourList found = list.list(positions.data());
    return arrays(found, positions.shape(0));
}

}  // namespace

void bind_neighbours(nb::module_ &m) {
    m.def("neighbour_list", &neighbour_list, "positions"_a, "cell"_a, "pbc"_a, "cutoff"_a,
          "All pairs with |R| < cutoff, periodic images included, sorted by i.\n\n"
          "positions (n, 3), cell (3, 3) and cutoff in Å; pbc (3,) bool. Rows of the\n"
          "cell count only where it is periodic. Returns (first, i, j, R, closest_i,\n"
          "closest_j, closest_distance): pairs first[i]..first[i + 1] - 1 belong to atom\n"
          "i, and R = r_j + S·cell - r_i. Without pairs the closest are -1, -1 and inf.");
    m.def("pairs_within", &pairs_within, "first"_a, "i"_a, "j"_a, "R"_a, "cutoff"_a,
          "The pairs of a list with |R| < cutoff, as `neighbour_list`; None: all.");
    nb::class_<gapfit::SkinList>(m, "SkinList")
        .def("pairs", &kept_pairs, "positions"_a,
             "The pairs within the cutoff, as `neighbour_list`; None if an atom has moved\n"
             "by more than half of the skin, whole periods aside.");
    m.def("skin_list", &skin_list, "positions"_a, "cell"_a, "pbc"_a, "cutoff"_a, "skin"_a,
          "A list of these positions that serves others near them (SkinList).");
}
