// Standard deviations of local energies: covariances of the terms, and the factors W of the
// file that turn them into variances. See gapfit.model.local_variance.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ace_term.hpp"
#include "embedding_term.hpp"
#include "matrix_products.hpp"
#include "terms.hpp"

namespace gapfit {

// A term other than the SOAP term whose batches give the variances.
class OtherTerm {
  public:
    virtual ~OtherTerm() = default;
    virtual std::int64_t n_columns() const = 0;
    // covariances (n_centres, n_columns), zero before; priors (n_centres).
    virtual void covariances(const PairList &pairs, ThreadTeam &team, double *covariances,
                             double *priors) = 0;
};

class OtherPairs final : public OtherTerm {
  public:
    OtherPairs(const Source &source, const std::string &prefix) : term_(source, prefix) {
        for (const ArrayView<double> &points : term_.points) {
            const auto size = static_cast<std::int64_t>(points.size());
            columns_.push_back({points.data, size, n_columns_});
            n_columns_ += size;
        }
    }

    std::int64_t n_columns() const override { return n_columns_; }

    void covariances(const PairList &pairs, ThreadTeam &team, double *covariances,
                     double *priors) override {
        pair_covariances(term_.with_blocks(), columns_, n_columns_, pairs, team,
                         covariances, priors);
    }

  private:
    PairKernelArrays term_;
    std::vector<PairColumns> columns_;
    std::int64_t n_columns_ = 0;
};

class OtherTriplets final : public OtherTerm {
  public:
    OtherTriplets(const Source &source, const std::string &prefix)
        : term_(source, prefix) {}

    std::int64_t n_columns() const override { return term_.n_sparse; }

    void covariances(const PairList &pairs, ThreadTeam &team, double *covariances,
                     double *priors) override {
        const TripletRange range = term_.range();
        TripletRows rows;
        rows.n_columns = term_.n_sparse;
        rows.by_centre = true;
        rows.energies = covariances;
        add_triplet_rows(range, term_.kernel, term_.columns, pairs, team, rows);
        triplet_priors(range, term_.kernel, static_cast<std::int32_t>(term_.columns.size()),
                       pairs, team, priors);
    }

  private:
    TripletKernelArrays term_;
};

class OtherSoap final : public OtherTerm {
  public:
    OtherSoap(const Source &source, const std::string &prefix, SoapTerm &soap)
        : soap_(soap) {
        const double delta = source.file.real(prefix + "delta");
        delta2_ = delta * delta;
        for (long s = 0; s < source.n_species; ++s) {
            const std::string own = prefix + std::to_string(s) + "/";
            points_.emplace_back();
            if (source.file.has(own + "points"))
                points_.back() = soap.points(source.file, own);
            first_.push_back(n_columns_);
            n_columns_ += points_.back().n_sparse;
        }
    }

    std::int64_t n_columns() const override { return n_columns_; }

    void covariances(const PairList &pairs, ThreadTeam &team, double *covariances,
                     double *priors) override {
        soap_.describe(pairs, own_blas(), team, q_);
        for (std::size_t s = 0; s < points_.size(); ++s)
            if (points_[s].n_sparse > 0) of_species(s, pairs, covariances, priors);
    }

  private:
    // Centres of one species are gathered, so that products are of matrices.
    void of_species(std::size_t species, const PairList &pairs, double *covariances,
                    double *priors) {
        const BlockKernel &points = points_[species];
        const std::size_t F = static_cast<std::size_t>(points.n_features);
        const std::size_t m = static_cast<std::size_t>(points.n_sparse);
        centres_.clear();
        own_.clear();
        for (std::int64_t c = 0; c < pairs.n_centres; ++c) {
            if (pairs.species[c] != static_cast<std::int32_t>(species)) continue;
            const double *q = q_.data() + static_cast<std::size_t>(c) * F;
            centres_.push_back(static_cast<std::size_t>(c));
            own_.insert(own_.end(), q, q + F);
            priors[c] = dot(q, q, points.n_features) == 0.0 ? 0.0 : delta2_;
        }
        k_.resize(centres_.size() * m);
        KernelSum(own_blas(), scratch_)
            .evaluate(points, static_cast<int>(centres_.size()), own_.data(),
                      {k_.data(), static_cast<std::ptrdiff_t>(m), delta2_});
        for (std::size_t n = 0; n < centres_.size(); ++n)
            std::copy_n(k_.data() + n * m, m,
                        covariances + centres_[n] * static_cast<std::size_t>(n_columns_) +
                            first_[species]);
    }

    SoapTerm &soap_;
    double delta2_ = 0.0;
    std::vector<BlockKernel> points_;  // by species
    std::vector<std::int64_t> first_;  // by species
    std::int64_t n_columns_ = 0;
    KernelSum::Scratch scratch_;
    std::vector<std::size_t> centres_;
    Buffer q_, own_, k_;
};

class OtherAce final : public OtherTerm {
  public:
    OtherAce(const Source &source, const std::string &prefix, AceTerm &ace) : ace_(ace) {
        const double delta = source.file.real(prefix + "delta");
        delta2_ = delta * delta;
        for (long s = 0; s < source.n_species; ++s) {
            const std::string name = prefix + "scales" + std::to_string(s);
            scales_.push_back(nullptr);
            first_.push_back(n_columns_);
            if (!source.file.has(name)) continue;
            scales_.back() = source.file.reals(name, {ace.size()}).data;
            n_columns_ += ace.size();
        }
    }

    std::int64_t n_columns() const override { return n_columns_; }

    void covariances(const PairList &pairs, ThreadTeam &team, double *covariances,
                     double *priors) override {
        const std::size_t n = static_cast<std::size_t>(ace_.size());
        ace_.describe(pairs, team, B_);
        for (std::int64_t c = 0; c < pairs.n_centres; ++c) {
            const std::size_t species = static_cast<std::size_t>(pairs.species[c]);
            const double *scales = scales_[species];
            if (scales == nullptr) continue;
            const double *B = B_.data() + static_cast<std::size_t>(c) * n;
            double *to = covariances + c * n_columns_ + first_[species];
            for (std::size_t f = 0; f < n; ++f) {
                const double x = scales[f] * B[f];
                to[f] = delta2_ * x;
                priors[c] += delta2_ * x * x;
            }
        }
    }

  private:
    AceTerm &ace_;
    double delta2_ = 0.0;
    std::vector<const double *> scales_;  // by species
    std::vector<std::int64_t> first_;     // by species
    std::int64_t n_columns_ = 0;
    Buffer B_;
};

class OtherEmbedding final : public OtherTerm {
  public:
    OtherEmbedding(const Source &source, const std::string &prefix,
                   const EmbeddingTerm &term)
        : term_(term) {
        const ArrayFile &file = source.file;
        const double delta = file.real(prefix + "delta");
        delta2_ = delta * delta;
        theta_ = file.real(prefix + "theta", shortest_length, longest_length);
        for (long s = 0; s < source.n_species; ++s) {
            points_.push_back(file.reals(prefix + "points" + std::to_string(s), {-1}));
            first_.push_back(n_columns_);
            n_columns_ += ArrayFile::length(prefix + "points", points_.back().shape[0]);
        }
    }

    std::int64_t n_columns() const override { return n_columns_; }

    void covariances(const PairList &pairs, ThreadTeam &, double *covariances,
                     double *priors) override {
        term_.describe(pairs, densities_);
        for (std::int64_t c = 0; c < pairs.n_centres; ++c) {
            const std::size_t species = static_cast<std::size_t>(pairs.species[c]);
            const double density = densities_[static_cast<std::size_t>(c)];
            double *to = covariances + c * n_columns_ + first_[species];
            for (const double point : points_[species]) {
                const double x = (density - point) / theta_;
                *to++ = delta2_ * std::exp(-0.5 * x * x);
            }
            priors[c] = delta2_;
        }
    }

  private:
    const EmbeddingTerm &term_;
    double delta2_ = 0.0, theta_ = 1.0;
    std::vector<ArrayView<double>> points_;  // by species
    std::vector<std::int64_t> first_;        // by species
    std::int64_t n_columns_ = 0;
    Buffer densities_;
};

// Terms that know more than the arrays of their covariances.
struct KnownTerms {
    std::vector<SoapTerm> &soaps;
    std::vector<AceTerm> &aces;
    const std::vector<EmbeddingTerm> &embeddings;
};

// Turns covariances into variances, in the batches of one SOAP term.
class Deviations {
  public:
    // chosen: the SOAP term that the file names.
    Deviations(const Source &source, const KnownTerms &terms, std::size_t chosen) {
        const ArrayFile &file = source.file;
        const int n_others = file.integer("variance/n_others", 0, most_terms);
        for (int k = 0; k < n_others; ++k) {
            others_.push_back(
                other(source, "variance/other" + std::to_string(k) + "/", terms));
            n_other_ += others_.back()->n_columns();
        }
        for (long s = 0; s < source.n_species; ++s)
            add_block(file, terms.soaps[chosen], static_cast<std::size_t>(s));
    }

    // What the SOAP term is asked for along with its energies.
    Variances request(const PairList &pairs, ThreadTeam &team) {
        const std::size_t n = static_cast<std::size_t>(pairs.n_centres);
        values_.assign(n, 0.0);
        covariances_.assign(n * static_cast<std::size_t>(width_), 0.0);
        std::size_t first = 0;
        for (const auto &other : others_) {
            const std::size_t own = static_cast<std::size_t>(other->n_columns());
            all_.assign(n * own, 0.0);
            priors_.assign(n, 0.0);
            other->covariances(pairs, team, all_.data(), priors_.data());
            for (std::size_t c = 0; c < n; ++c) {
                values_[c] += priors_[c];
                select(pairs, c, first, own);
            }
            first += own;
        }
        Variances out;
        out.blocks = blocks_;
        out.other = covariances_.data();
        out.n_columns = width_;
        out.values = values_.data();
        return out;
    }

    // After the SOAP term has done its part.
    double deviation(std::size_t centre) const {
        return std::sqrt(std::max(values_[centre], 0.0));
    }

  private:
    static std::unique_ptr<OtherTerm> other(const Source &source, const std::string &prefix,
                                            const KnownTerms &terms) {
        const std::string type = source.file.text(prefix + "type");
        // The term of that type whose number the file has.
        const auto chosen = [&](auto &some) -> auto & {
            const int last = static_cast<int>(some.size()) - 1;
            const int number = source.file.integer(prefix + type, 0, last);
            return some[static_cast<std::size_t>(number)];
        };
        if (type == "distance_2b") return std::make_unique<OtherPairs>(source, prefix);
        if (type == "angle_3b") return std::make_unique<OtherTriplets>(source, prefix);
        if (type == "ace")
            return std::make_unique<OtherAce>(source, prefix, chosen(terms.aces));
        if (type == "eam_density")
            return std::make_unique<OtherEmbedding>(source, prefix,
                                                    chosen(terms.embeddings));
        if (type == "soap")
            return std::make_unique<OtherSoap>(source, prefix, chosen(terms.soaps));
        throw FileError("names a type of terms that there is not");
    }

    void add_block(const ArrayFile &file, const SoapTerm &soap, std::size_t species) {
        const std::string prefix = "variance/" + std::to_string(species) + "/";
        VarianceBlock block;
        // With the points of the sum, their kernels are computed once.
        block.points = file.flag(prefix + "shared") ? soap.blocks()[species]
                                                    : soap.points(file, prefix);
        const double delta = file.real(prefix + "delta");
        block.delta2 = delta * delta;
        if (block.points.quadratic)
            throw FileError("has inconsistent factors of the variance");
        const auto columns = file.integers(prefix + "columns", {-1}, 0, n_other_ - 1);
        block.other = ArrayFile::length(prefix + "columns", columns.size());
        block.before = file.integer(prefix + "before", 0, block.other);
        block.L = file.reals(prefix + "L", {block.size(), block.size()}).data;
        columns_.emplace_back(columns.begin(), columns.end());
        width_ = std::max<std::ptrdiff_t>(width_, block.other);
        blocks_.push_back(block);
    }

    // Copies the columns that count for the species of a centre out of those of one term.
    void select(const PairList &pairs, std::size_t centre, std::size_t first,
                std::size_t n) {
        const std::vector<std::size_t> &wanted = columns_[pairs.species[centre]];
        for (std::size_t k = 0; k < wanted.size(); ++k)
            if (wanted[k] >= first && wanted[k] < first + n)
                covariances_[centre * width_ + k] = all_[centre * n + wanted[k] - first];
    }

    std::vector<std::unique_ptr<OtherTerm>> others_;
    std::vector<VarianceBlock> blocks_;              // by species
    std::vector<std::vector<std::size_t>> columns_;  // by species
    std::int64_t n_other_ = 0;
    std::ptrdiff_t width_ = 0;
    Buffer values_, covariances_, all_, priors_;
};

}  // namespace gapfit
