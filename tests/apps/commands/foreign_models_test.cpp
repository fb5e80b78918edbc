// Models of other programs in every command that reads vectors: rows in any order, biases.

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::foreign_models_test {
namespace {

/// A data set, vectors in its order at @ordered, and the same vectors shuffled, with ids, at
/// @shuffled.
class ForeignModels : public CommandTest {
 protected:
  static constexpr int64_t kUsers = 60, kItems = 120, kDim = 5;

  ForeignModels()
      : dataset_(write_small_dataset(folder_)),
        model_(kUsers, kItems, kDim),
        users_(kUsers),
        items_(kItems) {
    model_.write(path("ordered"));
    std::iota(users_.begin(), users_.end(), 0);
    std::iota(items_.begin(), items_.end(), 0);
    std::mt19937 random(3);
    std::shuffle(users_.begin(), users_.end(), random);
    std::shuffle(items_.begin(), items_.end(), random);
    write_shuffled();
  }

  /// Row r belongs to the data set's number users_[r], or items_[r].
  void write_shuffled() const {
    const std::vector<float> user = rows_of(model_.user, users_, kDim);
    const std::vector<float> item = rows_of(model_.item, items_, kDim);
    const IdTable user_ids = dataset_.user_ids.select(users_);
    const IdTable item_ids = dataset_.item_ids.select(items_);
    TensorMap tensors = {
        {"user_embedding", tensor_view(std::span(user), {std::ssize(users_), kDim})},
        {"item_embedding", tensor_view(std::span(item), {std::ssize(items_), kDim})}};
    add_ids(tensors, "user", user_ids);
    add_ids(tensors, "item", item_ids);
    write_safetensors(path("shuffled"), tensors, {});
  }
  static std::vector<float> rows_of(const std::vector<float>& matrix,
                                    const std::vector<int32_t>& rows, int64_t dim) {
    std::vector<float> result;
    for (const int32_t r : rows) {
      result.insert(result.end(), matrix.begin() + r * dim, matrix.begin() + (r + 1) * dim);
    }
    return result;
  }
  Result recommend(const std::string& model) const {
    return succeed(words("recommend --data @data --top 3 --model", path(model)));
  }
  /// The metrics of a model.
  nlohmann::json figures(const std::string& model) const {
    nlohmann::json json = evaluated(path("data"), path(model));
    return {json["test"], json["valid"], json["full"]};
  }

  const Dataset dataset_;
  const SmallModel model_;
  std::vector<int32_t> users_, items_;
};

TEST_F(ForeignModels, EveryCommandAlignsRowsByTheirIds) {
  EXPECT_EQ(figures("shuffled"), figures("ordered"));
  const Result recommended = recommend("shuffled");
  EXPECT_EQ(recommended.out, recommend("ordered").out);
  expect_contains(recommended.err,
                  {path("shuffled") + ": matched 60 of 60 users by id, 0 rows of others; 120 of "
                                      "120 items by id, 0 rows of others\n"});
  EXPECT_EQ(recommend("ordered").err, "");

  for (const char* format : {"tsv", "npy", "safetensors"}) {
    for (const char* model : {"ordered", "shuffled"}) {
      const Result result = succeed(words("export", path(model), "--data @data --format", format,
                                          "-o", path(std::string(model) + ".out")));
      EXPECT_EQ(contains(result.err, "matched 60 of 60"), model == std::string("shuffled"));
    }
  }
  for (const char* file : {"", ".user.npy", ".item.npy", ".user_ids.txt", ".item_ids.txt"}) {
    EXPECT_EQ(read_text(path("shuffled.out") + file), read_text(path("ordered.out") + file))
        << file;
  }
}

TEST_F(ForeignModels, RowsOfOthersAreLeftOut) {
  // The model knows more than this data set has, which has other numbers.
  Dataset smaller = dataset_;
  smaller.user_ids = dataset_.user_ids.select(std::vector<int32_t>{8});
  smaller.train = {{0, 1}, {0}};
  smaller.item_ids = dataset_.item_ids.select(std::vector<int32_t>{30, 20, 10});
  smaller.valid = smaller.test = {{0, 0}, {}};
  smaller.candidates.clear();
  smaller.num_candidates = 0;
  save_dataset(smaller, path("smaller"));
  const Result result = succeed(words("recommend --data @smaller --model @shuffled"));
  expect_contains(result.err, {"1 of 1 users by id, 59 rows of others; 3 of 3 items by id, 117"});
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 3u);
  for (size_t k = 1; k < 3; ++k) {
    const auto cells = cells_of(lines[k]);
    EXPECT_EQ(cells[0], "8");
    const int64_t item = std::stoi(cells[2]);
    EXPECT_TRUE(item == 10 || item == 20);
    EXPECT_EQ(std::stod(cells[3]),
              std::inner_product(&model_.user[8 * kDim], &model_.user[8 * kDim] + kDim,
                                 &model_.item[item * kDim], 0.0));
  }
}

TEST_F(ForeignModels, MissingUsersOrItemsAreAnError) {
  std::erase(items_, 17);
  write_shuffled();
  for (const char* command :
       {"evaluate --model @shuffled", "recommend --model @shuffled", "export @shuffled -o @out",
        "export @shuffled --format tsv -o @out"}) {
    expect_exit(kFailure, words(command, "--data @data"),
                {path("shuffled"), "119 of 120 items", "\"17\""});
  }
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(ForeignModels, RowsNeedAnIdEach) {
  const std::vector<int64_t> short_ids = {1, 2, 3};
  write_safetensors(path("short"),
                    {{"user_embedding", tensor_view(std::span(model_.user), {kUsers, kDim})},
                     {"item_embedding", tensor_view(std::span(model_.item), {kItems, kDim})},
                     {"item_ids", tensor_view(short_ids)}},
                    {});
  expect_exit(kFailure, words("evaluate --data @data --model @short"),
              {path("short"), "120 rows for 3 items"});
}

TEST_F(ForeignModels, IdsBesideExportedRowsAreTheirOwn) {
  // Without the data set, the rows and the ids of the file.
  succeed(words("export @shuffled -o @copy"));
  EXPECT_EQ(figures("copy"), figures("ordered"));
  succeed(words("export @shuffled --format npy -o @arrays"));
  const auto ids = lines_of(read_text(path("arrays.item_ids.txt")));
  ASSERT_EQ(std::ssize(ids), kItems);
  for (int64_t r = 0; r < kItems; ++r) EXPECT_EQ(ids[r], dataset_.item_ids.text(items_[r]));
  EXPECT_EQ(read_npy(path("arrays.item.npy")).values, rows_of(model_.item, items_, kDim));
}

/// Vectors with biases: as tensors of their own at @biased, with ids and in another order at
/// @shuffled, and as columns at @columns.
class Biases : public ForeignModels {
 protected:
  Biases() {
    for (int64_t u = 0; u < kUsers; ++u) user_bias_.push_back(static_cast<float>(u % 7) - 3);
    for (int64_t i = 0; i < kItems; ++i) item_bias_.push_back(static_cast<float>(i * 5 % 23));
    write(path("biased"), model_.user, model_.item, user_bias_, item_bias_, {});
    TensorMap ids;
    const IdTable user_ids = dataset_.user_ids.select(users_);
    const IdTable item_ids = dataset_.item_ids.select(items_);
    add_ids(ids, "user", user_ids);
    add_ids(ids, "item", item_ids);
    write(path("shuffled"), rows_of(model_.user, users_, kDim), rows_of(model_.item, items_, kDim),
          rows_of(user_bias_, users_, 1), rows_of(item_bias_, items_, 1), ids);
    SmallModel columns(kUsers, kItems, kDim + 2);
    columns.user.clear();
    columns.item.clear();
    const auto append = [](std::vector<float>& wide, const std::vector<float>& rows, int64_t r,
                           float second_last, float last) {
      wide.insert(wide.end(), rows.begin() + r * kDim, rows.begin() + (r + 1) * kDim);
      wide.push_back(second_last);
      wide.push_back(last);
    };
    for (int64_t u = 0; u < kUsers; ++u) append(columns.user, model_.user, u, 1, user_bias_[u]);
    for (int64_t i = 0; i < kItems; ++i) append(columns.item, model_.item, i, item_bias_[i], 1);
    columns.write(path("columns"));
  }
  static void write(const std::string& path, const std::vector<float>& user,
                    const std::vector<float>& item, const std::vector<float>& user_bias,
                    const std::vector<float>& item_bias, TensorMap tensors) {
    tensors.emplace("user_embedding", tensor_view(std::span(user), {kUsers, kDim}));
    tensors.emplace("item_embedding", tensor_view(std::span(item), {kItems, kDim}));
    tensors.emplace("user_bias", tensor_view(user_bias));
    tensors.emplace("item_bias", tensor_view(std::span(item_bias), {kItems, 1}));
    write_safetensors(path, tensors, {});
  }

  std::vector<float> user_bias_, item_bias_;
};

TEST_F(Biases, CountInEveryCommand) {
  ASSERT_NE(figures("columns"), figures("ordered"));
  for (const char* model : {"biased", "shuffled"}) {
    EXPECT_EQ(figures(model), figures("columns")) << model;
    EXPECT_EQ(recommend(model).out, recommend("columns").out) << model;
    succeed(words("export --data @data -o @exported", path(model)));
    EXPECT_EQ(figures("exported"), figures("columns")) << model;
  }
  EXPECT_EQ(recommend("biased").err, "");
}

TEST_F(Biases, CountInATeacher) {
  const auto student = [&](const std::string& method, const std::string& teacher) {
    succeed(
        words("distill --data @data --dim 2 --epochs 2 --quiet --k 5 --l 5 --list 30 --ir-k 5 "
              "--ir-l 5 --ir-list 20 --cd-items 5 --cd-list 30 --experts 3 -o @student --method",
              method, teacher));
    return user_vectors(path("student"));
  };
  for (const char* method : {"de-rrd", "rrd+ir", "cd"}) {
    const auto expected = student(method, "--teacher @columns");
    EXPECT_NE(student(method, "--teacher @ordered"), expected) << method;
    for (const char* teacher :
         {"--teacher @biased", "--teacher @shuffled",
          "--teacher @biased --teacher-user user_embedding --teacher-item item_embedding"}) {
      EXPECT_EQ(student(method, teacher), expected) << method << " " << teacher;
    }
  }
}

TEST_F(Biases, MustFitTheVectors) {
  const std::vector<float> few(kItems - 1, 1.0f);
  write_safetensors(path("bad"),
                    {{"user_embedding", tensor_view(std::span(model_.user), {kUsers, kDim})},
                     {"item_embedding", tensor_view(std::span(model_.item), {kItems, kDim})},
                     {"item_bias", tensor_view(few)}},
                    {});
  expect_exit(kFailure, words("evaluate --data @data --model @bad"),
              {path("bad"), "item_bias", "[119]", "[120]"});
}

TEST_F(Biases, TensorsThatAreNotUsedAreNamed) {
  const std::vector<float> popularity(kItems, 1.0f), layer(kDim, 1.0f);
  write_safetensors(path("more"),
                    {{"user_embedding", tensor_view(std::span(model_.user), {kUsers, kDim})},
                     {"item_embedding", tensor_view(std::span(model_.item), {kItems, kDim})},
                     {"item_popularity", tensor_view(popularity)},
                     {"layer", tensor_view(layer)}},
                    {});
  for (const char* command :
       {"evaluate --data @data --model @more", "recommend --data @data --model @more",
        "export @more -o @out", "export @more --data @data -o @out",
        "distill --data @data --dim 2 --epochs 1 --k 5 --l 5 --list 30 --method rrd --quiet "
        "-o @student --teacher @more",
        "distill --data @data --dim 2 --epochs 1 --k 5 --l 5 --list 30 --method rrd --quiet "
        "-o @student --teacher @more --teacher-user user_embedding --teacher-item "
        "item_embedding"}) {
    const Result result = succeed(words(command));
    expect_contains(result.err, {"warning: " + path("more"), "not used: \"item_popularity\";"});
  }
}

}  // namespace
}  // namespace derrd::test::foreign_models_test
