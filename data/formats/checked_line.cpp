#include "data/formats/checked_line.h"

#include <fmt/format.h>

#include "data/formats/hash.h"

namespace derrd {

namespace {

constexpr std::string_view kCheckBegin = "\"check\":\"", kCheckEnd = "\"}";
constexpr size_t kCheckDigits = 16;

}  // namespace

std::string checked_line(std::string_view object) {
  const std::string_view open = object.substr(0, object.size() - 1);
  return fmt::format("{}{}{}{}{}", open, open == "{" ? "" : ",", kCheckBegin, hash_of_text(object),
                     kCheckEnd);
}

std::optional<std::string> read_checked_line(std::string_view line) {
  constexpr size_t kSize = kCheckBegin.size() + kCheckDigits + kCheckEnd.size();
  if (line.size() <= kSize) return std::nullopt;
  std::string_view object = line.substr(0, line.size() - kSize);
  if (object.back() == ',') object.remove_suffix(1);
  std::string text = std::string(object) + "}";
  // Made anew, so that no other line passes than the one that was written.
  if (checked_line(text) != line) return std::nullopt;
  return text;
}

std::string extend_log_hash(std::string_view hash, std::string_view line) {
  return hash_of_text(std::string(hash) + std::string(line));
}

}  // namespace derrd
