// Python bindings of the native core: arrays in, arrays out.
#include "bindings.hpp"
#include "harmonics.hpp"
#include "instruction_set.hpp"

#ifndef GAPFIT_MODULE
#define GAPFIT_MODULE _native
#endif

namespace {

using namespace gapfit::bindings;

nb::tuple solid_harmonics(Vectors vectors, int l_max) {
    require(l_max >= 0 && l_max <= 20, "l_max must lie between 0 and 20");
    const std::size_t n = vectors.shape(0);
    const gapfit::SolidHarmonics harmonics(l_max);
    const std::size_t n_lm = static_cast<std::size_t>(harmonics.size());
    const NewArray values{n, n_lm};
    const NewArray gradients{n, 3, n_lm};
    for (std::size_t k = 0; k < n; ++k) {
        const double *R = vectors.data() + 3 * k;
        double *own = values.data + k * n_lm;
        harmonics.evaluate(R[0], R[1], R[2],
                           [&](int lm, double value) { own[lm] = value; });
        for (std::size_t x = 0; x < 3; ++x)
            for (const auto &s : harmonics.gradient()[x])
                gradients.data[(3 * k + x) * n_lm + static_cast<std::size_t>(s.lm)] +=
                    s.factor * own[s.lower];
    }
    return nb::make_tuple(values.array(), gradients.array());
}

}  // namespace

NB_MODULE(GAPFIT_MODULE, m) {
    m.doc() = "Native core of gapfit";
    // Daemon threads may still hold objects at the end of the process.
    nb::set_leak_warnings(false);
    m.def("instruction_set", &gapfit::instruction_set,
          "Bits of the widest vectors that this machine and this code can use.");
    m.def("solid_harmonics", &solid_harmonics, "vectors"_a, "l_max"_a,
          "Real solid harmonics r^l Y_lm and their gradients.\n\n"
          "vectors: (n, 3) float64, Å. Returns ((n, (l_max+1)^2), (n, 3, (l_max+1)^2)),\n"
          "m = -l..l at index l*l + l + m, orthonormal, no Condon-Shortley phase.");
    bind_ace(m);
    bind_neighbours(m);
    bind_pairs(m);
    bind_soap(m);
    bind_triplets(m);
}
