#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/experiments/results.h"

namespace derrd {

/// Position of a row in the paper's tables. A part that a table doesn't distinguish is "-".
struct RowName {
  int table = 0;
  std::string data_set, model, row;

  auto operator<=>(const RowName&) const = default;
};

/// Row of a table as printed in the paper; see data/published/README.md.
struct PublishedRow {
  std::string marks;  ///< asterisks
  MetricValues figures;

  /// Returns the figure in a column; none if the paper prints none.
  std::optional<double> figure(const std::string& column) const;
};
/// Finds a row. Returns an empty one if the paper doesn't have it.
PublishedRow published_row(const RowName& name);

/// Learning curves that the paper's authors published for a data set.
struct PublishedCurves {
  std::map<std::string, LearningCurve> by_method;
  std::string source;  ///< the file, or the reason why there are none
};
/// Reads published_curves.tsv in the data set's folder below $DERRD_DATA. Without it there are no
/// curves. @throws Error if the file is not such a table.
PublishedCurves published_curves(const std::string& data_set);

}  // namespace derrd
