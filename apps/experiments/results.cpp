#include "apps/experiments/results.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/error.h"
#include "data/formats/checked_line.h"
#include "data/formats/safetensors.h"

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

/// Reads metrics without those that are null.
MetricValues known_metrics(const Json& json) {
  MetricValues values;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_null()) values.emplace(name, value.get<double>());
  }
  return values;
}

}  // namespace

TrainingResult read_training(const ExperimentRun& run) {
  const auto path = run.file(kModelFile);
  return read_json(path, metadata_text(path, "metrics"), [](const Json& json) {
    for (const char* part : {"valid", "test"}) {
      for (const char* metric : {"H", "N", "M"}) {
        for (const int n : {5, 10, 20}) json.at(part).at(fmt::format("{}@{}", metric, n));
      }
    }
    return TrainingResult{json.at("best_epoch"), json.at("epochs"), known_metrics(json.at("valid")),
                          known_metrics(json.at("test"))};
  });
}

TimingResult read_timing(const ExperimentRun& run) {
  const auto path = run.file(kOutputFile);
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return read_json(path, text, [](const Json& json) {
    const Json& model = json.at("models").at(0);
    return TimingResult{model.at("top10_ms").get<double>() / 1e3, model.at("parameters")};
  });
}

std::map<std::string, double> read_statistics(const ExperimentRun& run) {
  const auto path = run.file(kDataFile);
  return read_json(path, metadata_text(path, "statistics"),
                   [](const Json& json) { return json.get<std::map<std::string, double>>(); });
}

LearningCurve read_curve(const ExperimentRun& run) {
  LearningCurve curve;
  const auto path = run.file(kLogFile);
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::optional<std::string> text = read_checked_line(line);
    // A last line may have been torn by an attempt that failed after the run had finished.
    if (!text && file.eof()) break;
    // A line that is not whole has no text, which is no JSON.
    read_json(path, text.value_or(""), [&](const Json& json) {
      for (const auto& [part, hits] : {std::pair{"valid", &curve.valid}, {"test", &curve.test}}) {
        const Json& hit = json.at(part).at("H@5");
        if (!hit.is_null()) hits->push_back(hit);
      }
      return 0;
    });
  }
  return curve;
}

std::optional<int> last_epoch(const ExperimentRun& run) {
  const std::string tail = tail_of(run.file(kLogFile), 1);
  const Json json = Json::parse(tail, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("epoch")) return std::nullopt;
  return json["epoch"].get<int>();
}

}  // namespace derrd
