// One whole step of every method against the double-precision oracle, and what a step may not do.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "engine/distill/cd.h"
#include "engine/distill/de/expert_mixture.h"
#include "engine/distill/ir.h"
#include "engine/distill/rd.h"
#include "engine/distill/rrd.h"
#include "engine/epoch_plan.h"
#include "engine/models/bpr.h"
#include "engine/training/trainer.h"
#include "tests/engine/losses.h"
#include "tests/engine/small_data.h"
#include "tests/engine/steps.h"
#include "tests/oracles/soft_target.h"
#include "tests/oracles/training_step.h"

namespace derrd::test::training_step_test {
namespace {

struct Case {
  const char* method;
  Preset preset;
  float temperature;
  const char* gate = "gumbel";
  const char* ranking = "relaxed";
  const char* rank_weight = "";  ///< rd's: "static", "dynamic" or "renormalised"
  const char* ir_items = "batch";
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.method;
  std::erase_if(name, [](char c) { return c == '-' || c == '+'; });
  return name + info.param.rank_weight + (info.param.ir_items[0] == 's' ? "_sampled" : "") +
         (info.param.preset == Preset::kPaper ? "_paper" : "_authors") +
         (info.param.temperature < 0.5f ? "_cold_" : "_warm_") + info.param.gate + "_" +
         info.param.ranking;
}

class TrainingStep : public testing::TestWithParam<Case> {
 protected:
  static constexpr int32_t kUsers = 9, kItems = 14;
  static constexpr int64_t kDim = 3, kTeacherDim = 4, kBatch = 16;
  static constexpr int64_t kExperts = 3, kInteresting = 3, kIrInteresting = 2;
  static constexpr double kDeWeight = 0.3, kRrdWeight = 0.7, kIrWeight = 0.4, kRdWeight = 40.0,
                          kCdWeight = 0.6;
  static constexpr double kT1 = 0.7, kT2 = 0.2;
  static constexpr oracle::RankingDistillation kRd = {
      .top = 4, .sharpness = 2.5, .tolerance = 0.2, .items = kItems};
  static constexpr int kEpoch = 4;
  static constexpr uint64_t kSeed = 12345678901ull;

  void SetUp() override {
    const auto& [method, preset, temperature, gate, ranking, rank_weight, ir_items] = GetParam();
    const bool is_static = rank_weight == std::string("static");
    std::ostringstream options;
    options << "lambda-de=" << kDeWeight << " experts=" << kExperts << " tau-start=" << temperature
            << " tau-end=" << temperature << " gate=" << gate << " lambda-rrd=" << kRrdWeight
            << " k=" << kInteresting << " l=2 t=4 list=5 ranking=" << ranking
            << " lambda-ir=" << kIrWeight << " ir-k=" << kIrInteresting
            << " ir-l=2 ir-t=3 ir-list=3 ir-items=" << ir_items << " lambda-rd=" << kRdWeight
            << " rd-k=" << kRd.top << " rd-sharpness=" << kRd.sharpness
            << " rd-mu=" << kRd.tolerance
            << " rd-negatives=5 rd-warmup=" << kEpoch + (is_static ? 1 : 0)
            << " rd-renormalise=" << is_renormalised() << " lambda-cd=" << kCdWeight
            << " cd-items=4 cd-list=6 cd-t=3 cd-t1=" << kT1 << " cd-t2=" << kT2;
    model_ = std::make_unique<BprModel>(kUsers, kItems, kDim, kBatch, parameters_);
    const DistillContext context = {
        teacher_, data_, *model_, parameters_, kBatch, conventions_of(preset), stream()};
    losses_ = make_losses(method, options.str(), context);
    rrd_ = make_losses("rrd", options.str(), context);
    parameters_.allocate(kSeed, stream());
    set_random_values(parameters_, 7);
  }

  /// The model's and the losses' matrices in order.
  std::vector<double> flat(Vector<const float> arena) const {
    const int64_t of_side = std::string(GetParam().gate) == "mean" ? 4 : 6;
    return matrices_in(parameters_, arena, 0, has("de") ? 2 + 2 * of_side : 2);
  }
  bool has(std::string_view loss) const {
    return std::ranges::any_of(losses_, [&](const auto& d) { return d->name() == loss; });
  }
  static bool is_renormalised() { return GetParam().rank_weight == std::string("renormalised"); }
  /// The items that rrd draws for the batch's users.
  std::vector<int32_t> sampled_items(const oracle::TrainingStep& s) const {
    const auto rows = rows_of(dynamic_cast<const RrdLoss&>(*rrd_.front()).samples());
    std::vector<int32_t> items;
    for (const int32_t user : s.sample_users) {
      const auto& row = rows[static_cast<size_t>(user)];
      items.insert(items.end(), row.begin(), row.end());
    }
    return items;
  }
  double teacher_score(int64_t user, int64_t item) const {
    return score(teacher_.model(), user, item);
  }

  /// Describes the device's current batch to the oracle.
  oracle::TrainingStep describe(const EpochPlan& plan) const {
    oracle::TrainingStep s{};
    s.users = kUsers;
    s.items = kItems;
    s.student_dim = kDim;
    s.teacher_dim = kTeacherDim;
    const BatchSamples batch(plan);
    s.sample_users = batch.users;
    s.positives = batch.positives;
    s.negatives = batch.negatives;
    const auto begin = [&](RowSegments rows) { return int64_t{cursor_of(rows.batch).begin}; };
    if (has("de")) {
      s.de.weight = kDeWeight;
      s.de.experts = kExperts;
      s.de.hidden = expert_hidden_size(kDim, kTeacherDim);
      const std::string gate = GetParam().gate;
      s.de.temperature = gate == "gumbel" ? GetParam().temperature : 1.0;
      s.de.noise = gate == "gumbel";
      s.de.gate = gate != "mean";
      s.de.euclidean = GetParam().preset == Preset::kPaper;
      s.de.seed = kSeed;
      s.de.epoch = static_cast<uint32_t>(plan.epoch());
      s.de.purpose = {static_cast<uint32_t>(RandomPurpose::kGumbelUsers),
                      static_cast<uint32_t>(RandomPurpose::kGumbelPositives),
                      static_cast<uint32_t>(RandomPurpose::kGumbelNegatives)};
      s.de.first_element = {begin(plan.distinct_users()), begin(plan.distinct_positives()),
                            begin(plan.distinct_negatives())};
      const auto& user = teacher_.model().tensor("user_embedding").values;
      const auto& item = teacher_.model().tensor("item_embedding").values;
      s.de.teacher_user.assign(user.begin(), user.end());
      s.de.teacher_item.assign(item.begin(), item.end());
    }
    for (const auto& d : losses_) describe(s, *d);
    return s;
  }
  void describe(oracle::TrainingStep& s, const DistillationLoss& d) const {
    const bool paper = GetParam().preset == Preset::kPaper;
    if (const auto* rrd = dynamic_cast<const RrdLoss*>(&d)) {
      const bool relaxed = std::string(GetParam().ranking) == "relaxed";
      s.rrd = {kRrdWeight, paper, relaxed ? kInteresting : kInteresting + 2,
               rows_of(rrd->samples())};
    } else if (const auto* ir = dynamic_cast<const IrLoss*>(&d)) {
      s.ir = {kIrWeight, paper, kIrInteresting, rows_of(ir->samples())};
      s.ir_items = GetParam().ir_items == std::string("batch") ? s.positives : sampled_items(s);
    } else if (const auto* rd = dynamic_cast<const RdLoss*>(&d)) {
      s.rd = {kRdWeight, kRd, rows_of(rd->samples())};
      s.rd.options.dynamic = GetParam().rank_weight != std::string("static");
      s.rd.options.renormalised = is_renormalised();
    } else if (const auto* cd = dynamic_cast<const CdLoss*>(&d)) {
      s.cd = {kCdWeight, rows_of(cd->samples()), {}};
      for (size_t u = 0; u < s.cd.samples.size(); ++u) {
        auto& targets = s.cd.targets.emplace_back();
        for (const int32_t item : s.cd.samples[u]) {
          targets.push_back(
              oracle::soft_target(teacher_score(static_cast<int64_t>(u), item), kT1, kT2));
        }
      }
    }
  }

  const Dataset dataset_ = small_dataset(kUsers, kItems, 5, 3);
  const DeviceDataset data_{dataset_, stream()};
  Teacher teacher_{small_teacher(kUsers, kItems, kTeacherDim, 5), data_};
  Parameters parameters_;
  std::unique_ptr<BprModel> model_;
  std::vector<std::unique_ptr<DistillationLoss>> losses_;
  std::vector<std::unique_ptr<DistillationLoss>> rrd_;  // draws what ir takes as sampled
};

TEST_P(TrainingStep, MatchesOracleAndFiniteDifferences) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  ASSERT_EQ(plan.batches(), 3);  // the last one is not full
  plan.begin_epoch(kEpoch, stream());
  for (const auto& d : losses_) d->begin_epoch(plan, stream());
  rrd_.front()->begin_epoch(plan, stream());
  LossSums losses(1 + static_cast<int64_t>(losses_.size()));

  for (int64_t b = 0; b < plan.batches(); ++b) {
    SCOPED_TRACE("batch " + std::to_string(b));
    zero_gradients(parameters_);
    losses.zero(stream());
    plan.next(stream());
    int64_t number = 0;
    for (const auto& d : losses_) d->reads(plan, stream());
    model_->forward(plan, losses[0], stream());
    for (const auto& d : losses_) {
      d->add_gradients(plan, *model_, losses[++number], stream());
    }
    model_->backward(plan, stream());

    const oracle::TrainingStep step = describe(plan);
    const std::vector<double> values = flat(parameters_.values());
    ASSERT_EQ(static_cast<int64_t>(values.size()), oracle::parameter_count(step));
    expect_gradients(flat(parameters_.gradients()), oracle::gradient(step, values), 0.01);

    const std::vector<double> totals = sums_of_step(losses);
    const oracle::StepLosses l = oracle::losses(step, values);
    EXPECT_NEAR(totals[0], l.base, 1e-5 * l.base);
    for (size_t i = 0; i < losses_.size(); ++i) {
      const double reference = std::map<std::string_view, double>{
          {"de", l.de},
          {"rrd", l.rrd},
          {"ir", l.ir},
          {"rd", l.rd},
          {"cd", l.cd}}.at(losses_[i]->name());
      EXPECT_GT(reference, 0);
      EXPECT_NEAR(totals[i + 1], reference, 1e-5 * reference) << losses_[i]->name();
    }
  }
}

// Ablations (d) and (e) of Table 4: which items, and in which order.
class RankedSamples : public TrainingStep {};

TEST_P(RankedSamples, AreInTheOrderThatIsLearned) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(4, stream());
  for (const auto& d : losses_) d->begin_epoch(plan, stream());
  const auto& rrd = dynamic_cast<const RrdLoss&>(*losses_.back());
  const Matrix<const int32_t> samples = rrd.samples();
  const DeviceArray<float> device_scores(samples.size());
  const Matrix<float> score_matrix = device_scores.matrix(samples.rows, samples.cols);
  teacher_.scorer(stream()).score_items(score_matrix, samples, 0, stream());
  const auto scores = rows_of(score_matrix);
  const auto items = rows_of(samples);
  const auto lists = rows_of(teacher_.lists(5, stream()).items);
  const std::string ranking = GetParam().ranking;
  const int64_t ordered = ranking == "relaxed" ? kInteresting : samples.cols;
  const int64_t listed = ranking == "interesting" ? samples.cols : kInteresting;
  for (size_t u = 0; u < items.size(); ++u) {
    SCOPED_TRACE("user " + std::to_string(u));
    ASSERT_GE(std::ranges::min(items[u]), 0);  // everybody has enough items
    EXPECT_TRUE(std::is_sorted(scores[u].begin(), scores[u].begin() + ordered, std::greater()));
    const int64_t from_list = std::ranges::count_if(
        items[u], [&](int32_t item) { return std::ranges::count(lists[u], item) > 0; });
    EXPECT_GE(from_list, listed);
    if (GetParam().preset == Preset::kAuthors) {
      EXPECT_EQ(from_list, listed);
    }
  }
}

// Section 4.2.1: the uninteresting ones rank below the lowest interesting one, in the list or not.
class PaperSamples : public TrainingStep {};

TEST_P(PaperSamples, UninterestingOnesRankBelowTheInterestingOnes) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  int64_t drawn_from_a_list = 0;
  const auto expect_below = [&](Matrix<const int32_t> samples, Matrix<const int32_t> lists,
                                int64_t interesting, const auto& score) {
    const auto rows = rows_of(samples), ranked = rows_of(lists);
    for (size_t anchor = 0; anchor < rows.size(); ++anchor) {
      const std::vector<int32_t>& row = rows[anchor];
      const auto first = row.begin() + interesting;
      if (*(first - 1) < 0) continue;  // the list was shorter
      const double lowest = score(anchor, *(first - 1));
      for (auto slot = first; slot != row.end() && *slot >= 0; ++slot) {
        EXPECT_LT(score(anchor, *slot), lowest) << "row " << anchor;
        drawn_from_a_list += std::ranges::count(ranked[anchor], *slot);
      }
    }
  };
  for (int epoch = 0; epoch < 3; ++epoch) {
    plan.begin_epoch(epoch, stream());
    for (const auto& d : losses_) {
      d->begin_epoch(plan, stream());
      if (const auto* rrd = dynamic_cast<const RrdLoss*>(d.get())) {
        expect_below(rrd->samples(), teacher_.lists(5, stream()).items, kInteresting,
                     [&](size_t user, int32_t item) {
                       return teacher_score(static_cast<int64_t>(user), item);
                     });
      } else if (const auto* ir = dynamic_cast<const IrLoss*>(d.get())) {
        expect_below(ir->samples(), teacher_.item_lists(3, stream()).items, kIrInteresting,
                     [&](size_t item, int32_t user) {
                       return teacher_score(user, static_cast<int64_t>(item));
                     });
      }
    }
  }
  EXPECT_GT(drawn_from_a_list, 0);
}

TEST_P(TrainingStep, NeitherAllocatesNorWaits) {
  TrainOptions options;
  options.plan = {kBatch, 1, kSeed};
  Trainer trainer(data_, parameters_, *model_, losses_, options, stream());
  trainer.begin_epoch(0);
  expect_no_allocation_or_wait([&] { trainer.step(); });
}

constexpr Case kRankingCases[] = {
    {"rrd", Preset::kAuthors, 1.0f},
    {"rrd", Preset::kPaper, 1.0f},
    {"rrd", Preset::kAuthors, 1.0f, "gumbel", "full"},
    {"rrd", Preset::kPaper, 1.0f, "gumbel", "full"},
    {"rrd", Preset::kAuthors, 1.0f, "gumbel", "interesting"},
};
INSTANTIATE_TEST_SUITE_P(Ranking, TrainingStep, testing::ValuesIn(kRankingCases), case_name);
INSTANTIATE_TEST_SUITE_P(Ranking, RankedSamples, testing::ValuesIn(kRankingCases), case_name);
INSTANTIATE_TEST_SUITE_P(Ranking, PaperSamples,
                         testing::Values(Case{"rrd", Preset::kPaper, 1.0f},
                                         Case{"ir", Preset::kPaper, 1.0f}),
                         case_name);
INSTANTIATE_TEST_SUITE_P(
    Methods, TrainingStep,
    testing::Values(Case{"none", Preset::kAuthors, 1.0f}, Case{"de", Preset::kAuthors, 1.0f},
                    Case{"de", Preset::kPaper, 1.0f}, Case{"de", Preset::kAuthors, 0.05f},
                    Case{"de", Preset::kAuthors, 0.05f, "attention"},
                    Case{"de", Preset::kAuthors, 0.05f, "mean"},
                    Case{"de-rrd", Preset::kAuthors, 1.0f}, Case{"de-rrd", Preset::kPaper, 0.05f},
                    Case{"de+rrd+ir+rd+cd", Preset::kAuthors, 1.0f}),
    case_name);

constexpr Case kCompetitors[] = {
    {"rd", Preset::kAuthors, 1.0f, "gumbel", "relaxed", "static"},
    {"rd", Preset::kAuthors, 1.0f, "gumbel", "relaxed", "dynamic"},
    {"rd", Preset::kAuthors, 1.0f, "gumbel", "relaxed", "renormalised"},
    {"cd", Preset::kAuthors, 1.0f},
    {"ir", Preset::kAuthors, 1.0f},
    {"ir", Preset::kPaper, 1.0f},
    {"rrd+ir", Preset::kAuthors, 1.0f},
    {"rrd+ir", Preset::kAuthors, 1.0f, "gumbel", "relaxed", "", "sampled"},
    {"ir", Preset::kPaper, 1.0f, "gumbel", "relaxed", "", "sampled"},
};
INSTANTIATE_TEST_SUITE_P(Competitors, TrainingStep, testing::ValuesIn(kCompetitors), case_name);

}  // namespace
}  // namespace derrd::test::training_step_test
