#pragma once

#include <span>
#include <string>
#include <string_view>

namespace derrd {

/// Content of a table's column.
enum class ColumnRole { kUnknown, kUser, kItem, kRating, kTime };

/// Returns the role of a column by its name in a header; data/README.md lists the names. Case,
/// blanks, quotes and the characters `_-:` don't count, nor do RecBole's types such as `:token`.
ColumnRole role_of_name(std::string_view name);

/// Names of a role in lower case, without the characters that don't count.
std::span<const std::string_view> names_of_role(ColumnRole role);

/// Returns whether a cell is hardly anything but a column's name: a user's or item's name that is
/// no everyday word, such as `user_id`.
bool is_telling_name(std::string_view cell);

/// Returns a name without RecBole's type: `user_id` for `user_id:token`.
std::string_view without_type(std::string_view name);

/// Returns whether a column of this name numbers rows, as pandas and R write it.
bool numbers_rows(std::string_view name);

}  // namespace derrd
