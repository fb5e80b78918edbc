#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/device_dataset.h"
#include "engine/distill/conventions.h"
#include "engine/distill/loss_factory.h"
#include "engine/epoch_plan.h"
#include "engine/memory_need.h"
#include "engine/models/model_memory.h"
#include "engine/teacher/teacher_memory.h"
#include "engine/training/optimizer.h"

namespace derrd {

/// Sizes of a training, from which its memory follows.
struct TrainingSizes {
  DataSizes data;
  int64_t data_file = 0;  ///< bytes of the data set's file; 0: it is in memory already
  std::optional<TeacherSizes> teacher;
  int64_t teacher_files = 0;       ///< bytes of the teacher's files, likewise
  bool evaluates_teacher = false;  ///< on the validation items
  ModelSizes model;
  BatchOptions plan;
  RowUpdates row_updates = RowUpdates::kAuto;
  std::vector<const LossFactory*> losses;  ///< need a teacher
  Conventions conventions = conventions_of(Preset::kAuthors);
  bool ranks_all_items = false;  ///< WatchedMetric of the full ranking
  bool keeps_candidates = true;  ///< in host memory, when the device has them
  int64_t gate_rows = 0;         ///< the most rows of a record of the users' gate; 0: none is made
  bool writes_checkpoints = false;
  int64_t checkpoint_file = 0;  ///< bytes of the checkpoint to resume from; 0: none
};

/// Tells the memory of a training: what reading its files, Trainer and its parts, and writing the
/// model take. The order of the parts is that of the run.
/// @throws Error if the model or the plan of an epoch is impossible.
MemoryNeed training_memory(const TrainingSizes& sizes);

}  // namespace derrd
