#include "apps/training/smaller_runs.h"

#include <algorithm>
#include <memory>
#include <string>
#include <variant>

#include "engine/distill/catalogue.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

/// The losses of a run with another value of an option.
class ChangedLosses {
 public:
  ChangedLosses(const std::vector<const LossFactory*>& given, const std::string& name,
                int64_t value) {
    OptionValues values;
    for (const LossFactory* loss : given) values.merge(loss->option_values());
    values[name] = value;
    for (const auto& loss : all_) {
      for (const LossOption& option : loss->options()) {
        const auto found = values.find(option.name);
        if (found == values.end()) continue;
        set_value(option, found->second);
      }
    }
    for (const LossFactory* loss : given) {
      chosen_.push_back(
          std::ranges::find(all_, loss->name(), [](const auto& l) { return l->name(); })->get());
    }
  }
  const std::vector<const LossFactory*>& chosen() const { return chosen_; }
  bool possible() const {
    return std::ranges::none_of(
        chosen_, [](const LossFactory* loss) { return loss->option_error().has_value(); });
  }

 private:
  std::vector<std::unique_ptr<LossFactory>> all_ = loss_factories();
  std::vector<const LossFactory*> chosen_;
};

}  // namespace

std::vector<Reduction> smaller_runs(const TrainingSizes& sizes) {
  std::vector<Reduction> runs;
  const auto add = [&](const std::string& option, int64_t least, int64_t given, auto change) {
    const auto need = [=](int64_t value) {
      TrainingSizes smaller = sizes;
      change(smaller, value);
      return training_memory(smaller);
    };
    runs.push_back({option, least, given, need, option});
  };
  // A hidden layer is half as wide as the one before, and none may be empty.
  constexpr int64_t kMostLayers = 62;
  const int64_t halvings =
      has_layers(sizes.model.kind) ? std::min(sizes.model.layers - 1, kMostLayers) : 0;
  add("--dim", int64_t{1} << halvings, sizes.model.dim,
      [](TrainingSizes& smaller, int64_t dim) { smaller.model.dim = dim; });
  add("--batch", 1, sizes.plan.batch_size,
      [](TrainingSizes& smaller, int64_t batch) { smaller.plan.batch_size = batch; });
  add("--negatives", 1, sizes.plan.negatives,
      [](TrainingSizes& smaller, int64_t negatives) { smaller.plan.negatives = negatives; });
  if (sizes.gate_rows > 0) {
    add("--epochs", 1, sizes.gate_rows - 1,
        [](TrainingSizes& smaller, int64_t epochs) { smaller.gate_rows = epochs + 1; });
  }
  OptionValues values;
  for (const LossFactory* loss : sizes.losses) values.merge(loss->option_values());
  for (const auto& loss : loss_factories()) {
    for (const LossOption& option : loss->options()) {
      const auto found = values.find(option.name);
      if (found == values.end() || !std::holds_alternative<int64_t*>(option.value)) continue;
      const int64_t given = std::get<int64_t>(found->second);
      values.erase(found);  // losses may share an option
      int64_t least = 1;
      while (least < given && !ChangedLosses(sizes.losses, option.name, least).possible()) ++least;
      const auto need = [=, name = option.name](int64_t value) {
        const ChangedLosses changed(sizes.losses, name, value);
        TrainingSizes smaller = sizes;
        smaller.losses = changed.chosen();
        return training_memory(smaller);
      };
      runs.push_back({"--" + option.name, least, given, need, "--" + option.name});
    }
  }
  add("--candidates of the data set", 0, sizes.data.candidates,
      [](TrainingSizes& smaller, int64_t candidates) {
        const int64_t bytes = smaller.data.users * (smaller.data.candidates - candidates) *
                              static_cast<int64_t>(sizeof(int32_t));
        smaller.data.candidates = candidates;
        smaller.data.host_bytes -= bytes;
        smaller.data_file -= bytes;
      });
  return runs;
}

}  // namespace derrd
