#pragma once

#include <optional>
#include <string>
#include <vector>

namespace derrd {

/// What stands behind a difference that is outside two standard errors.
inline constexpr const char* kOutsideMark = "†";

/// How a figure is written.
enum class Style {
  kCount,     ///< 125,580
  kMetric,    ///< .4817 as 0.4817
  kShare,     ///< a ratio, 0.94
  kPercent,   ///< 99.91%
  kMillions,  ///< of parameters: 6.08M
  kSeconds,   ///< 59.27 s
  kNumber     ///< three digits, of any size
};

/// A figure, and beside it the paper's.
struct Figure {
  Style style = Style::kMetric;
  std::vector<double> values;  ///< one per split; none: not trained
  std::optional<double> paper;

  std::optional<double> mean() const;
  std::optional<double> error() const;       ///< standard error
  std::optional<double> difference() const;  ///< mean - paper
  /// Whether the paper's figure lies outside two standard errors; never of a single value.
  bool outside() const;
};

/// A figure with its unit, or its standard error, or a difference with a sign.
std::string format_figure(double value, Style style);
std::string format_difference(double value, Style style);
/// "0.4817 ± 0.0021", "–" without values.
std::string format_with_error(const Figure& figure);
/// "0.4850", "–" if the paper has none.
std::string format_paper(const Figure& figure);
/// "-0.0033 †", the mark where outside(); "–" without a difference.
std::string format_difference(const Figure& figure);

struct ReportRow {
  std::string id;     ///< "de-rrd"
  std::string label;  ///< "DE-RRD"
  std::string marks, paper_marks;
  std::vector<Figure> figures;

  bool has_paper() const;
};

struct ReportTable {
  int number = 0;  ///< in the paper; 0: not there
  std::string data_set, model;
  std::string title;
  std::string first_column;
  std::vector<std::string> columns;
  std::vector<ReportRow> rows;
  std::vector<std::string> notes;
};

std::string markdown(const ReportTable& table);
/// Of all tables, a line per figure; the first line names the columns.
std::string tsv(const std::vector<ReportTable>& tables);

}  // namespace derrd
