// Atomic cluster expansion: energies linear in invariant polynomials of the density
// (Drautz, Phys. Rev. B 99, 014104 (2019)).
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "ace_rows.hpp"
#include "invariants.hpp"
#include "predict.hpp"

namespace gapfit {

class Ace {
  public:
    virtual ~Ace() = default;
    virtual const AceBasis &basis() const = 0;
    // Polynomials (n_centres, n_functions).
    virtual void describe(const PairList &pairs, ThreadTeam &team, double *B) const = 0;
    // weights: by species, those of `Invariants::weights`; empty: none of its energies.
    virtual void predict(const std::vector<std::vector<double>> &weights,
                         const PairList &pairs, ThreadTeam &team,
                         PredictionArrays &out) const = 0;
    virtual void rows(const std::vector<AceRowBlock> &blocks, const PairList &pairs,
                      Blas blas, ThreadTeam &team, const RowArrays &out) const = 0;
};

namespace detail {

// Works on `lanes` centres of one species at once.
template <int NV>
class AceWorker {
  public:
    explicit AceWorker(const AceBasis &basis)
        : basis_(basis), expansion_(basis.basis), offsets_(basis.offsets(NV * lanes)),
          near_(lanes), c_(expansion_.coefficients()), v_(basis.invariants.n_values()) {}

    // Densities of up to `lanes` centres, and their shared products.
    void expand(const PairList &pairs, const std::int64_t *centres, int n) {
        for (int lane = 0; lane < lanes; ++lane) {
            if (lane < n) {
                near_[lane].gather(basis_.basis, pairs, centres[lane]);
                expansion_.density(near_[lane], c_.data());
            }
            for (std::size_t k = 0; k < offsets_.size(); ++k)
                v_[Invariants::at(static_cast<int>(k), lane)] =
                    lane < n ? c_[offsets_[k]] : 0.0;
        }
        basis_.invariants.multiply(v_.data());
    }

    void describe(const PairList &pairs, const std::int64_t *centres, int n, double *B) {
        const std::size_t size = static_cast<std::size_t>(basis_.invariants.size());
        expand(pairs, centres, n);
        B_.resize(size * lanes);
        basis_.invariants.polynomials(v_.data(), B_.data());
        for (int lane = 0; lane < n; ++lane)
            for (std::size_t f = 0; f < size; ++f)
                B[static_cast<std::size_t>(centres[lane]) * size + f] =
                    B_[f * lanes + static_cast<std::size_t>(lane)];
    }

    void predict(const std::vector<double> &weights, const PairList &pairs,
                 const std::int64_t *centres, int n, PredictionArrays &out) {
        Stopwatch watch;
        expand(pairs, centres, n);
        out.seconds[0] += watch.lap();
        if (out.forces == nullptr) {
            const Vec E = basis_.invariants.sum(weights.data(), v_.data());
            for (int lane = 0; lane < n; ++lane) out.energies[centres[lane]] = E[lane];
            return;
        }
        w_.resize(v_.size());
        const Vec E =
            basis_.invariants.sum_with_adjoint(weights.data(), v_.data(), w_.data());
        out.seconds[1] += watch.lap();
        d_.assign(c_.size(), 0.0);
        for (int lane = 0; lane < n; ++lane) {
            out.energies[centres[lane]] = E[lane];
            for (std::size_t k = 0; k < offsets_.size(); ++k)
                d_[offsets_[k]] = w_[Invariants::at(static_cast<int>(k), lane)];
            scatter(expansion_, near_[lane], d_.data(), pairs, centres[lane], pair_, out);
        }
        out.seconds[2] += watch.lap();
    }

  private:
    const AceBasis &basis_;
    Expansion<NV> expansion_;
    std::vector<std::size_t> offsets_;
    std::vector<Neighbourhood> near_;
    Buffer c_, v_, w_, d_, B_, pair_;
};

template <int NV>
class AceOf final : public Ace {
  public:
    explicit AceOf(AceBasis basis) : basis_(std::move(basis)) {}

    const AceBasis &basis() const override { return basis_; }

    void describe(const PairList &pairs, ThreadTeam &team, double *B) const override {
        PredictionArrays none;
        for_each_group(pairs, team, none,
                       [&](AceWorker<NV> &worker, int, const auto *centres, int n,
                           PredictionArrays &) { worker.describe(pairs, centres, n, B); });
    }

    void predict(const std::vector<std::vector<double>> &weights, const PairList &pairs,
                 ThreadTeam &team, PredictionArrays &out) const override {
        for_each_group(pairs, team, out,
                       [&](AceWorker<NV> &worker, int species, const auto *centres, int n,
                           PredictionArrays &own) {
                           if (!weights[species].empty())
                               worker.predict(weights[species], pairs, centres, n, own);
                       });
    }

    void rows(const std::vector<AceRowBlock> &blocks, const PairList &pairs, Blas blas,
              ThreadTeam &team, const RowArrays &out) const override {
        AceRowBuilder<NV> builder(basis_, blas, team, pairs, out);
        for (const Batch &batch : make_batches(pairs, basis_.basis.layout, 1))
            builder.add(batch.centres, blocks[batch.species]);
    }

  private:
    // Calls work(worker, species, centres, n, arrays) for groups of centres of one
    // species. Shares add to arrays of their own, summed in a fixed order: deterministic.
    template <class Work>
    void for_each_group(const PairList &pairs, ThreadTeam &team, PredictionArrays &out,
                        const Work &work) const {
        const std::size_t n_shares = static_cast<std::size_t>(team.size());
        const std::vector<Batch> batches =
            make_batches(pairs, basis_.basis.layout, team.size());
        std::vector<OwnArrays> parts(n_shares, OwnArrays(out));
        team.run([&](int share) {
            if (share > 0) parts[share].allocate(pairs);
            AceWorker<NV> worker(basis_);
            for (std::size_t b = share; b < batches.size(); b += n_shares) {
                const std::vector<std::int64_t> &centres = batches[b].centres;
                for (std::size_t k = 0; k < centres.size(); k += lanes) {
                    const int n =
                        static_cast<int>(std::min<std::size_t>(lanes, centres.size() - k));
                    work(worker, batches[b].species, &centres[k], n, parts[share].arrays);
                }
                team.check();
            }
        });
        for (const OwnArrays &part : parts) part.add_to(out);
    }

    AceBasis basis_;
};

template <int NV>
std::unique_ptr<Ace> make_ace(AceBasis &&basis) {
    if (padded(basis.basis.layout.n_max) == NV * lanes)
        return std::make_unique<AceOf<NV>>(std::move(basis));
    if constexpr (NV * lanes < 16)
        return make_ace<NV + 1>(std::move(basis));
    else
        throw std::invalid_argument("n_max must lie between 1 and 16");
}

}  // namespace detail

inline std::unique_ptr<Ace> make_ace(AceBasis &&basis) {
    return detail::make_ace<1>(std::move(basis));
}

}  // namespace gapfit
