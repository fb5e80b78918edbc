#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace derrd::oracle {

/// The r best of `scores` by (score falling, item rising); -infinity is never taken. Fewer than r
/// if there are fewer.
std::vector<int32_t> top_items(std::span<const float> scores, int64_t r);

/// The rank of item `target`: 1 + the number of other items whose scores are higher or equal.
int32_t full_rank(std::span<const double> scores, int32_t target);

/// Inner products in double precision, [users, items].
std::vector<double> inner_products(std::span<const float> user_embedding,
                                   std::span<const float> item_embedding, int64_t dims);

/// The rank of item `target` (-1: rank 0) among candidates (-1: none): 1 + the number of them whose
/// scores are higher or equal.
int32_t leave_one_out_rank(std::span<const double> scores, int32_t target,
                           std::span<const int32_t> candidates);

}  // namespace derrd::oracle
