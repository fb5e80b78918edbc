// Distils a recommender: prepares data, trains a large teacher, teaches a small student,
// recommends.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "data/split.h"
#include "data/synthesize.h"
#include "engine/distill/catalogue.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "engine/training/trainer.h"

using namespace derrd;

/// Trains a model, keeps its best epoch, and returns its H@5 on the test items.
static double train(Model& model, Parameters& parameters,
                    const std::vector<std::unique_ptr<DistillationLoss>>& losses,
                    const DeviceDataset& data, const TrainOptions& options, const Stream& stream) {
  parameters.allocate(options.plan.seed, stream);
  Trainer trainer(data, parameters, model, losses, options, stream);
  trainer.run([](const EpochRecord&) {}, [] { return false; });
  trainer.restore_best();
  return trainer.early_stopping().report().test.hit[0];
}

int main() {
  // First step: prepare. Make up interactions, hold out two items per user, draw candidates.
  Dataset dataset = split_leave_one_out(
      synthesize({.users = 100, .items = 150, .interactions = 3000, .latent_dimension = 4}),
      /*seed=*/0);
  draw_candidates(dataset, /*count=*/99, /*seed=*/0);
  const Stream stream;
  const DeviceDataset data(dataset, stream);
  TrainOptions options;
  options.adam.learning_rate = 1e-2;
  options.epochs = 20;

  // Second step: teach. A model declares its parameters in an arena, which the optimizer updates.
  Parameters large;
  const auto teacher_model = make_model("bpr", data.users(), data.items(), {.dim = 64}, large);
  const double teacher_hit = train(*teacher_model, large, {}, data, options, stream);

  // Third step: distil. DE rebuilds the teacher's vectors, RRD learns its rankings of items.
  save_model("teacher.safetensors", *teacher_model, ModelFacts(), stream);
  Teacher teacher(load_model_file("teacher.safetensors", data.users(), data.items()), data);
  Parameters small;
  const auto student = make_model("bpr", data.users(), data.items(), {.dim = 8}, small);
  const auto factories = loss_factories();
  DistillContext context = {.teacher = teacher,
                            .data = data,
                            .student = *student,
                            .parameters = small,
                            .batch_size = options.plan.batch_size,
                            .stream = stream};
  std::vector<std::unique_ptr<DistillationLoss>> losses;
  for (const LossFactory* factory : factories_of("de-rrd", factories)) {
    losses.push_back(factory->make(context));
  }
  const double student_hit = train(*student, small, losses, data, options, stream);
  std::printf("test H@5: teacher %.3f, student %.3f\n", teacher_hit, student_hit);

  // Fourth step: recommend. The best items of user 0 that are not among the training items.
  constexpr int64_t kTop = 10;
  const DeviceArray<int32_t> items(kTop);
  const DeviceArray<float> scores(kTop);
  TopLists(data.items(), kTop)
      .best(items.matrix(1, kTop), scores.matrix(1, kTop), student->scorer(stream), data.train(),
            /*first_user=*/0, stream);
  for (const int32_t item : items.to_host(stream)) std::printf("item %d\n", item);
  return teacher_hit > 0 && student_hit > 0 ? 0 : 1;
}
