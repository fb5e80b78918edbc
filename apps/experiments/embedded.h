#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace derrd {

/// The files that the program carries within itself, by their name under data/:
/// "recipes/citeulike.toml", "published/table2.tsv", ...
const std::map<std::string, std::string_view, std::less<>>& embedded_files();

}  // namespace derrd
