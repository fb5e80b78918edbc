#include "engine/training/parameters.h"

#include <stdexcept>
#include <utility>

#include "kernels/common/initialize.h"

namespace derrd {

namespace {
/// Matrices start on 256-byte boundaries.
constexpr int64_t kAlignedFloats = 64;
}  // namespace

ParameterId Parameters::declare(Declared matrix) {
  if (allocated_) {
    throw std::logic_error("parameters: '" + matrix.name + "' declared after allocate()");
  }
  size_ += (matrix.rows * matrix.cols + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
  declared_.push_back(std::move(matrix));
  return {static_cast<int64_t>(declared_.size()) - 1};
}

ParameterId Parameters::declare(std::string name, int64_t rows, int64_t cols, Initial initial) {
  return declare({std::move(name), rows, cols, size_, initial, -1});
}

ParameterId Parameters::declare_table(std::string name, int64_t rows, int64_t cols,
                                      Initial initial) {
  const ParameterId id = declare({std::move(name), rows, cols, size_, initial, table_rows_});
  table_rows_ += rows;
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
  applied_ = DeviceArray<uint32_t>(table_rows_);
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
    if (declared_[i].first_row >= 0) continue;
    const int64_t begin = declared_[i].offset;
    const int64_t end = i + 1 < declared_.size() ? declared_[i + 1].offset : size_;
    if (ranges.empty() || ranges.back().begin + ranges.back().size != begin) {
      ranges.push_back({begin, 0});
    }
    ranges.back().size += end - begin;
  }
  return ranges;
}

int64_t Parameters::table_elements() const {
  int64_t total = 0;
  for (const Declared& d : declared_) {
    if (d.first_row >= 0) total += d.rows * d.cols;
  }
  return total;
}

AdamRows Parameters::table(ParameterId id) const {
  const Declared& d = declared_.at(static_cast<size_t>(id.index));
  if (d.first_row < 0) throw std::logic_error("parameters: '" + d.name + "' is no table");
  return {matrix(values_, id), matrix(first_moments_, id), matrix(second_moments_, id),
          matrix(gradients_, id), applied_.view().slice(d.first_row, d.rows)};
}

void Parameters::catch_up(std::initializer_list<RowsToRead> reads, const Stream& stream) const {
  if (history_.corrections.size == 0) return;
  std::vector<AdamRead> lists;
  for (const RowsToRead& read : reads) {
    lists.push_back({table(read.table), read.rows, read.samples});
  }
  adam_catch_up(lists, options_, history_, stream);
}

void Parameters::catch_up_all(const Stream& stream) const {
  if (history_.corrections.size == 0) return;
  std::vector<AdamRead> tables;
  for (size_t i = 0; i < declared_.size(); ++i) {
    if (declared_[i].first_row < 0) continue;
    tables.push_back({table({static_cast<int64_t>(i)}), {}, {}});
  }
  adam_catch_up(tables, options_, history_, stream);
}

void Parameters::let_rows_wait(AdamOptions options, AdamHistory history, int64_t applied,
                               const Stream& stream) {
  options_ = options;
  history_ = history;
  const std::vector<uint32_t> all(static_cast<size_t>(table_rows_), static_cast<uint32_t>(applied));
  copy_to_device(applied_.data(), all.data(), applied_.bytes(), stream);
}

int64_t Parameters::count() const { return count(""); }

int64_t Parameters::count(std::string_view prefix) const {
  int64_t total = 0;
  for (const Declared& d : declared_) {
    if (d.name.starts_with(prefix)) total += d.rows * d.cols;
  }
  return total;
}

Matrix<float> Parameters::matrix(const DeviceArray<float>& array, ParameterId id) const {
  const Declared& d = declared_.at(static_cast<size_t>(id.index));
  return {array.data() + d.offset, d.rows, d.cols};
}

}  // namespace derrd
