// Python's view of what the program writes: every kind of file, every metric, every split.

#include <fmt/format.h>

#include <cstdlib>

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

class Python : public CommandTest {};

TEST_F(Python, OpensEveryKindOfFile) {
  if (!python_has("numpy, safetensors.numpy")) GTEST_SKIP() << "pip install numpy safetensors";
  write_small_dataset(folder_);
  SmallModel(60, 120, 6).write(path("teacher"));
  succeed(
      words("distill --data @data --teacher @teacher --dim 4 --k 5 --l 5 --experts 3 --epochs 1 "
            "--seed 3 --quiet -o @model --checkpoint @checkpoint"));
  succeed(words("recommend --data @data --model @model --top 7 --format safetensors -o @lists"));
  run_python(folder_, kScript);
}

/// Runs a script of this folder with the program and the test's folder.
void check_by(const char* script, const TestFolder& folder) {
  const std::string command = fmt::format("python3 '{}/tests/apps/{}' '{}' '{}'", DERRD_SOURCE,
                                          script, DERRD_PROGRAM, folder.path());
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(Python, ComputesEveryMetric) {
  if (!python_has("numpy, scipy.stats, safetensors.numpy")) {
    GTEST_SKIP() << "pip install numpy scipy safetensors";
  }
  check_by("metrics_check.py", folder_);
}

TEST_F(Python, SplitsAsPrepareDoes) {
  if (!python_has("numpy, safetensors.numpy")) GTEST_SKIP() << "pip install numpy safetensors";
  check_by("splits_check.py", folder_);
}

}  // namespace
}  // namespace derrd::test::python_test
