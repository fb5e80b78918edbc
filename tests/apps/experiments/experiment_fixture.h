#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tests/apps/program.h"

namespace derrd::test {

/// A process of this machine whose command line, its words joined by spaces, passes a test.
std::optional<pid_t> find_process(const std::function<bool(const std::string&)>& passes);

/// Runs of `derrd reproduce` and `derrd search`. The folder has @users.tsv, synthetic interactions
/// under CiteULike's name, and @recipe.toml, to reproduce tables from in seconds.
class Experiments : public CommandTest {
 protected:
  Experiments();

  /// Writes the recipe with another number of epochs than 6.
  void set_epochs(int epochs);
  /// Writes the recipe with `changed` in place of its first `old`.
  void edit_recipe(const std::string& old, const std::string& changed) const;

  /// The words of `command` and `options`, with the data and the recipe between them.
  Arguments with_data(const std::string& command, const std::string& options) const;
  /// Two splits and four methods of BPR; the table, and where to, as options.
  Arguments reproduce(const std::string& options = "--table 2", const std::string& work = "@work",
                      const std::string& report = "@report") const;

  /// The texts of the files in a folder, by their names.
  std::map<std::string, std::string> texts_in(const std::string& folder) const;
  /// The folder of a run.
  std::string run_folder(const std::string& name) const;
  /// The cells of a TSV's line that starts with `first`, the cells before a tab each.
  static Arguments cells(const std::string& tsv, const std::string& first);
  size_t epochs_logged(const std::string& work) const;
  /// Lets a command work until its runs have logged this number of epochs.
  void wait_for_epochs(Process& process, const std::string& work, size_t epochs) const;

  std::string recipe_;  ///< text of the recipe
};

}  // namespace derrd::test
