#include "apps/report/report_part.h"

#include <fmt/format.h>

#include <utility>

namespace derrd {

std::vector<ReportSection> ReportPart::sections(const ReportScope& scope,
                                                const ReportResults& results) const {
  std::vector<ReportSection> all;
  for (const DataSource& source : scope.data) {
    for (const std::string& model : scope.models) {
      if (!shows(model)) continue;
      for (ReportSection& section : sections_of({scope, results, source, model})) {
        all.push_back(std::move(section));
      }
    }
  }
  return all;
}

std::string picture_file(const std::string& picture, const std::string& data_set,
                         const std::string& model) {
  return fmt::format("{}-{}-{}.svg", picture, data_set, model);
}

}  // namespace derrd
