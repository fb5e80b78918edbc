#include "data/formats/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include "data/error.h"
#include "data/formats/checked_size.h"
#include "data/formats/checksums.h"
#include "data/formats/file_bytes.h"
#include "data/formats/half.h"
#include "data/joined.h"
#include "data/printable.h"

namespace derrd {

static_assert(std::endian::native == std::endian::little, "the arrays are little-endian");

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxNpyHeaderBytes = 10'000;  // NumPy's own limit
constexpr size_t kMaxRank = 32;                // NumPy's own limit
constexpr size_t kAlignment = 64;

[[noreturn]] void refuse_npy(std::string_view file, std::string_view what) {
  throw Error(fmt::format("{}: {}", file, what));
}

/// Content of the header.
struct NpyHeader {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

/// Reads the header's text, a Python dictionary such as
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class NpyHeaderParser {
 public:
  NpyHeaderParser(std::string_view text, std::string_view file) : rest_(text), file_(file) {}

  NpyHeader parse() {
    NpyHeader header;
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !header.descr) {
        if (next() != '\'' && next() != '"') {
          fail("holds records instead of numbers; save its vectors alone, as float32");
        }
        header.descr = string();
      } else if (key == "fortran_order" && !header.fortran_order) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !header.shape) {
        header.shape = tuple();
      } else {
        fail(fmt::format("the header has the key {} where none is allowed; save the array again",
                         printable(key)));
      }
      if (!take(',') && next() != '}') malformed();
    }
    next();
    if (!rest_.empty()) malformed();
    if (!header.descr || !header.fortran_order || !header.shape) {
      fail("the header lacks descr, fortran_order or shape; save the array again");
    }
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { refuse_npy(file_, what); }
  [[noreturn]] void malformed() const {
    fail(fmt::format("the header is malformed at {}; fetch the file or save the array again",
                     printable(rest_.substr(0, 20))));
  }

  /// The first character that is not blank, or '\0' at the end.
  char next() {
    const size_t begin = std::min(rest_.find_first_not_of(" \n"), rest_.size());
    rest_.remove_prefix(begin);
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool take(char wanted) {
    if (next() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted)) malformed();
  }

  /// A string without escapes: no key and no type has any.
  std::string string() {
    const char quote = next();
    if (quote != '\'' && quote != '"') malformed();
    const size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) malformed();
    const std::string text(rest_.substr(1, end - 1));
    if (text.find('\\') != std::string::npos) malformed();
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool boolean() {
    next();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    malformed();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> extents;
    expect('(');
    while (!take(')')) {
      next();
      int64_t extent = 0;
      const char* end = rest_.data() + rest_.size();
      const auto [stop, error] = std::from_chars(rest_.data(), end, extent);
      if (error != std::errc() || extent < 0) malformed();
      if (extents.size() == kMaxRank) fail("has too many dimensions; save it as a matrix");
      extents.push_back(extent);
      rest_.remove_prefix(static_cast<size_t>(stop - rest_.data()));
      const bool separated = take(',');
      if (next() != ')' ? !separated : extents.size() == 1 && !separated) malformed();
    }
    return extents;
  }

  std::string_view rest_;
  std::string_view file_;
};

std::vector<float> floats(std::span<const std::byte> bytes, int64_t element_size) {
  std::vector<float> values(bytes.size() / static_cast<size_t>(element_size));
  const std::byte* source = bytes.data();
  for (float& value : values) {
    if (element_size == 2) {
      value = half_to_float(load<uint16_t>(source));
    } else if (element_size == 4) {
      value = load<float>(source);
    } else {
      value = static_cast<float>(load<double>(source));
    }
    source += element_size;
  }
  return values;
}

/// The text of the header, which ends where the data begin.
std::string_view header_text(std::span<const std::byte> bytes, std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || bytes.size() < kMagic.size() + 2) {
    refuse_npy(name, "is no .npy file; write it with numpy.save");
  }
  const auto version = static_cast<unsigned>(bytes[kMagic.size()]);
  const auto minor = static_cast<unsigned>(bytes[kMagic.size() + 1]);
  if (version < 1 || version > 3 || minor != 0) {
    refuse_npy(name,
               fmt::format("is of version {}.{} of the format, and 1.0 to 3.0 are known; save it "
                           "with numpy.save of a plain array",
                           version, minor));
  }
  const size_t length_size = version == 1 ? sizeof(uint16_t) : sizeof(uint32_t);
  const size_t header_begin = kMagic.size() + 2 + length_size;
  if (bytes.size() < header_begin) refuse_npy(name, "is truncated; fetch or save it again");
  const std::byte* length = bytes.data() + kMagic.size() + 2;
  const size_t header_bytes = version == 1 ? load<uint16_t>(length) : load<uint32_t>(length);
  if (header_bytes > kMaxNpyHeaderBytes) {
    refuse_npy(name,
               fmt::format("its header would be {} bytes long, and {} are allowed; save it as a "
                           "plain array",
                           header_bytes, kMaxNpyHeaderBytes));
  }
  if (header_bytes > bytes.size() - header_begin) {
    refuse_npy(name,
               fmt::format("is truncated: its header is {} bytes long, the whole file {}; fetch "
                           "or save it again",
                           header_bytes, bytes.size()));
  }
  return text.substr(header_begin, header_bytes);
}

/// Bytes of an element, if the array is one that can be read.
int64_t checked_element_size(const NpyHeader& header, std::string_view name) {
  const std::string& type = *header.descr;
  if (type != "<f2" && type != "<f4" && type != "<f8") {
    refuse_npy(name, fmt::format("holds the type {} instead of float16, float32 or float64, "
                                 "little-endian; save array.astype('<f4')",
                                 printable(type)));
  }
  if (*header.fortran_order) {
    refuse_npy(name,
               "holds its columns one after the other (Fortran order); save "
               "numpy.ascontiguousarray(array)");
  }
  return type[2] - '0';
}

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  check_by_list(path, bytes);
  return parse_npy(bytes, path.string());
}

NpyArray parse_npy(std::span<const std::byte> bytes, std::string_view name) {
  const std::string_view text = header_text(bytes, name);
  const NpyHeader header = NpyHeaderParser(text, name).parse();
  const int64_t element_size = checked_element_size(header, name);
  const auto* data_begin = reinterpret_cast<const std::byte*>(text.data() + text.size());
  const std::span<const std::byte> data(data_begin, bytes.data() + bytes.size());
  const std::optional<int64_t> size = checked_bytes(*header.shape, element_size);
  if (!size || *size != static_cast<int64_t>(data.size())) {
    refuse_npy(name,
               fmt::format("{} bytes of numbers do not fill the shape ({}) of {}: the file is {}; "
                           "fetch or save it again",
                           data.size(), joined(*header.shape), *header.descr,
                           size && *size < static_cast<int64_t>(data.size()) ? "longer than that"
                                                                             : "truncated"));
  }
  return {*header.shape, floats(data, element_size)};
}

std::string npy_header(const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxRank) {
    throw Error(
        fmt::format("({}) has more than {} dimensions; pass a matrix", joined(shape), kMaxRank));
  }
  std::string text = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{}), }}",
                                 joined(shape), shape.size() == 1 ? "," : "");
  const size_t before = kMagic.size() + 2 + sizeof(uint16_t);
  text.append((kAlignment - (before + text.size() + 1) % kAlignment) % kAlignment, ' ');
  text += '\n';
  const auto size = static_cast<uint16_t>(text.size());
  std::string header(kMagic);
  header += std::string_view("\x01\x00", 2);
  header.append(reinterpret_cast<const char*>(&size), sizeof size);
  return header + text;
}

}  // namespace derrd
