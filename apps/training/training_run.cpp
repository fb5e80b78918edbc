#include "apps/training/training_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "apps/cli/interrupt.h"
#include "apps/cli/memory_report.h"
#include "apps/cli/message.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/progress.h"
#include "apps/training/choose_stop_metric.h"
#include "apps/training/smaller_runs.h"
#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "engine/distill/gate_record.h"
#include "engine/models/catalogue.h"
#include "engine/models/model_file.h"
#include "engine/parameters.h"
#include "engine/teacher/teacher.h"
#include "engine/training/checkpoint.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

/// Checks that --checkpoint names a new file or an old checkpoint. @throws Error if it names
/// another file.
void check_checkpoint(const TrainingOptions& options) {
  const std::string& path = options.checkpoint;
  if (path.empty() || options.resume || !fs::exists(path) || fs::file_size(path) == 0) return;
  const auto is_another_file = [&] {
    try {
      return !is_checkpoint(SafetensorsFile::read(path).metadata());
    } catch (const Error&) {
      return true;
    }
  };
  if (is_another_file()) {
    throw Error(fmt::format("{}: not a checkpoint of derrd; give --checkpoint another file", path));
  }
  say("derrd: warning: {} holds a checkpoint, which this run replaces; --resume continues "
      "from it",
      path);
}

TrainingOptions checked(TrainingOptions options, std::vector<NamedFile> inputs) {
  inputs.insert(inputs.begin(), {"--data", options.data});
  const std::vector<NamedFile> outputs = {{"-o", options.output},
                                          {"--checkpoint", options.checkpoint},
                                          {"--snapshot-gate", options.snapshot_gate},
                                          {"--log", options.log, true}};
  if (options.dry_run) {
    refuse_same_files(inputs, outputs);
    return options;
  }
  check_outputs(inputs, outputs);
  check_checkpoint(options);
  return options;
}

/// Returns the programs of a training that `here` continues.
/// @param there the programs so far, @throws Error if the last of them is another one
std::string continued_by(const std::string& here, const std::string& there,
                         const TrainingOptions& options) {
  const std::string then = "; then ";
  if (there == here || there.ends_with(then + here)) return there;
  if (!options.resume_anyway) {
    throw Error(fmt::format(
        "{}: was trained by another program, whose results may have other bits; resume it with "
        "that "
        "one, start again without --resume, or mix them by --resume-anyway\n  there: {}\n  here:  "
        "{}",
        options.checkpoint, there, here));
  }
  return there + then + here;
}

/// Checks that a checkpoint has the rows that --snapshot-gate continues. Says if it has rows that
/// end here. @throws Error if it lacks them.
void check_gate_rows(const Checkpoint& checkpoint, const TrainingOptions& options) {
  const int64_t rows = checkpoint.gate_rows ? checkpoint.gate_rows->rows() : 0;
  if (options.snapshot_gate.empty()) {
    if (rows > 0) {
      say("derrd: warning: {} has the rows of --snapshot-gate so far, which this run drops; give "
          "the option to go on with them",
          options.checkpoint);
    }
  } else if (checkpoint.next_epoch > 0 && rows != checkpoint.next_epoch + 1) {
    throw Error(fmt::format(
        "{}: its {} epochs were trained without --snapshot-gate, and their rows would be missing; "
        "leave the option out, or start again without --resume",
        options.checkpoint, checkpoint.next_epoch));
  }
}

/// Returns the losses' gate of users. @throws std::logic_error if none has one.
UserGate gate_of(const std::vector<std::unique_ptr<DistillationLoss>>& losses) {
  for (const auto& loss : losses) {
    if (const std::optional<UserGate> gate = loss->user_gate()) return *gate;
  }
  throw std::logic_error("no loss has the gate that its factory promised");
}

std::string first_path(const std::vector<NamedFile>& inputs) {
  for (const NamedFile& input : inputs) {
    if (!input.path.empty()) return input.path;
  }
  return "";
}

int64_t file_bytes_of(const std::vector<NamedFile>& files) {
  int64_t bytes = 0;
  for (const NamedFile& file : files) bytes += file_size_or_zero(file.path);
  return bytes;
}

/// Reads a data set if there is memory for it and the teacher's files.
Dataset read_dataset(const std::string& path, int64_t teacher_bytes,
                     const AvailableMemory& available) {
  require_reading(path, teacher_bytes, available);
  return load_dataset(path);
}

Stream open_device(int threads) {
  set_threads(threads);
  return Stream();
}

void print_metrics(const char* name, const Json& metrics) {
  print_out("{:<6}", name);
  for (const Json& metric : metrics) print_out(" {:>7}", format_metric(metric));
  print_out("\n");
}

void print_report(const Evaluation& report) {
  const Json valid = metrics_json(report.valid);
  print_out("{:<6}", "");
  for (const auto& [name, metric] : valid.items()) print_out(" {:>7}", name);
  print_out("\n");
  print_metrics("valid", valid);
  print_metrics("test", metrics_json(report.test));
}

/// Results of the training so far, for the model's metadata.
/// @param watched metric that decided instead of the preset's rule, or null
/// @param balanced whether --auto-lambda chose the losses' weights
Json metrics_of(const Trainer& trainer, const WatchedMetric* watched,
                const std::vector<std::unique_ptr<DistillationLoss>>& losses, bool balanced) {
  const EarlyStopping& early_stopping = trainer.early_stopping();
  const Evaluation report = early_stopping.report();
  Json metrics = {{"best_epoch", early_stopping.best_epoch()},
                  {"epochs", trainer.next_epoch()},
                  {"valid", metrics_json(report.valid)},
                  {"test", metrics_json(report.test)}};
  if (watched != nullptr) metrics["valid"][watched->name()] = early_stopping.best_value();
  if (balanced) {
    for (const auto& loss : losses) {
      metrics["weights"][std::string(loss->name())] = loss->weight();
    }
  }
  return metrics;
}

std::string describe(Trainer::Outcome outcome, const Trainer& trainer, int patience) {
  const int done = trainer.next_epoch();
  switch (outcome) {
    case Trainer::Outcome::kFinished:
      return fmt::format("finished all {} epochs", done);
    case Trainer::Outcome::kStoppedEarly:
      return fmt::format("stopped after {} epochs, the last {} without improvement", done,
                         patience);
    case Trainer::Outcome::kInterrupted:
      break;
  }
  return fmt::format("interrupted after {} epochs", done);
}

}  // namespace

TrainingRun::TrainingRun(TrainingOptions options, const std::vector<NamedFile>& inputs)
    : options_(checked(std::move(options), inputs)),
      log_(options_.log.empty() || options_.dry_run ? nullptr
                                                    : std::make_unique<EpochLog>(options_.log)),
      teacher_(first_path(inputs)),
      stream_(open_device(options_.threads)),
      available_(memory_for_run()),
      teacher_bytes_(file_bytes_of(inputs)),
      dataset_(read_dataset(options_.data, teacher_bytes_, available_)),
      metric_(choose_stop_metric(options_.stop_on, dataset_, options_.data)),
      made_by_(describe_program()) {}

TrainingSizes TrainingRun::sizes(const TrainingTask& task) const {
  TrainingSizes sizes;
  sizes.data = sizes_of(dataset_);
  sizes.data_file = file_size_or_zero(options_.data);
  if (task.teacher) {
    sizes.teacher = sizes_of(*task.teacher, sizes.data.users, sizes.data.items);
    sizes.teacher_files = teacher_bytes_;
    sizes.evaluates_teacher = task.aligned_model && sizes.data.valid > 0;
  }
  sizes.model = {task.model, sizes.data.users, sizes.data.items, task.dim, task.layers};
  const int64_t samples = std::max<int64_t>(1, sizes.data.train * options_.negatives);
  sizes.plan = {std::min(options_.batch, samples), options_.negatives, options_.seed};
  sizes.row_updates = options_.row_updates();
  sizes.losses = task.losses;
  sizes.conventions = options_.conventions();
  sizes.ranks_all_items = metric_ && metric_->full_ranking();
  sizes.keeps_candidates = false;
  sizes.gate_rows = options_.gate_rows();
  sizes.writes_checkpoints = !options_.checkpoint.empty();
  if (options_.resume) sizes.checkpoint_file = file_size_or_zero(options_.checkpoint);
  return sizes;
}

void TrainingRun::tell_memory(const TrainingTask& task) const {
  const TrainingSizes sizes = this->sizes(task);
  const MemoryNeed need = training_memory(sizes);
  if (options_.dry_run) print_text(memory_table(need, available_));
  if (!options_.quiet) {
    say("memory: {}", describe_need(need, available_));
  }
  if (fits(need, available_)) return;
  require_memory("this run", need, available_, smaller_runs(sizes));
}

void TrainingRun::open_data() {
  data_.emplace(dataset_, stream_);
  if (metric_) watched_.emplace(*metric_, dataset_, stream_);
  dataset_.candidates = std::vector<int32_t>();
}

Json TrainingRun::result_options(const TrainingTask& task) const {
  Json json = task.options;
  json["dim"] = task.dim;
  if (has_layers(task.model)) json["layers"] = task.layers;
  json["lr"] = options_.learning_rate;
  json["weight-decay"] = options_.weight_decay;
  json["batch"] = options_.batch;
  json["negatives"] = options_.negatives;
  json["epochs"] = options_.epochs;
  json["patience"] = options_.effective_patience();
  json["preset"] = options_.preset_name;
  if (watched_) json["stop-on"] = watched_->name();
  return json;
}

std::string TrainingRun::fingerprint(const TrainingTask& task,
                                     const std::string& teacher_hash) const {
  Json options = result_options(task);
  options.erase("epochs");
  return Json{{"options", options},
              {"seed", options_.seed},
              {"dataset", dataset_.hash},
              {"teacher", teacher_hash}}
      .dump();
}

TrainOptions TrainingRun::train_options() const {
  TrainOptions train;
  train.adam.learning_rate = options_.learning_rate;
  train.adam.weight_decay = options_.weight_decay;
  train.row_updates = options_.row_updates();
  train.graph = options_.graph();
  const int64_t samples = data_->pairs() * options_.negatives;
  train.plan = {std::min(options_.batch, samples), options_.negatives, options_.seed};
  train.epochs = options_.epochs;
  train.patience = options_.effective_patience();
  train.stopping = options_.conventions().stopping;
  return train;
}

std::shared_ptr<GateRows> TrainingRun::resume(Trainer& trainer, const std::string& fingerprint) {
  if (!options_.resume) return nullptr;
  if (!fs::exists(options_.checkpoint)) {
    say("{}: no checkpoint yet, starting from the beginning", options_.checkpoint);
    return nullptr;
  }
  const Checkpoint checkpoint = load_checkpoint(options_.checkpoint, fingerprint);
  if (checkpoint.next_epoch > options_.epochs) {
    throw Error(
        fmt::format("{}: has {} epochs already, more than --epochs {}; raise it, or start "
                    "again without --resume",
                    options_.checkpoint, checkpoint.next_epoch, options_.epochs));
  }
  check_gate_rows(checkpoint, options_);
  made_by_ = continued_by(made_by_, checkpoint.made_by, options_);
  log_hash_ = checkpoint.log_hash;
  trainer.restore(checkpoint);
  say("{}: continuing after {} epochs", options_.checkpoint, checkpoint.next_epoch);
  return checkpoint.gate_rows;
}

Trainer::Outcome TrainingRun::run_epochs(Trainer& trainer, const std::string& fingerprint,
                                         const std::function<ModelInArena()>& model,
                                         GateRecorder* gate) const {
  using Clock = std::chrono::steady_clock;
  const auto save = [&] {
    if (!options_.checkpoint.empty()) {
      Checkpoint checkpoint = trainer.checkpoint();
      checkpoint.made_by = made_by_;
      if (gate != nullptr) checkpoint.gate_rows = gate->recorded();
      if (log_) {
        log_->flush();
        checkpoint.log_hash = log_->hash();
      }
      save_checkpoint(options_.checkpoint, checkpoint, fingerprint, model());
    }
  };
  if (gate != nullptr && gate->recorded()->rows() == 0) gate->add_row(stream_);
  if (log_) log_->start(trainer.next_epoch(), log_hash_);
  Progress progress({options_.epochs, options_.effective_patience()}, options_.quiet);
  Clock::time_point last_save = Clock::now();

  const Trainer::Outcome outcome = trainer.run(
      [&](const EpochRecord& record) {
        if (gate != nullptr) gate->add_row(stream_);
        if (log_) log_->write(record);
        progress.show(record, trainer.early_stopping());
        for (const auto& [name, weight] : record.chosen_weights) {
          progress.finish();
          say("chose --lambda-{} {:.3g}", name, weight);
        }
        const std::chrono::duration<double> since = Clock::now() - last_save;
        if (since.count() < options_.checkpoint_every) return;
        save();
        last_save = Clock::now();
      },
      [] { return InterruptWatch::signal() != 0; });
  progress.finish();
  save();
  return outcome;
}

void TrainingRun::print_teacher_quality(Teacher& teacher) {
  if (!data_->has_validation()) return;
  Evaluation worth;
  try {
    worth = Evaluator(*data_).evaluate(teacher.scorer(stream_), stream_);
  } catch (const Error&) {
    return;  // its scores overflow, which does no harm to losses that read its vectors alone
  }
  const double chance = static_cast<double>(kCutoffs[0]) /
                        static_cast<double>(std::max<int64_t>(1, dataset_.num_candidates));
  constexpr double kHardlyBetter = 2;
  say("{}: its own validation H@5 is {:.4f}{}", teacher_, worth.valid.hit[0],
      worth.valid.hit[0] > kHardlyBetter * chance
          ? ""
          : ", no better than chance: do its rows belong to these users and items? "
            "--teacher-user-ids and --teacher-item-ids name the rows' ids");
}

std::vector<std::unique_ptr<DistillationLoss>> TrainingRun::make_losses(
    const TrainingTask& task, DistillContext context) const {
  std::vector<std::unique_ptr<DistillationLoss>> losses;
  try {
    for (const LossFactory* factory : task.losses) losses.push_back(factory->make(context));
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", teacher_, e.what()));
  }
  return losses;
}

void TrainingRun::train(TrainingTask task) {
  tell_memory(task);
  if (options_.dry_run) return;
  open_data();
  Parameters parameters;
  TrainOptions train = train_options();
  if (watched_) train.watched = &*watched_;
  const int64_t batch = train.plan.batch_size;
  const std::unique_ptr<Model> model = make_model(task.model, data_->users(), data_->items(),
                                                  {task.dim, task.layers, batch}, parameters);
  const int64_t model_parameters = parameters.count();
  std::vector<std::unique_ptr<DistillationLoss>> losses;
  std::optional<Teacher> teacher;
  std::string teacher_hash;
  if (!task.losses.empty()) {
    teacher_hash = hash_teacher(*task.teacher);
    teacher.emplace(*std::move(task.teacher), *data_);
    losses = make_losses(
        task, {*teacher, *data_, *model, parameters, batch, options_.conventions(), stream_});
  }
  parameters.allocate(options_.seed, stream_);
  if (task.balance) {
    for (const LossFactory* loss : task.losses) {
      train.balance.shares.push_back(loss->recommended_share(task.model));
    }
  }
  Trainer trainer(*data_, parameters, *model, losses, train, stream_);

  const std::string run = fingerprint(task, teacher_hash);
  std::shared_ptr<GateRows> rows = resume(trainer, run);
  std::optional<GateRecorder> gate;
  if (options_.gate_rows() > 0) {
    gate.emplace(gate_of(losses), std::move(rows), options_.gate_rows(), stream_);
  }
  if (task.aligned_model && teacher) print_teacher_quality(*teacher);

  if (!has_validation()) {
    say("{}: no user has a validation item: all {} epochs are trained whatever --patience "
        "says, and the last one is kept",
        options_.data, options_.epochs);
  }

  const InterruptWatch watch;
  const auto facts = [&]() -> ModelFacts {
    const Json metrics = metrics_of(trainer, train.watched, losses, task.balance);
    return {result_options(task).dump(),
            options_.seed,
            metrics.dump(),
            dataset_.hash,
            teacher_hash,
            made_by_};
  };
  const Trainer::Outcome outcome = run_epochs(
      trainer, run, [&] { return model_in_arena(*model, parameters, facts()); },
      gate ? &*gate : nullptr);
  if (trainer.early_stopping().best_epoch() < 0) {
    throw Interrupted(
        describe(outcome, trainer, options_.effective_patience()) + ", nothing to keep yet",
        InterruptWatch::signal());
  }
  trainer.restore_best();
  if (gate) {  // before the model: a model that is there has its record
    save_gate_record(options_.snapshot_gate, *gate->recorded(), gate->experts(),
                     trainer.early_stopping().best_epoch() + 1,
                     model_metadata(model->kind(), facts()));
  }
  save_model(options_.output, *model, facts(), stream_);
  print_summary(task, trainer, outcome, model_parameters);
}

void TrainingRun::print_summary(const TrainingTask& task, const Trainer& trainer,
                                Trainer::Outcome outcome, int64_t model_parameters) const {
  const std::string ending = describe(outcome, trainer, options_.effective_patience());
  const EarlyStopping& early_stopping = trainer.early_stopping();
  const bool validated = has_validation();
  print_out("{}; {} {}\n", ending, validated ? "best epoch" : "kept the last one, epoch",
            early_stopping.best_epoch());
  if (dataset_.num_candidates > 0) print_report(early_stopping.report());
  if (watched_) {
    print_out("valid {} {:.4f}, by which this epoch is the best\n", watched_->name(),
              early_stopping.best_value());
  } else if (validated && options_.conventions().stopping == StoppingRule::kEachCutoff) {
    print_out(
        "The metrics @10 and @20 are of the epochs that were best by them, as in the authors' "
        "program; derrd evaluate gives the written model's.\n");
  }
  print_out("wrote {}: dimension {}, {} parameters, {:.2f} MB\n", options_.output, task.dim,
            model_parameters, static_cast<double>(fs::file_size(options_.output)) / 1e6);
  if (!options_.snapshot_gate.empty()) {
    print_out("wrote {}: the expert of each user before training and after each of {} epochs\n",
              options_.snapshot_gate, trainer.next_epoch());
  }
  if (outcome == Trainer::Outcome::kInterrupted) {
    throw Interrupted(
        fmt::format("{}; {} holds the {} model so far{}", ending, options_.output,
                    validated ? "best" : "last",
                    options_.checkpoint.empty() ? "" : ", --resume continues from the checkpoint"),
        InterruptWatch::signal());
  }
}

}  // namespace derrd
