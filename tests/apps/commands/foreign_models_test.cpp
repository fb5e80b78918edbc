// Models of other programs in every command that reads vectors: rows in any order, biases.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"
#include "tests/npy_file.h"

namespace derrd::test::foreign_models_test {
namespace {

/// A data set, vectors in its order at @ordered, and the same vectors shuffled, with ids, at
/// @shuffled.
class ForeignModels : public CommandTest {
 protected:
  static constexpr int64_t kUsers = 60, kItems = 120, kDim = 5;

  explicit ForeignModels(SmallModel model = SmallModel(kUsers, kItems, kDim))
      : dataset_(write_small_dataset(folder_)),
        model_(std::move(model)),
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
  EXPECT_EQ(lines_of(recommend("ordered").err)[0],
            path("ordered") + ": matched 60 of 60 users by row; 120 of 120 items by row");

  for (const char* format : {"tsv", "npy", "safetensors"}) {
    for (const char* model : {"ordered", "shuffled"}) {
      const Result result = succeed(words("export", path(model), "--data @data --format", format,
                                          "-o", path(std::string(model) + ".out")));
      const bool by_id = model == std::string("shuffled");
      expect_contains(result.err, {by_id ? "matched 60 of 60 users by id" : "60 users by row"});
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
              {path("short"), "120 rows for 3 ids"});
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

/// The shuffled model in other forms: tensors of other names at @names, arrays with files of ids.
class NamedVectors : public ForeignModels {
 protected:
  explicit NamedVectors(SmallModel model = SmallModel(kUsers, kItems, kDim))
      : ForeignModels(std::move(model)) {
    write_named();
  }
  void write_named() const {
    const std::vector<float> user = rows_of(model_.user, users_, kDim);
    const std::vector<float> item = rows_of(model_.item, items_, kDim);
    const IdTable user_ids = dataset_.user_ids.select(users_);
    const IdTable item_ids = dataset_.item_ids.select(items_);
    const std::vector<int64_t> user_shape = {std::ssize(users_), kDim};
    const std::vector<int64_t> item_shape = {std::ssize(items_), kDim};
    TensorMap tensors = {{"P", tensor_view(std::span(user), user_shape)},
                         {"Q.weight", tensor_view(std::span(item), item_shape)}};
    write_safetensors(path("bare"), tensors, {});
    add_ids(tensors, "user", user_ids);
    add_ids(tensors, "item", item_ids);
    write_safetensors(path("names"), tensors, {});
    write_npy(path("user.npy"), user, user_shape);
    write_npy(path("item.npy"), item, item_shape);
    write_ids("users.txt", user_ids);
    write_ids("items.txt", item_ids);
  }
  void write_ids(const std::string& name, const IdTable& ids) const {
    std::string text;
    for (int64_t r = 0; r < ids.size(); ++r) text += ids.text(r) + "\n";
    write_text(path(name), text);
  }
  Arguments arrays() const {
    return words("--model-user @user.npy --model-item @item.npy") + id_files();
  }
  Arguments id_files() const {
    return words("--model-user-ids @users.txt --model-item-ids @items.txt");
  }
  /// All ways to name the model.
  std::vector<Arguments> forms() const {
    const Arguments names = words("--model-user P --model-item Q.weight");
    return {arrays(), words("--model @names") + names, words("--model @bare") + names + id_files(),
            words("--model @names --model-user P --model-item @item.npy")};
  }
  nlohmann::json models(const Arguments& options) const {
    const Result result = succeed(words("evaluate --data @data --json") + options);
    return nlohmann::json::parse(result.out)["models"];
  }
  static nlohmann::json metrics(const nlohmann::json& model) {
    return {model["test"], model["valid"], model["full"]};
  }
};

TEST_F(NamedVectors, EveryCommandTakesThem) {
  const std::string lists = recommend("ordered").out;
  succeed(words("export @ordered --data @data --format npy -o @expected"));
  for (const Arguments& form : forms()) {
    const nlohmann::json evaluated = models(form);
    ASSERT_EQ(evaluated.size(), 1u);
    EXPECT_EQ(metrics(evaluated[0]), figures("ordered"));
    EXPECT_EQ(evaluated[0]["users"], kUsers);
    EXPECT_GT(evaluated[0]["megabytes"], 0.003);
    const Result recommended = succeed(words("recommend --data @data --top 3") + form);
    EXPECT_EQ(recommended.out, lists);
    expect_contains(recommended.err, {"matched 60 of 60 users by id", "120 of 120 items by id"});
    succeed(words("export --data @data --format npy -o @out") + form);
    for (const char* file : {".user.npy", ".item.npy", ".user_ids.txt", ".item_ids.txt"}) {
      EXPECT_EQ(read_text(path("out") + file), read_text(path("expected") + file)) << file;
    }
  }
  // Without ids it is said that rows are taken in order.
  const Result by_row =
      succeed(words("recommend --data @data --model-user @user.npy --model-item @item.npy"));
  expect_contains(by_row.err, {"matched 60 of 60 users by row; 120 of 120 items by row"});
}

TEST_F(NamedVectors, ExportedIdsAreTheRowsOwnWithoutADataSet) {
  for (const Arguments& form : forms()) {
    succeed(words("export --format npy -o @out") + form);
    EXPECT_EQ(read_npy(path("out.user.npy")).values, rows_of(model_.user, users_, kDim));
    EXPECT_EQ(read_npy(path("out.item.npy")).values, rows_of(model_.item, items_, kDim));
    EXPECT_EQ(read_text(path("out.user_ids.txt")), read_text(path("users.txt")));
    EXPECT_EQ(read_text(path("out.item_ids.txt")), read_text(path("items.txt")));
    succeed(words("export -o @copy") + form);
    EXPECT_EQ(figures("copy"), figures("ordered"));
  }
  succeed(words("export --model-user @user.npy --model-item @item.npy --format npy -o @bare"));
  EXPECT_EQ(read_text(path("bare.user.npy")), read_text(path("user.npy")));
  EXPECT_FALSE(std::filesystem::exists(path("bare.user_ids.txt")));
  write_text(path("users.txt"), "1\n2\n");
  expect_exit(kFailure, words("export -o @never") + arrays(),
              {path("user.npy"), "60 rows for 2 ids"});
}

TEST_F(NamedVectors, ArraysAreAModelBesideTheOthers) {
  SmallModel(kUsers, kItems, 3).write(path("other"));
  const nlohmann::json both = models(words("--model @other @ordered") + arrays());
  ASSERT_EQ(both.size(), 3u);
  EXPECT_EQ(both[2]["file"], path("user.npy"));
  EXPECT_EQ(metrics(both[2]), metrics(both[1]));
  EXPECT_EQ(both[0]["dim"], 3);
  const Arguments run = words("evaluate --data @data");
  for (const auto& [options, part] :
       {std::pair{"--model @other @names --model-user P --model-item Q.weight", "one --model"},
        {"--model @other @shuffled --model-user-ids @users.txt", "one --model"},
        {"--model-user @user.npy", "--model-item"},
        {"--model-user-ids @users.txt", "no model"},
        {"--model-user P --model-item Q", "without --model"},
        {"", "give --model"}}) {
    expect_exit(kUsageError, run + words(options), {part});
  }
  expect_exit(kUsageError, words("recommend --data @data -o @users.txt") + arrays(),
              {"--model-user-ids and -o"});
  expect_exit(kFailure, words("evaluate --data @data --model @names"),
              {"no tensor user_embedding", "--model-user", "\"Q.weight\""});
}

TEST_F(NamedVectors, MetadataOfAnotherModelAreNotTheirs) {
  succeed(words("train --data @data --model neumf --dim 4 --epochs 1 --quiet -o @neumf"));
  succeed(words("export @neumf --model-user user_gmf --model-item item_gmf -o @out"));
  const SafetensorsFile out = SafetensorsFile::read(path("out"));
  EXPECT_EQ(out.values<float>("user_embedding"),
            SafetensorsFile::read(path("neumf")).values<float>("user_gmf"));
  EXPECT_TRUE(out.metadata().empty());
}

/// A model that lacks users and items, some of them held out. All its scores are negative or 0, so
/// that vectors of 0 would rank first.
class PartialModel : public NamedVectors {
 protected:
  PartialModel() : NamedVectors(negative()) {
    for (const int32_t u : {4, 31}) std::erase(users_, u);
    for (int32_t i = 0; i < kItems; i += 3) lacking_.insert(i);
    for (const int32_t i : lacking_) std::erase(items_, i);
    write_shuffled();
    write_named();
  }
  static SmallModel negative() {
    SmallModel model(kUsers, kItems, kDim);
    for (float& value : model.user) value = std::abs(value);
    for (float& value : model.item) value = -std::abs(value);
    return model;
  }
  bool has_user(int32_t u) const { return std::ranges::find(users_, u) != users_.end(); }
  bool has_item(int32_t i) const { return std::ranges::find(items_, i) != items_.end(); }
  /// @param missing score of items that the model lacks
  double score(int32_t u, int32_t i, double missing = -1e9) const {
    if (!has_user(u)) return 0;
    if (!has_item(i)) return missing;
    return std::inner_product(&model_.user[u * kDim], &model_.user[u * kDim] + kDim,
                              &model_.item[i * kDim], 0.0);
  }
  /// H@10 of the test items among the candidates, and HR@20 among all items.
  std::pair<double, double> hits(double missing) const {
    double hits = 0, ranked = 0, full_hits = 0;
    for (int32_t u = 0; u < kUsers; ++u) {
      const int32_t test = dataset_.test.items[u];
      const auto beats = [&](int32_t i) {
        return i >= 0 && i != test && score(u, i, missing) >= score(u, test, missing);
      };
      int64_t above = 0;
      for (int32_t i = 0; i < kItems; ++i) above += !dataset_.train.contains(u, i) && beats(i);
      full_hits += above < 20;
      const auto candidates = dataset_.candidates_of(u);
      if (candidates.empty() || candidates[0] < 0) continue;
      ++ranked;
      hits += std::ranges::count_if(candidates, beats) < 10;
    }
    return {hits / ranked, full_hits / kUsers};
  }

  std::set<int32_t> lacking_;
};

TEST_F(PartialModel, HeldOutItemsThatItLacksRankLast) {
  const auto [hit, full_hit] = hits(-1e9);
  ASSERT_NE(hits(-1e9), hits(0)) << "choose other items: vectors of 0 would do as well";
  for (const Arguments& form : {words("--model @shuffled"), arrays()}) {
    const Result result =
        succeed(words("evaluate --data @data --json --model-coverage 0.6") + form);
    const auto model = nlohmann::json::parse(result.out)["models"][0];
    EXPECT_DOUBLE_EQ(model["test"]["H@10"], hit);
    EXPECT_DOUBLE_EQ(model["full"]["HR@20"], full_hit);
    EXPECT_EQ(model["users"], kUsers - 2);
    EXPECT_EQ(model["items"], kItems - std::ssize(lacking_));
    EXPECT_EQ(model["dim"], kDim);
    EXPECT_EQ(model["parameters"], (users_.size() + items_.size()) * kDim);
    for (const char* figure : {"coverage@10", "gini@10", "popularity@10"}) {
      EXPECT_TRUE(model["full"].at(figure).is_null()) << "of lists of users that it lacks";
    }
    expect_contains(result.err, {"lacks 2 users and 40 items", "ranks last"});
  }
}

TEST_F(PartialModel, RecommendsToUsersAndOfItemsThatItHas) {
  const Result result =
      succeed(words("recommend --data @data --top 120 --model-coverage 0.6") + arrays());
  expect_contains(result.err, {"lacks 2 users and 40 items", "no list"});
  std::map<std::string, int64_t> lengths;
  for (const std::string& line : lines_of(result.out)) {
    const auto cells = cells_of(line);
    if (cells[0] == "user") continue;
    ++lengths[cells[0]];
    const auto item = dataset_.item_ids.find(cells[2]);
    ASSERT_TRUE(item && has_item(*item)) << line;
    EXPECT_EQ(std::stod(cells[3]), score(*dataset_.user_ids.find(cells[0]), *item));
  }
  EXPECT_EQ(std::ssize(lengths), kUsers - 2);
  for (const int32_t u : users_) {
    const auto seen =
        std::ranges::count_if(dataset_.train.row(u), [&](int32_t i) { return has_item(i); });
    EXPECT_EQ(lengths[dataset_.user_ids.text(u)], std::ssize(items_) - seen);
  }
  succeed(words("export --data @data --format tsv --top 120 --model-coverage 0.6 -o @lists") +
          arrays());
  EXPECT_EQ(read_text(path("lists")), result.out);

  const std::string lacking = dataset_.item_ids.text(*lacking_.begin());
  write_text(path("some"), dataset_.item_ids.text(items_[0]) + "\n" + lacking + "\n");
  const Arguments run = words("recommend --data @data --model-coverage 0.6") + arrays();
  expect_exit(kFailure, run + words("--items @some"), {path("some") + ":2: ", "lacks the item"});
  expect_exit(kFailure, run + words("--users 5,31"), {"lacks the user \"31\""});
}

TEST_F(PartialModel, ExportsTheRowsThatItHas) {
  succeed(words("export --data @data --format npy --model-coverage 0.6 -o @out") + arrays());
  std::vector<int32_t> users = users_, items = items_;
  std::ranges::sort(users);
  std::ranges::sort(items);
  EXPECT_EQ(read_npy(path("out.user.npy")).values, rows_of(model_.user, users, kDim));
  EXPECT_EQ(read_npy(path("out.item.npy")).values, rows_of(model_.item, items, kDim));
  write_ids("expected", dataset_.item_ids.select(items));
  EXPECT_EQ(read_text(path("out.item_ids.txt")), read_text(path("expected")));
  write_ids("expected", dataset_.user_ids.select(users));
  EXPECT_EQ(read_text(path("out.user_ids.txt")), read_text(path("expected")));
}

TEST_F(PartialModel, IsRefusedUnlessCoverageAllowsIt) {
  for (const char* command :
       {"evaluate --data @data", "recommend --data @data", "export --data @data -o @out",
        "evaluate --data @data --model-coverage .99"}) {
    expect_exit(kFailure, words(command) + arrays(),
                {path("user.npy"), "58 of 60 users", "--model-coverage", "\"31\""});
  }
  // Nothing of the data set at all is never right.
  write_text(path("users.txt"), "a\n");
  write_npy(path("user.npy"), std::vector<float>(kDim, 1.0f), {1, kDim});
  expect_exit(kFailure, words("evaluate --data @data --model-coverage 0") + arrays(),
              {"0 of 60 users"});
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
  EXPECT_FALSE(contains(recommend("biased").err, "not used"));
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
