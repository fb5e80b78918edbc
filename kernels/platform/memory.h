#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Owned device memory of `size` elements. Moves, does not copy; a copy is asked for by name.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  /// Uninitialised memory.
  /// @throws DeviceError if there is not enough.
  explicit DeviceArray(int64_t size)
      : data_(static_cast<T*>(device_allocate(size * static_cast<int64_t>(sizeof(T))))),
        size_(size) {}
  /// A copy of host data.
  DeviceArray(std::span<const T> host, const Stream& stream)
      : DeviceArray(static_cast<int64_t>(host.size())) {
    copy_to_device(data_, host.data(), bytes(), stream);
  }
  DeviceArray(DeviceArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceArray() { device_free(data_, bytes()); }

  T* data() const { return data_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * static_cast<int64_t>(sizeof(T)); }
  Vector<T> view() const { return {data_, size_}; }
  /// The first rows * cols elements as a matrix.
  Matrix<T> matrix(int64_t rows, int64_t cols) const { return {data_, rows, cols}; }

  /// Waits for the stream, then copies everything to the host.
  std::vector<T> to_host(const Stream& stream) const {
    std::vector<T> host(static_cast<size_t>(size_));
    copy_to_host(host.data(), data_, bytes(), stream);
    return host;
  }
  void zero(const Stream& stream) const { fill_zero(data_, bytes(), stream); }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

/// Makes room for at least `size` elements. A larger array is a new one, with new content.
template <class T>
void grow(DeviceArray<T>& array, int64_t size) {
  if (array.size() < size) array = DeviceArray<T>(size);
}

}  // namespace derrd
