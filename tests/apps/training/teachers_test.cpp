// Teachers from other programs: vectors in any order and of any name, rankings alone.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"
#include "tests/npy_file.h"

namespace derrd::test::teachers_test {
namespace {

/// Rows of a matrix in another order.
std::vector<float> rows_of(const std::vector<float>& matrix, int64_t dim,
                           const std::vector<int32_t>& order) {
  std::vector<float> rows;
  for (const int32_t r : order) {
    rows.insert(rows.end(), matrix.begin() + r * dim, matrix.begin() + (r + 1) * dim);
  }
  return rows;
}

/// A data set with string ids of items, and a teacher in its order.
class Teachers : public CommandTest {
 protected:
  static constexpr int64_t kUsers = 60, kItems = 120, kDim = 10;

  Teachers() : model_(kUsers, kItems, kDim), user_order_(kUsers), item_order_(kItems) {
    dataset_ = write_small_dataset(folder_);
    std::vector<std::string> texts;
    for (int64_t i = 0; i < kItems; ++i) texts.push_back("item " + std::to_string(i * 7 % kItems));
    dataset_.item_ids =
        IdTable::from_texts(std::vector<std::string_view>(texts.begin(), texts.end()));
    save_dataset(dataset_, path("data"));
    model_.write(path("teacher"));
    std::iota(user_order_.begin(), user_order_.end(), 0);
    std::iota(item_order_.begin(), item_order_.end(), 0);
    std::mt19937 random(1);
    std::shuffle(user_order_.begin(), user_order_.end(), random);
    std::shuffle(item_order_.begin(), item_order_.end(), random);
  }

  Arguments run_of(const std::string& method) const {
    return words(
        "distill --data @data --method", method,
        "--dim 4 --epochs 3 --quiet --k 5 --l 5 --list 30 --experts 3 --lr 0.02 --batch 64 "
        "-o @student");
  }
  Result distill(const std::string& method, const Arguments& teacher, int exit_code = 0) const {
    std::filesystem::remove(path("student"));
    return expect_exit(exit_code, run_of(method) + teacher);
  }
  /// The student's file.
  std::string student(const std::string& method, const Arguments& teacher) const {
    distill(method, teacher);
    return read_text(path("student"));
  }
  std::vector<float> student_users(const std::string& method, const Arguments& teacher) const {
    distill(method, teacher);
    return user_vectors(path("student"));
  }
  /// Expects no student, and a message with these parts.
  void refused(int exit_code, const std::string& method, const Arguments& teacher,
               const std::vector<std::string>& parts) const {
    expect_contains(distill(method, teacher, exit_code).err, parts);
    EXPECT_FALSE(std::filesystem::exists(path("student")));
  }

  void write_ids(const std::string& name, const IdTable& ids,
                 const std::vector<int32_t>& order) const {
    std::string text;
    for (const int32_t i : order) text += ids.text(i) + "\n";
    write_text(path(name), text);
  }
  /// .npy files in another order, and the ids of their rows.
  void write_shuffled() const {
    write_npy(path("user.npy"), rows_of(model_.user, kDim, user_order_),
              {static_cast<int64_t>(user_order_.size()), kDim});
    write_npy(path("item.npy"), rows_of(model_.item, kDim, item_order_),
              {static_cast<int64_t>(item_order_.size()), kDim});
    write_ids("users.txt", dataset_.user_ids, user_order_);
    write_ids("items.txt", dataset_.item_ids, item_order_);
  }
  Arguments shuffled() const {
    return words(
        "--teacher-user @user.npy --teacher-item @item.npy --teacher-user-ids @users.txt "
        "--teacher-item-ids @items.txt");
  }
  /// Drops every tenth user and item from the shuffled files.
  void leave_out() {
    std::erase_if(user_order_, [](int32_t u) { return u % 10 == 3; });
    std::erase_if(item_order_, [](int32_t i) { return i % 10 == 4; });
  }
  /// Writes the lists of the teacher's best items.
  void write_lists(const std::string& options) const {
    succeed(words("recommend --data @data --model @teacher", options));
  }

  Dataset dataset_;
  SmallModel model_;
  std::vector<int32_t> user_order_, item_order_;  // row r is the data set's number order[r]
};

TEST_F(Teachers, VectorsThatNumpyWroteGiveTheSameStudent) {
  if (!python_has("numpy, safetensors.numpy")) GTEST_SKIP() << "pip install numpy safetensors";
  run_python(folder_, R"(
import sys, numpy as np
from safetensors.numpy import load_file
folder = sys.argv[1] + '/'
data, model = load_file(folder + 'data'), load_file(folder + 'teacher')
ids = data['item_id_bytes'].tobytes().decode()
bounds = data['item_id_offsets']
item_ids = [ids[bounds[i]:bounds[i + 1]] for i in range(len(bounds) - 1)]
random = np.random.default_rng(5)
for kind, names in ('user', data['user_ids']), ('item', item_ids):
    order = random.permutation(len(names))
    rows = model[kind + '_embedding'][order]
    assert (order != np.arange(len(names))).any()
    np.save(folder + kind + '.npy', rows.astype(np.float64 if kind == 'item' else np.float32))
    with open(folder + kind + 's.txt', 'w') as file:
        file.writelines(f'{names[i]}\n' for i in order)
)");
  for (const char* method : {"de-rrd", "rrd", "de"}) {
    const std::string expected = student(method, words("--teacher @teacher"));
    ASSERT_FALSE(expected.empty());
    EXPECT_EQ(student(method, shuffled()), expected) << method;
  }
  const Result result = distill("de-rrd", shuffled());
  expect_contains(result.err, {"60 of 60 users", "120 of 120 items"});
}

TEST_F(Teachers, TensorsOfOtherNamesAndTheirIds) {
  const std::string expected = student("de-rrd", words("--teacher @teacher"));
  const std::vector<float> user = rows_of(model_.user, kDim, user_order_);
  const std::vector<float> item = rows_of(model_.item, kDim, item_order_);
  std::vector<int64_t> user_ids;
  for (const int32_t u : user_order_) user_ids.push_back(dataset_.user_ids.numbers()[u]);
  const IdTable item_ids = dataset_.item_ids.select(item_order_);
  const TensorMap tensors = {{"P", tensor_view(std::span(user), {kUsers, kDim})},
                             {"Q.weight", tensor_view(std::span(item), {kItems, kDim})},
                             {"user_ids", tensor_view(user_ids)},
                             {"item_id_bytes", tensor_view(item_ids.bytes())},
                             {"item_id_offsets", tensor_view(item_ids.offsets())}};
  write_safetensors(path("foreign"), tensors, {});
  const Arguments names = words("--teacher-user P --teacher-item Q.weight");
  EXPECT_EQ(student("de-rrd", words("--teacher @foreign") + names), expected);

  // The usual names with ids, then one of each kind of file.
  write_safetensors(path("usual"),
                    {{"user_embedding", tensors.at("P")},
                     {"item_embedding", tensors.at("Q.weight")},
                     {"user_ids", tensors.at("user_ids")},
                     {"item_id_bytes", tensors.at("item_id_bytes")},
                     {"item_id_offsets", tensors.at("item_id_offsets")}},
                    {});
  EXPECT_EQ(student("de-rrd", {"--teacher", path("usual")}), expected);
  write_npy(path("item.npy"), item, {kItems, kDim});
  EXPECT_EQ(
      student("de-rrd", words("--teacher @foreign --teacher-user P --teacher-item @item.npy")),
      expected);
  // Rows in the data set's order need no ids.
  write_npy(path("user.npy"), model_.user, {kUsers, kDim});
  write_npy(path("item.npy"), model_.item, {kItems, kDim});
  EXPECT_EQ(student("de-rrd", words("--teacher-user @user.npy --teacher-item @item.npy")),
            expected);
}

TEST_F(Teachers, MoreUsersAndItemsThanTheDataSetHas) {
  const std::string expected = student("de-rrd", words("--teacher @teacher"));
  write_shuffled();
  std::vector<float> user = rows_of(model_.user, kDim, user_order_);
  user.insert(user.begin(), kDim, 3.0f);
  write_npy(path("user.npy"), user, {kUsers + 1, kDim});
  write_text(path("users.txt"), "nobody\n" + read_text(path("users.txt")));
  EXPECT_EQ(student("de-rrd", shuffled()), expected);
}

TEST_F(Teachers, SomeUsersAndItemsMayBeMissing) {
  leave_out();
  write_shuffled();
  const Result result = distill("de-rrd", shuffled());
  expect_contains(result.err, {"54 of 60 users", "108 of 120 items"});
  const auto users = user_vectors(path("student"));
  EXPECT_NE(users, student_users("de-rrd", words("--teacher @teacher")));
  EXPECT_EQ(users, student_users("de-rrd", shuffled() + words("--threads 1")));
}

// Rows of other users show in the teacher's own ranking.
TEST_F(Teachers, ShowWhetherTheirVectorsRank) {
  write_dataset(path("data"), {200, 400, 6000, 100});
  const auto run = [&](const Arguments& teacher) { return distill("rrd", teacher).err; };
  succeed(
      words("train --data @data --dim 16 --epochs 40 --quiet --batch 256 --lr 0.01 -o @trained"));
  EXPECT_FALSE(contains(run({"--teacher", path("trained")}), "its own"));
  const SafetensorsFile trained = SafetensorsFile::read(path("trained"));
  std::vector<float> users = trained.values<float>("user_embedding");
  const std::vector<float> items = trained.values<float>("item_embedding");
  const auto vectors = [&] {
    write_npy(path("user.npy"), users, {200, 16});
    write_npy(path("item.npy"), items, {400, 16});
    return run({"--teacher-user", path("user.npy"), "--teacher-item", path("item.npy")});
  };
  const std::string well = vectors();
  EXPECT_TRUE(contains(well, "its own validation H@5 is "));
  EXPECT_FALSE(contains(well, "than chance")) << well;
  std::rotate(users.begin(), users.begin() + 16, users.end());
  const std::string misplaced = vectors();
  EXPECT_TRUE(contains(misplaced, "no better than chance: do its rows belong"));
}

TEST_F(Teachers, TooFewUsersOrItemsAreAnError) {
  leave_out();
  write_shuffled();
  const Arguments strict = shuffled() + words("--teacher-coverage 0.95");
  refused(kFailure, "de-rrd", strict, {"54 of 60 users", "\"3\"", "\"13\"", "0.95"});
  distill("de-rrd", shuffled() + words("--teacher-coverage 0.9"));

  std::string text;
  for (size_t i = 0; i < item_order_.size(); ++i) text += fmt::format("other {}\n", i);
  write_text(path("items.txt"), text);
  refused(kFailure, "rrd", shuffled(),
          {"0 of 120 items", "\"item 0\"", "\"other 0\"", "--teacher-coverage"});
}

TEST_F(Teachers, WidthsMayDifferForExperts) {
  const std::vector<float> narrow(kItems * 3, 0.5f);
  write_npy(path("user.npy"), model_.user, {kUsers, kDim});
  write_npy(path("item.npy"), narrow, {kItems, 3});
  const Arguments teacher = words("--teacher-user @user.npy --teacher-item @item.npy");
  EXPECT_FALSE(student("de", teacher).empty());
  for (const char* method : {"rrd", "de-rrd"}) {
    refused(kUsageError, method, teacher, {"rrd", "10 numbers and the items' 3"});
  }
  Arguments size = run_of("de") + teacher;
  const auto dim = std::find(size.begin(), size.end(), "--dim");
  *dim = "--size";
  *(dim + 1) = "0.5";
  expect_exit(kUsageError, size, {"--dim"});
}

TEST_F(Teachers, RankingsAloneGiveTheStudentOfTheLiveTeacher) {
  for (const char* format : {"tsv", "safetensors"}) {
    const std::string lists = path(std::string("lists.") + format);
    write_lists("--top 30 -o " + lists + " --format " + format);
    for (const char* options : {"", "--preset paper", "--interesting top"}) {
      const Arguments preset = words(options);
      const auto live = student_users("rrd", preset + words("--teacher @teacher"));
      const Result result = distill("rrd", preset + Arguments{"--teacher", lists});
      EXPECT_EQ(user_vectors(path("student")), live);
      expect_contains(result.err, {"lists of 60 of 60 users"});
    }
  }
}

TEST_F(Teachers, RankingsAloneDoForEveryLossOfRankings) {
  // All items of every user, so that every item's list of users is whole too.
  write_lists("--top 120 -o @lists.tsv");
  const Arguments options = words("--rd-k 5 --cd-items 5 --lambda-ir 0.01");
  for (const char* method : {"rd", "cd", "ir", "rrd+ir"}) {
    const auto live = student_users(method, options + words("--teacher @teacher"));
    EXPECT_EQ(student_users(method, options + words("--teacher @lists.tsv")), live) << method;
  }
  std::string unscored;
  for (const std::string& line : lines_of(read_text(path("lists.tsv")))) {
    unscored += line.substr(0, line.rfind('\t')) + "\n";
  }
  write_text(path("lists.tsv"), unscored);
  const Arguments without = options + words("--teacher @lists.tsv");
  for (const char* method : {"rd", "ir"}) EXPECT_FALSE(student(method, without).empty());
  refused(kUsageError, "rrd+cd", without, {"loss cd", "without scores"});
}

TEST_F(Teachers, RankingsOfOtherPrograms) {
  // Two items per user, without header and scores, one unknown and one that the user trained with.
  std::string text;
  for (int64_t u = 0; u < kUsers; ++u) {
    const auto trained = dataset_.train.row(u);
    const std::string user = dataset_.user_ids.text(u);
    text += user + "\tnever seen\n";
    text += user + "\t" + dataset_.item_ids.text(trained[0]) + "\n";
    for (int32_t i = 0, count = 0; count < 2; ++i) {
      if (dataset_.train.contains(u, i)) continue;
      text += user + "\t" + dataset_.item_ids.text(i) + "\n";
      ++count;
    }
  }
  write_text(path("lists.txt"), text + "nobody\titem 0\n");
  const Result result = distill("rrd", {"--teacher", path("lists.txt")});
  expect_contains(result.err, {"lists of 60 of 60 users", "120 items in them",
                               "1 users and 1 items", "60 items that their user trained with"});
}

TEST_F(Teachers, RankingsAloneRejectWhatTheyCannotDo) {
  write_lists("--top 3 -o @lists.tsv");
  const Arguments lists = {"--teacher", path("lists.tsv")};
  for (const char* method : {"de", "de-rrd"}) {
    refused(kUsageError, method, lists, {"loss de", "vectors", "rankings alone"});
  }
  refused(kUsageError, "rrd", lists + words("--ranking full"), {"scores of all items"});
  refused(kFailure, "rrd", lists + words("--teacher-user-ids @ids"), {"hold ids themselves"});
  std::string text = read_text(path("lists.tsv"));
  const auto item = [](const std::string& line) {
    const size_t begin = line.find("item");
    return line.substr(begin, line.find('\t', begin) - begin);
  };
  for (const auto& [lines, part] :
       {std::pair{"user\tuser\titem\n0\t0\titem 3\n", "two columns 'user'"},
        {"user_id\titem_id\trating\n0\titem 3\t1\n", "call them user, item"},
        {"0\titem 3\t1\n0\titem 4\t2\n", "if it is a rank"}}) {
    write_text(path("lists.tsv"), lines);
    refused(kFailure, "rrd", lists, {path("lists.tsv") + ":", part});
  }
  write_text(path("lists.tsv"), text + "0\t4\t" + item(lines_of(text)[1]) + "\t-1e9\n");
  refused(
      kFailure, "rrd", lists,
      {fmt::format("{}:{}: ", path("lists.tsv"), lines_of(text).size() + 1), "on line 2 already"});
  // A tenth of the users.
  text.resize(text.find("\n7\t") + 1);
  write_text(path("lists.tsv"), text);
  refused(kFailure, "rrd", lists, {"7 of 60 users", "\"7\""});
}

TEST_F(Teachers, FilesThatDoNotFitAreNamed) {
  write_shuffled();
  const std::string user = path("user.npy");
  const auto fails = [&](const Arguments& teacher, const std::vector<std::string>& parts) {
    refused(kFailure, "de", teacher, parts);
  };
  const Arguments without_ids = words("--teacher-user @user.npy --teacher-item @item.npy");
  write_npy(user, std::vector<float>(59 * 4), {59, 4});
  fails(without_ids, {user, "59 rows for 60 users", "--teacher-user-ids"});
  fails(shuffled(), {user, "59 rows for 60 ids"});
  write_npy(user, std::vector<float>(kUsers), {kUsers});
  fails(shuffled(), {user, "is [60]"});
  std::vector<float> bad(kUsers * 2);
  bad[7] = std::numeric_limits<float>::infinity();
  write_npy(user, bad, {kUsers, 2});
  fails(shuffled(), {user, "inf at row 3, column 1"});
  write_text(user, "no array");
  fails(shuffled(), {user, "numpy.save"});
  fails(words("--teacher @teacher --teacher-user P"), {"no tensor \"P\""});

  for (const auto& [options, part] :
       {std::pair{"--teacher-user @user.npy", "--teacher-item"},
        {"--teacher-user @user.npy --teacher-item Q", "--teacher"},
        {"--teacher @teacher --teacher-coverage 1.5", "from 0 to 1"},
        {"--teacher-user @user.npy --teacher-item @item.npy --teacher @lists.tsv",
         "would not be used"}}) {
    refused(kUsageError, "de", words(options), {part});
  }
  // An output must not destroy what is read.
  write_shuffled();
  expect_exit(kUsageError, run_of("de") + shuffled() + words("--log @users.txt"),
              {"--teacher-user-ids and --log"});
}

}  // namespace
}  // namespace derrd::test::teachers_test
