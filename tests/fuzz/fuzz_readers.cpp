// Feeds arbitrary text to the readers, and what they accept to the filter and the split. The first
// byte chooses the format and the options.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "data/dataset.h"
#include "data/error.h"
#include "data/filter.h"
#include "data/readers.h"
#include "data/split.h"

namespace {

std::optional<derrd::Interactions> parse(std::string_view text, const derrd::ReadOptions& options) {
  try {
    return derrd::parse_interactions(text, "input", options);
  } catch (const derrd::Error&) {
    return std::nullopt;
  }
}

/// Split at two moments; nothing if a part would be empty.
std::optional<derrd::TimeSplit> split_at_moments(const derrd::Interactions& kept) {
  const derrd::Share share{250'000'000};
  try {
    return derrd::split_by_time(kept, share, share);
  } catch (const derrd::Error&) {
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  derrd::ReadOptions options;
  options.format = static_cast<derrd::Format>(choice % 8);
  if (choice & 0x08) options.min_rating = 3.0;
  if (choice & 0x10) options.header = choice & 0x20 ? derrd::Header::kYes : derrd::Header::kNo;
  if ((choice & 0x30) == 0x20) options.on_bad_line = derrd::OnBadLine::kSkip;
  if (choice & 0x40) options.user_column = choice & 0x20 ? "user" : "2";
  if (choice & 0x80) options.item_column = "1";
  options.times = size % 3 == 0;
  const auto all = parse({reinterpret_cast<const char*>(data) + 1, size - 1}, options);
  // To seed a user's stream takes longer than to read a line: some inputs with few users suffice.
  if (!all || all->user_ids.size() > 8 || size % 8 != 0) return 0;

  // Whatever was accepted makes a valid data set: from here on nothing may throw.
  const derrd::Interactions kept = derrd::filter(*all, choice % 3, choice % 2);
  derrd::Dataset dataset = derrd::split_leave_one_out(kept, choice);
  derrd::draw_candidates(dataset, 3, choice);
  derrd::validate(dataset, "input");
  if (derrd::statistics(dataset).interactions != kept.size()) __builtin_trap();
  if (!options.times) return 0;
  dataset = derrd::split_last(kept, derrd::Share{300'000'000});
  derrd::validate(dataset, "input");
  if (derrd::statistics(dataset).interactions != kept.size()) __builtin_trap();
  const auto split = kept.size() > 0 ? split_at_moments(kept) : std::nullopt;
  if (!split) return 0;
  derrd::validate(split->dataset, "input");
  const int64_t dropped = split->dropped_valid + split->dropped_test;
  if (derrd::statistics(split->dataset).interactions + dropped != kept.size()) __builtin_trap();
  return 0;
}
