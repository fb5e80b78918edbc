#include "data/dataset.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/files.h"

namespace derrd::test::dataset_test {
namespace {

/// Three users of six items: one with everything, one with a test item only, one with nothing.
Dataset small_dataset() {
  Dataset dataset;
  dataset.train = {{0, 2, 3, 3}, {1, 4, 0}};
  dataset.valid = {{0, 1, 1, 1}, {0}};
  dataset.test = {{0, 1, 2, 2}, {5, 3}};
  dataset.num_candidates = 3;
  dataset.candidates = {3, 2, -1, 5, 1, 2, 0, 1, 2};
  dataset.user_ids = IdTable({int64_t{1} << 40, -7, 12});
  const std::vector<std::string_view> items{"b", "a", "007", "x y", "", "\xFF"};
  dataset.item_ids = IdTable::from_texts(items);
  dataset.seed = UINT64_MAX;
  dataset.options = R"({"min-user":5})";
  return dataset;
}

TEST(IdTable, NumbersAreNumbersOnlyIfAllPrintAsTheyWereWritten) {
  const auto numeric = [](std::vector<std::string_view> texts) {
    return IdTable::from_texts(texts).numeric();
  };
  EXPECT_TRUE(numeric({}));
  EXPECT_TRUE(
      numeric({"5", "-3", "0", "2147483648", "9223372036854775807", "-9223372036854775808"}));
  EXPECT_FALSE(numeric({"5", "x"}));
  EXPECT_FALSE(numeric({"9223372036854775808"}));  // does not fit
  EXPECT_FALSE(numeric({"-9223372036854775809"}));
  for (const char* text : {"007", "+7", "-0", "1.0", "1e3", " 1", "1 ", ""}) {
    EXPECT_FALSE(numeric({text})) << text;
  }
}

TEST(IdTable, FindsIdsByTheirText) {
  const IdTable numbers({5, -3, int64_t{1} << 40});
  EXPECT_EQ(numbers.size(), 3);
  EXPECT_EQ(numbers.find("-3"), 1);
  EXPECT_EQ(numbers.find("1099511627776"), 2);
  EXPECT_EQ(numbers.find("05"), std::nullopt);
  EXPECT_EQ(numbers.find("x"), std::nullopt);
  EXPECT_EQ(numbers.find("4"), std::nullopt);

  const std::vector<std::string_view> texts{"beta", "", "alpha", "10", "9"};
  const IdTable strings = IdTable::from_texts(texts);
  for (int32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(strings.text(i), texts[i]);
    EXPECT_EQ(strings.find(texts[i]), i);
  }
  EXPECT_EQ(strings.find("gamma"), std::nullopt);
  EXPECT_EQ(IdTable().find("1"), std::nullopt);
}

TEST(IdTable, SelectsInOrder) {
  const std::vector<int32_t> selection{2, 0};
  EXPECT_EQ(IdTable({7, 8, 9}).select(selection).numbers(), (std::vector<int64_t>{9, 7}));
  const std::vector<std::string_view> texts{"1", "x", "3"};
  const IdTable rest = IdTable::from_texts(texts).select(selection);
  EXPECT_TRUE(rest.numeric());  // the only string is gone
  EXPECT_EQ(rest.text(0), "3");
}

TEST(IdTable, RejectsRepeatedIdsAndBrokenOffsets) {
  expect_error([] { IdTable({3, 4, 3}); }, "\"3\" occurs twice");
  expect_error([] { IdTable::from_bytes({'a', 'a'}, {0, 1, 2}); }, "\"a\" occurs twice");
  for (const auto& offsets :
       std::vector<std::vector<int64_t>>{{}, {1, 2}, {0, 1}, {0, 3, 2}, {0, -1, 2}}) {
    EXPECT_THROW(IdTable::from_bytes({'a', 'b'}, offsets), Error);
  }
}

TEST(Dataset, RoundTrip) {
  const TestFolder folder;
  const Dataset saved = small_dataset();
  const std::string hash = save_dataset(saved, folder / "d");
  const Dataset loaded = load_dataset(folder / "d");
  EXPECT_EQ(loaded.train.offsets, saved.train.offsets);
  EXPECT_EQ(loaded.train.items, saved.train.items);
  EXPECT_EQ(loaded.valid.offsets, saved.valid.offsets);
  EXPECT_EQ(loaded.valid.items, saved.valid.items);
  EXPECT_EQ(loaded.test.offsets, saved.test.offsets);
  EXPECT_EQ(loaded.test.items, saved.test.items);
  EXPECT_EQ(loaded.candidates, saved.candidates);
  EXPECT_EQ(loaded.num_candidates, 3);
  EXPECT_EQ(loaded.user_ids.numbers(), saved.user_ids.numbers());
  EXPECT_EQ(loaded.item_ids.bytes(), saved.item_ids.bytes());
  EXPECT_EQ(loaded.item_ids.offsets(), saved.item_ids.offsets());
  EXPECT_EQ(loaded.seed, saved.seed);
  EXPECT_EQ(loaded.options, saved.options);
  EXPECT_EQ(loaded.hash, hash);
  EXPECT_EQ(hash, hash_dataset(saved));
  EXPECT_FALSE(loaded.version.empty());

  save_dataset(loaded, folder / "again");
  EXPECT_EQ(read_text(folder / "d"), read_text(folder / "again"));
}

TEST(Dataset, AnEmptyOneIsLegal) {
  const TestFolder folder;
  save_dataset(Dataset(), folder / "d");
  EXPECT_EQ(load_dataset(folder / "d").num_users(), 0);
}

TEST(Dataset, StatisticsCountAllParts) {
  const TestFolder folder;
  const Statistics figures = statistics(small_dataset());
  EXPECT_EQ(figures.users, 3);
  EXPECT_EQ(figures.items, 6);
  EXPECT_EQ(figures.interactions, 6);
  EXPECT_EQ(figures.train_interactions, 3);
  EXPECT_EQ(figures.valid_users, 1);
  EXPECT_EQ(figures.test_users, 2);
  EXPECT_DOUBLE_EQ(figures.sparsity(), 1.0 - 6.0 / 18.0);
  EXPECT_DOUBLE_EQ(figures.train_sparsity(), 1.0 - 3.0 / 18.0);
  EXPECT_EQ(Statistics().sparsity(), 1.0);

  save_dataset(small_dataset(), folder / "d");
  const auto json =
      nlohmann::json::parse(SafetensorsFile::read(folder / "d").metadata_or("statistics", ""));
  EXPECT_EQ(json.at("interactions"), 6);
  EXPECT_EQ(json.at("train_interactions"), 3);
}

/// A user with two validation items; the test items are one at most.
Dataset several_held_out() {
  Dataset dataset = small_dataset();
  dataset.valid = {{0, 1, 1, 3}, {0, 0, 4}};
  dataset.candidates[6] = 5;  // instead of the third user's item 0
  return dataset;
}

TEST(Dataset, ARowOfSeveralHeldOutItemsMakesRowsInTheFile) {
  const TestFolder folder;
  const Dataset saved = several_held_out();
  save_dataset(saved, folder / "d");
  const SafetensorsFile file = SafetensorsFile::read(folder / "d");
  EXPECT_FALSE(file.contains("valid_item"));
  EXPECT_EQ(file.values<int64_t>("valid_offsets"), saved.valid.offsets);
  EXPECT_EQ(file.values<int32_t>("valid_items"), saved.valid.items);
  EXPECT_EQ(file.values<int32_t>("test_item"), (std::vector<int32_t>{5, 3, -1}));
  EXPECT_FALSE(file.contains("test_offsets"));
  const Dataset loaded = load_dataset(folder / "d");
  EXPECT_EQ(loaded.valid.offsets, saved.valid.offsets);
  EXPECT_EQ(loaded.valid.items, saved.valid.items);
  EXPECT_EQ(loaded.test.offsets, saved.test.offsets);
  const Statistics figures = statistics(loaded);
  EXPECT_EQ(figures.valid_interactions, 3);
  EXPECT_EQ(figures.valid_users, 2);
  EXPECT_TRUE(contains(format_statistics(figures),
                       "users with held-out items: 2 a test item, 2 together 3 validation items"));
}

TEST(Dataset, BothFormsOfAPartOrOfIdsAreRefused) {
  const TestFolder folder;
  const Dataset saved = small_dataset();
  save_dataset(saved, folder / "d");
  const auto with = [&](const char* name, const TensorView& view) {
    const SafetensorsFile file = SafetensorsFile::read(folder / "d");
    TensorMap tensors = file.tensors();
    tensors[name] = view;
    Metadata metadata = file.metadata();
    metadata.erase("hash");
    write_safetensors(folder / "both", tensors, metadata);
    return error_of([&] { load_dataset(folder / "both"); });
  };
  EXPECT_TRUE(contains(with("test_items", tensor_view(saved.test.items)),
                       "both: has both test_item and test_items or test_offsets; keep one form"));
  EXPECT_TRUE(contains(with("valid_offsets", tensor_view(saved.valid.offsets)), "valid_item and"));
  const std::vector<int64_t> ids = {1, 2, 3, 4, 5, 6};
  EXPECT_TRUE(contains(with("item_ids", tensor_view(ids)), "as numbers and as texts; keep one"));
}

// The hash of leave-one-out data sets of earlier versions.
TEST(Dataset, KeepsTheHashOfLeaveOneOut) {
  EXPECT_EQ(hash_dataset(small_dataset()), "4c396dd7c9040db6f5903a10a37003a5");
}

TEST(Dataset, StatisticsPrintLikeTable1) {
  Statistics citeulike{5219, 25181, 125580, 115142, 5219, 5219, 5219, 5219};
  const std::string text = format_statistics(citeulike);
  EXPECT_TRUE(contains(text, "5,219"));
  EXPECT_TRUE(contains(text, "25,181"));
  EXPECT_TRUE(contains(text, "125,580"));
  EXPECT_TRUE(contains(text, "115,142"));
  EXPECT_TRUE(contains(text, "99.904%"));
  EXPECT_EQ(text.back(), '\n');
}

struct Fault {
  const char* name;
  std::function<void(Dataset&)> plant;
  const char* message;
};

class InvalidDataset : public testing::TestWithParam<Fault> {};

TEST_P(InvalidDataset, IsRefusedAndNotWritten) {
  const TestFolder folder;
  Dataset dataset = small_dataset();
  ASSERT_NO_THROW(validate(dataset, "good"));
  GetParam().plant(dataset);
  const std::string message = error_of([&] { validate(dataset, "some.file"); });
  EXPECT_TRUE(contains(message, "some.file: "));
  EXPECT_TRUE(contains(message, GetParam().message));
  EXPECT_THROW(save_dataset(dataset, folder / "d"), Error);
  EXPECT_TRUE(folder.names().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Faults, InvalidDataset,
    testing::Values(
        Fault{"OffsetsStart", [](Dataset& d) { d.train.offsets[0] = 1; }, "train_offsets"},
        Fault{"OffsetsFall", [](Dataset& d) { d.train.offsets[1] = 4; }, "train_offsets"},
        Fault{"OffsetsEnd", [](Dataset& d) { d.train.offsets[3] = 2; }, "train_offsets"},
        Fault{"NoOffsets", [](Dataset& d) { d.train.offsets.clear(); }, "train_offsets"},
        Fault{"ItemTooLarge", [](Dataset& d) { d.train.items[1] = 6; },
              "user 0: there is no item 6"},
        Fault{"ItemNegative", [](Dataset& d) { d.train.items[2] = -1; },
              "user 1: there is no item -1"},
        Fault{"Descending", [](Dataset& d) { d.train.items[0] = 5; }, "not ascending"},
        Fault{"Repeated", [](Dataset& d) { d.train.items[0] = 4; }, "not ascending"},
        Fault{"ValidTrained", [](Dataset& d) { d.valid.items[0] = 4; }, "held-out item 4"},
        Fault{"TestTrained", [](Dataset& d) { d.test.items[0] = 1; }, "held-out item 1"},
        Fault{"TestTooLarge",
              [](Dataset& d) {
                d.test = {{0, 1, 1, 2}, {5, 6}};
              },
              "user 2: there is no item 6"},
        Fault{"ValidTooSmall", [](Dataset& d) { d.valid.items[0] = -2; }, "there is no item -2"},
        Fault{"ValidIsTest",
              [](Dataset& d) {
                d.valid = {{0, 1, 2, 2}, {0, 3}};
              },
              "both validation and test"},
        Fault{"ValidDescends",
              [](Dataset& d) {
                d.valid = {{0, 0, 2, 2}, {5, 0}};
              },
              "its valid items are not ascending"},
        Fault{"TestTwice",
              [](Dataset& d) {
                d.test = {{0, 0, 2, 2}, {5, 5}};
              },
              "its test items are not ascending"},
        Fault{"SecondTestTrained",
              [](Dataset& d) {
                d.test = {{0, 2, 2, 2}, {3, 4}};
              },
              "held-out item 4"},
        Fault{"CandidateIsSecondTest",
              [](Dataset& d) {
                d.test = {{0, 2, 2, 2}, {2, 5}};
              },
              "candidate 2"},
        Fault{"ValidOffsetsEnd", [](Dataset& d) { d.valid.offsets[3] = 2; }, "valid_offsets"},
        Fault{"TestOffsetsFall", [](Dataset& d) { d.test.offsets[1] = 3; }, "test_offsets"},
        Fault{"FewValid", [](Dataset& d) { d.valid.offsets.pop_back(); }, "2 rows of validation"},
        Fault{"FewTest", [](Dataset& d) { d.test.offsets.pop_back(); }, "2 of test items"},
        Fault{"CandidateTwice", [](Dataset& d) { d.candidates[1] = 3; },
              "a candidate occurs twice"},
        Fault{"CandidateTrained", [](Dataset& d) { d.candidates[1] = 4; }, "candidate 4"},
        Fault{"CandidateIsTest", [](Dataset& d) { d.candidates[1] = 5; }, "candidate 5"},
        Fault{"CandidateIsValid", [](Dataset& d) { d.candidates[0] = 0; }, "candidate 0"},
        Fault{"CandidateTooLarge", [](Dataset& d) { d.candidates[8] = 6; },
              "user 2: there is no item 6"},
        Fault{"CandidateNegative", [](Dataset& d) { d.candidates[8] = -2; }, "there is no item -2"},
        Fault{"PaddingFirst", [](Dataset& d) { d.candidates[1] = -1, d.candidates[2] = 3; },
              "follows the padding"},
        Fault{"FewCandidates", [](Dataset& d) { d.candidates.pop_back(); }, "not a matrix"},
        Fault{"WrongWidth", [](Dataset& d) { d.num_candidates = 2; }, "not a matrix"},
        Fault{"FewUserIds",
              [](Dataset& d) {
                d.user_ids = IdTable({1, 2});
              },
              "3 users but 2 user ids"},
        Fault{"FewItemIds", [](Dataset& d) { d.item_ids = IdTable::identity(5); },
              "there is no item 5"}),
    [](const auto& fault) { return fault.param.name; });

TEST(Dataset, RejectsADamagedFile) {
  const TestFolder folder;
  save_dataset(small_dataset(), folder / "d");
  const std::string file = read_text(folder / "d");
  // Within the bytes of an item's id: valid in itself.
  std::string changed = flipped(file, 8 * file.size() - 8);
  expect_error([&] { load_dataset(folder.write("e", changed)); }, "is damaged");
  // Without a hash of the file, that of the tensors is still checked.
  changed.replace(changed.find("file_hash"), 9, "some_hash");
  expect_error([&] { load_dataset(folder.write("e", changed)); }, "do not have the hash");
}

TEST(Dataset, EveryFlippedBitIsRefusedOrDoesNoHarm) {
  const TestFolder folder;
  save_dataset(small_dataset(), folder / "d");
  const Dataset original = load_dataset(folder / "d");
  const std::string file = read_text(folder / "d");
  size_t refused = 0;
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    const std::string text = flipped(file, bit);
    const auto bytes = std::as_bytes(std::span(text));
    try {
      const SafetensorsFile parsed = SafetensorsFile::parse({bytes.begin(), bytes.end()}, "d");
      const Dataset dataset = load_dataset(parsed);
      EXPECT_EQ(dataset.hash, original.hash) << bit;
      EXPECT_EQ(dataset.options, original.options) << bit;
      EXPECT_EQ(dataset.seed, original.seed) << bit;
      EXPECT_EQ(parsed.metadata_or("statistics", ""),
                SafetensorsFile::read(folder / "d").metadata_or("statistics", ""))
          << bit;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 8 * file.size() - 100);
}

TEST(Dataset, RejectsOtherFiles) {
  const TestFolder folder;
  write_safetensors(folder / "m", {}, {{"format", "derrd-model"}});
  expect_error([&] { load_dataset(folder / "m"); },
               "is no data set (its format is \"derrd-model\")");
  write_safetensors(folder / "n", {}, {});
  expect_error([&] { load_dataset(folder / "n"); }, "derrd prepare");
  write_safetensors(folder / "o", {}, {{"format", "derrd-dataset"}});
  expect_error([&] { load_dataset(folder / "o"); }, "has no tensor");
}

TEST(InteractionRows, Contains) {
  const InteractionRows rows{{0, 2, 2}, {3, 9}};
  EXPECT_TRUE(rows.contains(0, 3));
  EXPECT_TRUE(rows.contains(0, 9));
  EXPECT_FALSE(rows.contains(0, 4));
  EXPECT_FALSE(rows.contains(1, 3));
}

}  // namespace
}  // namespace derrd::test::dataset_test
