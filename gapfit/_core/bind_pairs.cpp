// Pair lists and pair potentials for Python.
#include "bind_pairs.hpp"

#include "pair_potential.hpp"

using namespace gapfit::bindings;

namespace {

using Values = In<double, nb::shape<-1, -1, 3>>;
using Choice = In<std::int32_t, nb::ndim<2>>;

nb::tuple pair_energies(const PairList &pairs, Values values, double start, double spacing,
                        Choice potential, bool gradients, bool atom_virials) {
    gapfit::PairTable table;
    table.values = values.data();
    table.n_knots = static_cast<std::int64_t>(values.shape(1));
    table.start = start;
    table.spacing = spacing;
    table.potential = potential.data();
    table.n_species = static_cast<std::int32_t>(potential.shape(0));
    require(table.n_knots >= 2 && spacing > 0.0, "there must be two knots or more");
    require(
        potential.shape(0) == potential.shape(1) && pairs.n_species() <= table.n_species,
        "potential must be (n_species, n_species) for all species of the pairs");
    for (std::size_t k = 0; k < potential.size(); ++k)
        require(table.potential[k] < static_cast<std::int64_t>(values.shape(0)),
                "potential must name a table, or be negative");
    const std::size_t n_atoms = static_cast<std::size_t>(pairs.list().n_atoms);
    const std::size_t n_frames = static_cast<std::size_t>(pairs.list().n_frames);
    const NewArray energies{static_cast<std::size_t>(pairs.list().n_centres)};
    const NewArray forces{gradients ? n_atoms : 0, 3};
    const NewArray virials{gradients ? n_frames : 0, 3, 3};
    const NewArray local{gradients && atom_virials ? n_atoms : 0, 3, 3};
    gapfit::add_pair_energies(table, pairs.list(), energies.data,
                              gradients ? forces.data : nullptr, virials.data,
                              atom_virials ? local.data : nullptr);
    return nb::make_tuple(energies.array(), forces.array(), virials.array(), local.array());
}

}  // namespace

void bind_pairs(nb::module_ &m) {
    nb::class_<PairList>(m, "PairList")
        .def(nb::init<Integers, Integers, Vectors, Species, Integers, std::int64_t,
                      std::int64_t>(),
             "first"_a, "j"_a, "R"_a, "species"_a, "frame"_a, "n_frames"_a, "start"_a);
    m.def("pair_energies", &pair_energies, "pairs"_a, "values"_a, "start"_a, "spacing"_a,
          "potential"_a, "gradients"_a, "atom_virials"_a);
}
