#pragma once

#include "kernels/models/bpr.h"
#include "tests/cases/batch_rows.h"
#include "tests/cases/support.h"

namespace derrd::cases {

/// An epoch of samples over two tables of embeddings.
struct BprCase {
  struct Shape {
    int64_t users, items, samples, batch_size, cols;
  };

  /// Uniform samples over random embeddings of standard deviation `scale`.
  BprCase(const Shape& s, float scale)
      : BprCase(s, random_array(s.users * s.cols, 4, scale),
                random_array(s.items * s.cols, 5, scale), index_array(s.samples, s.users, 1),
                index_array(s.samples, s.items, 2), index_array(s.samples, s.items, 3)) {}
  BprCase(const Shape& s, DeviceArray<float> user_values, DeviceArray<float> item_values,
          DeviceArray<int32_t> user_of_sample, DeviceArray<int32_t> positive_of_sample,
          DeviceArray<int32_t> negative_of_sample)
      : shape(s),
        user_embedding(std::move(user_values)),
        item_embedding(std::move(item_values)),
        users(std::move(user_of_sample)),
        positives(std::move(positive_of_sample)),
        negatives(std::move(negative_of_sample)),
        user_rows(users.to_host(stream()), s.batch_size),
        positive_rows(positives.to_host(stream()), s.batch_size),
        negative_rows(negatives.to_host(stream()), s.batch_size),
        cursors(to_device(sample_cursors(s.samples, s.batch_size))) {}

  BprCall call(int64_t batch = 0) const {
    return {.user_embedding = user_embedding.matrix(shape.users, shape.cols),
            .item_embedding = item_embedding.matrix(shape.items, shape.cols),
            .samples = {users.view(), positives.view(), negatives.view(), cursors.data() + batch,
                        shape.batch_size},
            .users = user_rows.view(batch),
            .positives = positive_rows.view(batch),
            .negatives = negative_rows.view(batch)};
  }

  // Work of a batch of all samples.

  Work forward_work() const {
    return {.bytes = static_cast<double>(shape.samples * (12 * shape.cols + 20)),
            .flops = 3.0 * static_cast<double>(shape.samples * shape.cols)};
  }
  Work backward_work() const {
    const int64_t rows = user_rows.capacity + positive_rows.capacity + negative_rows.capacity;
    return {.bytes = static_cast<double>(shape.samples * (16 * shape.cols + 40) +
                                         rows * (8 * shape.cols + 8)),
            .flops = 7.0 * static_cast<double>(shape.samples * shape.cols)};
  }
  /// Device memory, with gradients and outputs.
  static int64_t bytes(const Shape& s) {
    return 8 * s.cols * (s.users + s.items) + (3 * BatchRows::kSampleBytes + 24) * s.samples;
  }

  Shape shape;
  DeviceArray<float> user_embedding, item_embedding;
  DeviceArray<int32_t> users, positives, negatives;
  BatchRows user_rows, positive_rows, negative_rows;
  DeviceArray<BatchCursor> cursors;
};

}  // namespace derrd::cases
