#pragma once

#include <cstdint>

#include "engine/models/scorer.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Gate that weighs E experts for each user by the teacher's vector t of the user:
/// alpha = softmax(W t + b) (equation 5). A view.
struct UserGate {
  Matrix<const float> weight;           ///< W [E, T]
  Vector<const float> bias;             ///< b [E]
  EmbeddingTables teacher;              ///< [U, *], T columns in all
  Vector<const uint8_t> included = {};  ///< [U] 0: the user has no vector; empty: all have one
};

}  // namespace derrd
