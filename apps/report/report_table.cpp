#include "apps/report/report_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/analysis/statistics.h"

namespace derrd {

namespace {

constexpr const char* kNone = "–";

std::string with_thousands(double value) {
  std::string text = fmt::format("{:.0f}", std::abs(value));
  for (auto i = static_cast<std::ptrdiff_t>(text.size()) - 3; i > 0; i -= 3) {
    text.insert(static_cast<size_t>(i), ",");
  }
  return value <= -0.5 ? "-" + text : text;
}

/// Without unit.
std::string format_number(double value, FigureStyle style) {
  switch (style) {
    case FigureStyle::kCount:
      return with_thousands(value);
    case FigureStyle::kMetric:
      return fmt::format("{:.4f}", value);
    case FigureStyle::kShare:
      return fmt::format("{:.3f}", value);
    case FigureStyle::kPercent:
      return fmt::format("{:.2f}", value);
    case FigureStyle::kMillions:
      return fmt::format("{:.2f}", value);
    case FigureStyle::kSeconds:
      return fmt::format("{:.3f}", value);
    case FigureStyle::kNumber:
      return fmt::format("{:.3g}", value);
    case FigureStyle::kText:
      break;
  }
  return "";
}

const char* unit_of(FigureStyle style) {
  switch (style) {
    case FigureStyle::kPercent:
      return "%";
    case FigureStyle::kMillions:
      return "M";
    case FigureStyle::kSeconds:
      return " s";
    default:
      return "";
  }
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += " " + cell + " |";
  return text + "\n";
}

/// Asterisks would be taken for emphasis.
std::string with_plain_asterisks(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '*' ? "\\*" : std::string(1, c);
  return result;
}

std::string exact(std::optional<double> value) {
  return value ? fmt::format("{}", *value) : std::string("-");
}

}  // namespace

std::optional<double> ReportFigure::mean() const {
  return values.empty() ? std::nullopt : std::optional(derrd::mean(values));
}
std::optional<double> ReportFigure::error() const {
  return values.size() == 1 ? user_error : standard_error(values);
}
std::optional<double> ReportFigure::difference() const {
  if (values.empty() || !paper) return std::nullopt;
  return *mean() - *paper;
}
bool ReportFigure::outside() const {
  return difference() && error() && std::abs(*difference()) > 2 * *error();
}

ReportFigure one_figure(FigureStyle style, std::optional<double> value) {
  return {style, value ? std::vector{*value} : std::vector<double>(), {}};
}
ReportFigure words(const std::string& text) { return {FigureStyle::kText, {}, {}, text}; }

std::string format_figure(double value, FigureStyle style) {
  return format_number(value, style) + unit_of(style);
}

std::string format_difference(double value, FigureStyle style) {
  return (value < 0 ? "-" : "+") + format_figure(std::abs(value), style);
}

std::string format_with_error(const ReportFigure& figure) {
  if (figure.style == FigureStyle::kText) return figure.text;
  if (figure.values.empty()) return kNone;
  std::string text = format_number(*figure.mean(), figure.style);
  if (const auto error = figure.error()) text += " ± " + format_number(*error, figure.style);
  return text + unit_of(figure.style);
}

std::string format_paper(const ReportFigure& figure) {
  return figure.paper ? format_figure(*figure.paper, figure.style) : kNone;
}

std::string format_difference(const ReportFigure& figure) {
  if (!figure.difference()) return kNone;
  const std::string text = format_difference(*figure.difference(), figure.style);
  return figure.outside() ? text + " " + kOutsideMark : text;
}

bool ReportRow::has_paper() const {
  return std::ranges::any_of(figures,
                             [](const ReportFigure& figure) { return bool(figure.paper); });
}

std::string markdown(const ReportTable& table) {
  const auto labelled = [](const std::string& label, const std::string& marks) {
    return marks.empty() ? label : label + " " + with_plain_asterisks(marks);
  };
  std::vector<std::string> header = {table.first_column};
  header.insert(header.end(), table.columns.begin(), table.columns.end());
  std::string text = fmt::format("### {}\n\n{}|---", table.title, markdown_row(header));
  for (size_t c = 0; c < table.columns.size(); ++c) text += "|---:";
  text += "|\n";
  for (const ReportRow& row : table.rows) {
    std::vector<std::string> ours = {labelled(row.label, row.marks)};
    std::vector<std::string> paper = {labelled("&nbsp; paper", row.paper_marks)};
    std::vector<std::string> difference = {"&nbsp; difference"};
    for (const ReportFigure& figure : row.figures) {
      ours.push_back(format_with_error(figure));
      paper.push_back(format_paper(figure));
      difference.push_back(format_difference(figure));
    }
    text += markdown_row(ours);
    if (row.has_paper()) text += markdown_row(paper) + markdown_row(difference);
  }
  text += "\n";
  for (const std::string& note : table.notes) text += "- " + with_plain_asterisks(note) + "\n";
  if (!table.notes.empty()) text += "\n";
  return text;
}

std::string tsv(const std::vector<ReportTable>& tables) {
  std::string text =
      "dataset\tmodel\trow\tmarks\tfigure\tmean\tstandard_error\tsplits\tpaper\tpaper_marks\t"
      "difference\toutside_two_standard_errors\n";
  const auto or_dash = [](const std::string& value) { return value.empty() ? "-" : value; };
  for (const ReportTable& table : tables) {
    for (const ReportRow& row : table.rows) {
      for (size_t c = 0; c < row.figures.size(); ++c) {
        const ReportFigure& figure = row.figures[c];
        text += fmt::format(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", or_dash(table.data_set),
            or_dash(table.model), row.id, or_dash(row.marks), table.columns[c],
            figure.style == FigureStyle::kText ? or_dash(figure.text) : exact(figure.mean()),
            exact(figure.error()), figure.values.size(), exact(figure.paper),
            or_dash(row.paper_marks), exact(figure.difference()),
            !figure.difference() || !figure.error() ? "-"
            : figure.outside()                      ? "yes"
                                                    : "no");
      }
    }
  }
  return text;
}

}  // namespace derrd
