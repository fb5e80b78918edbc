#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "apps/analysis/agreement.h"
#include "apps/report/claims/claim.h"
#include "apps/report/gate_choices.h"
#include "apps/report/group_gains.h"
#include "apps/report/sweeps.h"

namespace derrd {

namespace {

/// A claim on the share of the base loss at a method's best weight. It holds within a factor of
/// two.
Claim best_share(const Sweep& weights, const char* model, double low, double high) {
  const std::string range = low == high ? fmt::format("{:g} %", 100 * low)
                                        : fmt::format("{:g} to {:g} %", 100 * low, 100 * high);
  return {weights.method + "-share", "5.4",
          fmt::format("{} is best where its loss is {} of the base loss", title_of(weights.method),
                      range),
          [&weights, low, high](const Setting& setting) -> ClaimTest {
            constexpr double kTolerance = 2;
            const auto best = setting.best_of(weights.except({}));
            const std::vector<double> shares = best ? setting.shares(*best) : std::vector<double>();
            if (shares.empty()) return {};
            const double share = mean(shares);
            const bool fits = share >= low / kTolerance && share <= high * kTolerance;
            return {.figure = share,
                    .verdict = fits ? Verdict::kHolds : Verdict::kFails,
                    .compared = title_of(*best)};
          },
          model};
}

/// Tests a figure of users by a bootstrap.
/// @param figure called with how often each user counts [users]
ClaimTest test_by_users(size_t users,
                        const std::function<double(std::span<const uint32_t>)>& figure) {
  std::vector<double> figures(kResamples);
  resample(users, /*seed=*/0,
           [&](size_t b, std::span<const uint32_t> times) { figures[b] = figure(times); });
  return decided_by(figure(std::vector<uint32_t>(users, 1)), percentile_interval(figures));
}

/// A claim that DE improves more groups of users than an ablation.
Claim more_groups(const std::string& ablation) {
  return {"groups-above-" + ablation, "5.3",
          "DE improves more groups of users than " + title_of(ablation),
          [ablation](const Setting& setting) -> ClaimTest {
            const auto gains = gains_by_group(setting, {"de", ablation});
            if (gains.size() < 2) return {};
            return test_by_users(gains[0].gains.size(), [&](std::span<const uint32_t> times) {
              return groups_that_gain(gains[0], times) - groups_that_gain(gains[1], times);
            });
          },
          "bpr"};
}

ClaimTest test_specialisation(const Setting& setting) {
  const auto record = gate_record(setting);
  const UserGroups* users = record ? setting.user_groups() : nullptr;
  if (users == nullptr) return {};
  const auto before = experts_and_groups(*record, 0, *users);
  const auto after = experts_and_groups(*record, record->best_row, *users);
  return test_by_users(before.experts.size(), [&](std::span<const uint32_t> times) {
    return shared_label_excess(after.experts, after.groups, times) -
           shared_label_excess(before.experts, before.groups, times);
  });
}

/// Ratio of the teacher's median latency to that of DE-RRD's smallest student, all items sorted.
struct Speedup {
  double ratio;
  std::string machine;
};

/// Returns none unless both were timed on the same machine.
std::optional<Speedup> speedup(const Setting& setting, const std::string& model) {
  const auto timing = [&](const TrainedMethod& method) {
    return setting.results.timing(
        method.on(setting.source.name, model, setting.scope.splits.front()));
  };
  const auto *teacher = timing({"teacher"}), *student = timing({"de-rrd"});
  if (teacher == nullptr || student == nullptr || teacher->machine != student->machine) {
    return std::nullopt;
  }
  return Speedup{teacher->full_sort.median_us / student->full_sort.median_us, teacher->machine};
}

/// Decides that a ratio of times exceeds 1. They were measured once.
/// @param noise ratio of equal times that may come about by chance
ClaimTest decided_by_ratio(double ratio, double noise) {
  return {.figure = ratio,
          .verdict = ratio > noise       ? Verdict::kHolds
                     : ratio < 1 / noise ? Verdict::kFails
                                         : Verdict::kUndecided};
}

ClaimTest test_latency(const Setting& setting) {
  const auto own = speedup(setting, setting.model);
  return own ? decided_by_ratio(own->ratio, 1.1) : ClaimTest();
}

ClaimTest test_latency_of_neumf(const Setting& setting) {
  const auto neumf = speedup(setting, "neumf"), bpr = speedup(setting, "bpr");
  if (!neumf || !bpr || neumf->machine != bpr->machine) return {};
  return decided_by_ratio(neumf->ratio / bpr->ratio, 1.2);
}

}  // namespace

std::vector<Claim> other_claims() {
  return {
      best_share(de_weights(), "bpr", .2, .2),
      best_share(de_weights(), "neumf", .02, .05),
      best_share(rrd_weights(), "bpr", .07, .10),
      best_share(rrd_weights(), "neumf", 10, 10),
      more_groups("de-attention"),
      more_groups("de-one-large"),
      {"experts-specialised", "5.3",
       "experts get specialised in groups of users during the training", test_specialisation,
       "bpr"},
      {"latency", "5.2", "a student of φ = 0.1 makes lists faster than its teacher", test_latency},
      {"latency-neumf", "5.2", "NeuMF's lists gain more speed than BPR's", test_latency_of_neumf,
       "neumf"}};
}

}  // namespace derrd
