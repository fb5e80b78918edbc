#include <cstdio>
#include <memory>
#include <vector>

#include "data/split.h"
#include "data/synthesize.h"
#include "engine/models/bpr.h"
#include "engine/training/trainer.h"

int main() {
  derrd::Dataset dataset = derrd::split_leave_one_out(
      derrd::synthesize({.users = 200, .items = 300, .interactions = 3000}), /*seed=*/0);
  derrd::draw_candidates(dataset, /*count=*/99, /*seed=*/0);

  const derrd::Stream stream;
  const derrd::DeviceDataset data(dataset, stream);
  derrd::TrainOptions options{.epochs = 5};
  derrd::Parameters parameters;
  derrd::BprModel model(data.users(), data.items(), /*dim=*/8, options.batches.batch_size,
                        parameters);
  parameters.allocate(options.batches.seed, stream);
  const std::vector<std::unique_ptr<derrd::DistillationLoss>> losses;
  derrd::Trainer trainer(data, parameters, model, losses, options, stream);

  std::vector<double> losses;
  trainer.run([&](const derrd::EpochRecord& e) { losses.push_back(e.losses.front().second); },
              [] { return false; });
  std::printf("base loss %.3f -> %.3f\n", losses.front(), losses.back());
  return losses.size() == 5 && losses.back() < losses.front() ? 0 : 1;
}
