#include "engine/training/training_memory.h"

#include <algorithm>

#include "data/ranking_lists.h"
#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/full_ranking.h"
#include "engine/models/catalogue.h"
#include "engine/training/unread_rows.h"

namespace derrd {

namespace {

constexpr int64_t kParameterBytes = sizeof(float);

/// Returns whether the model, or a loss, is larger than any machine. Then the numbers that
/// the other parts are computed with might overflow.
bool exceeds_everything(const TrainingSizes& sizes) {
  const auto dim = static_cast<double>(sizes.model.dim);
  const double rows = static_cast<double>(sizes.data.users) + static_cast<double>(sizes.data.items);
  const auto batch = static_cast<double>(sizes.plan.batch_size);
  double most = std::max(rows, batch) * dim;
  most = std::max(most, static_cast<double>(sizes.gate_rows) * rows);
  if (has_layers(sizes.model.kind)) most = std::max(most, dim * dim);
  const auto teacher_dim = static_cast<double>(
      sizes.teacher ? std::max(sizes.teacher->user_dim, sizes.teacher->item_dim) : 0);
  for (const LossFactory* loss : sizes.losses) {
    most = std::max(most, loss->largest_matrix(dim, teacher_dim, batch));
  }
  return most > static_cast<double>(kBeyondMachines);
}

}  // namespace

MemoryNeed training_memory(const TrainingSizes& sizes) {
  MemoryNeed need;
  const DataSizes& data = sizes.data;
  const int64_t samples = EpochPlan::count_samples(data.train, sizes.plan.negatives);
  need.keep("the program", program_memory());
  need.keep("the data set", {0, data.host_bytes});
  need.pass("its file", {0, sizes.data_file});
  if (sizes.teacher) {
    need.keep("the teacher, as read", {0, sizes.teacher->host_bytes});
    need.pass("its files, and reading its lists",
              {0, sizes.teacher_files + ranking_lists_bytes(sizes.teacher->entries)});
  }
  need.keep("the data set for training", {DeviceDataset::device_bytes(data), 0});
  need.pass("making it", {0, DeviceDataset::host_bytes(data)});
  if (!sizes.keeps_candidates) {
    need.keep("candidates as read, freed", {0, -data.users * data.candidates * kParameterBytes});
  }
  if (sizes.ranks_all_items) {
    need.keep(
        "ranks of all items",
        {FullRankingEvaluator::device_bytes(data.users, data.items, data.valid, data.train), 0});
  }
  if (exceeds_everything(sizes)) {
    need.keep("the model and its losses", {kBeyondMachines, 0});
    return need;
  }

  const int64_t batch = sizes.plan.batch_size;
  const ModelMemory model =
      model_memory(sizes.model, {.batch_size = batch, .room = {}, .candidates = data.candidates});
  int64_t arena = model.arena();
  need.keep("a batch", {model.batch, 0});
  int64_t epoch_host = 0;
  std::optional<DistillMemory> losses;
  if (sizes.teacher) {
    losses.emplace(DistillMemory{.need = need,
                                 .teacher = TeacherMemory(*sizes.teacher, data, need),
                                 .data = data,
                                 .student = sizes.model,
                                 .batch_size = batch,
                                 .conventions = sizes.conventions,
                                 .gate_rows = sizes.gate_rows});
    for (const LossFactory* loss : sizes.losses) loss->add_memory(*losses);
    arena += losses->arena;
    epoch_host = losses->epoch_host;
  }
  need.keep("parameters, gradients, moments", {4 * arena * kParameterBytes, 0});
  const bool lazy = Optimizer::lazy(sizes.row_updates, model.table_elements);
  const int64_t batches = (samples + batch - 1) / batch;
  need.keep("the plan of an epoch",
            {EpochPlan::device_bytes(samples, batch) +
                 Optimizer::device_bytes(lazy, model.table_rows, batches) +
                 UnreadRows::device_bytes(arena, std::max(data.users, data.items)),
             0});
  need.keep("the best epoch's parameters", {arena * kParameterBytes, 0});
  need.pass("reading the checkpoint", {0, 2 * sizes.checkpoint_file});
  if (losses) need.keep("the gate's record", losses->gate_record);
  if (sizes.evaluates_teacher && losses) losses->teacher.add_ranks();
  need.pass("drawing samples", {0, std::max(EpochPlan::host_bytes(samples), epoch_host)});
  need.keep("scores and ranks",
            {model.scorer + (sizes.ranks_all_items ? model.ranks_and_tiles : model.ranks) +
                 2 * data.users * kParameterBytes,
             0});
  need.pass("metrics of each user", {0, Evaluator::host_bytes(data.users)});
  if (sizes.writes_checkpoints) need.pass("writing a checkpoint", {0, 4 * arena * kParameterBytes});
  need.pass("writing the model", {0, model.elements() * kParameterBytes});
  return need;
}

}  // namespace derrd
