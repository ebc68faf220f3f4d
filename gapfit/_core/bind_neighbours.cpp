// Python binding of the neighbour list.
#include <cstdlib>
#include <initializer_list>

#include "bindings.hpp"
#include "neighbours.hpp"

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

nb::tuple neighbour_list(Vectors positions, In<double, nb::shape<3, 3>> cell,
                         In<bool, nb::shape<3>> pbc, double cutoff) {
    gapfit::NeighbourList found;
    const std::size_t n_atoms = positions.shape(0);
    // Too short to be worth releasing the GIL.
    found = gapfit::NeighbourSearch(positions.data(), static_cast<std::int64_t>(n_atoms),
                                    cell.data(), pbc.data(), cutoff)
                .list();
    const std::size_t n_pairs = static_cast<std::size_t>(found.n_pairs);
    return nb::make_tuple(give(found.first, {n_atoms + 1}), give(found.i, {n_pairs}),
                          give(found.j, {n_pairs}), give(found.R, {n_pairs, 3}),
                          found.closest_i, found.closest_j, found.closest);
}

}  // namespace

void bind_neighbours(nb::module_ &m) {
    m.def("neighbour_list", &neighbour_list, "positions"_a, "cell"_a, "pbc"_a, "cutoff"_a,
          "All pairs with |R| < cutoff, periodic images included, sorted by i.\n\n"
          "positions (n, 3), cell (3, 3) and cutoff in Å; pbc (3,) bool. Rows of the\n"
          "cell count only where it is periodic. Returns (first, i, j, R, closest_i,\n"
          "closest_j, closest_distance): pairs first[i]..first[i + 1] - 1 belong to atom\n"
          "i, and R = r_j + S·cell - r_i. Without pairs the closest are -1, -1 and inf.");
}
