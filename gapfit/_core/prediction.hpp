// Where terms put energies, forces and virials, and shares of them for threads.
#pragma once

#include <cstddef>

#include "layout.hpp"
#include "simd.hpp"
#include "threads.hpp"

namespace gapfit {

// What is computed; arrays that are null are left out. Forces and virials are added.
struct PredictionArrays {
    double *energies = nullptr;      // (n_centres)
    double *forces = nullptr;        // (n_atoms, 3)
    double *virials = nullptr;       // (n_frames, 3, 3): -Σ R ⊗ dE/dR
    double *atom_virials = nullptr;  // (n_atoms, 3, 3): the pairs whose neighbour it is
    double seconds[3] = {0, 0, 0};   // descriptors, kernel, adjoint: summed over threads

    // Adds what follows from dE_i/dR, R being the vector from atom i to atom j.
    void add_pair(const PairList &pairs, std::int64_t i, std::int64_t j, const double *R,
                  const double *g) {
        for (int x = 0; x < 3; ++x) {
            forces[3 * i + x] += g[x];
            forces[3 * j + x] -= g[x];
            for (int y = 0; y < 3; ++y) {
                virials[9 * pairs.frame[i] + 3 * y + x] -= R[y] * g[x];
                if (atom_virials != nullptr) atom_virials[9 * j + 3 * y + x] -= R[y] * g[x];
            }
        }
    }
};

// Arrays that one share of the work adds to.
struct OwnArrays {
    explicit OwnArrays(const PredictionArrays &out) : arrays(out) {}

    void allocate(const PairList &pairs) {
        if (arrays.forces == nullptr) return;
        forces.assign(static_cast<std::size_t>(3 * pairs.n_atoms), 0.0);
        virials.assign(static_cast<std::size_t>(9 * pairs.n_frames), 0.0);
        arrays.forces = forces.data();
        arrays.virials = virials.data();
        if (arrays.atom_virials == nullptr) return;
        atom_virials.assign(3 * forces.size(), 0.0);
        arrays.atom_virials = atom_virials.data();
    }

    void add_to(PredictionArrays &out) const {
        for (int stage = 0; stage < 3; ++stage) out.seconds[stage] += arrays.seconds[stage];
        for (std::size_t k = 0; k < forces.size(); ++k) out.forces[k] += forces[k];
        for (std::size_t k = 0; k < virials.size(); ++k) out.virials[k] += virials[k];
        for (std::size_t k = 0; k < atom_virials.size(); ++k)
            out.atom_virials[k] += atom_virials[k];
    }

    PredictionArrays arrays;
    Buffer forces, virials, atom_virials;
};

// Calls work(centre, arrays) for all centres, on threads. Shares add to arrays of their
// own, summed in a fixed order: deterministic.
template <class Work>
void for_each_centre(const PairList &pairs, ThreadTeam &team, PredictionArrays &out,
                     const Work &make_work) {
    constexpr std::int64_t together = 32;
    const std::int64_t n_shares = team.size();
    std::vector<OwnArrays> parts(static_cast<std::size_t>(n_shares), OwnArrays(out));
    team.run([&](int share) {
        OwnArrays &own = parts[share];
        if (share > 0) own.allocate(pairs);
        auto work = make_work();
        for (std::int64_t first = share * together; first < pairs.n_centres;
             first += n_shares * together) {
            const std::int64_t end = std::min(first + together, pairs.n_centres);
            for (std::int64_t centre = first; centre < end; ++centre)
                work(centre, own.arrays);
            team.check();
        }
    });
    for (const OwnArrays &own : parts) own.add_to(out);
}

}  // namespace gapfit
