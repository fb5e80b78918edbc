#include "data/formats/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/files.h"

namespace derrd::test::safetensors_test {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// A file of this header and data.
std::string file_of(std::string_view header, std::string_view data = "") {
  const uint64_t size = header.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof size);
  return file.append(header).append(data);
}

SafetensorsFile parse(const std::string& file) {
  return SafetensorsFile::parse(bytes_of(file), "some.file");
}

void refused(const std::string& file, std::string_view part) {
  const std::string message = error_of([&] { parse(file); });
  EXPECT_TRUE(contains(message, "some.file: "));
  EXPECT_TRUE(contains(message, part));
}

TEST(Safetensors, RoundTrip) {
  const TestFolder folder;
  const std::vector<float> floats{1.5f,   -2.0f, 0.0f, std::numeric_limits<float>::infinity(),
                                  1e-40f, 3.0f};
  const std::vector<int32_t> integers{-1, 2, 3};
  const std::vector<int64_t> longs{int64_t{1} << 40};
  const std::vector<uint8_t> nothing;
  const Metadata metadata{{"b", "x \"y\" \n\t"}, {"a", "\xC3\xA4"}};
  write_safetensors(folder / "f",
                    {{"floats", tensor_view(std::span(floats), {2, 3})},
                     {"integers", tensor_view(integers)},
                     {"longs", tensor_view(std::span(longs), {})},
                     {"nothing", tensor_view(std::span(nothing), {0, 7})}},
                    metadata);

  const SafetensorsFile file = SafetensorsFile::read(folder / "f");
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.values<float>("floats"), floats);
  EXPECT_EQ(file.floats("floats"), floats);
  EXPECT_EQ(file.tensor("floats").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.values<int32_t>("integers"), integers);
  EXPECT_EQ(file.values<int64_t>("longs"), longs);
  EXPECT_TRUE(file.tensor("longs").shape.empty());
  EXPECT_EQ(file.tensor("longs").elements(), 1);
  EXPECT_EQ(file.tensor("nothing").shape, (std::vector<int64_t>{0, 7}));
  EXPECT_EQ(file.metadata_or("a", "none"), "\xC3\xA4");
  EXPECT_EQ(file.metadata_or("c", "none"), "none");
}

/// A small file as write_safetensors() writes it.
std::string written_file() {
  const TestFolder folder;
  const std::vector<float> values{1.5f, -2};
  const std::vector<uint8_t> bytes{7, 0, 255};
  write_safetensors(folder / "f", {{"x", tensor_view(values)}, {"y", tensor_view(bytes)}},
                    {{"key", "value"}, {"options", R"({"dim":8})"}});
  return read_text(folder / "f");
}

TEST(Safetensors, EveryFlippedBitIsNoticed) {
  const std::string whole = written_file();
  const SafetensorsFile original = parse(whole);
  EXPECT_TRUE(original.has_hash());
  size_t refusals = 0;
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    SCOPED_TRACE(bit);
    try {
      const SafetensorsFile file = parse(flipped(whole, bit));
      Metadata metadata = file.metadata();
      if (!file.has_hash()) {  // the key itself was hit: another one is in its place
        EXPECT_EQ(std::erase_if(metadata, [](const auto& m) { return m.second.size() == 32; }), 1u);
      }
      EXPECT_EQ(metadata, original.metadata());
      EXPECT_EQ(hash_tensors(file.tensors()), hash_tensors(original.tensors()));
    } catch (const Error& error) {
      EXPECT_TRUE(contains(error.what(), "some.file: "));
      ++refusals;
    }
  }
  EXPECT_GT(refusals, 8 * whole.size() - 100);  // the others hit that key
}

TEST(Safetensors, TheHashIsOfAllButItself) {
  const std::string whole = written_file();
  // As Python's xxhash computes it by the definition in data/README.md.
  EXPECT_TRUE(contains(whole, R"("file_hash":"3a472672e70ca7a2d5086521d26b1367")"));
  // A file of another program has none, and is read.
  const size_t key = whole.find("file_hash");
  std::string foreign = whole;
  foreign.replace(key, 9, "some_hash");
  EXPECT_FALSE(parse(foreign).has_hash());
  EXPECT_TRUE(parse(foreign).metadata().contains("some_hash"));
  foreign[foreign.find("value")] = 'V';
  EXPECT_EQ(parse(foreign).metadata_or("key", ""), "Value");
  // The same change of a file with a hash is refused, with both cures.
  std::string changed = whole;
  changed[changed.find("value")] = 'V';
  refused(changed, "is damaged, or another program changed it");
  refused(changed, "remove file_hash from its metadata if the change was meant");
}

TEST(Safetensors, AHashAmongTheMetadataIsReplaced) {
  const TestFolder folder;
  write_safetensors(folder / "1", {}, {{"key", "value"}});
  write_safetensors(folder / "2", {}, {{"file_hash", "of another file"}, {"key", "value"}});
  EXPECT_EQ(read_text(folder / "1"), read_text(folder / "2"));
  const SafetensorsFile file = SafetensorsFile::read(folder / "2");
  EXPECT_TRUE(file.has_hash());
  EXPECT_EQ(file.metadata(), (Metadata{{"key", "value"}}));
}

TEST(Safetensors, EveryTensorIsAlignedAndTheBytesAreDeterministic) {
  const TestFolder folder;
  const std::vector<uint8_t> a{1, 2, 3};
  const std::vector<int32_t> b{4};
  const std::vector<int64_t> c{5, 6};
  const TensorMap tensors{{"a", tensor_view(a)}, {"b", tensor_view(b)}, {"c", tensor_view(c)}};
  write_safetensors(folder / "1", tensors, {{"k", "v"}});
  write_safetensors(folder / "2", tensors, {{"k", "v"}});
  EXPECT_EQ(read_text(folder / "1"), read_text(folder / "2"));

  const std::string file = read_text(folder / "1");
  uint64_t header_size = 0;
  std::memcpy(&header_size, file.data(), sizeof header_size);
  EXPECT_EQ(header_size % 8, 0u);
  EXPECT_TRUE(contains(file, R"("k":"v"},"a":{"data_offsets":[20,23],"dtype":"U8","shape":[3]},)"
                             R"("b":{"data_offsets":[16,20],"dtype":"I32","shape":[1]},)"
                             R"("c":{"data_offsets":[0,16],"dtype":"I64","shape":[2]}})"));
}

TEST(Safetensors, WritingFailsWithoutATrace) {
  const TestFolder folder;
  const std::vector<float> three(3);
  TensorView wrong = tensor_view(three);
  wrong.shape = {4};
  expect_error([&] { write_safetensors(folder / "f", {{"w", wrong}}, {}); }, "\"w\"");
  for (const char* name : {"__metadata__", "caf\xE9"}) {
    expect_error(
        [&] {
          write_safetensors(folder / "f", {{name, tensor_view(three)}}, {});
        },
        "no tensor can be called");
  }
  EXPECT_TRUE(folder.names().empty());
  expect_error([&] { write_safetensors(folder / "none/f", {}, {}); }, "create the folder");
  EXPECT_THROW(tensor_view(std::span(three), {2, 2}), Error);
  EXPECT_THROW(tensor_view(std::span(three), {-3, -1}), Error);
}

TEST(Safetensors, MetadataThatIsNoUtf8IsStillWritten) {
  const TestFolder folder;
  write_safetensors(folder / "f", {}, {{"input", "caf\xE9"}});
  EXPECT_EQ(SafetensorsFile::read(folder / "f").metadata_or("input", ""), "caf\xEF\xBF\xBD");
}

TEST(Safetensors, HalvesConvertExactly) {
  // Bit patterns and values from IEEE 754 binary16, and the upper half of binary32.
  const std::vector<std::pair<uint16_t, float>> halves{
      {0x0000, 0.0f},     {0x3C00, 1.0f},     {0xC000, -2.0f},           {0x7BFF, 65504.0f},
      {0x0400, 0x1p-14f}, {0x0001, 0x1p-24f}, {0x03FF, 1023 * 0x1p-24f}, {0x3555, 0.333251953125f}};
  std::string half_data, brain_data;
  for (const auto& [bits, value] : halves) {
    half_data.append(reinterpret_cast<const char*>(&bits), 2);
  }
  for (uint16_t bits : {0x3F80, 0xC049, 0x7F80}) {
    brain_data.append(reinterpret_cast<const char*>(&bits), 2);
  }
  const uint16_t specials[] = {0x7C00, 0xFC00, 0x7E00, 0x8000};
  const std::string special_data(reinterpret_cast<const char*>(specials), 8);
  const SafetensorsFile file =
      parse(file_of(R"({"h":{"dtype":"F16","shape":[8],"data_offsets":[0,16]},)"
                    R"("s":{"dtype":"F16","shape":[4],"data_offsets":[16,24]},)"
                    R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[24,30]}})",
                    half_data + special_data + brain_data));
  const std::vector<float> converted = file.floats("h");
  for (size_t k = 0; k < halves.size(); ++k) EXPECT_EQ(converted[k], halves[k].second) << k;
  const std::vector<float> special = file.floats("s");
  EXPECT_EQ(special[0], std::numeric_limits<float>::infinity());
  EXPECT_EQ(special[1], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(special[2]));
  EXPECT_TRUE(special[3] == 0.0f && std::signbit(special[3]));
  EXPECT_EQ(file.floats("b"),
            (std::vector<float>{1.0f, -3.140625f, std::numeric_limits<float>::infinity()}));
}

TEST(Safetensors, AsksForTheRightTensor) {
  const SafetensorsFile file =
      parse(file_of(R"({"x":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})", "abcd"));
  EXPECT_TRUE(file.contains("x"));
  EXPECT_FALSE(file.contains("y"));
  expect_error([&] { file.tensor("y"); }, R"(some.file: has no tensor "y"; it has "x")");
  expect_error([&] { file.values<int64_t>("x"); }, "is I32 instead of I64");
  expect_error([&] { file.floats("x"); }, "is I32 instead of F32, F16 or BF16");
}

TEST(Safetensors, HeadersMayComeInAnyOrderAndPadded) {
  const SafetensorsFile file =
      parse(file_of(R"({"b":{"shape":[2],"data_offsets":[1,3],"dtype":"U8"},)"
                    R"("a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}  )",
                    std::string("\1\2\3", 3)));
  EXPECT_EQ(file.values<uint8_t>("b"), (std::vector<uint8_t>{2, 3}));
  EXPECT_TRUE(parse(file_of("{}")).tensors().empty());
}

TEST(Safetensors, RejectsTruncatedFiles) {
  const std::string whole =
      file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "01234567");
  ASSERT_NO_THROW(parse(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parse(whole.substr(0, size)), Error) << size;
  }
  refused(whole.substr(0, whole.size() - 1), "truncated");
  refused(whole.substr(0, 20), "truncated");
  refused(whole + "8", "1 bytes after its last tensor");
}

TEST(Safetensors, RejectsMissingFilesAndFolders) {
  const TestFolder folder;
  expect_error([&] { SafetensorsFile::read(folder / "none"); }, "no such file");
  expect_error([&] { SafetensorsFile::read(folder.path()); }, "not a regular file");
}

TEST(Safetensors, RejectsHeadersLongerThanTheFileOr100MB) {
  std::string file = file_of("{}");
  for (const auto& [size, part] : {std::pair<uint64_t, const char*>{3, "truncated"},
                                   {100'000'000, "truncated"},
                                   {100'000'001, "100000001 bytes long"},
                                   {uint64_t{1} << 63, "no safetensors file"},
                                   {UINT64_MAX, "no safetensors file"}}) {
    std::memcpy(file.data(), &size, sizeof size);
    refused(file, part);
  }
}

struct Refused {
  const char* name;
  std::string file;
  const char* reason;
};
class RefusedHeader : public testing::TestWithParam<Refused> {};

TEST_P(RefusedHeader, IsRefusedWithItsReason) { refused(GetParam().file, GetParam().reason); }

std::string refused_name(const testing::TestParamInfo<Refused>& info) { return info.param.name; }

/// A file with a header of 1,000,000 characters: the text, and opening brackets behind it.
std::string deep(std::string text) {
  text.resize(1'000'000, '[');
  return file_of(text);
}

INSTANTIATE_TEST_SUITE_P(
    Json, RefusedHeader,
    testing::Values(
        Refused{"Empty", file_of(""), "not a JSON object"},
        Refused{"ZeroByte", file_of(std::string("{}\0", 3)), "a zero byte"},
        Refused{"Array", file_of("[]"), "not a JSON object"},
        Refused{"SpaceFirst", file_of(" {}"), "not a JSON object"},
        Refused{"Open", file_of("{"), "not valid JSON"},
        Refused{"Two", file_of("{} {}"), "not valid JSON"},
        Refused{"NoValue", file_of("{\"a\":}"), "not valid JSON"},
        Refused{"NoUtf8", file_of("{\"\xFF\":1}"), "not valid JSON"},
        Refused{"NullTensor", file_of(R"({"x":null})"), "null where"},
        Refused{"BooleanTensor", file_of(R"({"x":true})"), "a boolean where"},
        Refused{"NumberTensor", file_of(R"({"x":1})"), "the number 1 where"},
        Refused{"StringTensor", file_of(R"({"x":"y"})"), "the string \"y\" where"},
        Refused{"ArrayTensor", file_of(R"({"x":[]})"), "an array where"},
        Refused{"EmptyTensor", file_of(R"({"x":{}})"), "lacks dtype, shape or data_offsets"},
        Refused{"NumberMetadata", file_of(R"({"__metadata__":{"a":1}})"), "the number 1 where"},
        Refused{"ObjectMetadata", file_of(R"({"__metadata__":{"a":{}}})"), "an object where"},
        Refused{"KeyTwice", file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), "key \"a\" twice"},
        Refused{"MetadataTwice", file_of(R"({"__metadata__":{},"__metadata__":{}})"),
                "key \"__metadata__\" twice"},
        Refused{"TensorTwice",
                file_of(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                        R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
                "key \"x\" twice"},
        Refused{"DeepTensor", deep("{\"x\":"), "an array where"},
        Refused{"DeepShape", deep("{\"x\":{\"shape\":"), "an array where"}),
    refused_name);

/// A file of one tensor "x" with these fields, and of 8 bytes of data.
std::string tensor_of(std::string_view fields) {
  return file_of(fmt::format(R"({{"x":{{{}}}}})", fields), "01234567");
}
/// A file of one tensor of float32, with its offsets right.
std::string floats_of(std::string_view shape) {
  return tensor_of(fmt::format(R"("dtype":"F32","shape":{},"data_offsets":[0,8])", shape));
}

INSTANTIATE_TEST_SUITE_P(
    Tensor, RefusedHeader,
    testing::Values(
        Refused{"UnknownType", tensor_of(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"),
                "unknown dtype \"F33\""},
        Refused{"NumberType", tensor_of(R"("dtype":1,"shape":[2],"data_offsets":[0,8])"),
                "the number 1 where"},
        Refused{"TypeTwice", tensor_of(R"("dtype":"F32","dtype":"F32")"), "\"dtype\" twice"},
        Refused{"ShapeTwice", tensor_of(R"("shape":[2],"shape":[2])"), "\"shape\" twice"},
        Refused{"OffsetsTwice", tensor_of(R"("data_offsets":[0,8],"data_offsets":[0,8])"),
                "\"data_offsets\" twice"},
        Refused{"MoreFields",
                tensor_of(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1)"),
                "unknown field \"extra\""},
        Refused{"NoOffsets", tensor_of(R"("dtype":"F32","shape":[2])"), "lacks"},
        Refused{"NoShape", tensor_of(R"("dtype":"F32","data_offsets":[0,8])"), "lacks"},
        Refused{"NoType", tensor_of(R"("shape":[2],"data_offsets":[0,8])"), "lacks"},
        Refused{"NegativeShape", floats_of("[-2]"), "negative number -2"},
        Refused{"FractionShape", floats_of("[2.0]"), "the number"},
        Refused{"NestedShape", floats_of("[[2]]"), "an array where"},
        Refused{"StringShape", floats_of("[\"2\"]"), "the string"},
        Refused{"NumberShape", floats_of("2"), "the number 2 where"},
        Refused{"LargerShape", floats_of("[3]"), "do not fill its shape"},
        Refused{"LargerType", tensor_of(R"("dtype":"F64","shape":[2],"data_offsets":[0,8])"),
                "do not fill its shape"},
        Refused{"MuchLargerShape", floats_of("[1099511627776]"), "do not fill its shape"},
        Refused{"ElementsOverflow",
                tensor_of(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"),
                "do not fill its shape"},
        Refused{"BytesOverflow",
                tensor_of(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])"),
                "do not fill its shape"},
        Refused{"BytesWrapAround",
                tensor_of(R"("dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8])"),
                "do not fill its shape"},
        Refused{"Beyond63Bits", floats_of("[9223372036854775808]"), "the number"},
        Refused{"Beyond64Bits", floats_of("[99999999999999999999]"), "the number"}),
    refused_name);

/// A file of one tensor of bytes, over 8 bytes of data.
std::string bytes_at(std::string_view shape, std::string_view offsets) {
  return tensor_of(fmt::format(R"("dtype":"U8","shape":{},"data_offsets":{})", shape, offsets));
}
/// A file of two tensors of bytes, from `begin` to `end` each.
std::string two_at(int begin1, int end1, int begin2, int end2) {
  const auto fields = [](int begin, int end) {
    return fmt::format(R"({{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", end - begin,
                       begin, end);
  };
  return file_of(fmt::format(R"({{"x":{},"y":{}}})", fields(begin1, end1), fields(begin2, end2)),
                 "01234567");
}

INSTANTIATE_TEST_SUITE_P(
    Offsets, RefusedHeader,
    testing::Values(
        Refused{"Backwards", bytes_at("[8]", "[8,0]"), "ends at 0 before it begins at 8"},
        Refused{"BehindTheEnd", bytes_at("[9]", "[0,9]"), "ends at byte 9, the data at 8"},
        Refused{"FarBehindTheEnd", bytes_at("[0]", "[9223372036854775807,9223372036854775807]"),
                "the data at 8"},
        Refused{"One", bytes_at("[8]", "[0]"), "has 1 data_offsets"},
        Refused{"Three", bytes_at("[8]", "[0,8,8]"), "has 3 data_offsets"},
        Refused{"None", bytes_at("[8]", "[]"), "has 0 data_offsets"},
        Refused{"HoleBefore", bytes_at("[7]", "[1,8]"), "there is a hole before it"},
        Refused{"HoleBehind", bytes_at("[7]", "[0,7]"), "1 bytes after its last tensor"},
        Refused{"Overlap", two_at(0, 5, 4, 8), "it overlaps another one"},
        Refused{"SameBytes", two_at(0, 8, 0, 8), "it overlaps another one"},
        Refused{"HoleBetween", two_at(0, 3, 4, 8), "there is a hole"}),
    refused_name);

TEST(Safetensors, HashTellsContentsApart) {
  const std::vector<int32_t> ab{1, 2};
  const std::vector<int32_t> ba{2, 1};
  const std::vector<uint32_t> unsigned_ab{1, 2};  // the same bytes in the same shape
  const std::string hash = hash_tensors({{"x", tensor_view(ab)}});
  EXPECT_EQ(hash.size(), 32u);
  EXPECT_EQ(hash, hash_tensors({{"x", tensor_view(ab)}}));
  EXPECT_NE(hash, hash_tensors({{"x", tensor_view(ba)}}));
  EXPECT_NE(hash, hash_tensors({{"y", tensor_view(ab)}}));
  EXPECT_NE(hash, hash_tensors({{"x", tensor_view(unsigned_ab)}}));
  EXPECT_NE(hash, hash_tensors({{"x", tensor_view(std::span(ab), {1, 2})}}));
  EXPECT_NE(hash_tensors({{"x", tensor_view(std::span(ab), {2, 1})}}),
            hash_tensors({{"x", tensor_view(std::span(ab), {1, 2})}}));
  EXPECT_NE(hash, hash_tensors({}));
  // The definition, so that it can't change unnoticed: files carry it.
  EXPECT_EQ(hash_tensors({}), "99aa06d3014798d86001c324468d497f");  // XXH3-128 of nothing
}

TEST(Safetensors, PythonOpensIt) {
  if (!python_has("numpy, safetensors.numpy")) GTEST_SKIP() << "pip install numpy safetensors";
  const TestFolder folder;
  const std::vector<float> floats{1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> longs{-5, int64_t{1} << 40};
  const std::vector<uint8_t> odd{7, 8, 9};
  const std::vector<int32_t> nothing;
  write_safetensors(folder / "f.safetensors",
                    {{"floats", tensor_view(std::span(floats), {2, 3})},
                     {"longs", tensor_view(longs)},
                     {"odd", tensor_view(odd)},
                     {"nothing", tensor_view(std::span(nothing), {0, 4})}},
                    {{"format", "test \xC3\xA4"}});
  run_python(folder, R"(
import sys, numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
d = load_file(sys.argv[1] + '/f.safetensors')
assert d['floats'].tolist() == [[1, 2, 3], [4, 5, 6]] and d['floats'].dtype == np.float32
assert d['longs'].tolist() == [-5, 2**40] and d['longs'].dtype == np.int64
assert d['odd'].tolist() == [7, 8, 9] and d['nothing'].shape == (0, 4)
with safe_open(sys.argv[1] + '/f.safetensors', 'np') as f:
    assert f.metadata()['format'] == 'test \u00e4'
    assert sorted(f.metadata()) == ['file_hash', 'format']
save_file({'half': np.array([[0.5, -2.0]], np.float16), 'b': np.arange(3, dtype=np.int32)},
          sys.argv[1] + '/g.safetensors', {'made': 'by Python'})
)");
  const SafetensorsFile file = SafetensorsFile::read(folder / "g.safetensors");
  EXPECT_EQ(file.floats("half"), (std::vector<float>{0.5f, -2.0f}));
  EXPECT_EQ(file.values<int32_t>("b"), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(file.metadata_or("made", ""), "by Python");
}

}  // namespace
}  // namespace derrd::test::safetensors_test
