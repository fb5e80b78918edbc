#pragma once

// The operations that cooperative groups' reductions and scans are called with, for the executors
// without CUDA.

namespace derrd::cg {

template <class T>
struct plus {
  T operator()(T a, T b) const { return a + b; }
};
/// The larger one, as in CUDA.
template <class T>
struct greater {
  T operator()(T a, T b) const { return a > b ? a : b; }
};
/// The smaller one.
template <class T>
struct less {
  T operator()(T a, T b) const { return a < b ? a : b; }
};

}  // namespace derrd::cg
