#include "apps/report/report_part.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "apps/report/parts/parts.h"

namespace derrd {

std::vector<ReportSection> ReportPart::sections(const ReportScope& scope,
                                                const ReportResults& results) const {
  std::vector<ReportSection> all;
  for (const DataSource& source : scope.data) {
    for (const std::string& model : scope.models) {
      for (ReportSection& section : sections_of({scope, results, source, model})) {
        all.push_back(std::move(section));
      }
    }
  }
  return all;
}

std::unique_ptr<ReportPart> make_report_part(const std::string& name) {
  static const std::map<std::string, std::unique_ptr<ReportPart> (*)()> makers = {
      {"table1", make_table1},   {"table2", make_table2},     {"table3", make_table3},
      {"table4", make_table4},   {"table5", make_table5},     {"figure4", make_figure4},
      {"figure7", make_figure7}, {"capacity", make_capacity}, {"curves", make_curves}};
  return makers.at(name)();
}

std::string picture_file(const std::string& part, const std::string& data_set,
                         const std::string& model) {
  return fmt::format("{}-{}-{}.svg", part, data_set, model);
}

}  // namespace derrd
