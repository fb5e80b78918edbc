#include "engine/distill/loss_factory.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/distill/slot_losses.h"
#include "engine/models/model_memory.h"
#include "kernels/platform/sort.h"

namespace derrd {

std::shared_ptr<RankingSamples> DistillContext::user_samples(const RankingSamplerOptions& options) {
  for (const auto& [made_with, samples] : made_samples) {
    if (made_with == options) return samples;
  }
  const Matrix<const int32_t> lists = teacher.lists(options.list_length, stream).items;
  auto samples =
      std::make_shared<RankingSamples>(options, lists, data.train(), data.items(), stream);
  made_samples.emplace_back(options, samples);
  return samples;
}

void DistillMemory::add_samples(std::string name, int64_t device_bytes, int64_t anchors,
                                int64_t slots) {
  need.keep(std::move(name), {device_bytes, 0});
  epoch_host = std::max(epoch_host, sort_pairs_host_bytes(anchors * slots));
}

void DistillMemory::add_slot_losses(const char* loss, int64_t capacity, int64_t slots) {
  const auto of_student = [&] { return model_memory(student, {.room = room}).slots; };
  const int64_t before = of_student();
  room.reserve(capacity, slots);
  need.keep(std::string("scores of ") + loss,
            {SlotLosses::device_bytes(capacity, slots) + of_student() - before, 0});
}

void DistillMemory::add_user_samples(const RankingSamplerOptions& options) {
  if (std::ranges::find(told_samples, options) != told_samples.end()) return;
  told_samples.push_back(options);
  const int64_t length = teacher.add_lists(options.list_length);
  add_samples("samples of users",
              RankingSamples::device_bytes(options, data.users, data.items, length, data.train),
              data.users, options.slots());
}

}  // namespace derrd
