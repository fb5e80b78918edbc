#include "engine/distill/loss_factory.h"

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

}  // namespace derrd
