#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/models/model_file.h"
#include "engine/models/neumf.h"
#include "tests/engine/small_data.h"
#include "tests/oracles/neumf.h"

namespace derrd::test {

/// A NeuMF with random parameters, saved and for the oracle.
struct RandomNeumf {
  RandomNeumf(int64_t users, int64_t items, int64_t dim, int64_t layers, uint64_t seed)
      : oracle{users, items, dim, layers, {}} {
    Parameters parameters;
    const NeumfModel model({users, items, dim, layers}, 1, parameters);
    parameters.allocate(seed, stream());
    std::mt19937_64 generator(seed);
    std::normal_distribution<float> normal(0.0f, 0.5f);
    saved.kind = "neumf";
    for (const NamedMatrix& tensor : model.tensors()) {
      HostMatrix matrix = {{}, tensor.value.rows, tensor.value.cols};
      for (int64_t i = 0; i < tensor.value.size(); ++i) matrix.values.push_back(normal(generator));
      saved.tensors.emplace(tensor.name, std::move(matrix));
    }
    std::vector<std::string> order = {"user_gmf",     "user_mlp", "hidden.1.user_weight",
                                      "item_gmf",     "item_mlp", "hidden.1.item_weight",
                                      "hidden.1.bias"};
    for (int64_t l = 2; l <= layers; ++l) {
      for (const char* what : {".weight", ".bias"}) {
        order.push_back("hidden." + std::to_string(l) + what);
      }
    }
    order.insert(order.end(), {"output.weight", "output.bias"});
    for (const std::string& name : order) {
      const std::vector<float>& values = saved.tensor(name).values;
      oracle.parameters.insert(oracle.parameters.end(), values.begin(), values.end());
    }
  }
  oracle::Neumf oracle;
  SavedModel saved;
};

}  // namespace derrd::test
