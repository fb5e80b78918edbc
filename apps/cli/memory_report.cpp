#include "apps/cli/memory_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/parse_number.h"
#include "data/printable.h"
#include "kernels/platform/host_memory.h"

namespace derrd {

namespace {

/// Megabytes, or tenths of gigabytes.
std::string in_units(int64_t bytes, double (*whole)(double)) {
  constexpr double kMega = 1e6, kGiga = 1e9;
  if (bytes >= kBeyondMachines) return "more than 70 TB";
  const auto size = static_cast<double>(bytes);
  return size < kGiga ? fmt::format("{:.0f} MB", whole(size / kMega))
                      : fmt::format("{:.1f} GB", whole(size / (kGiga / 10)) / 10);
}

bool is_enough(int64_t bytes, std::optional<int64_t> available) {
  return !available || bytes <= *available;
}

/// Rounded down, as needs are rounded up: a need that does not fit is never shown as equal.
std::string format_available(std::optional<int64_t> bytes) {
  return bytes ? in_units(*bytes, [](double size) { return std::floor(size); })
               : "an unknown amount";
}

/// Largest value with which the run fits; none if not even the least one does.
std::optional<int64_t> largest_fitting(const Reduction& option, const AvailableMemory& available) {
  int64_t below = option.least, above = option.given;
  if (below >= above || !fits(option.need(below), available)) return std::nullopt;
  while (above - below > 1) {
    const int64_t middle = below + (above - below) / 2;
    (fits(option.need(middle), available) ? below : above) = middle;
  }
  return below;
}

// The table's last rows.
constexpr const char* kNeeded = "most at once";
constexpr const char* kAvailable = "available";

/// What DERRD_MEMORY says, if it is there.
std::optional<int64_t> memory_by_environment() {
  const char* text = std::getenv("DERRD_MEMORY");
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::optional<int64_t> bytes = parse_number<int64_t>(text);
  if (bytes && *bytes >= 0) return bytes;
  throw Error(
      fmt::format("the environment variable DERRD_MEMORY is {}; set it to a number of bytes, "
                  "or unset it",
                  printable(text)));
}

}  // namespace

AvailableMemory memory_for_run() {
  AvailableMemory available = available_memory();
  if (const auto bytes = memory_by_environment()) available.host = available.device = bytes;
  return available;
}

AvailableMemory host_memory_for_run() {
  const std::optional<int64_t> given = memory_by_environment();
  return {given ? given : available_host_memory(), std::nullopt, /*shared=*/true};
}

std::string format_bytes(int64_t bytes) {
  return in_units(bytes, [](double size) { return std::ceil(size); });
}

std::string describe_need(const MemoryNeed& need, const AvailableMemory& available) {
  const MemoryBytes peak = need.peak();
  if (available.shared) {
    return fmt::format("{} needed, {} available", format_bytes(need.peak_together()),
                       format_available(available.host));
  }
  return fmt::format("{} of the device needed, {} available; {} of the host needed, {} available",
                     format_bytes(peak.device), format_available(available.device),
                     format_bytes(peak.host), format_available(available.host));
}

std::string memory_table(const MemoryNeed& need, const AvailableMemory& available) {
  constexpr const char* kRow = "{:<32} {:>16} {:>16}{}\n";
  std::string text = fmt::format(kRow, "bytes", "device", "host", "");
  for (const MemoryNeed::Part& part : need.parts()) {
    text += fmt::format(kRow, part.name, part.bytes.device, part.bytes.host,
                        part.kept ? "" : "  for a while");
  }
  text += fmt::format(kRow, kNeeded, need.peak().device, need.peak().host,
                      fmt::format("  together {}", need.peak_together()));
  const auto known = [](std::optional<int64_t> bytes) {
    return bytes ? fmt::to_string(*bytes) : std::string("unknown");
  };
  return text + fmt::format(kRow, kAvailable, known(available.device), known(available.host),
                            available.shared ? "  together" : "");
}

std::optional<ToldMemory> read_memory_table(const std::string& table) {
  ToldMemory told;
  bool has_need = false, has_available = false;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    const auto row = [&](std::string_view name) -> std::optional<std::istringstream> {
      if (!line.starts_with(name)) return std::nullopt;
      return std::istringstream(line.substr(name.size()));
    };
    if (auto needed = row(kNeeded)) {
      std::string word;
      *needed >> told.peak.device >> told.peak.host >> word >> told.together;
      has_need = !needed->fail();
    } else if (auto available = row(kAvailable)) {
      std::string device, host, together;
      *available >> device >> host;
      has_available = !available->fail();
      *available >> together;
      told.available = {parse_number<int64_t>(host), parse_number<int64_t>(device),
                        !together.empty()};
    }
  }
  if (!has_need || !has_available) return std::nullopt;
  return told;
}

std::string describe_peak(const ToldMemory& told) {
  if (told.available.shared) return format_bytes(told.together);
  return fmt::format("{} of the device and {} of the host", format_bytes(told.peak.device),
                     format_bytes(told.peak.host));
}

bool fits(MemoryBytes peak, int64_t together, const AvailableMemory& available) {
  if (available.shared) return is_enough(together, available.host);
  return is_enough(peak.device, available.device) && is_enough(peak.host, available.host);
}

bool fits(const MemoryNeed& need, const AvailableMemory& available) {
  return fits(need.peak(), need.peak_together(), available);
}

void require_reading(const std::string& data, int64_t model_bytes,
                     const AvailableMemory& available) {
  const int64_t bytes = file_size_or_zero(data);
  MemoryNeed need;
  need.keep("the program", {0, program_memory().host});
  need.keep("the data set", {0, bytes});
  need.pass("its file", {0, bytes});
  need.keep("the model", {0, model_bytes});
  need.pass("its files", {0, model_bytes});
  require_memory(data + ": reading it", need, available, {});
}

void require_memory(const std::string& what, const MemoryNeed& need,
                    const AvailableMemory& available, const std::vector<Reduction>& reductions) {
  if (fits(need, available)) return;
  std::string cure = "end other programs, or take a larger machine";
  if (!reductions.empty()) {
    std::vector<std::string> options;
    for (const Reduction& reduction : reductions) options.push_back(reduction.option);
    cure = fmt::format("no smaller value of {} would fit{} take a larger machine",
                       fmt::join(options, " or "),
                       options.size() > 1 ? " by itself: lower several of them, or" : ";");
  }
  for (const Reduction& reduction : reductions) {
    if (const auto value = largest_fitting(reduction, available)) {
      cure = fmt::format("{} {} would fit", reduction.before_value, *value);
      break;
    }
  }
  const bool of_device = !available.shared && !is_enough(need.peak().device, available.device);
  const int64_t needed = available.shared ? need.peak_together()
                         : of_device      ? need.peak().device
                                          : need.peak().host;
  throw Error(
      fmt::format("{} needs {} of {} memory, and {} are available; {}. DERRD_MEMORY=BYTES "
                  "in the environment allows more",
                  what, format_bytes(needed),
                  available.shared ? "the machine's"
                  : of_device      ? "the GPU's"
                                   : "the host's",
                  format_available(of_device ? available.device : available.host), cure));
}

void require_candidates(int64_t users, int64_t items, int64_t interactions, int64_t candidates) {
  // Pairs as they are read or drawn, and in rows of the parts: the candidates outweigh them.
  constexpr int64_t kInteraction = 40;
  const auto need_of = [=](int64_t count) {
    MemoryNeed need;
    need.keep("the program", {0, program_memory().host});
    need.keep("interactions", {0, interactions * kInteraction});
    const double bytes =
        static_cast<double>(users) * static_cast<double>(std::min(count, items)) * sizeof(int32_t);
    need.keep("candidates", {0, static_cast<int64_t>(std::min<double>(bytes, kBeyondMachines))});
    return need;
  };
  require_memory("the data set", need_of(candidates), host_memory_for_run(),
                 {{"--candidates", 0, std::min(candidates, items), need_of, "--candidates"}});
}

}  // namespace derrd
