#include "apps/commands/write_dataset.h"

#include "apps/cli/message.h"

namespace derrd {

void write_dataset(const Dataset& dataset, const std::string& path) {
  const std::string hash = save_dataset(dataset, path);
  print_out("{}{} per user\nwrote {} (hash {})\n", format_statistics(statistics(dataset)),
            describe_candidates(dataset), path, hash);
}

}  // namespace derrd
