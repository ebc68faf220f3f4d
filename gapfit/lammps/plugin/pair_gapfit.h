// pair_style gapfit [threads N] [extrapolation warn|stop GRADE [EVERY]]
// pair_coeff * * potential.gapfit Si ...
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pair.h"

#include "potential.hpp"

namespace LAMMPS_NS {

// Potentials fitted by gapfit. Each process evaluates the energies of its own atoms with
// all their neighbours; what ghosts get goes back to their owners.
class PairGapfit : public Pair {
  public:
    explicit PairGapfit(class LAMMPS *lmp);
    ~PairGapfit() override;

    void settings(int narg, char **arg) override;
    void coeff(int narg, char **arg) override;
    void init_style() override;
    double init_one(int i, int j) override;
    void compute(int eflag, int vflag) override;
    int pack_reverse_comm(int n, int first, double *buffer) override;
    void unpack_reverse_comm(int n, int *ghosts_of, double *buffer) override;

    // Per atom: "std", the standard deviation of its energy; "extrapolation", its grade;
    // "forces_std", the standard deviations of a new observation of its force; and
    // "forces_std_function", those of the potential alone. Each is computed while a flag of
    // its name and "_flag" is set.
    void *extract(const char *name, int &dim) override;
    void *extract_peratom(const char *name, int &n_columns) override;
    double memory_usage() override;

  private:
    void allocate();
    void read(const std::string &path);
    void choose_species(const std::string &path);
    void require_elements(int n, char **names) const;
    void compare_masses() const;
    void collect();
    std::int64_t put(int atom);
    void add_forces();
    void add_energies();
    void add_virials();
    void add_atom_virials();
    int gather(const double *values, std::size_t stride);
    int gather_to_owners(const double *values, std::size_t stride);
    void store_deviations();
    void store_force_deviations(const gapfit::Buffer &columns);
    void require_std_room();
    void destroy_std_room();
    void require_force_deviations() const;
    void refuse_deviations() const;
    void require_grades() const;
    int read_watch(int narg, char **arg);
    void watch_grades();

    std::unique_ptr<gapfit::Potential> potential_;
    std::vector<int> species_;  // by atom type, -1: none
    int n_threads_ = 1;
    double cutoff_ = 0.0;

    gapfit::Neighbours neighbours_;
    gapfit::Results results_;
    std::vector<int> atoms_;           // of LAMMPS, by place in the list of neighbours
    std::vector<std::int64_t> place_;  // the other way round, -1: not there
    std::vector<double> gathered_;     // three numbers of each atom of LAMMPS

    int std_flag_ = 0, grade_flag_ = 0, forces_std_flag_ = 0, function_std_flag_ = 0;
    int std_room_ = 0;  // atoms that the arrays have room for
    double *std_ = nullptr, *grade_ = nullptr;
    double **forces_std_ = nullptr, **function_std_ = nullptr;

    // Grade that warns or stops, steps between looks, and the grade of the last warning.
    double most_ = 0.0, warned_ = 0.0;
    int every_ = 10;
    bool stops_ = false;
};

}  // namespace LAMMPS_NS
