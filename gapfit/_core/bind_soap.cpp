// The SOAP descriptor, its kernel sums and its rows for Python.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind_blas.hpp"
#include "bind_pairs.hpp"
#include "bind_threads.hpp"
#include "engine.hpp"

using namespace gapfit::bindings;

namespace {

// Sparse points of one central species; keeps its arrays alive.
class Points {
  public:
    Points(Matrix points, std::optional<Matrix> projection)
        : n_sparse(static_cast<int>(points.shape(0))),
          width(static_cast<int>(points.shape(1))), points_(points),
          projection_(projection) {
        if (projection)
            require(static_cast<int>(projection->shape(1)) == width,
                    "points and projection must have the same number of columns");
    }

    void check(int n_features) const {
        const std::size_t found = projection_ ? projection_->shape(0) : points_.shape(1);
        require(found == static_cast<std::size_t>(n_features),
                "points or projection do not have the features of this descriptor");
    }
    const double *points() const { return points_.data(); }
    const double *projection() const { return projection_ ? projection_->data() : nullptr; }

    int n_sparse, width;

  private:
    Matrix points_;
    std::optional<Matrix> projection_;
};

// Points with coefficients, or the quadratic form that replaces them for zeta = 2.
class Block {
  public:
    Block(Points points, Vector coefficients, double zeta, bool quadratic)
        : points_(std::move(points)), coefficients_(coefficients) {
        kernel_.width = points_.width;
        kernel_.zeta = zeta;
        kernel_.points = points_.points();
        kernel_.projection = points_.projection();
        require(zeta >= 1.0, "zeta must be at least 1");
        if (quadratic) {
            require(points_.n_sparse == points_.width && zeta == 2.0,
                    "a quadratic form is square and stands for zeta = 2");
            kernel_.quadratic = points_.points();
        } else {
            kernel_.n_sparse = points_.n_sparse;
            require(coefficients.shape(0) == static_cast<std::size_t>(points_.n_sparse),
                    "there must be one coefficient for each point");
            kernel_.coefficients = coefficients.data();
        }
    }

    gapfit::BlockKernel kernel(int n_features) const {
        points_.check(n_features);
        gapfit::BlockKernel kernel = kernel_;
        kernel.n_features = n_features;
        return kernel;
    }

  private:
    Points points_;
    Vector coefficients_;
    gapfit::BlockKernel kernel_;
};

// What turns covariances of one central species into variances.
class VarianceBlock {
  public:
    VarianceBlock(Points points, Matrix L, int before, double delta, double zeta)
        : points_(std::move(points)), L_(L) {
        const int other = static_cast<int>(L.shape(0)) - points_.n_sparse;
        require(L.shape(0) == L.shape(1) && 0 <= before && before <= other,
                "L must be square, with a row for each point and those before");
        require(zeta >= 1.0, "zeta must be at least 1");
        block_.points.n_sparse = points_.n_sparse;
        block_.points.width = points_.width;
        block_.points.points = points_.points();
        block_.points.projection = points_.projection();
        block_.points.zeta = zeta;
        block_.delta2 = delta * delta;
        block_.before = before;
        block_.other = other;
        block_.L = L.data();
    }

    gapfit::VarianceBlock block(int n_features) const {
        points_.check(n_features);
        gapfit::VarianceBlock block = block_;
        block.points.n_features = n_features;
        return block;
    }

  private:
    Points points_;
    Matrix L_;
    gapfit::VarianceBlock block_;
};

// Variances that are asked for; keeps its arrays alive.
class Variances {
  public:
    Variances(std::vector<VarianceBlock> blocks, Matrix other, Vector prior)
        : blocks_(std::move(blocks)), other_(other), prior_(prior) {}

    // values: (n_centres), the result.
    gapfit::Variances variances(std::size_t n_species, int n_features,
                                std::size_t n_centres, double *values) const {
        require(blocks_.size() == n_species, "there must be one block for each species");
        require(other_.shape(0) == n_centres && prior_.shape(0) == n_centres,
                "other and prior must have a row for each centre");
        gapfit::Variances out;
        for (const VarianceBlock &block : blocks_) {
            out.blocks.push_back(block.block(n_features));
            require(static_cast<std::size_t>(out.blocks.back().other) <= other_.shape(1),
                    "other must have the columns of L that are not of its own points");
        }
        out.other = other_.data();
        out.n_columns = static_cast<std::ptrdiff_t>(other_.shape(1));
        std::copy_n(prior_.data(), n_centres, values);
        out.values = values;
        return out;
    }

  private:
    std::vector<VarianceBlock> blocks_;
    Matrix other_;
    Vector prior_;
};

class Soap {
  public:
    // table (n_tables, n_knots, 3, l_max + 1, n_max): radial functions; table_of: which one
    // each species has; centre (n_tables, n_max): share of a central atom; next: species,
    // distance and table, where a species has another one from a distance on; mixed:
    // numbers of functions of mixed channels, and mixing (n_mixed, n_densities, n_max,
    // n_max) how those of the densities enter them.
    Soap(Tables table, const std::vector<int> &table_of,
         const std::vector<std::tuple<int, double, int>> &next, double spacing,
         Matrix centre,
         const std::tuple<std::string, double, double, double, double> &weight,
         const std::vector<int> &channel, const std::vector<double> &species_weight,
         const std::vector<int> &mixed, Mixing mixing, bool central_in_all,
         const std::vector<std::pair<int, int>> &blocks, Vector scale,
         const std::string &products)
        : blas_(scipy_blas()) {
        check_tables(table, spacing);
        const int n_tables = static_cast<int>(table.shape(0));
        const int n_knots = static_cast<int>(table.shape(1));
        const int n_l = static_cast<int>(table.shape(3));
        const int n_max = static_cast<int>(table.shape(4));
        gapfit::LayoutParts parts{n_max, n_l - 1, channel, species_weight};
        parts.central_in_all = central_in_all;
        parts.blocks = blocks;
        parts.scale.assign(scale.data(), scale.data() + scale.shape(0));
        parts.products = gapfit::products_of(products);
        check_mixing(mixed, mixing, channel, table.shape(4));
        parts.mixed = mixed;
        parts.mixing = mixing.data();
        gapfit::Layout layout = gapfit::make_layout(std::move(parts));
        require(centre.shape(0) == table.shape(0) && centre.shape(1) == table.shape(4),
                "centre must have one value for each radial function of each table");
        const auto &[function, r0, c, d, m] = weight;
        std::vector<gapfit::NextTable> changes;
        for (const auto &[species, from, beyond] : next)
            changes.push_back({species, from, beyond});
        gapfit::Basis basis = gapfit::make_basis(
            std::move(layout), table.data(), n_tables, n_knots, spacing, table_of,
            gapfit::Weighting(gapfit::Weighting::kind_of(function), r0, c, d, m),
            std::vector<double>(centre.data(), centre.data() + n_tables * n_max),
            std::move(changes));
        engine_ = gapfit::make_engine(std::move(basis));
    }

    nb::tuple environments(const PairList &pairs, int n_threads) const {
        check(pairs);
        const NewArray q{static_cast<std::size_t>(pairs.list().n_centres),
                         static_cast<std::size_t>(n_features())};
        const NewArray norms{static_cast<std::size_t>(pairs.list().n_centres)};
        run(n_threads, [&](gapfit::ThreadTeam &team) {
            engine_->describe(pairs.list(), blas_, team, q.data, norms.data);
        });
        return nb::make_tuple(q.array(), norms.array());
    }

    // Σ c c^T over centres and m, by degree: (l_max + 1, n, n), n = channels times n_max.
    Array density_gram(const PairList &pairs, int n_threads) const {
        check(pairs);
        const gapfit::Layout &layout = engine_->basis().layout;
        const std::size_t n = static_cast<std::size_t>(layout.n_channels() * layout.n_max);
        const NewArray gram{static_cast<std::size_t>(layout.l_max) + 1, n, n};
        run(n_threads, [&](gapfit::ThreadTeam &team) {
            engine_->density_gram(pairs.list(), team, gram.data);
        });
        return gram.array();
    }

    nb::tuple predict(const PairList &pairs, const std::vector<Block> &blocks,
                      bool gradients, bool atom_virials, int n_threads,
                      const std::optional<Variances> &asked,
                      const gapfit::SharedAce *ace) const {
        check(pairs);
        if (ace != nullptr) ace->check(engine_->basis().layout);
        std::vector<gapfit::BlockKernel> kernels;
        for (const Block &block : blocks) kernels.push_back(block.kernel(n_features()));
        require(kernels.size() == n_species(), "there must be one block for each species");
        const PredictionResult result(pairs.list(), gradients, atom_virials);
        gapfit::PredictionArrays out = result.arrays();
        const std::size_t n_centres = static_cast<std::size_t>(pairs.list().n_centres);
        const NewArray values{asked ? n_centres : 0};
        gapfit::Variances variances;
        if (asked)
            variances = asked->variances(n_species(), n_features(), n_centres, values.data);
        run(n_threads, [&](gapfit::ThreadTeam &team) {
            engine_->predict(kernels, variances, pairs.list(), blas_, team, out, ace);
        });
        return nb::make_tuple(
            result.energies.array(), result.forces.array(), result.virials.array(),
            result.atom_virials.array(), values.array(),
            nb::make_tuple(out.seconds[0], out.seconds[1], out.seconds[2]));
    }

    void add_rows(const PairList &pairs, const std::vector<Points> &points, double delta,
                  double zeta, Out energies, std::optional<Out> forces,
                  std::optional<Out> virials, int n_threads) const {
        check(pairs);
        require(points.size() == n_species(), "there must be points for each species");
        require(zeta >= 1.0, "zeta must be at least 1");
        std::vector<gapfit::RowBlock> blocks;
        std::int64_t n_columns = 0;
        for (const Points &own : points) {
            own.check(n_features());
            blocks.push_back(
                {own.n_sparse, own.width, n_columns, own.points(), own.projection()});
            n_columns += own.n_sparse;
        }
        gapfit::RowArrays out;
        out.n_columns = n_columns;
        const std::size_t n_frames = static_cast<std::size_t>(pairs.list().n_frames);
        out.energies = rows(energies, n_frames, n_columns);
        require(forces.has_value() || !virials.has_value(),
                "there are no virials without forces");
        if (forces)
            out.forces = rows(*forces, 3 * static_cast<std::size_t>(pairs.list().n_atoms),
                              n_columns);
        if (virials) out.virials = rows(*virials, 6 * n_frames, n_columns);
        run(n_threads, [&](gapfit::ThreadTeam &team) {
            engine_->kernel_rows(blocks, delta * delta, zeta, pairs.list(), team, out);
        });
    }

    int n_features() const { return engine_->basis().layout.n_features(); }

  private:
    static void check_mixing(const std::vector<int> &mixed, const Mixing &mixing,
                             const std::vector<int> &channel, std::size_t n_max) {
        if (mixed.empty()) return;
        const int last =
            channel.empty() ? 0 : *std::max_element(channel.begin(), channel.end());
        require(mixing.shape(0) == mixed.size() &&
                    mixing.shape(1) == static_cast<std::size_t>(last + 1) &&
                    mixing.shape(2) == n_max && mixing.shape(3) == n_max,
                "mixing must be (n_mixed, n_densities, n_max, n_max)");
    }

    std::size_t n_species() const { return engine_->basis().layout.channel.size(); }

    void check(const PairList &pairs) const {
        require(static_cast<std::size_t>(pairs.n_species()) <= n_species(),
                "the pair list has species that this descriptor does not know");
    }

    gapfit::Blas blas_;
    std::unique_ptr<gapfit::Engine> engine_;
};

}  // namespace

void bind_soap(nb::module_ &m) {
    nb::class_<Points>(m, "Points")
        .def(nb::init<Matrix, std::optional<Matrix>>(), "points"_a,
             "projection"_a = nb::none());
    nb::class_<Block>(m, "Block")
        .def(nb::init<Points, Vector, double, bool>(), "points"_a, "coefficients"_a,
             "zeta"_a, "quadratic"_a = false);
    nb::class_<VarianceBlock>(m, "VarianceBlock")
        .def(nb::init<Points, Matrix, int, double, double>(), "points"_a, "L"_a, "before"_a,
             "delta"_a, "zeta"_a);
    nb::class_<Variances>(m, "Variances")
        .def(nb::init<std::vector<VarianceBlock>, Matrix, Vector>(), "blocks"_a, "other"_a,
             "prior"_a);
    nb::class_<Soap>(m, "Soap")
        .def(nb::init<Tables, const std::vector<int> &,
                      const std::vector<std::tuple<int, double, int>> &, double, Matrix,
                      const std::tuple<std::string, double, double, double, double> &,
                      const std::vector<int> &, const std::vector<double> &,
                      const std::vector<int> &, Mixing, bool,
                      const std::vector<std::pair<int, int>> &, Vector,
                      const std::string &>(),
             "table"_a, "table_of"_a, "next"_a, "spacing"_a, "centre"_a, "weighting"_a,
             "channel"_a, "species_weight"_a, "mixed"_a, "mixing"_a, "central_in_all"_a,
             "blocks"_a, "scale"_a, "products"_a)
        .def_prop_ro("n_features", &Soap::n_features)
        .def("environments", &Soap::environments, "pairs"_a, "n_threads"_a)
        .def("density_gram", &Soap::density_gram, "pairs"_a, "n_threads"_a)
        .def("predict", &Soap::predict, "pairs"_a, "blocks"_a, "gradients"_a,
             "atom_virials"_a, "n_threads"_a, "variances"_a.none() = nb::none(),
             "ace"_a.none() = nb::none())
        .def("add_rows", &Soap::add_rows, "pairs"_a, "points"_a, "delta"_a, "zeta"_a,
             "energies"_a.noconvert(), "forces"_a.noconvert().none(),
             "virials"_a.noconvert().none(), "n_threads"_a);
}
