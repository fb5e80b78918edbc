#include "apps/training/epoch_log.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "apps/training/metrics_json.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/formats/checked_line.h"

namespace derrd {

namespace {

/// Tells whether a line is the whole record of an epoch before `next_epoch`.
bool stays(const std::string& line, int next_epoch) {
  const Json json =
      Json::parse(read_checked_line(line).value_or(""), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("epoch") && json["epoch"].is_number_integer() &&
         json["epoch"].get<int64_t>() < next_epoch;
}

void drop_records_from(const std::filesystem::path& path, int next_epoch) {
  std::ifstream old(path);
  AtomicFile kept(path);
  for (std::string line; std::getline(old, line);) {
    if (stays(line, next_epoch)) kept.write(line + "\n");
  }
  kept.commit();
}

}  // namespace

EpochLog::EpochLog(std::filesystem::path path, int next_epoch) : path_(std::move(path)) {
  const bool continues = next_epoch > 0 && std::filesystem::is_regular_file(path_);
  if (continues) drop_records_from(path_, next_epoch);
  file_.open(path_, continues ? std::ios::app : std::ios::trunc);
  if (!file_) {
    throw Error(fmt::format("{}: can't be written; check --log, its folder and its permissions",
                            path_.string()));
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
  file_ << checked_line(json.dump()) + "\n" << std::flush;
  if (!file_) throw Error(fmt::format("{}: can't be written; is the disk full?", path_.string()));
}

}  // namespace derrd
