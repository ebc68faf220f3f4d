// Energies, forces and virials of all centres of a pair list: batches of descriptors,
// one matrix product forward, one backward, then the adjoint down to the atoms.
#pragma once

#include <chrono>
#include <cmath>
#include <optional>
#include <vector>

#include "expansion.hpp"
#include "kernel.hpp"
#include "prediction.hpp"
#include "shared_ace.hpp"
#include "variance.hpp"

namespace gapfit {

namespace detail {

// Centres of one species, handled together.
struct Batch {
    int species = 0;
    std::vector<std::int64_t> centres;
};

inline std::vector<Batch> make_batches(const PairList &pairs, const Layout &layout,
                                       int n_threads) {
    // Enough rows for the matrix product at full rate, few enough for the caches.
    const std::int64_t most = layout.at_once(256), least = std::min<std::int64_t>(16, most);
    std::vector<std::vector<std::int64_t>> own(layout.channel.size());
    for (std::int64_t k = 0; k < pairs.n_centres; ++k)
        own[pairs.species[pairs.start + k]].push_back(k);
    std::vector<Batch> batches;
    for (std::size_t s = 0; s < own.size(); ++s) {
        const std::int64_t n = static_cast<std::int64_t>(own[s].size());
        std::int64_t parts = (n + most * n_threads - 1) / (most * n_threads) * n_threads;
        parts = std::min(parts, std::max<std::int64_t>(n / least, 1));
        for (std::int64_t part = 0; n > 0 && part < parts; ++part) {
            Batch batch;
            batch.species = static_cast<int>(s);
            batch.centres.assign(own[s].begin() + n * part / parts,
                                 own[s].begin() + n * (part + 1) / parts);
            batches.push_back(std::move(batch));
        }
    }
    return batches;
}

class Stopwatch {
  public:
    double lap() {
        const auto now = std::chrono::steady_clock::now();
        const double seconds = std::chrono::duration<double>(now - last_).count();
        last_ = now;
        return seconds;
    }

  private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Unit vectors q in place of power spectra p; an empty environment stays zero.
inline double normalise(double *p, int n) {
    const double square = dot(p, p, n);
    if (square == 0.0) return 1.0;
    const double norm = std::sqrt(square), inverse = 1.0 / norm;
    for (int f = 0; f < n; ++f) p[f] *= inverse;
    return norm;
}

// dE/dp = (dE/dq - q (q·dE/dq)) / |p|.
inline void through_norm(const double *q, double norm, double *g, int n) {
    const double along = dot(q, g, n), inverse = 1.0 / norm;
    for (int f = 0; f < n; ++f) g[f] = (g[f] - along * q[f]) * inverse;
}

// Buffers of one thread, kept from call to call: new memory would cost a page fault for
// every few numbers.
struct Scratch {
    Buffer c, p, q, norms, energies, g, d, pair, k;
    KernelSum::Scratch kernel;
    Neighbourhood near;

    static Scratch &of_this_thread() {
        static thread_local Scratch scratch;
        return scratch;
    }
};

// Forces and virials of one centre from dE/dc, added to those of its neighbours.
template <int NV>
void scatter(Expansion<NV> &expansion, const Neighbourhood &near, const double *d,
             const PairList &pairs, std::int64_t centre, Buffer &buffer,
             PredictionArrays &out) {
    const std::size_t width = static_cast<std::size_t>(near.width());
    buffer.resize(3 * width);
    double *gradients = buffer.data();
    expansion.pair_gradients(near, d, gradients);
    const std::int64_t i = pairs.start + centre;
    double own[3] = {0, 0, 0}, virial[9] = {};
    for (int k = 0; k < near.size(); ++k) {
        const std::int64_t j = pairs.j[near.order[k]];
        const double *R = pairs.R + 3 * near.order[k];
        for (int x = 0; x < 3; ++x) {
            const double g = gradients[x * width + k];
            own[x] += g;
            out.forces[3 * j + x] -= g;
            for (int y = 0; y < 3; ++y) virial[3 * y + x] -= R[y] * g;
            if (out.atom_virials == nullptr) continue;
            for (int y = 0; y < 3; ++y)
                out.atom_virials[9 * j + 3 * y + x] -= R[y] * gradients[x * width + k];
        }
    }
    for (int x = 0; x < 3; ++x) out.forces[3 * i + x] += own[x];
    for (int k = 0; k < 9; ++k) out.virials[9 * pairs.frame[i] + k] += virial[k];
}

// Works on one batch after the other.
template <int NV>
class Worker {
  public:
    // ace: shares the densities; null for none.
    Worker(const Basis &basis, Blas blas, const SharedAce *ace = nullptr)
        : basis_(basis), expansion_(basis), scratch_(Scratch::of_this_thread()),
          blas_(blas), kernel_(blas, scratch_.kernel) {
        if (ace != nullptr) ace_.emplace(*ace, basis);
    }

    void predict(const Batch &batch, const BlockKernel &block, const Variances &variances,
                 const PairList &pairs, PredictionArrays &out) {
        Stopwatch watch;
        const int n = static_cast<int>(batch.centres.size());
        const std::size_t F = static_cast<std::size_t>(block.n_features);
        describe(batch, pairs);
        out.seconds[0] += watch.lap();
        scratch_.energies.resize(static_cast<std::size_t>(n));
        const bool gradients = out.forces != nullptr;
        if (gradients) scratch_.g.resize(static_cast<std::size_t>(n) * F);
        double *g = gradients ? scratch_.g.data() : nullptr;
        if (variances.values != nullptr)
            with_variances(batch, block, variances, g);
        else
            kernel_.evaluate(block, n, scratch_.q.data(), scratch_.energies.data(), g);
        out.seconds[1] += watch.lap();
        const std::size_t C = expansion_.coefficients();
        scratch_.d.resize(C);
        for (std::size_t k = 0; k < batch.centres.size(); ++k) {
            const std::size_t lane = k % lanes;
            if (ace_ && lane == 0)
                ace_->evaluate(batch.species, scratch_.c.data() + k * C, C,
                               std::min(lanes, n - static_cast<int>(k)), gradients,
                               scratch_.energies.data() + k);
            out.energies[batch.centres[k]] = scratch_.energies[k];
            if (!gradients) continue;
            double *own = g + k * F;
            through_norm(scratch_.q.data() + k * F, scratch_.norms[k], own,
                         block.n_features);
            expansion_.adjoint(scratch_.c.data() + k * C, own, scratch_.d.data());
            if (ace_) ace_->add_adjoint(static_cast<int>(lane), scratch_.d.data());
            scratch_.near.gather(basis_, pairs, batch.centres[k]);
            scatter(expansion_, scratch_.near, scratch_.d.data(), pairs, batch.centres[k],
                    scratch_.pair, out);
        }
        out.seconds[2] += watch.lap();
    }

    // Unit vectors (n, n_features) and norms of a batch.
    void describe(const Batch &batch, const PairList &pairs) {
        const std::size_t n = batch.centres.size(), C = expansion_.coefficients();
        const std::size_t F = static_cast<std::size_t>(basis_.layout.n_features());
        scratch_.c.resize(n * C);
        scratch_.p.resize(expansion_.features());
        scratch_.q.resize(n * F);
        scratch_.norms.resize(n);
        double *p = scratch_.p.data();
        for (std::size_t k = 0; k < n; ++k) {
            double *c = scratch_.c.data() + k * C;
            scratch_.near.gather(basis_, pairs, batch.centres[k]);
            expansion_.density(scratch_.near, c);
            expansion_.power_spectrum(c, p);
            scratch_.norms[k] = normalise(p, static_cast<int>(F));
            std::copy(p, p + F, scratch_.q.data() + k * F);
        }
    }

    const Buffer &unit_vectors() const { return scratch_.q; }
    const Buffer &norms() const { return scratch_.norms; }

  private:
    // Energies, gradients g unless null, and variances of a batch that is described.
    void with_variances(const Batch &batch, const BlockKernel &block,
                        const Variances &variances, double *g) {
        const VarianceBlock &own = variances.blocks[batch.species];
        const int n = static_cast<int>(batch.centres.size());
        const std::ptrdiff_t size = own.size(), F = block.n_features;
        scratch_.k.resize(static_cast<std::size_t>(n * size));
        for (int k = 0; k < n; ++k) {
            const double *other = variances.other + batch.centres[k] * variances.n_columns;
            double *row = scratch_.k.data() + k * size;
            std::copy(other, other + own.before, row);
            std::copy(other + own.before, other + own.other,
                      row + own.before + own.points.n_sparse);
        }
        const KernelArray kernels{scratch_.k.data() + own.before, size, own.delta2};
        const double *q = scratch_.q.data();
        if (own.shares(block)) {
            kernel_.evaluate(block, n, q, scratch_.energies.data(), g, kernels);
        } else {
            kernel_.evaluate(block, n, q, scratch_.energies.data(), g);
            kernel_.evaluate(own.points, n, q, kernels);
        }
        blas_.multiply_lower_transposed(n, own.size(), own.L, scratch_.k.data());
        for (int k = 0; k < n; ++k) {
            const double *y = scratch_.k.data() + k * size;
            const bool empty = dot(q + k * F, q + k * F, block.n_features) == 0.0;
            variances.values[batch.centres[k]] +=
                (empty ? 0.0 : own.delta2) - dot(y, y, own.size());
        }
    }

    const Basis &basis_;
    Expansion<NV> expansion_;
    Scratch &scratch_;
    Blas blas_;
    KernelSum kernel_;
    std::optional<SharedAceWorker<NV>> ace_;
};

}  // namespace detail

template <int NV>
void predict(const Basis &basis, const std::vector<BlockKernel> &blocks,
             const Variances &variances, const PairList &pairs, Blas blas, ThreadTeam &team,
             PredictionArrays &out, const SharedAce *ace = nullptr) {
    using namespace detail;
    const std::size_t n_shares = static_cast<std::size_t>(team.size());
    const std::vector<Batch> batches = make_batches(pairs, basis.layout, team.size());
    // Shares add to arrays of their own, summed in a fixed order: deterministic.
    std::vector<OwnArrays> parts;
    for (std::size_t share = 0; share < n_shares; ++share) parts.emplace_back(out);
    team.run([&](int share) {
        PredictionArrays &own = parts[share].arrays;
        if (share > 0) parts[share].allocate(pairs);
        Worker<NV> worker(basis, blas, ace);
        for (std::size_t b = share; b < batches.size(); b += n_shares) {
            const BlockKernel &block = blocks[batches[b].species];
            const bool empty = block.n_sparse == 0 && block.quadratic == nullptr;
            if (empty && variances.values == nullptr && ace == nullptr) continue;
            worker.predict(batches[b], block, variances, pairs, own);
            team.check();
        }
    });
    for (std::size_t share = 0; share < n_shares; ++share) parts[share].add_to(out);
}

// Unit vectors (n_centres, n_features) and norms (n_centres).
template <int NV>
void describe(const Basis &basis, const PairList &pairs, Blas blas, ThreadTeam &team,
              double *q, double *norms) {
    using namespace detail;
    const std::size_t n_shares = static_cast<std::size_t>(team.size());
    const std::vector<Batch> batches = make_batches(pairs, basis.layout, team.size());
    const std::ptrdiff_t F = basis.layout.n_features();
    team.run([&](int share) {
        Worker<NV> worker(basis, blas);
        for (std::size_t b = share; b < batches.size(); b += n_shares) {
            worker.describe(batches[b], pairs);
            for (std::size_t k = 0; k < batches[b].centres.size(); ++k) {
                const std::int64_t centre = batches[b].centres[k];
                const double *from = worker.unit_vectors().data() + k * F;
                std::copy(from, from + F, q + centre * F);
                norms[centre] = worker.norms()[k];
            }
            team.check();
        }
    });
}

}  // namespace gapfit
