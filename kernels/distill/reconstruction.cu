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
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void reconstruction_loss_kernel(Vector<float> loss, Matrix<float> grad_reconstruction,
                                           ReconstructionCall call) {
  const WarpTile tile = warp_tile();
  const ReconstructionOptions& options = call.options;
  const int64_t active = call.active.of(loss.size);
  const int64_t width = call.reconstruction.cols;
  for (const int64_t n : units_of(tile, call.reconstruction.rows)) {
    float* __restrict__ grad = grad_reconstruction.row(n);
    if (n >= active) {
      fill_row(tile, grad, width, 0.0f);
      if (tile.thread_rank() == 0) loss[n] = 0;
      continue;
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
    if (tile.thread_rank() == 0) loss[n] = options.loss_weight * distance;
  }
}

}  // namespace

void reconstruction_loss(Vector<float> loss, Matrix<float> grad_reconstruction,
                         const ReconstructionCall& call, const Stream& stream) {
  constexpr const char* kName = "reconstruction_loss";
  const int64_t rows = call.reconstruction.rows;
  const int64_t cols = call.reconstruction.cols;
  require_size(kName, "loss", loss, rows);
  require_shape(kName, "grad_reconstruction", grad_reconstruction, rows, cols);
  require_shape(kName, "teacher", call.teacher, rows, cols);
  if (loss.size == 0) return;
  launch(kName, tiles_for(rows, 2 * cols), stream, reconstruction_loss_kernel, loss,
         grad_reconstruction, call);
}

}  // namespace derrd
