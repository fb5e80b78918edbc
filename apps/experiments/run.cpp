#include "apps/experiments/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "data/error.h"
#include "data/file_bytes.h"
#include "data/safetensors.h"

namespace derrd {

namespace fs = std::filesystem;

namespace {

constexpr const char* kAttemptsFile = "attempts.jsonl";

std::string hash_bytes(std::span<const std::byte> bytes) {
  return hash_tensors({{"", {DType::kU8, {static_cast<int64_t>(bytes.size())}, bytes}}});
}

/// Whether it is a safetensors file whose header speaks of as many bytes as there are. The tensors
/// are not read: a folder may hold gigabytes of them.
bool whole_tensors(const fs::path& path) {
  std::ifstream file(path, std::ios::ate | std::ios::binary);
  const auto size = static_cast<uint64_t>(std::max<std::streamoff>(0, file.tellg()));
  uint64_t header_size = 0;
  file.seekg(0);
  file.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
  if (!file || header_size > size - sizeof header_size) return false;
  std::string header(header_size, ' ');
  if (!file.read(header.data(), static_cast<std::streamsize>(header_size))) return false;
  try {
    const auto tensors = nlohmann::json::parse(header);
    uint64_t data_size = 0;
    for (const auto& [name, tensor] : tensors.items()) {
      if (name == "__metadata__") continue;
      data_size = std::max(data_size, tensor.at("data_offsets").at(1).get<uint64_t>());
    }
    return sizeof header_size + header_size + data_size == size;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

bool readable_product(const Run& run) {
  const fs::path path = run.file(run.product.c_str());
  if (run.product != kOutputFile) return whole_tensors(path);
  return nlohmann::json::accept(std::ifstream(path));
}

}  // namespace

std::string hash_of(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += fmt::format("{}:{}", part.size(), part);
  return hash_bytes(std::as_bytes(std::span(text)));
}

std::string hash_file(const fs::path& path) { return hash_bytes(read_file(path)); }

RunState state_of(const Run& run) {
  RunState state;
  std::ifstream file(run.file(kAttemptsFile));
  for (std::string line; std::getline(file, line);) {
    // A line torn by a crash doesn't count.
    const auto attempt = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!attempt.is_object()) continue;
    state.begun = true;
    state.seconds += attempt.value("seconds", 0.0);
    if (attempt.value("exit", 1) == 0 && attempt.value("epochs", 0) >= run.epochs) {
      state.finished = true;
    }
  }
  if (fs::exists(run.file(kCheckpointFile))) state.begun = true;
  state.damaged = state.finished && !readable_product(run);
  if (state.damaged) state.finished = false;
  return state;
}

void forget(const Run& run) {
  std::error_code error;
  fs::remove_all(run.folder, error);
  if (error) {
    throw Error(fmt::format("{}: can't be removed ({}); remove it by hand", run.folder.string(),
                            error.message()));
  }
}

void record(const Run& run, const Attempt& attempt) {
  const nlohmann::json json = {
      {"seconds", attempt.seconds}, {"exit", attempt.exit_code}, {"epochs", run.epochs}};
  std::ofstream file(run.file(kAttemptsFile), std::ios::app);
  file << json.dump() + "\n" << std::flush;
  if (!file) {
    throw Error(
        fmt::format("{}: can't be written; is the disk full?", run.file(kAttemptsFile).string()));
  }
}

std::vector<std::string> full_arguments(const Run& run) {
  std::vector<std::string> arguments = run.arguments;
  if (run.epochs > 0) arguments.push_back(fmt::format("--epochs={}", run.epochs));
  return arguments;
}

std::string command_line(const Run& run) {
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
  constexpr std::streamoff kMostBytes = 4096;
  std::ifstream file(path, std::ios::ate | std::ios::binary);
  if (!file) return "";
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kMostBytes));
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
