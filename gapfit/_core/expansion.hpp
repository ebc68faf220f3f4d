// Density coefficients c, power spectrum p and the adjoint of both for one centre.
//
// c_nlm = Σ_j w(r) f_nl(r) Y_lm(R/r) per channel; p = factor Σ_m c_nlm c'_n'lm
// (Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013); features as in dscribe).
// Buffers hold n fastest, padded to NV vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "layout.hpp"

namespace gapfit {

// Neighbours of one centre, sorted by channel, as arrays over neighbours.
class Neighbourhood {
  public:
    void gather(const Basis &basis, const PairList &pairs, std::int64_t centre) {
        const Layout &layout = basis.layout;
        const std::int64_t begin = pairs.first[centre];
        size_ = static_cast<int>(pairs.first[centre + 1] - begin);
        width_ = padded(size_);
        own_ = pairs.species[pairs.start + centre];
        sort(layout, pairs, begin);
        table.resize(static_cast<std::size_t>(size_));
        for (Buffer *array : {&ux, &uy, &uz, &r, &w, &slope}) array->resize(width_);
        for (int k = 0; k < size_; ++k) {
            const double *R = pairs.R + 3 * order[k];
            ux[k] = R[0];
            uy[k] = R[1];
            uz[k] = R[2];
        }
        // Beyond the last neighbour: anything harmless.
        for (int k = size_; k < width_; ++k) ux[k] = uy[k] = uz[k] = 1.0;
        for (int k = 0; k < width_; ++k)
            r[k] = std::sqrt(ux[k] * ux[k] + uy[k] * uy[k] + uz[k] * uz[k]);
        for (int k = 0; k < width_; ++k) {
            const double inverse = 1.0 / r[k];
            ux[k] *= inverse;
            uy[k] *= inverse;
            uz[k] *= inverse;
        }
        basis.weighting.evaluate(width_, r.data(), w.data(), slope.data());
        for (int k = 0; k < size_; ++k) {
            const std::int32_t species = pairs.species[pairs.j[order[k]]];
            const double weight = layout.weight[species];
            table[k] = basis.table_at(species, r[k]);
            w[k] *= weight;
            slope[k] *= weight;
        }
        Y.resize(static_cast<std::size_t>(layout.n_lm() * width_));
        for (int k = 0; k < width_; k += lanes) {
            const std::size_t at = static_cast<std::size_t>(k);
            basis.harmonics.evaluate(
                load(&ux[at]), load(&uy[at]), load(&uz[at]),
                [&](int lm, Vec value) { store(Y.data() + lm * width_ + k, value); });
        }
    }

    int size() const { return size_; }
    int width() const { return width_; }  // size, padded: stride of Y
    int own_species() const { return own_; }
    int begin(int channel) const { return ends_[channel]; }
    int end(int channel) const { return ends_[static_cast<std::size_t>(channel) + 1]; }

    std::vector<std::int64_t> order;  // index of each neighbour's pair
    std::vector<int> table;           // of the radial functions of each neighbour
    Buffer ux, uy, uz, r, w, slope, Y;

  private:
    void sort(const Layout &layout, const PairList &pairs, std::int64_t begin) {
        const std::size_t n = static_cast<std::size_t>(layout.n_densities);
        ends_.assign(n + 2, 0);
        order.resize(static_cast<std::size_t>(size_));
        for (int k = 0; k < size_; ++k) ++ends_[channel(layout, pairs, begin + k) + 2];
        for (std::size_t c = 2; c < n + 2; ++c) ends_[c] += ends_[c - 1];
        for (int k = 0; k < size_; ++k) {
            int &slot = ends_[channel(layout, pairs, begin + k) + 1];
            order[slot++] = begin + k;
        }
    }

    static std::size_t channel(const Layout &layout, const PairList &pairs,
                               std::int64_t pair) {
        const std::size_t species = static_cast<std::size_t>(pairs.species[pairs.j[pair]]);
        return static_cast<std::size_t>(layout.channel[species]);
    }

    int size_ = 0, width_ = 0, own_ = 0;
    std::vector<int> ends_;
};

template <int NV>
class Expansion {
  public:
    static constexpr int stride = NV * lanes;  // of n

    explicit Expansion(const Basis &basis)
        : basis_(basis), layout_(basis.layout), n_l_(layout_.l_max + 1),
          matrix_(static_cast<std::size_t>(2 * (layout_.n_max + 1) * stride), 0.0) {}

    // Doubles of c (and of dE/dc), and of a power spectrum with room to spill over.
    std::size_t coefficients() const {
        return static_cast<std::size_t>(layout_.n_channels() * layout_.n_lm() * stride);
    }
    std::size_t features() const {
        return static_cast<std::size_t>(layout_.n_features() + stride);
    }

    // c (n_channels, n_lm, n) of the gathered neighbours.
    void density(const Neighbourhood &near, double *c) {
        radial_.resize(static_cast<std::size_t>(near.size() * n_l_ * stride));
        for (int k = 0; k < near.size(); ++k) {
            const std::size_t at = static_cast<std::size_t>(k);
            functions(near, k).template values<NV>(near.r[at], near.w[at],
                                                   &radial_[row(k)]);
        }
        for (int channel = 0; channel < layout_.n_densities; ++channel) {
            const int begin = near.begin(channel);
            const int count = near.end(channel) - begin;
            double *own = c + channel * layout_.n_lm() * stride;
            for (int l = 0; l < n_l_; ++l)
                product<NV, false>(
                    2 * l + 1, count, near.Y.data() + l * l * near.width() + begin,
                    near.width(), 1,
                    radial_.data() + row(begin) + static_cast<std::size_t>(l * stride),
                    n_l_ * stride, own + l * l * stride, stride);
        }
        add_central(near.own_species(), c);
        mix(c);
    }

    // p (n_features), without spilling beyond features().
    void power_spectrum(const double *c, double *p) {
        for (const FeatureBlock &block : layout_.blocks)
            for (int l = 0; l < n_l_; ++l) {
                const double *a = at(c, block.a, l), *b = at(c, block.b, l);
                multiply<false>(block, l, a, b);
                pack(block, matrix_.data(), p + block.first + l * block.per_degree);
            }
        scale(p);
    }

    // dp for a change dc (n_lm, n) of one density: the features of its active blocks, one
    // block after the other.
    void change(const double *c, const double *dc, int density, double *dp) {
        mix_change(dc, density);
        for (const FeatureBlock &block : layout_.blocks) {
            if (!layout_.active(block, density)) continue;
            const bool first = layout_.depends(block.a, density);
            const bool second = layout_.depends(block.b, density);
            const double *da = changed(block.a, dc), *db = changed(block.b, dc);
            for (int l = 0; l < n_l_; ++l) {
                const double *a = at(c, block.a, l), *b = at(c, block.b, l);
                const int from = l * l * stride;
                if (first) multiply<false>(block, l, da + from, b);
                if (first && second)
                    multiply<true>(block, l, a, db + from);
                else if (second)
                    multiply<false>(block, l, a, db + from);
                pack(block, matrix_.data(), dp + l * block.per_degree);
            }
            const double *factor = layout_.factor.data() + block.first;
            const int size = layout_.size(block);
            for (int f = 0; f < size; ++f) dp[f] *= factor[f];
            dp += size;
        }
    }

    // dE/dc (shape of c) from dE/dp; g is overwritten.
    void adjoint(const double *c, double *g, double *d) {
        scale(g);
        std::fill(d, d + coefficients(), 0.0);
        int n_a = 0, n_b = 0;
        double *M = matrix_.data();
        double *transposed = M + (layout_.n_max + 1) * stride;
        for (const FeatureBlock &block : layout_.blocks) {
            // Beyond the functions of the channels the matrices stay zero.
            if (block.n_a != n_a || block.n_b != n_b)
                std::fill(matrix_.begin(), matrix_.end(), 0.0);
            n_a = block.n_a;
            n_b = block.n_b;
            for (int l = 0; l < n_l_; ++l) {
                const double *from = g + block.first + l * block.per_degree;
                const double *a = at(c, block.a, l), *b = at(c, block.b, l);
                double *da = d + (a - c), *db = d + (b - c);
                if (block.a == block.b) {
                    unpack_symmetric(block, from, M);
                    product<NV, true>(2 * l + 1, n_a, a, stride, 1, M, stride, da, stride);
                } else {
                    unpack(block, from, M, transposed);
                    product<NV, true>(2 * l + 1, n_b, b, stride, 1, transposed, stride, da,
                                      stride);
                    product<NV, true>(2 * l + 1, n_a, a, stride, 1, M, stride, db, stride);
                }
            }
        }
        hand_down(d);
    }

    // dE/dR of all gathered neighbours from dE/dc: out (3, near.width()).
    void pair_gradients(const Neighbourhood &near, const double *d, double *out) {
        gradient_functions(near);
        gradients_of(near, d, out);
    }

    // Finds the radial functions and slopes of all gathered neighbours, for any number of
    // `gradients_of` them.
    void gradient_functions(const Neighbourhood &near) {
        along_.resize(static_cast<std::size_t>(near.size() * n_l_ * stride));
        across_.resize(along_.size());
        for (int k = 0; k < near.size(); ++k) {
            const std::size_t at = static_cast<std::size_t>(k);
            functions(near, k).template gradients<NV>(
                near.r[at], near.w[at], near.slope[at], &across_[row(k)], &along_[row(k)]);
        }
    }

    // As `pair_gradients`, after `gradient_functions`.
    void gradients_of(const Neighbourhood &near, const double *d, double *out) {
        constexpr int most = max_accumulators / (2 * NV);
        constexpr int rows = most >= 7 ? 7 : most >= 3 ? 3 : 1;
        for (int channel = 0; channel < layout_.n_densities; ++channel) {
            if (near.begin(channel) == near.end(channel)) continue;
            const double *own = d + channel * layout_.n_lm() * stride;
            lower(own);
            int k = near.begin(channel);
            for (; k + rows <= near.end(channel); k += rows)
                contract<rows>(near, own, k, out);
            for (; k < near.end(channel); ++k) contract<1>(near, own, k, out);
        }
    }

  private:
    const RadialTable &functions(const Neighbourhood &near, int k) const {
        return basis_
            .radial[static_cast<std::size_t>(near.table[static_cast<std::size_t>(k)])];
    }

    std::size_t row(int k) const { return static_cast<std::size_t>(k * n_l_ * stride); }

    const double *at(const double *c, int channel, int l) const {
        return c + (channel * layout_.n_lm() + l * l) * stride;
    }

    void add_central(int species, double *c) const {
        const int own = layout_.channel[static_cast<std::size_t>(species)];
        const double weight = layout_.weight[static_cast<std::size_t>(species)];
        const double *centre = basis_.centre_of(species);
        for (int channel = 0; channel < layout_.n_densities; ++channel) {
            if (channel != own && !layout_.central_in_all) continue;
            const double share = layout_.central_in_all ? 1.0 : weight;
            double *to = c + channel * layout_.n_lm() * stride;
            for (int n = 0; n < layout_.n_max; ++n) to[n] += share * centre[n];
        }
    }

    // Doubles of one channel.
    int size() const { return layout_.n_lm() * stride; }

    // Rows of `functions` times W, added to `to`.
    void mix_into(const double *functions, const Mixture &mixture, double *to) const {
        if (mixture.kind == Mixture::Kind::same)
            for (int k = 0; k < size(); ++k) to[k] += functions[k];
        else if (mixture.kind == Mixture::Kind::any)
            product<NV, true>(layout_.n_lm(), layout_.n_max, functions, stride, 1,
                              mixture.W.data(), stride, to, stride);
    }

    // The mixed channels of c from its densities.
    void mix(double *c) const {
        double *to = c + layout_.n_densities * size();
        for (const MixedChannel &channel : layout_.mixed) {
            std::fill_n(to, size(), 0.0);
            for (int density = 0; density < layout_.n_densities; ++density)
                mix_into(c + density * size(),
                         channel.mixture[static_cast<std::size_t>(density)], to);
            to += size();
        }
    }

    // The mixed channels of a change of one density.
    void mix_change(const double *dc, int density) {
        mixed_.resize(layout_.mixed.size() * static_cast<std::size_t>(size()));
        double *to = mixed_.data();
        for (const MixedChannel &channel : layout_.mixed) {
            std::fill_n(to, size(), 0.0);
            mix_into(dc, channel.mixture[static_cast<std::size_t>(density)], to);
            to += size();
        }
    }

    // The change of a channel from those of its density, and of `mixed_`.
    const double *changed(int channel, const double *dc) const {
        const int mixed = channel - layout_.n_densities;
        return mixed < 0 ? dc : mixed_.data() + mixed * size();
    }

    // Adds dE/dm of the mixed channels to dE/dc of the densities.
    void hand_down(double *d) const {
        const double *from = d + layout_.n_densities * size();
        for (const MixedChannel &channel : layout_.mixed) {
            for (int density = 0; density < layout_.n_densities; ++density) {
                const Mixture &mixture = channel.mixture[static_cast<std::size_t>(density)];
                double *to = d + density * size();
                if (mixture.kind == Mixture::Kind::same)
                    for (int k = 0; k < size(); ++k) to[k] += from[k];
                else if (mixture.kind == Mixture::Kind::any)
                    product<NV, true>(layout_.n_lm(), channel.n, from, stride, 1,
                                      mixture.transposed.data(), stride, to, stride);
            }
            from += size();
        }
    }

    // Σ_m a_nm b_n'm of one degree: the matrix, or its diagonal in the first row.
    template <bool Add>
    void multiply(const FeatureBlock &block, int l, const double *a, const double *b) {
        double *M = matrix_.data();
        if (layout_.products != Products::equal) {
            product<NV, Add>(block.n_a, 2 * l + 1, a, 1, stride, b, stride, M, stride);
            return;
        }
        for (int k = 0; k < stride; k += lanes) {
            Vec sum = Add ? load(M + k) : Vec{};
            for (int m = 0; m < 2 * l + 1; ++m)
                sum += load(a + m * stride + k) * load(b + m * stride + k);
            store(M + k, sum);
        }
    }

    void scale(double *p) const {
        const double *factor = layout_.factor.data();
        const int n = layout_.n_features();
        for (int f = 0; f < n; ++f) p[f] *= factor[f];
    }

    // Rows of a matrix one after the other (of its upper triangle if a == b). Whole
    // vectors are written: each row overwrites what spilled from the one before.
    void pack(const FeatureBlock &block, const double *M, double *p) const {
        if (layout_.products != Products::all) {
            for (int k = 0; k < block.n_b; k += lanes) store(p + k, load(M + k));
            if (block.a == block.b || layout_.products == Products::equal) return;
            for (int n = 1; n < block.n_a; ++n) p[block.n_b - 1 + n] = M[n * stride];
            return;
        }
        for (int n = 0; n < block.n_a; ++n) {
            const int skip = block.a == block.b ? n : 0;
            for (int k = skip; k < block.n_b; k += lanes)
                store(p + k - skip, load(M + n * stride + k));
            p += block.n_b - skip;
        }
    }

    // Elements that are no products are not written.
    void unpack_symmetric(const FeatureBlock &block, const double *g, double *M) const {
        if (layout_.products == Products::equal) {
            for (int n = 0; n < block.n_a; ++n) M[n * stride + n] = 2.0 * g[n];
            return;
        }
        const int rows = layout_.products == Products::first ? 1 : block.n_a;
        for (int n = 0; n < rows; ++n) {
            M[n * stride + n] = 2.0 * *g++;
            for (int k = n + 1; k < block.n_a; ++k)
                M[n * stride + k] = M[k * stride + n] = *g++;
        }
    }

    void unpack(const FeatureBlock &block, const double *g, double *M,
                double *transposed) const {
        if (layout_.products == Products::equal) {
            for (int n = 0; n < block.per_degree; ++n)
                M[n * stride + n] = transposed[n * stride + n] = g[n];
            return;
        }
        for (int n = 0; n < block.n_a; ++n) {
            const int columns =
                layout_.products == Products::first && n > 0 ? 1 : block.n_b;
            for (int k = 0; k < columns; ++k)
                M[n * stride + k] = transposed[k * stride + n] = *g++;
        }
    }

    // ∇S_lm as harmonics one degree lower, handed to their coefficients.
    void lower(const double *d) {
        const int size = layout_.l_max * layout_.l_max * stride;
        lowered_.assign(static_cast<std::size_t>(3 * size), 0.0);
        for (int x = 0; x < 3; ++x)
            for (const SolidHarmonics::Summand &s : basis_.harmonics.gradient()[x]) {
                double *to = lowered_.data() + x * size + s.lower * stride;
                for (int v = 0; v < stride; v += lanes)
                    store(to + v, load(to + v) + s.factor * load(d + s.lm * stride + v));
            }
    }

    // dE/dR = u Σ_l along·(Σ_m Y_lm d_lm) + Σ_l across·(Σ_m Y_{l-1,m} lowered).
    template <int R>
    void contract(const Neighbourhood &near, const double *d, int k, double *out) const {
        double parts[4][R];
        contract_component<R>(near, d, along_.data(), 0, k, parts[3]);
        const int size = layout_.l_max * layout_.l_max * stride;
        for (int x = 0; x < 3; ++x)
            contract_component<R>(near, lowered_.data() + x * size, across_.data(), 1, k,
                                  parts[x]);
        const Buffer *unit[3] = {&near.ux, &near.uy, &near.uz};
        for (int x = 0; x < 3; ++x)
            for (int q = 0; q < R; ++q)
                out[x * near.width() + k + q] =
                    parts[x][q] + parts[3][q] * (*unit[x])[k + q];
    }

    // Σ_l radial_l·(Σ_m Y_{l-shift,m} B_{l-shift,m}) for R neighbours.
    template <int R>
    void contract_component(const Neighbourhood &near, const double *B,
                            const double *radial, int shift, int k, double *out) const {
        Vec total[R][NV];
        for (int q = 0; q < R; ++q)
            for (int v = 0; v < NV; ++v) total[q][v] = Vec{};
        const double *Y = near.Y.data() + k;
        for (int l = shift; l < n_l_; ++l) {
            Vec sum[R][NV];
            for (int q = 0; q < R; ++q)
                for (int v = 0; v < NV; ++v) sum[q][v] = Vec{};
            for (int m = 0; m < 2 * (l - shift) + 1; ++m, Y += near.width(), B += stride) {
                Vec b[NV];
                for (int v = 0; v < NV; ++v) b[v] = load(B + v * lanes);
                for (int q = 0; q < R; ++q)
                    for (int v = 0; v < NV; ++v) sum[q][v] += Y[q] * b[v];
            }
            for (int q = 0; q < R; ++q)
                for (int v = 0; v < NV; ++v)
                    total[q][v] +=
                        sum[q][v] * load(radial + row(k + q) + (l * NV + v) * lanes);
        }
        for (int q = 0; q < R; ++q) {
            Vec all = total[q][0];
            for (int v = 1; v < NV; ++v) all += total[q][v];
            out[q] = gapfit::sum(all);
        }
    }

    const Basis &basis_;
    const Layout &layout_;
    int n_l_;
    Buffer matrix_, radial_, along_, across_, lowered_, mixed_;
};

}  // namespace gapfit
