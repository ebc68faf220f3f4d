// A cluster expansion of the densities that SOAP has expanded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "ace_basis.hpp"
#include "expansion.hpp"

namespace gapfit {

// Radial functions g_ln = Σ_k W^l_nk f_lk of the functions f of SOAP.
struct SharedAce {
    const AceBasis *ace = nullptr;
    std::vector<std::vector<double>> weights;  // by species, of `Invariants::weights`
    std::vector<double> W;                     // (n_tables, l_max + 1, n_max, n_soap)
    int n_soap = 0;

    // Throws unless SOAP has a density of each species, with these functions.
    void check(const Layout &soap) const {
        const Layout &own = ace->basis.layout;
        bool same = weights.size() == soap.channel.size() && n_soap == soap.n_max &&
                    own.l_max <= soap.l_max;
        for (std::size_t s = 0; s < soap.channel.size(); ++s)
            same = same && soap.channel[s] == static_cast<int>(s);
        if (!same) throw std::invalid_argument("SOAP must have densities of the expansion");
    }
};

namespace detail {

// Coefficient k of the expansion is Σ_s W_ks·c_s over species, less the central atom.
template <int NV>
class SharedAceWorker {
  public:
    static constexpr int stride = NV * lanes;

    SharedAceWorker(const SharedAce &shared, const Basis &soap)
        : shared_(shared), n_lm_(soap.layout.n_lm()), n_(shared.ace->coefficients.size()),
          n_species_(soap.layout.channel.size()), W_(n_ * n_species_ * stride, 0.0),
          centre_(n_species_ * n_, 0.0), v_(shared.ace->invariants.n_values(), 0.0),
          w_(v_.size()) {
        for (std::size_t k = 0; k < n_; ++k)
            for (std::size_t s = 0; s < n_species_; ++s) fill(k, s, soap);
    }

    // Adds the energies of up to `lanes` centres of one species with densities c (n, size),
    // and keeps the derivatives for `add_adjoint`.
    void evaluate(int species, const double *c, std::size_t size, int n, bool gradients,
                  double *energies) {
        const std::vector<double> &weights = shared_.weights[species];
        std::fill(w_.begin(), w_.end(), 0.0);
        if (weights.empty()) return;
        const double *centre = centre_.data() + static_cast<std::size_t>(species) * n_;
        for (std::size_t lane = 0; lane < static_cast<std::size_t>(n); ++lane)
            for (std::size_t k = 0; k < n_; ++k)
                v_[Invariants::at(static_cast<int>(k), static_cast<int>(lane))] =
                    coefficient(k, c + lane * size) - centre[k];
        const Invariants &invariants = shared_.ace->invariants;
        invariants.multiply(v_.data());
        const Vec E =
            gradients ? invariants.sum_with_adjoint(weights.data(), v_.data(), w_.data())
                      : invariants.sum(weights.data(), v_.data());
        for (int lane = 0; lane < n; ++lane) energies[lane] += E[lane];
    }

    // Adds dE/dc of one of these centres.
    void add_adjoint(int lane, double *d) const {
        const double *W = W_.data();
        for (std::size_t k = 0; k < n_; ++k) {
            const double slope = w_[Invariants::at(static_cast<int>(k), lane)];
            double *to = d + shared_.ace->coefficients[k].lm * stride;
            for (std::size_t s = 0; s < n_species_; ++s, to += n_lm_ * stride)
                for (int v = 0; v < stride; v += lanes, W += lanes)
                    store(to + v, load(to + v) + slope * load(W));
        }
    }

  private:
    double coefficient(std::size_t k, const double *c) const {
        const double *W = W_.data() + k * n_species_ * stride;
        c += shared_.ace->coefficients[k].lm * stride;
        Vec total{};
        for (std::size_t s = 0; s < n_species_; ++s, c += n_lm_ * stride)
            for (int v = 0; v < stride; v += lanes, W += lanes)
                total += load(c + v) * load(W);
        return sum(total);
    }

    void fill(std::size_t k, std::size_t s, const Basis &soap) {
        const Basis &ace = shared_.ace->basis;
        const Coefficient &own = shared_.ace->coefficients[k];
        if (ace.layout.channel[s] != own.channel) return;
        int l = 0;
        while ((l + 1) * (l + 1) <= own.lm) ++l;
        const int row =
            (ace.table[s] * (ace.layout.l_max + 1) + l) * ace.layout.n_max + own.n;
        const double *from = shared_.W.data() + row * shared_.n_soap;
        std::copy_n(from, shared_.n_soap, W_.data() + (k * n_species_ + s) * stride);
        if (l == 0)
            centre_[s * n_ + k] =
                dot(from, soap.centre_of(static_cast<int>(s)), shared_.n_soap);
    }

    const SharedAce &shared_;
    int n_lm_;       // of SOAP
    std::size_t n_;  // coefficients
    std::size_t n_species_;
    Buffer W_;       // (n, n_species, stride)
    Buffer centre_;  // (n_species, n)
    Buffer v_, w_;
};

}  // namespace detail

}  // namespace gapfit
