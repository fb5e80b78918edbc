#include "engine/training/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

#include "data/error.h"
#include "engine/distill/temperature.h"
#include "engine/models/catalogue.h"
#include "tests/engine/losses.h"
#include "tests/engine/models/random_neumf.h"
#include "tests/engine/small_data.h"

namespace derrd::test::trainer_test {
namespace {

/// A random teacher of a kind.
SavedModel random_teacher(std::string_view kind, const DeviceDataset& data, int64_t dim) {
  if (kind == "neumf") return RandomNeumf(data.users(), data.items(), dim, 1, 5).saved;
  return small_teacher(data.users(), data.items(), dim, 5);
}

/// A run with everything that it owns.
struct TrainingRun {
  TrainingRun(const Dataset& dataset, std::string_view method, TrainOptions train, int64_t dim,
              std::string_view kind = "bpr", std::string_view teacher_kind = "bpr",
              const std::string& more = "", Preset preset = Preset::kAuthors)
      : data(dataset, stream()),
        teacher(random_teacher(teacher_kind, data, 2 * dim), data),
        model(make_model(kind, data.users(), data.items(),
                         {.dim = dim, .batch_size = train.plan.batch_size}, parameters)) {
    // At its default weight cd follows the random teacher instead of the data.
    const std::string options =
        "experts=3 k=4 l=4 list=6 ir-k=3 ir-l=3 ir-list=5 rd-k=3 rd-negatives=5 rd-warmup=2 "
        "cd-items=4 cd-list=6 lambda-cd=0.01 tau-horizon=" +
        std::to_string(train.epochs) + " " + more;
    losses = make_losses(method, options,
                         {teacher, data, *model, parameters, train.plan.batch_size,
                          conventions_of(preset), stream()});
    parameters.allocate(train.plan.seed, stream());
    trainer = std::make_unique<Trainer>(data, parameters, *model, losses, train, stream());
  }
  std::vector<EpochRecord> train(int stop_after = 1 << 30) {
    std::vector<EpochRecord> records;
    trainer->run([&](const EpochRecord& r) { records.push_back(r); },
                 [&] { return static_cast<int>(records.size()) >= stop_after; });
    return records;
  }

  DeviceDataset data;
  Teacher teacher;
  Parameters parameters;
  std::unique_ptr<Model> model;
  std::vector<std::unique_ptr<DistillationLoss>> losses;
  std::unique_ptr<Trainer> trainer;
};

TrainOptions options(int epochs) {
  TrainOptions o;
  o.adam.learning_rate = 0.05;
  o.adam.weight_decay = 0;
  o.plan = {.batch_size = 32, .negatives = 2, .seed = 11};
  o.epochs = epochs;
  o.patience = 1000;
  return o;
}

/// Tables larger than what a batch reads, so that rows do wait, and the options to train on them.
Dataset sparse_dataset() { return small_dataset(24, 90, 6, 2); }
TrainOptions sparse_options(int epochs) {
  TrainOptions o = options(epochs);
  o.plan = {.batch_size = 6, .negatives = 1, .seed = 11};
  return o;
}

/// Two groups of users, each with its own items: whoever learns the groups ranks the held-out item
/// first.
Dataset two_groups() {
  Dataset d;
  const int32_t users = 12, half = 8;
  d.num_candidates = half;
  for (int32_t u = 0; u < users; ++u) {
    const int32_t first = u % 2 * half;
    const int32_t valid = first + u / 2 % half, test = first + (u / 2 + 1) % half;
    for (int32_t i = first; i < first + half; ++i) {
      if (i != valid && i != test) d.train.items.push_back(i);
    }
    d.train.offsets.push_back(static_cast<int64_t>(d.train.items.size()));
    d.valid.add_row({&valid, 1});
    d.test.add_row({&test, 1});
    for (int32_t i = 0; i < half; ++i) d.candidates.push_back(half - first + i);
  }
  d.user_ids = IdTable::identity(users);
  d.item_ids = IdTable::identity(2 * half);
  return d;
}

struct MethodOf {
  const char* kind;
  const char* method;
  const char* teacher = "bpr";
};
class TrainerMethods : public testing::TestWithParam<MethodOf> {
 protected:
  static TrainingRun make_run(const Dataset& dataset, TrainOptions train) {
    return {dataset, GetParam().method, std::move(train), 4, GetParam().kind, GetParam().teacher};
  }
};

class OverfittingMethods : public TrainerMethods {};

TEST_P(OverfittingMethods, LearnATinySet) {
  // The teacher is random: its losses must not keep the base loss from its minimum.
  TrainingRun run = make_run(two_groups(), options(60));
  const auto records = run.train();
  ASSERT_EQ(records.size(), 60u);
  // Some epoch, not always the last: NeuMF goes on to learn that nobody chose the held-out items.
  EXPECT_TRUE(std::any_of(records.begin(), records.end(), [](const EpochRecord& record) {
    return record.evaluation.valid.hit[0] == 1.0 && record.evaluation.test.hit[0] == 1.0;
  }));
  EXPECT_LT(records.back().losses[0].second, 0.2 * records.front().losses[0].second);
}

TEST_P(TrainerMethods, SameBitsTwice) {
  const Dataset dataset = small_dataset(20, 40, 8, 2);
  const auto final_values = [&] {
    TrainingRun run = make_run(dataset, options(3));
    run.train();
    return run.trainer->checkpoint().values;
  };
  EXPECT_EQ(final_values(), final_values());
}

TEST_P(TrainerMethods, ResumedRunEndsInTheSameBits) {
  const Dataset dataset = small_dataset(20, 40, 8, 2);
  TrainingRun whole = make_run(dataset, options(6));
  whole.train();
  const Checkpoint expected = whole.trainer->checkpoint();

  TrainingRun first = make_run(dataset, options(6));
  EXPECT_EQ(first.train(2).size(), 2u);
  TrainingRun second = make_run(dataset, options(6));
  second.trainer->restore(first.trainer->checkpoint());
  EXPECT_EQ(second.train().size(), 4u);
  const Checkpoint actual = second.trainer->checkpoint();
  EXPECT_EQ(actual.values, expected.values);
  EXPECT_EQ(actual.first_moments, expected.first_moments);
  EXPECT_EQ(actual.second_moments, expected.second_moments);
  EXPECT_EQ(actual.best_values, expected.best_values);
  EXPECT_EQ(actual.optimizer_steps, expected.optimizer_steps);
}

// Results depend neither on when rows are updated nor on how steps are queued. Weights and losses
// change between epochs.
TEST_P(TrainerMethods, EveryWayOfMakingStepsEndsInTheSameBits) {
  const Dataset dataset = sparse_dataset();
  const auto end = [&](RowUpdates row_updates, StepGraph::Mode graph) {
    TrainOptions o = sparse_options(3);
    o.adam.weight_decay = 1e-3;
    o.row_updates = row_updates;
    o.graph = graph;
    TrainingRun run = make_run(dataset, o);
    std::vector<double> losses;
    for (const EpochRecord& record : run.train()) {
      for (const auto& [name, loss] : record.losses) losses.push_back(loss);
    }
    const Checkpoint c = run.trainer->checkpoint();
    return std::tuple(c.values, c.first_moments, c.second_moments, c.best_values, losses);
  };
  const auto textbook = end(RowUpdates::kEveryStep, StepGraph::Mode::kLaunchByLaunch);
  EXPECT_TRUE(end(RowUpdates::kLazy, StepGraph::Mode::kLaunchByLaunch) == textbook);
  EXPECT_TRUE(end(RowUpdates::kLazy, StepGraph::Mode::kRecorded) == textbook);
}

// Steps by hand, where no row is ever out of date or overwritten, end in the same bits: model and
// losses read no other rows than they declare.
TEST_P(TrainerMethods, DeclareAllRowsThatTheyRead) {
  const Dataset dataset = sparse_dataset();
  TrainOptions o = sparse_options(2);
  o.adam.weight_decay = 1e-3;
  o.row_updates = RowUpdates::kLazy;
  TrainingRun run = make_run(dataset, o);
  run.train();

  TrainingRun by_hand = make_run(dataset, o);
  EpochPlan plan(by_hand.data, o.plan);
  Optimizer optimizer(by_hand.parameters, o.adam, RowUpdates::kEveryStep, 1, stream());
  LossSums loss(1);
  loss.zero(stream());
  for (int epoch = 0; epoch < o.epochs; ++epoch) {
    plan.begin_epoch(epoch, stream());
    for (const auto& d : by_hand.losses) d->begin_epoch(plan, stream());
    for (int64_t b = 0; b < plan.batches(); ++b) {
      plan.next(stream());
      for (const auto& d : by_hand.losses) d->reads(plan, stream());
      by_hand.model->forward(plan, loss[0], stream());
      for (const auto& d : by_hand.losses) {
        d->add_gradients(plan, *by_hand.model, loss[0], stream());
      }
      by_hand.model->backward(plan, stream());
      optimizer.step({}, {}, stream());
    }
    for (const auto& d : by_hand.losses) d->end_epoch(stream());
  }
  EXPECT_EQ(run.trainer->checkpoint().values, by_hand.trainer->checkpoint().values);
}

/// Reads all users' vectors, and declares what it is told to.
class SumOfUsers final : public DistillationLoss {
 public:
  SumOfUsers(std::vector<RowsRead> declared, int64_t elements)
      : DistillationLoss(0.0), declared_(std::move(declared)), terms_(elements) {}
  std::string_view name() const override { return "sum"; }
  void begin_epoch(const EpochPlan&, const Stream&) override {}
  std::vector<RowsRead> reads(const EpochPlan&, const Stream&) override { return declared_; }
  void add_gradients(const EpochPlan&, Model& student, LossSum loss,
                     const Stream& stream) override {
    copy_on_device(terms_.data(), student.representations().user[0].value.data, terms_.bytes(),
                   stream);
    loss.add(terms_.view());
  }

 private:
  std::vector<RowsRead> declared_;
  DeviceArray<float> terms_;
};

TEST(Trainer, TheCheckingExecutorFindsUndeclaredReads) {
  const Dataset dataset = sparse_dataset();
  const auto train = [&](std::vector<RowsRead> declared) {
    TrainOptions o = sparse_options(1);
    TrainingRun run(dataset, "none", o, 4);
    run.losses.push_back(std::make_unique<SumOfUsers>(
        std::move(declared), run.model->representations().user[0].value.size()));
    Trainer trainer(run.data, run.parameters, *run.model, run.losses, o, stream());
    trainer.run([](const EpochRecord&) {}, [] { return false; });
    return trainer.checkpoint().values;
  };
  const auto declared = train({{Entity::kUser, {}}});
  if (device_info().executor == "check") {
    EXPECT_THROW(train({}), Error);
    EXPECT_THROW(train({{Entity::kItem, {}}}), Error);
  } else {
    EXPECT_EQ(train({}), declared);
  }
}

// The host waits for the losses, for the ranks, and for what a loss measures.
TEST(Trainer, AnEpochWaitsForItsFiguresOnly) {
  const Dataset dataset = sparse_dataset();
  const std::vector<std::pair<const char*, int64_t>> waits = {
      {"none", 2}, {"rrd", 2}, {"cd", 2}, {"rd", 2}, {"rrd+ir", 2}, {"de", 4}};
  for (const auto& [method, expected] : waits) {
    TrainOptions o = sparse_options(4);
    TrainingRun run(dataset, method, o, 4);
    std::vector<Counters> after;
    run.trainer->run([&](const EpochRecord&) { after.push_back(counters()); },
                     [] { return false; });
    for (size_t e = 2; e < after.size(); ++e) {  // by then what is set up at a first use is
      EXPECT_EQ(after[e].synchronizations - after[e - 1].synchronizations, expected) << method;
      EXPECT_EQ(after[e].allocations, after[e - 1].allocations) << method;
    }
  }
}

TEST(Trainer, ChosenWeightsCountInRecordedSteps) {
  const Dataset dataset = sparse_dataset();
  const auto end = [&](StepGraph::Mode graph) {
    TrainOptions o = sparse_options(3);
    o.balance = {.shares = {0.5}, .epochs = 1};
    o.graph = graph;
    TrainingRun run(dataset, "rrd", o, 4);
    run.train();
    return run.trainer->checkpoint().values;
  };
  EXPECT_TRUE(end(StepGraph::Mode::kRecorded) == end(StepGraph::Mode::kLaunchByLaunch));
}

TEST(Trainer, AnotherPathOfTheExpertsCountsInRecordedSteps) {
  const Dataset dataset = sparse_dataset();
  for (const char* kind : {"bpr", "neumf"}) {  // of users and items, and of pairs
    const auto end = [&](StepGraph::Mode graph) {
      TrainOptions o = sparse_options(4);
      o.graph = graph;
      TrainingRun run(dataset, "de", o, 4, kind, kind, "tau-horizon=2 tau-end=1e-4");
      const auto records = run.train();
      EXPECT_GT(records.front().measurements[0].second, 0.9 * 3);  // of three experts: all of them
      EXPECT_LT(records.back().measurements[0].second, 0.7 * 3);   // and those that are active
      return run.trainer->checkpoint().values;
    };
    EXPECT_TRUE(end(StepGraph::Mode::kRecorded) == end(StepGraph::Mode::kLaunchByLaunch)) << kind;
  }
}

std::string method_name(const testing::TestParamInfo<MethodOf>& parameter) {
  const auto& [kind, method, teacher] = parameter.param;
  std::string name = std::string(kind) + "_" + method;
  if (teacher != std::string("bpr")) name += std::string("_of_") + teacher;
  std::erase_if(name, [](char c) { return c == '-' || c == '+'; });
  return name;
}
INSTANTIATE_TEST_SUITE_P(
    Methods, TrainerMethods,
    testing::Values(MethodOf{"bpr", "none"}, MethodOf{"bpr", "de"}, MethodOf{"bpr", "rrd"},
                    MethodOf{"bpr", "de-rrd"}, MethodOf{"bpr", "rd"}, MethodOf{"bpr", "cd"},
                    MethodOf{"bpr", "rrd+ir"}, MethodOf{"neumf", "none"}, MethodOf{"neumf", "de"},
                    MethodOf{"neumf", "de-rrd"}, MethodOf{"neumf", "rd"}, MethodOf{"neumf", "cd"},
                    MethodOf{"neumf", "rrd+ir"}, MethodOf{"neumf", "de", "neumf"},
                    MethodOf{"neumf", "de-rrd", "neumf"}),
    method_name);
// Leaves out rd: it wants positive scores for the random teacher's items, also in the other group.
INSTANTIATE_TEST_SUITE_P(Methods, OverfittingMethods,
                         testing::Values(MethodOf{"bpr", "none"}, MethodOf{"bpr", "de"},
                                         MethodOf{"bpr", "rrd"}, MethodOf{"bpr", "de-rrd"},
                                         MethodOf{"bpr", "cd"}, MethodOf{"bpr", "rrd+ir"},
                                         MethodOf{"neumf", "none"}, MethodOf{"neumf", "de"},
                                         MethodOf{"neumf", "rrd"}),
                         method_name);

// The gate learns, or the temperature falls: what an epoch counted decides how the next one
// computes the experts, also after a restart.
TEST(Trainer, CountsActiveExpertsAndKeepsTheCountInTheCheckpoint) {
  const Dataset dataset = small_dataset(20, 40, 8, 2);
  TrainingRun run(dataset, "de-rrd", options(6), 4);
  const auto records = run.train(4);
  ASSERT_EQ(records.size(), 4u);
  for (const EpochRecord& record : records) {
    ASSERT_EQ(record.measurements.size(), 2u);
    EXPECT_EQ(record.measurements[0].first, "live_experts_user");
    EXPECT_EQ(record.measurements[1].first, "live_experts_item");
    for (const auto& [name, experts] : record.measurements) {
      EXPECT_GE(experts, 1.0) << name;
      EXPECT_LE(experts, 3.0) << name;
    }
  }
  EXPECT_EQ(records.front().measurements[0].second, 3.0);
  EXPECT_LT(records.back().measurements[0].second, 2.0);
  Checkpoint checkpoint = run.trainer->checkpoint();
  const std::vector<double> expected = {records.back().measurements[0].second / 3,
                                        records.back().measurements[1].second / 3};
  ASSERT_EQ(checkpoint.losses.at("de").values.size(), 2u);
  EXPECT_DOUBLE_EQ(checkpoint.losses.at("de").values[0], expected[0]);
  EXPECT_DOUBLE_EQ(checkpoint.losses.at("de").values[1], expected[1]);
  EXPECT_TRUE(checkpoint.losses.at("rrd").values.empty());

  TrainingRun other(dataset, "de-rrd", options(6), 4);
  other.trainer->restore(checkpoint);
  EXPECT_EQ(other.trainer->checkpoint().losses, checkpoint.losses);
  checkpoint.losses.at("de").values.pop_back();
  EXPECT_THROW(other.trainer->restore(checkpoint), Error);
  checkpoint.losses.erase("de");
  EXPECT_THROW(other.trainer->restore(checkpoint), Error);
}

TEST(Trainer, WeightsGiveTheirLossesTheWantedShare) {
  const Dataset dataset = small_dataset(20, 40, 8, 2);
  TrainOptions o = options(6);
  o.balance.shares = {0.2, 0.0};
  TrainingRun run(dataset, "de-rrd", o, 4);
  const auto records = run.train();
  ASSERT_EQ(records.size(), 6u);
  const double de = run.losses[0]->weight();
  EXPECT_NEAR(de * records[2].losses[1].second, 0.2 * records[2].losses[0].second, 1e-9);
  EXPECT_EQ(run.losses[1]->weight(), 5e-4) << "RRD's default beside DE";
  for (const EpochRecord& record : records) {
    ASSERT_EQ(record.shares.size(), 2u);
    const double weight = record.epoch < 3 ? 1e-2 : de;
    EXPECT_DOUBLE_EQ(record.shares[0].second,
                     weight * record.losses[1].second / record.losses[0].second);
    EXPECT_EQ(record.chosen_weights.size(), record.epoch == 2 ? 1u : 0u);
  }
  EXPECT_EQ(records[2].chosen_weights[0], (std::pair<std::string, double>("de", de)));

  // The choice is part of a checkpoint.
  TrainingRun first(dataset, "de-rrd", o, 4), second(dataset, "de-rrd", o, 4);
  first.train(4);
  second.trainer->restore(first.trainer->checkpoint());
  EXPECT_EQ(second.losses[0]->weight(), de);
  second.train();
  EXPECT_EQ(second.trainer->checkpoint().values, run.trainer->checkpoint().values);
}

// The authors' program lowers the temperature an epoch later than the paper's formula.
TEST(Trainer, ThePresetDecidesWhenTheTemperatureFalls) {
  const Dataset dataset = small_dataset(20, 40, 8, 2);
  const auto active_experts = [&](Preset preset, int epoch) {
    TrainingRun run(dataset, "de", options(3), 4, "bpr", "bpr", "tau-end=1e-3 tau-horizon=1",
                    preset);
    return run.train()[static_cast<size_t>(epoch)].measurements[0].second;
  };
  EXPECT_EQ(active_experts(Preset::kPaper, 0), 3.0);
  EXPECT_EQ(active_experts(Preset::kAuthors, 1), 3.0);
  EXPECT_LT(active_experts(Preset::kPaper, 1), 1.5);
  EXPECT_LT(active_experts(Preset::kAuthors, 2), 1.5);
}

TEST(Trainer, ALossThatOverflowsIsAnError) {
  TrainOptions o = options(5);
  TrainingRun run(two_groups(), "de", o, 4);
  std::vector<float> huge(static_cast<size_t>(run.parameters.values().size), 1e30f);
  copy_to_device(run.parameters.values().data, huge.data(), run.parameters.values().size * 4,
                 stream());
  EXPECT_THROW(run.train(), Error);
}

TEST(Trainer, StopsWhenNothingImproves) {
  TrainOptions o = options(500);
  o.patience = 3;
  TrainingRun run(two_groups(), "none", o, 4);
  const auto records = run.train();
  EXPECT_LT(records.size(), 500u);
  const int last_rise = run.trainer->early_stopping().state().last_improvement;
  EXPECT_EQ(records.back().epoch, last_rise + 3);
}

TEST(Trainer, RestoresTheBestEpochsModel) {
  const Dataset dataset = small_dataset(20, 40, 8, 2);
  TrainingRun run(dataset, "none", options(8), 4);
  const auto records = run.train();
  const int best = run.trainer->early_stopping().best_epoch();
  ASSERT_LT(best, 7);  // else the last model would do
  ASSERT_NE(records[static_cast<size_t>(best)].evaluation.valid.hit[0],
            records.back().evaluation.valid.hit[0]);
  run.trainer->restore_best();
  Evaluator evaluator(run.data);
  const Evaluation e = evaluator.evaluate(*run.model, stream());
  EXPECT_EQ(e.valid.hit[0], records[static_cast<size_t>(best)].evaluation.valid.hit[0]);
  EXPECT_EQ(e.test.mrr[2], records[static_cast<size_t>(best)].evaluation.test.mrr[2]);
}

TEST(Trainer, DivergedTrainingIsAnError) {
  TrainOptions o = options(50);
  o.adam.learning_rate = 1e30;
  TrainingRun run(two_groups(), "none", o, 4);
  EXPECT_THROW(run.train(), Error);
}

TEST(Trainer, RejectsACheckpointOfAnotherSize) {
  TrainingRun small(two_groups(), "none", options(1), 4);
  TrainingRun large(two_groups(), "none", options(1), 8);
  EXPECT_THROW(large.trainer->restore(small.trainer->checkpoint()), Error);
}

TEST(Trainer, UsersWithoutAnUnobservedItemDoNotTrain) {
  Dataset d = two_groups();
  const int32_t items = 16;
  for (int32_t i = 0; i < items; ++i) d.train.items.push_back(i);
  d.train.offsets.push_back(static_cast<int64_t>(d.train.items.size()));
  d.valid.add_row({});
  d.test.add_row({});
  d.candidates.insert(d.candidates.end(), static_cast<size_t>(d.num_candidates), -1);
  d.user_ids = IdTable::identity(13);
  for (const char* method : {"none", "de-rrd"}) {
    TrainingRun run(d, method, options(2), 4);
    EXPECT_EQ(run.data.pairs(), d.train.num_interactions() - items);
    EXPECT_EQ(run.train().size(), 2u);
  }
}

TEST(TemperatureSchedule, FallsGeometrically) {
  const TemperatureSchedule s{.start = 1, .end = 1e-10, .horizon = 1000};
  EXPECT_FLOAT_EQ(s.at(0), 1.0f);
  EXPECT_FLOAT_EQ(s.at(100), 0.1f);
  EXPECT_FLOAT_EQ(s.at(1000), 1e-10f);
  EXPECT_FLOAT_EQ(s.at(2000), 1e-10f);
  const TemperatureSchedule late{.start = 1, .end = 1e-10, .horizon = 1000, .lag = 1};
  EXPECT_FLOAT_EQ(late.at(0), 1.0f);
  EXPECT_FLOAT_EQ(late.at(1), 1.0f);
  EXPECT_FLOAT_EQ(late.at(101), 0.1f);
}

}  // namespace
}  // namespace derrd::test::trainer_test
