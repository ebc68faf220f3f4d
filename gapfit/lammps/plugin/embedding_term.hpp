// Energies by the density of neighbours of an exported potential, from the arrays of its
// file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding.hpp"
#include "terms.hpp"

namespace gapfit {

class EmbeddingTerm {
  public:
    EmbeddingTerm(const Source &source, const std::string &prefix) {
        const ArrayFile &file = source.file;
        const long n = source.n_species;
        const auto values = file.reals(prefix + "values", {1, -1, 3});
        const auto curves = file.reals(prefix + "curves", {-1, -1, 3});
        const int n_curves = ArrayFile::length(prefix + "curves", curves.shape[0]);
        curve_ = file.small_integers(prefix + "curve", {n}, -1, n_curves - 1);
        static_cast<HermiteTable &>(table_.density) = {
            values.data, ArrayFile::length(prefix + "values", values.shape[1]),
            file.real(prefix + "start", -longest_length, longest_length),
            file.real(prefix + "spacing", shortest_length, longest_length)};
        table_.density.cosine = file.real(prefix + "cosine", 0.0, longest_length);
        table_.density.n_species = static_cast<std::int32_t>(n);
        table_.weights = file.reals(prefix + "weights", {n, n}).data;
        table_.energy = {
            curves.data, ArrayFile::length(prefix + "curves", curves.shape[1]), 0.0,
            file.real(prefix + "curve_spacing", shortest_length, longest_length)};
        if (table_.density.n_knots < 2 || table_.energy.n_knots < 2)
            throw FileError("has a density of neighbours without knots");
    }

    void predict(const PairList &pairs, ThreadTeam &team, PredictionArrays &out) const {
        add_embedding_energies(table(), pairs, team, out);
    }

    // Densities of all centres.
    void describe(const PairList &pairs, Buffer &densities) const {
        const EmbeddingTable own = table();
        DensitySum sum(own, pairs);
        densities.resize(static_cast<std::size_t>(pairs.n_centres));
        for (std::int64_t c = 0; c < pairs.n_centres; ++c)
            densities[static_cast<std::size_t>(c)] = sum.evaluate(c);
    }

  private:
    EmbeddingTable table() const {
        EmbeddingTable out = table_;
        out.curve = curve_.data();
        return out;
    }

    EmbeddingTable table_;
    std::vector<std::int32_t> curve_;
};

}  // namespace gapfit
