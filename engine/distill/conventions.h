#pragma once

#include <cstdint>

#include "engine/distill/ranking_sampler.h"
#include "engine/evaluation/early_stopping.h"
#include "kernels/distill/reconstruction.h"
#include "kernels/distill/slot_scores.h"

namespace derrd {

/// Which source holds where the paper and the program of its authors differ.
enum class Preset { kAuthors, kPaper };

/// What a preset means (data/README.md, "Presets").
struct Conventions {
  /// How the losses of rrd's users, and of ir's items, make up the loss of a batch.
  AnchorReduction ranking_reduction;
  /// What rrd and ir never draw as uninteresting, beside the observed rows.
  Excluded excluded;
  /// How de measures the distance between a vector and its reconstruction.
  ReconstructionNorm reconstruction_norm;
  /// Epochs by which the temperature of de falls late.
  int64_t temperature_lag;
  /// When training stops, and which epoch a metric is reported of.
  StoppingRule stopping;
  /// Epochs without an improvement before training stops, unless the user says otherwise.
  int patience;
};

/// Resolves a preset: nobody else asks which one it is.
Conventions conventions_of(Preset preset);

}  // namespace derrd
