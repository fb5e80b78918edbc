#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/distill/conventions.h"
#include "engine/training/trainer.h"

namespace derrd {

/// Options of `derrd train` and `derrd distill`.
struct TrainingOptions {
  std::string data, output;
  std::string log, checkpoint;   ///< paths; empty for none
  std::string snapshot_gate;     ///< path of the gate record of `derrd distill`; empty for none
  double checkpoint_every = 30;  ///< seconds
  bool resume = false;
  bool resume_anyway = false;  ///< also where the bits will differ
  bool quiet = false;
  bool dry_run = false;

  double learning_rate = 1e-3;
  double weight_decay = 1e-3;
  int64_t batch = 1024;
  int64_t negatives = 1;
  int epochs = 1000;
  std::optional<int> patience;       ///< the preset's unless given
  std::vector<std::string> stop_on;  ///< names of metrics; empty: the preset's rule
  std::string preset_name = "authors";
  std::string row_updates_name = "auto";
  std::string graph_name = "on";
  uint64_t seed = 0;
  int threads = 0;

  /// Returns the conventions that --preset names.
  Conventions conventions() const {
    return conventions_of(preset_name == "paper" ? Preset::kPaper : Preset::kAuthors);
  }
  RowUpdates row_updates() const {
    if (row_updates_name == "auto") return RowUpdates::kAuto;
    return row_updates_name == "lazy" ? RowUpdates::kLazy : RowUpdates::kEveryStep;
  }
  StepGraph::Mode graph() const {
    return graph_name == "on" ? StepGraph::Mode::kRecorded : StepGraph::Mode::kLaunchByLaunch;
  }
  /// Returns the most rows of the gate record; 0: none is made.
  int64_t gate_rows() const { return snapshot_gate.empty() ? 0 : int64_t{epochs} + 1; }
  int effective_patience() const { return patience.value_or(conventions().patience); }
};

/// Adds --data, -o, --threads, and the groups Training, Records and Speed to a command.
/// @param options outlives the command
void add_training_options(CLI::App& command, TrainingOptions& options);

/// Adds --layers. @param standard describes the default, for the help
void add_layers_option(CLI::App& command, std::optional<int64_t>& layers, const char* standard);
/// Checks that --layers is possible with a kind of model. @throws UsageError if it has no hidden
/// layers.
void check_layers(const std::string& model);

/// Options --threads and --seed of commands that draw no random numbers; the seed is not used.
struct IdleOptions {
  int threads = 0;
  uint64_t seed = 0;
};
/// Adds --threads and --seed. @param options outlives the command
void add_idle_options(CLI::App& command, IdleOptions& options);

}  // namespace derrd
