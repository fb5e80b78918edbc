#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "tests/files.h"

namespace derrd::test {

/// Writes an array as `derrd export` does, without a list of checksums.
inline void write_npy(const std::string& path, const std::vector<float>& values,
                      const std::vector<int64_t>& shape) {
  std::string file = npy_header(shape);
  const size_t header = file.size();
  file.resize(header + values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(file.data() + header, values.data(), file.size() - header);
  write_text(path, file);
}

}  // namespace derrd::test
