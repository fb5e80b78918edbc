#pragma once

#include <cmath>
#include <cstdint>

// Operations that CUDA has, for the executors without it: those that cooperative groups' reductions
// and scans are called with, the fused multiply-add, and atomics in global memory.

namespace derrd::cg {

template <class T>
struct plus {
  T operator()(T a, T b) const { return a + b; }
};
/// The larger one; as in CUDA the first one if they are equal or one is NaN.
template <class T>
struct greater {
  T operator()(T a, T b) const { return a < b ? b : a; }
};
/// The smaller one.
template <class T>
struct less {
  T operator()(T a, T b) const { return b < a ? b : a; }
};

}  // namespace derrd::cg

namespace derrd {

/// Number of bits that are set.
inline int count_bits(unsigned bits) { return __builtin_popcount(bits); }

/// a * b + c, in one rounding where the processor has the instruction.
inline float multiply_add(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// Adds to an integer in global memory, where other blocks may add too; returns the old value.
inline int64_t atomic_add(int64_t& target, int64_t value) {
  return __atomic_fetch_add(&target, value, __ATOMIC_RELAXED);
}

/// The value of an integer in global memory that other threads may exchange meanwhile.
inline uint32_t atomic_load(const uint32_t& source) {
  return __atomic_load_n(&source, __ATOMIC_RELAXED);
}

/// Puts a value in the place of another, in global memory; returns the old one.
inline uint32_t atomic_exchange(uint32_t& target, uint32_t value) {
  return __atomic_exchange_n(&target, value, __ATOMIC_RELAXED);
}

}  // namespace derrd
