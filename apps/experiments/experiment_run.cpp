#include "apps/experiments/experiment_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <span>

#include "data/formats/file_bytes.h"
#include "data/formats/hash.h"

namespace derrd {

namespace fs = std::filesystem;

std::string hash_of(const std::vector<std::string>& parts) {
  Hasher hasher;
  for (const std::string& part : parts) hasher.add_sized(part);
  return hasher.hex();
}

std::string hash_file(const fs::path& path) {
  Hasher hasher;
  hasher.add(read_file(path));
  return hasher.hex();
}

std::vector<std::string> full_arguments(const ExperimentRun& run) {
  std::vector<std::string> arguments = run.arguments;
  if (run.epochs > 0) arguments.push_back(fmt::format("--epochs={}", run.epochs));
  return arguments;
}

std::string command_line(const ExperimentRun& run) {
  std::string line = "derrd";
  for (const std::string& argument : full_arguments(run)) {
    const bool plain = !argument.empty() && argument.find_first_not_of(
                                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                                                "UVWXYZ0123456789-_./=,:+@") == std::string::npos;
    std::string quoted;
    for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += plain ? " " + argument : " '" + quoted + "'";
  }
  return line;
}

std::string tail_of(const fs::path& path, size_t lines) {
  constexpr std::streamoff kMaxBytes = 4096;
  std::ifstream file(path, std::ios::ate | std::ios::binary);
  if (!file) return "";
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kMaxBytes));
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    last.push_back("    " + line + "\n");
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += line;
  return text;
}

}  // namespace derrd
