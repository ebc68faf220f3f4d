// Array types and helpers that all bindings share.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace gapfit::bindings {

namespace nb = nanobind;
using namespace nb::literals;

template <class T, class... Shape>
using In = nb::ndarray<const T, Shape..., nb::c_contig, nb::device::cpu>;
using Vector = In<double, nb::ndim<1>>;
using Matrix = In<double, nb::ndim<2>>;
using Vectors = In<double, nb::shape<-1, 3>>;
using Mixing = In<double, nb::ndim<4>>;
using Tables = In<double, nb::ndim<5>>;
using Integers = In<std::int64_t, nb::ndim<1>>;
using Species = In<std::int32_t, nb::ndim<1>>;
using Out = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, double>;

inline void require(bool holds, const char *what) {
    if (!holds) throw std::invalid_argument(what);
}

// A new array of zeros, owned by Python.
struct NewArray {
    explicit NewArray(std::initializer_list<std::size_t> wanted) : shape(wanted) {
        std::size_t size = 1;
        for (const std::size_t n : shape) size *= n;
        data = new double[size > 0 ? size : 1]();
        owner =
            nb::capsule(data, [](void *p) noexcept { delete[] static_cast<double *>(p); });
    }
    Array array() const { return Array(data, shape.size(), shape.data(), owner); }

    std::vector<std::size_t> shape;
    double *data = nullptr;
    nb::capsule owner;
};

inline void check_tables(const Tables &table, double spacing) {
    require(table.shape(0) >= 1 && table.shape(1) >= 2 && table.shape(2) == 3,
            "the table must be (n_tables, n_knots, 3, l_max + 1, n_max)");
    require(spacing > 0, "the spacing of the knots must be positive");
}

// The data of rows (observations, sparse points) that are added to.
inline double *rows(Out array, std::size_t n_rows, std::int64_t n_columns) {
    require(
        array.shape(0) == n_rows && array.shape(1) == static_cast<std::size_t>(n_columns),
        "rows must be (observations, sparse points)");
    return array.data();
}

}  // namespace gapfit::bindings

void bind_ace(nanobind::module_ &m);
void bind_neighbours(nanobind::module_ &m);
void bind_pairs(nanobind::module_ &m);
void bind_soap(nanobind::module_ &m);
void bind_triplets(nanobind::module_ &m);
