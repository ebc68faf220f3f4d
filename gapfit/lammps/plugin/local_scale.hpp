// Size of errors by environment: lines in the unit power spectra of one SOAP term. See
// gapfit.model.local_scale.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "matrix_products.hpp"
#include "terms.hpp"

namespace gapfit {

class LocalScale {
  public:
    // soaps: at least one.
    LocalScale(const Source &source, std::vector<SoapTerm> &soaps)
        : soap_(chosen(source, soaps)) {
        for (long s = 0; s < source.n_species; ++s) {
            const std::string prefix = "force_std/local/" + std::to_string(s) + "/";
            lines_.emplace_back();
            if (!source.file.has(prefix + "vector")) continue;
            const auto numbers = source.file.reals(prefix + "numbers", {3});
            lines_.back() = {
                source.file.reals(prefix + "vector", {soap_.n_features()}).data,
                numbers.data[0], numbers.data[1], numbers.data[2]};
            if (!(numbers.data[1] <= numbers.data[2]))
                throw FileError("has impossible limits of the local scale");
        }
    }

    // Logarithms for all centres.
    void evaluate(const PairList &pairs, ThreadTeam &team) {
        logs_.resize(static_cast<std::size_t>(pairs.n_centres));
        for (std::int64_t first = 0; first < pairs.n_centres; first += most_at_once) {
            PairList some = pairs;
            some.start += first;
            some.first += first;
            some.n_centres = std::min(most_at_once, pairs.n_centres - first);
            soap_.describe(some, own_blas(), team, q_);
            find(some, logs_.data() + first);
        }
    }

    double log_of(std::size_t centre) const { return logs_[centre]; }

  private:
    struct Line {
        const double *vector = nullptr;
        double offset = 0.0, least = 0.0, most = 0.0;
    };

    // Centres whose power spectra are held in memory.
    static constexpr std::int64_t most_at_once = 1024;

    // From the power spectra of these centres.
    void find(const PairList &pairs, double *logs) const {
        const int n = soap_.n_features();
        const double *q = q_.data();
        for (std::int64_t c = 0; c < pairs.n_centres; ++c, q += n) {
            const Line &line =
                lines_[static_cast<std::size_t>(pairs.species[pairs.start + c])];
            logs[c] = line.vector == nullptr
                          ? 0.0
                          : limited(line.offset + dot(q, line.vector, n), line);
        }
    }

    static double limited(double log, const Line &line) {
        if (log >= line.least) return std::min(log, line.most);
        return std::min(2 * line.least - log, std::max(line.least, 0.0));
    }

    static SoapTerm &chosen(const Source &source, std::vector<SoapTerm> &soaps) {
        const int last = static_cast<int>(soaps.size()) - 1;
        return soaps[static_cast<std::size_t>(
            source.file.integer("force_std/local/soap", 0, last))];
    }

    SoapTerm &soap_;
    std::vector<Line> lines_;  // by species
    Buffer q_, logs_;
};

}  // namespace gapfit
