// Which of the instruction sets that the core is compiled for this machine has.
#pragma once

#if defined(_MSC_VER)
#include <intrin.h>
// Of <windows.h>, which defines macros such as min and max.
extern "C" __declspec(dllimport) int __stdcall IsProcessorFeaturePresent(unsigned long);
#endif

namespace gapfit {

#if defined(_MSC_VER) && (defined(_M_X64) || defined(__x86_64__))
// Bits of the widest vectors that processor and operating system support.
inline int instruction_set() {
    // Windows tells whether it saves the registers, CPUID the parts of an instruction set.
    constexpr unsigned long windows_avx2 = 40, windows_avx512f = 41;
    int basic[4], extended[4];
    __cpuid(basic, 0);
    if (basic[0] < 7) return 128;
    __cpuid(basic, 1);
    __cpuidex(extended, 7, 0);
    const auto has = [](int word, int bit) {
        return ((static_cast<unsigned>(word) >> bit) & 1u) != 0;
    };
    const int fma = basic[2], leaf7 = extended[1];
    if (!has(fma, 12) || !has(leaf7, 5) || !IsProcessorFeaturePresent(windows_avx2))
        return 128;
    const bool avx512 = has(leaf7, 16) && has(leaf7, 17) && has(leaf7, 30) &&
                        has(leaf7, 31) && IsProcessorFeaturePresent(windows_avx512f);
    return avx512 ? 512 : 256;
}
#else
inline int instruction_set() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return 512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
#endif
    return 128;
}
#endif

}  // namespace gapfit
