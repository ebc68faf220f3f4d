#include "pair_gapfit.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <fstream>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

// Reads a file whole. Returns what is wrong with it, or nothing.
std::string read_file(const std::string &path, std::vector<char> &head,
                      gapfit::Buffer &body) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return "cannot be read";
    const std::streamoff size = file.tellg();
    if (size < static_cast<std::streamoff>(head.size()))
        return "is not a potential written by `gapfit export-lammps`";
    try {
        file.seekg(0);
        file.read(head.data(), static_cast<std::streamsize>(head.size()));
        const gapfit::FileHeader header(head.data());
        if (header.n_bytes != static_cast<std::uint64_t>(size) - head.size())
            return "is damaged (its length is wrong); export the model again";
        body = gapfit::ArrayFile::room(header);
        file.read(reinterpret_cast<char *>(body.data()),
                  static_cast<std::streamsize>(header.n_bytes));
        if (!file) return "cannot be read to its end";
    } catch (const std::exception &error) {
        return error.what();
    }
    return {};
}

// What the first process has, for all others; messages of MPI hold less than 2^31 bytes.
void share(char *bytes, std::size_t n, MPI_Comm world) {
    constexpr std::size_t most = std::size_t{1} << 30;
    for (std::size_t at = 0; at < n; at += most)
        MPI_Bcast(bytes + at, static_cast<int>(std::min(most, n - at)), MPI_CHAR, 0, world);
}

}  // namespace

PairGapfit::PairGapfit(LAMMPS *lmp) : Pair(lmp) {
    single_enable = 0;
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    no_virial_fdotr_compute = 1;
    centroidstressflag = CENTROID_AVAIL;
    comm_reverse = comm_reverse_off = 3;
}

PairGapfit::~PairGapfit() {
    destroy_std_room();
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
}

void PairGapfit::settings(int narg, char **arg) {
    n_threads_ = 1;
    most_ = warned_ = 0.0;
    for (int n = 0; n < narg;) {
        if (std::strcmp(arg[n], "threads") == 0 && n + 1 < narg) {
            n_threads_ = utils::inumeric(FLERR, arg[n + 1], false, lmp);
            if (n_threads_ < 1)
                error->all(FLERR, "pair_style gapfit threads {}: give 1 or more",
                           n_threads_);
            n += 2;
        } else if (std::strcmp(arg[n], "extrapolation") == 0 && n + 2 < narg) {
            n += 1 + read_watch(narg - n - 1, arg + n + 1);
        } else {
            error->all(FLERR,
                       "Illegal pair_style gapfit command: write `pair_style gapfit`, and "
                       "after it `threads N` or `extrapolation warn|stop GRADE [EVERY]`");
        }
    }
}

// Reads what follows "extrapolation". Returns how many words that is.
int PairGapfit::read_watch(int narg, char **arg) {
    stops_ = std::strcmp(arg[0], "stop") == 0;
    if (!stops_ && std::strcmp(arg[0], "warn") != 0)
        error->all(FLERR, "pair_style gapfit extrapolation {}: give warn or stop", arg[0]);
    most_ = utils::numeric(FLERR, arg[1], false, lmp);
    if (!(most_ > 0.0))
        error->all(FLERR, "pair_style gapfit extrapolation {} {}: give a positive grade",
                   arg[0], arg[1]);
    every_ = 10;
    if (narg < 3 || !utils::is_integer(arg[2])) return 2;
    every_ = utils::inumeric(FLERR, arg[2], false, lmp);
    if (every_ < 1)
        error->all(FLERR,
                   "pair_style gapfit extrapolation {} {} {}: give a positive number of "
                   "steps",
                   arg[0], arg[1], arg[2]);
    return 3;
}

void PairGapfit::allocate() {
    allocated = 1;
    const int n = atom->ntypes + 1;
    memory->create(setflag, n, n, "pair:setflag");
    memory->create(cutsq, n, n, "pair:cutsq");
    map = new int[n];
}

void PairGapfit::coeff(int narg, char **arg) {
    if (narg < 4)
        error->all(FLERR,
                   "pair_coeff of pair_style gapfit: write `pair_coeff * * FILE` and "
                   "the element of each atom type");
    require_elements(narg - 3, arg + 3);
    if (!allocated) allocate();
    map_element2type(narg - 3, arg + 3);
    read(arg[2]);
    choose_species(arg[2]);
}

// Types may be left to other potentials, and there are others in a hybrid only.
void PairGapfit::require_elements(int n, char **names) const {
    const auto is_null = [](const char *name) { return std::strcmp(name, "NULL") == 0; };
    if (std::all_of(names, names + n, is_null))
        error->all(FLERR,
                   "pair_coeff of pair_style gapfit: no atom type has an element; "
                   "write that of each type instead of NULL");
    if (utils::strmatch(force->pair_style, "^hybrid")) return;
    const auto first = std::find_if(names, names + n, is_null);
    if (first != names + n)
        error->all(FLERR,
                   "pair_coeff of pair_style gapfit: atom type {} is NULL, which leaves it "
                   "to another potential of pair_style hybrid or hybrid/overlay; write its "
                   "element",
                   first - names + 1);
}

void PairGapfit::read(const std::string &path) {
    std::vector<char> head(gapfit::FileHeader::size, 0);
    gapfit::Buffer body;
    std::string problem;
    if (comm->me == 0) problem = read_file(path, head, body);
    int length = static_cast<int>(problem.size());
    MPI_Bcast(&length, 1, MPI_INT, 0, world);
    problem.resize(static_cast<std::size_t>(length));
    share(problem.data(), problem.size(), world);
    if (problem.empty()) {
        share(head.data(), head.size(), world);
        try {
            const gapfit::FileHeader header(head.data());
            if (comm->me != 0) body = gapfit::ArrayFile::room(header);
            share(reinterpret_cast<char *>(body.data()), header.n_bytes, world);
            potential_ = std::make_unique<gapfit::Potential>(
                gapfit::ArrayFile(header, std::move(body)));
            cutoff_ = potential_->cutoff();
        } catch (const std::exception &failure) {
            problem = failure.what();
        }
    }
    if (!problem.empty()) error->all(FLERR, "{} {}", path, problem);
}

void PairGapfit::choose_species(const std::string &path) {
    const std::vector<std::string> &known = potential_->symbols();
    species_.assign(static_cast<std::size_t>(atom->ntypes) + 1, -1);
    for (int type = 1; type <= atom->ntypes; ++type) {
        if (map[type] < 0) continue;
        const std::string element = elements[map[type]];
        const auto found = std::find(known.begin(), known.end(), element);
        if (found == known.end()) {
            std::string all;
            for (const std::string &symbol : known) all += " " + symbol;
            error->all(FLERR, "{} knows no {}: its elements are{}", path, element, all);
        }
        species_[type] = static_cast<int>(found - known.begin());
    }
}

// Elements in the wrong order give a simulation that runs, of another material.
void PairGapfit::compare_masses() const {
    constexpr double most = 0.2;
    if (comm->me != 0 || atom->mass == nullptr) return;
    for (int type = 1; type <= atom->ntypes; ++type) {
        if (species_[type] < 0 || !atom->mass_setflag[type]) continue;
        const double own = potential_->masses()[static_cast<std::size_t>(species_[type])];
        if (std::abs(atom->mass[type] - own) <= most * own) continue;
        error->warning(
            FLERR,
            "pair_style gapfit: atom type {} is {} in pair_coeff, of mass {:.4g}, "
            "but its mass is {:.4g}: compare the elements in pair_coeff with the "
            "atom types",
            type, elements[map[type]], own, atom->mass[type]);
    }
}

void PairGapfit::init_style() {
    if (std::strcmp(update->unit_style, "metal") != 0)
        error->all(FLERR, "pair_style gapfit needs units metal (eV and Angstrom), not {}",
                   update->unit_style);
    if (atom->tag_enable == 0)
        error->all(FLERR, "pair_style gapfit needs atom IDs (atom_modify id yes)");
    // Neighbours with such factors are not in the list.
    const double *factor = force->special_lj;
    if (atom->molecular != Atom::ATOMIC &&
        std::min({factor[1], factor[2], factor[3]}) == 0.0)
        error->all(FLERR,
                   "pair_style gapfit needs all neighbours, bonded ones, too: set "
                   "special_bonds lj/coul 1 1 1");
    compare_masses();
    if (most_ > 0.0) require_grades();
    neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairGapfit::init_one(int i, int j) {
    if (setflag[i][j] == 0)
        error->all(FLERR, "pair_coeff of pair_style gapfit is missing for types {} and {}",
                   i, j);
    return cutoff_;
}

void PairGapfit::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    collect();
    gapfit::Wanted wanted;
    wanted.atom_virials = vflag_atom || cvflag_atom;
    const bool watches = most_ > 0.0 && update->ntimestep % every_ == 0;
    wanted.deviations = std_flag_ != 0 || grade_flag_ != 0 || watches;
    // A fix that came before the potential could not know.
    if (wanted.deviations && !potential_->has_deviations()) refuse_deviations();
    const bool of_forces = forces_std_flag_ != 0 || function_std_flag_ != 0;
    if (of_forces) require_force_deviations();
    std::string problem;
    const gapfit::Buffer *columns = nullptr;
    try {
        gapfit::ThreadTeam team(n_threads_, nullptr);
        potential_->evaluate(neighbours_, wanted, team, results_);
        if (of_forces)
            columns = &potential_->force_deviations()->evaluate(neighbours_.list(), team);
    } catch (const std::exception &failure) {
        problem = failure.what();
    }
    if (!problem.empty()) error->one(FLERR, "pair_style gapfit failed: {}", problem);
    add_forces();
    add_energies();
    add_virials();
    if (std_flag_ || grade_flag_) store_deviations();
    if (of_forces) store_force_deviations(*columns);
    if (watches) watch_grades();
}

// Centres first, then the other atoms that are neighbours.
void PairGapfit::collect() {
    const double most = cutoff_ * cutoff_;
    const double least = potential_->shortest() * potential_->shortest();
    neighbours_.clear();
    atoms_.clear();
    place_.assign(static_cast<std::size_t>(atom->nlocal + atom->nghost), -1);
    for (int n = 0; n < list->inum; ++n)
        if (species_[atom->type[list->ilist[n]]] >= 0) put(list->ilist[n]);
    const std::size_t n_centres = atoms_.size();
    for (std::size_t centre = 0; centre < n_centres; ++centre) {
        const int i = atoms_[centre];
        const double *r = atom->x[i];
        for (int n = 0; n < list->numneigh[i]; ++n) {
            const int j = list->firstneigh[i][n] & NEIGHMASK;
            if (species_[atom->type[j]] < 0) continue;
            const double *other = atom->x[j];
            const double R[3] = {other[0] - r[0], other[1] - r[1], other[2] - r[2]};
            const double square = R[0] * R[0] + R[1] * R[1] + R[2] * R[2];
            if (square >= most) continue;
            if (!(square >= least))
                error->one(FLERR,
                           "atoms {} and {} are {:.3g} A apart: pair_style gapfit "
                           "needs at least {} A",
                           atom->tag[i], atom->tag[j], std::sqrt(square),
                           potential_->shortest());
            neighbours_.j.push_back(put(j));
            neighbours_.R.insert(neighbours_.R.end(), R, R + 3);
        }
        neighbours_.first.push_back(static_cast<std::int64_t>(neighbours_.j.size()));
    }
}

std::int64_t PairGapfit::put(int atom_index) {
    std::int64_t &place = place_[static_cast<std::size_t>(atom_index)];
    if (place < 0) {
        place = static_cast<std::int64_t>(atoms_.size());
        atoms_.push_back(atom_index);
        neighbours_.species.push_back(species_[atom->type[atom_index]]);
    }
    return place;
}

// Puts three numbers of each atom in the list of neighbours into gathered_. Returns how
// many atoms of LAMMPS to add them to: all, whose ghosts LAMMPS adds to their owners
// itself, or without that (newton off for pairs) the own ones.
int PairGapfit::gather(const double *values, std::size_t stride) {
    if (!force->newton_pair) return gather_to_owners(values, stride);
    const int n_atoms = atom->nlocal + atom->nghost;
    gathered_.assign(3 * static_cast<std::size_t>(n_atoms), 0.0);
    for (std::size_t k = 0; k < atoms_.size(); ++k)
        std::copy_n(values + stride * k, 3, gathered_.data() + 3 * atoms_[k]);
    return n_atoms;
}

// The same, and adds what ghosts got to their owners. Returns the number of own atoms.
int PairGapfit::gather_to_owners(const double *values, std::size_t stride) {
    gathered_.assign(3 * static_cast<std::size_t>(atom->nlocal + atom->nghost), 0.0);
    for (std::size_t k = 0; k < atoms_.size(); ++k)
        std::copy_n(values + stride * k, 3, gathered_.data() + 3 * atoms_[k]);
    comm->reverse_comm(this);
    return atom->nlocal;
}

int PairGapfit::pack_reverse_comm(int n, int first, double *buffer) {
    std::copy_n(gathered_.data() + 3 * first, 3 * n, buffer);
    return 3 * n;
}

void PairGapfit::unpack_reverse_comm(int n, int *ghosts_of, double *buffer) {
    for (int k = 0; k < n; ++k)
        for (int x = 0; x < 3; ++x) gathered_[3 * ghosts_of[k] + x] += buffer[3 * k + x];
}

void PairGapfit::add_forces() {
    const int n = gather(results_.forces.data(), 3);
    for (int i = 0; i < n; ++i)
        for (int x = 0; x < 3; ++x) atom->f[i][x] += gathered_[3 * i + x];
}

void PairGapfit::add_energies() {
    if (eflag_global)
        for (const double energy : results_.energies) eng_vdwl += energy;
    if (eflag_atom)
        for (std::size_t k = 0; k < results_.energies.size(); ++k)
            eatom[atoms_[k]] += results_.energies[k];
}

// W = -R (x) dE/dR, position first; LAMMPS orders xx yy zz xy xz yz, then yx zx zy.
void PairGapfit::add_virials() {
    constexpr int order[6] = {0, 4, 8, 1, 2, 5};
    if (vflag_global)
        for (int v = 0; v < 6; ++v) virial[v] += results_.virial[order[v]];
    if (vflag_atom || cvflag_atom) add_atom_virials();
}

// Row by row of W.
void PairGapfit::add_atom_virials() {
    constexpr int place[3][3] = {{0, 3, 4}, {6, 1, 5}, {7, 8, 2}};
    for (int row = 0; row < 3; ++row) {
        const int n = gather(results_.atom_virials.data() + 3 * row, 9);
        for (int i = 0; i < n; ++i)
            for (int x = 0; x < 3; ++x) {
                const double W = gathered_[3 * i + x];
                const int v = place[row][x];
                if (cvflag_atom) cvatom[i][v] += W;
                // The mean of xy and yx, and so on.
                if (vflag_atom) vatom[i][v < 6 ? v : v - 3] += v < 3 ? W : 0.5 * W;
            }
    }
}

double PairGapfit::memory_usage() {
    std::size_t numbers = results_.forces.capacity() + results_.atom_virials.capacity() +
                          neighbours_.R.capacity() + neighbours_.j.capacity() +
                          place_.capacity() + gathered_.capacity();
    if (potential_ != nullptr && potential_->force_deviations() != nullptr)
        numbers += potential_->force_deviations()->room();
    return Pair::memory_usage() + static_cast<double>(8 * numbers) +
           static_cast<double>(8 * 8 * std_room_);
}
