// Invariant polynomials of density coefficients: sums of products of up to four of them.
//
// Products share their factors: of three or four coefficients, the first two are
// multiplied once for all products that begin with them (as in Lysogorskiy et al., npj
// Comput. Mater. 7, 97 (2021)). Vectors hold one environment in each lane.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "simd.hpp"

namespace gapfit {

class Invariants {
  public:
    static constexpr int most_factors = 4;
    // Places of density coefficients; -1 for no further factor.
    using Product = std::array<int, most_factors>;

    // One product in a polynomial.
    struct Summand {
        int polynomial, product;
        double factor;
    };

    Invariants(int n_coefficients, int n_polynomials, std::vector<Product> products,
               std::vector<Summand> summands)
        : n_coefficients_(n_coefficients), n_polynomials_(n_polynomials),
          products_(std::move(products)), summands_(std::move(summands)) {
        for (const Product &product : products_) check(product);
        for (const Summand &s : summands_)
            if (s.polynomial < 0 || s.polynomial >= n_polynomials_ || s.product < 0 ||
                s.product >= static_cast<int>(products_.size()))
                throw std::invalid_argument("summands must name polynomials and products");
        sort_products();
        split_products();
    }

    int n_coefficients() const { return n_coefficients_; }
    int size() const { return n_polynomials_; }
    int n_products() const { return static_cast<int>(products_.size()); }

    // Numbers of doubles for the values of `lanes` environments: 1, the coefficients,
    // shared products.
    std::size_t n_values() const {
        return (1 + static_cast<std::size_t>(n_coefficients_) + pairs_.size()) * lanes;
    }
    // Where coefficient k of an environment goes.
    static std::size_t at(int coefficient, int lane) {
        return static_cast<std::size_t>((1 + coefficient) * lanes + lane);
    }

    // Factors of the products whose sum is Σ c_f B_f, for c (size).
    std::vector<double> weights(const double *c) const {
        std::vector<double> out(products_.size(), 0.0);
        for (const Summand &s : summands_) out[s.product] += s.factor * c[s.polynomial];
        return out;
    }

    // Shared products of the coefficients in v.
    void multiply(double *v) const {
        store(v, broadcast(1.0));
        double *to = v + (1 + n_coefficients_) * lanes;
        for (const auto &[a, b] : pairs_) {
            store(to, load(v + a * lanes) * load(v + b * lanes));
            to += lanes;
        }
    }

    // Polynomials (size, lanes) of values that are multiplied.
    void polynomials(const double *v, double *B) const {
        std::fill(B, B + n_polynomials_ * lanes, 0.0);
        for (const Summand &s : summands_) {
            const auto &[left, right] = split_[s.product];
            double *to = B + s.polynomial * lanes;
            store(to,
                  load(to) + s.factor * (load(v + left * lanes) * load(v + right * lanes)));
        }
    }

    // Weighted sum of the products; w becomes its derivatives with the values.
    Vec sum_with_adjoint(const double *weights, const double *v, double *w) const {
        std::fill(w, w + n_values(), 0.0);
        Vec total{};
        for (std::size_t k = 0; k < split_.size();) {
            const int left = split_[k].first;
            const Vec factor = load(v + left * lanes);
            Vec sum{};
            for (; k < split_.size() && split_[k].first == left; ++k) {
                const int right = split_[k].second;
                double *to = w + right * lanes;
                sum += weights[k] * load(v + right * lanes);
                store(to, load(to) + weights[k] * factor);
            }
            total += factor * sum;
            store(w + left * lanes, load(w + left * lanes) + sum);
        }
        const double *from = w + n_values();
        for (std::size_t p = pairs_.size(); p-- > 0;) {
            from -= lanes;
            const auto &[a, b] = pairs_[p];
            const Vec slope = load(from);
            store(w + a * lanes, load(w + a * lanes) + slope * load(v + b * lanes));
            store(w + b * lanes, load(w + b * lanes) + slope * load(v + a * lanes));
        }
        return total;
    }

    // The same without derivatives.
    Vec sum(const double *weights, const double *v) const {
        Vec total{};
        for (std::size_t k = 0; k < split_.size(); ++k)
            total += weights[k] * (load(v + split_[k].first * lanes) *
                                   load(v + split_[k].second * lanes));
        return total;
    }

    // J (size, n_coefficients): derivatives of all polynomials of one environment with its
    // coefficients A, times a factor for each polynomial.
    void jacobian(const double *A, const double *factors, double *J) const {
        std::fill(J, J + static_cast<std::size_t>(n_polynomials_) * n_coefficients_, 0.0);
        for (const Summand &s : summands_) {
            const Product &product = products_[s.product];
            double *row = J + static_cast<std::size_t>(s.polynomial) * n_coefficients_;
            const double factor = s.factor * factors[s.polynomial];
            for (int k = 0; k < most_factors && product[k] >= 0; ++k) {
                double rest = factor;
                for (int m = 0; m < most_factors && product[m] >= 0; ++m)
                    if (m != k) rest *= A[product[m]];
                row[product[k]] += rest;
            }
        }
    }

  private:
    void check(const Product &product) const {
        bool ended = false;
        for (const int k : product) {
            if (k < -1 || k >= n_coefficients_ || (ended && k >= 0))
                throw std::invalid_argument("products must be places of coefficients");
            ended = ended || k < 0;
        }
        if (product[0] < 0) throw std::invalid_argument("products must have a factor");
    }

    // By number of factors, then by factors: those with the same beginning together.
    void sort_products() {
        std::vector<int> order(products_.size()), place(products_.size());
        std::iota(order.begin(), order.end(), 0);
        const auto key = [&](int k) {
            const Product &p = products_[k];
            const int n = static_cast<int>(
                std::count_if(p.begin(), p.end(), [](int a) { return a >= 0; }));
            return std::make_pair(n, p);
        };
        std::sort(order.begin(), order.end(),
                  [&](int a, int b) { return key(a) < key(b); });
        std::vector<Product> sorted;
        for (std::size_t k = 0; k < order.size(); ++k) {
            sorted.push_back(products_[order[k]]);
            place[order[k]] = static_cast<int>(k);
        }
        products_ = std::move(sorted);
        for (Summand &s : summands_) s.product = place[s.product];
        std::stable_sort(
            summands_.begin(), summands_.end(),
            [](const Summand &a, const Summand &b) { return a.polynomial < b.polynomial; });
    }

    // Each product as two values: coefficients, or shared products.
    void split_products() {
        std::map<std::pair<int, int>, int> known;
        const auto shared = [&](int a, int b) {
            const auto [entry, is_new] = known.try_emplace(
                {1 + a, 1 + b}, 1 + n_coefficients_ + static_cast<int>(pairs_.size()));
            if (is_new) pairs_.emplace_back(1 + a, 1 + b);
            return entry->second;
        };
        for (const auto &[a, b, c, d] : products_) {
            if (b < 0)
                split_.emplace_back(0, 1 + a);
            else if (c < 0)
                split_.emplace_back(1 + a, 1 + b);
            else if (d < 0)
                split_.emplace_back(shared(a, b), 1 + c);
            else
                split_.emplace_back(shared(a, b), shared(c, d));
        }
    }

    int n_coefficients_, n_polynomials_;
    std::vector<Product> products_;
    std::vector<Summand> summands_;           // by polynomial
    std::vector<std::pair<int, int>> pairs_;  // factors of shared products
    std::vector<std::pair<int, int>> split_;  // values whose product each one is
};

}  // namespace gapfit
