// Real solid harmonics r^l Y_lm(R/r) by recurrence, and their gradients as
// combinations of the harmonics one degree lower.
//
// Orthonormal on the unit sphere, no Condon-Shortley phase, m = -l..l at index
// l*l + l + m. Polynomials in x, y, z: nothing is singular at the origin or on
// the z axis. Recurrences as in Bigi et al., J. Chem. Phys. 159, 064802 (2023).
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

namespace gapfit {

class SolidHarmonics {
  public:
    // ∂S_lm = factor S_{l-1,m'}: one summand of a gradient component.
    struct Summand {
        int lm;
        int lower;
        double factor;
    };

    explicit SolidHarmonics(int l_max)
        : l_max_(l_max), norm_(index(l_max, l_max) + 1), up_(norm_.size()),
          back_(norm_.size()), first_(static_cast<std::size_t>(l_max) + 1) {
        const double pi = std::acos(-1.0);
        for (int l = 0; l <= l_max; ++l) {
            double ratio = 1.0;  // (l - m)! / (l + m)!
            for (int m = 0; m <= l; ++m) {
                if (m > 0) ratio /= static_cast<double>((l + m) * (l - m + 1));
                const double two = m == 0 ? 1.0 : 2.0;
                norm_[index(l, m)] = std::sqrt(two * (2 * l + 1) / (4.0 * pi) * ratio);
            }
        }
        double odd = 1.0;  // (2m - 1)!!
        for (int m = 0; m <= l_max; ++m) {
            if (m > 0) odd *= 2 * m - 1;
            first_[static_cast<std::size_t>(m)] = odd * norm_[index(m, m)];
            for (int l = m + 1; l <= l_max; ++l) add_recurrence(l, m);
        }
        for (int l = 1; l <= l_max; ++l)
            for (int m = 0; m <= l; ++m) add_gradient(l, m);
    }

    int l_max() const { return l_max_; }
    int size() const { return (l_max_ + 1) * (l_max_ + 1); }

    // Summands of d/dx, d/dy and d/dz, sorted by degree.
    const std::array<std::vector<Summand>, 3> &gradient() const { return gradient_; }

    // Calls emit(lm, S_lm); T is a number or a vector of numbers (one per neighbour).
    template <class T, class Emit>
    void evaluate(T x, T y, T z, Emit emit) const {
        const T r2 = x * x + y * y + z * z;
        const T zero = x - x;
        T c = zero + 1.0, s = zero;  // c + i s = (x + i y)^m
        for (int m = 0; m <= l_max_; ++m) {
            if (m > 0) {
                const T next = x * c - y * s;
                s = x * s + y * c;
                c = next;
            }
            // norm times q_lm: r^(l-m) times the m-th derivative of the Legendre P_l.
            T q = zero + first_[static_cast<std::size_t>(m)], before = zero;
            for (int l = m; l <= l_max_; ++l) {
                if (l > m) {
                    const T next =
                        up_[index(l, m)] * (z * q) - back_[index(l, m)] * (r2 * before);
                    before = q;
                    q = next;
                }
                emit(at(l, m), q * c);
                if (m > 0) emit(at(l, -m), q * s);
            }
        }
    }

  private:
    static std::size_t index(int l, int m) {
        return static_cast<std::size_t>(l * (l + 1) / 2 + m);
    }
    static int at(int l, int m) { return l * l + l + m; }

    // (l - m) q_lm = (2l - 1) z q_{l-1,m} - (l + m - 1) r² q_{l-2,m}, for norm times q.
    void add_recurrence(int l, int m) {
        const double norm = norm_[index(l, m)] / (l - m);
        up_[index(l, m)] = (2 * l - 1) * norm / norm_[index(l - 1, m)];
        if (l > m + 1) back_[index(l, m)] = (l + m - 1) * norm / norm_[index(l - 2, m)];
    }

    // With c_m, s_m as above, for the function of degree l that goes with cos (or sin):
    // ∂x q_l^m c_m = -½ q_{l-1}^{m+1} c_{m+1} + ½ (l+m)(l+m-1) q_{l-1}^{m-1} c_{m-1},
    // ∂y q_l^m c_m = -½ q_{l-1}^{m+1} s_{m+1} - ½ (l+m)(l+m-1) q_{l-1}^{m-1} s_{m-1},
    // ∂z q_l^m c_m = (l+m) q_{l-1}^m c_m; for s_m: c -> s, s -> -c. m = 0 has only the
    // first summand, doubled.
    void add_gradient(int l, int m) {
        const double up = m == 0 ? -1.0 : -0.5, down = 0.5 * (l + m) * (l + m - 1);
        add(0, l, m, m + 1, up);
        add(1, l, m, -(m + 1), up);
        add(2, l, m, m, l + m);
        if (m == 0) return;
        add(0, l, m, m - 1, down);
        if (m > 1) add(1, l, m, -(m - 1), -down);
        add(0, l, -m, -(m + 1), up);
        add(1, l, -m, m + 1, -up);
        add(2, l, -m, -m, l + m);
        if (m > 1) add(0, l, -m, -(m - 1), down);
        add(1, l, -m, m - 1, down);
    }

    void add(int direction, int l, int m, int lower_m, double factor) {
        const int size = lower_m < 0 ? -lower_m : lower_m;
        if (size > l - 1) return;
        const double ratio = norm_[index(l, m < 0 ? -m : m)] / norm_[index(l - 1, size)];
        gradient_[static_cast<std::size_t>(direction)].push_back(
            {at(l, m), at(l - 1, lower_m), factor * ratio});
    }

    int l_max_;
    std::vector<double> norm_, up_, back_, first_;
    std::array<std::vector<Summand>, 3> gradient_;
};

}  // namespace gapfit
