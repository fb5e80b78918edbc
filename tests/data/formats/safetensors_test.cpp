#include "data/formats/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/data/testing_files.h"

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

/// The refusal of a file, which has to name it.
std::string refusal(const std::string& file) {
  const std::string message = error_of([&] { parse(file); });
  EXPECT_TRUE(contains(message, "some.file: "));
  return message;
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

TEST(Safetensors, MetadataAreReadWithoutTheTensors) {
  const TestFolder folder;
  const std::vector<float> values(1000, 1.5f);
  const Metadata metadata{{"a", "b"}};
  write_safetensors(folder / "f", {{"x", tensor_view(values)}}, metadata);
  EXPECT_EQ(read_metadata(folder / "f"), metadata);

  const std::string whole = contents(folder / "f");
  const auto refusal_of = [&](std::string_view name, std::string_view text) {
    folder.write(name, text);
    return error_of([&] { read_metadata(folder / name); });
  };
  EXPECT_TRUE(contains(refusal_of("short", whole.substr(0, whole.size() - 1)), "truncated"));
  EXPECT_TRUE(contains(refusal_of("header", whole.substr(0, 40)), "truncated"));
  EXPECT_TRUE(contains(refusal_of("empty", ""), "too few"));
  EXPECT_TRUE(contains(refusal_of("long", whole + "x"), "1 bytes after its last tensor"));
  EXPECT_TRUE(contains(refusal_of("text", std::string(300, 'x')), "looks like text"));
}

TEST(Safetensors, EveryTensorIsAlignedAndTheBytesAreDeterministic) {
  const TestFolder folder;
  const std::vector<uint8_t> a{1, 2, 3};
  const std::vector<int32_t> b{4};
  const std::vector<int64_t> c{5, 6};
  const TensorMap tensors{{"a", tensor_view(a)}, {"b", tensor_view(b)}, {"c", tensor_view(c)}};
  write_safetensors(folder / "1", tensors, {{"k", "v"}});
  write_safetensors(folder / "2", tensors, {{"k", "v"}});
  EXPECT_EQ(contents(folder / "1"), contents(folder / "2"));

  const std::string file = contents(folder / "1");
  uint64_t header_size = 0;
  std::memcpy(&header_size, file.data(), sizeof header_size);
  EXPECT_EQ(header_size % 8, 0u);
  EXPECT_TRUE(contains(
      file, R"({"__metadata__":{"k":"v"},"a":{"data_offsets":[20,23],"dtype":"U8","shape":[3]},)"
            R"("b":{"data_offsets":[16,20],"dtype":"I32","shape":[1]},)"
            R"("c":{"data_offsets":[0,16],"dtype":"I64","shape":[2]}})"));
}

TEST(Safetensors, WritingFailsWithoutATrace) {
  const TestFolder folder;
  const std::vector<float> three(3);
  TensorView wrong = tensor_view(three);
  wrong.shape = {4};
  EXPECT_TRUE(contains(error_of([&] {
                         write_safetensors(folder / "f", {{"w", wrong}}, {});
                       }),
                       "\"w\""));
  EXPECT_TRUE(folder.names().empty());
  EXPECT_TRUE(contains(error_of([&] { write_safetensors(folder / "none" / "f", {}, {}); }),
                       "create the folder"));
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
  EXPECT_TRUE(
      contains(error_of([&] { file.tensor("y"); }), R"(some.file: has no tensor "y"; it has "x")"));
  EXPECT_TRUE(contains(error_of([&] { file.values<int64_t>("x"); }), "is I32 instead of I64"));
  EXPECT_TRUE(contains(error_of([&] { file.floats("x"); }), "is I32 instead of F32, F16 or BF16"));
}

TEST(Safetensors, HeadersMayComeInAnyOrderAndPadded) {
  const SafetensorsFile file =
      parse(file_of(R"({"b":{"shape":[2],"data_offsets":[1,3],"dtype":"U8"},)"
                    R"("a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}  )",
                    std::string("\1\2\3", 3)));
  EXPECT_EQ(file.values<uint8_t>("b"), (std::vector<uint8_t>{2, 3}));
  EXPECT_TRUE(parse(file_of("{}")).tensors().empty());
}

TEST(Safetensors, RefusesTruncatedFiles) {
  const std::string whole =
      file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "01234567");
  ASSERT_NO_THROW(parse(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parse(whole.substr(0, size)), Error) << size;
  }
  EXPECT_TRUE(contains(refusal(whole.substr(0, whole.size() - 1)), "truncated"));
  EXPECT_TRUE(contains(refusal(whole.substr(0, 20)), "truncated"));
  EXPECT_TRUE(contains(refusal(whole + "8"), "1 bytes after its last tensor"));
}

TEST(Safetensors, MetadataIsReadFromWholeFilesOnly) {
  const TestFolder folder;
  const std::vector<float> values{1, 2, 3};
  const Metadata metadata{{"a", "b"}};
  write_safetensors(folder / "f", {{"values", tensor_view(values)}}, metadata);
  EXPECT_EQ(read_metadata(folder / "f"), metadata);
  const auto size = std::filesystem::file_size(folder / "f");
  for (const uintmax_t cut :
       {size - 1, size - 12, size - 13, uintmax_t{8}, uintmax_t{7}, uintmax_t{0}}) {
    std::filesystem::resize_file(folder / "f", cut);
    EXPECT_THROW(read_metadata(folder / "f"), Error) << cut;
  }
  EXPECT_THROW(read_metadata(folder / "none"), Error);
}

TEST(Safetensors, RefusesMissingFilesAndFolders) {
  const TestFolder folder;
  EXPECT_TRUE(contains(error_of([&] { SafetensorsFile::read(folder / "none"); }), "no such file"));
  EXPECT_TRUE(
      contains(error_of([&] { SafetensorsFile::read(folder.path()); }), "not a regular file"));
}

TEST(Safetensors, RefusesHeadersLongerThanTheFileOr100MB) {
  std::string file = file_of("{}");
  for (const auto& [size, part] : {std::pair<uint64_t, const char*>{3, "truncated"},
                                   {100'000'000, "truncated"},
                                   {100'000'001, "100000001 bytes long"},
                                   {uint64_t{1} << 63, "no safetensors file"},
                                   {UINT64_MAX, "no safetensors file"}}) {
    std::memcpy(file.data(), &size, sizeof size);
    EXPECT_TRUE(contains(refusal(file), part));
  }
}

/// A header of one tensor "x" over 8 bytes of data.
std::string tensor_file(std::string_view fields) {
  return file_of(fmt::format(R"({{"x":{{{}}}}})", fields), "01234567");
}

struct Refused {
  std::string file;
  std::string reason;
};

class RefusedHeader : public testing::TestWithParam<Refused> {};

TEST_P(RefusedHeader, IsRefusedWithItsReason) {
  EXPECT_TRUE(contains(refusal(GetParam().file), GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Json, RefusedHeader,
    testing::Values(
        Refused{file_of(""), "not a JSON object"}, Refused{file_of("[]"), "not a JSON object"},
        Refused{file_of(" {}"), "not a JSON object"}, Refused{file_of("{"), "not valid JSON"},
        Refused{file_of("{} {}"), "not valid JSON"}, Refused{file_of("{\"a\":}"), "not valid JSON"},
        Refused{file_of("{\"\xFF\":1}"), "not valid JSON"},
        Refused{file_of(R"({"x":null})"), "null where"},
        Refused{file_of(R"({"x":true})"), "a boolean where"},
        Refused{file_of(R"({"x":1})"), "the number 1 where"},
        Refused{file_of(R"({"x":"y"})"), "the string \"y\" where"},
        Refused{file_of(R"({"x":[]})"), "an array where"},
        Refused{file_of(R"({"x":{}})"), "lacks dtype, shape or data_offsets"},
        Refused{file_of(R"({"__metadata__":{"a":1}})"), "the number 1 where"},
        Refused{file_of(R"({"__metadata__":{"a":{}}})"), "an object where"},
        Refused{file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), "key \"a\" twice"},
        Refused{file_of(R"({"__metadata__":{},"__metadata__":{}})"), "key \"__metadata__\" twice"},
        Refused{file_of(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                        R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
                "key \"x\" twice"},
        Refused{"\x40\x42\x0F" + std::string(5, '\0') + "{\"x\":" + std::string(1'000'000 - 5, '['),
                "an array where"},
        Refused{"\x40\x42\x0F" + std::string(5, '\0') +
                    "{\"x\":{\"shape\":" + std::string(1'000'000 - 14, '['),
                "an array where"}));

INSTANTIATE_TEST_SUITE_P(
    Tensor, RefusedHeader,
    testing::Values(
        Refused{tensor_file(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"),
                "unknown dtype \"F33\""},
        Refused{tensor_file(R"("dtype":1,"shape":[2],"data_offsets":[0,8])"), "the number 1 where"},
        Refused{tensor_file(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
                "\"dtype\" twice"},
        Refused{tensor_file(R"("dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8])"),
                "\"shape\" twice"},
        Refused{
            tensor_file(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offsets":[0,8])"),
            "\"data_offsets\" twice"},
        Refused{tensor_file(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1)"),
                "unknown field \"extra\""},
        Refused{tensor_file(R"("dtype":"F32","shape":[2])"), "lacks"},
        Refused{tensor_file(R"("dtype":"F32","data_offsets":[0,8])"), "lacks"},
        Refused{tensor_file(R"("shape":[2],"data_offsets":[0,8])"), "lacks"},
        Refused{tensor_file(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
                "negative number -2"},
        Refused{tensor_file(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), "the number"},
        Refused{tensor_file(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"),
                "an array where"},
        Refused{tensor_file(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])"), "the string"},
        Refused{tensor_file(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"),
                "the number 2 where"},
        Refused{tensor_file(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
                "do not fill its shape"},
        Refused{tensor_file(R"("dtype":"F64","shape":[2],"data_offsets":[0,8])"),
                "do not fill its shape"},
        Refused{tensor_file(R"("dtype":"F32","shape":[1099511627776],"data_offsets":[0,8])"),
                "do not fill its shape"},
        Refused{
            tensor_file(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"),
            "do not fill its shape"},
        Refused{
            tensor_file(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])"),
            "do not fill its shape"},
        Refused{tensor_file(R"("dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8])"),
                "do not fill its shape"},
        Refused{tensor_file(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])"),
                "the number"},
        Refused{tensor_file(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])"),
                "the number"}));

/// A header of two tensors of bytes over 8 bytes of data.
std::string pair_file(std::string_view first, std::string_view second) {
  return file_of(
      fmt::format(R"({{"x":{{"dtype":"U8",{}}},"y":{{"dtype":"U8",{}}}}})", first, second),
      "01234567");
}

INSTANTIATE_TEST_SUITE_P(
    Offsets, RefusedHeader,
    testing::Values(
        Refused{tensor_file(R"("dtype":"U8","shape":[8],"data_offsets":[8,0])"),
                "ends at 0 before it begins at 8"},
        Refused{tensor_file(R"("dtype":"U8","shape":[9],"data_offsets":[0,9])"),
                "ends at byte 9, the data at 8"},
        Refused{
            tensor_file(
                R"("dtype":"U8","shape":[0],"data_offsets":[9223372036854775807,9223372036854775807])"),
            "the data at 8"},
        Refused{tensor_file(R"("dtype":"U8","shape":[8],"data_offsets":[0])"),
                "has 1 data_offsets"},
        Refused{tensor_file(R"("dtype":"U8","shape":[8],"data_offsets":[0,8,8])"),
                "has 3 data_offsets"},
        Refused{tensor_file(R"("dtype":"U8","shape":[8],"data_offsets":[])"), "has 0 data_offsets"},
        Refused{tensor_file(R"("dtype":"U8","shape":[7],"data_offsets":[1,8])"),
                "there is a hole before it"},
        Refused{tensor_file(R"("dtype":"U8","shape":[7],"data_offsets":[0,7])"),
                "1 bytes after its last tensor"},
        Refused{
            pair_file(R"("shape":[5],"data_offsets":[0,5])", R"("shape":[4],"data_offsets":[4,8])"),
            "it overlaps another one"},
        Refused{
            pair_file(R"("shape":[8],"data_offsets":[0,8])", R"("shape":[8],"data_offsets":[0,8])"),
            "it overlaps another one"},
        Refused{
            pair_file(R"("shape":[3],"data_offsets":[0,3])", R"("shape":[4],"data_offsets":[4,8])"),
            "there is a hole"}));

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
  if (std::system("python3 -c 'import numpy, safetensors.numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3 has no numpy or safetensors (pip install numpy safetensors)";
  }
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
  const auto script = folder.write("check.py", R"(
import sys, numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
d = load_file(sys.argv[1] + '/f.safetensors')
assert d['floats'].tolist() == [[1, 2, 3], [4, 5, 6]] and d['floats'].dtype == np.float32
assert d['longs'].tolist() == [-5, 2**40] and d['longs'].dtype == np.int64
assert d['odd'].tolist() == [7, 8, 9] and d['nothing'].shape == (0, 4)
with safe_open(sys.argv[1] + '/f.safetensors', 'np') as f:
    assert f.metadata() == {'format': 'test \u00e4'}
save_file({'half': np.array([[0.5, -2.0]], np.float16), 'b': np.arange(3, dtype=np.int32)},
          sys.argv[1] + '/g.safetensors', {'made': 'by Python'})
)");
  ASSERT_EQ(
      std::system(fmt::format("python3 {} {}", script.string(), folder.path().string()).c_str()),
      0);
  const SafetensorsFile file = SafetensorsFile::read(folder / "g.safetensors");
  EXPECT_EQ(file.floats("half"), (std::vector<float>{0.5f, -2.0f}));
  EXPECT_EQ(file.values<int32_t>("b"), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(file.metadata_or("made", ""), "by Python");
}

}  // namespace
}  // namespace derrd::test::safetensors_test
