// Instructions against what they are defined to do, on random and extreme operands.

#include <cuda_pipeline.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace {

int failures = 0;

template <class T>
void check(const char* what, int i, T got, T want) {
  if (std::memcmp(&got, &want, sizeof(T)) == 0) return;
  if (++failures <= 40)
    std::printf("%s, case %d: %.17g, not %.17g\n", what, i, static_cast<double>(got),
                static_cast<double>(want));
}

constexpr int kCases = 4096;
constexpr int kResults = 40;
__device__ uint32_t switched = 0;

__global__ void integers(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t x = a[i], y = b[i], z = c[i];
  uint32_t r[kResults] = {};
  int n = 0;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z));
  asm("bfe.u32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y & 63), "r"(z & 63));
  asm("bfe.s32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y & 63), "r"(z & 63));
  asm("bfi.b32 %0, %1, %2, %3, %4;"
      : "=r"(r[n++])
      : "r"(x), "r"(y), "r"(z & 63), "r"((z >> 8) & 63));
  asm("shf.l.wrap.b32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z));
  asm("shf.r.clamp.b32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z & 63));
  asm("shf.l.clamp.b32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z & 63));
  asm("shf.r.wrap.b32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z));
  asm("shl.b32 %0, %1, %2;" : "=r"(r[n++]) : "r"(x), "r"(y & 63));
  asm("shr.s32 %0, %1, %2;" : "=r"(r[n++]) : "r"(x), "r"(y & 63));
  asm("bfind.s32 %0, %1;" : "=r"(r[n++]) : "r"(x));
  asm("brev.b32 %0, %1;" : "=r"(r[n++]) : "r"(x));
  asm("mul.hi.s32 %0, %1, %2;" : "=r"(r[n++]) : "r"(x), "r"(y));
  asm("div.s32 %0, %1, %2;" : "=r"(r[n++]) : "r"(x), "r"(y));
  asm("rem.s32 %0, %1, %2;" : "=r"(r[n++]) : "r"(x), "r"(y | 1));
  asm("dp4a.s32.u32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z));
  asm("cvt.s32.s8 %0, %1;" : "=r"(r[n++]) : "r"(x));
  asm("cvt.sat.u8.s32 %0, %1;" : "=r"(r[n++]) : "r"(x));
  asm("mad.hi.u32 %0, %1, %2, %3;" : "=r"(r[n++]) : "r"(x), "r"(y), "r"(z));
  asm("{ .reg .u16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {h, l}; }" : "=r"(r[n++]) : "r"(x));
  asm("{ .reg .pred p, q; setp.lt.s32 p|q, %1, %2; selp.u32 %0, 1, 2, q; }"
      : "=r"(r[n++])
      : "r"(x), "r"(y));
  for (int k = 0; k < n; ++k) out[i * kResults + k] = r[k];
}

uint32_t bits(uint32_t x, uint32_t position, uint32_t length, bool is_signed) {
  uint32_t r = 0;
  const uint32_t last = std::min(position + length - 1, 31u);
  const uint32_t sign = is_signed && length != 0 ? (x >> last) & 1 : 0;
  for (uint32_t k = 0; k < 32; ++k)
    r |= (k < length && position + k < 32 ? (x >> (position + k)) & 1 : sign) << k;
  return r;
}

void test_integers() {
  std::mt19937 random(1);
  std::vector<uint32_t> a(kCases), b(kCases), c(kCases), out(kCases * kResults);
  const uint32_t extremes[] = {0, 1, 31, 32, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
  for (int i = 0; i < kCases; ++i) {
    a[i] = i < 512 ? extremes[i % 8] : random();
    b[i] = i < 512 ? extremes[i / 8 % 8] : random();
    c[i] = i < 512 ? extremes[i / 64 % 8] : random();
  }
  uint32_t *da, *db, *dc, *dout;
  cudaMalloc(&da, kCases * 4);
  cudaMalloc(&db, kCases * 4);
  cudaMalloc(&dc, kCases * 4);
  cudaMalloc(&dout, out.size() * 4);
  cudaMemcpy(da, a.data(), kCases * 4, cudaMemcpyHostToDevice);
  cudaMemcpy(db, b.data(), kCases * 4, cudaMemcpyHostToDevice);
  cudaMemcpy(dc, c.data(), kCases * 4, cudaMemcpyHostToDevice);
  integers<<<kCases / 128, 128>>>(da, db, dc, dout);
  cudaMemcpy(out.data(), dout, out.size() * 4, cudaMemcpyDeviceToHost);
  for (int i = 0; i < kCases; ++i) {
    const uint32_t x = a[i], y = b[i], z = c[i];
    const auto s = [](uint32_t v) { return static_cast<int32_t>(v); };
    const uint32_t* r = &out[i * kResults];
    uint32_t permuted = 0;
    for (int k = 0; k < 4; ++k) {
      const uint32_t selector = (z >> (4 * k)) & 15;
      const uint64_t both = (uint64_t{y} << 32) | x;
      uint32_t byte = (both >> (8 * (selector & 7))) & 255;
      if (selector & 8) byte = byte & 128 ? 255 : 0;
      permuted |= byte << (8 * k);
    }
    int n = 0;
    check("prmt", i, r[n++], permuted);
    check("bfe.u32", i, r[n++], bits(x, y & 63, z & 63, false));
    check("bfe.s32", i, r[n++], bits(x, y & 63, z & 63, true));
    uint32_t inserted = y;
    for (uint32_t k = 0; k < ((z >> 8) & 63) && (z & 63) + k < 32; ++k) {
      inserted = (inserted & ~(1u << ((z & 63) + k))) | (((x >> k) & 1) << ((z & 63) + k));
    }
    check("bfi", i, r[n++], inserted);
    const uint64_t both = (uint64_t{y} << 32) | x;
    check("shf.l.wrap", i, r[n++], static_cast<uint32_t>((both << (z & 31)) >> 32));
    check("shf.r.clamp", i, r[n++], static_cast<uint32_t>(both >> std::min(z & 63, 32u)));
    check("shf.l.clamp", i, r[n++], static_cast<uint32_t>((both << std::min(z & 63, 32u)) >> 32));
    check("shf.r.wrap", i, r[n++], static_cast<uint32_t>(both >> (z & 31)));
    check("shl", i, r[n++], (y & 63) > 31 ? 0u : x << (y & 31));
    check("shr.s32", i, r[n++], static_cast<uint32_t>(s(x) >> std::min(y & 63, 31u)));
    const uint32_t magnitude = s(x) < 0 ? ~x : x;
    check("bfind", i, r[n++],
          magnitude == 0 ? ~0u : 31u - static_cast<uint32_t>(__builtin_clz(magnitude)));
    uint32_t reversed = 0;
    for (int k = 0; k < 32; ++k) reversed |= ((x >> k) & 1) << (31 - k);
    check("brev", i, r[n++], reversed);
    check("mul.hi.s32", i, r[n++], static_cast<uint32_t>((int64_t{s(x)} * s(y)) >> 32));
    const int64_t divisor = s(y) == 0 ? 1 : s(y);
    check("div.s32", i, r[n++], s(y) == 0 ? ~0u : static_cast<uint32_t>(int64_t{s(x)} / divisor));
    check("rem.s32", i, r[n++], static_cast<uint32_t>(int64_t{s(x)} % s(y | 1)));
    uint32_t dot = z;
    for (int k = 0; k < 4; ++k)
      dot += static_cast<uint32_t>(static_cast<int8_t>(x >> (8 * k)) *
                                   static_cast<int32_t>((y >> (8 * k)) & 255));
    check("dp4a", i, r[n++], dot);
    check("cvt.s32.s8", i, r[n++], static_cast<uint32_t>(static_cast<int8_t>(x)));
    check("cvt.sat.u8.s32", i, r[n++], static_cast<uint32_t>(std::min(std::max(s(x), 0), 255)));
    check("mad.hi", i, r[n++], z + static_cast<uint32_t>((uint64_t{x} * y) >> 32));
    check("mov pack", i, r[n++], (x << 16) | (x >> 16));
    check("setp p|q", i, r[n++], s(x) < s(y) ? 2u : 1u);
  }
}

__global__ void floats(const float* a, const float* b, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float x = a[i], y = b[i];
  float r[kResults] = {};
  int n = 0;
  r[n++] = __fmaf_rn(x, y, x);
  r[n++] = __fmaf_rd(x, y, 1.0f);
  r[n++] = __fadd_ru(x, y);
  r[n++] = __fdiv_rn(x, y);
  r[n++] = __fsqrt_rn(x);
  r[n++] = fminf(x, y);
  r[n++] = fmaxf(x, y);
  r[n++] = static_cast<float>(__float2int_rz(x));
  r[n++] = static_cast<float>(__float2int_rn(x));
  r[n++] = __uint2float_rn(__float_as_uint(x));
  r[n++] = __ull2float_rn((static_cast<unsigned long long>(__float_as_uint(x)) << 32) |
                          __float_as_uint(y));
  r[n++] = __double2float_rn(static_cast<double>(x) * y);
  r[n++] = exp2f(x);
  r[n++] = __saturatef(x);
  r[n++] = copysignf(x, y);
  r[n++] = rintf(x);
  r[n++] = __int2float_rz(__float_as_int(x));
  for (int k = 0; k < n; ++k) out[i * kResults + k] = r[k];
}

void test_floats() {
  std::mt19937 random(2);
  std::vector<float> a(kCases), b(kCases), out(kCases * kResults);
  const float extremes[] = {0.0f, -0.0f,  1.0f,  -1.5f, INFINITY,       -INFINITY,
                            NAN,  1e-40f, 3e38f, 2.5f,  -2147483648.0f, 4294967296.0f};
  for (int i = 0; i < kCases; ++i) {
    const uint32_t x = random(), y = random();
    std::memcpy(&a[i], &x, 4);
    std::memcpy(&b[i], &y, 4);
    if (i < 144) {
      a[i] = extremes[i % 12];
      b[i] = extremes[i / 12];
    } else if (i < 2048) {
      a[i] = static_cast<float>(static_cast<int32_t>(x)) * 1e-8f;
      b[i] = static_cast<float>(static_cast<int32_t>(y)) * 1e-8f;
    }
  }
  float *da, *db, *dout;
  cudaMalloc(&da, kCases * 4);
  cudaMalloc(&db, kCases * 4);
  cudaMalloc(&dout, out.size() * 4);
  cudaMemcpy(da, a.data(), kCases * 4, cudaMemcpyHostToDevice);
  cudaMemcpy(db, b.data(), kCases * 4, cudaMemcpyHostToDevice);
  floats<<<kCases / 128, 128>>>(da, db, dout);
  cudaMemcpy(out.data(), dout, out.size() * 4, cudaMemcpyDeviceToHost);
  const auto same = [](const char* what, int i, float got, float want) {
    if (std::isnan(got) && std::isnan(want)) return;
    check(what, i, got, want);
  };
  const auto saturated = [](double x) {
    return std::isnan(x) ? 0.0 : std::min(std::max(x, -2147483648.0), 2147483647.0);
  };
  for (int i = 0; i < kCases; ++i) {
    const float x = a[i], y = b[i];
    uint32_t xb, yb;
    std::memcpy(&xb, &x, 4);
    std::memcpy(&yb, &y, 4);
    const float* r = &out[i * kResults];
    int n = 0;
    same("fma.rn", i, r[n++], std::fma(x, y, x));
    // Of finite values, downwards: at most the exact value, and the next float is more. The exact
    // value as a long double is rounded itself, so only those that it holds exactly are compared.
    const float down = r[n++];
    const long double exact = static_cast<long double>(x) * y + 1.0L;
    const double product = std::fabs(static_cast<double>(x) * y);
    if (product > 1e-4 && product < 1e4 &&
        !(down <= exact && std::nextafter(down, INFINITY) > exact)) {
      check("fma.rm", i, down, static_cast<float>(exact));
    }
    const float up = r[n++];
    const double sum = static_cast<double>(x) + y;
    if (std::isfinite(sum) && std::fabs(sum) < 3e38 && !(up >= sum))
      check("add.rp", i, up, static_cast<float>(sum));
    same("div.rn", i, r[n++], x / y);
    same("sqrt.rn", i, r[n++], std::sqrt(x));
    same("min", i, r[n++],
         std::isnan(x)   ? y
         : std::isnan(y) ? x
         : x == y        ? (std::signbit(x) ? x : y)
                         : std::min(x, y));
    same("max", i, r[n++],
         std::isnan(x)   ? y
         : std::isnan(y) ? x
         : x == y        ? (std::signbit(x) ? y : x)
                         : std::max(x, y));
    same("cvt.rzi", i, r[n++], static_cast<float>(static_cast<int32_t>(saturated(std::trunc(x)))));
    same("cvt.rni", i, r[n++],
         static_cast<float>(static_cast<int32_t>(saturated(std::nearbyint(x)))));
    same("cvt.f32.u32", i, r[n++], static_cast<float>(xb));
    same("cvt.f32.u64", i, r[n++], static_cast<float>((uint64_t{xb} << 32) | yb));
    same("cvt.f32.f64", i, r[n++], static_cast<float>(static_cast<double>(x) * y));
    const float power = r[n++];
    const double want = std::exp2(static_cast<double>(x));
    if (want > 1e-37 && want < 3e38 && std::fabs(power / want - 1) > 3e-7)
      check("exp2f", i, power, static_cast<float>(want));
    same("sat", i, r[n++], std::isnan(x) || x < 0 ? 0.0f : std::min(x, 1.0f));
    const float signs = r[n++];
    if (!std::isnan(x) && !std::isnan(y)) same("copysign", i, signs, std::copysign(x, y));
    same("rint", i, r[n++], std::nearbyint(x));
    const float towards_zero = r[n++];
    const auto integer = static_cast<double>(static_cast<int32_t>(xb));
    if (!(std::fabs(towards_zero) <= std::fabs(integer) &&
          std::fabs(std::nextafter(towards_zero, towards_zero < 0 ? -INFINITY : INFINITY)) >
              std::fabs(integer)) &&
        integer != 0) {
      check("cvt.rz.f32.s32", i, towards_zero, static_cast<float>(integer));
    }
  }
}

__global__ void warps(uint32_t* out) {
  const uint32_t lane = threadIdx.x & 31;
  uint32_t* r = out + threadIdx.x * kResults;
  int n = 0;
  r[n++] = __shfl_up_sync(0xFFFFFFFF, lane, 3);
  r[n++] = __shfl_down_sync(0xFFFFFFFF, lane, 5, 16);
  r[n++] = __shfl_xor_sync(0xFFFFFFFF, lane, 9);
  r[n++] = __shfl_sync(0xFFFFFFFF, lane, 3, 8);
  r[n++] = __ballot_sync(0xFFFFFFFF, lane % 3 == 0);
  r[n++] = __match_any_sync(0xFFFFFFFF, lane / 5);
  r[n++] = __reduce_add_sync(0xFFFFFFFF, lane);
  r[n++] = __reduce_max_sync(lane < 16 ? 0xFFFF : 0xFFFF0000, lane ^ 5);
  uint32_t divergent = 0;
  if (lane % 2 == 0) {
    divergent = __ballot_sync(0x55555555, lane % 4 == 0);
  } else {
    for (uint32_t k = 0; k < lane; ++k) divergent += k;
    divergent += __shfl_sync(0xAAAAAAAA, lane, 31);
  }
  __syncwarp();
  r[n++] = divergent;
  r[n++] = __syncthreads_count(lane < 7);
  r[n++] = __syncthreads_and(threadIdx.x < 64) * 2 + __syncthreads_or(threadIdx.x == 63);
}

void test_warps() {
  constexpr int kThreads = 64;
  std::vector<uint32_t> out(kThreads * kResults);
  uint32_t* dout;
  cudaMalloc(&dout, out.size() * 4);
  warps<<<1, kThreads>>>(dout);
  cudaMemcpy(out.data(), dout, out.size() * 4, cudaMemcpyDeviceToHost);
  for (uint32_t t = 0; t < kThreads; ++t) {
    const uint32_t lane = t % 32;
    const uint32_t* r = &out[t * kResults];
    int n = 0;
    const int i = static_cast<int>(t);
    check("shfl.up", i, r[n++], lane < 3 ? lane : lane - 3);
    check("shfl.down", i, r[n++], lane % 16 + 5 > 15 ? lane : lane + 5);
    check("shfl.bfly", i, r[n++], lane ^ 9);
    check("shfl.idx", i, r[n++], lane / 8 * 8 + 3);
    uint32_t thirds = 0, fifths = 0;
    for (uint32_t k = 0; k < 32; ++k) {
      thirds |= (k % 3 == 0 ? 1u : 0u) << k;
      fifths |= (k / 5 == lane / 5 ? 1u : 0u) << k;
    }
    check("ballot", i, r[n++], thirds);
    check("match", i, r[n++], fifths);
    check("redux.add", i, r[n++], 496u);
    check("redux.max", i, r[n++], lane < 16 ? 15u : 31u);
    check("divergent", i, r[n++], lane % 2 == 0 ? 0x11111111u : lane * (lane - 1) / 2 + 31);
    check("bar.red.popc", i, r[n++], 14u);
    check("bar.red.and, or", i, r[n++], 3u);
  }
}

/// Branches that lanes take differently.
__device__ uint32_t of_switch(uint32_t x) {
  switch (x) {
    case 0:
      return atomicAdd(&switched, 1u) + 1000;
    case 1:
      return __popc(x) + 7;
    case 2:
      return __clz(x);
    case 3:
      return x * x;
    case 4:
      return ~x;
    default:
      return x + 1;
  }
}

__global__ void memory(const uint4* wide, uint32_t* words, uint64_t* longs, uint32_t* out) {
  __shared__ uint4 tile[32];
  __shared__ uint32_t sums[4];
  const uint32_t lane = threadIdx.x;
  if (lane < 4) sums[lane] = 0;
  __pipeline_memcpy_async(&tile[lane], &wide[lane], sizeof(uint4), lane % 2 == 0 ? 0 : 8);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
  uint32_t* r = out + lane * kResults;
  int n = 0;
  const uint4 global = wide[31 - lane];  // 16 bytes, against the lanes' order
  r[n++] = global.x ^ global.y ^ global.z ^ global.w;
  r[n++] = tile[lane].x;
  r[n++] = tile[lane].w;
  uint32_t local[8];  // indexed by values that the compiler does not know
  for (uint32_t k = 0; k < 8; ++k) local[(k * 3 + words[0]) % 8] = k;
  r[n++] = local[lane % 8];
  r[n++] = of_switch(lane % 6);
  atomicAdd(&sums[lane % 4], lane);
  atomicMax(&words[1], lane ^ 5);
  atomicMin(reinterpret_cast<int*>(&words[2]), -static_cast<int>(lane));
  atomicXor(&words[3], 1u << lane);
  atomicCAS(&words[4], lane, lane + 1);
  atomicExch(&words[5], 9);
  atomicAdd(reinterpret_cast<unsigned long long*>(longs), 1ull << 33);
  __syncthreads();
  r[n++] = sums[lane % 4];
  r[n++] = __activemask();
  if (lane >= 20) r[n++] = __activemask();
}

void test_memory() {
  std::vector<uint4> wide(32);
  for (uint32_t k = 0; k < 32; ++k) wide[k] = {k, k << 8, k << 16, k << 24};
  std::vector<uint32_t> words = {5, 0, 0, 0, 0, 0}, out(32 * kResults);
  uint64_t longs = 1;
  uint4* dwide;
  uint32_t *dwords, *dout;
  uint64_t* dlongs;
  cudaMalloc(&dwide, sizeof(uint4) * 32);
  cudaMalloc(&dwords, words.size() * 4);
  cudaMalloc(&dlongs, 8);
  cudaMalloc(&dout, out.size() * 4);
  cudaMemset(dout, 0, out.size() * 4);
  cudaMemcpy(dwide, wide.data(), sizeof(uint4) * 32, cudaMemcpyHostToDevice);
  cudaMemcpy(dwords, words.data(), words.size() * 4, cudaMemcpyHostToDevice);
  cudaMemcpy(dlongs, &longs, 8, cudaMemcpyHostToDevice);
  memory<<<1, 32>>>(dwide, dwords, dlongs, dout);
  cudaMemcpy(out.data(), dout, out.size() * 4, cudaMemcpyDeviceToHost);
  cudaMemcpy(words.data(), dwords, words.size() * 4, cudaMemcpyDeviceToHost);
  cudaMemcpy(&longs, dlongs, 8, cudaMemcpyDeviceToHost);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t* r = &out[lane * kResults];
    const int i = static_cast<int>(lane);
    int n = 0;
    check("ld.v4", i, r[n++], (31 - lane) * 0x01010101u);
    check("cp.async", i, r[n++], lane);
    check("cp.async of 8 bytes", i, r[n++], lane % 2 == 0 ? lane << 24 : 0);
    check("local", i, r[n++], (lane % 8 + 3) * 3 % 8);
    const uint32_t x = lane % 6;
    const uint32_t ticket = r[n++];
    const uint32_t want[] = {0, 8, 30, 9, ~4u, 6};
    if (x != 0) check("switch", i, ticket, want[x]);
    if (x == 0) check("atom.add", i, ticket, 1000 + lane / 6);
    check("atom.shared.add", i, r[n++], (lane % 4) * 8 + 112);
    check("activemask", i, r[n++], ~0u);
    if (lane >= 20) check("activemask of some", i, r[n++], 0xFFF00000u);
  }
  const uint32_t wanted[] = {5, 31, static_cast<uint32_t>(-31), ~0u, 32, 9};
  for (int k = 0; k < 6; ++k) check("atomics", k, words[static_cast<size_t>(k)], wanted[k]);
  check("atom.u64", 0, longs, (uint64_t{32} << 33) + 1);
}

__global__ void doubles(double x, double* out) {
  out[0] = x / 3.0;
  out[1] = sqrt(x);
  out[2] = fma(x, x, 1.0);
  out[3] = 1.0 / x;
  out[4] = exp(x);
}

void test_doubles() {
  double out[5], *dout;
  cudaMalloc(&dout, sizeof out);
  doubles<<<1, 1>>>(1.7, dout);
  cudaMemcpy(out, dout, sizeof out, cudaMemcpyDeviceToHost);
  const double want[] = {1.7 / 3.0, std::sqrt(1.7), std::fma(1.7, 1.7, 1.0), 1.0 / 1.7};
  for (int k = 0; k < 4; ++k) check("f64", k, out[k], want[k]);
  if (std::fabs(out[4] / std::exp(1.7) - 1) > 1e-15) check("exp f64", 0, out[4], std::exp(1.7));
}

}  // namespace

int main() {
  test_integers();
  test_floats();
  test_warps();
  test_memory();
  test_doubles();
  const cudaError_t status = cudaDeviceSynchronize();
  std::printf("%d failures, %s\n", failures, cudaGetErrorName(status));
  return failures != 0 || status != cudaSuccess;
}
