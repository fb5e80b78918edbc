#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace derrd {

/// Sizes of a model.
struct ModelSizes {
  std::string kind;
  int64_t users = 0, items = 0;
  int64_t dim = 0, layers = 1;
};

/// Room for the slots of a student's losses: the most of each that Model::reserve_slots() is
/// called with.
struct SlotRoom {
  int64_t anchors = 0;
  int64_t slots = 0;  ///< of all anchors together

  void reserve(int64_t more_anchors, int64_t slots_of_each);
};

/// Memory of a model by its sizes alone, in bytes of device memory unless it says otherwise.
struct ModelMemory {
  std::vector<int64_t> matrices;  ///< numbers of elements of the parameters
  int64_t table_elements = 0;     ///< those of the embedding tables
  int64_t table_rows = 0;         ///< rows of all embedding tables
  int64_t batch = 0;              ///< what a model to train takes besides
  int64_t slots = 0;              ///< Model::reserve_slots
  int64_t scorer = 0;             ///< what a scorer takes beside the parameters
  int64_t ranks = 0;              ///< what Scorer::leave_one_out allocates and keeps
  int64_t tiles = 0;              ///< what Scorer::score_users allocates and keeps
  int64_t ranks_and_tiles = 0;    ///< what both of them keep together
  int64_t transposed = 0;         ///< Scorer::transposed
  int64_t joint_pair = 0;         ///< JointVectors::reserve_pairs, for each pair

  /// Returns the elements of the parameters without padding, and in Parameters.
  int64_t elements() const;
  int64_t arena() const;
};

/// Sizes of a run that decide what a model takes besides.
struct ModelUse {
  int64_t batch_size = 0;
  SlotRoom room = {};
  int64_t candidates = 0;
};

/// Returns the memory of a model. @throws Error if there is no such kind.
ModelMemory model_memory(const ModelSizes& sizes, const ModelUse& use);

}  // namespace derrd
