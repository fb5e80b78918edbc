#include "apps/report/page.h"

#include <fmt/format.h>

#include "apps/report/markup.h"

namespace derrd {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #59636e; --page: #fff; --raised: #f6f8fa; --rule: #d1d9e0; --mark: #9a3412; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --quiet: #9aa4af; --page: #0d1117; --raised: #161b22; --rule: #3d444d; --mark: #fdba74; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; } a { color: inherit; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px; }
.scroll:focus-visible { outline: 2px solid var(--text); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--page); }
thead th, thead th:first-child { background: var(--raised); }
tr.ours > * { border-top: 1px solid var(--rule); } tbody th { font-weight: 600; white-space: normal; min-width: 9rem; }
tr.beside > * { color: var(--quiet); padding-top: 0; } tr.beside th { font-weight: 400; padding-left: 1.6rem; }
small { font-size: .8em; color: var(--quiet); }
td.outside { color: var(--mark); font-weight: 600; }
.notes, footer { color: var(--quiet); font-size: .875rem; } .notes { padding-left: 1.2rem; }
figure { margin: 0 0 1.5rem; } figure svg { display: block; width: 100%; min-width: 44rem; height: auto; }
@media print { .scroll { overflow: visible; border: 0; } }
)";

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

std::string section(size_t number, const Picture& picture) {
  std::string text = fmt::format(
      "<section>\n<h2 id={0}>{1}</h2>\n<figure>\n<div class=scroll role=region tabindex=0 "
      "aria-labelledby={0}>\n{2}</div>\n",
      anchor(number), escaped(picture.title), picture.svg);
  if (!picture.note.empty()) {
    text += "<figcaption class=notes>" + escaped(picture.note) + "</figcaption>\n";
  }
  return text + "</figure>\n</section>\n";
}

}  // namespace

std::string html(const Report& report) {
  std::string contents, sections;
  for (size_t i = 0; i < report.sections.size(); ++i) {
    std::visit(
        [&](const auto& part) {
          contents +=
              fmt::format("<li><a href=\"#{}\">{}</a></li>\n", anchor(i), escaped(part.title));
          sections += section(i, part);
        },
        report.sections[i]);
  }
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=icon href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<header><h1>{}</h1></header>\n<nav aria-label=Contents><ul>",
      escaped(report.title), kStyle, escaped(report.title));
  text += contents + "</ul></nav>\n<main>\n" + sections;
  return text + "</main>\n<footer>\n" + list("notes", report.facts) +
         "</footer>\n</body>\n</html>\n";
}

}  // namespace derrd
