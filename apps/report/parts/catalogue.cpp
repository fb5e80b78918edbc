#include "apps/report/parts/catalogue.h"

#include <map>

#include "apps/report/parts/parts.h"

namespace derrd {

std::unique_ptr<ReportPart> make_report_part(const std::string& name) {
  static const std::map<std::string, std::unique_ptr<ReportPart> (*)()> makers = {
      {"table1", make_table1},     {"table2", make_table2},   {"table3", make_table3},
      {"table4", make_table4},     {"table5", make_table5},   {"figure4", make_figure4},
      {"figure5", make_figure5},   {"figure6", make_figure6}, {"figure7", make_figure7},
      {"capacity", make_capacity}, {"claims", make_claims},   {"curves", make_curves}};
  return makers.at(name)();
}

}  // namespace derrd
