// Calls of the core on threads, and the arrays that predictions come in.
#pragma once

#include "bindings.hpp"
#include "prediction.hpp"
#include "threads.hpp"

namespace gapfit::bindings {

// Runs work(team) without the GIL; Ctrl-C is looked for between batches.
template <class Work>
void run(int n_threads, const Work &work) {
    require(n_threads >= 1 && n_threads <= 1024, "n_threads must lie between 1 and 1024");
    bool interrupted = false;
    {
        nb::gil_scoped_release release;
        ThreadTeam team(n_threads, [&] {
            nb::gil_scoped_acquire acquire;
            return interrupted = interrupted || PyErr_CheckSignals() != 0;
        });
        try {
            work(team);
        } catch (const Interrupted &) {
            if (!interrupted) throw std::logic_error("stopped without a reason");
        }
    }
    if (interrupted) throw nb::python_error();
}

// Energies, forces, virials and atom virials; all but the first may be empty.
struct PredictionResult {
    PredictionResult(const gapfit::PairList &pairs, bool gradients, bool local)
        : energies{static_cast<std::size_t>(pairs.n_centres)},
          forces{gradients ? static_cast<std::size_t>(pairs.n_atoms) : 0, 3},
          virials{gradients ? static_cast<std::size_t>(pairs.n_frames) : 0, 3, 3},
          atom_virials{forces.shape[0] * (local ? 1 : 0), 3, 3} {}

    PredictionArrays arrays() const {
        PredictionArrays out;
        out.energies = energies.data;
        if (forces.shape[0] == 0) return out;
        out.forces = forces.data;
        out.virials = virials.data;
        if (atom_virials.shape[0] > 0) out.atom_virials = atom_virials.data;
        return out;
    }

    nb::tuple tuple() const {
        return nb::make_tuple(energies.array(), forces.array(), virials.array(),
                              atom_virials.array());
    }

    NewArray energies, forces, virials, atom_virials;
};

}  // namespace gapfit::bindings
