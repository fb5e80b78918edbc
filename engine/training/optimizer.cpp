#include "engine/training/optimizer.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace derrd {

namespace {

/// The least one that is not below n.
int64_t power_of_two(int64_t n) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(1, n))));
}

/// Within a cache, streaming through the tables costs less than finding the rows of a batch.
RowUpdates resolve(RowUpdates row_updates, const Parameters& parameters) {
  if (row_updates != RowUpdates::kAuto) return row_updates;
  constexpr int64_t kUsualCache = int64_t{32} << 20;
  constexpr int64_t kBytes = 4 * sizeof(float);  // a value, its moments and its gradient
  const int64_t cache = device_info().cache_bytes;
  const bool fits = kBytes * parameters.table_elements() <= (cache == 0 ? kUsualCache : cache);
  return fits ? RowUpdates::kEveryStep : RowUpdates::kWhenRead;
}

}  // namespace

Optimizer::Optimizer(Parameters& parameters, AdamOptions options, RowUpdates row_updates,
                     int64_t window, const Stream& stream)
    : parameters_(parameters),
      options_(options),
      window_(window),
      row_updates_(resolve(row_updates, parameters)),
      every_step_(row_updates_ == RowUpdates::kWhenRead
                      ? parameters.outside_tables()
                      : std::vector<Parameters::Range>{{0, parameters.values().size}}),
      steps_(1),
      corrections_(row_updates_ == RowUpdates::kWhenRead ? power_of_two(window) : 1) {
  set_steps(0, stream);
}

Optimizer::~Optimizer() { parameters_.stop_waiting(history()); }

void Optimizer::step(const Stream& stream) {
  if (row_updates_ == RowUpdates::kWhenRead && ++since_catch_up_ > window_) {
    throw std::logic_error("optimizer: more steps than its window without catch_up()");
  }
  adam_advance(history(), options_, stream);
  for (const auto [begin, size] : every_step_) {
    const auto part = [&](Vector<float> arena) { return arena.slice(begin, size); };
    adam_update(part(parameters_.values()), part(parameters_.first_moments()),
                part(parameters_.second_moments()), part(parameters_.gradients()), options_,
                history(), stream);
  }
}

void Optimizer::catch_up(const Stream& stream) {
  parameters_.catch_up_all(stream);
  since_catch_up_ = 0;
}

int64_t Optimizer::steps(const Stream& stream) const { return steps_.to_host(stream)[0]; }

void Optimizer::set_steps(int64_t steps, const Stream& stream) {
  since_catch_up_ = 0;
  copy_to_device(steps_.data(), &steps, sizeof(steps), stream);
  if (row_updates_ == RowUpdates::kWhenRead) {
    parameters_.let_rows_wait(options_, history(), steps, stream);
  }
}

}  // namespace derrd
