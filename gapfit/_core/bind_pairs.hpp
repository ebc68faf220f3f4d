// The pair list as Python hands it over.
#pragma once

#include "bindings.hpp"
#include "layout.hpp"

namespace gapfit::bindings {

// Neighbours of consecutive centres; keeps its arrays alive.
class PairList {
  public:
    PairList(Integers first, Integers j, Vectors R, Species species, Integers frame,
             std::int64_t n_frames, std::int64_t start)
        : first_(first), j_(j), R_(R), species_(species), frame_(frame) {
        list_.start = start;
        list_.n_centres = static_cast<std::int64_t>(first.shape(0)) - 1;
        list_.n_atoms = static_cast<std::int64_t>(species.shape(0));
        list_.n_frames = n_frames;
        list_.first = first.data();
        list_.j = j.data();
        list_.R = R.data();
        list_.species = species.data();
        list_.frame = frame.data();
        check();
    }

    const gapfit::PairList &list() const { return list_; }
    int n_species() const { return n_species_; }

  private:
    void check() {
        const std::int64_t n_pairs = static_cast<std::int64_t>(j_.shape(0));
        require(R_.shape(0) == j_.shape(0), "j and R must have the same length");
        require(frame_.shape(0) == species_.shape(0),
                "frame and species must have the same length");
        require(list_.n_centres >= 0 && list_.start >= 0 &&
                    list_.start <= list_.n_atoms - list_.n_centres,
                "the centres start..start + n_centres must be atoms");
        require(list_.first[0] == 0 && list_.first[list_.n_centres] == n_pairs,
                "first must run from 0 to the number of pairs");
        for (std::int64_t k = 0; k < list_.n_centres; ++k)
            require(list_.first[k] <= list_.first[k + 1], "first must not decrease");
        for (std::int64_t k = 0; k < n_pairs; ++k)
            require(list_.j[k] >= 0 && list_.j[k] < list_.n_atoms, "j must be atoms");
        for (std::int64_t k = 0; k < n_pairs; ++k) {
            const double *R = list_.R + 3 * k;
            const double square = R[0] * R[0] + R[1] * R[1] + R[2] * R[2];
            require(square > 0.0 && square < 1e12, "R must be finite and not zero");
        }
        for (std::int64_t k = 0; k < list_.n_atoms; ++k) {
            require(list_.species[k] >= 0 && list_.species[k] < 1000,
                    "species must lie between 0 and 999");
            n_species_ = std::max(n_species_, list_.species[k] + 1);
            require(list_.frame[k] >= 0 && list_.frame[k] < list_.n_frames,
                    "frame must lie below n_frames");
        }
    }

    Integers first_, j_;
    Vectors R_;
    Species species_;
    Integers frame_;
    gapfit::PairList list_;
    int n_species_ = 0;
};

}  // namespace gapfit::bindings
