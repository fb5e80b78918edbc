#pragma once

#include <optional>
#include <string>
#include <vector>

namespace derrd {

/// Mark of a difference that exceeds two standard errors.
inline constexpr const char* kOutsideMark = "†";

/// Format of a figure.
enum class FigureStyle {
  kCount,     ///< 125,580
  kMetric,    ///< 0.4817
  kShare,     ///< 0.940
  kPercent,   ///< 99.91%
  kMillions,  ///< 6.08M
  kSeconds,   ///< 59.27 s
  kNumber,    ///< three significant digits
  kText       ///< words
};

/// Figure of a table, with the paper's figure.
struct ReportFigure {
  FigureStyle style = FigureStyle::kMetric;
  std::vector<double> values;  ///< one per split that was trained
  std::optional<double> paper;
  std::string text = {};                  ///< of a figure in words, which has no values
  std::optional<double> user_error = {};  ///< standard error over the users of a single split

  std::optional<double> mean() const;
  /// Standard error: over the splits, of a single one over its users.
  std::optional<double> error() const;
  std::optional<double> difference() const;  ///< mean - paper
  /// Returns true if the difference exceeds two standard errors; false without one.
  bool outside() const;
};

/// Makes a figure of one value, or of none.
ReportFigure one_figure(FigureStyle style, std::optional<double> value);
/// Makes a figure in words.
ReportFigure words(const std::string& text);

/// Writes a figure with its unit.
std::string format_figure(double value, FigureStyle style);
/// Writes a difference with its sign and unit.
std::string format_difference(double value, FigureStyle style);
/// Writes "0.4817 ± 0.0021", or "–" without values.
std::string format_with_error(const ReportFigure& figure);
/// Writes "0.4850", or "–" if the paper has no figure.
std::string format_paper(const ReportFigure& figure);
/// Writes "-0.0033 †", with the mark if outside(), or "–" without a difference.
std::string format_difference(const ReportFigure& figure);

/// Row of a table.
struct ReportRow {
  std::string id;     ///< "de-rrd"
  std::string label;  ///< "DE-RRD"
  std::string marks, paper_marks;
  std::vector<ReportFigure> figures;

  /// Returns true if the paper has any of the figures.
  bool has_paper() const;
};

/// Table of a report.
struct ReportTable {
  std::string data_set, model;
  std::string title;
  std::string first_column;
  std::vector<std::string> columns;
  std::vector<ReportRow> rows;
  std::vector<std::string> notes;
};

/// Writes a table as Markdown.
std::string markdown(const ReportTable& table);
/// Writes tables as TSV, a line per figure; the first line names the columns.
std::string tsv(const std::vector<ReportTable>& tables);

}  // namespace derrd
