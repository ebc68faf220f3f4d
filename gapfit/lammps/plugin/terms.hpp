// The terms of an exported potential, from the arrays of its file.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "array_file.hpp"
#include "engine.hpp"
#include "pair_kernel.hpp"
#include "pair_potential.hpp"
#include "triplet_rows.hpp"
#include "triplets.hpp"

namespace gapfit {

// What all terms need to know of the file they come from.
struct Source {
    const ArrayFile &file;
    long n_species;
};

// Lengths in Å that an exported potential may have.
constexpr double shortest_length = 1e-6, longest_length = 1e6;
// Terms of one kind.
constexpr std::int32_t most_terms = 10000;

class PairTerm {
  public:
    PairTerm(const Source &source, const std::string &prefix) {
        const ArrayFile &file = source.file;
        const auto values = file.reals(prefix + "values", {-1, -1, 3});
        const int n_potentials = ArrayFile::length(prefix + "values", values.shape[0]);
        // Numbers of potentials, -1 for none.
        potential_ =
            file.small_integers(prefix + "potential", {source.n_species, source.n_species},
                                -1, n_potentials - 1);
        table_.values = values.data;
        table_.n_knots = ArrayFile::length(prefix + "values", values.shape[1]);
        if (table_.n_knots < 2) throw FileError("has a pair potential without knots");
        if (file.has(prefix + "knots"))
            table_.knots = read_knots(file, prefix, n_potentials, table_.n_knots);
        else {
            table_.start = file.real(prefix + "start", -longest_length, longest_length);
            table_.spacing = file.real(prefix + "spacing", shortest_length, longest_length);
        }
        table_.cosine = file.real(prefix + "cosine", 0.0, longest_length);
        table_.n_species = static_cast<std::int32_t>(source.n_species);
    }

    void predict(const PairList &pairs, ThreadTeam &team, PredictionArrays &out) const {
        PairTable table = table_;
        table.potential = potential_.data();
        add_pair_energies(table, pairs, team, out);
    }

  private:
    // Ascending knots of each potential, which all end with the same.
    static const double *read_knots(const ArrayFile &file, const std::string &prefix,
                                    long n_potentials, long n_knots) {
        const double *knots = file.reals(prefix + "knots", {n_potentials, n_knots}).data;
        for (long k = 0; k < n_potentials * n_knots; ++k) {
            const bool first = k % n_knots == 0;
            const double *before = first ? nullptr : knots + k - 1;
            const bool last = k % n_knots == n_knots - 1;
            if (!(std::abs(knots[k]) < longest_length) ||
                (before != nullptr && knots[k] < *before) ||
                (last && knots[k] != knots[n_knots - 1]) ||
                (k % n_knots == 1 && knots[k] == *before))
                throw FileError("has knots of a pair potential out of order");
        }
        return knots;
    }

    PairTable table_;
    std::vector<std::int32_t> potential_;
};

inline SwitchShape switch_shape(const ArrayFile &file, const std::string &prefix) {
    return {file.real(prefix + "r_cut", shortest_length, longest_length),
            file.real(prefix + "width", shortest_length, longest_length),
            file.flag(prefix + "cosine")};
}

// Kernel and sparse points of a 2-body term.
struct PairKernelArrays {
    PairKernelArrays(const Source &source, const std::string &prefix) {
        const ArrayFile &file = source.file;
        const long n = source.n_species;
        const int n_blocks =
            file.integer(prefix + "n_blocks", 1, static_cast<std::int32_t>(n * n));
        block_ = file.small_integers(prefix + "block", {n, n}, 0, n_blocks - 1);
        const double delta = file.real(prefix + "delta");
        kernel_ = {delta * delta,
                   1.0 / file.real(prefix + "theta", shortest_length, longest_length),
                   switch_shape(file, prefix), nullptr, static_cast<std::int32_t>(n)};
        for (int b = 0; b < n_blocks; ++b) {
            const std::string name = prefix + "points" + std::to_string(b);
            points.push_back(file.reals(name, {-1}));
            ArrayFile::length(name, points.back().size());
        }
    }

    PairKernel with_blocks() const {
        PairKernel kernel = kernel_;
        kernel.block = block_.data();
        return kernel;
    }

    std::vector<ArrayView<double>> points;  // by block

  private:
    PairKernel kernel_;
    std::vector<std::int32_t> block_;
};

class TripletTerm {
  public:
    TripletTerm(const Source &source, const std::string &prefix) {
        const ArrayFile &file = source.file;
        const long n = source.n_species;
        const int n_potentials =
            file.integer(prefix + "n_potentials", 0, static_cast<std::int32_t>(n * n * n));
        block_ = file.small_integers(prefix + "block", {n, n, n}, -1, n_potentials - 1);
        range_.shape = switch_shape(file, prefix);
        range_.n_species = static_cast<std::int32_t>(n);
        for (int k = 0; k < n_potentials; ++k)
            potentials_.push_back(
                potential(file, prefix, prefix + "potential" + std::to_string(k) + "/"));
    }

    void predict(const PairList &pairs, ThreadTeam &team, PredictionArrays &out) const {
        TripletRange range = range_;
        range.block = block_.data();
        for_each_centre(pairs, team, out,
                        [&] { return TripletSum(range, potentials_, pairs); });
    }

    static TripletKernel kernel(const ArrayFile &file, const std::string &prefix) {
        const double delta = file.real(prefix + "delta");
        const auto theta = lengths(file, prefix + "theta");
        return {delta * delta,
                {1.0 / theta.data[0], 1.0 / theta.data[1], 1.0 / theta.data[2]},
                file.flag(prefix + "permuted"),
                file.has(prefix + "polynomial") && file.flag(prefix + "polynomial")};
    }

  private:
    // Three positive numbers.
    static ArrayView<double> lengths(const ArrayFile &file, const std::string &name) {
        const auto found = file.reals(name, {3});
        for (const double x : found)
            if (x < shortest_length || x > longest_length)
                throw FileError("has an impossible length in the array " + name);
        return found;
    }

    static TripletPotential potential(const ArrayFile &file, const std::string &prefix,
                                      const std::string &own) {
        if (file.has(own + "table")) return TripletPotential(table(file, prefix, own));
        const auto points = file.reals(own + "points", {-1, 3});
        const long n = ArrayFile::length(own + "points", points.shape[0]);
        if (n < 1) throw FileError("has a triplet potential without points");
        return TripletPotential(kernel(file, prefix), points.data,
                                file.reals(own + "coefficients", {n}).data, n);
    }

    static SplineTable table(const ArrayFile &file, const std::string &prefix,
                             const std::string &own) {
        const auto grid = file.reals(own + "table", {-1, -1, -1});
        const auto start = file.reals(prefix + "start", {3});
        const auto spacing = lengths(file, prefix + "spacing");
        SplineTable out;
        out.coefficients = grid.data;
        for (std::size_t d = 0; d < 3; ++d) {
            if (std::abs(start.data[d]) > longest_length)
                throw FileError("has an impossible start of triplet potentials");
            out.n[d] = ArrayFile::length(own + "table", grid.shape[d]);
            out.start[d] = start.data[d];
            out.inverse_spacing[d] = 1.0 / spacing.data[d];
        }
        out.n[2] -= SplineTable::spare;
        for (const std::int64_t n : out.n)
            if (n < 6) throw FileError("has a triplet potential with too few knots");
        return out;
    }

    TripletRange range_;
    std::vector<std::int32_t> block_;
    std::vector<TripletPotential> potentials_;
};

// Kernel and sparse points of a 3-body term.
class TripletKernelArrays {
  public:
    TripletKernelArrays(const Source &source, const std::string &prefix)
        : kernel(TripletTerm::kernel(source.file, prefix)) {
        const ArrayFile &file = source.file;
        const long n = source.n_species;
        const int n_blocks =
            file.integer(prefix + "n_blocks", 0, static_cast<std::int32_t>(n * n * n));
        block_ = file.small_integers(prefix + "block", {n, n, n}, -1, n_blocks - 1);
        range_.shape = switch_shape(file, prefix);
        range_.n_species = static_cast<std::int32_t>(n);
        for (int b = 0; b < n_blocks; ++b) {
            const auto points = file.reals(prefix + "points" + std::to_string(b), {-1, 3});
            const std::int64_t size = ArrayFile::length(prefix + "points", points.shape[0]);
            columns.push_back({points.data, size, n_sparse});
            n_sparse += size;
        }
    }

    TripletRange range() const {
        TripletRange range = range_;
        range.block = block_.data();
        return range;
    }

    TripletKernel kernel;
    std::vector<TripletColumns> columns;  // by block
    std::int64_t n_sparse = 0;

  private:
    TripletRange range_;
    std::vector<std::int32_t> block_;
};

// The pairs of a list that are shorter than a cutoff.
class ShortPairs {
  public:
    PairList of(const PairList &pairs, double cutoff) {
        first_.assign(1, 0);
        j_.clear();
        R_.clear();
        for (std::int64_t c = 0; c < pairs.n_centres; ++c) {
            for (std::int64_t p = pairs.first[c]; p < pairs.first[c + 1]; ++p) {
                const double *R = pairs.R + 3 * p;
                if (R[0] * R[0] + R[1] * R[1] + R[2] * R[2] >= cutoff * cutoff) continue;
                j_.push_back(pairs.j[p]);
                R_.insert(R_.end(), R, R + 3);
            }
            first_.push_back(static_cast<std::int64_t>(j_.size()));
        }
        PairList out = pairs;
        out.first = first_.data();
        out.j = j_.data();
        out.R = R_.data();
        return out;
    }

  private:
    std::vector<std::int64_t> first_, j_;
    std::vector<double> R_;
};

// Radial functions of a term, and which of them each species has.
struct RadialArrays {
    RadialArrays(const Source &source, const std::string &prefix)
        : table(source.file.reals(prefix + "table", {-1, -1, 3, -1, -1})),
          n_tables(ArrayFile::length(prefix + "table", table.shape[0])),
          n_knots(ArrayFile::length(prefix + "table", table.shape[1])),
          n_l(ArrayFile::length(prefix + "table", table.shape[3])),
          n_max(ArrayFile::length(prefix + "table", table.shape[4])),
          spacing(source.file.real(prefix + "spacing", shortest_length, longest_length)),
          of_species(source.file.small_integers(
              prefix + (further(source, prefix) ? "first_table_of" : "table_of"),
              {source.n_species}, 0, n_tables - 1)) {
        if (n_knots < 2 || n_knots > 1000000)
            throw FileError("has radial functions without knots, or with too many");
        if (further(source, prefix)) read_next(source, prefix);
    }

    Basis basis(Layout layout, Weighting weighting, std::vector<double> centre) const {
        return make_basis(std::move(layout), table.data, n_tables, n_knots, spacing,
                          {of_species.begin(), of_species.end()}, weighting,
                          std::move(centre), next);
    }

    ArrayView<double> table;
    int n_tables, n_knots, n_l, n_max;
    double spacing;
    std::vector<std::int32_t> of_species;
    std::vector<NextTable> next;

  private:
    // Whether a species has other functions from a distance on.
    static bool further(const Source &source, const std::string &prefix) {
        return source.file.has(prefix + "next_table");
    }

    void read_next(const Source &source, const std::string &prefix) {
        const auto from = source.file.reals(prefix + "next_from", {-1});
        const long n = ArrayFile::length(prefix + "next_from", from.shape[0]);
        const auto species =
            source.file.small_integers(prefix + "next_species", {n}, 0,
                                       static_cast<std::int32_t>(source.n_species) - 1);
        const auto tables =
            source.file.small_integers(prefix + "next_table", {n}, 0, n_tables - 1);
        for (std::size_t k = 0; k < species.size(); ++k) {
            const double before = k ? from.data[k - 1] : 0.0;
            if (!(from.data[k] >= before && from.data[k] < longest_length))
                throw FileError("has distances of radial functions out of order");
            next.push_back({species[k], from.data[k], tables[k]});
        }
    }
};

// As the cluster expansion, it depends on being given no neighbours beyond its cutoff.
class SoapTerm {
  public:
    SoapTerm(const Source &source, const std::string &prefix)
        : cutoff_(source.file.real(prefix + "cutoff", shortest_length, longest_length)),
          longest_(source.file.real("cutoff")),
          zeta_(source.file.real(prefix + "zeta", 1.0, 1000.0)),
          engine_(make_engine(basis(source, prefix))) {
        for (long s = 0; s < source.n_species; ++s)
            blocks_.push_back(block(source.file, prefix + "sum" + std::to_string(s) + "/"));
    }

    int n_features() const { return engine_->basis().layout.n_features(); }
    const std::vector<BlockKernel> &blocks() const { return blocks_; }

    void predict(const PairList &pairs, const Variances &variances, Blas blas,
                 ThreadTeam &team, PredictionArrays &out) {
        engine_->predict(blocks_, variances, near(pairs), blas, team, out);
    }

    void column_forces(const PairList &pairs, const std::vector<ColumnBlock> &blocks,
                       Blas blas, ThreadTeam &team, const ColumnForces &out) {
        engine_->column_forces(blocks, near(pairs), blas, team, out);
    }

    // Unit power spectra (n_centres, n_features).
    void describe(const PairList &pairs, Blas blas, ThreadTeam &team, Buffer &q) {
        const std::size_t n = static_cast<std::size_t>(pairs.n_centres);
        q.resize(n * static_cast<std::size_t>(n_features()));
        norms_.resize(n);
        engine_->describe(near(pairs), blas, team, q.data(), norms_.data());
    }

    // Sparse points of one central species, without coefficients.
    BlockKernel points(const ArrayFile &file, const std::string &prefix) const {
        const auto points = file.reals(prefix + "points", {-1, -1});
        BlockKernel out;
        out.n_features = n_features();
        out.zeta = zeta_;
        out.n_sparse = ArrayFile::length(prefix + "points", points.shape[0]);
        out.width = ArrayFile::length(prefix + "points", points.shape[1]);
        out.points = points.data;
        if (file.has(prefix + "projection"))
            out.projection =
                file.reals(prefix + "projection", {out.n_features, out.width}).data;
        else if (out.width != out.n_features)
            throw FileError("has sparse points of another length than power spectra");
        return out;
    }

  private:
    PairList near(const PairList &pairs) {
        return cutoff_ < longest_ ? short_.of(pairs, cutoff_) : pairs;
    }

    BlockKernel block(const ArrayFile &file, const std::string &prefix) const {
        BlockKernel out = points(file, prefix);
        if (!file.flag(prefix + "quadratic")) {
            out.coefficients = file.reals(prefix + "coefficients", {out.n_sparse}).data;
            return out;
        }
        if (out.n_sparse != out.width || zeta_ != 2.0)
            throw FileError("has a quadratic form that is not square");
        out.quadratic = out.points;
        out.n_sparse = 0;
        return out;
    }

    static Basis basis(const Source &source, const std::string &prefix) {
        const ArrayFile &file = source.file;
        const RadialArrays table(source, prefix);
        const auto weight = file.reals(prefix + "species_weight", {source.n_species});
        const auto scale = file.reals(prefix + "scale", {-1});
        const auto centre = file.reals(prefix + "centre", {table.n_tables, table.n_max});
        const auto weighting = file.reals(prefix + "weighting", {4});
        const auto last = static_cast<std::int32_t>(source.n_species);
        LayoutParts parts{
            table.n_max,
            table.n_l - 1,
            file.small_integers(prefix + "channel", {source.n_species}, 0, last),
            {weight.begin(), weight.end()}};
        parts.central_in_all = file.flag(prefix + "central_in_all");
        parts.scale.assign(scale.begin(), scale.end());
        parts.products = products(file, prefix);
        const std::vector<double> mixing = read_mixing(source, prefix, parts);
        parts.mixing = mixing.data();
        parts.blocks =
            channels(source, prefix, static_cast<std::int32_t>(parts.mixed.size()));
        Layout layout = make_layout(std::move(parts));
        const Weighting weight_function(
            Weighting::kind_of(file.text(prefix + "weighting_function")), weighting.data[0],
            weighting.data[1], weighting.data[2], weighting.data[3]);
        return table.basis(std::move(layout), weight_function,
                           {centre.begin(), centre.end()});
    }

    static Products products(const ArrayFile &file, const std::string &prefix) {
        if (file.has(prefix + "products"))
            return products_of(file.text(prefix + "products"));
        const bool trivial = file.has(prefix + "trivial") && file.flag(prefix + "trivial");
        return trivial ? Products::first : Products::all;
    }

    // Mixed channels: those of the file, or one that is the total of all densities.
    static std::vector<double> read_mixing(const Source &source, const std::string &prefix,
                                           LayoutParts &parts) {
        const long n = parts.n_max;
        const long n_densities =
            *std::max_element(parts.channel.begin(), parts.channel.end()) + 1;
        if (!source.file.has(prefix + "mixing")) {
            std::vector<double> out;
            if (!source.file.flag(prefix + "total")) return out;
            parts.mixed = {parts.n_max};
            for (long k = 0; k < n_densities * n * n; ++k)
                out.push_back(k % (n * n) % (n + 1) == 0 ? 1.0 : 0.0);
            return out;
        }
        const auto mixed = source.file.small_integers(prefix + "mixed", {-1}, 1,
                                                      static_cast<std::int32_t>(n));
        parts.mixed.assign(mixed.begin(), mixed.end());
        const auto mixing = source.file.reals(
            prefix + "mixing", {static_cast<long>(mixed.size()), n_densities, n, n});
        return {mixing.begin(), mixing.end()};
    }

    // Pairs of channels, each at most once.
    static std::vector<std::pair<int, int>> channels(const Source &source,
                                                     const std::string &prefix,
                                                     std::int32_t n_mixed) {
        const auto most = static_cast<std::int32_t>(source.n_species) + n_mixed;
        const auto blocks = source.file.small_integers(prefix + "blocks", {-1, 2}, 0, most);
        std::vector<std::pair<int, int>> out;
        for (std::size_t b = 0; b < blocks.size(); b += 2)
            out.emplace_back(blocks[b], blocks[b + 1]);
        if (std::set<std::pair<int, int>>(out.begin(), out.end()).size() < out.size())
            throw FileError("has features of two channels twice");
        return out;
    }

    double cutoff_, longest_, zeta_;
    ShortPairs short_;
    Buffer norms_;
    std::unique_ptr<Engine> engine_;
    std::vector<BlockKernel> blocks_;
};

}  // namespace gapfit
