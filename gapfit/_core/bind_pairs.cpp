// Pair lists and pair potentials for Python.
#include "bind_pairs.hpp"
#include "bind_threads.hpp"

#include "pair_potential.hpp"

using namespace gapfit::bindings;

namespace {

using Values = In<double, nb::shape<-1, -1, 3>>;
using Choice = In<std::int32_t, nb::ndim<2>>;

nb::tuple pair_energies(const PairList &pairs, Values values, double start, double spacing,
                        Choice potential, bool gradients, bool atom_virials,
                        int n_threads) {
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
    const PredictionResult result(pairs.list(), gradients, atom_virials);
    gapfit::PredictionArrays out = result.arrays();
    run(n_threads, [&](gapfit::ThreadTeam &team) {
        gapfit::add_pair_energies(table, pairs.list(), team, out);
    });
    return result.tuple();
}

}  // namespace

void bind_pairs(nb::module_ &m) {
    nb::class_<PairList>(m, "PairList")
        .def(nb::init<Integers, Integers, Vectors, Species, Integers, std::int64_t,
                      std::int64_t>(),
             "first"_a, "j"_a, "R"_a, "species"_a, "frame"_a, "n_frames"_a, "start"_a);
    m.def("pair_energies", &pair_energies, "pairs"_a, "values"_a, "start"_a, "spacing"_a,
          "potential"_a, "gradients"_a, "atom_virials"_a, "n_threads"_a);
}
