#include "data/formats/hash.h"

#define XXH_INLINE_ALL  // so that nobody has to link it
#define XXH_VECTOR 0    // scalar code: g++ 12 warns about its own AVX-512 header
#include <xxhash.h>

#include <fmt/format.h>

#include <bit>

namespace derrd {

static_assert(std::endian::native == std::endian::little, "hashes are of little-endian numbers");

struct Hasher::State {
  XXH3_state_t xxh3;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }

Hasher::~Hasher() = default;

void Hasher::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

void Hasher::add(uint64_t number) { add(std::as_bytes(std::span(&number, 1))); }

void Hasher::add_sized(std::string_view text) {
  add(text.size());
  add(std::as_bytes(std::span(text)));
}

std::string Hasher::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh3);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_of_text(std::string_view text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace derrd
