#pragma once

#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "data/dataset.h"
#include "engine/models/model_file.h"
#include "engine/parameters.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"
#include "tests/random_values.h"
#include "tests/stream.h"

namespace derrd::test {

/// Users with `degree` random training items each and two more held out; every other item is a
/// candidate.
inline Dataset small_dataset(int32_t users, int32_t items, int degree, uint64_t seed) {
  std::mt19937_64 generator(seed);
  Dataset d;
  d.num_candidates = items - degree - 2;
  for (int32_t u = 0; u < users; ++u) {
    std::vector<int32_t> all(static_cast<size_t>(items));
    for (int32_t i = 0; i < items; ++i) all[static_cast<size_t>(i)] = i;
    for (size_t i = 0; i < static_cast<size_t>(degree) + 2; ++i) {
      std::swap(all[i], all[i + generator() % (all.size() - i)]);
    }
    const std::set<int32_t> train(all.begin(), all.begin() + degree);
    d.train.items.insert(d.train.items.end(), train.begin(), train.end());
    d.train.offsets.push_back(static_cast<int64_t>(d.train.items.size()));
    d.valid.add_row({&all[static_cast<size_t>(degree)], 1});
    d.test.add_row({&all[static_cast<size_t>(degree) + 1], 1});
    d.candidates.insert(d.candidates.end(), all.begin() + degree + 2, all.end());
  }
  d.user_ids = IdTable::identity(users);
  d.item_ids = IdTable::identity(items);
  return d;
}

/// Random normal vectors as a teacher.
inline SavedModel small_teacher(int64_t users, int64_t items, int64_t dim, uint64_t seed) {
  const std::vector<float> values = random_normal((users + items) * dim, seed, 0.5f);
  const auto matrix = [&](int64_t first, int64_t rows) {
    return HostMatrix{
        {values.begin() + first * dim, values.begin() + (first + rows) * dim}, rows, dim};
  };
  SavedModel model;
  model.kind = "bpr";
  model.tensors.emplace("user_embedding", matrix(0, users));
  model.tensors.emplace("item_embedding", matrix(users, items));
  return model;
}

/// The inner product of a user's and an item's vectors.
inline double score(const SavedModel& model, int64_t user, int64_t item) {
  const HostMatrix& users = model.tensor("user_embedding");
  const HostMatrix& items = model.tensor("item_embedding");
  double sum = 0;
  for (int64_t d = 0; d < users.cols; ++d) {
    sum += double{users.values[static_cast<size_t>(user * users.cols + d)]} *
           items.values[static_cast<size_t>(item * users.cols + d)];
  }
  return sum;
}

/// Sets all parameters to values larger than the initial ones, so that every part of a gradient is
/// well above rounding.
inline void set_random_values(const Parameters& parameters, uint64_t seed) {
  const Vector<float> values = parameters.values();
  copy_to_device(values.data, random_normal(values.size, seed, 0.5f).data(), values.size * 4,
                 stream());
}

}  // namespace derrd::test
