#include "engine/training/step_graph.h"

namespace derrd {

void StepGraph::run(int64_t steps, const std::function<void()>& step, const Stream& stream) {
  if (mode_ == Mode::kLaunchByLaunch || steps < 3) {
    for (int64_t s = 0; s < steps; ++s) step();
    return;
  }
  step();  // libraries and kernels set themselves up at a first use, which cannot be recorded
  graph_.record(stream, step);
  for (int64_t s = 1; s < steps; ++s) graph_.replay(stream);
}

}  // namespace derrd
