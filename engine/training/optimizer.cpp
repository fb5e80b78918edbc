#include "engine/training/optimizer.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace derrd {

namespace {

/// Smallest power of two that is at least n.
int64_t power_of_two(int64_t n) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(1, n))));
}

int64_t table_elements(const Parameters& parameters) {
  int64_t elements = 0;
  for (const auto& [id, of] : parameters.tables()) elements += parameters.value(id).size();
  return elements;
}

}  // namespace

// Within a cache, streaming through the tables costs less than finding the rows of a batch.
bool Optimizer::lazy(RowUpdates row_updates, int64_t table_elements) {
  if (row_updates != RowUpdates::kAuto) return row_updates == RowUpdates::kLazy;
  constexpr int64_t kDefaultCache = int64_t{32} << 20;
  constexpr int64_t kBytes = 4 * sizeof(float);  // a value, its moments and its gradient
  const int64_t cache = device_info().cache_bytes;
  return kBytes * table_elements > (cache == 0 ? kDefaultCache : cache);
}

int64_t Optimizer::device_bytes(bool lazy, int64_t table_rows, int64_t window) {
  const int64_t corrections = lazy ? power_of_two(window) : 1;
  return static_cast<int64_t>(sizeof(int64_t)) +
         corrections * static_cast<int64_t>(sizeof(AdamCorrections)) +
         (lazy ? table_rows * static_cast<int64_t>(sizeof(uint32_t)) : 0);
}

Optimizer::Optimizer(const Parameters& parameters, AdamOptions options, RowUpdates row_updates,
                     int64_t window, const Stream& stream)
    : parameters_(parameters),
      options_(options),
      window_(window),
      lazy_(lazy(row_updates, table_elements(parameters))),
      every_step_(lazy() ? parameters.outside_tables()
                         : std::vector<Parameters::Range>{{0, parameters.values().size}}),
      steps_(1),
      corrections_(lazy() ? power_of_two(window) : 1) {
  if (lazy()) make_lazy_tables();
  set_steps(0, stream);
}

void Optimizer::make_lazy_tables() {
  int64_t rows = 0;
  for (const auto& [id, of] : parameters_.tables()) rows += parameters_.value(id).rows;
  applied_ = DeviceArray<uint32_t>(rows);
  int64_t first = 0;
  for (const auto& [id, of] : parameters_.tables()) {
    const Matrix<float> value = parameters_.value(id);
    const auto part = [&](Vector<float> arena) { return parameters_.matrix(arena, id); };
    lazy_tables_.push_back(
        {of,
         {value, part(parameters_.first_moments()), part(parameters_.second_moments()),
          part(parameters_.gradients()), applied_.view().slice(first, value.rows)}});
    first += value.rows;
  }
}

void Optimizer::catch_up(std::span<const RowsRead> reads, const Stream& stream) const {
  std::vector<AdamRead> lists;
  for (const RowsRead& read : reads) {
    for (const Table& table : lazy_tables_) {
      if (table.of == read.of) lists.push_back({table.rows, read.rows, read.samples});
    }
  }
  if (const int64_t turns = adam_turns(applied_.size()); turns > 0) {
    for (const Table& table : lazy_tables_) lists.push_back({.table = table.rows, .turns = turns});
  }
  adam_catch_up(lists, options_, history(), stream);
}

void Optimizer::catch_up_all(const Stream& stream) {
  catch_up(std::vector<RowsRead>{{Entity::kUser, {}}, {Entity::kItem, {}}}, stream);
  since_catch_up_ = 0;
}

void Optimizer::step(std::span<const LossTerms> losses, const BatchCursors& batch,
                     const Stream& stream) {
  if (lazy() && ++since_catch_up_ > window_) {
    throw std::logic_error("optimizer: more steps than its window without catch_up_all()");
  }
  end_step(losses, batch, history(), options_, stream);
  CallList<AdamParameters> parts;
  for (const auto [begin, size] : every_step_) {
    const auto part = [&](Vector<float> arena) { return arena.slice(begin, size); };
    parts.add({part(parameters_.values()), part(parameters_.first_moments()),
               part(parameters_.second_moments()), part(parameters_.gradients())});
  }
  adam_update(parts, options_, history(), stream);
}

int64_t Optimizer::steps(const Stream& stream) const { return steps_.to_host(stream)[0]; }

void Optimizer::set_steps(int64_t steps, const Stream& stream) {
  since_catch_up_ = 0;
  copy_to_device(steps_.data(), &steps, sizeof(steps), stream);
  if (!lazy()) return;
  const std::vector<uint32_t> applied(static_cast<size_t>(applied_.size()),
                                      static_cast<uint32_t>(steps));
  copy_to_device(applied_.data(), applied.data(), applied_.bytes(), stream);
}

}  // namespace derrd
