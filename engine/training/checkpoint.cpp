#include "engine/training/checkpoint.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "data/error.h"
#include "data/formats/checked_size.h"
#include "data/version.h"
#include "kernels/platform/device.h"

namespace derrd {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LossState, weight, values)

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

Json to_json(const ModelInArena& model) {
  Json tensors = Json::object();
  for (const ModelInArena::Part& part : model.tensors) {
    tensors[part.name] = {{"offset", part.offset}, {"shape", {part.rows, part.cols}}};
  }
  return {{"metadata",
           std::map<std::string, std::string>(model.metadata.begin(), model.metadata.end())},
          {"tensors", tensors}};
}

ModelInArena model_from(const Json& json) {
  ModelInArena model;
  for (const auto& [name, part] : json.at("tensors").items()) {
    model.tensors.push_back({name, part.at("offset").get<int64_t>(),
                             part.at("shape").at(0).get<int64_t>(),
                             part.at("shape").at(1).get<int64_t>()});
  }
  for (const auto& [key, value] : json.at("metadata").items()) {
    model.metadata.emplace(key, value.get<std::string>());
  }
  return model;
}

/// @throws Error unless it is a whole checkpoint.
void require_checkpoint(const SafetensorsFile& file) {
  if (!is_checkpoint(file.metadata())) {
    throw Error(fmt::format("{}: not a checkpoint of derrd; give --checkpoint a file of its own",
                            file.name()));
  }
  if (!file.has_hash()) {
    throw Error(fmt::format(
        "{}: damaged, or of an older version: it has no file_hash; delete it to start over",
        file.name()));
  }
}

/// Returns the result of `read` on the JSON in the file's metadata.
template <class Read>
void read_json(const SafetensorsFile& file, const char* key, Read read) {
  try {
    read(Json::parse(file.metadata_or(key, "")));
  } catch (const Json::exception& e) {
    throw Error(
        fmt::format("{}: damaged metadata ({}); delete it to start over", file.name(), e.what()));
  }
}

}  // namespace

std::string describe_program() {
  return fmt::format("derrd {}, {}", kVersion, device_info().arithmetic);
}

ModelInArena model_in_arena(const Model& model, const Parameters& parameters,
                            const ModelFacts& facts) {
  ModelInArena result;
  const Vector<const float> arena = parameters.values();
  for (const NamedMatrix& tensor : model.tensors()) {
    const Matrix<const float> m = tensor.value;
    if (m.data < arena.data || m.data + m.size() > arena.data + arena.size) {
      throw std::logic_error("checkpoint: '" + tensor.name + "' is not in the arena");
    }
    result.tensors.push_back({tensor.name, m.data - arena.data, m.rows, m.cols});
  }
  result.metadata = model_metadata(model.kind(), facts);
  return result;
}

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& c,
                     const std::string& fingerprint, const ModelInArena& model) {
  TensorMap tensors = {{"values", tensor_view(c.values)},
                       {"first_moments", tensor_view(c.first_moments)},
                       {"second_moments", tensor_view(c.second_moments)},
                       {"best_values", tensor_view(c.best_values)}};
  if (c.gate_rows) tensors.merge(gate_tensors(*c.gate_rows));
  const Json state = {{"next_epoch", c.next_epoch},
                      {"optimizer_steps", c.optimizer_steps},
                      {"early_stopping", to_json(c.early_stopping)},
                      {"distillers", c.losses}};
  write_safetensors(path, tensors,
                    {{"format", kFormat},
                     {"made_by", c.made_by},
                     {"log_hash", c.log_hash},
                     {"run", fingerprint},
                     {"state", state.dump()},
                     {"model", to_json(model).dump()}});
}

Checkpoint load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint) {
  const SafetensorsFile file = [&] {
    try {
      return SafetensorsFile::read(path);
    } catch (const Error& e) {
      throw Error(fmt::format("{}, or delete the checkpoint to start over", e.what()));
    }
  }();
  require_checkpoint(file);
  const std::string run = file.metadata_or("run", "");
  if (run != fingerprint) {
    throw Error(fmt::format(
        "{}: belongs to another run; resume with that run's options or name another file\n  there: "
        "{}\n  here:  {}",
        file.name(), run, fingerprint));
  }
  Checkpoint c;
  c.log_hash = file.metadata_or("log_hash", "");
  c.made_by = file.metadata_or("made_by", "");
  read_json(file, "state", [&c](const Json& state) {
    state.at("next_epoch").get_to(c.next_epoch);
    state.at("optimizer_steps").get_to(c.optimizer_steps);
    c.early_stopping = early_stopping_from(state.at("early_stopping"));
    state.at("distillers").get_to(c.losses);
  });
  c.values = file.values<float>("values");
  c.first_moments = file.values<float>("first_moments");
  c.second_moments = file.values<float>("second_moments");
  c.best_values = file.values<float>("best_values");
  if (has_gate_rows(file)) c.gate_rows = std::make_shared<GateRows>(gate_rows(file));
  return c;
}

bool is_checkpoint(const Metadata& metadata) {
  const auto format = metadata.find("format");
  return format != metadata.end() && format->second == kFormat;
}

SavedModel load_best_model(const SafetensorsFile& file) {
  require_checkpoint(file);
  int best_epoch = -1;
  read_json(file, "state", [&](const Json& state) {
    best_epoch = early_stopping_from(state.at("early_stopping")).best[0].epoch;
  });
  if (best_epoch < 0) {
    throw Error(fmt::format("{}: no epoch has been evaluated yet; go on with its run by --resume",
                            file.name()));
  }
  ModelInArena arena;
  read_json(file, "model", [&](const Json& json) { arena = model_from(json); });
  const std::vector<float> values = file.values<float>("best_values");
  SavedModel model;
  for (const auto& [name, offset, rows, cols] : arena.tensors) {
    const std::optional<int64_t> size = checked_elements({rows, cols});
    const auto all = static_cast<int64_t>(values.size());
    if (!size || offset < 0 || offset > all || *size > all - offset) {
      throw Error(fmt::format("{}: damaged, '{}' lies outside of it; delete it to start over",
                              file.name(), name));
    }
    const auto begin = values.begin() + offset;
    model.tensors.emplace(name, HostMatrix{{begin, begin + *size}, rows, cols});
  }
  model.metadata = arena.metadata;
  const auto kind = arena.metadata.find("model");
  if (kind != arena.metadata.end()) model.kind = kind->second;
  return model;
}

}  // namespace derrd
