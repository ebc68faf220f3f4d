// Forces of many potentials at once, which differ in their coefficients only. Descriptors,
// kernels and radial functions are computed once for all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "predict.hpp"

namespace gapfit {

// The sparse points of one central species, with the coefficients of every potential.
struct ColumnBlock {
    BlockKernel points;                    // its own coefficients are not used
    const double *coefficients = nullptr;  // (n_columns, n_sparse): delta² c
};

// Forces of all potentials, which are added.
struct ColumnForces {
    double *values = nullptr;  // (n_atoms, 3, n_columns)
    int n_columns = 0;

    double *of(std::int64_t atom) const { return values + 3 * n_columns * atom; }
};

// Calls work(share, forces) for the shares of a team. They add to arrays of their own,
// summed in a fixed order: deterministic.
template <class Work>
void in_shares(std::int64_t n_atoms, ThreadTeam &team, const ColumnForces &out,
               const Work &work) {
    const std::size_t size = static_cast<std::size_t>(3 * n_atoms * out.n_columns);
    std::vector<Buffer> parts(static_cast<std::size_t>(team.size()));
    team.run([&](int share) {
        if (share == 0) return work(share, out);
        Buffer &own = parts[static_cast<std::size_t>(share)];
        own.assign(size, 0.0);
        work(share, ColumnForces{own.data(), out.n_columns});
    });
    for (const Buffer &part : parts)
        for (std::size_t k = 0; k < part.size(); ++k) out.values[k] += part[k];
}

namespace detail {

template <int NV>
class ColumnWorker {
  public:
    ColumnWorker(const Basis &basis, Blas blas, const PairList &pairs)
        : basis_(basis), pairs_(pairs), worker_(basis, blas), expansion_(basis),
          scratch_(Scratch::of_this_thread()), kernel_(blas, scratch_.kernel) {}

    void add(const Batch &batch, const ColumnBlock &block, const ColumnForces &out) {
        // Enough rows for the matrix product at full rate; their gradients stay in a cache.
        const int n_features = block.points.n_features;
        const int rows = std::clamp((1 << 19) / std::max(n_features, 1), 64, 256);
        const std::size_t most =
            static_cast<std::size_t>(std::max(rows / out.n_columns, 1));
        Batch part;
        part.species = batch.species;
        for (std::size_t first = 0; first < batch.centres.size(); first += most) {
            const std::size_t end = std::min(first + most, batch.centres.size());
            part.centres.assign(batch.centres.begin() + static_cast<std::ptrdiff_t>(first),
                                batch.centres.begin() + static_cast<std::ptrdiff_t>(end));
            add_part(part, block, out);
        }
    }

  private:
    void add_part(const Batch &batch, const ColumnBlock &block, const ColumnForces &out) {
        const std::size_t F = static_cast<std::size_t>(block.points.n_features);
        const std::size_t n = batch.centres.size();
        const std::size_t n_columns = static_cast<std::size_t>(out.n_columns);
        worker_.describe(batch, pairs_);
        scratch_.g.resize(n * n_columns * F);
        kernel_.column_gradients(block.points, block.coefficients, out.n_columns,
                                 static_cast<int>(n), scratch_.q.data(), scratch_.g.data());
        for (std::size_t k = 0; k < n; ++k) {
            scratch_.near.gather(basis_, pairs_, batch.centres[k]);
            pair_gradients(k, scratch_.g.data() + k * n_columns * F, out.n_columns);
            scatter(batch.centres[k], out);
        }
    }

    // scratch_.pair (n_columns, 3, width) from dE/dq (n_columns, n_features), overwritten.
    void pair_gradients(std::size_t centre, double *g, int n_columns) {
        const int F = basis_.layout.n_features();
        const std::size_t C = expansion_.coefficients();
        const std::size_t size = 3 * static_cast<std::size_t>(scratch_.near.width());
        scratch_.d.resize(C);
        scratch_.pair.resize(static_cast<std::size_t>(n_columns) * size);
        expansion_.gradient_functions(scratch_.near);
        for (int s = 0; s < n_columns; ++s, g += F) {
            through_norm(scratch_.q.data() + centre * static_cast<std::size_t>(F),
                         scratch_.norms[centre], g, F);
            expansion_.adjoint(scratch_.c.data() + centre * C, g, scratch_.d.data());
            expansion_.gradients_of(
                scratch_.near, scratch_.d.data(),
                scratch_.pair.data() + static_cast<std::size_t>(s) * size);
        }
    }

    void scatter(std::int64_t centre, const ColumnForces &out) const {
        const Neighbourhood &near = scratch_.near;
        const int width = near.width(), n_columns = out.n_columns;
        double *own = out.of(pairs_.start + centre);
        for (int k = 0; k < near.size(); ++k) {
            double *other = out.of(pairs_.j[near.order[static_cast<std::size_t>(k)]]);
            for (int x = 0; x < 3; ++x)
                for (int s = 0; s < n_columns; ++s) {
                    const double g =
                        scratch_.pair[static_cast<std::size_t>((3 * s + x) * width + k)];
                    own[x * n_columns + s] += g;
                    other[x * n_columns + s] -= g;
                }
        }
    }

    const Basis &basis_;
    const PairList &pairs_;
    Worker<NV> worker_;
    Expansion<NV> expansion_;
    Scratch &scratch_;
    KernelSum kernel_;
};

}  // namespace detail

// Adds the forces of all potentials; blocks are indexed by central species.
template <int NV>
void column_forces(const Basis &basis, const std::vector<ColumnBlock> &blocks,
                   const PairList &pairs, Blas blas, ThreadTeam &team,
                   const ColumnForces &out) {
    using namespace detail;
    const std::vector<Batch> batches = make_batches(pairs, basis.layout, team.size());
    in_shares(pairs.n_atoms, team, out, [&](int share, const ColumnForces &own) {
        ColumnWorker<NV> worker(basis, blas, pairs);
        for (std::size_t b = static_cast<std::size_t>(share); b < batches.size();
             b += static_cast<std::size_t>(team.size())) {
            const ColumnBlock &block = blocks[static_cast<std::size_t>(batches[b].species)];
            if (block.points.n_sparse > 0) worker.add(batches[b], block, own);
            team.check();
        }
    });
}

}  // namespace gapfit
