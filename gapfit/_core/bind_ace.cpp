// The functions of a cluster expansion, their rows and energies, for Python.
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include "ace.hpp"
#include "bind_blas.hpp"
#include "bind_pairs.hpp"
#include "bind_threads.hpp"

using namespace gapfit::bindings;

namespace {

using Counts = In<std::int32_t, nb::ndim<2>>;

class Ace {
  public:
    // table (n_tables, n_knots, 3, l_max + 1, n_max) and spacing: radial functions;
    // table_of and channel: those of each species; coefficients (n, 3): channel, lm and n
    // of those that are used; products (n_products, 4) of them, -1 for no further factor;
    // summands (n_summands, 2): number of function and product, each with a factor.
    Ace(Tables table, const std::vector<int> &table_of, double spacing,
        const std::vector<int> &channel, Counts coefficients, Counts products,
        Counts summands, Vector factors, int n_functions)
        : blas_(scipy_blas()) {
        check_tables(table, spacing);
        const int n_tables = static_cast<int>(table.shape(0));
        const int n_knots = static_cast<int>(table.shape(1));
        const int n_l = static_cast<int>(table.shape(3));
        const int n_max = static_cast<int>(table.shape(4));
        require(n_functions >= 0, "there must be a number of functions");
        require(coefficients.shape(1) == 3, "coefficients must be (n, 3)");
        require(products.shape(1) == gapfit::Invariants::most_factors,
                "products must be (n_products, 4)");
        require(summands.shape(1) == 2 && factors.shape(0) == summands.shape(0),
                "summands must be (n_summands, 2), with a factor for each");
        using Weighting = gapfit::Weighting;
        gapfit::Basis basis = gapfit::make_basis(
            gapfit::make_layout(
                {n_max, n_l - 1, channel, std::vector<double>(channel.size(), 1.0)}),
            table.data(), n_tables, n_knots, spacing, table_of,
            Weighting(Weighting::Kind::none, 1.0, 1.0, 1.0, 1.0),
            std::vector<double>(static_cast<std::size_t>(n_tables * n_max), 0.0));
        std::vector<gapfit::Coefficient> used;
        for (std::size_t k = 0; k < coefficients.shape(0); ++k)
            used.push_back({coefficients(k, 0), coefficients(k, 1), coefficients(k, 2)});
        std::vector<gapfit::Invariants::Product> of;
        for (std::size_t k = 0; k < products.shape(0); ++k)
            of.push_back({products(k, 0), products(k, 1), products(k, 2), products(k, 3)});
        std::vector<gapfit::Invariants::Summand> sums;
        for (std::size_t k = 0; k < summands.shape(0); ++k)
            sums.push_back({summands(k, 0), summands(k, 1), factors(k)});
        const int n_used = static_cast<int>(used.size());
        ace_ = gapfit::make_ace(
            {std::move(basis), std::move(used),
             gapfit::Invariants(n_used, n_functions, std::move(of), std::move(sums))});
    }

    Array environments(const PairList &pairs, int n_threads) const {
        check(pairs);
        const NewArray B{static_cast<std::size_t>(pairs.list().n_centres), size()};
        run(n_threads,
            [&](gapfit::ThreadTeam &team) { ace_->describe(pairs.list(), team, B.data); });
        return B.array();
    }

    nb::tuple predict(const PairList &pairs,
                      const std::vector<std::optional<Vector>> &coefficients,
                      bool gradients, bool atom_virials, int n_threads) const {
        check(pairs);
        const std::vector<std::vector<double>> weights = weights_of(coefficients);
        const PredictionResult result(pairs.list(), gradients, atom_virials);
        gapfit::PredictionArrays out = result.arrays();
        run(n_threads, [&](gapfit::ThreadTeam &team) {
            ace_->predict(weights, pairs.list(), team, out);
        });
        return nb::make_tuple(
            result.tuple(), nb::make_tuple(out.seconds[0], out.seconds[1], out.seconds[2]));
    }

    // For `Soap.predict`. W (n_tables, l_max + 1, n_max, n_soap): see `gapfit::SharedAce`.
    gapfit::SharedAce shared(const std::vector<std::optional<Vector>> &coefficients,
                             Mixing W) const {
        const gapfit::Basis &basis = ace_->basis().basis;
        require(W.shape(0) == basis.radial.size() &&
                    W.shape(1) == static_cast<std::size_t>(basis.layout.l_max) + 1 &&
                    W.shape(2) == static_cast<std::size_t>(basis.layout.n_max),
                "W must be (n_tables, l_max + 1, n_max, n_soap)");
        return {&ace_->basis(), weights_of(coefficients),
                std::vector<double>(W.data(), W.data() + W.size()),
                static_cast<int>(W.shape(3))};
    }

    // weights: by species, factors of the columns; None for a species without columns.
    void add_rows(const PairList &pairs, const std::vector<std::optional<Vector>> &weights,
                  Out energies, std::optional<Out> forces, std::optional<Out> virials,
                  int n_threads) const {
        check(pairs);
        require(weights.size() == n_species(), "there must be weights by species");
        std::vector<gapfit::AceRowBlock> blocks;
        std::int64_t n_columns = 0;
        for (const std::optional<Vector> &own : weights) {
            require(!own || own->shape(0) == size(),
                    "there must be a weight for each function");
            blocks.push_back({own ? own->data() : nullptr, n_columns});
            n_columns += own ? static_cast<std::int64_t>(size()) : 0;
        }
        const std::size_t n_frames = static_cast<std::size_t>(pairs.list().n_frames);
        gapfit::RowArrays out;
        out.n_columns = n_columns;
        out.energies = rows(energies, n_frames, n_columns);
        require(forces.has_value() == virials.has_value(),
                "give forces and virials, or neither");
        if (forces) {
            out.forces = rows(*forces, 3 * static_cast<std::size_t>(pairs.list().n_atoms),
                              n_columns);
            out.virials = rows(*virials, 6 * n_frames, n_columns);
        }
        run(n_threads, [&](gapfit::ThreadTeam &team) {
            ace_->rows(blocks, pairs.list(), blas_, team, out);
        });
    }

    int n_functions() const { return ace_->basis().invariants.size(); }
    int n_products() const { return ace_->basis().invariants.n_products(); }

  private:
    // Factors of the products by species; of one without coefficients none.
    std::vector<std::vector<double>> weights_of(
        const std::vector<std::optional<Vector>> &coefficients) const {
        require(coefficients.size() == n_species(),
                "there must be coefficients by species");
        std::vector<std::vector<double>> weights;
        for (const std::optional<Vector> &own : coefficients) {
            require(!own || own->shape(0) == size(),
                    "there must be a coefficient for each function");
            weights.push_back(own ? ace_->basis().invariants.weights(own->data())
                                  : std::vector<double>());
        }
        return weights;
    }

    std::size_t size() const { return static_cast<std::size_t>(n_functions()); }
    std::size_t n_species() const { return ace_->basis().basis.layout.channel.size(); }

    void check(const PairList &pairs) const {
        require(static_cast<std::size_t>(pairs.n_species()) <= n_species(),
                "the pair list has species that this descriptor does not know");
    }

    gapfit::Blas blas_;
    std::unique_ptr<gapfit::Ace> ace_;
};

}  // namespace

void bind_ace(nb::module_ &m) {
    nb::class_<gapfit::SharedAce>(m, "SharedAce");
    nb::class_<Ace>(m, "Ace")
        .def(nb::init<Tables, const std::vector<int> &, double, const std::vector<int> &,
                      Counts, Counts, Counts, Vector, int>(),
             "table"_a, "table_of"_a, "spacing"_a, "channel"_a, "coefficients"_a,
             "products"_a, "summands"_a, "factors"_a, "n_functions"_a)
        .def_prop_ro("n_functions", &Ace::n_functions)
        .def_prop_ro("n_products", &Ace::n_products)
        .def("environments", &Ace::environments, "pairs"_a, "n_threads"_a)
        .def("predict", &Ace::predict, "pairs"_a, "coefficients"_a, "gradients"_a,
             "atom_virials"_a, "n_threads"_a)
        .def("shared", &Ace::shared, "coefficients"_a, "W"_a, nb::keep_alive<0, 1>())
        .def("add_rows", &Ace::add_rows, "pairs"_a, "weights"_a, "energies"_a.noconvert(),
             "forces"_a.noconvert().none(), "virials"_a.noconvert().none(), "n_threads"_a);
}
