#pragma once

#include <memory>

#include "apps/report/report_part.h"

namespace derrd {

std::unique_ptr<ReportPart> make_table1();
std::unique_ptr<ReportPart> make_table2();
std::unique_ptr<ReportPart> make_table3();
std::unique_ptr<ReportPart> make_table4();
std::unique_ptr<ReportPart> make_table5();
std::unique_ptr<ReportPart> make_figure4();
std::unique_ptr<ReportPart> make_figure5();
std::unique_ptr<ReportPart> make_figure6();
std::unique_ptr<ReportPart> make_figure7();
std::unique_ptr<ReportPart> make_capacity();
std::unique_ptr<ReportPart> make_claims();
std::unique_ptr<ReportPart> make_curves();

}  // namespace derrd
