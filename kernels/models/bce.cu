// Binary cross entropy on scores (logits): NeuMF's base loss (He et al., WWW'17, equation 7).
//
//   loss = t softplus(-x) + (1 - t) softplus(x)
//   dL/dx = (1 - t) sigmoid(x) - t sigmoid(-x)           = sigmoid(x) - t
//
// Shapes: x, t, loss, dL/dx [N].
// Threads: one per score.
// Bytes: 16 per score; an exponential, a division and a polynomial each: bound by arithmetic on a
// CPU, by memory on a GPU. Small compared with the vectors that the scores come from.
//
// Trap: log(sigmoid(x)) is log(0) from x = -104 on, and sigmoid(x) - 1 cancels for large x. So the
// loss is |x| times the target's share of the other side, plus log(1 + e^-|x|), and the gradient
// keeps its two sigmoids apart: a nearly perfect score still has its exact small gradient.

#include "kernels/models/bce.h"

#include "kernels/common/elementary.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void binary_cross_entropy_kernel(Vector<float> loss, Vector<float> grad_score,
                                            Vector<const float> score, Vector<const float> target,
                                            ActiveRows active) {
  const int64_t count = active.of(score.size);
  for (const int64_t i : units_of(SingleThread{}, loss.size)) {
    float own_loss = 0.0f;
    float derivative = 0.0f;
    if (i < count) {
      const float x = score[i];
      const float t = target[i];
      const float e = expf(-fabsf(x));
      const float missed = x >= 0.0f ? 1.0f - t : t;
      own_loss = (missed == 0.0f ? 0.0f : missed * fabsf(x)) + log_one_plus(e);  // 0 * infinity
      derivative = (1.0f - t) * sigmoid_from(x, e) - t * sigmoid_from(-x, e);
    }
    loss[i] = own_loss;
    grad_score[i] = derivative;
  }
}

}  // namespace

void binary_cross_entropy(Vector<float> loss, Vector<float> grad_score, Vector<const float> score,
                          Vector<const float> target, ActiveRows active, const Stream& stream) {
  constexpr const char* kName = "binary_cross_entropy";
  require_size(kName, "grad_score", grad_score, loss.size);
  require_size(kName, "score", score, loss.size);
  require_size(kName, "target", target, loss.size);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerScore = 40;
  launch(kName, threads_for(loss.size, kOperationsPerScore), stream, binary_cross_entropy_kernel,
         loss, grad_score, score, target, active);
}

}  // namespace derrd
