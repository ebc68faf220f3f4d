// Standard deviations and extrapolation grades of pair_style gapfit.
#include "pair_gapfit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "memory.h"
#include "update.h"

using namespace LAMMPS_NS;

void PairGapfit::store_deviations() {
    require_std_room();
    std::fill(std_, std_ + std_room_, 0.0);
    std::fill(grade_, grade_ + std_room_, 0.0);
    for (std::size_t k = 0; k < results_.deviations.size(); ++k) {
        const int i = atoms_[k];
        std_[i] = results_.deviations[k];
        if (potential_->has_grades())
            grade_[i] = potential_->grade(std_[i], species_[atom->type[i]]);
    }
}

// Columns (n_atoms, 3, n_columns): the squares of each component's forces add up.
void PairGapfit::store_force_deviations(const gapfit::Buffer &columns) {
    require_std_room();
    const gapfit::ForceDeviations &deviations = *potential_->force_deviations();
    const int n_columns = deviations.n_columns();
    std::fill_n(function_std_[0], 3 * std_room_, 0.0);
    std::fill_n(forces_std_[0], 3 * std_room_, 0.0);
    // Forces on ghosts belong to their owners, before they are squared.
    for (int first = 0; first < 3 * n_columns; first += 3) {
        const int n = gather_to_owners(columns.data() + first,
                                       3 * static_cast<std::size_t>(n_columns));
        for (int i = 0; i < n; ++i)
            for (int k = 0; k < 3; ++k) {
                const double F = gathered_[static_cast<std::size_t>(3 * i + k)];
                function_std_[i][(first + k) / n_columns] += F * F;
            }
    }
    for (int i = 0; i < atom->nlocal; ++i) {
        if (species_[atom->type[i]] < 0) continue;
        const std::size_t centre = static_cast<std::size_t>(place_[i]);
        for (int x = 0; x < 3; ++x) {
            const double std = std::sqrt(function_std_[i][x]);
            function_std_[i][x] = deviations.of_function(std);
            forces_std_[i][x] = deviations.of_observation(std, centre);
        }
    }
}

void PairGapfit::require_std_room() {
    if (std_ != nullptr && std_room_ >= atom->nmax) return;
    destroy_std_room();
    std_room_ = std::max(atom->nmax, 1);
    memory->create(std_, std_room_, "pair:std");
    memory->create(grade_, std_room_, "pair:extrapolation");
    memory->create(forces_std_, std_room_, 3, "pair:forces_std");
    memory->create(function_std_, std_room_, 3, "pair:forces_std_function");
    std::fill_n(std_, std_room_, 0.0);
    std::fill_n(grade_, std_room_, 0.0);
    std::fill_n(forces_std_[0], 3 * std_room_, 0.0);
    std::fill_n(function_std_[0], 3 * std_room_, 0.0);
}

void PairGapfit::destroy_std_room() {
    memory->destroy(std_);
    memory->destroy(grade_);
    memory->destroy(forces_std_);
    memory->destroy(function_std_);
}

// All processes look at the largest grade of all.
void PairGapfit::watch_grades() {
    struct {
        double grade;
        int process;
    } own{0.0, comm->me}, largest;
    tagint tag = 0;
    for (std::size_t k = 0; k < results_.deviations.size(); ++k) {
        const int i = atoms_[k];
        const double grade =
            potential_->grade(results_.deviations[k], species_[atom->type[i]]);
        if (!(grade > own.grade)) continue;
        own.grade = grade;
        tag = atom->tag[i];
    }
    MPI_Allreduce(&own, &largest, 1, MPI_DOUBLE_INT, MPI_MAXLOC, world);
    // Once, and again where it is half as large again.
    if (largest.grade <= std::max(most_, 1.5 * warned_)) return;
    MPI_Bcast(&tag, 1, MPI_LMP_TAGINT, largest.process, world);
    warned_ = largest.grade;
    constexpr const char *text =
        "pair_style gapfit: atom {} has the extrapolation grade {:.3g} in step {}: its "
        "environment is unlike the data of the potential";
    if (stops_) error->all(FLERR, text, tag, largest.grade, update->ntimestep);
    if (comm->me == 0) error->warning(FLERR, text, tag, largest.grade, update->ntimestep);
}

void *PairGapfit::extract(const char *name, int &dim) {
    dim = 0;
    if (std::strcmp(name, "std_flag") == 0) return &std_flag_;
    if (std::strcmp(name, "extrapolation_flag") == 0) return &grade_flag_;
    if (std::strcmp(name, "forces_std_flag") == 0) return &forces_std_flag_;
    if (std::strcmp(name, "forces_std_function_flag") == 0) return &function_std_flag_;
    return nullptr;
}

void *PairGapfit::extract_peratom(const char *name, int &n_columns) {
    const bool of_forces = std::strcmp(name, "forces_std") == 0;
    if (of_forces || std::strcmp(name, "forces_std_function") == 0) {
        require_force_deviations();
        n_columns = 3;
        require_std_room();
        return of_forces ? forces_std_ : function_std_;
    }
    const bool grades = std::strcmp(name, "extrapolation") == 0;
    if (!grades && std::strcmp(name, "std") != 0) return nullptr;
    if (grades) require_grades();
    if (potential_ != nullptr && !potential_->has_deviations()) refuse_deviations();
    n_columns = 0;
    require_std_room();
    return grades ? grade_ : std_;
}

void PairGapfit::require_force_deviations() const {
    if (potential_ != nullptr && potential_->force_deviations() == nullptr)
        error->all(FLERR,
                   "this potential has no standard deviations of forces: export the model "
                   "with --force-std");
}

void PairGapfit::refuse_deviations() const {
    error->all(FLERR,
               "this potential has no standard deviations: export a model that has its "
               "posterior and a SOAP term, without --no-std");
}

void PairGapfit::require_grades() const {
    if (potential_ != nullptr && !potential_->has_grades())
        error->all(FLERR,
                   "this potential has no extrapolation grades: they need a model with its "
                   "posterior and a SOAP term, calibrated again after append or refit; "
                   "export it without --no-std");
}
