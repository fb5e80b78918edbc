#include "data/formats/npy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "tests/files.h"
#include "tests/npy_file.h"

namespace derrd::test::npy_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string dictionary(std::string_view type, std::string_view shape,
                       std::string_view order = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", type, order, shape);
}

/// A file of this header and data.
std::string file_of(const std::string& header, const std::string& data, char version = 1) {
  std::string file = "\x93NUMPY";
  file += version;
  file += '\0';
  const auto size = static_cast<uint32_t>(header.size());
  file.append(reinterpret_cast<const char*>(&size), version == 1 ? 2 : 4);
  return file + header + data;
}

template <class T>
std::string data_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

NpyArray parse(const std::string& file) {
  // A copy exactly as long as the file: the sanitizer sees a read beyond its end.
  const std::vector<char> bytes(file.begin(), file.end());
  return parse_npy(std::as_bytes(std::span(bytes)), "some.npy");
}

void refused(const std::string& file, std::string_view part) {
  const std::string message = error_of([&] { parse(file); });
  EXPECT_TRUE(contains(message, "some.npy: ")) << file;
  EXPECT_TRUE(contains(message, part)) << file;
}

TEST(Npy, RoundTrip) {
  const TestFolder folder;
  const std::vector<float> values{1.5f, -2.0f, 0.0f, kInfinity, 1e-40f, 3.0f};
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{2, 3}, {6}, {1, 6, 1}, {3, 2}, {6, 1}}) {
    write_npy(folder / "f", values, shape);
    const NpyArray array = read_npy(folder / "f");
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.values, values);
  }
  write_npy(folder / "f", std::vector<float>{7}, {});
  EXPECT_TRUE(read_npy(folder / "f").shape.empty());
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0, 5}, {5, 0}, {0}}) {
    write_npy(folder / "f", {}, shape);
    EXPECT_EQ(read_npy(folder / "f").shape, shape);
    EXPECT_TRUE(read_npy(folder / "f").values.empty());
  }
}

TEST(Npy, NumbersBeginAtAMultipleOf64Bytes) {
  const TestFolder folder;
  for (const int64_t rows : {1, 10, 100, 1000, 10000, 100000}) {
    write_npy(folder / "f", std::vector<float>(static_cast<size_t>(rows)), {rows, 1});
    const std::string file = read_text(folder / "f");
    const size_t header = file.size() - static_cast<size_t>(rows) * sizeof(float);
    EXPECT_EQ(header % 64, 0u);
    EXPECT_EQ(file[header - 1], '\n');
    EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  }
}

TEST(Npy, HasNoMoreDimensionsThanNumpyReads) {
  EXPECT_NO_THROW(npy_header(std::vector<int64_t>(32, 1)));
  expect_error([&] { npy_header(std::vector<int64_t>(33, 1)); }, "more than 32 dimensions");
}

TEST(Npy, EveryVersionAndPrecision) {
  const std::vector<float> expected{1.0f, -2.0f, 0.333251953125f, 65504.0f};
  for (const char version : {1, 2, 3}) {
    EXPECT_EQ(parse(file_of(dictionary("<f4", "(2, 2)"), data_of(expected), version)).values,
              expected);
  }
  const std::vector<uint16_t> halves{0x3C00, 0xC000, 0x3555, 0x7BFF};
  EXPECT_EQ(parse(file_of(dictionary("<f2", "(4,)"), data_of(halves))).values, expected);
  // Doubles are rounded to the nearest float, at a tie to the even one.
  const std::vector<double> doubles{0.1, 1.0 + 0x1p-24, 1.0 + 0x3p-24, -1e-300, 1e300};
  EXPECT_EQ(parse(file_of(dictionary("<f8", "(5,)"), data_of(doubles))).values,
            (std::vector<float>{0.1f, 1.0f, 1.0f + 0x1p-22f, -0.0f, kInfinity}));
}

TEST(Npy, HeaderMayBeWrittenInOtherWays) {
  const std::string data = data_of(std::vector<float>{1, 2});
  for (const char* header :
       {"{\"shape\":(2,),\"descr\":\"<f4\",\"fortran_order\":False}",
        "  { 'fortran_order' : False , 'shape' : ( 2 , 1 ) , 'descr' : '<f4' }   \n \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2,)}"}) {
    EXPECT_EQ(parse(file_of(header, data)).values, (std::vector<float>{1, 2})) << header;
  }
}

TEST(Npy, RejectsWhatItCannotRead) {
  const std::string four = data_of(std::vector<float>(4));
  refused(file_of(dictionary(">f4", "(4,)"), four), "astype('<f4')");
  for (const char* type :
       {"<i4", "<u4", "|b1", "|O", "<c8", "<f3", "<f16", "<U1", "", "f4", "=f4"}) {
    refused(file_of(dictionary(type, "(4,)"), four), "float32");
  }
  refused(file_of(dictionary("<f4", "(2, 2)", "True"), four), "ascontiguousarray");
  refused(file_of("{'descr': [('a', '<f4')], 'fortran_order': False, "
                  "'shape': (4,), }",
                  four),
          "records");
}

TEST(Npy, RejectsDamagedFiles) {
  const std::string whole = file_of(dictionary("<f4", "(2, 2)"), data_of(std::vector<float>(4)));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parse(whole.substr(0, size)), Error) << size;
  }
  refused(whole.substr(0, whole.size() - 1), "truncated");
  refused(whole + "x", "longer");
  refused("PK\x03\x04 an archive", "numpy.save");

  std::string version = whole;
  for (const char unknown : {0, 4}) {
    version[6] = unknown;
    refused(version, "version");
  }
  version[6] = 1;
  version[7] = 1;
  refused(version, "version 1.1");
  std::string long_header = file_of(dictionary("<f4", "(0,)"), "", 2);
  std::memset(long_header.data() + 8, 0xff, 4);
  refused(long_header, "4294967295 bytes long");
  refused(file_of(dictionary("<f4", "(0,)") + std::string(10'000, ' '), ""), "10000 are allowed");
}

TEST(Npy, RejectsShapesThatDoNotFit) {
  const std::string four = data_of(std::vector<float>(4));
  for (const char* shape : {"(5,)", "(2, 3)", "(3,)", "()", "(0, 4)", "(4611686018427387904, 8)",
                            "(4294967296, 4294967296)", "(2305843009213693952, 1)"}) {
    refused(file_of(dictionary("<f4", shape), four), "do not fill");
  }
  for (const char* shape : {"(-4,)", "(4)", "4", "(4", "(,)", "(4 4)", "(4,,)", "(4.0,)", "[4]",
                            "(99999999999999999999,)", "(0x4,)", "None", "(4L,)"}) {
    refused(file_of(dictionary("<f4", shape), four), "malformed");
  }
  std::string deep = "(";
  for (int i = 0; i < 33; ++i) deep += "1, ";
  refused(file_of(dictionary("<f4", deep + ")"), four), "dimensions");
}

TEST(Npy, RejectsOtherHeaders) {
  for (const char* header :
       {"", "{", "}", "{}", "{,}", "[]", "{'descr'}", "{'descr': }", "{'descr': '<f4'",
        "{'descr': '<f4}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': false, 'shape': ()}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': ()}"}) {
    refused(file_of(header, data_of(std::vector<float>(1))), "");
  }
  const std::string zero("{'descr': '<f4', 'fortran_order': False, 'shape': ()}\0", 54);
  refused(file_of(zero, data_of(std::vector<float>(1))), "malformed");
}

TEST(Npy, SurvivesRandomDamage) {
  const std::string whole = file_of(dictionary("<f4", "(2, 2)"), data_of(std::vector<float>(4)));
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = whole;
    for (int flips = 0; flips < 1 + round % 3; ++flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    try {
      const NpyArray array = parse(damaged);
      EXPECT_LE(array.values.size(), 8u);
    } catch (const Error&) {
    }
  }
}

TEST(Npy, PythonReadsAndWritesIt) {
  if (!python_has("numpy")) GTEST_SKIP() << "pip install numpy";
  const TestFolder folder;
  write_npy(folder / "f.npy", std::vector<float>{1, 2, 3, 4, 5, 6.25f}, {2, 3});
  write_npy(folder / "row.npy", std::vector<float>{7, 8}, {2});
  write_npy(folder / "none.npy", {}, {0, 3});
  run_python(folder, R"(
import sys, numpy as np
folder = sys.argv[1] + '/'
f = np.load(folder + 'f.npy')
assert f.tolist() == [[1, 2, 3], [4, 5, 6.25]] and f.dtype == np.float32 and f.flags.c_contiguous
assert np.load(folder + 'row.npy').tolist() == [7, 8]
assert np.load(folder + 'none.npy').shape == (0, 3)
a = np.arange(12).reshape(4, 3) / 8
for kind in 'f2', 'f4', 'f8':
    for version in 1, 2, 3:
        with open(f'{folder}{kind}_{version}.npy', 'wb') as file:
            np.lib.format.write_array(file, a.astype('<' + kind), (version, 0))
np.save(folder + 'tail.npy', a.astype(np.float32)[1:, :2])
np.save(folder + 'transposed.npy', a.T)
np.save(folder + 'big.npy', a.astype('>f4'))
np.save(folder + 'whole.npy', np.arange(3))
)");
  std::vector<float> expected;
  for (int i = 0; i < 12; ++i) expected.push_back(static_cast<float>(i) / 8);
  for (const char* kind : {"f2", "f4", "f8"}) {
    for (int version = 1; version <= 3; ++version) {
      const NpyArray array = read_npy(folder / fmt::format("{}_{}.npy", kind, version));
      EXPECT_EQ(array.shape, (std::vector<int64_t>{4, 3}));
      EXPECT_EQ(array.values, expected) << kind << " " << version;
    }
  }
  EXPECT_EQ(read_npy(folder / "tail.npy").values,
            (std::vector<float>{0.375f, 0.5f, 0.75f, 0.875f, 1.125f, 1.25f}));
  for (const auto& [name, cure] : {std::pair{"transposed.npy", "ascontiguousarray"},
                                   {"big.npy", "<f4"},
                                   {"whole.npy", "<f4"}}) {
    expect_error([&] { read_npy(folder / name); }, cure);
  }
}

}  // namespace
}  // namespace derrd::test::npy_test
