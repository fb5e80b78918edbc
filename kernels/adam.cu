// Adam (Kingma and Ba, ICLR'15, algorithm 1) with coupled L2, dense: every parameter moves at every
// step, because its moments decay and the L2 term acts whether the batch touched it or not.
//
//   g  = gradient + weight_decay p
//   m += (1 - beta1) (g - m)
//   v  = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//   gradient = 0
//
// Shapes: p, m, v, gradient [n], the parameters' arena. t and the two corrections lie in device
// memory (AdamStep), so that a step's launches are the same every time.
//
// Mapping: a thread per element; on the CPU a plain loop over a chunk, which vectorises with its
// square root and division.
//
// Bytes: 16 read and 16 written per element, the zeroing of the gradient included. About 12 flops:
// the limit is memory bandwidth (divider throughput when all of it sits in the CPU's caches). This
// is most of a step's traffic: 608,040 parameters move 19 MB, the teacher's 6,080,400 195 MB.
//
// Trap: 1 - beta2 in float is off by 1e-5, 1 - beta^t by more while t is small: they are taken in
// double.

#include "kernels/adam.h"

#include "kernels/platform/execution.h"
#include "kernels/shapes.h"

namespace derrd {

namespace {

__global__ void adam_advance_kernel(AdamStep* step, AdamOptions options) {
  for ([[maybe_unused]] const int64_t once : units_of(SingleThread{}, 1)) {
    const int64_t t = step->step + 1;
    const double power = static_cast<double>(t);
    step->step = t;
    step->step_size = static_cast<float>(options.learning_rate / (1.0 - pow(options.beta1, power)));
    step->inverse_root_correction = static_cast<float>(1.0 / sqrt(1.0 - pow(options.beta2, power)));
  }
}

/// The options as the elements need them, rounded once.
struct AdamFactors {
  float one_minus_beta1, beta2, one_minus_beta2, epsilon, weight_decay;
};

__global__ void adam_update_kernel(Vector<float> parameters, Vector<float> first_moment,
                                   Vector<float> second_moment, Vector<float> gradient,
                                   AdamFactors factors, const AdamStep* step) {
  const float step_size = step->step_size;
  const float inverse_root_correction = step->inverse_root_correction;
  float* __restrict__ p = parameters.data;
  float* __restrict__ m = first_moment.data;
  float* __restrict__ v = second_moment.data;
  float* __restrict__ grad = gradient.data;
  for (const int64_t i : units_of(SingleThread{}, parameters.size)) {
    const float g = grad[i] + factors.weight_decay * p[i];
    const float mean = m[i] + factors.one_minus_beta1 * (g - m[i]);
    const float square = factors.beta2 * v[i] + factors.one_minus_beta2 * g * g;
    m[i] = mean;
    v[i] = square;
    p[i] -= step_size * mean / (sqrtf(square) * inverse_root_correction + factors.epsilon);
    grad[i] = 0.0f;
  }
}

}  // namespace

void adam_advance(AdamStep* step, AdamOptions options, const Stream& stream) {
  launch("adam_advance", threads_for(1), stream, adam_advance_kernel, step, options);
}

void adam_update(Vector<float> parameters, Vector<float> first_moment, Vector<float> second_moment,
                 Vector<float> gradient, AdamOptions options, const AdamStep* step,
                 const Stream& stream) {
  require_size("adam_update", "first_moment", first_moment, parameters.size);
  require_size("adam_update", "second_moment", second_moment, parameters.size);
  require_size("adam_update", "gradient", gradient, parameters.size);
  if (parameters.size == 0) return;
  const AdamFactors factors = {
      static_cast<float>(1.0 - options.beta1), static_cast<float>(options.beta2),
      static_cast<float>(1.0 - options.beta2), static_cast<float>(options.epsilon),
      static_cast<float>(options.weight_decay)};
  launch("adam_update", threads_for(parameters.size), stream, adam_update_kernel, parameters,
         first_moment, second_moment, gradient, factors, step);
}

}  // namespace derrd
