// SciPy's BLAS for the core.
#pragma once

#include <string>

#include "bindings.hpp"
#include "blas.hpp"

namespace gapfit::bindings {

// A function of SciPy's BLAS whose arguments begin as stated.
template <class Function>
Function scipy_blas(const char *name, const char *begin) {
    const nb::object capsule =
        nb::module_::import_("scipy.linalg.cython_blas").attr("__pyx_capi__")[name];
    const char *signature = PyCapsule_GetName(capsule.ptr());
    if (signature == nullptr) throw nb::python_error();
    require(std::string(signature).rfind(begin, 0) == 0,
            "the BLAS of this SciPy does not use 32-bit integers");
    void *pointer = PyCapsule_GetPointer(capsule.ptr(), signature);
    if (pointer == nullptr) throw nb::python_error();
    return reinterpret_cast<Function>(pointer);
}

inline gapfit::Blas scipy_blas() {
    return gapfit::Blas(
        scipy_blas<gapfit::Dgemm>("dgemm", "void (char *, char *, int *"),
        scipy_blas<gapfit::Dtrmm>("dtrmm", "void (char *, char *, char *, char *, int *"));
}

}  // namespace gapfit::bindings
