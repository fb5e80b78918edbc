#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/experiments/results.h"

namespace derrd {

/// Where a row stands in the paper's tables; "-" where a table doesn't distinguish.
struct RowName {
  int table = 0;
  std::string data_set, model, row;

  auto operator<=>(const RowName&) const = default;
};

/// A row of a table as printed; data/published/README.md.
struct PublishedRow {
  std::string marks;  ///< asterisks
  MetricValues figures;

  std::optional<double> figure(const std::string& column) const;
};
/// The empty row if the paper doesn't have it.
PublishedRow published_row(const RowName& name);

/// The learning curves that the paper's authors published for a data set, by method.
struct PublishedCurves {
  std::map<std::string, Curve> by_method;
  std::string source;  ///< the file; or why there are none
};
/// From published_curves.tsv in the data set's folder in $DERRD_DATA. @throws Error if it can't be
/// understood.
PublishedCurves published_curves(const std::string& data_set);

}  // namespace derrd
