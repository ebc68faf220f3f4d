// Energies, forces and virials of all centres of a pair list: batches of descriptors,
// one matrix product forward, one backward, then the adjoint down to the atoms.
#pragma once

#include <chrono>
#include <cmath>
#include <vector>

#include "expansion.hpp"
#include "kernel.hpp"
#include "threads.hpp"

namespace gapfit {

// What is computed; arrays that are null are left out. Forces and virials are added.
struct PredictionArrays {
    double *energies = nullptr;      // (n_centres)
    double *forces = nullptr;        // (n_atoms, 3)
    double *virials = nullptr;       // (n_frames, 3, 3): -Σ R ⊗ dE/dR
    double *atom_virials = nullptr;  // (n_atoms, 3, 3): the pairs whose neighbour it is
    double seconds[3] = {0, 0, 0};   // descriptors, kernel, adjoint: summed over threads
};

namespace detail {

// Centres of one species, handled together.
struct Batch {
    int species = 0;
    std::vector<std::int64_t> centres;
};

inline std::vector<Batch> make_batches(const PairList &pairs, int n_species, int n_threads) {
    // Enough rows for the matrix product at full rate, few enough for the caches.
    constexpr std::int64_t most = 256, least = 16;
    std::vector<std::vector<std::int64_t>> own(static_cast<std::size_t>(n_species));
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

// One thread's buffers and share of the result.
template <int NV>
class Worker {
  public:
    Worker(const Basis &basis, Blas blas)
        : basis_(basis), expansion_(basis), kernel_(blas) {}

    void predict(const Batch &batch, const BlockKernel &block, const PairList &pairs,
                 PredictionArrays &out) {
        Stopwatch watch;
        const int n = static_cast<int>(batch.centres.size());
        const std::size_t F = static_cast<std::size_t>(block.n_features);
        describe(batch, pairs);
        out.seconds[0] += watch.lap();
        energies_.resize(static_cast<std::size_t>(n));
        const bool gradients = out.forces != nullptr;
        if (gradients) g_.resize(static_cast<std::size_t>(n) * F);
        kernel_.evaluate(block, n, q_.data(), energies_.data(), gradients ? g_.data() : nullptr);
        for (int k = 0; k < n; ++k)
            out.energies[batch.centres[k]] = energies_[k];
        out.seconds[1] += watch.lap();
        if (!gradients) return;
        const std::size_t C = expansion_.coefficients();
        d_.resize(C);
        for (std::size_t k = 0; k < batch.centres.size(); ++k) {
            double *g = g_.data() + k * F;
            through_norm(q_.data() + k * F, norms_[k], g, block.n_features);
            expansion_.adjoint(c_.data() + k * C, g, d_.data());
            near_.gather(basis_, pairs, batch.centres[k]);
            scatter(pairs, batch.centres[k], out);
        }
        out.seconds[2] += watch.lap();
    }

    // Unit vectors (n, n_features) and norms of a batch.
    void describe(const Batch &batch, const PairList &pairs) {
        const std::size_t n = batch.centres.size(), C = expansion_.coefficients();
        const std::size_t F = static_cast<std::size_t>(basis_.layout.n_features());
        c_.resize(n * C);
        p_.resize(expansion_.features());
        q_.resize(n * F);
        norms_.resize(n);
        for (std::size_t k = 0; k < n; ++k) {
            near_.gather(basis_, pairs, batch.centres[k]);
            expansion_.density(near_, c_.data() + k * C);
            expansion_.power_spectrum(c_.data() + k * C, p_.data());
            norms_[k] = normalise(p_.data(), static_cast<int>(F));
            std::copy(p_.begin(), p_.begin() + static_cast<std::ptrdiff_t>(F),
                      q_.begin() + static_cast<std::ptrdiff_t>(k * F));
        }
    }

    const Buffer &unit_vectors() const { return q_; }
    const Buffer &norms() const { return norms_; }

  private:
    void scatter(const PairList &pairs, std::int64_t centre, PredictionArrays &out) {
        const std::size_t width = static_cast<std::size_t>(near_.width());
        pair_.resize(3 * width);
        expansion_.pair_gradients(near_, d_.data(), pair_.data());
        const std::int64_t i = pairs.start + centre;
        double own[3] = {0, 0, 0}, virial[9] = {};
        for (int k = 0; k < near_.size(); ++k) {
            const std::size_t at = static_cast<std::size_t>(k);
            const std::int64_t pair = near_.order[at], j = pairs.j[pair];
            for (std::size_t x = 0; x < 3; ++x) {
                const double g = pair_[x * width + at];
                own[x] += g;
                out.forces[3 * j + static_cast<std::int64_t>(x)] -= g;
                for (std::size_t y = 0; y < 3; ++y)
                    virial[3 * y + x] -= pairs.R[3 * pair + static_cast<std::int64_t>(y)] * g;
            }
            if (out.atom_virials != nullptr)
                for (int y = 0; y < 3; ++y)
                    for (int x = 0; x < 3; ++x)
                        out.atom_virials[9 * j + 3 * y + x] -=
                            pairs.R[3 * pair + y] * pair_[static_cast<std::size_t>(x) * width + at];
        }
        for (int x = 0; x < 3; ++x) out.forces[3 * i + x] += own[x];
        for (int k = 0; k < 9; ++k) out.virials[9 * pairs.frame[i] + k] += virial[k];
    }

    const Basis &basis_;
    Expansion<NV> expansion_;
    KernelSum kernel_;
    Neighbourhood near_;
    Buffer c_, p_, q_, norms_, energies_, g_, d_, pair_;
};

}  // namespace detail

template <int NV>
void predict(const Basis &basis, const std::vector<BlockKernel> &blocks,
             const PairList &pairs, Blas blas, ThreadTeam &team, PredictionArrays &out) {
    using namespace detail;
    const int n_threads = team.size();
    const std::vector<Batch> batches =
        make_batches(pairs, static_cast<int>(basis.layout.channel.size()), n_threads);
    const std::size_t n_forces = static_cast<std::size_t>(3 * pairs.n_atoms);
    const std::size_t n_virials = static_cast<std::size_t>(9 * pairs.n_frames);
    // Threads add to arrays of their own, summed in a fixed order: deterministic.
    std::vector<PredictionArrays> parts(static_cast<std::size_t>(n_threads), out);
    std::vector<Buffer> storage(static_cast<std::size_t>(n_threads));
    team.run([&](int thread) {
        const std::size_t t = static_cast<std::size_t>(thread);
        if (thread > 0 && out.forces != nullptr) {
            const std::size_t extra = out.atom_virials == nullptr ? 0 : 3 * n_forces;
            storage[t].assign(n_forces + n_virials + extra, 0.0);
            parts[t].forces = storage[t].data();
            parts[t].virials = parts[t].forces + n_forces;
            if (extra > 0) parts[t].atom_virials = parts[t].virials + n_virials;
        }
        Worker<NV> worker(basis, blas);
        for (std::size_t b = t; b < batches.size(); b += static_cast<std::size_t>(n_threads)) {
            worker.predict(batches[b], blocks[batches[b].species], pairs, parts[t]);
            team.check(thread);
        }
    });
    for (std::size_t t = 0; t < parts.size(); ++t) {
        for (int stage = 0; stage < 3; ++stage) out.seconds[stage] += parts[t].seconds[stage];
        if (t == 0 || out.forces == nullptr) continue;
        for (std::size_t k = 0; k < n_forces; ++k) out.forces[k] += parts[t].forces[k];
        for (std::size_t k = 0; k < n_virials; ++k) out.virials[k] += parts[t].virials[k];
        if (out.atom_virials != nullptr)
            for (std::size_t k = 0; k < 3 * n_forces; ++k)
                out.atom_virials[k] += parts[t].atom_virials[k];
    }
}

// Unit vectors (n_centres, n_features) and norms (n_centres).
template <int NV>
void describe(const Basis &basis, const PairList &pairs, Blas blas, ThreadTeam &team,
              double *q, double *norms) {
    using namespace detail;
    const std::vector<Batch> batches = make_batches(
        pairs, static_cast<int>(basis.layout.channel.size()), team.size());
    const std::ptrdiff_t F = basis.layout.n_features();
    team.run([&](int thread) {
        Worker<NV> worker(basis, blas);
        const std::size_t step = static_cast<std::size_t>(team.size());
        for (std::size_t b = static_cast<std::size_t>(thread); b < batches.size(); b += step) {
            worker.describe(batches[b], pairs);
            for (std::size_t k = 0; k < batches[b].centres.size(); ++k) {
                const std::int64_t centre = batches[b].centres[k];
                const double *from = worker.unit_vectors().data() + static_cast<std::ptrdiff_t>(k) * F;
                std::copy(from, from + F, q + centre * F);
                norms[centre] = worker.norms()[k];
            }
            team.check(thread);
        }
    });
}

}  // namespace gapfit
