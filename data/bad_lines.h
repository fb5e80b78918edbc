#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/format.h"
#include "data/formats/text_lines.h"

namespace derrd {

/// Treatment of lines that can't be read: the error stops the reader, or the line is skipped.
class BadLines {
 public:
  explicit BadLines(const ReadOptions& options) : options_(options) {}

  /// Takes a step of the reader, such as a line. @throws LineError of the step if lines stop it.
  template <class Step>
  void guard(Step step) {
    try {
      step();
    } catch (const LineError& error) {
      if (options_.on_bad_line == OnBadLine::kStop) throw;
      if (++count_ <= 3) examples_.push_back(error.what());
    }
  }

  /// Tells `options.remark` how many lines were skipped, and what is wrong with the first three.
  void report(std::string_view file) const {
    if (count_ == 0 || !options_.remark) return;
    options_.remark(std::string(file) + ": skipped " + std::to_string(count_) + " bad line" +
                    (count_ == 1 ? "" : "s") + ", the first ones for:");
    for (const std::string& example : examples_) options_.remark("  " + example);
  }

 private:
  const ReadOptions& options_;
  int64_t count_ = 0;
  std::vector<std::string> examples_;
};

}  // namespace derrd
