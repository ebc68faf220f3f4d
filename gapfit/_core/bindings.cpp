// Python bindings of the native core: arrays in, arrays out.
#include <memory>
#include <stdexcept>
#include <utility>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include "harmonics.hpp"

namespace nb = nanobind;

using Vectors = nb::ndarray<const double, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, double>;

namespace {

Array owned(std::unique_ptr<double[]> data, std::initializer_list<std::size_t> shape) {
    double *raw = data.release();
    nb::capsule owner(raw, [](void *p) noexcept { delete[] static_cast<double *>(p); });
    return Array(raw, shape, owner);
}

std::pair<Array, Array> solid_harmonics(Vectors vectors, int l_max) {
    if (l_max < 0 || l_max > 20)
        throw std::invalid_argument("l_max must lie between 0 and 20");
    const std::size_t n = vectors.shape(0);
    gapfit::SolidHarmonics harmonics(l_max);
    const std::size_t n_lm = harmonics.size();
    std::unique_ptr<double[]> values(new double[n * n_lm]);
    std::unique_ptr<double[]> gradients(new double[n * 3 * n_lm]);
    {
        nb::gil_scoped_release release;
        const double *R = vectors.data();
        for (std::size_t k = 0; k < n; ++k)
            harmonics.evaluate(R[3 * k], R[3 * k + 1], R[3 * k + 2], &values[k * n_lm],
                               &gradients[k * 3 * n_lm]);
    }
    return {owned(std::move(values), {n, n_lm}), owned(std::move(gradients), {n, 3, n_lm})};
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Native core of gapfit";
    m.def("solid_harmonics", &solid_harmonics, nb::arg("vectors"), nb::arg("l_max"),
          "Real solid harmonics r^l Y_lm and their gradients.\n\n"
          "vectors: (n, 3) float64, Å. Returns ((n, (l_max+1)^2), (n, 3, (l_max+1)^2)),\n"
          "m = -l..l at index l*l + l + m, orthonormal, no Condon-Shortley phase.");
}
