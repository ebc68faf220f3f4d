// One interface to the descriptor, whatever the number of radial functions.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>

#include "column_forces.hpp"
#include "density_gram.hpp"
#include "predict.hpp"
#include "rows.hpp"

namespace gapfit {

class Engine {
  public:
    virtual ~Engine() = default;
    virtual const Basis &basis() const = 0;
    virtual void describe(const PairList &pairs, Blas blas, ThreadTeam &team, double *q,
                          double *norms) const = 0;
    virtual void density_gram(const PairList &pairs, ThreadTeam &team,
                              double *gram) const = 0;
    virtual void predict(const std::vector<BlockKernel> &blocks, const Variances &variances,
                         const PairList &pairs, Blas blas, ThreadTeam &team,
                         PredictionArrays &out, const SharedAce *ace = nullptr) const = 0;
    virtual void column_forces(const std::vector<ColumnBlock> &blocks,
                               const PairList &pairs, Blas blas, ThreadTeam &team,
                               const ColumnForces &out) const = 0;
    virtual void kernel_rows(const std::vector<RowBlock> &blocks, double delta2,
                             double zeta, const PairList &pairs, ThreadTeam &team,
                             const RowArrays &out) const = 0;
};

namespace detail {

template <int NV>
class EngineOf final : public Engine {
  public:
    explicit EngineOf(Basis basis) : basis_(std::move(basis)) {}

    const Basis &basis() const override { return basis_; }

    void describe(const PairList &pairs, Blas blas, ThreadTeam &team, double *q,
                  double *norms) const override {
        gapfit::describe<NV>(basis_, pairs, blas, team, q, norms);
    }

    void density_gram(const PairList &pairs, ThreadTeam &team,
                      double *gram) const override {
        gapfit::density_gram<NV>(basis_, pairs, team, gram);
    }

    void predict(const std::vector<BlockKernel> &blocks, const Variances &variances,
                 const PairList &pairs, Blas blas, ThreadTeam &team, PredictionArrays &out,
                 const SharedAce *ace) const override {
        gapfit::predict<NV>(basis_, blocks, variances, pairs, blas, team, out, ace);
    }

    void column_forces(const std::vector<ColumnBlock> &blocks, const PairList &pairs,
                       Blas blas, ThreadTeam &team,
                       const ColumnForces &out) const override {
        gapfit::column_forces<NV>(basis_, blocks, pairs, blas, team, out);
    }

    void kernel_rows(const std::vector<RowBlock> &blocks, double delta2, double zeta,
                     const PairList &pairs, ThreadTeam &team,
                     const RowArrays &out) const override {
        gapfit::kernel_rows<NV>(basis_, blocks, delta2, zeta, pairs, team, out);
    }

  private:
    Basis basis_;
};

template <int NV>
std::unique_ptr<Engine> make_engine(Basis &&basis) {
    if (padded(basis.layout.n_max) == NV * lanes)
        return std::make_unique<EngineOf<NV>>(std::move(basis));
    if constexpr (NV * lanes < 16)
        return make_engine<NV + 1>(std::move(basis));
    else
        throw std::invalid_argument("n_max must lie between 1 and 16");
}

}  // namespace detail

inline std::unique_ptr<Engine> make_engine(Basis &&basis) {
    return detail::make_engine<1>(std::move(basis));
}

}  // namespace gapfit
