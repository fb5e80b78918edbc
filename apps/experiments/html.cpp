#include "apps/experiments/html.h"

#include <fmt/format.h>

#include "apps/experiments/markup.h"

namespace derrd {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #59636e; --page: #fff; --raised: #f6f8fa; --rule: #d1d9e0; --mark: #9a3412;
  --c0: #1b1f24; --c1: #6e7781; --c2: #b45309; --c3: #0e7490; --c4: #1d4ed8; --c5: #15803d; --c6: #be123c; --c7: #7e22ce; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --quiet: #9aa4af; --page: #0d1117; --raised: #161b22; --rule: #3d444d; --mark: #fdba74;
  --c0: #e6edf3; --c1: #9aa4af; --c2: #fbbf24; --c3: #22d3ee; --c4: #79a8ff; --c5: #4ade80; --c6: #fb7185; --c7: #d8b4fe; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; } a { color: inherit; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px; }
.scroll:focus-visible { outline: 2px solid var(--c4); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--page); }
thead th, thead th:first-child { background: var(--raised); }
tr.ours > * { border-top: 1px solid var(--rule); } tbody th { font-weight: 600; }
tr.beside > * { color: var(--quiet); padding-top: 0; } tr.beside th { font-weight: 400; padding-left: 1.6rem; }
small { font-size: .8em; color: var(--quiet); }
td.outside { color: var(--mark); font-weight: 600; }
.notes, footer { color: var(--quiet); font-size: .875rem; } .notes { padding-left: 1.2rem; }
figure { margin: 0 0 1.5rem; } svg { display: block; width: 100%; height: auto; max-height: 30rem; }
svg text { fill: var(--quiet); font-size: 12px; } .grid { stroke: var(--rule); fill: none; stroke-width: .6; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .published { stroke-dasharray: 5 4; stroke-width: 1.3; }
.legend { list-style: none; padding: 0; margin: .25rem 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; font-size: .875rem; }
.legend svg { display: inline-block; width: 1.9rem; height: .6rem; margin-right: .4rem; vertical-align: middle; }
@media print { .scroll { overflow: visible; border: 0; } }
)";

std::string style() {
  std::string text = kStyle;
  for (size_t c = 0; c < kChartColors; ++c) {
    text += fmt::format(".c{} {{ stroke: var(--c{}); }}\n", c, c);
  }
  return text;
}

std::string anchor(size_t section) { return fmt::format("s{}", section); }

std::string cell(const std::string& text, const char* attributes = "") {
  return fmt::format("<td{}>{}</td>", attributes, escaped(text));
}

/// "0.4817 ± 0.0021" with the error in small print.
std::string figure_cell(const ReportFigure& figure) {
  std::string text = escaped(format_with_error(figure));
  const size_t error = text.find(" ±");
  if (error != std::string::npos) text = text.insert(error, "<small>") + "</small>";
  return "<td>" + text + "</td>";
}

std::string row_header(const std::string& label, const std::string& marks) {
  return "<th scope=row>" + escaped(label) + (marks.empty() ? "" : " " + escaped(marks)) + "</th>";
}

std::string rows_of(const ReportRow& row) {
  std::string ours = row_header(row.label, row.marks);
  std::string paper = row_header("paper", row.paper_marks);
  std::string difference = row_header("difference", "");
  for (const ReportFigure& figure : row.figures) {
    ours += figure_cell(figure);
    paper += cell(format_paper(figure));
    difference += cell(format_difference(figure), figure.outside() ? " class=outside" : "");
  }
  std::string text = "<tr class=ours>" + ours + "</tr>\n";
  if (row.has_paper()) {
    text += "<tr class=beside>" + paper + "</tr>\n<tr class=beside>" + difference + "</tr>\n";
  }
  return text;
}

std::string list(const char* attributes, const std::vector<std::string>& items) {
  if (items.empty()) return "";
  std::string text = fmt::format("<ul class={}>", attributes);
  for (const std::string& item : items) text += "<li>" + escaped(item) + "</li>";
  return text + "</ul>\n";
}

std::string section(size_t number, const ReportTable& table) {
  // A table that is wider than a phone scrolls within itself; the keyboard has to reach it.
  std::string text = fmt::format(
      "<section>\n<h2 id={}>{}</h2>\n<div class=scroll role=region tabindex=0 aria-labelledby={}>\n"
      "<table>\n<thead><tr><th scope=col>{}</th>",
      anchor(number), escaped(table.title), anchor(number), escaped(table.first_column));
  for (const std::string& column : table.columns) {
    text += "<th scope=col>" + escaped(column) + "</th>";
  }
  text += "</tr></thead>\n<tbody>\n";
  for (const ReportRow& row : table.rows) text += rows_of(row);
  return text + "</tbody>\n</table>\n</div>\n" + list("notes", table.notes) + "</section>\n";
}

std::string section(size_t number, const Chart& chart) {
  std::string text = fmt::format("<section>\n<h2 id={}>{}</h2>\n<figure>\n{}<figcaption>\n",
                                 anchor(number), escaped(chart.title), svg(chart));
  text += "<ul class=legend>";
  for (const ChartSeries& series : chart.series) {
    text += fmt::format(
        "<li><svg viewBox=\"0 0 30 10\" aria-hidden=true><path class=\"line c{}{}\" d=\"M0 5H30\"/>"
        "</svg>{}</li>\n",
        series.color % kChartColors, series.published ? " published" : "", escaped(series.label));
  }
  text += "</ul>\n";
  if (!chart.note.empty()) text += "<p class=notes>" + escaped(chart.note) + "</p>\n";
  return text + "</figcaption>\n</figure>\n</section>\n";
}

}  // namespace

std::string html(const Report& report) {
  std::vector<std::string> titles, sections;
  for (const ReportTable& table : report.tables) {
    titles.push_back(table.title);
    sections.push_back(section(sections.size(), table));
  }
  for (const Chart& chart : report.charts) {
    titles.push_back(chart.title);
    sections.push_back(section(sections.size(), chart));
  }
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=icon href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<header><h1>{}</h1></header>\n<nav aria-label=Contents><ul>",
      escaped(report.title), style(), escaped(report.title));
  for (size_t i = 0; i < titles.size(); ++i) {
    text += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", anchor(i), escaped(titles[i]));
  }
  text += "</ul></nav>\n<main>\n";
  for (const std::string& part : sections) text += part;
  return text + "</main>\n<footer>\n" + list("notes", report.facts) +
         "</footer>\n</body>\n</html>\n";
}

}  // namespace derrd
