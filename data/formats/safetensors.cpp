#include "data/formats/safetensors.h"

#define XXH_INLINE_ALL  // so that nobody has to link it
#define XXH_VECTOR 0    // scalar code: g++ 12 warns about its own AVX-512 header
#include <xxhash.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/formats/checked_size.h"
#include "data/formats/file_bytes.h"
#include "data/formats/half.h"
#include "data/joined.h"
#include "data/printable.h"

namespace derrd {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr std::string_view kMetadataKey = "__metadata__";

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

/// What the header says of one tensor.
struct HeaderEntry {
  std::optional<DType> dtype;
  std::optional<std::vector<int64_t>> shape;
  std::optional<std::vector<int64_t>> offsets;  // begin and end within the data
};

/// Reads the header event by event. The grammar is flat, so that no input, however deeply nested,
/// costs more than its own length: the first value in a wrong place ends it.
class HeaderParser : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderParser(std::string_view file) : file_(file) {}

  std::map<std::string, HeaderEntry, std::less<>> entries;
  Metadata metadata;

  bool null() override { misplaced("null"); }
  bool boolean(bool) override { misplaced("a boolean"); }
  bool number_float(double, const std::string& text) override {
    misplaced("the number " + printable(text));
  }
  bool binary(binary_t&) override { misplaced("binary data"); }

  bool number_integer(int64_t value) override {
    misplaced(fmt::format("the negative number {}", value));
  }

  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::kArray) misplaced(fmt::format("the number {}", value));
    if (value > static_cast<uint64_t>(INT64_MAX)) misplaced(fmt::format("the number {}", value));
    array_->push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) {
      metadata_value_->assign(text);
    } else if (place_ == Place::kTensor && field_ == "dtype") {
      entry_->dtype = dtype_from_name(text);
      if (!entry_->dtype) {
        fail(fmt::format("tensor {} has the unknown dtype {}; convert it to F32",
                         printable(tensor_), printable(text)));
      }
    } else {
      misplaced("the string " + printable(text));
    }
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = tensor_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
    } else {
      misplaced("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor && !(entry_->dtype && entry_->shape && entry_->offsets)) {
      fail(fmt::format("tensor {} lacks dtype, shape or data_offsets; write the file again",
                       printable(tensor_)));
    }
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || (field_ != "shape" && field_ != "data_offsets"))
      misplaced("an array");
    array_ = &(field_ == "shape" ? entry_->shape : entry_->offsets).emplace();
    place_ = Place::kArray;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool key(std::string& name) override {
    if (place_ == Place::kTop) {
      tensor_ = name;
      if (name == kMetadataKey ? std::exchange(has_metadata_, true) : entries.contains(name))
        duplicate(name);
      if (name != kMetadataKey) entry_ = &entries[name];
    } else if (place_ == Place::kMetadata) {
      const auto [position, inserted] = metadata.try_emplace(name);
      if (!inserted) duplicate(name);
      metadata_value_ = &position->second;
    } else {
      field_ = name;
      if (name != "dtype" && name != "shape" && name != "data_offsets") {
        fail(
            fmt::format("tensor {} has the unknown field {}; write the file again with a plain "
                        "safetensors library",
                        printable(tensor_), printable(name)));
      }
      if ((name == "dtype" && entry_->dtype) || (name == "shape" && entry_->shape) ||
          (name == "data_offsets" && entry_->offsets)) {
        duplicate(name);
      }
    }
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    (void)error;
    fail(fmt::format("the header is not valid JSON (at its byte {}); fetch or write the file again",
                     position));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kArray, kEnd };

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}: {}", file_, what));
  }

  [[noreturn]] void misplaced(const std::string& what) const {
    const std::string where = tensor_.empty() ? "" : " at " + printable(tensor_);
    fail(fmt::format("the header has {} where the format allows none{}; write the file again", what,
                     where));
  }

  [[noreturn]] void duplicate(const std::string& name) const {
    fail(fmt::format("the header has the key {} twice; write the file again", printable(name)));
  }

  std::string_view file_;
  Place place_ = Place::kStart;
  std::string tensor_;  // the last key at the top
  std::string field_;   // the last key within a tensor
  bool has_metadata_ = false;
  HeaderEntry* entry_ = nullptr;
  std::vector<int64_t>* array_ = nullptr;
  std::string* metadata_value_ = nullptr;
};

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

void check_view(const std::string& name, const TensorView& view) {
  const std::optional<int64_t> elements = checked_elements(view.shape);
  const auto bytes = elements ? checked_product(*elements, dtype_size(view.dtype)) : std::nullopt;
  if (!bytes || *bytes != static_cast<int64_t>(view.bytes.size())) {
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

/// What to do with a file that is none of ours.
std::string_view what_it_looks_like(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x93NUMPY")) {
    return "it is NumPy's: vectors of a teacher are given by --teacher-user and --teacher-item";
  }
  constexpr size_t kBeginning = 256;
  const auto is_text = [](unsigned char c) {
    return c >= ' ' || c == '\t' || c == '\n' || c == '\r';
  };
  if (std::ranges::all_of(text.substr(0, kBeginning), is_text)) {
    return "it looks like text: derrd prepare makes data sets of interactions, and the name of a "
           "teacher's rankings ends in .tsv or .txt";
  }
  return "check that it is the right file";
}

}  // namespace

SafetensorsFile SafetensorsFile::read(const std::filesystem::path& path) {
  return parse(read_file(path), path.string());
}

SafetensorsFile SafetensorsFile::parse(std::vector<std::byte> bytes, std::string name) {
  SafetensorsFile file;
  file.name_ = std::move(name);
  file.bytes_ = std::move(bytes);
  const auto refuse = [&](const std::string& what) {
    throw Error(fmt::format("{}: {}", file.name_, what));
  };

  const std::span<const std::byte> all = file.bytes_;
  if (all.size() < sizeof(uint64_t)) {
    refuse(fmt::format("{} bytes are too few for a safetensors file; fetch or write it again",
                       all.size()));
  }
  const auto header_bytes = load<uint64_t>(all.data());
  if (header_bytes > kMaxHeaderBytes) {
    refuse(
        fmt::format("is no safetensors file, or a damaged one: its header would be {} bytes long, "
                    "and {} are allowed; {}",
                    header_bytes, kMaxHeaderBytes, what_it_looks_like(all)));
  }
  if (header_bytes > all.size() - sizeof(uint64_t)) {
    refuse(fmt::format(
        "is truncated: its header is {} bytes long, the whole file {}; fetch or write it again",
        header_bytes, all.size()));
  }
  const char* header = reinterpret_cast<const char*>(all.data()) + sizeof(uint64_t);
  if (header_bytes == 0 || *header != '{') {
    refuse("the header is not a JSON object; check that it is a safetensors file");
  }
  HeaderParser parser(file.name_);
  Json::sax_parse(header, header + header_bytes, &parser);

  const std::span<const std::byte> data = all.subspan(sizeof(uint64_t) + header_bytes);
  std::vector<std::pair<std::pair<int64_t, int64_t>, const std::string*>> extents;
  for (auto& [tensor, entry] : parser.entries) {
    if (entry.offsets->size() != 2) {
      refuse(fmt::format("tensor {} has {} data_offsets instead of 2; write the file again",
                         printable(tensor), entry.offsets->size()));
    }
    const int64_t begin = (*entry.offsets)[0], end = (*entry.offsets)[1];
    if (begin > end) {
      refuse(fmt::format("tensor {} ends at {} before it begins at {}; write the file again",
                         printable(tensor), end, begin));
    }
    if (end > static_cast<int64_t>(data.size())) {
      refuse(
          fmt::format("tensor {} ends at byte {}, the data at {}: the file is truncated; fetch or "
                      "write it again",
                      printable(tensor), end, data.size()));
    }
    const std::optional<int64_t> elements = checked_elements(*entry.shape);
    const auto size =
        elements ? checked_product(*elements, dtype_size(*entry.dtype)) : std::nullopt;
    if (!size || *size != end - begin) {
      refuse(fmt::format(
          "tensor {} of {} has {} bytes, which do not fill its shape; write the file again",
          printable(tensor), dtype_name(*entry.dtype), end - begin));
    }
    extents.push_back({{begin, end}, &tensor});
    file.tensors_[tensor] = {*entry.dtype, std::move(*entry.shape),
                             data.subspan(begin, end - begin)};
  }

  std::ranges::sort(extents, {}, [](const auto& extent) { return extent.first; });
  int64_t covered = 0;
  for (const auto& [extent, tensor] : extents) {
    if (extent.first != covered) {
      refuse(fmt::format(
          "tensor {} begins at byte {} of the data, where {} is due: {}; write the file again",
          printable(*tensor), extent.first, covered,
          extent.first < covered ? "it overlaps another one" : "there is a hole before it"));
    }
    covered = extent.second;
  }
  if (covered != static_cast<int64_t>(data.size())) {
    refuse(fmt::format("has {} bytes after its last tensor; fetch or write it again",
                       static_cast<int64_t>(data.size()) - covered));
  }
  file.metadata_ = std::move(parser.metadata);
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
    if (tensor.first == kMetadataKey) {
      throw Error(fmt::format("{}: no tensor can be called {}; choose another name", path.string(),
                              kMetadataKey));
    }
    order.push_back(&tensor);
  }
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [](const auto* tensor) { return dtype_size(tensor->second.dtype); });

  Json header = Json::object();
  if (!metadata.empty()) {
    for (const auto& [key, value] : metadata) header[std::string(kMetadataKey)][key] = value;
  }
  size_t end = 0;
  for (const auto* tensor : order) {
    const auto& [name, view] = *tensor;
    const size_t begin = std::exchange(end, end + view.bytes.size());
    header[name] = {
        {"dtype", dtype_name(view.dtype)}, {"shape", view.shape}, {"data_offsets", {begin, end}}};
  }
  // Bytes that are not UTF-8, as a file's name may have among the options, must not keep a result
  // from being saved.
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
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
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  const auto update = [&](const void* bytes, size_t size) {
    XXH3_128bits_update(state.get(), bytes, size);
  };
  const auto update_text = [&](std::string_view text) {
    const uint64_t size =
        text.size();  // lengths go in as well, so that no two maps spell the same bytes
    update(&size, sizeof size);
    update(text.data(), text.size());
  };
  for (const auto& [name, view] : tensors) {
    update_text(name);
    update_text(dtype_name(view.dtype));
    const uint64_t rank = view.shape.size();
    update(&rank, sizeof rank);
    update(view.shape.data(), rank * sizeof(int64_t));
    update(view.bytes.data(), view.bytes.size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace derrd
