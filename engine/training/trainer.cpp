#include "engine/training/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "data/error.h"

namespace derrd {

namespace {

constexpr int64_t kNothingRecorded = -1;

/// Seconds since the last lap.
class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::vector<float> to_host(Vector<const float> values, const Stream& stream) {
  std::vector<float> host(static_cast<size_t>(values.size));
  copy_to_host(host.data(), values.data, values.size * static_cast<int64_t>(sizeof(float)), stream);
  return host;
}

void to_device(Vector<float> values, const std::vector<float>& host, const Stream& stream) {
  if (static_cast<int64_t>(host.size()) != values.size) {
    throw Error(
        fmt::format("the checkpoint holds {} parameters, the model {}", host.size(), values.size));
  }
  copy_to_device(values.data, host.data(), values.size * static_cast<int64_t>(sizeof(float)),
                 stream);
}

}  // namespace

Trainer::Trainer(const DeviceDataset& data, Parameters& parameters, Model& model,
                 const std::vector<std::unique_ptr<DistillationLoss>>& losses, TrainOptions options,
                 const Stream& stream)
    : parameters_(parameters),
      model_(model),
      losses_(losses),
      options_(options),
      stream_(stream),
      plan_(data, options.plan, stream),
      optimizer_(parameters, options.adam, options.row_updates, plan_.batches(), stream),
      evaluator_(data),
      early_stopping_(options.stopping, options.patience),
      loss_sums_(1 + static_cast<int64_t>(losses.size())),
      best_values_(parameters.values().size),
      recorded_revision_(kNothingRecorded) {
  best_values_.zero(stream);
}

void Trainer::begin_epoch(int epoch) {
  optimizer_.catch_up(stream_);
  plan_.begin_epoch(epoch, stream_);
  for (const auto& loss : losses_) loss->begin_epoch(plan_, stream_);
  loss_sums_.zero(stream_);
}

void Trainer::step() {
  plan_.next(stream_);
  double* loss_sum = loss_sums_.data();
  model_.forward(plan_, loss_sum, stream_);
  for (const auto& loss : losses_) {
    loss->add_gradients(plan_, model_, ++loss_sum, stream_);
  }
  model_.backward(plan_, stream_);
  optimizer_.step(stream_);
}

int64_t Trainer::revision() const {
  int64_t sum = 0;  // each of them grows
  for (const auto& loss : losses_) sum += loss->revision();
  return sum;
}

void Trainer::run_steps() {
  int64_t left = plan_.batches();
  const int64_t together = options_.graph_steps;
  if (together > 0 && left > together && recorded_revision_ != revision()) {
    step();  // libraries set themselves up at a first use, which cannot be recorded
    --left;
    graph_ = LaunchGraph(stream_, [this, together] {
      for (int64_t s = 0; s < together; ++s) step();
    });
    recorded_revision_ = revision();
  }
  if (recorded_revision_ == revision()) {
    for (; left >= together; left -= together) graph_.replay(stream_);
  }
  for (; left > 0; --left) step();
}

EpochRecord Trainer::run_epoch() {
  EpochRecord record;
  record.epoch = next_epoch_;
  Stopwatch watch;
  epoch_began_.set(stream_);
  begin_epoch(next_epoch_);
  steps_began_.set(stream_);
  run_steps();
  optimizer_.catch_up(stream_);
  const std::vector<double> losses = loss_sums_.to_host(stream_);
  record.seconds.prepare = steps_began_.seconds_since(epoch_began_);
  record.losses.emplace_back("base", losses[0]);
  for (size_t i = 0; i < losses_.size(); ++i) {
    DistillationLoss& loss = *losses_[i];
    record.losses.emplace_back(loss.name(), losses[i + 1]);
    record.shares.emplace_back(loss.name(), loss.weight() * losses[i + 1] / losses[0]);
    loss.end_epoch(stream_);
    for (auto& measurement : loss.measurements()) {
      record.measurements.push_back(std::move(measurement));
    }
  }
  for (const auto& [name, loss] : record.losses) {
    if (!std::isfinite(loss)) {
      throw Error(fmt::format(
          "epoch {}: the loss {} is not finite: training diverged; lower --lr or the loss's weight",
          next_epoch_, name));
    }
  }
  if (next_epoch_ + 1 == options_.balance_epochs) balance(record);
  record.seconds.train = watch.lap() - record.seconds.prepare;

  record.evaluation = evaluator_.evaluate(model_, stream_);
  record.seconds.evaluate = watch.lap();

  record.best = early_stopping_.update(next_epoch_, record.evaluation);
  if (record.best) {
    copy_on_device(best_values_.data(), parameters_.values().data, best_values_.bytes(), stream_);
  }
  ++next_epoch_;
  return record;
}

void Trainer::balance(EpochRecord& record) {
  for (size_t i = 0; i < options_.shares.size(); ++i) {
    if (options_.shares[i] == 0) continue;
    DistillationLoss& loss = *losses_[i];
    const double base = record.losses[0].second;
    const double loss_sum = record.losses[i + 1].second;
    if (!(loss_sum > 0)) {
      throw Error(
          fmt::format("the loss {} is {} after {} epochs: no weight makes it a part of the "
                      "base loss; give its weight yourself",
                      loss.name(), loss_sum, next_epoch_ + 1));
    }
    loss.set_weight(options_.shares[i] * base / loss_sum);
    record.chosen_weights.emplace_back(loss.name(), loss.weight());
  }
}

Trainer::Outcome Trainer::run(const std::function<void(const EpochRecord&)>& on_epoch,
                              const std::function<bool()>& interrupted) {
  while (next_epoch_ < options_.epochs) {
    if (next_epoch_ > 0 && early_stopping_.should_stop(next_epoch_ - 1)) {
      return Outcome::kStoppedEarly;
    }
    if (interrupted()) return Outcome::kInterrupted;
    on_epoch(run_epoch());
  }
  return Outcome::kFinished;
}

void Trainer::restore_best() {
  copy_on_device(parameters_.values().data, best_values_.data(), best_values_.bytes(), stream_);
}

Checkpoint Trainer::checkpoint() const {
  std::map<std::string, LossState> losses;
  for (const auto& loss : losses_) {
    losses.emplace(loss->name(), LossState{loss->weight(), loss->state()});
  }
  return {next_epoch_,
          optimizer_.steps(stream_),
          early_stopping_.state(),
          std::move(losses),
          to_host(parameters_.values(), stream_),
          to_host(parameters_.first_moments(), stream_),
          to_host(parameters_.second_moments(), stream_),
          best_values_.to_host(stream_)};
}

void Trainer::restore(const Checkpoint& checkpoint) {
  next_epoch_ = checkpoint.next_epoch;
  optimizer_.set_steps(checkpoint.optimizer_steps, stream_);
  early_stopping_.restore(checkpoint.early_stopping);
  for (const auto& loss : losses_) {
    const auto state = checkpoint.losses.find(std::string(loss->name()));
    if (state == checkpoint.losses.end()) {
      throw Error(fmt::format("the checkpoint holds no state of the loss {}", loss->name()));
    }
    loss->restore(state->second.values);
    loss->set_weight(state->second.weight);
  }
  to_device(parameters_.values(), checkpoint.values, stream_);
  to_device(parameters_.first_moments(), checkpoint.first_moments, stream_);
  to_device(parameters_.second_moments(), checkpoint.second_moments, stream_);
  to_device(best_values_.view(), checkpoint.best_values, stream_);
}

}  // namespace derrd
