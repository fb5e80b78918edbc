#include "tests/oracles/ranking.h"

#include <algorithm>
#include <cmath>

namespace derrd::oracle {

std::vector<int32_t> top_items(std::span<const float> scores, int64_t r) {
  std::vector<int32_t> items;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!std::isinf(scores[i])) items.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(items.begin(), items.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  items.resize(std::min(items.size(), static_cast<size_t>(r)));
  return items;
}

int32_t full_rank(std::span<const double> scores, int32_t target) {
  int32_t rank = 1;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (i != static_cast<size_t>(target) && scores[i] >= scores[static_cast<size_t>(target)]) {
      ++rank;
    }
  }
  return rank;
}

std::vector<double> inner_products(std::span<const float> user_embedding,
                                   std::span<const float> item_embedding, int64_t dims) {
  const auto d = static_cast<size_t>(dims);
  std::vector<double> scores;
  for (size_t u = 0; u < user_embedding.size(); u += d) {
    for (size_t i = 0; i < item_embedding.size(); i += d) {
      double sum = 0;
      for (size_t k = 0; k < d; ++k) {
        sum += static_cast<double>(user_embedding[u + k]) * item_embedding[i + k];
      }
      scores.push_back(sum);
    }
  }
  return scores;
}

int32_t leave_one_out_rank(std::span<const double> scores, int32_t target,
                           std::span<const int32_t> candidates) {
  if (target < 0) return 0;
  int32_t rank = 1;
  for (const int32_t c : candidates) {
    if (c >= 0 && scores[static_cast<size_t>(c)] >= scores[static_cast<size_t>(target)]) ++rank;
  }
  return rank;
}

}  // namespace derrd::oracle
