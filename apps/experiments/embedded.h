#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace derrd {

/// Files that are compiled into the program, by their names under data/:
/// "recipes/citeulike.toml", "published/table2.tsv", ...
const std::map<std::string, std::string_view, std::less<>>& embedded_files();

}  // namespace derrd
