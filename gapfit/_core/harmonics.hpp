// Real solid harmonics r^l Y_lm(R/r) and their gradients, by recurrence.
//
// Orthonormal on the unit sphere, no Condon-Shortley phase, m = -l..l at index
// l*l + l + m. Polynomials in x, y, z: nothing is singular at the origin or on
// the z axis. Recurrences as in Bigi et al., J. Chem. Phys. 159, 064802 (2023).
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace gapfit {

class SolidHarmonics {
  public:
    explicit SolidHarmonics(int l_max)
        : l_max_(l_max), norm_(index(l_max, l_max) + 1),
          q_(index(l_max, l_max) + 1), c_(static_cast<std::size_t>(l_max) + 1),
          s_(static_cast<std::size_t>(l_max) + 1) {
        const double pi = std::acos(-1.0);
        for (int l = 0; l <= l_max; ++l) {
            double ratio = 1.0;  // (l - m)! / (l + m)!
            for (int m = 0; m <= l; ++m) {
                if (m > 0) ratio /= static_cast<double>((l + m) * (l - m + 1));
                const double two = m == 0 ? 1.0 : 2.0;
                norm_[index(l, m)] = std::sqrt(two * (2 * l + 1) / (4.0 * pi) * ratio);
            }
        }
    }

    std::size_t size() const {
        return static_cast<std::size_t>((l_max_ + 1) * (l_max_ + 1));
    }

    // values: size(); gradients: 3 * size(), component-major (d/dx, d/dy, d/dz).
    void evaluate(double x, double y, double z, double *values, double *gradients) {
        recur(x, y, z);
        for (int l = 0; l <= l_max_; ++l)
            for (int m = 0; m <= l; ++m) {
                const double nq = norm_[index(l, m)] * q_[index(l, m)];
                const std::size_t um = static_cast<std::size_t>(m);
                values[at(l, m)] = nq * c_[um];
                if (m > 0) values[at(l, -m)] = nq * s_[um];
            }
        if (gradients != nullptr) differentiate(x, y, gradients);
    }

  private:
    static std::size_t index(int l, int m) {
        return static_cast<std::size_t>(l * (l + 1) / 2 + m);
    }
    static std::size_t at(int l, int m) { return static_cast<std::size_t>(l * l + l + m); }

    double q(int l, int m) const { return (l < 0 || m > l) ? 0.0 : q_[index(l, m)]; }

    // q_lm: r^(l-m) times the m-th derivative of the Legendre polynomial P_l;
    // c_m + i s_m = (x + i y)^m.
    void recur(double x, double y, double z) {
        const double r2 = x * x + y * y + z * z;
        c_[0] = 1.0;
        s_[0] = 0.0;
        for (std::size_t m = 1; m < c_.size(); ++m) {
            c_[m] = x * c_[m - 1] - y * s_[m - 1];
            s_[m] = x * s_[m - 1] + y * c_[m - 1];
        }
        double diagonal = 1.0;  // (2m - 1)!!
        for (int m = 0; m <= l_max_; ++m) {
            if (m > 0) diagonal *= 2 * m - 1;
            q_[index(m, m)] = diagonal;
            for (int l = m + 1; l <= l_max_; ++l)
                q_[index(l, m)] =
                    ((2 * l - 1) * z * q(l - 1, m) - (l + m - 1) * r2 * q(l - 2, m)) / (l - m);
        }
    }

    // d q_lm: dx = -x q_{l-1,m+1}, dy = -y q_{l-1,m+1}, dz = (l + m) q_{l-1,m}.
    void differentiate(double x, double y, double *gradients) const {
        double *gx = gradients, *gy = gradients + size(), *gz = gradients + 2 * size();
        for (int l = 0; l <= l_max_; ++l)
            for (int m = 0; m <= l; ++m) {
                const std::size_t um = static_cast<std::size_t>(m);
                const double n = norm_[index(l, m)], ql = q_[index(l, m)];
                const double lower = q(l - 1, m + 1), along_z = (l + m) * q(l - 1, m);
                const double dc = m > 0 ? m * c_[um - 1] : 0.0;
                const double ds = m > 0 ? m * s_[um - 1] : 0.0;
                gx[at(l, m)] = n * (ql * dc - x * lower * c_[um]);
                gy[at(l, m)] = n * (-ql * ds - y * lower * c_[um]);
                gz[at(l, m)] = n * along_z * c_[um];
                if (m == 0) continue;
                gx[at(l, -m)] = n * (ql * ds - x * lower * s_[um]);
                gy[at(l, -m)] = n * (ql * dc - y * lower * s_[um]);
                gz[at(l, -m)] = n * along_z * s_[um];
            }
    }

    int l_max_;
    std::vector<double> norm_, q_, c_, s_;
};

}  // namespace gapfit
