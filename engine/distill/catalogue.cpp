#include "engine/distill/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "data/error.h"
#include "engine/top_lists.h"

namespace derrd {

namespace {

/// What a distiller is made from.
struct Ingredients {
  const DistillOptions& options;
  const Embeddings& teacher;
  const DeviceDataset& data;
  Parameters& parameters;
  const Stream& stream;
};

std::unique_ptr<Distiller> make_de(const Ingredients& in) {
  const int64_t capacity =
      std::min(in.options.batch_size, std::max(in.data.users(), in.data.items()));
  return std::make_unique<DeDistiller>(in.options.de, in.teacher, in.options.student_dim, capacity,
                                       in.parameters, in.stream);
}

std::unique_ptr<Distiller> make_rrd(const Ingredients& in) {
  const int64_t length = std::min(in.options.list_length, in.data.items());
  const DeviceArray<float> user(in.teacher.user, in.stream);
  const DeviceArray<float> item(in.teacher.item, in.stream);
  DeviceArray<int32_t> lists(in.data.users() * length);
  TopLists(in.data.items(), length)
      .best(lists.matrix(in.data.users(), length), {},
            user.matrix(in.teacher.users, in.teacher.dim),
            item.matrix(in.teacher.items, in.teacher.dim), in.data.train(), 0, in.stream);
  const int64_t capacity = std::min(in.options.batch_size, in.data.users());
  return std::make_unique<RrdDistiller>(in.options.rrd, in.data, std::move(lists), length, capacity,
                                        in.stream);
}

struct Method {
  std::string_view name;
  std::vector<std::unique_ptr<Distiller> (*)(const Ingredients&)> losses;
};

const std::vector<Method>& methods() {
  static const std::vector<Method> all = {
      {"none", {}},
      {"de", {make_de}},
      {"rrd", {make_rrd}},
      {"de-rrd", {make_de, make_rrd}},
  };
  return all;
}

}  // namespace

std::vector<std::string_view> distillation_methods() {
  std::vector<std::string_view> names;
  for (const Method& m : methods()) names.push_back(m.name);
  return names;
}

std::vector<std::unique_ptr<Distiller>> make_distillers(
    std::string_view method, const DistillOptions& options, const Embeddings& teacher,
    const DeviceDataset& data, Parameters& parameters, const Stream& stream) {
  const auto found = std::find_if(methods().begin(), methods().end(),
                                  [&](const Method& m) { return m.name == method; });
  if (found == methods().end()) {
    throw Error(fmt::format("there is no distillation method '{}'; there are {}", method,
                            fmt::join(distillation_methods(), ", ")));
  }
  std::vector<std::unique_ptr<Distiller>> distillers;
  for (const auto make : found->losses) {
    distillers.push_back(make({options, teacher, data, parameters, stream}));
  }
  return distillers;
}

}  // namespace derrd
