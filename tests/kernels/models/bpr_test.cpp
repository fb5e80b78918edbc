#include "tests/cases/bpr.h"

#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/support.h"
#include "tests/oracles/bpr.h"

namespace derrd::test::bpr_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using cases::to_device;
using cases::zero_array;
using Shape = cases::BprCase::Shape;

/// A case with the outputs of the forward pass.
struct Problem : cases::BprCase {
  template <class... Arguments>
  explicit Problem(const Shape& s, Arguments&&... arguments)
      : BprCase(s, std::forward<Arguments>(arguments)...),
        loss(s.batch_size),
        coefficient(s.batch_size) {}

  void forward(int64_t batch) const {
    bpr_forward(loss.view(), coefficient.view(), call(batch), stream());
  }
  void backward(int64_t batch, const Guarded<float>& grad_user,
                const Guarded<float>& grad_item) const {
    bpr_backward(grad_user.matrix(shape.users, shape.cols),
                 grad_item.matrix(shape.items, shape.cols), coefficient.view(), call(batch),
                 stream());
  }
  oracle::BprBatch oracle_batch(int64_t batch) const {
    const BatchCursor cursor = cursors.to_host(stream())[static_cast<size_t>(batch)];
    const auto part = [&](const DeviceArray<int32_t>& all) {
      const std::vector<int32_t> host = all.to_host(stream());
      const auto begin = host.begin() + cursor.begin;
      return std::vector<int32_t>(begin, begin + cursor.count);
    };
    return {to_double(user_embedding.to_host(stream())),
            to_double(item_embedding.to_host(stream())),
            shape.cols,
            part(users),
            part(positives),
            part(negatives)};
  }

  Guarded<float> loss, coefficient;
};

/// Edge numbers of samples, rows that recur, and items that are positive and negative at once.
std::vector<Shape> edge_shapes() {
  std::vector<Shape> all;
  for (const int64_t samples : kEdgeSizes) {
    for (const int64_t cols : {1, 20, 32, 33, 36}) {
      all.push_back({7, 11, samples, samples == 0 ? 1 : (samples + 2) * 2 / 3, cols});
    }
  }
  return all;
}

// Scores sum at most 36 products of size 1: 36 roundings of 2^-24 of a partial sum below 40.
constexpr double kScoreTolerance = 36 * 40 * 6e-8;

TEST(BprForward, MatchesOracle) {
  for (const Shape& shape : edge_shapes()) {
    const Problem problem(shape, 0.7f);
    for (int64_t batch = 0; batch < problem.cursors.size(); ++batch) {
      problem.forward(batch);
      oracle::BprForward expected = oracle::bpr_forward(problem.oracle_batch(batch));
      // Both are zero beyond the batch's count.
      expected.loss.resize(static_cast<size_t>(shape.batch_size));
      expected.coefficient.resize(static_cast<size_t>(shape.batch_size));
      EXPECT_TRUE(close(problem.loss.host(), expected.loss, kScoreTolerance, 1e-6));
      EXPECT_TRUE(close(problem.coefficient.host(), expected.coefficient, kScoreTolerance, 1e-6));
    }
  }
}

/// One sample per score: user s has the embedding (score s), the positive item (1), the negative 0.
Problem problem_with_scores(const std::vector<float>& scores) {
  const auto n = static_cast<int64_t>(scores.size());
  std::vector<int32_t> users(scores.size());
  for (size_t s = 0; s < users.size(); ++s) users[s] = static_cast<int32_t>(s);
  return Problem({n, 2, n, n, 1}, to_device(scores), to_device<float>({1, 0}), to_device(users),
                 zero_array<int32_t>(n), to_device(std::vector<int32_t>(scores.size(), 1)));
}

TEST(BprForward, MatchesOracleAtExtremeScores) {
  std::vector<float> scores = {0.0f,    1e-6f, -1e-6f, 80.0f, -80.0f, 87.0f,
                               -104.0f, 1e4f,  -1e4f,  3e38f, -3e38f};
  for (float x = -20.0f; x <= 20.0f; x += 0.25f) scores.push_back(x);
  const Problem problem = problem_with_scores(scores);
  problem.forward(0);
  const oracle::BprForward expected = oracle::bpr_forward(problem.oracle_batch(0));
  // exp, log1p and a division, each within a few units of the last place, of the result itself:
  // even e^-80 keeps its digits. 1e-40 is below float's normal numbers.
  EXPECT_TRUE(close(problem.loss.host(), expected.loss, 1e-40, 5e-7));
  EXPECT_TRUE(close(problem.coefficient.host(), expected.coefficient, 1e-40, 5e-7));
}

TEST(BprForward, KeepsNanAndInfinity) {
  const Problem problem =
      problem_with_scores({std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity});
  problem.forward(0);
  const std::vector<float> loss = problem.loss.host();
  const std::vector<float> coefficient = problem.coefficient.host();
  EXPECT_TRUE(std::isnan(loss[0]));
  EXPECT_TRUE(std::isnan(coefficient[0]));
  EXPECT_EQ(loss[1], 0.0f);
  EXPECT_EQ(coefficient[1], 0.0f);
  EXPECT_EQ(loss[2], kInfinity);
  EXPECT_EQ(coefficient[2], -1.0f);
}

/// n terms of size 1: n roundings of partial sums below n.
double gradient_tolerance(double terms) { return terms * terms * 6e-8; }

void expect_gradients_of_oracle(const std::vector<Shape>& shapes, double tolerance) {
  for (const Shape& shape : shapes) {
    const Problem problem(shape, 0.7f);
    const std::vector<float> user_start = random_normal(shape.users * shape.cols, 6);
    const std::vector<float> item_start = random_normal(shape.items * shape.cols, 7);
    for (int64_t batch = 0; batch < problem.cursors.size(); ++batch) {
      problem.forward(batch);
      std::vector<double> coefficient = to_double(problem.coefficient.host());
      const Guarded<float> grad_user(user_start), grad_item(item_start);
      problem.backward(batch, grad_user, grad_item);
      oracle::BprGradients expected =
          oracle::bpr_backward(problem.oracle_batch(batch), coefficient);
      for (size_t i = 0; i < user_start.size(); ++i) expected.user[i] += user_start[i];
      for (size_t i = 0; i < item_start.size(); ++i) expected.item[i] += item_start[i];
      EXPECT_TRUE(close(grad_user.host(), expected.user, tolerance, 0));
      EXPECT_TRUE(close(grad_item.host(), expected.item, tolerance, 0));
    }
  }
}

// A row recurs up to 257 / 7 times.
TEST(BprBackward, MatchesOracle) {
  expect_gradients_of_oracle(edge_shapes(), gradient_tolerance(60));
}

// A batch of so many samples that the tiles of a block share rows, of which some have enough terms.
TEST(BprBackward, MatchesOracleForPopularRows) {
  for (const int64_t cols : {1, 20, 33, 64, 132}) {
    expect_gradients_of_oracle({{50, 66, 13'000, 8'668, cols}}, gradient_tolerance(230));
  }
}

TEST(BprBackward, MatchesFiniteDifferences) {
  const Shape shape = {3, 4, 12, 12, 5};
  const Problem problem(shape, 1.0f);
  problem.forward(0);
  const Guarded<float> grad_user(std::vector<float>(15)), grad_item(std::vector<float>(20));
  problem.backward(0, grad_user, grad_item);

  const auto summed_loss = [](const oracle::BprBatch& batch) {
    double sum = 0;
    for (const double term : oracle::bpr_forward(batch).loss) sum += term;
    return sum;
  };
  const auto difference = [&](std::vector<double> oracle::BprBatch::*embedding) {
    oracle::BprBatch batch = problem.oracle_batch(0);
    return finite_differences(batch.*embedding, [&] { return summed_loss(batch); });
  };
  // Up to 12 float terms of size 3: 12 roundings of partial sums below 20.
  constexpr double kTolerance = 12 * 20 * 6e-8;
  EXPECT_TRUE(
      close(grad_user.host(), difference(&oracle::BprBatch::user_embedding), kTolerance, 0));
  EXPECT_TRUE(
      close(grad_item.host(), difference(&oracle::BprBatch::item_embedding), kTolerance, 0));
}

TEST(BprBackward, AnItemAgainstItselfTeachesNothing) {
  const Problem problem({1, 1, 2, 2, 3}, to_device<float>({1, 2, 3}), to_device<float>({4, 5, 6}),
                        zero_array<int32_t>(2), zero_array<int32_t>(2), zero_array<int32_t>(2));
  problem.forward(0);
  const Guarded<float> grad_user(std::vector<float>(3)), grad_item(std::vector<float>(3));
  problem.backward(0, grad_user, grad_item);
  EXPECT_EQ(grad_user.host(), std::vector<float>(3));
  EXPECT_EQ(grad_item.host(), std::vector<float>(3));
}

TEST(BprBackward, SameBitsAtAnyNumberOfThreads) {
  constexpr int64_t kUsers = 300, kItems = 400, kCols = 96;  // several chunks of work
  const Problem problem({kUsers, kItems, 600, 600, kCols}, 0.2f);
  expect_same_bits_at_any_number_of_threads([&] {
    const Guarded<float> grad_user(std::vector<float>(kUsers * kCols));
    const Guarded<float> grad_item(std::vector<float>(kItems * kCols));
    problem.forward(0);
    problem.backward(0, grad_user, grad_item);
    return std::make_pair(grad_user.host(), grad_item.host());
  });
}

TEST(Bpr, RejectsBadShapes) {
  const Problem p({3, 4, 6, 6, 5}, 1.0f);
  const Guarded<float> memory(100);
  const auto forward = [&](int64_t losses, int64_t coefficients, int64_t item_cols) {
    BprCall call = p.call(0);
    call.item_embedding = memory.matrix(4, item_cols);
    bpr_forward(memory.view().slice(0, losses), memory.view().slice(0, coefficients), call,
                stream());
  };
  EXPECT_THROW(forward(5, 6, 5), std::invalid_argument);
  EXPECT_THROW(forward(6, 5, 5), std::invalid_argument);
  EXPECT_THROW(forward(6, 6, 4), std::invalid_argument);
  BprCall short_positives = p.call(0);
  short_positives.samples.positives.size = 5;
  EXPECT_THROW(bpr_forward(p.loss.view(), p.coefficient.view(), short_positives, stream()),
               std::invalid_argument);

  const auto backward = [&](int64_t user_rows, int64_t item_rows, int64_t coefficients) {
    bpr_backward(memory.matrix(user_rows, 5), memory.matrix(item_rows, 5),
                 memory.view().slice(0, coefficients), p.call(0), stream());
  };
  EXPECT_THROW(backward(2, 4, 6), std::invalid_argument);
  EXPECT_THROW(backward(3, 5, 6), std::invalid_argument);
  EXPECT_THROW(backward(3, 4, 7), std::invalid_argument);
}

TEST(Bpr, RejectsMoreRowsThan32BitsNumber) {
  const Problem p({3, 4, 6, 6, 5}, 1.0f);
  BprCall call = p.call(0);
  call.samples.capacity = int64_t{1} << 30;  // users and positive items; nothing is read
  const Vector<const float> coefficient = {p.coefficient.data(), call.samples.capacity};
  const Guarded<float> users(15), items(20);
  EXPECT_THROW(bpr_backward(users.matrix(3, 5), items.matrix(4, 5), coefficient, call, stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::bpr_test
