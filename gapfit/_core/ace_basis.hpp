// What defines a cluster expansion: densities, and polynomials of their coefficients.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

#include "invariants.hpp"
#include "layout.hpp"

namespace gapfit {

// A density coefficient: its channel, l and m, and radial function.
struct Coefficient {
    int channel, lm, n;
};

// Everything that defines the functions.
struct AceBasis {
    AceBasis(Basis basis, std::vector<Coefficient> coefficients, Invariants invariants)
        : basis(std::move(basis)), coefficients(std::move(coefficients)),
          invariants(std::move(invariants)) {
        const Layout &layout = this->basis.layout;
        channels.assign(static_cast<std::size_t>(layout.n_densities) + 1, 0);
        int last = 0;
        for (const Coefficient &k : this->coefficients) {
            if (k.channel < last || k.channel >= layout.n_densities || k.lm < 0 ||
                k.lm >= layout.n_lm() || k.n < 0 || k.n >= layout.n_max)
                throw std::invalid_argument(
                    "coefficients must be those of the density, sorted by channel");
            last = k.channel;
            ++channels[static_cast<std::size_t>(k.channel) + 1];
        }
        for (std::size_t k = 1; k < channels.size(); ++k) channels[k] += channels[k - 1];
        if (static_cast<int>(this->coefficients.size()) !=
            this->invariants.n_coefficients())
            throw std::invalid_argument("products must be of the coefficients given");
    }

    // Places of the coefficients in c (n_channels, n_lm, stride).
    std::vector<std::size_t> offsets(int stride) const {
        std::vector<std::size_t> out;
        for (const Coefficient &k : coefficients)
            out.push_back(static_cast<std::size_t>(
                (k.channel * basis.layout.n_lm() + k.lm) * stride + k.n));
        return out;
    }

    Basis basis;
    std::vector<Coefficient> coefficients;  // by channel
    std::vector<int> channels;              // where those of each channel begin
    Invariants invariants;
};

}  // namespace gapfit
