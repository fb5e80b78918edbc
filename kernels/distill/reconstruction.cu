// Reconstruction loss of Distillation Experts (DE-RRD, equations 6 and 7): what the experts rebuild
// against the teacher's vector.
//
//   squared     L = w |t - R|^2      dL/dR = 2 w (R - t)
//   Euclidean   L = w |t - R|        dL/dR = w (R - t) / |t - R|
//
// Shapes: R, t and the gradient [N, T], loss [N].
// Mapping: a tile owns an entity, its lanes stride over the columns, first for the sum, then for
// the gradient. Bytes: 12 N T (R and t read once from memory, the gradient written): memory
// bandwidth.
//
// Trap: |t - R| has no derivative where it is 0; there the gradient is 0 by definition.

#include "kernels/distill/reconstruction.h"

#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void reconstruction_loss_kernel(
    const __grid_constant__ CallList<ReconstructionCall> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const ReconstructionCall& call) { return call.loss.size; };
  for_each_unit(tile, calls, units, [&](const ReconstructionCall& call, int64_t n) {
    const ReconstructionOptions& options = call.options;
    const int64_t width = call.reconstruction.cols;
    float* __restrict__ grad = call.grad_reconstruction.row(n);
    if (n >= call.active.of(call.loss.size)) {
      fill_row(tile, grad, width, 0.0f);
      if (tile.thread_rank() == 0) call.loss[n] = 0;
      return;
    }
    const float* __restrict__ r = call.reconstruction.row(n);
    const float* __restrict__ t = call.teacher.row(n);
    float squares = 0;
    for (int64_t k = tile.thread_rank(); k < width; k += tile.size()) {
      squares += (r[k] - t[k]) * (r[k] - t[k]);
    }
    squares = cg::reduce(tile, squares, cg::plus<float>());
    const bool squared = options.norm == ReconstructionNorm::kSquared;
    const float distance = squared ? squares : sqrtf(squares);
    const float slope = squared ? 2.0f : (distance == 0 ? 0.0f : 1.0f / distance);
    const float factor = options.gradient_scale * options.loss_weight * slope;
    for (int64_t k = tile.thread_rank(); k < width; k += tile.size()) {
      grad[k] = factor * (r[k] - t[k]);
    }
    if (tile.thread_rank() == 0) call.loss[n] = options.loss_weight * distance;
  });
}

}  // namespace

void reconstruction_loss(const CallList<ReconstructionCall>& calls, const Stream& stream) {
  constexpr const char* kName = "reconstruction_loss";
  int64_t entities = 0;
  for (const ReconstructionCall& call : calls) {
    const int64_t rows = call.reconstruction.rows;
    const int64_t cols = call.reconstruction.cols;
    require_size(kName, "loss", call.loss, rows);
    require_shape(kName, "grad_reconstruction", call.grad_reconstruction, rows, cols);
    require_shape(kName, "teacher", call.teacher, rows, cols);
    entities += rows;
  }
  if (entities == 0) return;
  launch(kName, tiles_for(entities, 2 * calls[0].reconstruction.cols), stream,
         reconstruction_loss_kernel, calls);
}

}  // namespace derrd
