#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/formats/safetensors.h"

namespace derrd {

/// The lists of some users on the host.
struct Lists {
  std::vector<int32_t> users;
  std::vector<int32_t> items;  ///< [users, length], -1 behind the last
  std::vector<float> scores;   ///< [users, length], -infinity behind the last
  int64_t length = 0;
};

/// Where recommendations go, a part of the users after the other.
class ListWriter {
 public:
  virtual ~ListWriter() = default;
  /// @throws Error if it can't be written.
  virtual void write(const Lists& lists) = 0;
  /// After the last part: a file appears when it is complete.
  virtual void finish() = 0;
};

/// Lines of text with original ids.
/// @param format "tsv" or "jsonl"
/// @param path empty: standard output
std::unique_ptr<ListWriter> text_lists(const std::string& format, const std::string& path,
                                       const Dataset& dataset);

/// users [U] I32, items [U, length] I32 and scores [U, length] F32, with the numbers that the data
/// set gives.
std::unique_ptr<ListWriter> safetensors_lists(const std::string& path, int64_t length,
                                              Metadata metadata);

}  // namespace derrd
