#include "apps/experiments/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "apps/experiments/embedded.h"
#include "apps/experiments/toml.h"
#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/joined.h"
#include "data/printable.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

/// What the program sets itself.
constexpr std::array kReserved = {
    "data",       "teacher", "output",           "log",     "checkpoint", "resume", "quiet", "seed",
    "split-seed", "config",  "checkpoint-every", "threads", "model"};
constexpr const char* kPrepare = "prepare";

std::string method_argument(const std::string& method) {
  return method == "student" ? "none" : method;
}

}  // namespace

bool plain_name(const std::string& name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

void set_option(Options& options, const Option& option) {
  const auto known = std::ranges::find(options, option.name, &Option::name);
  if (known == options.end()) {
    options.push_back(option);
  } else {
    *known = option;
  }
}

std::string set_by_program(const std::string& option, const std::string& method) {
  // The files of a teacher, and how they are read.
  const bool teachers = option.starts_with("teacher-");
  if (teachers || std::ranges::find(kReserved, option) != kReserved.end()) {
    return option + " is set by the program itself";
  }
  const bool sized = option == "size" || (option == "dim" && method != "teacher");
  return sized && !method.empty() ? "the student's size is set by the program itself" : "";
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
  toml::table document;
  try {
    document = toml::parse(text);
  } catch (const toml::parse_error& e) {
    recipe.fail(static_cast<int>(e.source().begin.line), std::string(e.description()));
  }

  const auto read_table = [&](const toml::table& from, const std::string& model,
                              const std::string& method) {
    Table table{model, method, line_of(from), {}, {}};
    for (const auto& [key, node] : from) {
      const std::string option(key.str());
      const int line = static_cast<int>(key.source().begin.line);
      if (node.is_table() && method.empty()) continue;
      if (option == "inherits" && !method.empty() && model != kPrepare) {
        const toml::array* names = node.as_array();
        if (names == nullptr || !names->is_homogeneous<std::string>()) {
          recipe.fail(line, "inherits has to be a list of this model's methods");
        }
        for (const auto& other : *names) table.inherits.push_back(**other.as_string());
        continue;
      }
      const std::optional<std::string> value = option_value(node);
      if (!value) {
        recipe.fail(line, option + " has to be a number, a text, true or false");
      }
      if (value->empty()) recipe.fail(line, option + " has no value; give one, or remove it");
      const std::string reserved = set_by_program(option, method);
      if (!reserved.empty()) recipe.fail(line, reserved + "; remove it");
      table.options.push_back({option, *value, line});
    }
    std::ranges::sort(table.options, {}, &Option::line);
    recipe.tables_.push_back(std::move(table));
  };

  read_table(document, "", "");
  for (const auto& [key, node] : document) {
    const toml::table* model = node.as_table();
    if (model == nullptr) continue;
    const std::string model_name(key.str());
    if (model_name == kPrepare) {
      read_table(*model, model_name, model_name);
      recipe.prepare_ = recipe.tables_.back().options;
      recipe.tables_.pop_back();
      continue;
    }
    const auto kinds = model_kinds();
    if (std::ranges::find(kinds, model_name) == kinds.end()) {
      recipe.fail(static_cast<int>(key.source().begin.line),
                  fmt::format("[{}]: there is no base model {}; there are {}", model_name,
                              model_name, joined(kinds)));
    }
    read_table(*model, model_name, "");
    for (const auto& [method, settings] : *model) {
      if (settings.is_table()) {
        if (!plain_name(std::string(method.str()))) {
          recipe.fail(static_cast<int>(method.source().begin.line),
                      fmt::format("[{}.{}]: letters, digits and dashes make a table's name",
                                  model_name, printable(method.str())));
        }
        read_table(*settings.as_table(), model_name, std::string(method.str()));
      }
    }
  }
  std::ranges::stable_sort(recipe.tables_, {}, &Table::line);
  recipe.check_tables();
  return recipe;
}

Options RecipeFile::options(const std::string& model, const std::string& method) const {
  Options options;
  for (const std::string& shared : {std::string(), model}) {
    if (const Table* table = find(shared, "")) {
      for (const Option& option : table->options) set_option(options, option);
    }
  }
  std::map<std::string, Options> known;
  for (const Option& option : inherited(model, method, 1, {}, known)) set_option(options, option);
  const std::string command = command_of(method);
  for (const Option& option : options) {
    const std::string reserved = set_by_program(option.name, method);
    if (!reserved.empty()) fail(option.line, reserved + "; remove it");
  }
  if (command == "train") {
    set_option(options, {"model", model});
  } else if (std::ranges::find(options, "method", &Option::name) == options.end()) {
    set_option(options, {"method", method_argument(method), find(model, method)->line});
  }
  // Each has been checked for its own table, but not for one that inherits it, and the name of a
  // table need not be a method.
  const std::string title = find(model, method)->title();
  for (const Option& option : options) check(command, option, title);
  return options;
}

std::string RecipeFile::lack_of(const std::string& model, const std::string& method) const {
  if (!method.empty() && find(model, method) != nullptr) return "";
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

Options RecipeFile::inherited(const std::string& model, const std::string& method, int line,
                              std::vector<std::string> from,
                              std::map<std::string, Options>& known) const {
  if (const auto found = known.find(method); found != known.end()) return found->second;
  if (const std::string lack = lack_of(model, method); !lack.empty()) fail(line, lack);
  const Table* table = find(model, method);
  if (std::ranges::find(from, method) != from.end()) {
    fail(table->line, fmt::format("[{}.{}] inherits itself", model, method));
  }
  from.push_back(method);
  Options options;
  for (const std::string& other : table->inherits) {
    for (const Option& option : inherited(model, other, table->line, from, known)) {
      if (option.name != "method") set_option(options, option);
    }
  }
  for (const Option& option : table->options) set_option(options, option);
  return known[method] = options;
}

void RecipeFile::check_tables() const {
  for (const Option& option : prepare_) check(kPrepare, option, "[prepare]");
  for (const Table& table : tables_) {
    for (const std::string& other : table.inherits) {
      if (const std::string lack = lack_of(table.model, other); !lack.empty()) {
        fail(table.line, lack);
      }
    }
    // What methods share goes to both commands, for no student is trained without a teacher.
    std::vector<std::string> commands = {"train", "distill"};
    if (!table.method.empty()) commands = {command_of(table.method)};
    for (const Option& option : table.options) {
      for (const std::string& command : commands) check(command, option, table.title());
    }
  }
}

void RecipeFile::check(const std::string& command, const Option& option,
                       const std::string& title) const {
  const std::string wrong = check_ ? check_(command, option) : "";
  if (!wrong.empty()) fail(option.line, fmt::format("{}: {}", title, wrong));
}

std::string RecipeFile::Table::title() const {
  if (model.empty()) return "above all tables";
  return method.empty() ? fmt::format("[{}]", model) : fmt::format("[{}.{}]", model, method);
}

void RecipeFile::fail(int line, const std::string& what) const {
  throw Error(fmt::format("{}:{}: {}", name_, std::max(line, 1), what));
}

}  // namespace derrd
