#include "apps/analysis/agreement.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace derrd {

namespace {

using LabelPair = std::pair<int32_t, int32_t>;

std::vector<LabelPair> pair_labels(std::span<const int32_t> a, std::span<const int32_t> b) {
  if (a.size() != b.size()) {
    throw std::invalid_argument("two labelings of the same things have different lengths");
  }
  std::vector<LabelPair> pairs(a.size());
  for (size_t i = 0; i < a.size(); ++i) pairs[i] = {a[i], b[i]};
  return pairs;
}

/// Counts how often each label occurs.
template <typename Labels>
auto count_labels(const Labels& labels) {
  std::map<typename Labels::value_type, double> counts;
  for (const auto& label : labels) ++counts[label];
  return counts;
}

template <typename Labels>
double entropy_of(const Labels& labels) {
  const auto n = static_cast<double>(labels.size());
  double sum = 0;
  for (const auto& [label, count] : count_labels(labels)) sum += count / n * std::log(n / count);
  return sum;
}

/// Counts pairs of different members, each in both orders.
struct Pairs {
  double sum = 0, squares = 0;

  void add(double times) {
    sum += times;
    squares += times * times;
  }
  double count() const { return sum * sum - squares; }
};

template <typename Key>
double count_pairs(const std::map<Key, Pairs>& classes) {
  double count = 0;
  for (const auto& [key, pairs] : classes) count += pairs.count();
  return count;
}

}  // namespace

size_t classes_used(std::span<const int32_t> labels) { return count_labels(labels).size(); }

double entropy(std::span<const int32_t> labels) { return entropy_of(labels); }

double normalized_mutual_information(std::span<const int32_t> a, std::span<const int32_t> b) {
  const std::vector<LabelPair> pairs = pair_labels(a, b);
  const auto counts_a = count_labels(a), counts_b = count_labels(b);
  if (counts_a.size() <= 1 && counts_b.size() <= 1) return 1;
  const auto n = static_cast<double>(pairs.size());
  double information = 0;
  for (const auto& [pair, count] : count_labels(pairs)) {
    const double expected = counts_a.at(pair.first) * counts_b.at(pair.second) / n;
    information += count / n * std::log(count / expected);
  }
  // Rounding must not leave the range.
  return std::clamp(information / ((entropy(a) + entropy(b)) / 2), 0.0, 1.0);
}

double purity(std::span<const int32_t> labels, std::span<const int32_t> reference) {
  const std::vector<LabelPair> pairs = pair_labels(labels, reference);
  if (pairs.empty()) return 1;
  std::map<int32_t, double> largest;  // count of a class of the reference, by label
  for (const auto& [pair, count] : count_labels(pairs)) {
    largest[pair.first] = std::max(largest[pair.first], count);
  }
  double sum = 0;
  for (const auto& [label, count] : largest) sum += count;
  return sum / static_cast<double>(pairs.size());
}

double shared_label_excess(std::span<const int32_t> labels, std::span<const int32_t> groups,
                           std::span<const uint32_t> times) {
  if (labels.size() != groups.size() || labels.size() != times.size()) {
    throw std::invalid_argument("labels, groups and times of the same things differ in length");
  }
  Pairs all;
  std::map<int32_t, Pairs> by_label, by_group;
  std::map<LabelPair, Pairs> by_both;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (times[i] == 0) continue;
    all.add(times[i]);
    by_label[labels[i]].add(times[i]);
    by_group[groups[i]].add(times[i]);
    by_both[{labels[i], groups[i]}].add(times[i]);
  }
  const double within = count_pairs(by_group), between = all.count() - within;
  if (within == 0 || between == 0) return 0;
  const double same_within = count_pairs(by_both);
  const double same_between = count_pairs(by_label) - same_within;
  return same_within / within - same_between / between;
}

}  // namespace derrd
