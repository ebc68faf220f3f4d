// The cluster expansion of an exported potential, from the arrays of its file.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ace.hpp"
#include "terms.hpp"

namespace gapfit {

class AceTerm {
  public:
    AceTerm(const Source &source, const std::string &prefix)
        : cutoff_(source.file.real(prefix + "cutoff", shortest_length, longest_length)),
          longest_(source.file.real("cutoff")), ace_(make_ace(basis(source, prefix))) {
        const ArrayFile &file = source.file;
        for (long s = 0; s < source.n_species; ++s) {
            const std::string name = prefix + "coefficients" + std::to_string(s);
            weights_.emplace_back();
            if (file.has(name)) weights_.back() = weights(file.reals(name, {size()}).data);
        }
    }

    int size() const { return ace_->basis().invariants.size(); }

    // What `predict` takes, from the coefficients (size) of one central species.
    std::vector<double> weights(const double *coefficients) const {
        return ace_->basis().invariants.weights(coefficients);
    }

    void predict(const PairList &pairs, ThreadTeam &team, PredictionArrays &out) {
        predict(weights_, pairs, team, out);
    }

    // With other weights, by species.
    void predict(const std::vector<std::vector<double>> &weights, const PairList &pairs,
                 ThreadTeam &team, PredictionArrays &out) {
        ace_->predict(weights, near(pairs), team, out);
    }

    // Functions (n_centres, size).
    void describe(const PairList &pairs, ThreadTeam &team, Buffer &B) {
        B.resize(static_cast<std::size_t>(pairs.n_centres) *
                 static_cast<std::size_t>(size()));
        ace_->describe(near(pairs), team, B.data());
    }

  private:
    PairList near(const PairList &pairs) {
        return cutoff_ < longest_ ? short_.of(pairs, cutoff_) : pairs;
    }

    static AceBasis basis(const Source &source, const std::string &prefix) {
        const ArrayFile &file = source.file;
        const int n_functions = file.integer(prefix + "n_functions", 0, 1000000);
        const RadialArrays table(source, prefix);
        const auto most = static_cast<std::int32_t>(source.n_species) - 1;
        const auto channels =
            file.small_integers(prefix + "channel", {source.n_species}, 0, most);
        const std::vector<double> ones(channels.size(), 1.0);
        Basis basis = table.basis(
            make_layout(
                {table.n_max, table.n_l - 1, {channels.begin(), channels.end()}, ones}),
            Weighting(Weighting::Kind::none, 1.0, 1.0, 1.0, 1.0),
            std::vector<double>(static_cast<std::size_t>(table.n_tables * table.n_max),
                                0.0));
        std::vector<Coefficient> coefficients;
        const auto places = file.small_integers(prefix + "places", {-1, 3}, 0, 100000);
        for (std::size_t k = 0; k < places.size(); k += 3)
            coefficients.push_back({places[k], places[k + 1], places[k + 2]});
        const int n = static_cast<int>(coefficients.size());
        std::vector<Invariants::Product> products;
        const auto factors = file.small_integers(prefix + "products",
                                                 {-1, Invariants::most_factors}, -1, n - 1);
        for (std::size_t k = 0; k < factors.size(); k += Invariants::most_factors)
            products.push_back(
                {factors[k], factors[k + 1], factors[k + 2], factors[k + 3]});
        return {std::move(basis), std::move(coefficients),
                Invariants(n, n_functions, products,
                           summands(file, prefix, n_functions, products.size()))};
    }

    static std::vector<Invariants::Summand> summands(const ArrayFile &file,
                                                     const std::string &prefix,
                                                     int n_functions,
                                                     std::size_t n_products) {
        const auto numbers = file.small_integers(
            prefix + "summands", {-1, 2}, 0,
            std::max(n_functions, static_cast<std::int32_t>(n_products)) - 1);
        const long n = static_cast<long>(numbers.size() / 2);
        const auto factors = file.reals(prefix + "factors", {n});
        std::vector<Invariants::Summand> out;
        for (long k = 0; k < n; ++k)
            out.push_back({numbers[2 * k], numbers[2 * k + 1], factors.data[k]});
        return out;
    }

    double cutoff_, longest_;
    ShortPairs short_;
    std::unique_ptr<Ace> ace_;
    std::vector<std::vector<double>> weights_;  // by species
};

}  // namespace gapfit
