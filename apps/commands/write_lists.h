#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/formats/safetensors.h"
#include "engine/models/model_file.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Recommendations for some users, on the host.
struct RecommendedItems {
  std::vector<int32_t> users;  ///< numbers in the data set
  std::vector<int32_t> items;  ///< [users, length], -1 behind the last
  std::vector<float> scores;   ///< [users, length], -infinity behind the last
  int64_t length = 0;
};

/// Destination of recommendations, which arrive in parts.
class ListWriter {
 public:
  virtual ~ListWriter() = default;
  /// Writes the next part. @throws Error if it can't be written.
  virtual void write(const RecommendedItems& lists) = 0;
  /// Completes the file after the last part. It appears only now. @throws Error if it can't be
  /// written.
  virtual void finish() = 0;
};

/// Makes a writer of lines of text with original ids.
/// @param format "tsv" or "jsonl"
/// @param path empty for standard output
/// @throws Error if the file can't be created.
std::unique_ptr<ListWriter> text_lists(const std::string& format, const std::string& path,
                                       const Dataset& dataset);

/// Makes a writer of a safetensors file with the data set's numbers: users [U] I32, items
/// [U, length] I32 and scores [U, length] F32.
std::unique_ptr<ListWriter> safetensors_lists(const std::string& path, int64_t length,
                                              Metadata metadata);

/// Users and items of the lists to write, by their numbers in the data set.
struct ListRequest {
  std::vector<int32_t> users;  ///< in the order of writing
  std::vector<int32_t> items;  ///< to rank: distinct, ascending
  int64_t top = 0;             ///< items per user
  bool include_seen = false;   ///< whether items that the user trained with are ranked too

  /// Returns the length of the lists.
  int64_t length() const { return std::min(top, static_cast<int64_t>(items.size())); }
};

/// Writes users' best items and completes the writer's file. Users who have fewer items left get
/// shorter lists.
/// @param name of the model, for messages
/// @throws Error if a score is not finite or the file can't be written.
void write_lists(ListWriter& writer, const Dataset& dataset, SavedModel model,
                 const ListRequest& request, const std::string& name, const Stream& stream);

}  // namespace derrd
