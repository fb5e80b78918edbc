// Runs the benchmarks: those that register themselves, and of the large ones those that fit the
// device's memory. What was measured on goes into the context of the results.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdio>
#include <regex>
#include <string>
#include <string_view>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "kernels/platform/device.h"
#include "kernels_bench_commit.h"

namespace derrd::bench {
namespace {

constexpr double kGiga = 1e9;

std::string name_of(const LargeBenchmark& large) {
  std::string name = std::string(large.operation.name) + "/large";
  for (size_t i = 0; i < large.arguments.size(); ++i) {
    name += fmt::format("/{}:{}", large.argument_names[i], large.arguments[i]);
  }
  return name;
}

/// As Google Benchmark reads its filter, where a minus turns it round.
bool is_asked_for(const std::string& name) {
  std::string filter = ::benchmark::GetBenchmarkFilter();
  const bool inverted = filter.starts_with('-');
  if (inverted) filter.erase(0, 1);
  if (filter.empty() || filter == "all") return true;
  return std::regex_search(name, std::regex(filter, std::regex::extended)) != inverted;
}

/// A benchmark that does not fit is no benchmark at all: an entry without a time would be read as
/// one, an error as a failure. The context and the terminal name it.
void register_large(int64_t memory_bytes) {
  // The rest is the operating system's, other programs', and what the count of arrays leaves out.
  constexpr double kUsable = 0.75;
  const double usable = kUsable * static_cast<double>(memory_bytes);
  std::string skipped;
  for (const LargeBenchmark& large : large_benchmarks()) {
    const std::string name = name_of(large);
    if (memory_bytes == 0 || static_cast<double>(large.bytes) <= usable) {
      ::benchmark::RegisterBenchmark((std::string(large.operation.name) + "/large").c_str(),
                                     large.operation.run)
          ->ArgNames(large.argument_names)
          ->Args(large.arguments)
          ->Apply(wall_clock);
    } else if (is_asked_for(name)) {
      skipped += fmt::format("{}{} ({:.1f} GB)", skipped.empty() ? "" : ", ", name,
                             static_cast<double>(large.bytes) / kGiga);
    }
  }
  if (skipped.empty()) return;
  skipped = fmt::format("more memory than {:.1f} of {:.1f} GB: {}", usable / kGiga,
                        static_cast<double>(memory_bytes) / kGiga, skipped);
  fmt::print(stderr, "Skipped, because they take {}\n", skipped);
  ::benchmark::AddCustomContext("skipped", skipped);
}

void describe(const DeviceInfo& device) {
  const std::string_view commit = kCommit;
  // Unknown if the sources lack git's folder; --benchmark_context=commit=... may name it then.
  if (!commit.empty()) ::benchmark::AddCustomContext("commit", std::string(commit));
  ::benchmark::AddCustomContext("device", device.name);
  ::benchmark::AddCustomContext("device_memory_GB",
                                fmt::format("{:.1f}", device.memory_bytes / kGiga));
  ::benchmark::AddCustomContext("executor", device.executor);
  ::benchmark::AddCustomContext("threads", std::to_string(device.threads));
  ::benchmark::AddCustomContext("libraries", device.libraries);
  ::benchmark::AddCustomContext("copy_GB/s", fmt::format("{:.1f}", copy_bandwidth() / kGiga));
}

}  // namespace
}  // namespace derrd::bench

int main(int argc, char** argv) {
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  try {
    const derrd::DeviceInfo device = derrd::device_info();
    derrd::bench::describe(device);
    derrd::bench::register_large(device.memory_bytes);
    ::benchmark::RunSpecifiedBenchmarks();
    derrd::bench::kept_slot().reset();
  } catch (const derrd::DeviceError& error) {
    fmt::print(stderr, "kernels_bench: {}\n", error.what());
    return 1;
  }
  ::benchmark::Shutdown();
  return 0;
}
