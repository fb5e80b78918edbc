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
      plan_(data, options.plan),
      optimizer_(parameters, options.adam, options.row_updates, plan_.batches(), stream),
      unread_rows_(parameters),
      steps_(options.graph),
      evaluator_(data),
      early_stopping_(options.stopping, options.patience),
      loss_sums_(1 + static_cast<int64_t>(losses.size())),
      best_values_(parameters.values().size) {
  best_values_.zero(stream);
}

void Trainer::begin_epoch(int epoch) {
  plan_.begin_epoch(epoch, stream_);
  for (const auto& loss : losses_) loss->begin_epoch(plan_, stream_);
  loss_sums_.zero(stream_);
  plan_.next(stream_);
}

// Whatever a step reads of the embedding tables is brought up to date here, and nowhere else.
void Trainer::read_rows() {
  std::vector<RowsRead> reads = model_.reads(plan_);
  for (const auto& loss : losses_) add_rows_read(reads, loss->reads(plan_, stream_));
  optimizer_.catch_up(reads, stream_);
  unread_rows_.spoil(reads, stream_);
}

void Trainer::step() {
  read_rows();
  model_.forward(plan_, loss_sums_[0], stream_);
  int64_t number = 0;
  for (const auto& loss : losses_) {
    loss->add_gradients(plan_, model_, loss_sums_[++number], stream_);
  }
  model_.backward(plan_, stream_);
  unread_rows_.restore(stream_);
  optimizer_.step(loss_sums_.take_terms(), plan_.cursors(), stream_);
}

void Trainer::end_epoch() { optimizer_.catch_up_all(stream_); }

void Trainer::record_losses(EpochRecord& record) {
  const std::vector<double> sums = loss_sums_.to_host(stream_);
  record.losses.emplace_back("base", sums[0]);
  for (size_t i = 0; i < losses_.size(); ++i) {
    DistillationLoss& loss = *losses_[i];
    record.losses.emplace_back(loss.name(), sums[i + 1]);
    record.shares.emplace_back(loss.name(), loss.weight() * sums[i + 1] / sums[0]);
    loss.end_epoch(stream_);
    for (auto& measurement : loss.measurements()) {
      record.measurements.push_back(std::move(measurement));
    }
  }
  for (const auto& [name, sum] : record.losses) {
    if (unread_rows_.entered(sum)) {
      throw Error(fmt::format(
          "epoch {}: the loss {} is {}: it has read rows that its reads() does not list",
          record.epoch, name, sum));
    }
    if (!std::isfinite(sum)) {
      throw Error(fmt::format(
          "epoch {}: the loss {} is not finite: training diverged; lower --lr or the loss's weight",
          record.epoch, name));
    }
  }
  record.chosen_weights = balance_losses(losses_, sums, options_.balance, record.epoch + 1);
}

EpochRecord Trainer::run_epoch() {
  EpochRecord record;
  record.epoch = next_epoch_;
  Stopwatch watch;
  epoch_began_.set(stream_);
  begin_epoch(next_epoch_);
  steps_began_.set(stream_);
  steps_.run(
      plan_.batches(), [this] { step(); }, stream_);
  end_epoch();
  record_losses(record);
  record.seconds.prepare = steps_began_.seconds_since(epoch_began_);
  record.seconds.train = watch.lap() - record.seconds.prepare;

  record.evaluation = evaluator_.evaluate(model_, stream_);
  std::optional<double> watched;
  if (options_.watched != nullptr) {
    watched = options_.watched->measure(model_.scorer(stream_), record.evaluation, stream_);
    record.decisive.emplace(options_.watched->name(), *watched);
  } else if (record.evaluation.valid.users > 0) {
    record.decisive.emplace("H@5", record.evaluation.valid.hit[0]);
  }
  record.seconds.evaluate = watch.lap();

  record.best = early_stopping_.update(next_epoch_, record.evaluation, watched);
  if (record.best) {
    copy_on_device(best_values_.data(), parameters_.values().data, best_values_.bytes(), stream_);
  }
  ++next_epoch_;
  return record;
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
          best_values_.to_host(stream_),
          /*log_hash=*/"",
          /*gate_rows=*/nullptr,
          describe_program()};
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
