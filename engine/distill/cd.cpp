#include "engine/distill/cd.h"

#include <algorithm>
#include <limits>

#include "kernels/distill/soft_target.h"
#include "kernels/epoch/interesting.h"

namespace derrd {

namespace {
constexpr int64_t kMaxItems = 512;
}  // namespace

CdLoss::CdLoss(double weight, CdOptions options, const DeviceDataset& data, TeacherLists lists,
               Model& student, int64_t capacity, const Stream& stream)
    : DistillationLoss(weight),
      options_(options),
      lists_(lists.items),
      samples_(data.users(), data.items(), options.items),
      slots_(Entity::kUser, samples_, capacity, student),
      space_(samples().size(), lists.items.size()),
      list_targets_(lists.items.size()),
      positions_(samples().size()),
      targets_(samples().size()) {
  soft_targets(list_targets_.matrix(lists_.rows, lists_.cols), lists.scores,
               static_cast<float>(options_.t1), static_cast<float>(options_.t2), stream);
}

void CdLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  const SortBuffers pairs = space_.unsorted(lists_.size());
  interesting_keys(pairs, lists_, static_cast<float>(options_.sharpness),
                   {plan.seed(), RandomPurpose::kCdItems, static_cast<uint32_t>(plan.epoch())},
                   stream);
  sort_segments(pairs, kSegmentValueBits, space_.scratch(), stream);
  const Matrix<int32_t> samples = samples_.samples();
  const Matrix<int32_t> positions = positions_.matrix(samples.rows, samples.cols);
  interesting_positions(positions, lists_, pairs.values, stream);
  gather_at(samples, lists_, positions, -1, stream);
  gather_at(targets_.matrix(samples.rows, samples.cols),
            {list_targets_.data(), lists_.rows, lists_.cols}, positions, 0.0f, stream);
  samples_.invert(space_, stream);
}

void CdLoss::add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                           const Stream& stream) {
  const SlotLosses::Scored s = slots_.forward(plan.distinct_users(), student, stream);
  soft_target_loss(s.loss, s.grad_score,
                   {.score = s.score,
                    .target = targets(),
                    .batch = s.batch,
                    .scale = static_cast<float>(weight())},
                   stream);
  slots_.backward(s, student, loss, stream);
}

CdFactory::CdFactory() {
  options_ = {
      {"lambda-cd", "Weight of the loss in the sum of all losses", &weight_, 0},
      {"cd-items",
       "Items per user and epoch whose probabilities the student learns from the teacher",
       &values_.items, 1, kMaxItems},
      {"cd-list", "Length of the teacher's list per user, from which the items are drawn",
       &values_.list_length, 1},
      {"cd-t",
       "Depth to which items are drawn from the teacher's list: rank k has weight exp(-k/t)",
       &values_.sharpness, kSmallestPositive},
      {"cd-t1", "Temperature t1 of the teacher's probability of a score s, sigmoid((s + t2) / t1)",
       &values_.t1, kSmallestPositive},
      {"cd-t2", "Shift t2 of the teacher's scores in sigmoid((s + t2) / t1)", &values_.t2,
       std::numeric_limits<float>::lowest()},
  };
}

std::optional<std::string> CdFactory::option_error() const {
  if (values_.list_length >= values_.items) return std::nullopt;
  return "--cd-list has to be at least --cd-items: the items are drawn from it";
}

std::unique_ptr<DistillationLoss> CdFactory::make(DistillContext& in) const {
  return std::make_unique<CdLoss>(weight_, values_, in.data,
                                  in.teacher.lists(values_.list_length, in.stream), in.student,
                                  in.user_capacity(), in.stream);
}

void CdFactory::add_memory(DistillMemory& memory) const {
  const int64_t length = memory.teacher.add_lists(values_.list_length);
  const int64_t samples = memory.data.users * values_.items;
  const int64_t lists = memory.data.users * length;
  memory.add_samples(
      "samples of cd",
      SlotSamples::device_bytes(memory.data.users, memory.data.items, values_.items) +
          SortSpace::device_bytes(samples, lists) +
          (lists + 2 * samples) * static_cast<int64_t>(sizeof(float)),
      memory.data.users, values_.items);
  memory.add_slot_losses("cd", memory.user_capacity(), values_.items);
}

}  // namespace derrd
