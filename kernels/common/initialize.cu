// Fills parameters with random start values, each a pure function of its element's number.
//
//   bits(q)  = Philox(key, counter q) = 4 words, for the elements 4q .. 4q + 3 (a quad)
//   uniform:  bound (2u - 1),                            u = word / 2^32 on (0, 1)
//   normal:   sigma sqrt(-2 log u1) (cos, sin)(2 pi u2), Box-Muller, words (0, 1) and (2, 3)
//
// Mapping: a thread owns a quad, so that a call of the generator serves four elements. A range that
// begins or ends inside a quad writes only its own elements of it.
//
// Bytes: 4 per element, written. The limit is arithmetic: ten rounds of Philox per quad, and two
// logarithms and two sine-cosine pairs for the normal.
//
// Trap: log(0) for u = 0. uniform_open yields neither 0 nor 1.

#include "kernels/common/initialize.h"

#include "kernels/common/random.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr uint64_t kQuad = 4;

/// The quads that the elements [first, first + count) touch.
int64_t quads_of(uint64_t first, int64_t count) {
  const uint64_t end = first + static_cast<uint64_t>(count);
  return static_cast<int64_t>((end + kQuad - 1) / kQuad - first / kQuad);
}

struct Quad {
  float values[kQuad];
};

/// Writes the part of a quad that lies in `values`.
__device__ __forceinline__ void write_quad(Vector<float> values, uint64_t first_element,
                                           uint64_t quad, const Quad& drawn) {
  const int64_t begin = static_cast<int64_t>(quad * kQuad - first_element);
  for (int64_t j = 0; j < static_cast<int64_t>(kQuad); ++j) {
    if (begin + j >= 0 && begin + j < values.size) values[begin + j] = drawn.values[j];
  }
}

/// Two independent normal numbers of variance sigma^2.
__device__ __forceinline__ void box_muller(uint32_t radius_bits, uint32_t angle_bits, float sigma,
                                           float& first, float& second) {
  constexpr float kTwoPi = 6.283185307179586f;
  const float radius = sigma * sqrtf(-2.0f * logf(uniform_open(radius_bits)));
  const float angle = kTwoPi * uniform_open(angle_bits);
  first = radius * cosf(angle);
  second = radius * sinf(angle);
}

__global__ void initialize_normal_kernel(Vector<float> values, float sigma, RandomKey key,
                                         uint64_t first_element, int64_t quads) {
  for (const int64_t q : units_of(SingleThread{}, quads)) {
    const uint64_t quad = first_element / kQuad + static_cast<uint64_t>(q);
    const Philox4 bits = random_bits(key, quad);
    Quad drawn;
    box_muller(bits.x, bits.y, sigma, drawn.values[0], drawn.values[1]);
    box_muller(bits.z, bits.w, sigma, drawn.values[2], drawn.values[3]);
    write_quad(values, first_element, quad, drawn);
  }
}

__device__ __forceinline__ float uniform_in(uint32_t bits, float bound) {
  return bound * (2.0f * uniform_open(bits) - 1.0f);
}

__global__ void initialize_uniform_kernel(Vector<float> values, float bound, RandomKey key,
                                          uint64_t first_element, int64_t quads) {
  for (const int64_t q : units_of(SingleThread{}, quads)) {
    const uint64_t quad = first_element / kQuad + static_cast<uint64_t>(q);
    const Philox4 bits = random_bits(key, quad);
    const Quad drawn = {{uniform_in(bits.x, bound), uniform_in(bits.y, bound),
                         uniform_in(bits.z, bound), uniform_in(bits.w, bound)}};
    write_quad(values, first_element, quad, drawn);
  }
}

/// Scalar operations of a quad, for the geometry.
constexpr int64_t kNormalOperations = 200;
constexpr int64_t kUniformOperations = 60;

}  // namespace

void initialize_normal(Vector<float> values, float standard_deviation, RandomKey key,
                       uint64_t first_element, const Stream& stream) {
  if (values.size == 0) return;
  const int64_t quads = quads_of(first_element, values.size);
  launch("initialize_normal", threads_for(quads, kNormalOperations), stream,
         initialize_normal_kernel, values, standard_deviation, key, first_element, quads);
}

void initialize_uniform(Vector<float> values, float bound, RandomKey key, uint64_t first_element,
                        const Stream& stream) {
  if (values.size == 0) return;
  const int64_t quads = quads_of(first_element, values.size);
  launch("initialize_uniform", threads_for(quads, kUniformOperations), stream,
         initialize_uniform_kernel, values, bound, key, first_element, quads);
}

}  // namespace derrd
