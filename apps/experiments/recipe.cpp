#include "apps/experiments/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "apps/experiments/embedded.h"
#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/joined.h"
#include "data/parse_number.h"
#include "data/printable.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

/// Options that the program sets itself.
constexpr std::array kReserved = {
    "data", "teacher",       "output",     "log",    "checkpoint",       "resume",  "quiet",
    "seed", "snapshot-gate", "split-seed", "config", "checkpoint-every", "threads", "model"};
constexpr const char* kPrepare = "prepare";

std::string method_argument(const std::string& method) {
  return method == "student" ? "none" : method;
}

}  // namespace

bool plain_name(const std::string& name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

void set_option(RecipeOptions& options, const RecipeOption& option) {
  const auto known = std::ranges::find(options, option.name, &RecipeOption::name);
  if (known == options.end()) {
    options.push_back(option);
  } else {
    *known = option;
  }
}

std::optional<std::string> reserved_option_error(const std::string& option,
                                                 const std::string& method) {
  if (option.starts_with("teacher-") || std::ranges::find(kReserved, option) != kReserved.end()) {
    return option + " is set by the program itself";
  }
  const bool sized = option == "size" || (option == "dim" && method != "teacher");
  if (sized && !method.empty()) return "the student's size is set by the program itself";
  return std::nullopt;
}

std::string toml_lines(const RecipeOptions& options) {
  std::string text;
  for (const RecipeOption& option : options) {
    const std::string& value = option.value;
    const bool bare = (parse_number<double>(value) && !value.starts_with('.')) || value == "true" ||
                      value == "false";
    text += option.name + " = ";
    if (bare) {
      text += value;
    } else {
      text += '"';
      for (const char c : value)
        text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
      text += '"';
    }
    text += '\n';
  }
  return text;
}

RecipeFile RecipeFile::of_data_set(const std::string& data_set, OptionCheck check) {
  const auto& files = embedded_files();
  const std::string file = "recipes/" + data_set + ".toml";
  if (const auto found = files.find(file); found != files.end()) {
    return parse(found->second, "data/" + file, std::move(check));
  }
  throw Error(
      fmt::format("there is no recipe for a data set \"{}\"; name it as one of those in "
                  "data/recipes, or give its recipe by --recipes {}=FILE",
                  data_set, data_set));
}

RecipeFile RecipeFile::read(const std::filesystem::path& path, OptionCheck check) {
  return parse(read_text(path), path.string(), std::move(check));
}

RecipeFile RecipeFile::parse(std::string_view text, std::string name, OptionCheck check) {
  RecipeFile recipe(std::move(name), std::move(check));
  const TomlTable document = read_toml(text, recipe.name_);
  recipe.tables_.push_back(recipe.read_table(document, "", ""));
  const auto kinds = model_kinds();
  for (const TomlTable& model : document.tables) {
    if (model.name == kPrepare) {
      recipe.prepare_ = recipe.read_table(model, kPrepare, kPrepare).options;
      continue;
    }
    if (std::ranges::find(kinds, model.name) == kinds.end()) {
      recipe.fail(model.line, fmt::format("[{}]: there is no base model {}; there are {}",
                                          model.name, model.name, joined(kinds)));
    }
    recipe.tables_.push_back(recipe.read_table(model, model.name, ""));
    for (const TomlTable& method : model.tables) {
      if (!plain_name(method.name)) {
        recipe.fail(method.line, fmt::format("[{}.{}]: letters, digits and dashes make a table's "
                                             "name",
                                             model.name, printable(method.name)));
      }
      recipe.tables_.push_back(recipe.read_table(method, model.name, method.name));
    }
  }
  std::ranges::stable_sort(recipe.tables_, {}, &Table::line);
  recipe.check_tables();
  return recipe;
}

RecipeFile::Table RecipeFile::read_table(const TomlTable& from, const std::string& model,
                                         const std::string& method) const {
  Table table{model, method, from.line, {}, {}};
  const auto refuse_kind = [&](int line, const std::string& key) {
    fail(line, key + " has to be a number, a text, true or false");
  };
  for (const TomlTable::Value& value : from.values) {
    if (value.key == "inherits" && !method.empty() && model != kPrepare) {
      if (!value.list) fail(value.line, "inherits has to be a list of this model's methods");
      table.inherits = value.texts;
      continue;
    }
    if (value.list) refuse_kind(value.line, value.key);
    if (value.texts.front().empty()) {
      fail(value.line, value.key + " has no value; give one, or remove it");
    }
    if (const auto reserved = reserved_option_error(value.key, method)) {
      fail(value.line, *reserved + "; remove it");
    }
    table.options.push_back({value.key, value.texts.front(), value.line});
  }
  if (!method.empty() && !from.tables.empty()) {
    refuse_kind(from.tables.front().line, from.tables.front().name);
  }
  return table;
}

RecipeOptions RecipeFile::options(const std::string& model, const std::string& method) const {
  RecipeOptions options;
  for (const std::string& shared : {std::string(), model}) {
    if (const Table* table = find(shared, "")) {
      for (const RecipeOption& option : table->options) set_option(options, option);
    }
  }
  std::map<std::string, RecipeOptions> known;
  for (const RecipeOption& option : inherited(model, method, 1, {}, known))
    set_option(options, option);
  const std::string command = command_of(method);
  for (const RecipeOption& option : options) {
    if (const auto reserved = reserved_option_error(option.name, method)) {
      fail(option.line, *reserved + "; remove it");
    }
  }
  if (command == "train") {
    set_option(options, {"model", model});
  } else if (std::ranges::find(options, "method", &RecipeOption::name) == options.end()) {
    set_option(options, {"method", method_argument(method), find(model, method)->line});
  }
  // Each has been checked for its own table, but not for one that inherits it, and the name of a
  // table need not be a method.
  const std::string title = find(model, method)->title();
  for (const RecipeOption& option : options) check(command, option, title);
  return options;
}

std::optional<std::string> RecipeFile::missing_table_error(const std::string& model,
                                                           const std::string& method) const {
  if (!method.empty() && find(model, method) != nullptr) return std::nullopt;
  const std::vector<std::string> known = methods(model);
  return fmt::format(
      "there is no [{}.{}]{}", model, method,
      known.empty() ? ", nor any other table of this base model" : "; there are " + joined(known));
}

std::vector<std::string> RecipeFile::methods(const std::string& model) const {
  std::vector<std::string> names;
  for (const Table& table : tables_) {
    if (table.model == model && !table.method.empty()) names.push_back(table.method);
  }
  return names;
}

std::string RecipeFile::command_of(const std::string& method) {
  return method == "teacher" || method == "student" ? "train" : "distill";
}

const RecipeFile::Table* RecipeFile::find(const std::string& model,
                                          const std::string& method) const {
  for (const Table& table : tables_) {
    if (table.model == model && table.method == method) return &table;
  }
  return nullptr;
}

RecipeOptions RecipeFile::inherited(const std::string& model, const std::string& method, int line,
                                    std::vector<std::string> from,
                                    std::map<std::string, RecipeOptions>& known) const {
  if (const auto found = known.find(method); found != known.end()) return found->second;
  if (const auto error = missing_table_error(model, method)) fail(line, *error);
  const Table* table = find(model, method);
  if (std::ranges::find(from, method) != from.end()) {
    fail(table->line, fmt::format("[{}.{}] inherits itself", model, method));
  }
  from.push_back(method);
  RecipeOptions options;
  for (const std::string& other : table->inherits) {
    for (const RecipeOption& option : inherited(model, other, table->line, from, known)) {
      if (option.name != "method") set_option(options, option);
    }
  }
  for (const RecipeOption& option : table->options) set_option(options, option);
  return known[method] = options;
}

void RecipeFile::check_tables() const {
  for (const RecipeOption& option : prepare_) check(kPrepare, option, "[prepare]");
  for (const Table& table : tables_) {
    for (const std::string& other : table.inherits) {
      if (const auto error = missing_table_error(table.model, other)) fail(table.line, *error);
    }
    // What methods share goes to both commands, for no student is trained without a teacher.
    std::vector<std::string> commands = {"train", "distill"};
    if (!table.method.empty()) commands = {command_of(table.method)};
    for (const RecipeOption& option : table.options) {
      for (const std::string& command : commands) check(command, option, table.title());
    }
  }
}

void RecipeFile::check(const std::string& command, const RecipeOption& option,
                       const std::string& title) const {
  const auto error = check_ ? check_(command, option) : std::nullopt;
  if (error) fail(option.line, fmt::format("{}: {}", title, *error));
}

std::string RecipeFile::Table::title() const {
  if (model.empty()) return "above all tables";
  return method.empty() ? fmt::format("[{}]", model) : fmt::format("[{}.{}]", model, method);
}

void RecipeFile::fail(int line, const std::string& what) const {
  throw Error(fmt::format("{}:{}: {}", name_, std::max(line, 1), what));
}

}  // namespace derrd
