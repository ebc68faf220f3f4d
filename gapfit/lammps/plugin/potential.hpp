// An exported potential: energies, forces, virials and standard deviations of local
// energies for a list of neighbours. Knows nothing of LAMMPS.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ace_term.hpp"
#include "deviations.hpp"
#include "embedding_term.hpp"
#include "force_deviations.hpp"
#include "matrix_products.hpp"
#include "terms.hpp"

namespace gapfit {

// A list of neighbours that owns its arrays. Centres are the first atoms.
struct Neighbours {
    std::vector<std::int64_t> first, j, frame;
    std::vector<double> R;
    std::vector<std::int32_t> species;

    void clear() {
        first.assign(1, 0);
        j.clear();
        R.clear();
        species.clear();
    }

    PairList list() {
        frame.assign(species.size(), 0);
        PairList out;
        out.n_centres = static_cast<std::int64_t>(first.size()) - 1;
        out.n_atoms = static_cast<std::int64_t>(species.size());
        out.n_frames = 1;
        out.first = first.data();
        out.j = j.data();
        out.R = R.data();
        out.species = species.data();
        out.frame = frame.data();
        return out;
    }
};

// What is asked for.
struct Wanted {
    bool atom_virials = false, deviations = false;
};

struct Results {
    Buffer energies;      // (n_centres), e0 included
    Buffer forces;        // (n_atoms, 3)
    double virial[9];     // -Σ R ⊗ dE/dR
    Buffer atom_virials;  // (n_atoms, 3, 3) or empty
    Buffer deviations;    // (n_centres) or empty
};

class Potential {
  public:
    explicit Potential(ArrayFile file) : file_(std::move(file)) {
        const auto species = file_.integers("species", {-1}, 1, 118);
        numbers_.assign(species.begin(), species.end());
        const Source source{file_, static_cast<long>(numbers_.size())};
        read_elements(source);
        cutoff_ = file_.real("cutoff", shortest_length, 100.0);
        shortest_ = file_.real("shortest", shortest_length, cutoff_);
        add(source, "soap", soaps_);
        add(source, "pair", pairs_);
        add(source, "triplet", triplets_);
        add(source, "ace", aces_);
        add(source, "embedding", embeddings_);
        if (file_.has("force_std/rank"))
            force_deviations_ = std::make_unique<ForceDeviations>(source, soaps_, aces_);
        const int last = static_cast<int>(soaps_.size()) - 1;
        const int chosen = file_.integer("variance/soap", -1, last);
        if (chosen < 0) return;
        chosen_ = static_cast<std::size_t>(chosen);
        deviations_ = std::make_unique<Deviations>(
            source, KnownTerms{soaps_, aces_, embeddings_}, chosen_);
        if (!file_.has("usual_deviations")) return;
        const auto usual = file_.reals("usual_deviations", {source.n_species});
        usual_.assign(usual.begin(), usual.end());
        if (*std::min_element(usual_.begin(), usual_.end()) <= 0.0)
            throw FileError(
                "has a usual deviation that is not positive; export the model again");
    }

    Potential(const Potential &) = delete;
    Potential &operator=(const Potential &) = delete;

    const std::vector<std::int64_t> &atomic_numbers() const { return numbers_; }
    // Of the elements, u.
    const std::vector<double> &masses() const { return masses_; }
    const std::vector<std::string> &symbols() const { return symbols_; }
    double cutoff() const { return cutoff_; }
    double shortest() const { return shortest_; }
    bool has_deviations() const { return deviations_ != nullptr; }
    // Null where the file has no factor of them.
    ForceDeviations *force_deviations() { return force_deviations_.get(); }
    bool has_grades() const { return !usual_.empty(); }
    // Extrapolation grade: a standard deviation over that usual for the species.
    double grade(double deviation, int species) const {
        return deviation / usual_[static_cast<std::size_t>(species)];
    }

    void evaluate(Neighbours &neighbours, const Wanted &wanted, ThreadTeam &team,
                  Results &out) {
        const PairList pairs = neighbours.list();
        PredictionArrays arrays = prepare(pairs, wanted, out);
        for (std::size_t k = 0; k < soaps_.size(); ++k) {
            Variances variances;
            if (wanted.deviations && k == chosen_)
                variances = deviations_->request(pairs, team);
            own_.assign(static_cast<std::size_t>(pairs.n_centres), 0.0);
            soaps_[k].predict(pairs, variances, own_blas(), team, arrays);
            add_energies(out);
        }
        const auto add_terms = [&](auto &terms) {
            for (auto &term : terms) {
                own_.assign(static_cast<std::size_t>(pairs.n_centres), 0.0);
                term.predict(pairs, team, arrays);
                add_energies(out);
            }
        };
        add_terms(pairs_);
        add_terms(triplets_);
        add_terms(aces_);
        add_terms(embeddings_);
        if (wanted.deviations)
            for (std::size_t c = 0; c < out.energies.size(); ++c)
                out.deviations[c] = deviations_->deviation(c);
    }

  private:
    // As many symbols, masses and energies as there are species.
    void read_elements(const Source &source) {
        std::istringstream symbols(file_.text("symbols"));
        for (std::string symbol; symbols >> symbol;) symbols_.push_back(symbol);
        const std::set<std::int64_t> distinct(numbers_.begin(), numbers_.end());
        const std::set<std::string> names(symbols_.begin(), symbols_.end());
        if (numbers_.empty() || distinct.size() != numbers_.size() ||
            symbols_.size() != numbers_.size() || names.size() != numbers_.size())
            throw FileError("has " + std::to_string(symbols_.size()) + " symbols for " +
                            std::to_string(numbers_.size()) +
                            " species, or one of them twice; export the model again");
        const auto e0 = file_.reals("e0", {source.n_species});
        e0_.assign(e0.begin(), e0.end());
        const auto masses = file_.reals("masses", {source.n_species});
        masses_.assign(masses.begin(), masses.end());
        if (*std::min_element(masses_.begin(), masses_.end()) <= 0.0)
            throw FileError("has a mass that is not positive; export the model again");
    }

    template <class Term>
    void add(const Source &source, const std::string &kind, std::vector<Term> &terms) {
        const int n_terms = file_.integer("n_" + kind, 0, most_terms);
        for (int k = 0; k < n_terms; ++k)
            terms.emplace_back(source, kind + std::to_string(k) + "/");
    }

    PredictionArrays prepare(const PairList &pairs, const Wanted &wanted, Results &out) {
        const std::size_t n_centres = static_cast<std::size_t>(pairs.n_centres);
        const std::size_t n_atoms = static_cast<std::size_t>(pairs.n_atoms);
        out.energies.resize(n_centres);
        for (std::size_t c = 0; c < n_centres; ++c)
            out.energies[c] = e0_[static_cast<std::size_t>(pairs.species[c])];
        out.forces.assign(3 * n_atoms, 0.0);
        out.atom_virials.assign(wanted.atom_virials ? 9 * n_atoms : 0, 0.0);
        out.deviations.assign(wanted.deviations ? n_centres : 0, 0.0);
        std::fill(out.virial, out.virial + 9, 0.0);
        own_.resize(n_centres);
        PredictionArrays arrays;
        arrays.energies = own_.data();
        arrays.forces = out.forces.data();
        arrays.virials = out.virial;
        if (wanted.atom_virials) arrays.atom_virials = out.atom_virials.data();
        return arrays;
    }

    void add_energies(Results &out) const {
        for (std::size_t c = 0; c < out.energies.size(); ++c) out.energies[c] += own_[c];
    }

    ArrayFile file_;
    std::vector<std::int64_t> numbers_;
    std::vector<std::string> symbols_;
    std::vector<double> e0_, masses_;
    double cutoff_ = 0.0, shortest_ = 0.0;
    std::vector<SoapTerm> soaps_;
    std::vector<PairTerm> pairs_;
    std::vector<TripletTerm> triplets_;
    std::vector<AceTerm> aces_;
    std::vector<EmbeddingTerm> embeddings_;
    std::size_t chosen_ = 0;
    std::unique_ptr<Deviations> deviations_;
    std::unique_ptr<ForceDeviations> force_deviations_;
    std::vector<double> usual_;  // by species; empty where they are not known
    Buffer own_;
};

}  // namespace gapfit
