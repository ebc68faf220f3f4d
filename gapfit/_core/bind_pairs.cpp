// Pair lists, pair potentials and energies by the density of neighbours for Python.
#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind_pairs.hpp"
#include "bind_threads.hpp"

#include "embedding.hpp"
#include "pair_kernel.hpp"
#include "pair_potential.hpp"

using namespace gapfit::bindings;

namespace {

using Values = In<double, nb::shape<-1, -1, 3>>;
using Choice = In<std::int32_t, nb::ndim<2>>;

gapfit::HermiteTable hermite_table(const Values &values, double start, double spacing) {
    require(values.shape(1) >= 2 && spacing > 0.0, "there must be two knots or more");
    return {values.data(), static_cast<std::int64_t>(values.shape(1)), start, spacing};
}

nb::tuple pair_energies(const PairList &pairs, Values values, double start, double spacing,
                        std::optional<Matrix> knots, Choice potential, double cosine,
                        bool gradients, bool atom_virials, int n_threads) {
    gapfit::PairTable table;
    static_cast<gapfit::HermiteTable &>(table) = hermite_table(values, start, spacing);
    if (knots) {
        require(knots->shape(0) == values.shape(0) && knots->shape(1) == values.shape(1) &&
                    knots->shape(0) > 0,
                "knots must be (n_potentials, n_knots)");
        table.knots = knots->data();
    }
    table.potential = potential.data();
    table.n_species = static_cast<std::int32_t>(potential.shape(0));
    table.cosine = cosine;
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

nb::tuple embedding_energies(const PairList &pairs, Values density, double start,
                             double spacing, double cosine, Matrix weights, Values energy,
                             double energy_spacing, Species curve, bool gradients,
                             bool atom_virials, int n_threads) {
    const std::size_t n_species = weights.shape(0);
    require(weights.shape(1) == n_species && curve.shape(0) == n_species &&
                pairs.n_species() <= static_cast<int>(n_species),
            "weights and curve must have all species of the pairs");
    require(density.shape(0) == 1, "density must be one function");
    for (std::size_t k = 0; k < n_species; ++k)
        require(curve.data()[k] < static_cast<std::int64_t>(energy.shape(0)),
                "curve must name a function, or be negative");
    gapfit::EmbeddingTable table;
    static_cast<gapfit::HermiteTable &>(table.density) =
        hermite_table(density, start, spacing);
    table.density.cosine = cosine;
    table.density.n_species = static_cast<std::int32_t>(n_species);
    table.weights = weights.data();
    table.energy = hermite_table(energy, 0.0, energy_spacing);
    table.curve = curve.data();
    const PredictionResult result(pairs.list(), gradients, atom_virials);
    gapfit::PredictionArrays out = result.arrays();
    run(n_threads, [&](gapfit::ThreadTeam &team) {
        gapfit::add_embedding_energies(table, pairs.list(), team, out);
    });
    return result.tuple();
}

nb::tuple pair_covariances(const PairList &pairs, Choice block,
                           const std::tuple<double, double, bool> &shape,
                           const std::tuple<double, double> &kernel,
                           const std::vector<Vector> &points, int n_threads) {
    const auto [r_cut, width, cosine] = shape;
    const auto [delta, theta] = kernel;
    require(r_cut > 0.0 && width > 0.0 && theta > 0.0,
            "r_cut, width and theta must be positive");
    require(block.shape(0) == block.shape(1) &&
                pairs.n_species() <= static_cast<int>(block.shape(0)),
            "block must be (n_species, n_species) for all species of the pairs");
    for (std::size_t k = 0; k < block.size(); ++k)
        require(block.data()[k] >= 0 &&
                    static_cast<std::size_t>(block.data()[k]) < points.size(),
                "block must name points");
    const gapfit::PairKernel own{delta * delta,
                                 1.0 / theta,
                                 {r_cut, width, cosine},
                                 block.data(),
                                 static_cast<std::int32_t>(block.shape(0))};
    std::vector<gapfit::PairColumns> columns;
    std::int64_t n_columns = 0;
    for (const Vector &some : points) {
        const std::int64_t n = static_cast<std::int64_t>(some.shape(0));
        columns.push_back({some.data(), n, n_columns});
        n_columns += n;
    }
    const std::size_t n_centres = static_cast<std::size_t>(pairs.list().n_centres);
    const NewArray covariances{n_centres, static_cast<std::size_t>(n_columns)};
    const NewArray priors{n_centres};
    run(n_threads, [&](gapfit::ThreadTeam &team) {
        gapfit::pair_covariances(own, columns, n_columns, pairs.list(), team,
                                 covariances.data, priors.data);
    });
    return nb::make_tuple(covariances.array(), priors.array());
}

}  // namespace

void bind_pairs(nb::module_ &m) {
    nb::class_<PairList>(m, "PairList")
        .def(nb::init<Integers, Integers, Vectors, Species, Integers, std::int64_t,
                      std::int64_t>(),
             "first"_a, "j"_a, "R"_a, "species"_a, "frame"_a, "n_frames"_a, "start"_a);
    m.def("pair_energies", &pair_energies, "pairs"_a, "values"_a, "start"_a, "spacing"_a,
          "knots"_a.none(), "potential"_a, "cosine"_a, "gradients"_a, "atom_virials"_a,
          "n_threads"_a);
    m.def("embedding_energies", &embedding_energies, "pairs"_a, "density"_a, "start"_a,
          "spacing"_a, "cosine"_a, "weights"_a, "energy"_a, "energy_spacing"_a, "curve"_a,
          "gradients"_a, "atom_virials"_a, "n_threads"_a);
    m.def("pair_covariances", &pair_covariances, "pairs"_a, "block"_a, "shape"_a,
          "kernel"_a, "points"_a, "n_threads"_a);
}
