#include "tests/apps/program.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "data/formats/checked_line.h"
#include "data/formats/safetensors.h"
#include "data/split.h"
#include "data/synthesize.h"

namespace derrd::test {

using namespace std::chrono_literals;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

namespace {

/// A command line as execv takes it.
struct CommandLine {
  explicit CommandLine(const Arguments& arguments) : owned(Arguments{DERRD_PROGRAM} + arguments) {
    for (std::string& argument : owned) argv.push_back(argument.data());
    argv.push_back(nullptr);
  }
  [[noreturn]] void execute() {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }

  Arguments owned;
  std::vector<char*> argv;
};

void set_status(Result& result, int status) {
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
}

}  // namespace

Process::Process(const Arguments& arguments, const std::function<void()>& prepare) {
  CommandLine command(arguments);
  const std::string out = outputs_ / "out";
  const std::string err = outputs_ / "err";
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    if (prepare) prepare();
    command.execute();
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
  if (!ended_) ended_ = ::wait4(pid_, &status_, WNOHANG, &usage_) == pid_;
  return ended_;
}

std::string Process::error_output() const { return read_text(outputs_ / "err"); }

Result Process::wait() {
  if (!ended_) ::wait4(pid_, &status_, 0, &usage_);
  ended_ = true;
  Result result;
  set_status(result, status_);
  constexpr int64_t kKilobyte = 1024;
  result.peak_bytes = usage_.ru_maxrss * kKilobyte;
  result.out = read_text(outputs_ / "out");
  result.err = read_text(outputs_ / "err");
  return result;
}

Result derrd(const Arguments& arguments, const std::function<void()>& prepare) {
  return Process(arguments, prepare).wait();
}

Result derrd_on_terminal(const Arguments& arguments) {
  CommandLine command(arguments);
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid < 0) throw std::runtime_error("forkpty failed");
  if (pid == 0) command.execute();
  Result result;
  std::array<char, 4096> part;
  for (ssize_t n; (n = ::read(terminal, part.data(), part.size())) > 0;) {
    result.out.append(part.data(), static_cast<size_t>(n));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::close(terminal);
  set_status(result, status);
  return result;
}

Result expect_exit(int code, const Arguments& arguments, const std::vector<std::string>& parts) {
  Result result = derrd(arguments);
  EXPECT_EQ(result.exit_code, code) << testing::PrintToString(arguments) << "\n" << result.err;
  expect_contains(result.err, parts);
  return result;
}

Result succeed(const Arguments& arguments) { return expect_exit(0, arguments); }

Arguments CommandTest::words_of(std::initializer_list<std::string_view> parts) const {
  Arguments all;
  for (const std::string_view part : parts) {
    std::istringstream stream{std::string(part)};
    for (std::string word; stream >> word;) {
      if (const size_t at = word.find('@'); at != std::string::npos) word.replace(at, 1, path(""));
      all.push_back(word);
    }
  }
  return all;
}

void CommandTest::wait_for_lines(Process& process, const std::string& name, size_t lines) const {
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (!process.ended() && lines_of(read_text(path(name))).size() < lines) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(5ms);
  }
}

namespace {

/// A log's records without their times.
std::vector<nlohmann::json> timeless(const std::string& path) {
  std::vector<nlohmann::json> records = read_log(path);
  for (auto& record : records) record.erase("seconds");
  return records;
}

}  // namespace

void CommandTest::expect_same_bits_when_killed(const Arguments& run, int kills) const {
  const auto start = std::chrono::steady_clock::now();
  succeed(run + words("-o @whole --log @whole-log --checkpoint @whole-checkpoint "
                      "--checkpoint-every 0"));
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  const Arguments resumed =
      run + words("-o @model --log @log --checkpoint @checkpoint --checkpoint-every 0 --resume");
  const auto expect_whole_result = [&] {
    EXPECT_EQ(read_text(path("model")), read_text(path("whole")));
    EXPECT_EQ(timeless(path("log")), timeless(path("whole-log")));
  };
  std::mt19937 random(1);
  std::uniform_real_distribution<double> delay(0.0, whole.count() / 3);
  while (kills > 0) {
    Process process(resumed);
    std::this_thread::sleep_for(std::chrono::duration<double>(delay(random)));
    process.send(SIGKILL);
    const Result result = process.wait();
    if (result.signal == SIGKILL) {
      --kills;
      continue;
    }
    ASSERT_EQ(result.exit_code, 0) << result.err;
    expect_whole_result();
    for (const char* name : {"model", "log", "checkpoint"}) std::filesystem::remove(path(name));
  }
  succeed(resumed);
  expect_whole_result();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> cells;
  for (std::string cell; std::getline(stream, cell, '\t');) cells.push_back(cell);
  return cells;
}

std::vector<nlohmann::json> read_log(const std::string& path) {
  std::vector<nlohmann::json> records;
  for (const std::string& line : lines_of(read_text(path))) {
    const std::optional<std::string> text = read_checked_line(line);
    EXPECT_TRUE(text) << line;
    records.push_back(nlohmann::json::parse(text.value_or("{}")));
  }
  return records;
}

nlohmann::json metadata_json(const std::string& path, const std::string& key) {
  return nlohmann::json::parse(SafetensorsFile::read(path).metadata_or(key, ""));
}

std::vector<float> user_vectors(const std::string& path) {
  return SafetensorsFile::read(path).values<float>("user_embedding");
}

nlohmann::json evaluated(const std::string& data, const std::string& model) {
  const Result result = succeed({"evaluate", "--data", data, "--model", model, "--json"});
  return nlohmann::json::parse(result.out)["models"][0];
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

Dataset write_small_dataset(const TestFolder& folder) {
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

// Conversions that truncate: exact for the numbers of SmallModel.
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
