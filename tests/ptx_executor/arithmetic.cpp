// Arithmetic, logic, comparisons and conversions. An operation is a function of one lane; a
// template instance per operation and type applies it to all lanes, in loops that vectorise.

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>
#include <type_traits>

#include "tests/ptx_executor/machine.h"

namespace derrd::ptx {

namespace {

/// A register's lanes as values of type T.
template <class T>
struct Cells {
  using Cell = std::conditional_t<(sizeof(T) < 4), uint32_t, T>;
  Cell* p;
  Cells(const Warp& w, uint32_t offset) : p(w.cells<Cell>(offset)) {}
  T get(int l) const { return static_cast<T>(p[l]); }
  static Cell cell(T value) {
    if constexpr (sizeof(T) < 4)
      return static_cast<std::make_unsigned_t<T>>(value);
    else
      return value;
  }
};

/// d[l] = f(l) for the lanes of the mask.
template <class D, class F>
inline __attribute__((always_inline)) void each(Cells<D> d, Mask m, bool one_by_one, F f) {
  if (m == kAllLanes) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) d.p[l] = Cells<D>::cell(static_cast<D>(f(l)));
  } else if (!one_by_one) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) {
      const auto value = Cells<D>::cell(static_cast<D>(f(l)));
      d.p[l] = (m >> l) & 1 ? value : d.p[l];
    }
  } else {
    for (; m != 0; m &= m - 1) {
      const int l = std::countr_zero(m);
      d.p[l] = Cells<D>::cell(static_cast<D>(f(l)));
    }
  }
}

/// Operations that do not vectorise: only active lanes are computed.
template <class Op>
struct OneByOne : Op {};
template <class Op>
OneByOne(Op) -> OneByOne<Op>;
template <class Op>
constexpr bool kOneByOne = false;
template <class Op>
constexpr bool kOneByOne<OneByOne<Op>> = true;
template <class Op>
constexpr bool kOneByOne<const OneByOne<Op>> = true;

/// The sources of an instruction, as values of the types S.
template <class... S>
std::tuple<Cells<S>...> sources_of(const Warp& w, const Instruction& i) {
  const uint32_t offsets[] = {i.a, i.b, i.c, i.e};
  return [&]<size_t... N>(std::index_sequence<N...>) {
    return std::tuple<Cells<S>...>(Cells<S>(w, offsets[N])...);
  }
  (std::index_sequence_for<S...>{});
}

/// An operation applied to sources of the types S.
template <class Op, class D, class... S>
void map(Warp& w, const Instruction& i, Mask m) {
  const auto sources = sources_of<S...>(w, i);
  each(Cells<D>(w, i.d), m, kOneByOne<Op>, [&](int l) {
    return std::apply([&](const auto&... s) { return Op{}(s.get(l)...); }, sources);
  });
}

// ---------------------------------------------------------------- operations
// Signed integers wrap around (-fwrapv). Types shorter than int are cut when results are stored.

template <class T>
constexpr uint32_t kBits = sizeof(T) * 8;
template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

template <class T>
bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>)
    return x != x;
  else
    return false;
}
template <class T>
bool is_negative(T x) {
  if constexpr (std::is_signed_v<T>)
    return x < 0;
  else
    return false;
}
/// a < b, where -0 is less than 0.
template <class T>
bool below(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a < b || (a == b && std::signbit(a) > std::signbit(b));
  else
    return a < b;
}

constexpr auto add = [](auto a, auto b) { return a + b; };
constexpr auto subtract = [](auto a, auto b) { return a - b; };
constexpr auto multiply = [](auto a, auto b) {
  if constexpr (sizeof(a) < 4)
    return int32_t{a} * int32_t{b};
  else
    return a * b;
};
constexpr auto multiply_high = []<class T>(T a, T b) {
  return static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> kBits<T>);
};
constexpr auto multiply_wide = []<class T>(T a, T b) { return Wide<T>(a) * Wide<T>(b); };
constexpr auto multiply_add = [](auto a, auto b, auto c) { return multiply(a, b) + c; };
constexpr auto multiply_high_add = [](auto a, auto b, auto c) { return multiply_high(a, b) + c; };
constexpr auto multiply_wide_add = []<class T>(T a, T b, Wide<T> c) {
  return multiply_wide(a, b) + c;
};
constexpr auto fused_multiply_add = [](auto a, auto b, auto c) { return std::fma(a, b, c); };
constexpr auto divide = [](auto a, auto b) { return a / b; };
constexpr OneByOne divide_integers([]<class T>(T a, T b) -> T {
  if (b == 0) return static_cast<T>(-1);
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return -a;
  return a / b;
});
constexpr OneByOne remainder_of([]<class T>(T a, T b) -> T {
  if (b == 0) return a;
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
  return a % b;
});
constexpr auto absolute = []<class T>(T a) -> T {
  if constexpr (std::is_floating_point_v<T>)
    return std::fabs(a);
  else
    return is_negative(a) ? -a : a;
};
constexpr auto negate = [](auto a) { return -a; };
constexpr auto minimum = []<class T>(T a, T b) -> T {
  return is_nan(a) ? b : is_nan(b) ? a : below(b, a) ? b : a;
};
constexpr auto maximum = []<class T>(T a, T b) -> T {
  return is_nan(a) ? b : is_nan(b) ? a : below(a, b) ? b : a;
};
constexpr auto bit_and = [](auto a, auto b) { return a & b; };
constexpr auto bit_or = [](auto a, auto b) { return a | b; };
constexpr auto bit_xor = [](auto a, auto b) { return a ^ b; };
constexpr auto bit_not = [](auto a) { return ~a; };
constexpr auto identity = [](auto a) { return a; };
constexpr auto shift_left = []<class T>(T a, uint32_t n) -> T {
  return n >= kBits<T> ? 0 : a << (n & (kBits<T> - 1));
};
constexpr auto shift_right = []<class T>(T a, uint32_t n) -> T {
  if constexpr (std::is_signed_v<T>)
    return a >> std::min(n, kBits<T> - 1);
  else
    return n >= kBits<T> ? 0 : a >> (n & (kBits<T> - 1));
};
constexpr auto population_count = []<class T>(T a) {
  return std::popcount(static_cast<Unsigned<T>>(a));
};
constexpr auto leading_zeros = []<class T>(T a) {
  return std::countl_zero(static_cast<Unsigned<T>>(a));
};
constexpr auto find_bit = []<class T>(T a) {
  const auto x = static_cast<Unsigned<T>>(is_negative(a) ? ~a : a);
  return x == 0 ? ~0u : kBits<T> - 1 - static_cast<uint32_t>(std::countl_zero(x));
};
constexpr auto reverse_bits = []<class T>(T a) {
  T r = 0;
  for (uint32_t k = 0; k < kBits<T>; ++k) r = static_cast<T>((r << 1) | ((a >> k) & 1));
  return r;
};
constexpr OneByOne extract_bits([]<class T>(T a, uint32_t position, uint32_t length) {
  position &= 0xFF;
  length &= 0xFF;
  const auto x = static_cast<Unsigned<T>>(a);
  const uint32_t last = std::min(position + length - 1, kBits<T> - 1);
  const Unsigned<T> sign = std::is_signed_v<T> && length != 0 ? (x >> last) & 1 : 0;
  Unsigned<T> r = 0;
  for (uint32_t k = 0; k < kBits<T>; ++k)
    r |= (k < length && position + k < kBits<T> ? (x >> (position + k)) & 1 : sign) << k;
  return r;
});
constexpr OneByOne insert_bits([]<class T>(T a, T b, uint32_t position, uint32_t length) {
  position &= 0xFF;
  length &= 0xFF;
  for (uint32_t k = 0; k < length && position + k < kBits<T>; ++k) {
    const T bit = T{1} << (position + k);
    b = ((a >> k) & 1) != 0 ? (b | bit) : (b & ~bit);
  }
  return b;
});
constexpr auto join = [](uint32_t a, uint32_t b) { return (uint64_t{b} << 32) | a; };
constexpr auto funnel_left_wrap = [](uint32_t a, uint32_t b, uint32_t n) {
  return (join(a, b) << (n & 31)) >> 32;
};
constexpr auto funnel_left_clamp = [](uint32_t a, uint32_t b, uint32_t n) {
  return (join(a, b) << std::min(n, 32u)) >> 32;
};
constexpr auto funnel_right_wrap = [](uint32_t a, uint32_t b, uint32_t n) {
  return join(a, b) >> (n & 31);
};
constexpr auto funnel_right_clamp = [](uint32_t a, uint32_t b, uint32_t n) {
  return join(a, b) >> std::min(n, 32u);
};
constexpr OneByOne permute([](uint32_t a, uint32_t b, uint32_t selector) {
  uint32_t r = 0;
  for (int k = 0; k < 4; ++k) {
    const uint32_t s = (selector >> (4 * k)) & 0xF;
    uint32_t byte = static_cast<uint32_t>(join(a, b) >> (8 * (s & 7))) & 0xFF;
    if ((s & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
    r |= byte << (8 * k);
  }
  return r;
});
/// The sum of four products of bytes, of the types A and B, and c.
template <class A, class B>
struct Dot4 {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    for (int k = 0; k < 4; ++k)
      c += static_cast<uint32_t>(int32_t{static_cast<A>(a >> (8 * k))} *
                                 int32_t{static_cast<B>(b >> (8 * k))});
    return c;
  }
};

// ---- of floats
constexpr auto square_root = [](auto a) { return std::sqrt(a); };
constexpr auto reciprocal = []<class T>(T a) { return T{1} / a; };
constexpr auto copy_sign = [](auto a, auto b) { return std::copysign(b, a); };
// What the hardware approximates is computed in double and rounded once.
constexpr auto log2_of = [](double x) { return std::log2(x); };
constexpr auto sine = [](double x) { return std::sin(x); };
constexpr auto cosine = [](double x) { return std::cos(x); };
constexpr auto tanh_of = [](double x) { return std::tanh(x); };
constexpr auto reciprocal_root = [](double x) { return 1.0 / std::sqrt(x); };
/// A start of Newton's method, of which only the high word counts; subnormal numbers are zeros.
template <class Op>
struct Seed {
  double operator()(double x) const {
    const auto flush = [](double y) {
      return std::fabs(y) < 0x1p-1022 ? std::copysign(0.0, y) : y;
    };
    const double r = flush(Op{}(flush(x)));
    constexpr uint64_t kHighWord = 0xFFFF'FFFF'0000'0000;
    return r == r ? std::bit_cast<double>(std::bit_cast<uint64_t>(r) & kHighWord) : r;
  }
};

// ---- of predicates
constexpr auto equal = [](auto a, auto b) { return a == b; };
constexpr auto unequal = [](auto a, auto b) { return a < b || a > b; };  // and none is NaN
constexpr auto less = [](auto a, auto b) { return a < b; };
constexpr auto less_equal = [](auto a, auto b) { return a <= b; };
constexpr auto greater = [](auto a, auto b) { return a > b; };
constexpr auto greater_equal = [](auto a, auto b) { return a >= b; };
constexpr auto some_nan = [](auto a, auto b) { return is_nan(a) || is_nan(b); };
/// A comparison that is true if the opposite one is false, so of NaN too.
template <class Op>
struct Not {
  template <class T>
  bool operator()(T a, T b) const {
    return !Op{}(a, b);
  }
};

// ---------------------------------------------------------------- rounding, ftz and sat

enum Modifier : uint8_t {  // Instruction::flags
  kNearest = 0,
  kZero = 1,
  kDown = 2,
  kUp = 3,
  kModeBits = 3,
  kSaturate = 4,
  kFlush = 8,
  kToInteger = 16
};

uint8_t modifiers_of(const Statement& s) {
  constexpr std::pair<std::string_view, uint8_t> kModifiers[] = {{"sat", kSaturate},
                                                                 {"ftz", kFlush},
                                                                 {"rz", kZero},
                                                                 {"rm", kDown},
                                                                 {"rp", kUp},
                                                                 {"rni", kToInteger},
                                                                 {"rzi", kToInteger | kZero},
                                                                 {"rmi", kToInteger | kDown},
                                                                 {"rpi", kToInteger | kUp}};
  uint8_t flags = 0;
  for (const auto& [name, flag] : kModifiers) flags |= s.has(name) ? flag : 0;
  return flags;
}

/// Sets the processor's rounding mode while it lives. Operands are loaded and results stored
/// within.
class Rounding {
 public:
  explicit Rounding(uint8_t flags) : old_(_mm_getcsr()) {
    constexpr unsigned kControl[] = {0x0000, 0x6000, 0x2000, 0x4000};
    _mm_setcsr((old_ & ~0x6000u) | kControl[flags & kModeBits]);
    asm volatile("" ::: "memory");
  }
  ~Rounding() {
    asm volatile("" ::: "memory");
    _mm_setcsr(old_);
  }

 private:
  unsigned old_;
};

template <class T>
T flush(T x, uint8_t flags) {
  if constexpr (std::is_same_v<T, float>) {
    if ((flags & kFlush) != 0 && std::fabs(x) < 0x1p-126f) return std::copysign(0.0f, x);
  }
  return x;
}
template <class T>
T saturate(T x, uint8_t flags) {
  if ((flags & kSaturate) == 0) return x;
  return x != x || x < T{0} ? T{0} : x > T{1} ? T{1} : x;
}

/// An operation on floats with the modifiers of the instruction's flags.
template <class Op, class T, class... S>
__attribute__((noinline)) void map_modified(Warp& w, const Instruction& i, Mask m) {
  const uint8_t flags = i.flags;
  const Rounding rounding(flags);
  const auto sources = sources_of<S...>(w, i);
  each(Cells<T>(w, i.d), m, true, [&](int l) {
    const auto r = std::apply(
        [&](const auto&... s) { return static_cast<T>(Op{}(flush(s.get(l), flags)...)); }, sources);
    return flush(saturate(r, flags), flags);
  });
}

// ---------------------------------------------------------------- 2^x

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
  float r[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const float x = a[l];
    const auto y = static_cast<float>(fast_exp2(x));
    r[l] = x >= 128.0f   ? std::numeric_limits<float>::infinity()
           : x < -150.0f ? 0.0f
           : x != x      ? x
                         : y;
  }
  const bool ftz = (i.flags & kFlush) != 0;
  for (int l = 0; l < kLanes; ++l) r[l] = ftz && std::fabs(r[l]) < 0x1p-126f ? 0.0f : r[l];
  each(Cells<float>(w, i.d), m, false, [&](int l) { return r[l]; });
}

// ---------------------------------------------------------------- predicates

void assign(Mask& p, Mask value, Mask m) { p = (p & ~m) | (value & m); }

enum SetpFlag : uint8_t { kAnd = 1, kOr = 2, kXor = 3, kCombine = 3, kNegateC = 4, kSecond = 8 };

/// setp d|e, a, b, c: the comparison combined with c, and its opposite.
template <class Op, class T>
void set_predicate(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a), b(w, i.b);
  Mask r = 0;
  for (int l = 0; l < kLanes; ++l) r |= Op{}(a.get(l), b.get(l)) ? Mask{1} << l : 0;
  if (i.flags == 0) return assign(w.predicate(i.d), r, m);
  const Mask c = w.predicate(i.c) ^ ((i.flags & kNegateC) != 0 ? kAllLanes : 0);
  const auto combined = [&](Mask x) {
    const int how = i.flags & kCombine;
    return how == kAnd ? x & c : how == kOr ? x | c : how == kXor ? x ^ c : x;
  };
  assign(w.predicate(i.d), combined(r), m);
  if ((i.flags & kSecond) != 0) assign(w.predicate(i.e), combined(~r), m);
}
template <class T>
void select(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a), b(w, i.b);
  const Mask c = w.predicate(i.c) ^ ((i.flags & kNegateC) != 0 ? kAllLanes : 0);
  each(Cells<T>(w, i.d), m, false, [&](int l) { return (c >> l) & 1 ? a.get(l) : b.get(l); });
}
template <class Op>
void map_predicates(Warp& w, const Instruction& i, Mask m) {
  if constexpr (std::is_invocable_v<Op, Mask, Mask>)
    assign(w.predicate(i.d), Op{}(w.predicate(i.a), w.predicate(i.b)), m);
  else
    assign(w.predicate(i.d), Op{}(w.predicate(i.a)), m);
}

// ---------------------------------------------------------------- conversions

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
    if ((flags & kSaturate) == 0) return static_cast<To>(x);
    constexpr auto kLow = static_cast<__int128>(std::numeric_limits<To>::min());
    constexpr auto kHigh = static_cast<__int128>(std::numeric_limits<To>::max());
    const auto wide = static_cast<__int128>(x);
    return static_cast<To>(wide < kLow ? kLow : wide > kHigh ? kHigh : wide);
  } else if constexpr (std::is_integral_v<To>) {
    x = to_integer(flush(x, flags), flags);
    if (x != x) return 0;
    // The bounds as floats are powers of two, or 0.
    constexpr auto kLow = static_cast<From>(std::numeric_limits<To>::min());
    const From high = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    if (x < kLow) return std::numeric_limits<To>::min();
    return x >= high ? std::numeric_limits<To>::max() : static_cast<To>(x);
  } else {
    if constexpr (std::is_same_v<From, To>) {
      x = flush(x, flags);
      if ((flags & kToInteger) != 0) x = to_integer(x, flags);
    } else if constexpr (std::is_floating_point_v<From>) {
      x = flush(x, flags);
    }
    return saturate(flush(static_cast<To>(x), flags), flags);
  }
}

template <class To, class From>
struct Convert {
  To operator()(From x) const { return static_cast<To>(x); }
};
template <class To, class From>
__attribute__((noinline)) void convert_modified(Warp& w, const Instruction& i, Mask m) {
  const Cells<From> a(w, i.a);
  const uint8_t flags = i.flags;
  const Rounding rounding((flags & kToInteger) != 0 ? uint8_t{kNearest} : flags);
  each(Cells<To>(w, i.d), m, true, [&](int l) { return convert<To>(a.get(l), flags); });
}

// ---------------------------------------------------------------- choosing the instance

/// Calls f with a value of the C++ type; null for a type that f does not take.
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

template <class Op, class T>
constexpr Handler same_types() {
  if constexpr (std::is_invocable_v<Op, T>)
    return map<Op, T, T>;
  else if constexpr (std::is_invocable_v<Op, T, T>)
    return map<Op, T, T, T>;
  else
    return map<Op, T, T, T, T>;
}
template <class Op, class T>
constexpr Handler same_types_modified() {
  if constexpr (std::is_invocable_v<Op, T>)
    return map_modified<Op, T, T>;
  else if constexpr (std::is_invocable_v<Op, T, T>)
    return map_modified<Op, T, T, T>;
  else
    return map_modified<Op, T, T, T, T>;
}

/// The instance of an operation for a type, with or without modifiers; null where there is none.
using Choice = Handler (*)(Type type, bool modified);

template <class Op>
Handler integers_of(Type type, bool modified) {
  return with_type(type, [&]<class T>(T) -> Handler {
    if constexpr (std::is_integral_v<T> && sizeof(T) > 1)
      return modified ? nullptr : same_types<Op, T>();
    return nullptr;
  });
}
template <class Op>
Handler floats_of(Type type, bool modified) {
  return with_type(type, [&]<class T>(T) -> Handler {
    if constexpr (std::is_floating_point_v<T>)
      return modified ? same_types_modified<Op, T>() : same_types<Op, T>();
    return nullptr;
  });
}
template <class OnFloats, class OnIntegers>
Handler numbers_of(Type type, bool modified) {
  return is_float(type) ? floats_of<OnFloats>(type, modified)
                        : integers_of<OnIntegers>(type, modified);
}
constexpr Choice integers(auto op) { return integers_of<decltype(op)>; }
constexpr Choice floats(auto op) { return floats_of<decltype(op)>; }
constexpr Choice numbers(auto op) { return numbers_of<decltype(op), decltype(op)>; }
constexpr Choice numbers(auto on_floats, auto on_integers) {
  return numbers_of<decltype(on_floats), decltype(on_integers)>;
}

/// Instances map<Op, T, T, S...>, of which only the first source has the instruction's type.
template <class... S>
constexpr Choice then(auto op) {
  return [](Type type, bool modified) -> Handler {
    return with_type(type, [&]<class T>(T) -> Handler {
      if constexpr (std::is_integral_v<T> && sizeof(T) > 1)
        return modified ? nullptr : map<decltype(op), T, T, S...>;
      return nullptr;
    });
  };
}
/// Instances map<Op, uint32_t, T>: a number of bits.
constexpr Choice counts(auto op) {
  return [](Type type, bool) -> Handler {
    return with_type(type, []<class T>(T) -> Handler {
      if constexpr (std::is_integral_v<T> && sizeof(T) >= 4) return map<decltype(op), uint32_t, T>;
      return nullptr;
    });
  };
}
/// Instances whose result, and third source if there is one, is twice as wide.
constexpr Choice widening(auto op) {
  return [](Type type, bool) -> Handler {
    return with_type(type, []<class T>(T) -> Handler {
      if constexpr (std::is_integral_v<T> && (sizeof(T) == 2 || sizeof(T) == 4)) {
        if constexpr (std::is_invocable_v<decltype(op), T, T>)
          return map<decltype(op), Wide<T>, T, T>;
        else
          return map<decltype(op), Wide<T>, T, T, Wide<T>>;
      }
      return nullptr;
    });
  };
}
/// One instance, for 32-bit words.
template <class... S>
constexpr Choice words(auto op) {
  return
      [](Type, bool) -> Handler { return map<decltype(op), uint32_t, uint32_t, uint32_t, S...>; };
}
/// Instances for float through double, with or without ftz.
constexpr Choice approximate(auto op) {
  return [](Type type, bool) -> Handler {
    return type == Type::f32 ? map_modified<decltype(op), float, float> : nullptr;
  };
}
constexpr Choice seed(auto op) {
  return [](Type type, bool) -> Handler {
    return type == Type::f64 ? map<Seed<decltype(op)>, double, double> : nullptr;
  };
}
Handler exp2_of(Type type, bool) { return type == Type::f32 ? exp2_lanes : nullptr; }

/// An instruction by the begin of its name.
struct Row {
  std::string_view name;
  int sources;
  Choice choose;
  Type result = Type::none;     ///< none: the instruction's type
  std::array<Type, 4> types{};  ///< of the sources; none: the instruction's type
};
constexpr Type kNumber = Type::u32;
constexpr Type kSame = Type::none;
constexpr Row kRows[] = {
    {"add", 2, numbers(add)},
    {"sub", 2, numbers(subtract)},
    {"mul.wide", 2, widening(multiply_wide)},
    {"mul.hi", 2, integers(multiply_high)},
    {"mul", 2, numbers(multiply)},
    {"mad.wide", 3, widening(multiply_wide_add)},
    {"mad.hi", 3, integers(multiply_high_add)},
    {"mad", 3, numbers(fused_multiply_add, multiply_add)},
    {"fma", 3, floats(fused_multiply_add)},
    {"div", 2, numbers(divide, divide_integers)},
    {"rem", 2, integers(remainder_of)},
    {"abs", 1, numbers(absolute)},
    {"neg", 1, numbers(negate)},
    {"min", 2, numbers(minimum)},
    {"max", 2, numbers(maximum)},
    {"and", 2, integers(bit_and)},
    {"or", 2, integers(bit_or)},
    {"xor", 2, integers(bit_xor)},
    {"not", 1, integers(bit_not)},
    {"mov", 1, numbers(identity)},
    {"shl", 2, then<uint32_t>(shift_left), kSame, {kSame, kNumber}},
    {"shr", 2, then<uint32_t>(shift_right), kSame, {kSame, kNumber}},
    {"popc", 1, counts(population_count), kNumber},
    {"clz", 1, counts(leading_zeros), kNumber},
    {"bfind", 1, counts(find_bit), kNumber},
    {"brev", 1, integers(reverse_bits)},
    {"bfe", 3, then<uint32_t, uint32_t>(extract_bits), kSame, {kSame, kNumber, kNumber}},
    {"bfi",
     4,
     [](Type type, bool) -> Handler {
       return size_of(type) == 8
                  ? map<decltype(insert_bits), uint64_t, uint64_t, uint64_t, uint32_t, uint32_t>
                  : map<decltype(insert_bits), uint32_t, uint32_t, uint32_t, uint32_t, uint32_t>;
     },
     kSame,
     {kSame, kSame, kNumber, kNumber}},
    {"shf.l.wrap", 3, words<uint32_t>(funnel_left_wrap)},
    {"shf.l.clamp", 3, words<uint32_t>(funnel_left_clamp)},
    {"shf.r.wrap", 3, words<uint32_t>(funnel_right_wrap)},
    {"shf.r.clamp", 3, words<uint32_t>(funnel_right_clamp)},
    {"prmt.b32", 3, words<uint32_t>(permute)},
    {"dp4a.s32.s32", 3, words<uint32_t>(Dot4<int8_t, int8_t>{})},
    {"dp4a.s32.u32", 3, words<uint32_t>(Dot4<int8_t, uint8_t>{})},
    {"dp4a.u32.s32", 3, words<uint32_t>(Dot4<uint8_t, int8_t>{})},
    {"dp4a.u32.u32", 3, words<uint32_t>(Dot4<uint8_t, uint8_t>{})},
    {"copysign", 2, floats(copy_sign)},
    {"sqrt", 1, floats(square_root)},
    {"rcp.approx.ftz.f64", 1, seed(reciprocal)},
    {"rcp", 1, floats(reciprocal)},
    {"rsqrt.approx.ftz.f64", 1, seed(reciprocal_root)},
    {"rsqrt", 1, approximate(reciprocal_root)},
    {"ex2", 1, exp2_of},
    {"lg2", 1, approximate(log2_of)},
    {"sin", 1, approximate(sine)},
    {"cos", 1, approximate(cosine)},
    {"tanh", 1, approximate(tanh_of)},
};

/// Parts of a name that the rows know, or that change nothing here.
constexpr std::string_view kKnownParts[] = {"rn",    "rz",     "rm",   "rp",  "ftz", "sat",
                                            "lo",    "hi",     "wide", "l",   "r",   "wrap",
                                            "clamp", "approx", "full", "s32", "u32"};

constexpr std::pair<std::string_view, Handler> kPredicateRows[] = {
    {"and", map_predicates<decltype(bit_and)>},
    {"or", map_predicates<decltype(bit_or)>},
    {"xor", map_predicates<decltype(bit_xor)>},
    {"not", map_predicates<decltype(bit_not)>},
    {"mov", map_predicates<decltype(identity)>}};

constexpr Choice comparing(auto op) {
  return [](Type type, bool) -> Handler {
    return with_type(type, []<class T>(T) -> Handler {
      if constexpr (sizeof(T) > 1) return set_predicate<decltype(op), T>;
      return nullptr;
    });
  };
}
template <class Op>
constexpr Not<Op> opposite(Op) {
  return {};
}
constexpr std::pair<std::string_view, Choice> kComparisons[] = {
    {"eq", comparing(equal)},
    {"ne", comparing(unequal)},
    {"lt", comparing(less)},
    {"lo", comparing(less)},
    {"le", comparing(less_equal)},
    {"ls", comparing(less_equal)},
    {"gt", comparing(greater)},
    {"hi", comparing(greater)},
    {"ge", comparing(greater_equal)},
    {"hs", comparing(greater_equal)},
    {"equ", comparing(opposite(unequal))},
    {"neu", comparing(opposite(equal))},
    {"ltu", comparing(opposite(greater_equal))},
    {"leu", comparing(opposite(greater))},
    {"gtu", comparing(opposite(less_equal))},
    {"geu", comparing(opposite(less))},
    {"num", comparing(opposite(some_nan))},
    {"nan", comparing(some_nan)},
};

Arithmetic comparison(const Statement& s, Type type) {
  Arithmetic made{nullptr, Type::pred, {type, type, Type::pred}, 2};
  for (const auto& [name, choose] : kComparisons) {
    if (s.parts[1] == name) made.run = choose(type, false);
  }
  for (size_t p = 2; p + 1 < s.parts.size(); ++p) {
    const std::string_view part = s.parts[p];
    const uint8_t combine = part == "and" ? kAnd : part == "or" ? kOr : part == "xor" ? kXor : 0;
    if (combine == 0) return {};
    made.flags = combine | (s.operands.back().negated ? kNegateC : 0);
    made.source_count = 3;
  }
  if (static_cast<int>(s.operands.size()) == made.source_count + 2) {
    made.flags |= kSecond;
    made.second_result = true;
  }
  return made;
}

/// The integer type of twice the size.
Type twice(Type type) {
  return type == Type::u16   ? Type::u32
         : type == Type::s16 ? Type::s32
         : type == Type::u32 ? Type::u64
                             : Type::s64;
}

}  // namespace

Handler conversion(Type to, Type from, uint8_t flags) {
  const bool plain = flags == 0 && !(is_float(from) && !is_float(to));
  return with_type(to, [&]<class To>(To) {
    return with_type(from, [&]<class From>(From) -> Handler {
      return plain ? map<Convert<To, From>, To, From> : convert_modified<To, From>;
    });
  });
}

Arithmetic arithmetic(const Statement& s) {
  const std::string_view op = s.parts[0];
  const Type type = type_of(s.parts.back());
  if (op == "setp") return comparison(s, type);
  if (op == "selp") {
    const uint8_t flags = s.operands[3].negated ? kNegateC : 0;
    return {size_of(type) == 8 ? select<uint64_t> : select<uint32_t>,
            type,
            {type, type, Type::pred},
            3,
            flags};
  }
  const uint8_t flags = modifiers_of(s);
  if (op == "cvt") {
    const Type to = type_of(s.parts[s.parts.size() - 2]);
    return {conversion(to, type, flags), to, {type}, 1, flags};
  }
  if (type == Type::pred) {
    for (const auto& [name, run] : kPredicateRows) {
      if (op == name) return {run, type, {type, type}, static_cast<int>(s.operands.size()) - 1};
    }
    return {};
  }
  for (size_t p = 1; p + 1 < s.parts.size(); ++p) {
    if (std::find(std::begin(kKnownParts), std::end(kKnownParts), s.parts[p]) ==
        std::end(kKnownParts))
      return {};
  }
  const std::string_view text(op.data(), s.parts.back().data() + s.parts.back().size() - op.data());
  for (const Row& row : kRows) {
    if (!text.starts_with(row.name) ||
        (text.size() > row.name.size() && text[row.name.size()] != '.'))
      continue;
    const auto or_type = [&](Type t) { return t == Type::none ? type : t; };
    Arithmetic made{row.choose(type, flags != 0), or_type(row.result), {}, row.sources, flags};
    for (size_t n = 0; n < 4; ++n) made.sources[n] = or_type(row.types[n]);
    if (s.has("wide")) made.result = made.sources[2] = twice(type);
    return made;
  }
  return {};
}

}  // namespace derrd::ptx
