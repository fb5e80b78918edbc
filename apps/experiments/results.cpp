#include "apps/experiments/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/experiments/tab_cells.h"
#include "data/error.h"
#include "data/formats/checked_line.h"
#include "data/formats/safetensors.h"
#include "data/parse_number.h"

namespace derrd {

namespace {

using Json = nlohmann::json;

/// Parses a text and reads it. @throws Error instead of the library's own exceptions.
template <class Read>
auto read_json(const std::filesystem::path& path, const std::string& text, Read read) {
  try {
    return read(Json::parse(text));
  } catch (const Json::exception& e) {
    throw Error(fmt::format("{}: {}; remove its folder, and the run will be done again",
                            path.string(), e.what()));
  }
}

std::string metadata_text(const std::filesystem::path& path, const char* key) {
  const Metadata metadata = SafetensorsFile::read(path).metadata();
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

/// Metrics of the paper's tables, which every result has.
const std::vector<std::string>& paper_metrics() {
  static const std::vector<std::string> metrics = {"H@5",  "M@5",  "N@5",  "H@10", "M@10",
                                                   "N@10", "H@20", "M@20", "N@20"};
  return metrics;
}

/// Reads metrics without those that are null.
MetricValues known_metrics(const Json& json) {
  MetricValues values;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_null()) values.emplace(name, value.get<double>());
  }
  return values;
}

/// Reads the records of a training's log. @throws Error if a line is not an epoch's record.
template <class Read>
void read_log(const ExperimentRun& run, Read read) {
  const auto path = run.file(kLogFile);
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::optional<std::string> text = read_checked_line(line);
    // A last line may have been torn by an attempt that failed after the run had finished.
    if (!text && file.eof()) break;
    // A line that is not whole has no text, which is no JSON.
    read_json(path, text.value_or(""), read);
  }
}

}  // namespace

TrainingResult read_training(const ExperimentRun& run) {
  const auto path = run.file(kModelFile);
  const SafetensorsFile model = SafetensorsFile::read(path);
  TrainingResult result = read_json(path, model.metadata_or("metrics", ""), [](const Json& json) {
    for (const char* part : {"valid", "test"}) {
      for (const std::string& metric : paper_metrics()) json.at(part).at(metric);
    }
    return TrainingResult{json.at("best_epoch"),
                          json.at("epochs"),
                          known_metrics(json.at("valid")),
                          known_metrics(json.at("test")),
                          {},
                          0};
  });
  for (const auto& [name, tensor] : model.tensors()) {
    if (tensor.dtype != DType::kF32) continue;  // ids
    result.parameters += static_cast<double>(tensor.bytes.size() / sizeof(float));
  }
  read_log(run, [&](const Json& epoch) {
    if (epoch.at("epoch") != result.best_epoch || !epoch.contains("share")) return;
    result.shares = epoch.at("share").get<std::map<std::string, double>>();
  });
  return result;
}

UserMetrics read_user_metrics(const ExperimentRun& run) {
  const auto path = run.file(kUsersFile);
  const auto refuse = [&](int number, const std::string& what) {
    throw Error(fmt::format("{}:{}: {}; remove its folder, and the run will be done again",
                            path.string(), number, what));
  };
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> names = tab_cells(line);
  UserMetrics metrics;
  std::vector<std::pair<size_t, std::vector<double>*>> columns;
  for (const std::string& metric : paper_metrics()) {
    const auto column = static_cast<size_t>(std::ranges::find(names, metric) - names.begin());
    if (column == names.size()) refuse(1, "has no column " + metric);
    columns.emplace_back(column, &metrics[metric]);
  }
  for (int number = 2; std::getline(file, line); ++number) {
    const std::vector<std::string> cells = tab_cells(line);
    for (const auto& [column, values] : columns) {
      const std::string value = cells.size() == names.size() ? cells[column] : "";
      const auto known = parse_number<double>(value);
      if (!known && value != "-") refuse(number, "is no row of the table");
      values->push_back(known.value_or(std::numeric_limits<double>::quiet_NaN()));
    }
  }
  return metrics;
}

TimingResult read_timing(const ExperimentRun& run) {
  const auto path = run.file(kOutputFile);
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return read_json(path, text, [](const Json& json) {
    const Json& model = json.at("models").at(0);
    const auto one_by_one = [&](const char* list) {
      const Json& latency = model.at("latency").at(list);
      return TimingResult::OneByOne{latency.at("seconds"), latency.at("median_us"),
                                    latency.at("p99_us"), latency.at("users_per_s"),
                                    latency.at("peak_device_bytes")};
    };
    return TimingResult{one_by_one("full_sort"), one_by_one("top10"),
                        model.at("top10_ms").get<double>() / 1e3, model.at("parameters"),
                        fmt::format("{}, threads: {}", json.at("device").get<std::string>(),
                                    json.at("threads").get<int>())};
  });
}

std::map<std::string, double> read_statistics(const ExperimentRun& run) {
  const auto path = run.file(kDataFile);
  return read_json(path, metadata_text(path, "statistics"),
                   [](const Json& json) { return json.get<std::map<std::string, double>>(); });
}

LearningCurve read_curve(const ExperimentRun& run) {
  LearningCurve curve;
  read_log(run, [&](const Json& epoch) {
    for (const auto& [part, hits] : {std::pair{"valid", &curve.valid}, {"test", &curve.test}}) {
      const Json& hit = epoch.at(part).at("H@5");
      if (!hit.is_null()) hits->push_back(hit);
    }
  });
  return curve;
}

std::optional<int> last_epoch(const ExperimentRun& run) {
  const std::string tail = tail_of(run.file(kLogFile), 1);
  const Json json = Json::parse(tail, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("epoch")) return std::nullopt;
  return json["epoch"].get<int>();
}

}  // namespace derrd
