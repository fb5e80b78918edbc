// Conversions, directed rounding, and the functions that hardware approximates, which are computed
// in double and rounded once.

#include <immintrin.h>

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tests/ptx_executor/machine.h"

namespace ptxe {

namespace {

template <class T>
using Cell = std::conditional_t<(sizeof(T) < 4), uint32_t, T>;

template <class T>
Cell<T> cell(T value) {
  if constexpr (sizeof(T) < 4)
    return static_cast<std::make_unsigned_t<T>>(value);
  else
    return value;
}

/// The processor's rounding mode while it lives. Operands are loaded and results stored within.
class Rounding {
 public:
  explicit Rounding(unsigned mode) : old_(_mm_getcsr()) {
    _mm_setcsr((old_ & ~0x6000u) | mode);
    asm volatile("" ::: "memory");
  }
  ~Rounding() {
    asm volatile("" ::: "memory");
    _mm_setcsr(old_);
  }

 private:
  unsigned old_;
};

enum Mode : uint8_t {
  kNearest = 0,
  kZero = 1,
  kDown = 2,
  kUp = 3,
  kModeBits = 3,
  kSaturate = 4,
  kFlush = 8,
  kToInteger = 16
};

unsigned control_bits(uint8_t flags) {
  constexpr unsigned kBits[] = {0x0000, 0x6000, 0x2000, 0x4000};
  return kBits[flags & kModeBits];
}

uint8_t mode_of(const Statement& s) {
  uint8_t flags = s.has("sat") ? kSaturate : 0;
  if (s.has("ftz")) flags |= kFlush;
  if (s.has("rz"))
    flags |= kZero;
  else if (s.has("rm"))
    flags |= kDown;
  else if (s.has("rp"))
    flags |= kUp;
  else if (s.has("rni"))
    flags |= kToInteger;
  else if (s.has("rzi"))
    flags |= kToInteger | kZero;
  else if (s.has("rmi"))
    flags |= kToInteger | kDown;
  else if (s.has("rpi"))
    flags |= kToInteger | kUp;
  return flags;
}

float flush(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

template <class T>
T to_integer(T x, uint8_t flags) {
  switch (flags & kModeBits) {
    case kZero:
      return std::trunc(x);
    case kDown:
      return std::floor(x);
    case kUp:
      return std::ceil(x);
    default:
      return std::nearbyint(x);
  }
}

template <class To, class From>
To convert(From x, uint8_t flags) {
  if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    if ((flags & kSaturate) != 0) {
      const auto wide = static_cast<__int128>(x);
      constexpr auto kLow = static_cast<__int128>(std::numeric_limits<To>::min());
      constexpr auto kHigh = static_cast<__int128>(std::numeric_limits<To>::max());
      return static_cast<To>(wide < kLow ? kLow : wide > kHigh ? kHigh : wide);
    }
    return static_cast<To>(x);
  } else if constexpr (std::is_integral_v<To>) {
    if constexpr (std::is_same_v<From, float>) {
      if ((flags & kFlush) != 0) x = flush(x);
    }
    if (x != x) return 0;
    x = to_integer(x, flags);
    // The bounds as floats are powers of two, or 0.
    constexpr auto kLow = static_cast<From>(std::numeric_limits<To>::min());
    const From high = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    if (x < kLow) return std::numeric_limits<To>::min();
    if (x >= high) return std::numeric_limits<To>::max();
    return static_cast<To>(x);
  } else {
    To r{};
    if constexpr (std::is_same_v<From, float>) {
      if ((flags & kFlush) != 0) x = flush(x);
    }
    if constexpr (std::is_floating_point_v<From> && sizeof(From) == sizeof(To))
      r = (flags & kToInteger) != 0 ? to_integer(x, flags) : x;
    else
      r = static_cast<To>(x);
    if constexpr (std::is_same_v<To, float>) {
      if ((flags & kFlush) != 0) r = flush(r);
    }
    if ((flags & kSaturate) != 0) r = r != r || r < To{0} ? To{0} : r > To{1} ? To{1} : r;
    return r;
  }
}

template <class To, class From>
void convert_plain(Warp& w, const Instruction& i, Mask m) {
  const auto* a = w.cells<Cell<From>>(i.a);
  auto* d = w.cells<Cell<To>>(i.d);
  if (m == kAllLanes) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) d[l] = cell(static_cast<To>(static_cast<From>(a[l])));
  } else {
    for (; m != 0; m &= m - 1) {
      const int l = std::countr_zero(m);
      d[l] = cell(static_cast<To>(static_cast<From>(a[l])));
    }
  }
}
template <class To, class From>
__attribute__((noinline)) void convert_careful(Warp& w, const Instruction& i, Mask m) {
  const auto* a = w.cells<Cell<From>>(i.a);
  auto* d = w.cells<Cell<To>>(i.d);
  const Rounding rounding((i.flags & kToInteger) != 0 ? 0 : control_bits(i.flags));
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    d[l] = cell(convert<To>(static_cast<From>(a[l]), i.flags));
  }
}

template <class F>
Handler with_type(Type type, F f) {
  switch (type) {
    case Type::u8:
    case Type::b8:
      return f(uint8_t{});
    case Type::s8:
      return f(int8_t{});
    case Type::u16:
    case Type::b16:
      return f(uint16_t{});
    case Type::s16:
      return f(int16_t{});
    case Type::u32:
    case Type::b32:
      return f(uint32_t{});
    case Type::s32:
      return f(int32_t{});
    case Type::u64:
    case Type::b64:
      return f(uint64_t{});
    case Type::s64:
      return f(int64_t{});
    case Type::f32:
      return f(float{});
    case Type::f64:
      return f(double{});
    default:
      return nullptr;
  }
}

// ---------------------------------------------------------------- functions

struct Exp2 {
  static double run(double x) { return std::exp2(x); }
};
struct Log2 {
  static double run(double x) { return std::log2(x); }
};
struct Sine {
  static double run(double x) { return std::sin(x); }
};
struct Cosine {
  static double run(double x) { return std::cos(x); }
};
struct Tanh {
  static double run(double x) { return std::tanh(x); }
};
struct ReciprocalRoot {
  static double run(double x) { return 1.0 / std::sqrt(x); }
};

/// 2^x in double to about 1e-13, enough to round to float: 2^n times a polynomial on [-1/2, 1/2];
/// vectorises.
inline double fast_exp2(double x) {
  x = x < -1022.0 ? -1022.0 : x > 1023.0 ? 1023.0 : x;
  const double shifted = x + 0x1.8p52;
  const double n = shifted - 0x1.8p52;
  const double t = (x - n) * 0.693147180559945309417;
  double p = 1.0 / 479001600.0;
  for (const double c :
       {39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0})
    p = p * t + 1.0 / c;
  const uint64_t exponent =
      (std::bit_cast<uint64_t>(shifted) & 0xF'FFFF'FFFF'FFFF) - (uint64_t{1} << 51);  // n
  return p * std::bit_cast<double>((exponent + 1023) << 52);
}

void exp2_lanes(Warp& w, const Instruction& i, Mask m) {
  const float* a = w.cells<float>(i.a);
  float* d = w.cells<float>(i.d);
  float r[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const float x = a[l];
    const auto y = static_cast<float>(fast_exp2(x));
    r[l] = x >= 128.0f   ? std::numeric_limits<float>::infinity()
           : x < -150.0f ? 0.0f
           : x != x      ? x
                         : y;
  }
  if ((i.flags & kFlush) != 0) {
    for (int l = 0; l < kLanes; ++l) r[l] = flush(r[l]);
  }
  for (int l = 0; l < kLanes; ++l) d[l] = (m >> l) & 1 ? r[l] : d[l];
}

template <class Op>
void function(Warp& w, const Instruction& i, Mask m) {
  const float* a = w.cells<float>(i.a);
  float* d = w.cells<float>(i.d);
  const bool ftz = (i.flags & kFlush) != 0;
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    const auto r = static_cast<float>(Op::run(ftz ? flush(a[l]) : a[l]));
    d[l] = ftz ? flush(r) : r;
  }
}

/// rcp.approx.ftz.f64 and rsqrt: a seed for Newton's method of which only the high word counts.
template <bool kRoot>
void seed(Warp& w, const Instruction& i, Mask m) {
  const double* a = w.cells<double>(i.a);
  double* d = w.cells<double>(i.d);
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    const double x = std::fabs(a[l]) < 0x1p-1022 ? std::copysign(0.0, a[l]) : a[l];
    double r = kRoot ? 1.0 / std::sqrt(x) : 1.0 / x;
    if (std::fabs(r) < 0x1p-1022) r = std::copysign(0.0, r);
    d[l] = r == r ? std::bit_cast<double>(std::bit_cast<uint64_t>(r) & 0xFFFF'FFFF'0000'0000) : r;
  }
}

// ---------------------------------------------------------------- directed rounding

struct Add {
  template <class T>
  static T run(T a, T b, T) {
    return a + b;
  }
};
struct Subtract {
  template <class T>
  static T run(T a, T b, T) {
    return a - b;
  }
};
struct Multiply {
  template <class T>
  static T run(T a, T b, T) {
    return a * b;
  }
};
struct Divide {
  template <class T>
  static T run(T a, T b, T) {
    return a / b;
  }
};
struct Fused {
  static float run(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static double run(double a, double b, double c) { return __builtin_fma(a, b, c); }
};
struct Root {
  template <class T>
  static T run(T a, T, T) {
    return std::sqrt(a);
  }
};
struct Inverse {
  template <class T>
  static T run(T a, T, T) {
    return T{1} / a;
  }
};

template <class Op, class T>
__attribute__((noinline)) void directed(Warp& w, const Instruction& i, Mask m) {
  const Rounding rounding(control_bits(i.flags));
  const T* a = w.cells<T>(i.a);
  const T* b = w.cells<T>(i.b);
  const T* c = w.cells<T>(i.c);
  T* d = w.cells<T>(i.d);
  for (int l = 0; l < kLanes; ++l) {
    T r = Op::run(a[l], b[l], c[l]);
    if ((i.flags & kSaturate) != 0) r = r != r || r < T{0} ? T{0} : r > T{1} ? T{1} : r;
    if constexpr (sizeof(T) == 4) {
      if ((i.flags & kFlush) != 0) r = flush(r);
    }
    d[l] = (m >> l) & 1 ? r : d[l];
  }
}
template <class Op>
Handler directed_of(Type type) {
  return type == Type::f32   ? Handler{directed<Op, float>}
         : type == Type::f64 ? Handler{directed<Op, double>}
                             : nullptr;
}

}  // namespace

Handler conversion(Type to, Type from, const Statement* statement) {
  const uint8_t flags = statement == nullptr ? 0 : mode_of(*statement);
  const bool from_float = is_float(from);
  const bool to_float = is_float(to);
  const bool plain =
      (flags & ~kToInteger) == 0 && !(from_float && !to_float) && !(flags & kToInteger);
  return with_type(to, [&]<class To>(To) {
    return with_type(from, [&]<class From>(From) -> Handler {
      return plain ? convert_plain<To, From> : convert_careful<To, From>;
    });
  });
}

Arithmetic slow_arithmetic(const Statement& s) {
  const std::string_view op = s.parts[0];
  const Type type = type_of(s.parts.back());
  const auto all = [&](Handler run, int sources) {
    return Arithmetic{run, type, {type, type, type, type}, sources, 0, mode_of(s)};
  };
  if (op == "cvt") {
    const Type to = type_of(s.parts[s.parts.size() - 2]);
    return {conversion(to, type, &s), to, {type}, 1, 0, mode_of(s)};
  }
  if (is_float(type) && (s.has("rz") || s.has("rm") || s.has("rp"))) {
    if (op == "add") return all(directed_of<Add>(type), 2);
    if (op == "sub") return all(directed_of<Subtract>(type), 2);
    if (op == "mul") return all(directed_of<Multiply>(type), 2);
    if (op == "div") return all(directed_of<Divide>(type), 2);
    if (op == "fma" || op == "mad") return all(directed_of<Fused>(type), 3);
    if (op == "sqrt") return all(directed_of<Root>(type), 1);
    if (op == "rcp") return all(directed_of<Inverse>(type), 1);
    return {};
  }
  if (type == Type::f32) {
    if (op == "ex2") return all(exp2_lanes, 1);
    if (op == "lg2") return all(function<Log2>, 1);
    if (op == "sin") return all(function<Sine>, 1);
    if (op == "cos") return all(function<Cosine>, 1);
    if (op == "tanh") return all(function<Tanh>, 1);
    if (op == "rsqrt") return all(function<ReciprocalRoot>, 1);
  }
  if (type == Type::f64) {
    if (op == "rcp") return all(seed<false>, 1);
    if (op == "rsqrt") return all(seed<true>, 1);
  }
  return {};
}

}  // namespace ptxe
