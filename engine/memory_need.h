#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace derrd {

/// More than any machine has. Needs from here on are not added up exactly.
constexpr int64_t kBeyondMachines = int64_t{1} << 46;

/// Bytes of device memory and of host memory.
struct MemoryBytes {
  int64_t device = 0, host = 0;
};

/// Memory that a run takes, told before it is allocated: its parts in the order in which the run
/// allocates them, and the most at once.
class MemoryNeed {
 public:
  struct Part {
    std::string name;
    MemoryBytes bytes;  ///< negative: what an earlier part frees
    bool kept = true;   ///< to the end of the run; false: only for a while
  };

  /// Adds memory that stays. Nothing is added for 0.
  void keep(std::string name, MemoryBytes bytes);
  /// Adds memory that is free again before the next part is allocated.
  void pass(std::string name, MemoryBytes bytes);

  const std::vector<Part>& parts() const { return parts_; }
  /// The most at once, of each kind of memory.
  MemoryBytes peak() const { return peak_; }
  /// The most of both kinds together at once.
  int64_t peak_together() const { return peak_together_; }

 private:
  void reach(MemoryBytes bytes);

  std::vector<Part> parts_;
  MemoryBytes now_, peak_;
  int64_t peak_together_ = 0;
};

/// Memory of the program itself: code, libraries, threads and what no other part names.
MemoryBytes program_memory();

}  // namespace derrd
