// Reconstruction loss of Distillation Experts (DE-RRD, equations 6 and 7): what the experts rebuild
// against the teacher's vector.
//
//   squared     L = w |t - R|^2      dL/dR = 2 w (R - t)
//   Euclidean   L = w |t - R|        dL/dR = w (R - t) / |t - R|
//
// Shapes: R, t and the gradient [N, T], loss [N].
// Mapping: a tile owns an entity, or four whose rows are whole quads. Its lanes stride over the
// columns, first for the sum, then for the gradient.
// Bytes: 12 N T (R and t read once from memory, the gradient written): memory bandwidth.
//
// Trap: |t - R| has no derivative where it is 0; there the gradient is 0 by definition.

#include "kernels/distill/reconstruction.h"

#include "kernels/common/row_lanes.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

template <class Element>
__global__ void reconstruction_loss_kernel(
    const __grid_constant__ CallList<ReconstructionCall> calls) {
  const WarpTile tile = warp_tile();
  using Lanes = RowLanes<Element>;
  const Lanes lanes(tile);
  const auto units = [](const ReconstructionCall& call) { return Lanes::tiles(call.loss.size); };
  for_each_unit(tile, calls, units, [&](const ReconstructionCall& call, int64_t unit) {
    const ReconstructionOptions& options = call.options;
    const int64_t n = unit * Lanes::kRows + lanes.row;
    const bool exists = n < call.loss.size;  // all lanes take part in the sum
    const bool active = n < call.active.of(call.loss.size);
    const int width = elements_in<Element>(call.reconstruction.cols);
    const int read = active ? width : 0;
    const int64_t row = exists ? n : 0;
    Element* __restrict__ grad = elements_of<Element>(call.grad_reconstruction.row(row));
    const Element* __restrict__ r = elements_of<Element>(call.reconstruction.row(row));
    const Element* __restrict__ t = elements_of<Element>(call.teacher.row(row));
    float squares = 0;
    for (int k = lanes.rank; k < read; k += Lanes::kLanes) {
      const Element difference = r[k] - t[k];
      squares += dot(difference, difference);
    }
    squares = lanes.sum(tile, squares);
    const bool squared = options.norm == ReconstructionNorm::kSquared;
    const float distance = squared ? squares : sqrtf(squares);
    const float slope = squared ? 2.0f : (distance == 0 ? 0.0f : 1.0f / distance);
    const float factor = options.gradient_scale * options.loss_weight * slope;
    for (int k = lanes.rank; k < read; k += Lanes::kLanes) grad[k] = factor * (r[k] - t[k]);
    if (!exists) return;
    for (int k = read + lanes.rank; k < width; k += Lanes::kLanes) grad[k] = Element{};
    if (lanes.rank == 0) call.loss[n] = active ? options.loss_weight * distance : 0.0f;
  });
}

}  // namespace

void reconstruction_loss(const CallList<ReconstructionCall>& calls, const Stream& stream) {
  constexpr const char* kName = "reconstruction_loss";
  bool quads = true;
  for (const ReconstructionCall& call : calls) {
    const int64_t rows = call.reconstruction.rows;
    const int64_t cols = call.reconstruction.cols;
    require_size(kName, "loss", call.loss, rows);
    require_shape(kName, "grad_reconstruction", call.grad_reconstruction, rows, cols);
    require_shape(kName, "teacher", call.teacher, rows, cols);
    quads = quads && are_quads(cols, {call.reconstruction.data, call.teacher.data,
                                      call.grad_reconstruction.data});
  }
  const int64_t tiles = total_units(
      calls, [&](const ReconstructionCall& call) { return row_tiles(call.loss.size, quads); });
  if (tiles == 0) return;
  launch(kName, tiles_for(tiles, 2 * calls[0].reconstruction.cols), stream,
         quads ? reconstruction_loss_kernel<Quad> : reconstruction_loss_kernel<float>, calls);
}

}  // namespace derrd
