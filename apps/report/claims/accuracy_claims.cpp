#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "apps/report/claims/claim.h"
#include "apps/report/sweeps.h"

namespace derrd {

namespace {

/// H\@5 of a trained method, times a factor.
struct Term {
  double factor;
  std::string model;
  TrainedMethod method;
};
/// Figure whose sign decides a claim: it holds if the sum is positive. Empty if there is nothing to
/// compare.
using Sum = std::vector<Term>;

/// Writes a sum: "RRD − RD".
std::string text_of(const Sum& sum, const std::string& model) {
  std::string text;
  for (const Term& term : sum) {
    text += term.factor < 0 ? " − " : text.empty() ? "" : " + ";
    text += title_of(term.method);
    if (term.model != model) text += fmt::format(" ({})", title_of_model(term.model));
  }
  return text;
}

/// Values of a sum by split, of the splits that have all of it.
std::vector<double> by_splits(const Setting& setting, const Sum& sum) {
  std::vector<double> values;
  for (const int split : setting.scope.splits) {
    double value = 0;
    bool whole = !sum.empty();
    for (const auto& [factor, model, method] : sum) {
      const Setting of_model{setting.scope, setting.results, setting.source, model};
      const BySplit hits = of_model.test(method, "H@5");
      whole = whole && hits.contains(split);
      if (whole) value += factor * hits.at(split);
    }
    if (whole) values.push_back(value);
  }
  return values;
}

/// Values of a sum by user on the only split; empty unless all of its models were evaluated.
std::vector<double> by_users(const Setting& setting, const Sum& sum) {
  std::vector<double> values;
  for (const auto& [factor, model, method] : sum) {
    const std::vector<double> hits = setting.results.user_metric(
        method.on(setting.source.name, model, setting.scope.splits.front()), "H@5");
    if (values.empty()) values.resize(hits.size());
    if (hits.empty() || hits.size() != values.size()) return {};
    for (size_t u = 0; u < hits.size(); ++u) values[u] += factor * hits[u];
  }
  std::erase_if(values, [](double value) { return std::isnan(value); });
  return values;
}

ClaimTest test_of(const Setting& setting, const Sum& sum) {
  const std::vector<double> values = by_splits(setting, sum);
  if (setting.scope.splits.size() > 1) {
    const auto test = paired_t_test(values, std::vector<double>(values.size()));
    if (!test) return {};  // a single split has no standard error
    constexpr double kLevel = .05;
    const double figure = mean(values);
    const bool decided = test->p && *test->p <= kLevel;
    return {figure,
            test->t,
            test->p,
            {},
            !decided     ? Verdict::kUndecided
            : figure > 0 ? Verdict::kHolds
                         : Verdict::kFails};
  }
  const std::vector<double> users = by_users(setting, sum);
  if (values.empty() || users.empty()) return {};
  return decided_by(mean(values),
                    percentile_interval(bootstrap_means(users, /*columns=*/1, /*seed=*/0)));
}

/// A claim that a sum is positive.
Claim positive(const std::string& id, const char* section, const std::string& sentence,
               const std::function<Sum(const Setting&)>& sum, const std::string& only_model = "") {
  return {id, section, sentence,
          [sum](const Setting& setting) {
            const Sum of = sum(setting);
            ClaimTest test = test_of(setting, of);
            test.compared = text_of(of, setting.model);
            return test;
          },
          only_model};
}

Sum difference(const std::string& model, const TrainedMethod& better, const TrainedMethod& worse) {
  return {{1, model, better}, {-1, model, worse}};
}

/// A claim that one method is better than another; of one base model, or of all.
Claim better_than(const char* section, const std::string& sentence, const TrainedMethod& better,
                  const TrainedMethod& worse, const std::string& only_model = "") {
  return positive(
      fmt::format("{}-{:g}-above-{}-{:g}", better.method, better.size, worse.method, worse.size),
      section, sentence,
      [=](const Setting& setting) { return difference(setting.model, better, worse); }, only_model);
}

/// Difference between the best of some methods and the best of others.
Sum best_against_best(const Setting& setting, const std::vector<TrainedMethod>& some,
                      const std::vector<TrainedMethod>& others) {
  const auto best = setting.best_of(some), other = setting.best_of(others);
  return best && other ? difference(setting.model, *best, *other) : Sum();
}

/// A claim that a method is better than the best of others.
Claim better_than_best(const std::string& id, const char* section, const std::string& sentence,
                       const TrainedMethod& better, const std::vector<TrainedMethod>& others) {
  return positive(id, section, sentence, [=](const Setting& setting) {
    const auto best = setting.best_of(others);
    return best ? difference(setting.model, better, *best) : Sum();
  });
}

/// A claim that the best value of an option lies among some of the values tried.
Claim best_among(const std::string& id, const std::string& sentence, const Sweep& sweep,
                 const std::vector<std::string>& some) {
  return positive(id, "5.4", sentence, [&sweep, some](const Setting& setting) {
    return best_against_best(setting, sweep.among(some), sweep.except(some));
  });
}

/// Place of the best weight of a method alone among the weights of Table 5; none if none of these
/// was trained.
std::optional<size_t> best_alone(const Setting& setting, const Sweep& weights) {
  const auto best = setting.best_of(weights.among(pair_weights()));
  if (!best) return std::nullopt;
  const auto found = std::ranges::find_if(pair_weights(), [&](const std::string& weight) {
    return weights.at(weight).changes == best->changes;
  });
  return static_cast<size_t>(found - pair_weights().begin());
}

/// Difference between the best pair of weights within one place of those that are best for DE and
/// RRD alone, and the best of the other pairs.
Sum near_the_best_alone(const Setting& setting) {
  const auto de = best_alone(setting, de_weights()), rrd = best_alone(setting, rrd_weights());
  if (!de || !rrd) return {};
  const auto is_near = [](size_t a, size_t b) { return a <= b + 1 && b <= a + 1; };
  std::vector<TrainedMethod> near, far;
  for (size_t d = 0; d < pair_weights().size(); ++d) {
    for (size_t r = 0; r < pair_weights().size(); ++r) {
      (is_near(d, *de) && is_near(r, *rrd) ? near : far)
          .push_back(weighted(pair_weights()[d], pair_weights()[r]));
    }
  }
  return best_against_best(setting, near, far);
}

}  // namespace

std::vector<Claim> accuracy_claims() {
  std::vector<Claim> all = {
      better_than("5.2", "DE improves the student", {"de"}, {"student"}),
      better_than("5.2", "RRD improves the student", {"rrd"}, {"student"}),
      better_than_best("rrd-above-competitors", "5.2", "RRD is better than RD and CD", {"rrd"},
                       {{"rd"}, {"cd"}}),
      better_than_best("de-rrd-above-competitors", "5.2", "DE-RRD is better than RD and CD",
                       {"de-rrd"}, {{"rd"}, {"cd"}}),
      better_than_best("de-rrd-best", "5.2", "DE-RRD is better than DE and RRD alone", {"de-rrd"},
                       {{"de"}, {"rrd"}}),
      positive(
          "rrd-gain-neumf", "5.2", "RRD gains more over the student with NeuMF than with BPR",
          [](const Setting&) {
            return Sum{{1, "neumf", {"rrd"}},
                       {-1, "neumf", {"student"}},
                       {-1, "bpr", {"rrd"}},
                       {1, "bpr", {"student"}}};
          },
          "neumf")};
  for (const double size : {.5, 1.}) {
    for (const char* method : {"rd", "cd", "rrd"}) {
      all.push_back(
          better_than("5.2", fmt::format("{} hurts a NeuMF of φ = {:.1f}", title_of(method), size),
                      {"student", size}, {method, size}, "neumf"));
    }
    all.push_back(
        better_than_best(fmt::format("de-rrd-{:g}-above-competitors", size), "5.2",
                         fmt::format("DE-RRD is better than RD and CD at φ = {:.1f}", size),
                         {"de-rrd", size}, {{"rd", size}, {"cd", size}}));
  }
  all.push_back(better_than("5.2", "DE-RRD improves a student as large as its teacher",
                            {"de-rrd", 1}, {"student", 1}));
  all.push_back(better_than("5.2", "DE-RRD with half of the parameters reaches the teacher",
                            {"de-rrd", .5}, {"teacher"}));
  for (const char* ablation : {"de-attention", "de-one-large", "de-one-small"}) {
    all.push_back(
        better_than("5.3", "DE is better than " + title_of(ablation), {"de"}, {ablation}));
  }
  all.push_back(better_than("5.3", "more parameters need not help: (c) is better than (a) with BPR",
                            {"de-one-small"}, {"de-attention"}, "bpr"));
  for (const char* ablation : {"rrd-full", "rrd-interesting"}) {
    all.push_back(
        better_than("5.3", "RRD is better than " + title_of(ablation), {"rrd"}, {ablation}));
  }
  all.push_back(
      better_than("5.3", "(e) is worse than the student", {"student"}, {"rrd-interesting"}));
  all.push_back(
      best_among("experts-10-20", "DE is best near 10 to 20 experts", de_experts(), {"10", "20"}));
  all.push_back(best_among("k-30-40", "RRD is best near K of 30 to 40", rrd_items(), {"30", "40"}));
  all.push_back(
      positive("weights-near-best-alone", "5.4",
               "DE-RRD is best near those of Table 5's weights that are best for DE and RRD alone",
               near_the_best_alone));
  return all;
}

}  // namespace derrd
