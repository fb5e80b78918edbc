#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/report/setting.h"
#include "engine/evaluation/bootstrap.h"

namespace derrd {

enum class Verdict { kHolds, kFails, kUndecided, kUntested };

/// Outcome of a claim's test: the figure that decides it, and what is known of its error.
struct ClaimTest {
  std::optional<double> figure = {};     ///< none: the runs that it takes are not there
  std::optional<double> t = {}, p = {};  ///< of a paired t-test over splits
  std::optional<Interval> interval = {};
  Verdict verdict = Verdict::kUntested;
  std::string compared = {};  ///< what the figure is of: "RRD - RD"; may be empty
};

/// Decides a claim that a figure is positive: it holds if the whole interval is, and does not hold
/// if the whole interval is negative.
ClaimTest decided_by(double figure, const Interval& interval);

/// Sentence of the paper that the runs can test.
struct Claim {
  std::string id;
  const char* section;
  std::string sentence;
  std::function<ClaimTest(const Setting&)> test;
  std::string only_model = {};  ///< base model that it is about; empty: all
};

/// Claims that one method, or one value of an option, is more accurate than another. Over several
/// splits a paired t-test decides, on one split a paired bootstrap over users.
std::vector<Claim> accuracy_claims();
/// Claims on what makes methods accurate, and on speed: shares of the loss, groups of users, the
/// experts' specialisation, latency.
std::vector<Claim> other_claims();

}  // namespace derrd
