// Derivatives of density coefficients with the positions of neighbours.
#pragma once

#include <cstdint>
#include <vector>

#include "expansion.hpp"

namespace gapfit::detail {

// Neighbours of one environment by the atom they are images of.
struct Moved {
    std::int64_t atom;
    int density;
    std::vector<int> neighbours;  // indices into the sorted neighbourhood
    int row;                      // first of three rows in its class
};

// Finds the atoms whose images are neighbours of a centre.
class MovedAtoms {
  public:
    explicit MovedAtoms(std::int64_t n_atoms)
        : slot_(static_cast<std::size_t>(n_atoms), -1) {}

    void find(const Layout &layout, const PairList &pairs, const Neighbourhood &near,
              std::vector<Moved> &moved) {
        moved.clear();
        for (int density = 0; density < layout.n_densities; ++density)
            for (int k = near.begin(density); k < near.end(density); ++k) {
                int &slot = slot_[pairs.j[near.order[k]]];
                if (slot < 0) {
                    slot = static_cast<int>(moved.size());
                    moved.push_back({pairs.j[near.order[k]], density, {}, -1});
                }
                moved[slot].neighbours.push_back(k);
            }
        for (const Moved &atom : moved) slot_[atom.atom] = -1;
    }

  private:
    std::vector<int> slot_;
};

template <int NV>
class DensityGradients {
  public:
    static constexpr int stride = NV * lanes;  // of n

    explicit DensityGradients(const Basis &basis) : basis_(basis), layout_(basis.layout) {}

    // Prepares for the neighbours of one centre: ∂Y_lm, three components after each
    // other in the layout of Y.
    void of(const Neighbourhood &near) {
        const int width = near.width(), block = layout_.n_lm() * width;
        dY_.assign(3 * static_cast<std::size_t>(block), 0.0);
        for (int x = 0; x < 3; ++x)
            for (const SolidHarmonics::Summand &s : basis_.harmonics.gradient()[x]) {
                double *to = dY_.data() + x * block + s.lm * width;
                const double *from = near.Y.data() + s.lower * width;
                for (int k = 0; k < width; k += lanes)
                    store(to + k, load(to + k) + s.factor * load(from + k));
            }
    }

    // Adds -∇c of one neighbour to dc (3, n_lm, n), and its share of the strain
    // derivatives to strain (6, n_lm, n); to neither where it is null.
    void add(const Neighbourhood &near, int k, double *dc, double *strain) {
        const int n_l = layout_.l_max + 1, width = near.width();
        const int size = layout_.n_lm() * stride;
        across_.resize(static_cast<std::size_t>(n_l * stride));
        along_.resize(across_.size());
        basis_.radial[near.table[k]].template gradients<NV>(
            near.r[k], near.w[k], near.slope[k], across_.data(), along_.data());
        const double u[3] = {near.ux[k], near.uy[k], near.uz[k]};
        const double R[3] = {u[0] * near.r[k], u[1] * near.r[k], u[2] * near.r[k]};
        for (int l = 0, lm = 0; l < n_l; ++l)
            for (; lm < (l + 1) * (l + 1); ++lm)
                for (int v = 0; v < stride; v += lanes) {
                    const Vec along =
                        near.Y[lm * width + k] * load(&along_[l * stride + v]);
                    const Vec across = load(&across_[l * stride + v]);
                    Vec g[3];
                    for (int x = 0; x < 3; ++x)
                        g[x] = -(u[x] * along +
                                 dY_[(x * layout_.n_lm() + lm) * width + k] * across);
                    const int to = lm * stride + v;
                    if (dc != nullptr)
                        for (int x = 0; x < 3; ++x)
                            store(&dc[x * size + to], load(&dc[x * size + to]) + g[x]);
                    if (strain == nullptr) continue;
                    const Vec w[6] = {R[0] * g[0],
                                      R[1] * g[1],
                                      R[2] * g[2],
                                      0.5 * (R[1] * g[2] + R[2] * g[1]),
                                      0.5 * (R[0] * g[2] + R[2] * g[0]),
                                      0.5 * (R[0] * g[1] + R[1] * g[0])};
                    for (int x = 0; x < 6; ++x)
                        store(strain + x * size + to, load(strain + x * size + to) + w[x]);
                }
    }

  private:
    const Basis &basis_;
    const Layout &layout_;
    Buffer dY_, across_, along_;
};

}  // namespace gapfit::detail
