#include "engine/parameters.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "kernels/common/initialize.h"

namespace derrd {

namespace {
/// Matrices start on 256-byte boundaries.
constexpr int64_t kAlignedFloats = 64;
}  // namespace

int64_t Parameters::padded(int64_t size) {
  return (size + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

ParameterId Parameters::declare(std::string name, int64_t rows, int64_t cols, Initial initial) {
  if (allocated_) throw std::logic_error("parameters: '" + name + "' declared after allocate()");
  declared_.push_back({std::move(name), rows, cols, size_, initial});
  size_ += padded(rows * cols);
  return {static_cast<int64_t>(declared_.size()) - 1};
}

ParameterId Parameters::declare_table(std::string name, Entity of, int64_t rows, int64_t cols,
                                      Initial initial) {
  const ParameterId id = declare(std::move(name), rows, cols, initial);
  tables_.push_back({id, of});
  return id;
}

void Parameters::allocate(uint64_t seed, const Stream& stream) {
  allocated_ = true;
  values_ = DeviceArray<float>(size_);
  gradients_ = DeviceArray<float>(size_);
  first_moments_ = DeviceArray<float>(size_);
  second_moments_ = DeviceArray<float>(size_);
  for (const auto* array : {&values_, &gradients_, &first_moments_, &second_moments_}) {
    array->zero(stream);
  }
  const RandomKey key = {seed, RandomPurpose::kInitialise, 0};
  for (const Declared& d : declared_) {
    const Vector<float> values = values_.view().slice(d.offset, d.rows * d.cols);
    const auto first = static_cast<uint64_t>(d.offset);
    if (d.initial.kind == Initial::Kind::kNormal) {
      initialize_normal(values, d.initial.scale, key, first, stream);
    } else {
      initialize_uniform(values, d.initial.scale, key, first, stream);
    }
  }
}

std::vector<Parameters::Range> Parameters::outside_tables() const {
  std::vector<Range> ranges;
  for (size_t i = 0; i < declared_.size(); ++i) {
    if (is_table(static_cast<int64_t>(i))) continue;
    const int64_t begin = declared_[i].offset;
    const int64_t end = i + 1 < declared_.size() ? declared_[i + 1].offset : size_;
    if (ranges.empty() || ranges.back().begin + ranges.back().size != begin) {
      ranges.push_back({begin, 0});
    }
    ranges.back().size += end - begin;
  }
  return ranges;
}

bool Parameters::is_table(int64_t index) const {
  return std::any_of(tables_.begin(), tables_.end(),
                     [&](const Table& table) { return table.id.index == index; });
}

int64_t Parameters::count() const { return count(""); }

int64_t Parameters::count(std::string_view prefix) const {
  int64_t total = 0;
  for (const Declared& d : declared_) {
    if (d.name.starts_with(prefix)) total += d.rows * d.cols;
  }
  return total;
}

Matrix<float> Parameters::matrix(Vector<float> arena, ParameterId id) const {
  const Declared& d = declared_.at(static_cast<size_t>(id.index));
  return {arena.data + d.offset, d.rows, d.cols};
}

}  // namespace derrd
