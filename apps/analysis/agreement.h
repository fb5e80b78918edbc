#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace derrd {

/// Counts the distinct labels.
size_t classes_used(std::span<const int32_t> labels);

/// Returns the entropy of the labels' frequencies in nats: 0 for one class or no labels, the
/// logarithm of the number of classes where all are equally frequent.
double entropy(std::span<const int32_t> labels);

/// Returns the normalised mutual information of two labelings of the same things: the mutual
/// information over the arithmetic mean of the entropies, as scikit-learn's default. It is 1, up to
/// rounding, where each labeling determines the other, and 0 where they are independent. Exactly 1
/// where both have one class, or no labels; 0 where only one of them has one class.
/// @throws std::invalid_argument unless both have the same length
double normalized_mutual_information(std::span<const int32_t> a, std::span<const int32_t> b);

/// Returns the share of things whose class in `reference` is the most frequent one among the things
/// of their label. It is not symmetric: labels all of their own have purity 1. 1 for no labels.
/// @throws std::invalid_argument unless both have the same length
double purity(std::span<const int32_t> labels, std::span<const int32_t> reference);

/// Returns how much more often two members of one group have the same label than two members of
/// different groups: the difference of both shares of pairs. Its mean is 0 where labels and groups
/// are independent, however many there are. 0 without pairs of both kinds.
/// @param times how often each member counts; it makes no pair with itself
/// @throws std::invalid_argument unless all have the same length
double shared_label_excess(std::span<const int32_t> labels, std::span<const int32_t> groups,
                           std::span<const uint32_t> times);

}  // namespace derrd
