#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace derrd {

/// A long option of the program without its dashes, and a value for it.
struct Option {
  std::string name;
  std::string value;
  int line = 0;  ///< of the recipe; 0: not from one

  std::string argument() const { return "--" + name + "=" + value; }
};
/// Distinct names.
using Options = std::vector<Option>;

/// Whether a name can be a part of a file's: letters, digits and dashes.
bool plain_name(const std::string& name);

/// Adds an option, or gives it another value.
void set_option(Options& options, const Option& option);

/// Why no recipe or search may choose an option of a method, or of all methods if that is empty; an
/// empty text: it may.
std::string set_by_program(const std::string& option, const std::string& method);

/// Says what is wrong with an option of `derrd <command>`; an empty text: nothing.
using OptionCheck = std::function<std::string(const std::string& command, const Option&)>;

/// The hyperparameters of a data set; data/recipes/README.md documents the file.
class RecipeFile {
 public:
  /// The recipe that the program carries for a data set. @throws Error that names those there are.
  static RecipeFile of_data_set(const std::string& data_set, OptionCheck check);
  static RecipeFile read(const std::filesystem::path& path, OptionCheck check);
  /// @param name for messages. @throws Error with file and line if it isn't TOML, or if any of its
  /// tables has a key or a value that its command refuses.
  static RecipeFile parse(std::string_view text, std::string name, OptionCheck check);

  const std::string& name() const { return name_; }

  /// Options of `derrd prepare`.
  const Options& prepare() const { return prepare_; }
  /// Options of the command that trains a method: `command_of(method)`.
  /// @throws Error with file and line, among others for options that the command refuses.
  Options options(const std::string& model, const std::string& method) const;
  /// Says that a base model has no table for a method, and which it has; an empty text: it has one.
  std::string lack_of(const std::string& model, const std::string& method) const;
  /// The tables of a base model, "teacher" and "student" among them, in the file's order.
  std::vector<std::string> methods(const std::string& model) const;

  /// "train" for the teacher and the student alone, else "distill".
  static std::string command_of(const std::string& method);

 private:
  struct Table {
    std::string model, method;  ///< empty: shared by all methods, by all models
    int line = 0;
    Options options;
    std::vector<std::string> inherits;

    std::string title() const;  ///< "[bpr.de]"
  };
  RecipeFile(std::string name, OptionCheck check)
      : name_(std::move(name)), check_(std::move(check)) {}
  const Table* find(const std::string& model, const std::string& method) const;
  /// The options of a table and of those that it inherits.
  /// @param from methods that inherit this one.
  /// @param known the methods that have been looked up.
  Options inherited(const std::string& model, const std::string& method, int line,
                    std::vector<std::string> from, std::map<std::string, Options>& known) const;
  void check_tables() const;
  void check(const std::string& command, const Option& option, const std::string& title) const;
  [[noreturn]] void fail(int line, const std::string& what) const;

  std::string name_;
  OptionCheck check_;
  std::vector<Table> tables_;
  Options prepare_;
};

}  // namespace derrd
