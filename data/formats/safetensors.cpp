#include "data/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/formats/checked_size.h"
#include "data/formats/file_bytes.h"
#include "data/formats/half.h"
#include "data/formats/hash.h"
#include "data/joined.h"
#include "data/printable.h"

namespace derrd {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::string_view kHashKey = "file_hash";  // in the metadata

struct DTypeInfo {
  std::string_view name;
  int64_t size;
};

// In the order of enum DType.
constexpr std::array<DTypeInfo, 15> kDTypes{{{"BOOL", 1},
                                             {"U8", 1},
                                             {"I8", 1},
                                             {"F8_E4M3", 1},
                                             {"F8_E5M2", 1},
                                             {"U16", 2},
                                             {"I16", 2},
                                             {"F16", 2},
                                             {"BF16", 2},
                                             {"U32", 4},
                                             {"I32", 4},
                                             {"F32", 4},
                                             {"U64", 8},
                                             {"I64", 8},
                                             {"F64", 8}}};

const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

std::optional<DType> dtype_from_name(std::string_view name) {
  const auto found = std::ranges::find(kDTypes, name, &DTypeInfo::name);
  if (found == kDTypes.end()) return std::nullopt;
  return static_cast<DType>(found - kDTypes.begin());
}

[[noreturn]] void refuse(std::string_view file, const std::string& what) {
  throw Error(fmt::format("{}: {}", file, what));
}

/// A tensor as the header describes it; its bytes are [begin, end) of the data.
struct Entry {
  DType dtype;
  std::vector<int64_t> shape;
  int64_t begin, end;
};

struct SafetensorsHeader {
  std::map<std::string, Entry, std::less<>> entries;
  Metadata metadata;
};

/// A value in the words of an error message.
std::string described(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  if (value.is_string()) return "the string " + printable(value.get<std::string>());
  const bool negative = value.is_number_integer() && !value.is_number_unsigned();
  return fmt::format("the {}number {}", negative ? "negative " : "", value.dump());
}

/// Reads the JSON of a header.
class HeaderReader {
 public:
  HeaderReader(std::string_view file, std::string_view text) : file_(file), text_(text) {}

  SafetensorsHeader read() const {
    if (text_.find('\0') != std::string_view::npos) {  // where the JSON library would stop
      fail("the header has a zero byte in it; fetch or write the file again");
    }
    if (!text_.starts_with('{')) {
      fail("the header is not a JSON object; check that it is a safetensors file");
    }
    SafetensorsHeader header;
    const Json json = parse();
    for (const auto& [name, value] : json.items()) {
      if (name == kMetadataKey) {
        header.metadata = metadata(value);
      } else {
        header.entries.emplace(name, entry(name, value));
      }
    }
    return header;
  }

 private:
  static constexpr int kMaxDepth = 3;  // file, tensor, shape

  /// Refuses keys that occur twice, and deep nesting, so that an input costs no more than a small
  /// multiple of its length.
  Json parse() const {
    std::array<std::set<std::string>, kMaxDepth> keys;  // of the open object at each depth
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
      using Event = Json::parse_event_t;
      const bool opens = event == Event::object_start || event == Event::array_start;
      if (opens && depth == kMaxDepth) {
        misplaced(event == Event::array_start ? "an array" : "an object", "");
      }
      if (event == Event::object_start) keys[depth].clear();
      if (event == Event::key && !keys[depth - 1].insert(value.get<std::string>()).second) {
        fail(fmt::format("the header has the key {} twice; write the file again",
                         printable(value.get<std::string>())));
      }
      return true;
    };
    try {
      return Json::parse(text_, check);
    } catch (const Json::exception&) {
      fail("the header is not valid JSON; fetch or write the file again");
    }
  }

  Metadata metadata(const Json& object) const {
    Metadata result;
    if (!object.is_object()) misplaced(described(object), kMetadataKey);
    for (const auto& [key, value] : object.items()) {
      if (!value.is_string()) misplaced(described(value), kMetadataKey);
      result.emplace(key, value.get<std::string>());
    }
    return result;
  }

  Entry entry(const std::string& tensor, const Json& object) const {
    if (!object.is_object()) misplaced(described(object), tensor);
    for (const auto& [field, value] : object.items()) {
      if (field == "dtype" || field == "shape" || field == "data_offsets") continue;
      fail(
          fmt::format("tensor {} has the unknown field {}; write the file again with a plain "
                      "safetensors library",
                      printable(tensor), printable(field)));
    }
    if (object.size() != 3) {
      fail(fmt::format("tensor {} lacks dtype, shape or data_offsets; write the file again",
                       printable(tensor)));
    }
    const std::vector<int64_t> offsets = sizes(tensor, object.at("data_offsets"));
    if (offsets.size() != 2) {
      fail(fmt::format("tensor {} has {} data_offsets instead of 2; write the file again",
                       printable(tensor), offsets.size()));
    }
    Entry entry{dtype(tensor, object.at("dtype")), sizes(tensor, object.at("shape")), offsets[0],
                offsets[1]};
    check_size(tensor, entry);
    return entry;
  }

  DType dtype(const std::string& tensor, const Json& value) const {
    if (!value.is_string()) misplaced(described(value), tensor);
    const auto name = value.get<std::string>();
    const std::optional<DType> dtype = dtype_from_name(name);
    if (!dtype) {
      fail(fmt::format("tensor {} has the unknown dtype {}; convert it to F32", printable(tensor),
                       printable(name)));
    }
    return *dtype;
  }

  /// An array of integers from 0 to 2^63 - 1.
  std::vector<int64_t> sizes(const std::string& tensor, const Json& array) const {
    if (!array.is_array()) misplaced(described(array), tensor);
    std::vector<int64_t> values;
    for (const Json& value : array) {
      if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{INT64_MAX}) {
        misplaced(described(value), tensor);
      }
      values.push_back(value.get<int64_t>());
    }
    return values;
  }

  void check_size(const std::string& tensor, const Entry& entry) const {
    if (entry.begin > entry.end) {
      fail(fmt::format("tensor {} ends at {} before it begins at {}; write the file again",
                       printable(tensor), entry.end, entry.begin));
    }
    if (checked_bytes(entry.shape, dtype_size(entry.dtype)) != entry.end - entry.begin) {
      fail(fmt::format(
          "tensor {} of {} has {} bytes, which do not fill its shape; write the file again",
          printable(tensor), dtype_name(entry.dtype), entry.end - entry.begin));
    }
  }

  [[noreturn]] void fail(const std::string& what) const { refuse(file_, what); }

  [[noreturn]] void misplaced(const std::string& what, std::string_view at) const {
    fail(fmt::format("the header has {} where the format allows none{}; write the file again", what,
                     at.empty() ? "" : " at " + printable(at)));
  }

  std::string_view file_;
  std::string_view text_;
};

/// Requires that the tensors cover the data without holes and overlaps.
void check_cover(std::string_view file, const SafetensorsHeader& header, int64_t data_bytes) {
  using Named = decltype(header.entries)::value_type;
  std::vector<const Named*> order;
  for (const Named& entry : header.entries) {
    if (entry.second.end > data_bytes) {
      refuse(file, fmt::format("tensor {} ends at byte {}, the data at {}: the file is truncated; "
                               "fetch or write it again",
                               printable(entry.first), entry.second.end, data_bytes));
    }
    order.push_back(&entry);
  }
  std::ranges::sort(order, {}, [](const Named* entry) {
    return std::pair(entry->second.begin, entry->second.end);
  });
  int64_t covered = 0;
  for (const Named* named : order) {
    const auto& [tensor, entry] = *named;
    if (entry.begin != covered) {
      refuse(file, fmt::format("tensor {} begins at byte {} of the data, where {} is due: {}; "
                               "write the file again",
                               printable(tensor), entry.begin, covered,
                               entry.begin < covered ? "it overlaps another one"
                                                     : "there is a hole before it"));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    refuse(file, fmt::format("has {} bytes after its last tensor; fetch or write it again",
                             data_bytes - covered));
  }
}

void check_view(const std::string& name, const TensorView& view) {
  if (checked_bytes(view.shape, dtype_size(view.dtype)) !=
      static_cast<int64_t>(view.bytes.size())) {
    throw Error(fmt::format(
        "tensor {}: {} bytes do not fill the shape [{}] of {}; pass the matching shape",
        printable(name), view.bytes.size(), joined(view.shape), dtype_name(view.dtype)));
  }
}

}  // namespace

namespace detail {
void check_elements(const std::vector<int64_t>& shape, size_t elements) {
  const std::optional<int64_t> expected = checked_elements(shape);
  if (!expected || *expected != static_cast<int64_t>(elements)) {
    throw Error(
        fmt::format("a tensor of shape [{}] can't have {} elements; pass the matching shape",
                    joined(shape), elements));
  }
}
}  // namespace detail

int64_t dtype_size(DType dtype) { return info(dtype).size; }
std::string_view dtype_name(DType dtype) { return info(dtype).name; }

int64_t TensorView::elements() const {
  return static_cast<int64_t>(bytes.size()) / dtype_size(dtype);
}

namespace {

/// Cure for a file of another kind.
std::string_view what_it_looks_like(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x93NUMPY")) {
    return "it is NumPy's: vectors of a model are given by --model-user and --model-item, those of "
           "a teacher by --teacher-user and --teacher-item";
  }
  const auto is_text = [](unsigned char c) {
    return c >= ' ' || c == '\t' || c == '\n' || c == '\r';
  };
  constexpr size_t kBeginning = 256;
  if (std::ranges::all_of(text.substr(0, kBeginning), is_text)) {
    return "it looks like text: derrd prepare makes data sets of interactions, and the name of a "
           "teacher's rankings ends in .tsv or .txt";
  }
  return "check that it is the right file";
}

/// Bytes of the header, which follows its length.
uint64_t header_size(std::string_view file, std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(uint64_t)) {
    refuse(file, fmt::format("{} bytes are too few for a safetensors file; fetch or write it again",
                             bytes.size()));
  }
  const auto header_bytes = load<uint64_t>(bytes.data());
  if (header_bytes > kMaxHeaderBytes) {
    refuse(file, fmt::format("is no safetensors file, or a damaged one: its header would be {} "
                             "bytes long, and {} are allowed; {}",
                             header_bytes, kMaxHeaderBytes, what_it_looks_like(bytes)));
  }
  if (header_bytes > bytes.size() - sizeof(uint64_t)) {
    refuse(file, fmt::format("is truncated: its header is {} bytes long, the whole file {}; fetch "
                             "or write it again",
                             header_bytes, bytes.size()));
  }
  return header_bytes;
}

void add_tensors(Hasher& hasher, const TensorMap& tensors) {
  for (const auto& [name, view] : tensors) {
    hasher.add_sized(name);
    hasher.add_sized(dtype_name(view.dtype));
    hasher.add(view.shape.size());
    hasher.add(std::as_bytes(std::span(view.shape)));
    hasher.add(view.bytes);
  }
}

/// Hash of a file's contents.
/// @param metadata without kHashKey
std::string hash_contents(const TensorMap& tensors, const Metadata& metadata) {
  Hasher hasher;
  hasher.add(tensors.size());
  add_tensors(hasher, tensors);
  for (const auto& [key, value] : metadata) {
    hasher.add_sized(key);
    hasher.add_sized(value);
  }
  return hasher.hex();
}

/// JSON as text. Bytes that are not UTF-8 are replaced.
std::string json_text(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

/// The text as it comes back from a file.
std::string as_read(const std::string& text) { return Json::parse(json_text(text)); }

}  // namespace

SafetensorsFile SafetensorsFile::read(const std::filesystem::path& path) {
  return parse(read_file(path), path.string());
}

SafetensorsFile SafetensorsFile::parse(std::vector<std::byte> bytes, std::string name) {
  SafetensorsFile file;
  file.name_ = std::move(name);
  file.bytes_ = std::move(bytes);
  const std::span<const std::byte> all = file.bytes_;
  const uint64_t header_bytes = header_size(file.name_, all);
  const std::span<const std::byte> data = all.subspan(sizeof(uint64_t) + header_bytes);
  const char* text = reinterpret_cast<const char*>(all.data()) + sizeof(uint64_t);
  SafetensorsHeader header = HeaderReader(file.name_, {text, header_bytes}).read();
  check_cover(file.name_, header, static_cast<int64_t>(data.size()));
  for (auto& [tensor, entry] : header.entries) {
    file.tensors_[tensor] = {entry.dtype, std::move(entry.shape),
                             data.subspan(entry.begin, entry.end - entry.begin)};
  }
  file.metadata_ = std::move(header.metadata);
  if (const auto hash = file.metadata_.find(kHashKey); hash != file.metadata_.end()) {
    const std::string expected = hash->second;
    file.metadata_.erase(hash);
    if (hash_contents(file.tensors_, file.metadata_) != expected) {
      refuse(file.name_,
             fmt::format("is damaged, or another program changed it: its contents do not have the "
                         "{0} of its metadata; fetch or make it again, or remove {0} from its "
                         "metadata if the change was meant",
                         kHashKey));
    }
    file.has_hash_ = true;
  }
  return file;
}

const TensorView& SafetensorsFile::tensor(std::string_view tensor) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) {
    std::string names;
    for (const auto& [name, view] : tensors_) {
      if (names.size() > 200) {
        names += ", ...";
        break;
      }
      names += (names.empty() ? "" : ", ") + printable(name);
    }
    throw Error(fmt::format("{}: has no tensor {}; it has {}", name_, printable(tensor),
                            names.empty() ? "none" : names));
  }
  return found->second;
}

std::string SafetensorsFile::metadata_or(std::string_view key, std::string_view fallback) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? std::string(fallback) : found->second;
}

const TensorView& SafetensorsFile::typed(std::string_view tensor_name, DType dtype) const {
  const TensorView& view = tensor(tensor_name);
  if (view.dtype != dtype) {
    throw Error(fmt::format("{}: tensor {} is {} instead of {}; convert it", name_,
                            printable(tensor_name), dtype_name(view.dtype), dtype_name(dtype)));
  }
  return view;
}

std::vector<float> SafetensorsFile::floats(std::string_view tensor_name) const {
  const TensorView& view = tensor(tensor_name);
  if (view.dtype == DType::kF32) return values<float>(tensor_name);
  if (view.dtype != DType::kF16 && view.dtype != DType::kBF16) {
    throw Error(fmt::format("{}: tensor {} is {} instead of F32, F16 or BF16; convert it", name_,
                            printable(tensor_name), dtype_name(view.dtype)));
  }
  std::vector<float> result(view.elements());
  const std::byte* source = view.bytes.data();
  for (float& value : result) {
    const auto bits = load<uint16_t>(source);
    value = view.dtype == DType::kF16 ? half_to_float(bits)
                                      : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    source += sizeof(uint16_t);
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& tensor : tensors) {
    check_view(tensor.first, tensor.second);
    if (tensor.first == kMetadataKey || as_read(tensor.first) != tensor.first) {
      throw Error(fmt::format("{}: no tensor can be called {}; choose another name", path.string(),
                              printable(tensor.first)));
    }
    order.push_back(&tensor);
  }
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [](const auto* tensor) { return dtype_size(tensor->second.dtype); });

  // Bytes that are not UTF-8, as a file's name may have among the options, must not keep a result
  // from being saved.
  Metadata readable;
  for (const auto& [key, value] : metadata) {
    if (key != kHashKey) readable.emplace(as_read(key), as_read(value));
  }
  const std::string hash = hash_contents(tensors, readable);
  readable.emplace(kHashKey, hash);
  Json header = {{kMetadataKey, readable}};
  size_t end = 0;
  for (const auto* tensor : order) {
    const auto& [name, view] = *tensor;
    const size_t begin = std::exchange(end, end + view.bytes.size());
    header[name] = {
        {"dtype", dtype_name(view.dtype)}, {"shape", view.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    throw Error(
        fmt::format("{}: the header would be {} bytes long, and {} are allowed; save less metadata",
                    path.string(), text.size(), kMaxHeaderBytes));
  }
  const uint64_t header_bytes = text.size();

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(text);
  for (const auto* tensor : order) file.write(tensor->second.bytes);
  file.commit();
}

std::string hash_tensors(const TensorMap& tensors) {
  Hasher hasher;
  add_tensors(hasher, tensors);
  return hasher.hex();
}

}  // namespace derrd
