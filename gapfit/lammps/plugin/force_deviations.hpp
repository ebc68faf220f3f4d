// Standard deviations of force components: the forces of a few potentials of the file,
// whose squares add up to the variance. See gapfit.model.force_factor.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ace_term.hpp"
#include "embedding_term.hpp"
#include "local_scale.hpp"
#include "matrix_products.hpp"
#include "pair_columns.hpp"
#include "terms.hpp"
#include "triplet_columns.hpp"

namespace gapfit {

// One term of all potentials.
class ColumnTerm {
  public:
    virtual ~ColumnTerm() = default;
    virtual void add(const PairList &pairs, ThreadTeam &team, const ColumnForces &out) = 0;
};

class SoapColumns final : public ColumnTerm {
  public:
    SoapColumns(const Source &source, const std::string &prefix, SoapTerm &soap,
                int n_columns)
        : soap_(soap) {
        for (long s = 0; s < source.n_species; ++s)
            blocks_.push_back(block(source.file, prefix + std::to_string(s) + "/",
                                    static_cast<std::size_t>(s), n_columns));
    }

    void add(const PairList &pairs, ThreadTeam &team, const ColumnForces &out) override {
        soap_.column_forces(pairs, blocks_, own_blas(), team, out);
    }

  private:
    ColumnBlock block(const ArrayFile &file, const std::string &prefix, std::size_t species,
                      int n_columns) const {
        ColumnBlock out;
        out.points = file.flag(prefix + "shared") ? soap_.blocks()[species]
                                                  : soap_.points(file, prefix);
        if (out.points.quadratic != nullptr)
            throw FileError("has inconsistent factors of the variance of forces");
        out.coefficients =
            file.reals(prefix + "coefficients", {n_columns, out.points.n_sparse}).data;
        return out;
    }

    SoapTerm &soap_;
    std::vector<ColumnBlock> blocks_;  // by species
};

class PairPotentialColumns final : public ColumnTerm {
  public:
    PairPotentialColumns(const Source &source, const std::string &prefix, int n_columns)
        : term_(source, prefix) {
        for (std::size_t b = 0; b < term_.points.size(); ++b) {
            const auto n = static_cast<long>(term_.points[b].size());
            blocks_.push_back(
                {term_.points[b].data,
                 source.file
                     .reals(prefix + "coefficients" + std::to_string(b), {n, n_columns})
                     .data,
                 n});
        }
    }

    void add(const PairList &pairs, ThreadTeam &team, const ColumnForces &out) override {
        add_pair_columns(term_.with_blocks(), blocks_, pairs, team, out);
    }

  private:
    PairKernelArrays term_;
    std::vector<PairColumnBlock> blocks_;
};

class TripletPotentialColumns final : public ColumnTerm {
  public:
    TripletPotentialColumns(const Source &source, const std::string &prefix, int n_columns)
        : term_(source, prefix) {
        // Kernel rows know triplets of distances from the centre only.
        if (term_.kernel.permuted)
            throw FileError("has a permuted kernel among the deviations of forces");
        coefficients_ =
            source.file.reals(prefix + "coefficients", {term_.n_sparse, n_columns}).data;
    }

    void add(const PairList &pairs, ThreadTeam &team, const ColumnForces &out) override {
        add_triplet_columns(term_.range(), term_.kernel, term_.columns, term_.n_sparse,
                            coefficients_, pairs, own_blas(), team, out);
    }

  private:
    TripletKernelArrays term_;
    const double *coefficients_ = nullptr;
};

// Potentials of other kinds, one after the other.
class OneByOne : public ColumnTerm {
  public:
    void add(const PairList &pairs, ThreadTeam &team, const ColumnForces &out) override {
        energies_.resize(static_cast<std::size_t>(pairs.n_centres));
        for (int s = 0; s < out.n_columns; ++s) {
            forces_.assign(3 * static_cast<std::size_t>(pairs.n_atoms), 0.0);
            double virial[9] = {};
            PredictionArrays arrays;
            arrays.energies = energies_.data();
            arrays.forces = forces_.data();
            arrays.virials = virial;
            predict(s, pairs, team, arrays);
            for (std::size_t k = 0; k < forces_.size(); ++k)
                out.values[k * static_cast<std::size_t>(out.n_columns) +
                           static_cast<std::size_t>(s)] += forces_[k];
        }
    }

  private:
    virtual void predict(int column, const PairList &pairs, ThreadTeam &team,
                         PredictionArrays &arrays) = 0;

    Buffer energies_, forces_;
};

class AceColumns final : public OneByOne {
  public:
    AceColumns(const Source &source, const std::string &prefix, AceTerm &ace, int n_columns)
        : ace_(ace) {
        weights_.resize(static_cast<std::size_t>(n_columns));
        for (long s = 0; s < source.n_species; ++s) {
            const std::string name = prefix + "coefficients" + std::to_string(s);
            const bool has = source.file.has(name);
            const double *c =
                has ? source.file.reals(name, {n_columns, ace.size()}).data : nullptr;
            for (auto &weights : weights_) {
                weights.emplace_back();
                if (has) weights.back() = ace.weights(c);
                if (has) c += ace.size();
            }
        }
    }

  private:
    void predict(int column, const PairList &pairs, ThreadTeam &team,
                 PredictionArrays &arrays) override {
        ace_.predict(weights_[static_cast<std::size_t>(column)], pairs, team, arrays);
    }

    AceTerm &ace_;
    std::vector<std::vector<std::vector<double>>> weights_;  // by column and species
};

class EmbeddingColumns final : public OneByOne {
  public:
    EmbeddingColumns(const Source &source, const std::string &prefix, int n_columns) {
        for (int s = 0; s < n_columns; ++s)
            terms_.emplace_back(source, prefix + std::to_string(s) + "/");
    }

  private:
    void predict(int column, const PairList &pairs, ThreadTeam &team,
                 PredictionArrays &arrays) override {
        terms_[static_cast<std::size_t>(column)].predict(pairs, team, arrays);
    }

    std::vector<EmbeddingTerm> terms_;  // of the file, one for each potential
};

// From standard deviations of the function to those of a new observation; see
// gapfit.model.scales.Scale.
class ForceScale {
  public:
    explicit ForceScale(const ArrayFile &file) {
        const auto numbers = file.reals("force_std/scale", {3});
        factor_ = numbers.data[0];
        floor_ = numbers.data[1];
        reach_ = numbers.data[2];
        if (!(factor_ > 0.0 && floor_ >= 0.0))
            throw FileError("has an impossible scale of the standard deviations of forces");
        if (!file.has("force_std/tilt")) return;
        const auto tilt = file.reals("force_std/tilt", {6});
        std::copy(tilt.begin(), tilt.end(), tilt_);
        has_tilt_ = true;
        if (!(tilt_[0] > 0.0 && tilt_[2] > 0.0 && tilt_[2] <= tilt_[3] &&
              tilt_[3] <= tilt_[4]))
            throw FileError("has an impossible tilt of the standard deviations of forces");
    }

    double of_function(double std) const {
        const double scaled = factor_ * std;
        // Without a limit the reach is negative.
        if (factor_ >= 1.0 || reach_ < 0.0) return scaled;
        return scaled + (1.0 - factor_) * std::max(std - reach_, 0.0);
    }

    // local: logarithm of the local scale.
    double of_observation(double std, double local) const {
        const double total = with_floor(std);
        if (!has_tilt_) return total;
        const double inside = std::clamp(std, tilt_[2], tilt_[4]);
        const double tilt =
            tilt_[0] * std::pow(inside / tilt_[3], tilt_[1]) * std::exp(tilt_[5] * local);
        if (tilt >= 1.0) return tilt * total;
        return total - (1.0 - tilt) * std::min(total, with_floor(tilt_[4]));
    }

  private:
    double with_floor(double std) const { return std::hypot(of_function(std), floor_); }

    double factor_ = 1.0, floor_ = 0.0, reach_ = -1.0;
    bool has_tilt_ = false;
    double tilt_[6] = {};  // factor, exponent, least, usual, most, power
};

class ForceDeviations {
  public:
    ForceDeviations(const Source &source, std::vector<SoapTerm> &soaps,
                    std::vector<AceTerm> &aces)
        : n_columns_(source.file.integer("force_std/rank", 1, most_columns)),
          scale_(source.file) {
        for (std::size_t k = 0; k < soaps.size(); ++k)
            terms_.push_back(std::make_unique<SoapColumns>(source, prefix("soap", k),
                                                           soaps[k], n_columns_));
        for (std::size_t k = 0; k < aces.size(); ++k)
            terms_.push_back(std::make_unique<AceColumns>(source, prefix("ace", k), aces[k],
                                                          n_columns_));
        if (source.file.has("force_std/local/soap"))
            local_ = std::make_unique<LocalScale>(source, soaps);
        add<PairPotentialColumns>(source, "pair");
        add<TripletPotentialColumns>(source, "triplet");
        add<EmbeddingColumns>(source, "embedding");
    }

    int n_columns() const { return n_columns_; }

    // Numbers that the forces below have room for.
    std::size_t room() const { return forces_.capacity(); }

    // Forces (n_atoms, 3, n_columns) of all potentials.
    const Buffer &evaluate(const PairList &pairs, ThreadTeam &team) {
        forces_.assign(static_cast<std::size_t>(3 * pairs.n_atoms * n_columns_), 0.0);
        for (const auto &term : terms_)
            term->add(pairs, team, {forces_.data(), n_columns_});
        if (local_) local_->evaluate(pairs, team);
        return forces_;
    }

    // Of a centre of the pairs that were evaluated.
    double of_observation(double std, std::size_t centre) const {
        return scale_.of_observation(std, local_ ? local_->log_of(centre) : 0.0);
    }
    double of_function(double std) const { return scale_.of_function(std); }

  private:
    static constexpr int most_columns = 100000;

    static std::string prefix(const std::string &kind, std::size_t k) {
        return "force_std/" + kind + std::to_string(k) + "/";
    }

    template <class Term>
    void add(const Source &source, const std::string &kind) {
        const int n = source.file.integer("force_std/n_" + kind, 0, most_terms);
        for (int k = 0; k < n; ++k)
            terms_.push_back(std::make_unique<Term>(
                source, prefix(kind, static_cast<std::size_t>(k)), n_columns_));
    }

    int n_columns_;
    ForceScale scale_;
    std::unique_ptr<LocalScale> local_;
    std::vector<std::unique_ptr<ColumnTerm>> terms_;
    Buffer forces_;
};

}  // namespace gapfit
