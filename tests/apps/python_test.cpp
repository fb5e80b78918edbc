// Every kind of file that the program writes, opened by Python's safetensors.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/apps/program.h"

namespace derrd::test::python_test {
namespace {

constexpr const char* kScript = R"(
import json, sys, numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

def opened(name, kind):
    path = sys.argv[1] + '/' + name
    with safe_open(path, 'np') as f:
        metadata = f.metadata()
    assert metadata['format'] == kind, metadata
    return load_file(path), metadata

data, facts = opened('data', 'derrd-dataset')
offsets, items = data['train_offsets'], data['train_items']
assert offsets.dtype == np.int64 and offsets.shape == (61,) and offsets[-1] == len(items)
assert data['candidates'].dtype == np.int32 and data['candidates'].shape == (60, 50)
assert json.loads(facts['statistics'])['users'] == 60

model, made = opened('model', 'derrd-model')
user, item = model['user_embedding'], model['item_embedding']
assert user.dtype == item.dtype == np.float32 and user.shape == (60, 4) and item.shape == (120, 4)
assert made['dataset_hash'] == facts['hash'] and made['seed'] == '3'
assert json.loads(made['options'])['method'] == 'de-rrd'
assert json.loads(made['metrics'])['best_epoch'] == 0

state, of = opened('checkpoint', 'derrd-checkpoint')
for name in ('values', 'first_moments', 'second_moments', 'best_values'):
    assert state[name].dtype == np.float32 and state[name].shape == state['values'].shape
assert (state['best_values'][:user.size] == user.ravel()).all()
assert json.loads(of['state'])['next_epoch'] == 1 and json.loads(of['run'])['seed'] == 3

lists, by = opened('lists', 'derrd-lists')
assert lists['users'].tolist() == list(range(60)) and lists['users'].dtype == np.int32
assert lists['items'].shape == lists['scores'].shape == (60, 7)
assert by['dataset_hash'] == facts['hash'] and by['model_seed'] == '3'
for u in range(60):
    score = (item @ user[u]).astype(np.float64)
    score[items[offsets[u]:offsets[u + 1]]] = -np.inf
    best = np.sort(score)[::-1][:7]
    assert np.allclose(lists['scores'][u], best, rtol=1e-5, atol=1e-7), u
    assert np.allclose(score[lists['items'][u]], best, rtol=1e-5, atol=1e-7), u
)";

TEST(Python, OpensEveryKindOfFile) {
  if (std::system("python3 -c 'import numpy, safetensors.numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3 has no numpy or safetensors (pip install numpy safetensors)";
  }
  const TemporaryFolder folder;
  write_small_dataset(folder);
  SmallModel(60, 120, 6).write(folder / "teacher");
  const std::vector<std::vector<std::string>> commands = {
      {"distill",
       "--data",
       folder / "data",
       "--teacher",
       folder / "teacher",
       "--dim",
       "4",
       "--k",
       "5",
       "--l",
       "5",
       "--experts",
       "3",
       "--epochs",
       "1",
       "--seed",
       "3",
       "--quiet",
       "-o",
       folder / "model",
       "--checkpoint",
       folder / "checkpoint"},
      {"recommend", "--data", folder / "data", "--model", folder / "model", "--top", "7",
       "--format", "safetensors", "-o", folder / "lists"}};
  for (const auto& command : commands) {
    const Result result = derrd(command);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  write_text(folder / "check.py", kScript);
  EXPECT_EQ(std::system(fmt::format("python3 '{}' '{}'", folder / "check.py", folder / "").c_str()),
            0);
}

}  // namespace
}  // namespace derrd::test::python_test
