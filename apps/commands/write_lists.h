#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/formats/safetensors.h"
#include "engine/device_dataset.h"
#include "engine/memory_need.h"
#include "engine/models/model_file.h"
#include "engine/models/model_memory.h"
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
/// @param users their number
std::unique_ptr<ListWriter> safetensors_lists(const std::string& path, size_t users, int64_t length,
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

/// Sizes of a request, from which its memory follows.
struct ListSizes {
  DataSizes data;
  int64_t data_file = 0;                  ///< bytes of the data set's file
  int64_t model_files = 0;                ///< bytes of the model's files
  ModelSizes model;                       ///< of all users and items
  int64_t users = 0, items = 0, top = 0;  ///< of the request
  bool collects = false;  ///< all lists are in memory until the end, as safetensors_lists() does
};
/// Tells the memory of a request: what reading the files and write_lists() take.
MemoryNeed lists_memory(const ListSizes& sizes);

/// Writes users' best items and completes the writer's file. Users who have fewer items left get
/// shorter lists.
/// @param name of the model, for messages
/// @throws Error if a score is not finite or the file can't be written.
void write_lists(ListWriter& writer, const Dataset& dataset, SavedModel model,
                 const ListRequest& request, const std::string& name, const Stream& stream);

}  // namespace derrd
