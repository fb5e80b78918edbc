#include "apps/commands/write_dataset.h"

#include "apps/cli/message.h"

#include <algorithm>

#include "apps/cli/memory_report.h"

namespace derrd {

void write_dataset(const Dataset& dataset, const std::string& path) {
  const std::string hash = save_dataset(dataset, path);
  print_out("{}{} per user\nwrote {} (hash {})\n", format_statistics(statistics(dataset)),
            describe_candidates(dataset), path, hash);
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
                 {{"--candidates", 0, std::min(candidates, items), need_of}});
}

}  // namespace derrd
