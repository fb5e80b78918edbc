#pragma once

#include <cmath>

// Operations that CUDA has, for the executors without it: those that cooperative groups' reductions
// and scans are called with, and the fused multiply-add.

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

/// a * b + c, in one rounding where the processor has the instruction.
inline float multiply_add(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

}  // namespace derrd
