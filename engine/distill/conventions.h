#pragma once

#include <cstdint>

#include "engine/distill/ranking_sampler.h"
#include "engine/evaluation/early_stopping.h"
#include "kernels/distill/reconstruction.h"
#include "kernels/distill/slot_scores.h"

namespace derrd {

/// Source that holds where the paper and its authors' program differ.
enum class Preset { kAuthors, kPaper };

/// Meaning of a preset (data/README.md, "Presets").
struct Conventions {
  /// Sum or mean of the losses of rrd's users, or of ir's items, as a batch's loss.
  AnchorReduction ranking_reduction;
  /// Rows that rrd and ir never draw as uninteresting, besides the observed ones.
  Excluded excluded;
  /// Distance in de between a vector and its reconstruction.
  ReconstructionNorm reconstruction_norm;
  /// Number of epochs by which de's temperature falls later.
  int64_t temperature_lag;
  /// Rule for the end of training, and for the epoch whose metrics are reported.
  StoppingRule stopping;
  /// Epochs without an improvement before training stops, unless the user says otherwise.
  int patience;
};

/// Returns the conventions of a preset. Other code sees these, not the preset.
Conventions conventions_of(Preset preset);

}  // namespace derrd
