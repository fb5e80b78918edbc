#include "engine/checkpoint.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/error.h"
#include "data/safetensors.h"
#include "data/version.h"

namespace derrd {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DistillerState, weight, values)

namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "derrd-checkpoint";

void to_json(Json& json, const Metrics& m) {
  json = {{"hit", m.hit}, {"ndcg", m.ndcg}, {"mrr", m.mrr}, {"users", m.users}};
}
void from_json(const Json& json, Metrics& m) {
  json.at("hit").get_to(m.hit);
  json.at("ndcg").get_to(m.ndcg);
  json.at("mrr").get_to(m.mrr);
  json.at("users").get_to(m.users);
}

Json to_json(const EarlyStopping::State& state) {
  Json best = Json::array();
  for (const EarlyStopping::Best& b : state.best) {
    Json entry = {{"epoch", b.epoch}, {"hit", b.hit}};
    to_json(entry["valid"], b.evaluation.valid);
    to_json(entry["test"], b.evaluation.test);
    best.push_back(entry);
  }
  return {{"best", best}, {"last_improvement", state.last_improvement}};
}

EarlyStopping::State early_stopping_from(const Json& json) {
  EarlyStopping::State state;
  for (size_t n = 0; n < state.best.size(); ++n) {
    const Json& entry = json.at("best").at(n);
    entry.at("epoch").get_to(state.best[n].epoch);
    entry.at("hit").get_to(state.best[n].hit);
    from_json(entry.at("valid"), state.best[n].evaluation.valid);
    from_json(entry.at("test"), state.best[n].evaluation.test);
  }
  json.at("last_improvement").get_to(state.last_improvement);
  return state;
}

/// Of everything that a run goes on from: the tensors, the state and whose they are.
std::string checksum(TensorMap tensors, const std::string& state, const std::string& fingerprint) {
  const auto bytes = [](const std::string& text) {
    return TensorView{
        DType::kU8, {static_cast<int64_t>(text.size())}, std::as_bytes(std::span(text))};
  };
  tensors.emplace("metadata.state", bytes(state));
  tensors.emplace("metadata.run", bytes(fingerprint));
  return hash_tensors(tensors);
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& c,
                     const std::string& fingerprint) {
  const TensorMap tensors = {{"values", tensor_view(c.values)},
                             {"first_moments", tensor_view(c.first_moments)},
                             {"second_moments", tensor_view(c.second_moments)},
                             {"best_values", tensor_view(c.best_values)}};
  const Json state = {{"next_epoch", c.next_epoch},
                      {"optimizer_steps", c.optimizer_steps},
                      {"early_stopping", to_json(c.early_stopping)},
                      {"distillers", c.distillers}};
  write_safetensors(path, tensors,
                    {{"format", kFormat},
                     {"version", kVersion},
                     {"run", fingerprint},
                     {"state", state.dump()},
                     {"checksum", checksum(tensors, state.dump(), fingerprint)}});
}

Checkpoint load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  if (file.metadata_or("format", "") != kFormat) {
    throw Error(fmt::format("{}: not a checkpoint of derrd; give --checkpoint a file of its own",
                            file.name()));
  }
  if (file.metadata_or("checksum", "") !=
      checksum(file.tensors(), file.metadata_or("state", ""), file.metadata_or("run", ""))) {
    throw Error(fmt::format("{}: damaged, its checksum does not match; delete it to start over",
                            file.name()));
  }
  const std::string run = file.metadata_or("run", "");
  if (run != fingerprint) {
    throw Error(fmt::format(
        "{}: belongs to another run; resume with that run's options or name another file\n  there: "
        "{}\n  here:  {}",
        file.name(), run, fingerprint));
  }
  Checkpoint c;
  try {
    const Json state = Json::parse(file.metadata_or("state", ""));
    state.at("next_epoch").get_to(c.next_epoch);
    state.at("optimizer_steps").get_to(c.optimizer_steps);
    c.early_stopping = early_stopping_from(state.at("early_stopping"));
    state.at("distillers").get_to(c.distillers);
  } catch (const Json::exception& e) {
    throw Error(
        fmt::format("{}: damaged metadata ({}); delete it to start over", file.name(), e.what()));
  }
  c.values = file.values<float>("values");
  c.first_moments = file.values<float>("first_moments");
  c.second_moments = file.values<float>("second_moments");
  c.best_values = file.values<float>("best_values");
  return c;
}

}  // namespace derrd
