#pragma once

// Sizes that leave every cache. Their names have the part "/large/".

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

namespace derrd::bench {

using Arguments = std::vector<int64_t>;

/// One of several operations on the same data.
struct Operation {
  const char* name;
  void (*run)(benchmark::State&);
};

struct LargeBenchmark {
  Operation operation;
  std::vector<std::string> argument_names;
  Arguments arguments;
  int64_t bytes;  ///< of device memory that it takes
};

inline std::vector<LargeBenchmark>& large_benchmarks() {
  static std::vector<LargeBenchmark> benchmarks;
  return benchmarks;
}

/// Every operation at every shape, the operations of a shape one after the other, so that they find
/// its data (kept_data). `bytes_of` a shape is what all of its arrays take. A list and no
/// registration yet: before main nobody may ask a device for its memory.
template <class BytesOf>
bool add_large(const std::vector<std::string>& argument_names, const std::vector<Arguments>& shapes,
               BytesOf bytes_of, const std::vector<Operation>& operations) {
  for (const Arguments& shape : shapes) {
    for (const Operation& operation : operations) {
      large_benchmarks().push_back({operation, argument_names, shape, bytes_of(shape)});
    }
  }
  return true;
}

}  // namespace derrd::bench
