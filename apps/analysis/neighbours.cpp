#include "apps/analysis/neighbours.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "data/random.h"

namespace derrd {

namespace {

struct DrawnPair {
  double cosine;
  bool same_label;
};

double cosine_of(std::span<const float> a, std::span<const float> b) {
  const double norms = inner_product(a, a) * inner_product(b, b);
  return norms == 0 ? 0 : inner_product(a, b) / std::sqrt(norms);
}

}  // namespace

std::vector<CosineDecile> same_label_by_cosine(const Points& points,
                                               std::span<const int32_t> labels, int64_t pairs,
                                               uint64_t seed) {
  if (labels.size() != points.size()) {
    throw std::invalid_argument("there are not as many labels as points");
  }
  if (points.size() < 2) return {};
  RandomStream random(seed, kPairStream, 0);
  std::vector<DrawnPair> drawn;
  for (int64_t n = 0; n < pairs; ++n) {
    const uint64_t a = random.below(points.size());
    const uint64_t other = random.below(points.size() - 1);
    const uint64_t b = other + (other >= a ? 1 : 0);
    drawn.push_back({cosine_of(points[a], points[b]), labels[a] == labels[b]});
  }
  std::ranges::stable_sort(drawn, {}, &DrawnPair::cosine);
  constexpr size_t kTenths = 10;
  std::vector<CosineDecile> deciles;
  for (size_t t = 0; t < kTenths; ++t) {
    const size_t begin = t * drawn.size() / kTenths, end = (t + 1) * drawn.size() / kTenths;
    if (begin == end) continue;
    CosineDecile decile;
    decile.pairs = static_cast<int64_t>(end - begin);
    for (size_t n = begin; n < end; ++n) {
      decile.cosine += drawn[n].cosine;
      decile.same_label += drawn[n].same_label ? 1 : 0;
    }
    decile.cosine /= static_cast<double>(decile.pairs);
    decile.same_label /= static_cast<double>(decile.pairs);
    deciles.push_back(decile);
  }
  return deciles;
}

}  // namespace derrd
