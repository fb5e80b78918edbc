#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/toml_table.h"

namespace derrd {

/// Long option of a command, without its dashes, and its value.
struct RecipeOption {
  std::string name;
  std::string value;
  int line = 0;  ///< line of the recipe; 0 for an option from elsewhere

  std::string argument() const { return "--" + name + "=" + value; }
};
/// Options with distinct names.
using RecipeOptions = std::vector<RecipeOption>;

/// Returns true if a name has only letters, digits and dashes, so that files can be named after it.
bool plain_name(const std::string& name);

/// Adds an option, or replaces its value.
void set_option(RecipeOptions& options, const RecipeOption& option);

/// Explains why recipes and searches may not set an option. Returns none if they may.
/// @param method empty for options that all methods share
std::optional<std::string> reserved_option_error(const std::string& option,
                                                 const std::string& method);

/// Writes options as `key = value` lines of TOML: numbers, true and false bare, other texts in
/// quotes.
std::string toml_lines(const RecipeOptions& options);

/// Explains what is wrong with an option of `derrd <command>`. Returns none if it is right.
using OptionCheck =
    std::function<std::optional<std::string>(const std::string& command, const RecipeOption&)>;

/// Hyperparameters of a data set; data/recipes/README.md documents the file.
class RecipeFile {
 public:
  /// Reads the recipe for a data set from the program itself. @throws Error if it has none.
  static RecipeFile of_data_set(const std::string& data_set, OptionCheck check);
  /// Reads a file. @throws Error as parse() does.
  static RecipeFile read(const std::filesystem::path& path, OptionCheck check);
  /// Reads a text.
  /// @param name for messages
  /// @throws Error with file and line if it isn't TOML, or if any table has a key or a value that
  /// its command refuses.
  static RecipeFile parse(std::string_view text, std::string name, OptionCheck check);

  const std::string& name() const { return name_; }

  /// Options for `derrd prepare`.
  const RecipeOptions& prepare() const { return prepare_; }
  /// Returns the options for the command that trains a method: `command_of(method)`.
  /// @throws Error with file and line, also for options that the command refuses.
  RecipeOptions options(const std::string& model, const std::string& method) const;
  /// Explains that a base model has no table for a method, and which tables it has. Returns none if
  /// it has one.
  std::optional<std::string> missing_table_error(const std::string& model,
                                                 const std::string& method) const;
  /// Lists the methods of a base model in the file's order, "teacher" and "student" among them.
  std::vector<std::string> methods(const std::string& model) const;

  /// Returns the command that trains a method: "train" for teacher and student, else "distill".
  static std::string command_of(const std::string& method);

 private:
  struct Table {
    std::string model, method;  ///< empty: shared by all models or methods
    int line = 0;
    RecipeOptions options;
    std::vector<std::string> inherits;

    std::string title() const;  ///< "[bpr.de]"
  };
  RecipeFile(std::string name, OptionCheck check)
      : name_(std::move(name)), check_(std::move(check)) {}
  Table read_table(const TomlTable& from, const std::string& model,
                   const std::string& method) const;
  const Table* find(const std::string& model, const std::string& method) const;
  /// The options of a table and of the tables that it inherits.
  /// @param from methods that inherit this one
  /// @param known results of earlier calls, by method
  RecipeOptions inherited(const std::string& model, const std::string& method, int line,
                          std::vector<std::string> from,
                          std::map<std::string, RecipeOptions>& known) const;
  void check_tables() const;
  void check(const std::string& command, const RecipeOption& option,
             const std::string& title) const;
  [[noreturn]] void fail(int line, const std::string& what) const;

  std::string name_;
  OptionCheck check_;
  std::vector<Table> tables_;
  RecipeOptions prepare_;
};

}  // namespace derrd
