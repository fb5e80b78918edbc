#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/memory_need.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Memory that a run may take: what the environment variable DERRD_MEMORY says in bytes, of the
/// host and of the device, else available_memory(). @throws Error if the variable is no number.
AvailableMemory memory_for_run();
/// Memory of the host that a run may take, by the same rules. Needs no device.
AvailableMemory host_memory_for_run();

/// Writes bytes for people, rounded up: "1.2 GB", "345 MB".
std::string format_bytes(int64_t bytes);

/// Describes a need in a line: "1.2 GB needed, 21.4 GB available"; or both for each
/// kind of memory.
std::string describe_need(const MemoryNeed& need, const AvailableMemory& available);

/// Lists a need's parts in bytes, a line each, and the most at once in the last lines.
std::string memory_table(const MemoryNeed& need, const AvailableMemory& available);

/// Figures of a table: the most at once, and what was available.
struct ToldMemory {
  MemoryBytes peak;
  int64_t together = 0;
  AvailableMemory available;
};
/// Reads what memory_table() wrote; nothing if `table` is no such table.
std::optional<ToldMemory> read_memory_table(const std::string& table);

/// Writes the most at once: "1.2 GB", or where the kinds differ "0.9 GB of the device and 0.3 GB of
/// the host".
std::string describe_peak(const ToldMemory& told);

/// Returns true if a need is not above what is available. What the system does not say is enough.
/// @param together of both kinds at once, where they are the same memory
bool fits(MemoryBytes peak, int64_t together, const AvailableMemory& available);
bool fits(const MemoryNeed& need, const AvailableMemory& available);

/// A way to make a run smaller: another value of an option.
struct Reduction {
  std::string option;  ///< "--dim"
  int64_t least = 1;
  int64_t given = 1;
  /// Tells the need with another value.
  std::function<MemoryNeed(int64_t value)> need;
  std::string before_value;  ///< what stands before a value in a message: "--dim"
};

/// Checks that a need fits what is available.
/// @param what subject of the message: "this training"
/// @param reductions ways to make it fit, the best one first
/// @throws Error that says both figures, and the largest value that would fit of the first option
/// that helps by itself.
void require_memory(const std::string& what, const MemoryNeed& need,
                    const AvailableMemory& available, const std::vector<Reduction>& reductions);

/// Checks that a data set and the files of a model can be read: each is in memory as bytes and as
/// what they mean. A file that is not there is left to its reader.
/// @param model_bytes of the model's files
/// @throws Error if there is too little memory.
void require_reading(const std::string& data, int64_t model_bytes,
                     const AvailableMemory& available);

/// Checks that there is memory for a data set with candidates.
/// @param candidates of each user
/// @throws Error that says the largest number that would fit.
void require_candidates(int64_t users, int64_t items, int64_t interactions, int64_t candidates);

}  // namespace derrd
