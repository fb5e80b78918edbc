#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace derrd {

/// Element types of the safetensors format (https://github.com/huggingface/safetensors).
enum class DType {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64
};

/// Size of one element in bytes.
int64_t dtype_size(DType dtype);
/// Name of a type in the format: "F32", "BF16", ...
std::string_view dtype_name(DType dtype);

/// DType of a C++ arithmetic type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, bool>) return DType::kBool;
  if constexpr (std::is_same_v<T, uint8_t>) return DType::kU8;
  if constexpr (std::is_same_v<T, int8_t>) return DType::kI8;
  if constexpr (std::is_same_v<T, uint16_t>) return DType::kU16;
  if constexpr (std::is_same_v<T, int16_t>) return DType::kI16;
  if constexpr (std::is_same_v<T, uint32_t>) return DType::kU32;
  if constexpr (std::is_same_v<T, int32_t>) return DType::kI32;
  if constexpr (std::is_same_v<T, float>) return DType::kF32;
  if constexpr (std::is_same_v<T, uint64_t>) return DType::kU64;
  if constexpr (std::is_same_v<T, int64_t>) return DType::kI64;
  if constexpr (std::is_same_v<T, double>) return DType::kF64;
}

/// View of a tensor: row-major, little-endian, not necessarily aligned. It owns nothing.
struct TensorView {
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;

  /// Number of elements: the product of the shape (1 for a scalar).
  int64_t elements() const;
};

/// View of `values` as a tensor of `shape`; the storage must outlive the view.
/// @throws Error if the shape does not have as many elements as `values`.
template <class T>
TensorView tensor_view(std::span<const T> values, std::vector<int64_t> shape);

/// View of a vector as a tensor of rank one.
template <class T>
TensorView tensor_view(const std::vector<T>& values) {
  return {dtype_of<T>(), {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))};
}

/// Tensors by name.
using TensorMap = std::map<std::string, TensorView, std::less<>>;
/// Texts of a file's header by key.
using Metadata = std::map<std::string, std::string, std::less<>>;

/// Safetensors file in memory. Reading is strict: whatever the format does not allow is refused,
/// as is a file whose contents do not have the file_hash of its metadata. Memory use is
/// proportional to the file's size.
class SafetensorsFile {
 public:
  /// Reads a whole file.
  /// @throws Error if it can't be read, is not a valid safetensors file, or is damaged.
  static SafetensorsFile read(const std::filesystem::path& path);

  /// Takes over the bytes of a file; `name` stands for the file in messages. @throws Error as read.
  static SafetensorsFile parse(std::vector<std::byte> bytes, std::string name);

  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  /// Name of the file, for messages.
  const std::string& name() const { return name_; }
  /// Tensors by name, as views into this object's storage.
  const TensorMap& tensors() const { return tensors_; }
  /// Texts of the header, without file_hash.
  const Metadata& metadata() const { return metadata_; }
  /// Returns true if the metadata had a file_hash, which was that of the contents. Files that other
  /// programs wrote have none.
  bool has_hash() const { return has_hash_; }

  bool contains(std::string_view tensor) const { return tensors_.contains(tensor); }
  /// Tensor of a name. @throws Error that lists the file's tensors if it is none of them.
  const TensorView& tensor(std::string_view tensor) const;
  /// Value of a metadata key, or `fallback`.
  std::string metadata_or(std::string_view key, std::string_view fallback) const;

  /// Copy of a tensor.
  /// @throws Error unless its dtype is exactly that of T (bool is not supported).
  template <class T>
  std::vector<T> values(std::string_view tensor) const;

  /// Copy of an F32, F16 or BF16 tensor as float; every value converts exactly.
  /// @throws Error if it has another dtype.
  std::vector<float> floats(std::string_view tensor) const;

 private:
  SafetensorsFile() = default;
  const TensorView& typed(std::string_view tensor, DType dtype) const;

  std::string name_;
  std::vector<std::byte> bytes_;  // moving a vector keeps its storage, so the views stay valid
  TensorMap tensors_;
  Metadata metadata_;
  bool has_hash_ = false;
};

/// Writes a safetensors file atomically (see AtomicFile). Equal tensors and metadata give equal
/// bytes: the header is in name order, the data in order of falling element size and then name,
/// which keeps every tensor aligned. Adds file_hash to the metadata, in place of one that they
/// have: a hash over all tensors and all other metadata (data/README.md). Bytes of the metadata
/// that are not UTF-8 are replaced.
/// @throws Error if a view's bytes do not match its shape, a tensor's name is not UTF-8, or the
/// file can't be written.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata);

/// XXH3-128, in hex, over the name, dtype, shape and bytes of every tensor, in name order. It does
/// not depend on the order in the file, nor on metadata.
std::string hash_tensors(const TensorMap& tensors);

namespace detail {
/// Checks that `shape` has exactly `elements` elements. @throws Error if not.
void check_elements(const std::vector<int64_t>& shape, size_t elements);
}  // namespace detail

template <class T>
TensorView tensor_view(std::span<const T> values, std::vector<int64_t> shape) {
  detail::check_elements(shape, values.size());
  return {dtype_of<T>(), std::move(shape), std::as_bytes(values)};
}

template <class T>
std::vector<T> SafetensorsFile::values(std::string_view tensor) const {
  static_assert(!std::is_same_v<T, bool>, "std::vector<bool> is not a contiguous array");
  const TensorView& view = typed(tensor, dtype_of<T>());
  std::vector<T> result(view.bytes.size() / sizeof(T));
  if (!result.empty()) std::memcpy(result.data(), view.bytes.data(), view.bytes.size());
  return result;
}

}  // namespace derrd
