// Vectors of doubles as a class, for compilers without vectors of their own (MSVC). The
// operators are those that GCC's and Clang's vectors have, as far as the core uses them.
#pragma once

namespace gapfit {

template <int size>
struct alignas(size * sizeof(double)) PlainVector {
    double value[size];

    static PlainVector filled(double x) {
        PlainVector v;
        for (int k = 0; k < size; ++k) v.value[k] = x;
        return v;
    }

    double operator[](int k) const { return value[k]; }

    PlainVector &operator+=(const PlainVector &b) {
        for (int k = 0; k < size; ++k) value[k] += b.value[k];
        return *this;
    }
    PlainVector &operator-=(const PlainVector &b) {
        for (int k = 0; k < size; ++k) value[k] -= b.value[k];
        return *this;
    }
    PlainVector &operator*=(const PlainVector &b) {
        for (int k = 0; k < size; ++k) value[k] *= b.value[k];
        return *this;
    }
    PlainVector &operator+=(double b) { return *this += filled(b); }
    PlainVector &operator-=(double b) { return *this -= filled(b); }
    PlainVector &operator*=(double b) { return *this *= filled(b); }

    // Friends, so that a number on either side becomes a vector.
    friend PlainVector operator+(PlainVector a, const PlainVector &b) { return a += b; }
    friend PlainVector operator-(PlainVector a, const PlainVector &b) { return a -= b; }
    friend PlainVector operator*(PlainVector a, const PlainVector &b) { return a *= b; }
    friend PlainVector operator+(PlainVector a, double b) { return a += b; }
    friend PlainVector operator-(PlainVector a, double b) { return a -= b; }
    friend PlainVector operator*(PlainVector a, double b) { return a *= b; }
    friend PlainVector operator+(double a, const PlainVector &b) { return b + a; }
    friend PlainVector operator-(double a, const PlainVector &b) { return filled(a) - b; }
    friend PlainVector operator*(double a, const PlainVector &b) { return b * a; }
    PlainVector operator-() const { return *this * -1.0; }
};

}  // namespace gapfit
