#include "tests/apps/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>

#include "data/formats/safetensors.h"
#include "data/split.h"
#include "data/synthesize.h"

namespace derrd::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "derrd-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> TemporaryFolder::files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Process::Process(const std::vector<std::string>& arguments) {
  std::vector<std::string> owned = {DERRD_PROGRAM};
  owned.insert(owned.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : owned) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string out = outputs_ / "out";
  const std::string err = outputs_ / "err";
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

Process::~Process() {
  if (ended_) return;
  send(SIGKILL);
  wait();
}

void Process::send(int signal) const {
  if (!ended_) ::kill(pid_, signal);
}

bool Process::ended() {
  if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return ended_;
}

std::string Process::error_output() const { return read_text(outputs_ / "err"); }

Result Process::wait() {
  if (!ended_) ::waitpid(pid_, &status_, 0);
  ended_ = true;
  Result result;
  if (WIFEXITED(status_)) result.exit_code = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
  result.out = read_text(outputs_ / "out");
  result.err = read_text(outputs_ / "err");
  return result;
}

Result derrd(const std::vector<std::string>& arguments) { return Process(arguments).wait(); }

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<nlohmann::json> read_log(const std::string& path) {
  std::vector<nlohmann::json> records;
  for (const std::string& line : lines_of(read_text(path))) {
    records.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_TRUE(records.back().is_object()) << line;
  }
  return records;
}

Dataset write_dataset(const std::string& path, DatasetSize size) {
  SynthesisOptions options;
  options.users = size.users;
  options.items = size.items;
  options.interactions = size.interactions;
  Dataset dataset = split_leave_one_out(synthesize(options), options.seed);
  draw_candidates(dataset, size.candidates, options.seed);
  dataset.hash = save_dataset(dataset, path);
  return dataset;
}

Dataset write_small_dataset(const TemporaryFolder& folder) {
  return write_dataset(folder / "data",
                       {.users = 60, .items = 120, .interactions = 900, .candidates = 50});
}

SmallModel::SmallModel(int64_t num_users, int64_t num_items, int64_t d)
    : users(num_users), items(num_items), dim(d) {
  // Eighths between 1/8 and 4, with both signs: six bits of mantissa at most.
  const auto fill = [](std::vector<float>& values, int64_t count, int64_t factor) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t k = (i * factor + i / 7) % 63 - 31;
      values.push_back(k == 0 ? 0.125f : static_cast<float>(k) / 8);
    }
  };
  fill(user, users * dim, 37);
  fill(item, items * dim, 29);
}

namespace {

// Both truncate; exact for the numbers of SmallModel.
uint16_t bfloat16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}
uint16_t half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t exponent = (bits >> 23 & 0xff) - 127 + 15;
  return static_cast<uint16_t>((bits >> 16 & 0x8000) | exponent << 10 | (bits >> 13 & 0x3ff));
}

std::vector<uint16_t> encoded(const std::vector<float>& values, uint16_t (*encode)(float)) {
  std::vector<uint16_t> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), encode);
  return result;
}

}  // namespace

void SmallModel::write(const std::string& path, const std::string& dtype) const {
  if (dtype == "F32") {
    write_safetensors(path,
                      {{"user_embedding", tensor_view(std::span(user), {users, dim})},
                       {"item_embedding", tensor_view(std::span(item), {items, dim})}},
                      {});
    return;
  }
  const auto encode = dtype == "F16" ? half : bfloat16;
  const std::vector<uint16_t> user_bits = encoded(user, encode);
  const std::vector<uint16_t> item_bits = encoded(item, encode);
  TensorMap tensors = {{"user_embedding", tensor_view(std::span(user_bits), {users, dim})},
                       {"item_embedding", tensor_view(std::span(item_bits), {items, dim})}};
  for (auto& [name, view] : tensors) view.dtype = dtype == "F16" ? DType::kF16 : DType::kBF16;
  write_safetensors(path, tensors, {});
}

}  // namespace derrd::test
