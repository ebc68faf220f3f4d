// Vectors of doubles as wide as the instruction set allows, and the one small matrix
// product that the descriptor, its adjoint and its derivatives are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "plain_vector.hpp"

namespace gapfit {

#if defined(__AVX512F__)
inline constexpr int lanes = 8;
inline constexpr int max_accumulators = 14;
#elif defined(__AVX2__)
inline constexpr int lanes = 4;
inline constexpr int max_accumulators = 12;
#else
inline constexpr int lanes = 2;
inline constexpr int max_accumulators = 12;
#endif

// GAPFIT_PLAIN_VECTORS tests what MSVC compiles with another compiler.
#if (defined(__GNUC__) || defined(__clang__)) && !defined(GAPFIT_PLAIN_VECTORS)
// May alias doubles: buffers are plain arrays of them.
typedef double Vec __attribute__((vector_size(lanes * sizeof(double)), may_alias));
typedef std::uint64_t Bits __attribute__((vector_size(lanes * sizeof(double))));

inline Vec broadcast(double x) { return x - Vec{}; }

// Where x is NaN the result is NaN.
inline Vec at_least(Vec x, double lowest) { return x < lowest ? broadcast(lowest) : x; }

// x 2^n for the whole number n in the last bits of `power`.
inline Vec scaled(Vec x, Vec power) {
    Bits exponent, result;
    std::memcpy(&exponent, &power, sizeof exponent);
    std::memcpy(&result, &x, sizeof result);
    result += exponent << 52;
    std::memcpy(&x, &result, sizeof x);
    return x;
}
#else
using Vec = PlainVector<lanes>;

inline Vec broadcast(double x) { return Vec::filled(x); }

inline Vec at_least(Vec x, double lowest) {
    for (double &value : x.value) value = value < lowest ? lowest : value;
    return x;
}

inline Vec scaled(Vec x, Vec power) {
    std::uint64_t exponent[lanes], result[lanes];
    std::memcpy(exponent, &power, sizeof exponent);
    std::memcpy(result, &x, sizeof result);
    for (int k = 0; k < lanes; ++k) result[k] += exponent[k] << 52;
    std::memcpy(&x, result, sizeof result);
    return x;
}
#endif

// Buffers begin on a cache line, so that no vector of a row spans two; new elements are
// not set to zero unless a value is given.
template <class T>
struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <class U>
    LineAllocator(const LineAllocator<U> &) {}
    T *allocate(std::size_t n) {
        return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(64)));
    }
    void deallocate(T *p, std::size_t) { ::operator delete(p, std::align_val_t(64)); }
    template <class U>
    void construct(U *p) {
        ::new (static_cast<void *>(p)) U;
    }
    template <class U, class... Arguments>
    void construct(U *p, Arguments &&...arguments) {
        ::new (static_cast<void *>(p)) U(std::forward<Arguments>(arguments)...);
    }
    bool operator==(const LineAllocator &) const { return true; }
    bool operator!=(const LineAllocator &) const { return false; }
};
using Buffer = std::vector<double, LineAllocator<double>>;

inline Vec load(const double *from) {
    Vec v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

inline void store(double *to, Vec v) { std::memcpy(to, &v, sizeof v); }

inline double sum(Vec v) {
    double total = 0.0;
    for (int k = 0; k < lanes; ++k) total += v[k];
    return total;
}

inline double dot(const double *a, const double *b, int n) {
    Vec sums{};
    int k = 0;
    for (; k + lanes <= n; k += lanes) sums += load(a + k) * load(b + k);
    double total = sum(sums);
    for (; k < n; ++k) total += a[k] * b[k];
    return total;
}

inline constexpr int padded(int n) { return (n + lanes - 1) / lanes * lanes; }

// C[r][:] (+)= Σ_k A(r, k) B[k][:] for R rows, where A(r, k) = A[r a_row + k a_k] and
// rows of B and C are NV vectors long. All R x NV sums stay in registers.
template <int NV, int R, bool Add>
inline void product_rows(int K, const double *A, std::ptrdiff_t a_row, std::ptrdiff_t a_k,
                         const double *B, std::ptrdiff_t b_k, double *C,
                         std::ptrdiff_t c_row) {
    Vec acc[R][NV];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < NV; ++v)
            acc[r][v] = Add ? load(C + r * c_row + v * lanes) : Vec{};
    for (int k = 0; k < K; ++k) {
        Vec b[NV];
        for (int v = 0; v < NV; ++v) b[v] = load(B + k * b_k + v * lanes);
        for (int r = 0; r < R; ++r) {
            const double a = A[r * a_row + k * a_k];
            for (int v = 0; v < NV; ++v) acc[r][v] += a * b[v];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < NV; ++v) store(C + r * c_row + v * lanes, acc[r][v]);
}

// The same for any number of rows.
template <int NV, bool Add>
inline void product(int rows, int K, const double *A, std::ptrdiff_t a_row,
                    std::ptrdiff_t a_k, const double *B, std::ptrdiff_t b_k, double *C,
                    std::ptrdiff_t c_row) {
    constexpr int most = max_accumulators / NV > 1 ? max_accumulators / NV : 1;
    constexpr int block = most >= 7 ? 7 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
    int r = 0;
    for (; r + block <= rows; r += block)
        product_rows<NV, block, Add>(K, A + r * a_row, a_row, a_k, B, b_k, C + r * c_row,
                                     c_row);
    if constexpr (block > 4)
        for (; r + 4 <= rows; r += 4)
            product_rows<NV, 4, Add>(K, A + r * a_row, a_row, a_k, B, b_k, C + r * c_row,
                                     c_row);
    if constexpr (block > 2)
        for (; r + 2 <= rows; r += 2)
            product_rows<NV, 2, Add>(K, A + r * a_row, a_row, a_k, B, b_k, C + r * c_row,
                                     c_row);
    for (; r < rows; ++r)
        product_rows<NV, 1, Add>(K, A + r * a_row, a_row, a_k, B, b_k, C + r * c_row,
                                 c_row);
}

}  // namespace gapfit
