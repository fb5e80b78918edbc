#include "data/column_names.h"

#include <algorithm>
#include <array>
#include <span>

namespace derrd {

namespace {

constexpr std::array<std::string_view, 16> kUsers{
    "user",       "userid",    "uid",       "useridx",  "reviewerid", "customer",
    "customerid", "visitorid", "member",    "memberid", "buyerid",    "readerid",
    "listenerid", "accountid", "profileid", "personid"};
constexpr std::array<std::string_view, 36> kItems{
    "item",    "itemid",    "iid",     "itemidx",  "movie",      "movieid",
    "filmid",  "book",      "bookid",  "isbn",     "asin",       "parentasin",
    "article", "articleid", "artist",  "artistid", "business",   "businessid",
    "product", "productid", "track",   "trackid",  "song",       "songid",
    "albumid", "placeid",   "venueid", "poiid",    "locationid", "recipeid",
    "gameid",  "animeid",   "newsid",  "docid",    "jokeid",     "stockcode"};
constexpr std::array<std::string_view, 10> kRatings{
    "rating",  "ratings",    "score", "stars",      "star",
    "overall", "bookrating", "value", "starrating", "preference"};
constexpr std::array<std::string_view, 11> kTimes{
    "timestamp",      "time",       "date",       "datetime",  "tdat",     "ts",
    "unixreviewtime", "reviewtime", "reviewdate", "createdat", "eventtime"};
// Names that may as well be ids.
constexpr std::array<std::string_view, 9> kWords{
    "customer", "member", "movie", "book", "article", "artist", "business", "product", "track"};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string letters_of(std::string_view name) {
  std::string letters;
  for (const char c : without_type(name)) {
    if (std::string_view("_-: \t'\"").find(c) != std::string_view::npos) continue;
    letters += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return letters;
}

}  // namespace

std::span<const std::string_view> names_of_role(ColumnRole role) {
  switch (role) {
    case ColumnRole::kUser:
      return kUsers;
    case ColumnRole::kItem:
      return kItems;
    case ColumnRole::kRating:
      return kRatings;
    case ColumnRole::kTime:
      return kTimes;
    case ColumnRole::kUnknown:
      break;
  }
  return {};
}

ColumnRole role_of_name(std::string_view name) {
  const std::string letters = letters_of(name);
  for (const ColumnRole role :
       {ColumnRole::kUser, ColumnRole::kItem, ColumnRole::kRating, ColumnRole::kTime}) {
    if (contains(names_of_role(role), letters)) return role;
  }
  return ColumnRole::kUnknown;
}

bool is_telling_name(std::string_view cell) {
  const ColumnRole role = role_of_name(cell);
  return (role == ColumnRole::kUser || role == ColumnRole::kItem) &&
         !contains(kWords, letters_of(cell));
}

std::string_view without_type(std::string_view name) {
  for (const std::string_view type : {":token", ":float", ":token_seq", ":float_seq"}) {
    if (name.ends_with(type)) return name.substr(0, name.size() - type.size());
  }
  return name;
}

bool numbers_rows(std::string_view name) {
  const std::string letters = letters_of(name);
  return letters.empty() || letters == "unnamed0";
}

}  // namespace derrd
