#include "engine/evaluation/bootstrap.h"

#include <algorithm>

#include "data/random.h"

namespace derrd {

namespace {

/// @param sorted ascending
double quantile(std::span<const double> sorted, double part) {
  const double position = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double rest = position - static_cast<double>(below);
  return sorted[below] + rest * (sorted[above] - sorted[below]);
}

}  // namespace

void resample(size_t rows, uint64_t seed,
              const std::function<void(size_t b, std::span<const uint32_t> times)>& visit) {
  std::vector<uint32_t> times(rows);
  for (size_t b = 0; b < kResamples; ++b) {
    RandomStream random(seed, kBootstrapStream, b);
    std::ranges::fill(times, 0u);
    for (size_t n = 0; n < rows; ++n) ++times[random.below(rows)];
    visit(b, times);
  }
}

std::vector<double> bootstrap_means(std::span<const double> values, int64_t columns,
                                    uint64_t seed) {
  const auto width = static_cast<size_t>(columns);
  const size_t rows = values.size() / width;
  std::vector<double> means(width * kResamples);
  std::vector<double> sums(width);
  resample(rows, seed, [&](size_t b, std::span<const uint32_t> times) {
    std::ranges::fill(sums, 0.0);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < width; ++c) sums[c] += times[r] * values[r * width + c];
    }
    for (size_t c = 0; c < width; ++c) {
      means[c * kResamples + b] = sums[c] / static_cast<double>(rows);
    }
  });
  return means;
}

Interval percentile_interval(std::span<const double> figures) {
  std::vector<double> sorted(figures.begin(), figures.end());
  std::ranges::sort(sorted);
  return {quantile(sorted, .025), quantile(sorted, .975)};
}

}  // namespace derrd
