// Which density coefficients vary together: their products, summed over centres.
#pragma once

#include <vector>

#include "expansion.hpp"
#include "threads.hpp"

namespace gapfit {

// gram (l_max + 1, n, n), n = channels times n_max: Σ over centres and m of c c^T, added in
// a fixed order.
template <int NV>
void density_gram(const Basis &basis, const PairList &pairs, ThreadTeam &team,
                  double *gram) {
    const Layout &layout = basis.layout;
    const std::size_t n_max = static_cast<std::size_t>(layout.n_max);
    const std::size_t n = static_cast<std::size_t>(layout.n_channels()) * n_max;
    const std::size_t size = (static_cast<std::size_t>(layout.l_max) + 1) * n * n;
    std::vector<Buffer> parts(static_cast<std::size_t>(team.size()));
    team.run([&](int share) {
        Buffer &own = parts[share];
        own.assign(size, 0.0);
        Expansion<NV> expansion(basis);
        Neighbourhood near;
        Buffer c(expansion.coefficients()), values(n);
        for (std::int64_t centre = share; centre < pairs.n_centres; centre += team.size()) {
            near.gather(basis, pairs, centre);
            expansion.density(near, c.data());
            for (int l = 0, lm = 0; l <= layout.l_max; ++l)
                for (; lm < (l + 1) * (l + 1); ++lm) {
                    for (std::size_t k = 0; k < n; ++k)
                        values[k] =
                            c[((k / n_max) * layout.n_lm() + lm) * Expansion<NV>::stride +
                              k % n_max];
                    double *to = own.data() + static_cast<std::size_t>(l) * n * n;
                    for (std::size_t a = 0; a < n; ++a)
                        for (std::size_t b = 0; b < n; ++b)
                            to[a * n + b] += values[a] * values[b];
                }
            team.check();
        }
    });
    for (const Buffer &part : parts)
        for (std::size_t k = 0; k < size; ++k) gram[k] += part[k];
}

}  // namespace gapfit
