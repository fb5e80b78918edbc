#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace derrd {

/// XXH3-128 of bytes that come piece by piece. The same bytes give the same hash, however they are
/// divided.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  /// Appends bytes.
  void add(std::span<const std::byte> bytes);
  /// Appends a number as little-endian 64 bits.
  void add(uint64_t number);
  /// Appends a text behind its length, so that no two sequences of texts have the same bytes.
  void add_sized(std::string_view text);

  /// Hash of the bytes so far: 32 hexadecimal digits, as `xxh128sum` prints them.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// XXH3-64 of a text: 16 hexadecimal digits.
std::string hash_of_text(std::string_view text);

}  // namespace derrd
