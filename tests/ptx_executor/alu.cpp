// Arithmetic, logic, comparisons and conversions: one template instance per operation and type,
// whose loops over the lanes vectorise.

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tests/ptx_executor/machine.h"

namespace ptxe {

namespace {

/// The lanes of a register as values of type T.
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
template <class D, bool kVector, class F>
inline __attribute__((always_inline)) void each(Cells<D> d, Mask m, F f) {
  if (m == kAllLanes) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) d.p[l] = Cells<D>::cell(f(l));
  } else if constexpr (kVector) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) {
      const auto value = Cells<D>::cell(f(l));
      d.p[l] = (m >> l) & 1 ? value : d.p[l];
    }
  } else {
    for (; m != 0; m &= m - 1) {
      const int l = std::countr_zero(m);
      d.p[l] = Cells<D>::cell(f(l));
    }
  }
}

template <class Op>
constexpr bool vectorises() {
  if constexpr (requires { Op::kScalar; })
    return false;
  else
    return true;
}

template <class Op, class D, class A>
void unary(Warp& w, const Instruction& i, Mask m) {
  const Cells<A> a(w, i.a);
  each<D, vectorises<Op>()>(Cells<D>(w, i.d), m, [&](int l) { return Op::run(a.get(l)); });
}
template <class Op, class D, class A, class B>
void binary(Warp& w, const Instruction& i, Mask m) {
  const Cells<A> a(w, i.a);
  const Cells<B> b(w, i.b);
  each<D, vectorises<Op>()>(Cells<D>(w, i.d), m,
                            [&](int l) { return Op::run(a.get(l), b.get(l)); });
}
template <class Op, class D, class A, class B, class C>
void ternary(Warp& w, const Instruction& i, Mask m) {
  const Cells<A> a(w, i.a);
  const Cells<B> b(w, i.b);
  const Cells<C> c(w, i.c);
  each<D, vectorises<Op>()>(Cells<D>(w, i.d), m,
                            [&](int l) { return Op::run(a.get(l), b.get(l), c.get(l)); });
}
template <class Op, class D, class A, class B, class C, class E>
void quaternary(Warp& w, const Instruction& i, Mask m) {
  const Cells<A> a(w, i.a);
  const Cells<B> b(w, i.b);
  const Cells<C> c(w, i.c);
  const Cells<E> e(w, i.e);
  each<D, vectorises<Op>()>(Cells<D>(w, i.d), m,
                            [&](int l) { return Op::run(a.get(l), b.get(l), c.get(l), e.get(l)); });
}

// ---------------------------------------------------------------- operations on integers

template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T>
T wrap(Unsigned<T> x) {
  return static_cast<T>(x);
}
template <class T>
constexpr int kBits = sizeof(T) * 8;

struct Add {
  template <class T>
  static T run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return wrap<T>(Unsigned<T>(a) + Unsigned<T>(b));
  }
};
struct Subtract {
  template <class T>
  static T run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a - b;
    else
      return wrap<T>(Unsigned<T>(a) - Unsigned<T>(b));
  }
};
struct Multiply {
  template <class T>
  static T run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else if constexpr (sizeof(T) < 4)
      return static_cast<T>(int32_t(a) * int32_t(b));
    else
      return wrap<T>(Unsigned<T>(a) * Unsigned<T>(b));
  }
};
template <class T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;
struct MultiplyHigh {
  template <class T>
  static T run(T a, T b) {
    return static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> kBits<T>);
  }
};
struct MultiplyWide {
  template <class T>
  static Wide<T> run(T a, T b) {
    return Wide<T>(a) * Wide<T>(b);
  }
};
struct MultiplyAdd {
  template <class T>
  static T run(T a, T b, T c) {
    return Add::run(Multiply::run(a, b), c);
  }
};
struct MultiplyHighAdd {
  template <class T>
  static T run(T a, T b, T c) {
    return Add::run(MultiplyHigh::run(a, b), c);
  }
};
struct MultiplyWideAdd {
  template <class T>
  static Wide<T> run(T a, T b, Wide<T> c) {
    return Add::run(MultiplyWide::run(a, b), c);
  }
};
struct Divide {
  static constexpr bool kScalar = true;
  template <class T>
  static T run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a / b;
    else {
      if (b == 0) return static_cast<T>(-1);
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return wrap<T>(Unsigned<T>(0) - Unsigned<T>(a));
      }
      return static_cast<T>(a / b);
    }
  }
};
struct DivideFloat {  // which vectorises
  template <class T>
  static T run(T a, T b) {
    return a / b;
  }
};
struct Remainder {
  static constexpr bool kScalar = true;
  template <class T>
  static T run(T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};
struct Absolute {
  template <class T>
  static T run(T a) {
    if constexpr (std::is_floating_point_v<T>)
      return std::fabs(a);
    else
      return a < 0 ? wrap<T>(Unsigned<T>(0) - Unsigned<T>(a)) : a;
  }
};
struct Negate {
  template <class T>
  static T run(T a) {
    if constexpr (std::is_floating_point_v<T>)
      return -a;
    else
      return wrap<T>(Unsigned<T>(0) - Unsigned<T>(a));
  }
};
template <class T>
bool below(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a < b || (a == b && std::signbit(a) > std::signbit(b));
  else
    return a < b;
}
struct Minimum {
  template <class T>
  static T run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a != a ? b : b != b ? a : below(b, a) ? b : a;
    else
      return b < a ? b : a;
  }
};
struct Maximum {
  template <class T>
  static T run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a != a ? b : b != b ? a : below(a, b) ? b : a;
    else
      return a < b ? b : a;
  }
};
template <class Op>
struct OrNan {  // min.NaN
  template <class T>
  static T run(T a, T b) {
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : Op::run(a, b);
  }
};
struct And {
  template <class T>
  static T run(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T run(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T run(T a, T b) {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  static T run(T a) {
    return static_cast<T>(~a);
  }
};
struct LogicalNot {
  template <class T>
  static T run(T a) {
    return a == 0;
  }
};
struct ShiftLeft {
  template <class T>
  static T run(T a, uint32_t n) {
    return n >= kBits<T> ? 0 : static_cast<T>(a << (n & (kBits<T> - 1)));
  }
};
struct ShiftRight {
  template <class T>
  static T run(T a, uint32_t n) {
    if constexpr (std::is_signed_v<T>)
      return static_cast<T>(a >> (n >= kBits<T> ? kBits<T> - 1 : n));
    else
      return n >= kBits<T> ? 0 : static_cast<T>(a >> (n & (kBits<T> - 1)));
  }
};
struct PopulationCount {
  template <class T>
  static uint32_t run(T a) {
    return static_cast<uint32_t>(std::popcount(a));
  }
};
struct LeadingZeros {
  template <class T>
  static uint32_t run(T a) {
    return static_cast<uint32_t>(std::countl_zero(a));
  }
};
struct FindBit {
  template <class T>
  static uint32_t run(T a) {
    Unsigned<T> x = static_cast<Unsigned<T>>(a);
    if constexpr (std::is_signed_v<T>) {
      if (a < 0) x = ~x;
    }
    return x == 0 ? ~0u : static_cast<uint32_t>(kBits<T> - 1 - std::countl_zero(x));
  }
};
struct FindBitShift {
  template <class T>
  static uint32_t run(T a) {
    const uint32_t bit = FindBit::run(a);
    return bit == ~0u ? bit : static_cast<uint32_t>(kBits<T> - 1) - bit;
  }
};
struct ReverseBits {
  template <class T>
  static T run(T a) {
    T r = 0;
    for (int i = 0; i < kBits<T>; ++i) r = static_cast<T>((r << 1) | ((a >> i) & 1));
    return r;
  }
};
struct ExtractBits {
  static constexpr bool kScalar = true;
  template <class T>
  static T run(T a, uint32_t position, uint32_t length) {
    position &= 0xFF;
    length &= 0xFF;
    Unsigned<T> sign = 0;
    if constexpr (std::is_signed_v<T>) {
      const uint32_t last = std::min<uint32_t>(position + length - 1, kBits<T> - 1);
      if (length != 0) sign = (static_cast<Unsigned<T>>(a) >> last) & 1;
    }
    Unsigned<T> r = 0;
    for (uint32_t i = 0; i < static_cast<uint32_t>(kBits<T>); ++i) {
      const bool inside = i < length && position + i < static_cast<uint32_t>(kBits<T>);
      const Unsigned<T> bit = inside ? (static_cast<Unsigned<T>>(a) >> (position + i)) & 1 : sign;
      r |= static_cast<Unsigned<T>>(bit << i);
    }
    return static_cast<T>(r);
  }
};
struct InsertBits {
  static constexpr bool kScalar = true;
  template <class T>
  static T run(T a, T b, uint32_t position, uint32_t length) {
    position &= 0xFF;
    length &= 0xFF;
    for (uint32_t i = 0; i < length && position + i < static_cast<uint32_t>(kBits<T>); ++i) {
      const T bit = T{1} << (position + i);
      b = ((a >> i) & 1) != 0 ? (b | bit) : (b & ~bit);
    }
    return b;
  }
};
struct BitMask {
  template <class T>
  static T run(T a, T b) {  // bmsk.clamp
    const uint32_t position = a;
    const uint32_t width = b;
    if (position >= 32 || width == 0) return 0;
    const uint64_t ones = width >= 32 ? 0xFFFF'FFFFull : (1ull << width) - 1;
    return static_cast<T>(ones << position);
  }
};
template <bool kWrap>
struct FunnelLeft {
  static uint32_t run(uint32_t a, uint32_t b, uint32_t n) {
    n = kWrap ? n & 31 : std::min(n, 32u);
    return static_cast<uint32_t>((((uint64_t{b} << 32) | a) << n) >> 32);
  }
};
template <bool kWrap>
struct FunnelRight {
  static uint32_t run(uint32_t a, uint32_t b, uint32_t n) {
    n = kWrap ? n & 31 : std::min(n, 32u);
    return static_cast<uint32_t>(((uint64_t{b} << 32) | a) >> n);
  }
};
struct AbsoluteDifference {
  template <class T>
  static T run(T a, T b, T c) {
    return Add::run(c, a < b ? Subtract::run(b, a) : Subtract::run(a, b));
  }
};
struct SelectBySign {
  template <class T, class C>
  static T run(T a, T b, C c) {
    return c >= 0 ? a : b;
  }
};
template <class A, class B>
struct Dot4 {
  template <class C>
  static C run(uint32_t a, uint32_t b, C c) {
    int64_t sum = 0;
    for (int i = 0; i < 4; ++i)
      sum += int64_t{static_cast<A>(a >> (8 * i))} * int64_t{static_cast<B>(b >> (8 * i))};
    return static_cast<C>(static_cast<uint32_t>(c) + static_cast<uint32_t>(sum));
  }
};
struct Permute {
  static constexpr bool kScalar = true;
  static uint32_t run(uint32_t a, uint32_t b, uint32_t selector) {
    const uint64_t bytes = (uint64_t{b} << 32) | a;
    uint32_t r = 0;
    for (int i = 0; i < 4; ++i) {
      const uint32_t s = (selector >> (4 * i)) & 0xF;
      uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (s & 7))) & 0xFF;
      if ((s & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
      r |= byte << (8 * i);
    }
    return r;
  }
};

void lop3(Warp& w, const Instruction& i, Mask m) {
  const Cells<uint32_t> a(w, i.a), b(w, i.b), c(w, i.c);
  const auto table = static_cast<uint32_t>(i.value);
  const auto term = [&](int bit) { return (table >> bit) & 1 ? ~0u : 0u; };
  const uint32_t t0 = term(0), t1 = term(1), t2 = term(2), t3 = term(3), t4 = term(4), t5 = term(5),
                 t6 = term(6), t7 = term(7);
  each<uint32_t, true>(Cells<uint32_t>(w, i.d), m, [&](int l) {
    const uint32_t x = a.p[l], y = b.p[l], z = c.p[l];
    return (t0 & ~x & ~y & ~z) | (t1 & ~x & ~y & z) | (t2 & ~x & y & ~z) | (t3 & ~x & y & z) |
           (t4 & x & ~y & ~z) | (t5 & x & ~y & z) | (t6 & x & y & ~z) | (t7 & x & y & z);
  });
}

// ---- with the condition code

template <class T, bool kIn, bool kOut, bool kSubtract>
void add_carry(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a), b(w, i.b);
  Cells<T> d(w, i.d);
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    const Mask bit = Mask{1} << l;
    const bool in = kIn && (w.carry & bit) != 0;
    using Big = Wide<T>;
    const Big sum =
        kSubtract ? Big(a.p[l]) - Big(b.p[l]) - Big(in) : Big(a.p[l]) + Big(b.p[l]) + Big(in);
    d.p[l] = static_cast<T>(sum);
    if (kOut) w.carry = ((sum >> kBits<T>)&1) != 0 ? w.carry | bit : w.carry & ~bit;
  }
}
template <class T, bool kIn, bool kOut, bool kHigh>
void multiply_add_carry(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a), b(w, i.b), c(w, i.c);
  Cells<T> d(w, i.d);
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    const Mask bit = Mask{1} << l;
    using Big = Wide<T>;
    const Big product = Big(a.p[l]) * Big(b.p[l]);
    const Big part = kHigh ? product >> kBits<T> : Big(static_cast<T>(product));
    const Big sum = part + Big(c.p[l]) + Big(kIn && (w.carry & bit) != 0);
    d.p[l] = static_cast<T>(sum);
    if (kOut) w.carry = ((sum >> kBits<T>)&1) != 0 ? w.carry | bit : w.carry & ~bit;
  }
}

// ---------------------------------------------------------------- floats

struct FusedMultiplyAdd {
  static float run(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static double run(double a, double b, double c) { return __builtin_fma(a, b, c); }
};
struct SquareRoot {
  static float run(float a) { return __builtin_sqrtf(a); }
  static double run(double a) { return __builtin_sqrt(a); }
};
struct Reciprocal {
  template <class T>
  static T run(T a) {
    return T{1} / a;
  }
};
struct CopySign {
  template <class T>
  static T run(T a, T b) {
    return std::copysign(b, a);
  }
};

float flush(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
template <class Op>
struct Ftz {  // subnormal inputs and results become zeros
  template <class... T>
  static float run(T... x) {
    return flush(Op::run(flush(x)...));
  }
};
template <class Op>
struct Saturated {
  template <class... T>
  static auto run(T... x) {
    const auto r = Op::run(x...);
    using R = decltype(r);
    return r != r ? R{0} : r < R{0} ? R{0} : r > R{1} ? R{1} : r;
  }
};

// ---------------------------------------------------------------- predicates

struct Equal {
  template <class T>
  static bool run(T a, T b) {
    return a == b;
  }
};
struct NotEqual {  // of floats: and none is NaN
  template <class T>
  static bool run(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a < b || a > b;
    else
      return a != b;
  }
};
struct Less {
  template <class T>
  static bool run(T a, T b) {
    return a < b;
  }
};
struct LessEqual {
  template <class T>
  static bool run(T a, T b) {
    return a <= b;
  }
};
struct Greater {
  template <class T>
  static bool run(T a, T b) {
    return a > b;
  }
};
struct GreaterEqual {
  template <class T>
  static bool run(T a, T b) {
    return a >= b;
  }
};
struct EqualOrNan {
  template <class T>
  static bool run(T a, T b) {
    return !(a < b || a > b);
  }
};
struct NotEqualOrNan {
  template <class T>
  static bool run(T a, T b) {
    return a != b;
  }
};
struct LessOrNan {
  template <class T>
  static bool run(T a, T b) {
    return !(a >= b);
  }
};
struct LessEqualOrNan {
  template <class T>
  static bool run(T a, T b) {
    return !(a > b);
  }
};
struct GreaterOrNan {
  template <class T>
  static bool run(T a, T b) {
    return !(a <= b);
  }
};
struct GreaterEqualOrNan {
  template <class T>
  static bool run(T a, T b) {
    return !(a < b);
  }
};
struct BothNumbers {
  template <class T>
  static bool run(T a, T b) {
    return a == a && b == b;
  }
};
struct SomeNan {
  template <class T>
  static bool run(T a, T b) {
    return a != a || b != b;
  }
};

template <class Op, class T>
Mask compare(const Warp& w, const Instruction& i) {
  const Cells<T> a(w, i.a);
  const Cells<T> b(w, i.b);
  Mask r = 0;
  for (int l = 0; l < kLanes; ++l) r |= Op::run(a.get(l), b.get(l)) ? Mask{1} << l : 0;
  return r;
}
void assign(Mask& p, Mask value, Mask m) { p = (p & ~m) | (value & m); }

constexpr uint8_t kAnd = 1, kOr = 2, kXor = 3, kCombine = 3, kNegateC = 4, kSecond = 8;

template <class Op, class T>
void set_predicate(Warp& w, const Instruction& i, Mask m) {
  const Mask r = compare<Op, T>(w, i);
  if (i.flags == 0) return assign(w.predicate(i.d), r, m);
  Mask c = kAllLanes;
  if ((i.flags & kCombine) != 0) {
    c = w.predicate(i.c);
    if ((i.flags & kNegateC) != 0) c = ~c;
  }
  const auto combined = [&](Mask x) {
    return (i.flags & kCombine) == kAnd   ? x & c
           : (i.flags & kCombine) == kOr  ? x | c
           : (i.flags & kCombine) == kXor ? x ^ c
                                          : x;
  };
  assign(w.predicate(i.d), combined(r), m);
  if ((i.flags & kSecond) != 0) assign(w.predicate(i.e), combined(~r), m);
}
template <class Op, class T, class D>
void set_value(Warp& w, const Instruction& i, Mask m) {
  const Mask r = compare<Op, T>(w, i);
  each<D, true>(Cells<D>(w, i.d), m, [&](int l) {
    if constexpr (std::is_floating_point_v<D>)
      return (r >> l) & 1 ? D{1} : D{0};
    else
      return (r >> l) & 1 ? static_cast<D>(~D{0}) : D{0};
  });
}
template <class T>
void select(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a), b(w, i.b);
  const Mask c = w.predicate(i.c) ^ ((i.flags & kNegateC) != 0 ? kAllLanes : 0);
  each<T, true>(Cells<T>(w, i.d), m, [&](int l) { return (c >> l) & 1 ? a.get(l) : b.get(l); });
}
template <class Op>
void predicate_op(Warp& w, const Instruction& i, Mask m) {
  assign(w.predicate(i.d), Op::run(w.predicate(i.a), w.predicate(i.b)), m);
}
void predicate_not(Warp& w, const Instruction& i, Mask m) {
  assign(w.predicate(i.d), ~w.predicate(i.a), m);
}
void predicate_move(Warp& w, const Instruction& i, Mask m) {
  assign(w.predicate(i.d), w.predicate(i.a), m);
}

template <class T>
void move(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a);
  each<T, true>(Cells<T>(w, i.d), m, [&](int l) { return a.get(l); });
}

template <class T>
void test_property(Warp& w, const Instruction& i, Mask m) {
  const Cells<T> a(w, i.a);
  Mask r = 0;
  for (int l = 0; l < kLanes; ++l) {
    const int kind = std::fpclassify(a.p[l]);
    const bool holds = i.value == 0   ? kind != FP_NAN && kind != FP_INFINITE
                       : i.value == 1 ? kind == FP_INFINITE
                       : i.value == 2 ? kind != FP_NAN
                       : i.value == 3 ? kind == FP_NAN
                       : i.value == 4 ? kind == FP_NORMAL
                                      : kind == FP_SUBNORMAL;
    r |= Mask{holds} << l;
  }
  assign(w.predicate(i.d), r, m);
}

// ---------------------------------------------------------------- choosing the instance

/// Calls f with a value of the C++ type.
template <class F>
Handler with_integer(Type type, F f) {
  switch (type) {
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
    default:
      return nullptr;
  }
}
template <class F>
Handler with_unsigned(Type type, F f) {
  switch (size_of(type)) {
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return nullptr;
  }
}
template <class F>
Handler with_float(Type type, F f) {
  if (type == Type::f32) return f(float{});
  if (type == Type::f64) return f(double{});
  return nullptr;
}

template <class Op>
Handler binary_integer(Type type) {
  return with_integer(type, []<class T>(T) -> Handler { return binary<Op, T, T, T>; });
}
template <class Op>
Handler binary_bits(Type type) {
  return with_unsigned(type, []<class T>(T) -> Handler { return binary<Op, T, T, T>; });
}
template <class Op>
Handler binary_float(Type type, bool ftz, bool saturate) {
  if (type == Type::f32 && ftz && saturate) return binary<Saturated<Ftz<Op>>, float, float, float>;
  if (type == Type::f32 && ftz) return binary<Ftz<Op>, float, float, float>;
  if (type == Type::f32 && saturate) return binary<Saturated<Op>, float, float, float>;
  return with_float(type, []<class T>(T) -> Handler { return binary<Op, T, T, T>; });
}
template <class Op>
Handler unary_float(Type type, bool ftz) {
  if (type == Type::f32 && ftz) return unary<Ftz<Op>, float, float>;
  return with_float(type, []<class T>(T) -> Handler { return unary<Op, T, T>; });
}

template <class Op>
Handler predicate_of(Type type, Type value) {
  const auto choose = [&]<class T>(T) -> Handler {
    if (value == Type::none) return set_predicate<Op, T>;
    if (value == Type::f32) return set_value<Op, T, float>;
    return set_value<Op, T, uint32_t>;
  };
  if (is_float(type)) return with_float(type, choose);
  return with_integer(type, choose);
}

Handler comparison(std::string_view name, Type type, Type value) {
  if (name == "eq") return predicate_of<Equal>(type, value);
  if (name == "ne") return predicate_of<NotEqual>(type, value);
  if (name == "lt" || name == "lo") return predicate_of<Less>(type, value);
  if (name == "le" || name == "ls") return predicate_of<LessEqual>(type, value);
  if (name == "gt" || name == "hi") return predicate_of<Greater>(type, value);
  if (name == "ge" || name == "hs") return predicate_of<GreaterEqual>(type, value);
  if (name == "equ") return predicate_of<EqualOrNan>(type, value);
  if (name == "neu") return predicate_of<NotEqualOrNan>(type, value);
  if (name == "ltu") return predicate_of<LessOrNan>(type, value);
  if (name == "leu") return predicate_of<LessEqualOrNan>(type, value);
  if (name == "gtu") return predicate_of<GreaterOrNan>(type, value);
  if (name == "geu") return predicate_of<GreaterEqualOrNan>(type, value);
  if (name == "num") return predicate_of<BothNumbers>(type, value);
  if (name == "nan") return predicate_of<SomeNan>(type, value);
  return nullptr;
}

Type wide_type(Type type) {
  switch (type) {
    case Type::u16:
      return Type::u32;
    case Type::s16:
      return Type::s32;
    case Type::u32:
      return Type::u64;
    default:
      return Type::s64;
  }
}

template <template <class, bool, bool, bool> class Chooser, class T>
Handler carries(bool in, bool out, bool third) {
  if (in)
    return out ? (third ? Chooser<T, true, true, true>::run : Chooser<T, true, true, false>::run)
               : (third ? Chooser<T, true, false, true>::run : Chooser<T, true, false, false>::run);
  return third ? Chooser<T, false, true, true>::run : Chooser<T, false, true, false>::run;
}
template <class T, bool kIn, bool kOut, bool kSubtract>
struct AddCarry {
  static constexpr Handler run = add_carry<T, kIn, kOut, kSubtract>;
};
template <class T, bool kIn, bool kOut, bool kHigh>
struct MultiplyAddCarry {
  static constexpr Handler run = multiply_add_carry<T, kIn, kOut, kHigh>;
};

bool directed_rounding(const Statement& s) { return s.has("rz") || s.has("rm") || s.has("rp"); }

}  // namespace

Arithmetic arithmetic(const Statement& s) {
  const std::string_view op = s.parts[0];
  const Type type = type_of(s.parts.back());
  const auto all = [&](Handler run, int sources) {
    return Arithmetic{run, type, {type, type, type, type}, sources, 0, 0};
  };
  const bool ftz = s.has("ftz");
  const bool saturate = s.has("sat");

  if (type == Type::pred) {
    if (op == "and") return all(predicate_op<And>, 2);
    if (op == "or") return all(predicate_op<Or>, 2);
    if (op == "xor") return all(predicate_op<Xor>, 2);
    if (op == "not") return all(predicate_not, 1);
    if (op == "mov") return all(predicate_move, 1);
    return {};
  }
  if (op == "mov") {
    if (size_of(type) == 8) return all(move<uint64_t>, 1);
    return all(move<uint32_t>, 1);
  }
  const bool carries_in = op == "addc" || op == "subc" || op == "madc";
  const bool carries_out = s.has("cc");
  if (carries_in || carries_out) {
    const bool wide = size_of(type) == 8;
    if (op.starts_with("mad")) {
      const bool high = s.has("hi");
      return all(wide ? carries<MultiplyAddCarry, uint64_t>(carries_in, carries_out, high)
                      : carries<MultiplyAddCarry, uint32_t>(carries_in, carries_out, high),
                 3);
    }
    const bool subtract = op.starts_with("sub");
    return all(wide ? carries<AddCarry, uint64_t>(carries_in, carries_out, subtract)
                    : carries<AddCarry, uint32_t>(carries_in, carries_out, subtract),
               2);
  }
  if (is_float(type) && directed_rounding(s)) return slow_arithmetic(s);

  if (op == "add")
    return all(is_float(type) ? binary_float<Add>(type, ftz, saturate)
               : saturate     ? nullptr
                              : binary_integer<Add>(type),
               2);
  if (op == "sub")
    return all(is_float(type) ? binary_float<Subtract>(type, ftz, saturate)
               : saturate     ? nullptr
                              : binary_integer<Subtract>(type),
               2);
  if (op == "mul" && is_float(type)) return all(binary_float<Multiply>(type, ftz, saturate), 2);
  if (op == "mul" || op == "mul24") {
    if (s.has("wide")) {
      Arithmetic made = all(nullptr, 2);
      made.result = wide_type(type);
      switch (type) {
        case Type::u16:
          made.run = binary<MultiplyWide, uint32_t, uint16_t, uint16_t>;
          break;
        case Type::s16:
          made.run = binary<MultiplyWide, int32_t, int16_t, int16_t>;
          break;
        case Type::u32:
          made.run = binary<MultiplyWide, uint64_t, uint32_t, uint32_t>;
          break;
        case Type::s32:
          made.run = binary<MultiplyWide, int64_t, int32_t, int32_t>;
          break;
        default:
          break;
      }
      return made;
    }
    return all(s.has("hi") ? binary_integer<MultiplyHigh>(type) : binary_integer<Multiply>(type),
               2);
  }
  if (op == "fma" || (op == "mad" && is_float(type))) {
    if (type == Type::f64) return all(ternary<FusedMultiplyAdd, double, double, double, double>, 3);
    if (type != Type::f32) return {};
    if (ftz)
      return all(saturate ? ternary<Saturated<Ftz<FusedMultiplyAdd>>, float, float, float, float>
                          : ternary<Ftz<FusedMultiplyAdd>, float, float, float, float>,
                 3);
    return all(saturate ? ternary<Saturated<FusedMultiplyAdd>, float, float, float, float>
                        : ternary<FusedMultiplyAdd, float, float, float, float>,
               3);
  }
  if (op == "mad" || op == "mad24") {
    Arithmetic made = all(nullptr, 3);
    if (s.has("wide")) {
      made.result = made.sources[2] = wide_type(type);
      switch (type) {
        case Type::u16:
          made.run = ternary<MultiplyWideAdd, uint32_t, uint16_t, uint16_t, uint32_t>;
          break;
        case Type::s16:
          made.run = ternary<MultiplyWideAdd, int32_t, int16_t, int16_t, int32_t>;
          break;
        case Type::u32:
          made.run = ternary<MultiplyWideAdd, uint64_t, uint32_t, uint32_t, uint64_t>;
          break;
        case Type::s32:
          made.run = ternary<MultiplyWideAdd, int64_t, int32_t, int32_t, int64_t>;
          break;
        default:
          break;
      }
    } else if (s.has("hi")) {
      made.run = with_integer(
          type, []<class T>(T) -> Handler { return ternary<MultiplyHighAdd, T, T, T, T>; });
    } else {
      made.run = with_integer(
          type, []<class T>(T) -> Handler { return ternary<MultiplyAdd, T, T, T, T>; });
    }
    return made;
  }
  if (op == "div") {
    if (is_float(type)) return all(binary_float<DivideFloat>(type, ftz, false), 2);
    return all(binary_integer<Divide>(type), 2);
  }
  if (op == "rem") return all(binary_integer<Remainder>(type), 2);
  if (op == "abs") {
    if (is_float(type)) return all(unary_float<Absolute>(type, ftz), 1);
    return all(with_integer(type, []<class T>(T) -> Handler { return unary<Absolute, T, T>; }), 1);
  }
  if (op == "neg") {
    if (is_float(type)) return all(unary_float<Negate>(type, ftz), 1);
    return all(with_integer(type, []<class T>(T) -> Handler { return unary<Negate, T, T>; }), 1);
  }
  if (op == "min" || op == "max") {
    const bool least = op == "min";
    if (is_float(type)) {
      if (s.has("NaN"))
        return all(least ? binary_float<OrNan<Minimum>>(type, ftz, false)
                         : binary_float<OrNan<Maximum>>(type, ftz, false),
                   2);
      return all(
          least ? binary_float<Minimum>(type, ftz, false) : binary_float<Maximum>(type, ftz, false),
          2);
    }
    return all(least ? binary_integer<Minimum>(type) : binary_integer<Maximum>(type), 2);
  }
  if (op == "and") return all(binary_bits<And>(type), 2);
  if (op == "or") return all(binary_bits<Or>(type), 2);
  if (op == "xor") return all(binary_bits<Xor>(type), 2);
  if (op == "not")
    return all(with_unsigned(type, []<class T>(T) -> Handler { return unary<Not, T, T>; }), 1);
  if (op == "cnot")
    return all(with_unsigned(type, []<class T>(T) -> Handler { return unary<LogicalNot, T, T>; }),
               1);
  if (op == "shl" || op == "shr") {
    Arithmetic made = all(nullptr, 2);
    made.sources[1] = Type::u32;
    if (op == "shl")
      made.run = with_unsigned(
          type, []<class T>(T) -> Handler { return binary<ShiftLeft, T, T, uint32_t>; });
    else
      made.run = with_integer(
          type, []<class T>(T) -> Handler { return binary<ShiftRight, T, T, uint32_t>; });
    return made;
  }
  if (op == "popc" || op == "clz") {
    Arithmetic made = all(nullptr, 1);
    made.result = Type::u32;
    const bool wide = size_of(type) == 8;
    if (op == "popc")
      made.run = wide ? unary<PopulationCount, uint32_t, uint64_t>
                      : unary<PopulationCount, uint32_t, uint32_t>;
    else
      made.run =
          wide ? unary<LeadingZeros, uint32_t, uint64_t> : unary<LeadingZeros, uint32_t, uint32_t>;
    return made;
  }
  if (op == "bfind") {
    Arithmetic made = all(nullptr, 1);
    made.result = Type::u32;
    const bool shift = s.has("shiftamt");
    made.run = with_integer(type, [&]<class T>(T) -> Handler {
      return shift ? unary<FindBitShift, uint32_t, T> : unary<FindBit, uint32_t, T>;
    });
    return made;
  }
  if (op == "brev")
    return all(with_unsigned(type, []<class T>(T) -> Handler { return unary<ReverseBits, T, T>; }),
               1);
  if (op == "bfe") {
    Arithmetic made = all(nullptr, 3);
    made.sources[1] = made.sources[2] = Type::u32;
    made.run = with_integer(
        type, []<class T>(T) -> Handler { return ternary<ExtractBits, T, T, uint32_t, uint32_t>; });
    return made;
  }
  if (op == "bfi") {
    Arithmetic made = all(nullptr, 4);
    made.sources[2] = made.sources[3] = Type::u32;
    made.run = size_of(type) == 8
                   ? quaternary<InsertBits, uint64_t, uint64_t, uint64_t, uint32_t, uint32_t>
                   : quaternary<InsertBits, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t>;
    return made;
  }
  if (op == "bmsk") return all(binary<BitMask, uint32_t, uint32_t, uint32_t>, 2);
  if (op == "shf") {
    const bool wraps = s.has("wrap");
    if (s.has("l"))
      return all(wraps ? ternary<FunnelLeft<true>, uint32_t, uint32_t, uint32_t, uint32_t>
                       : ternary<FunnelLeft<false>, uint32_t, uint32_t, uint32_t, uint32_t>,
                 3);
    return all(wraps ? ternary<FunnelRight<true>, uint32_t, uint32_t, uint32_t, uint32_t>
                     : ternary<FunnelRight<false>, uint32_t, uint32_t, uint32_t, uint32_t>,
               3);
  }
  if (op == "prmt" && s.parts.size() == 2)
    return all(ternary<Permute, uint32_t, uint32_t, uint32_t, uint32_t>, 3);
  if (op == "lop3" && s.operands.size() == 5) {
    Arithmetic made = all(lop3, 3);
    made.value = s.operands[4].value;
    return made;
  }
  if (op == "sad")
    return all(
        with_integer(type,
                     []<class T>(T) -> Handler { return ternary<AbsoluteDifference, T, T, T, T>; }),
        3);
  if (op == "dp4a") {
    const bool left = s.parts[1] == "s32";
    const bool right = s.parts[2] == "s32";
    Arithmetic made = all(nullptr, 3);
    made.sources[0] = made.sources[1] = Type::b32;
    made.run =
        left ? (right ? ternary<Dot4<int8_t, int8_t>, int32_t, uint32_t, uint32_t, int32_t>
                      : ternary<Dot4<int8_t, uint8_t>, int32_t, uint32_t, uint32_t, int32_t>)
             : (right ? ternary<Dot4<uint8_t, int8_t>, int32_t, uint32_t, uint32_t, int32_t>
                      : ternary<Dot4<uint8_t, uint8_t>, uint32_t, uint32_t, uint32_t, uint32_t>);
    return made;
  }
  if (op == "slct") {
    const Type value = type_of(s.parts[s.parts.size() - 2]);
    Arithmetic made{nullptr, value, {value, value, type, type}, 3, 0, 0};
    const bool by_float = type == Type::f32;
    made.run = with_unsigned(value, [&]<class T>(T) -> Handler {
      return by_float ? ternary<SelectBySign, T, T, T, float>
                      : ternary<SelectBySign, T, T, T, int32_t>;
    });
    return made;
  }
  if (op == "selp") {
    Arithmetic made = all(size_of(type) == 8 ? select<uint64_t> : select<uint32_t>, 3);
    made.sources[2] = Type::pred;
    if (s.operands[3].negated) made.flags = kNegateC;
    return made;
  }
  if (op == "setp" || op == "set") {
    const bool value = op == "set";
    const Type result = value ? type_of(s.parts[s.parts.size() - 2]) : Type::none;
    Arithmetic made = all(comparison(s.parts[1], type, result), 2);
    made.result = value ? result : Type::pred;
    const std::string_view combine = s.parts.size() > 3 ? s.parts[2] : std::string_view{};
    if (combine == "and" || combine == "or" || combine == "xor") {
      if (value) return {};
      made.flags = combine == "and" ? kAnd : combine == "or" ? kOr : kXor;
      made.sources[2] = Type::pred;
      made.source_count = 3;
      if (s.operands.back().negated) made.flags |= kNegateC;
    }
    if (!value && static_cast<int>(s.operands.size()) == made.source_count + 2)
      made.flags |= kSecond;
    return made;
  }
  if (op == "copysign") return all(binary_float<CopySign>(type, false, false), 2);
  if (op == "testp") {
    Arithmetic made =
        all(with_float(type, []<class T>(T) -> Handler { return test_property<T>; }), 1);
    made.result = Type::pred;
    made.value = s.has("finite")       ? 0
                 : s.has("infinite")   ? 1
                 : s.has("number")     ? 2
                 : s.has("notanumber") ? 3
                 : s.has("normal")     ? 4
                                       : 5;
    return made;
  }
  if (op == "sqrt") return all(unary_float<SquareRoot>(type, ftz), 1);
  if (op == "rcp" && !(type == Type::f64 && s.has("approx")))
    return all(unary_float<Reciprocal>(type, ftz), 1);
  return slow_arithmetic(s);
}

}  // namespace ptxe
