#include "apps/training/epoch_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "apps/cli/message.h"
#include "apps/training/metrics_json.h"
#include "data/error.h"
#include "data/formats/checked_line.h"
#include "data/formats/file_bytes.h"

namespace derrd {

namespace {

/// Beginning of every record.
constexpr std::string_view kRecordBegin = "{\"epoch\":";

/// Epoch of a record that is whole.
std::optional<int64_t> epoch_of(std::string_view line) {
  const std::optional<std::string> text = read_checked_line(line);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("epoch") || !json["epoch"].is_number_integer()) {
    return std::nullopt;
  }
  return json["epoch"].get<int64_t>();
}

/// Takes a text's first line, with its end, off it. A last line without an end is none.
std::optional<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

bool is_log(std::string_view text) {
  if (text.empty()) return true;
  std::string_view rest = text;
  const std::optional<std::string_view> first = take_line(rest);
  if (first) return epoch_of(*first).has_value();
  return text.starts_with(kRecordBegin) || kRecordBegin.starts_with(text);  // torn by a crash
}

/// What of a log stays.
struct KeptRecords {
  size_t bytes = 0;
  int64_t last_epoch = -1;
  std::string hash;
};

/// Finds the records before `next_epoch`: the first lines, as long as they are whole and rise.
KeptRecords kept_records(std::string_view text, int next_epoch) {
  KeptRecords kept;
  std::string_view rest = text;
  while (const std::optional<std::string_view> line = take_line(rest)) {
    const std::optional<int64_t> epoch = epoch_of(*line);
    if (!epoch || *epoch >= next_epoch || *epoch <= kept.last_epoch) break;
    kept = {text.size() - rest.size(), *epoch, extend_log_hash(kept.hash, *line)};
  }
  return kept;
}

}  // namespace

EpochLog::EpochLog(std::filesystem::path path) : path_(std::move(path)) {
  if (std::filesystem::exists(path_)) open(0);
}

EpochLog::~EpochLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void EpochLog::open(int flags) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | flags, 0666);
  const auto fail = [&](const std::string& what) {
    throw Error(fmt::format("{}: {}", path_.string(), what));
  };
  if (descriptor_ < 0) {
    fail(fmt::format("can't be written: {}; check --log, its folder and its permissions",
                     std::strerror(errno)));
  }
  // Where the file system has no locks, it goes on without one.
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    fail("another training is writing this log; wait for its end, or name another file by --log");
  }
  if (!is_log(read_text(path_))) {
    fail("is not a training's log; name another file by --log, or remove it");
  }
}

void EpochLog::start(int next_epoch, const std::string& hash) {
  if (descriptor_ < 0) open(O_CREAT);
  const std::string text = read_text(path_);
  const KeptRecords kept = kept_records(text, next_epoch);
  hash_ = kept.hash;
  if (next_epoch > 0 && text.empty()) {
    say("derrd: warning: {}: has no records of epochs 0 to {}", path_.string(), next_epoch - 1);
  } else if (hash_ != hash) {
    throw Error(fmt::format("{}: {}; name another file by --log, or remove it", path_.string(),
                            hash.empty() ? "is not this training's log, which had none so far"
                                         : fmt::format("its first {} epochs are not those of the "
                                                       "checkpoint's training, or were changed",
                                                       next_epoch)));
  }
  if (::ftruncate(descriptor_, static_cast<off_t>(kept.bytes)) != 0) {
    throw Error(fmt::format("{}: can't be shortened: {}; name another file by --log",
                            path_.string(), std::strerror(errno)));
  }
}

void EpochLog::write(const EpochRecord& record) {
  Json json;
  json["epoch"] = record.epoch;
  for (const auto& [name, loss] : record.losses) json["loss"][name] = loss;
  for (const auto& [name, share] : record.shares) json["share"][name] = share;
  for (const auto& [name, weight] : record.chosen_weights) json["chosen_weight"][name] = weight;
  for (const auto& [name, value] : record.measurements) json[name] = value;
  json["valid"] = metrics_json(record.evaluation.valid);
  if (record.decisive) json["valid"][record.decisive->first] = record.decisive->second;
  json["test"] = metrics_json(record.evaluation.test);
  json["seconds"] = {{"prepare", record.seconds.prepare},
                     {"train", record.seconds.train},
                     {"evaluate", record.seconds.evaluate}};
  json["best"] = record.best;
  const std::string line = checked_line(json.dump());
  hash_ = extend_log_hash(hash_, line);
  const std::string ended = line + "\n";
  for (std::string_view rest = ended; !rest.empty();) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw Error(
          fmt::format("{}: can't be written: {}; free some space, or name another file by "
                      "--log",
                      path_.string(), std::strerror(errno)));
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

void EpochLog::flush() {
  if (::fdatasync(descriptor_) != 0) {
    throw Error(fmt::format("{}: can't be flushed to disk: {}; check the disk", path_.string(),
                            std::strerror(errno)));
  }
}

}  // namespace derrd
