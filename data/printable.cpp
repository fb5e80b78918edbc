#include "data/printable.h"

#include <nlohmann/json.hpp>

namespace derrd {

std::string printable(std::string_view text) {
  constexpr size_t kMaxShown = 60;
  const nlohmann::json shown = std::string(text.substr(0, kMaxShown));
  std::string escaped = shown.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxShown) escaped.insert(escaped.size() - 1, "...");
  return escaped;
}

}  // namespace derrd
