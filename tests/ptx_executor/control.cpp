// Instructions that steer, wait, or talk to other lanes.

#include <bit>
#include <chrono>
#include <cstdio>
#include <string>

#include "tests/ptx_executor/machine.h"

namespace ptxe::control {

namespace {

constexpr int kLaunchFailure = 719;
constexpr int kAssert = 710;
constexpr int kIllegalInstruction = 715;

bool is_constant(uint32_t offset) { return static_cast<int32_t>(offset) < 0; }

/// The lanes that execute a .sync instruction now, of those that have come; reports what names too
/// few.
Mask together(Warp& w, const Instruction& i, Mask lanes, uint32_t member_register) {
  const auto* member = w.cells<uint32_t>(member_register);
  const Mask first = member[std::countr_zero(lanes)];
  if (is_constant(member_register) && (lanes & ~first) == 0 && (first & w.alive & ~lanes) == 0)
    return lanes;
  uint32_t differences = 0;
  Mask members = 0;
  for (uint32_t l = 0; l < kLanes; ++l) {
    differences |= member[l] ^ first;
    members |= ((member[l] >> l) & 1) << l;
  }
  if (const Mask outside = lanes & ~members; outside != 0) {
    const int l = std::countr_zero(outside);
    w.fault(i, l, kLaunchFailure,
            "the lane is not in its own member mask " + std::to_string(member[l]));
  }
  if (differences == 0 && (first & w.alive & ~lanes) == 0) return lanes;
  return w.gather(i, lanes, member, false);
}

/// Calls f(lanes that name the same members).
template <class F>
void each_team(const Warp& w, Mask lanes, uint32_t member_register, F f) {
  const auto* member = w.cells<uint32_t>(member_register);
  while (lanes != 0) {
    const Mask named = member[std::countr_zero(lanes)];
    const Mask team = lanes & named;
    f(team);
    lanes &= ~team;
  }
}

void assign(Mask& p, Mask value, Mask m) { p = (p & ~m) | (value & m); }

}  // namespace

void bra(Warp& w, const Instruction& i, Mask lanes) { w.branch(lanes, i.target); }

void brx(Warp& w, const Instruction& i, Mask lanes) {
  const auto* index = w.cells<uint32_t>(i.a);
  const uint32_t n = index[std::countr_zero(lanes)];
  Mask same = 0;
  for (Mask rest = lanes; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    if (index[l] == n) same |= Mask{1} << l;
  }
  if (n >= static_cast<uint32_t>(i.value))
    w.fault(i, std::countr_zero(lanes), kIllegalInstruction, "brx.idx beyond its targets");
  const auto target = static_cast<int>(i.list[n]);
  if (same != lanes) --w.pc;  // the others take this branch again
  w.branch(same, target);
}

void exit(Warp& w, const Instruction&, Mask lanes) { w.exit(lanes); }

void trap(Warp& w, const Instruction& i, Mask lanes) {
  w.fault(i, std::countr_zero(lanes), kLaunchFailure, "trap");
}

void nothing(Warp&, const Instruction&, Mask) {}

void yield(Warp&, const Instruction&, Mask) {}

void fence(Warp&, const Instruction&, Mask) { std::atomic_thread_fence(std::memory_order_seq_cst); }

void barrier(Warp& w, const Instruction& i, Mask lanes) {
  const bool aligned = (i.flags & 1) != 0;
  const bool counted = (i.flags & 2) != 0;
  const int kind = (i.flags >> 2) & 3;
  if (aligned) {
    static constexpr auto kEverybody = [] {
      std::array<uint32_t, kLanes> all{};
      all.fill(kAllLanes);
      return all;
    }();
    lanes = w.gather(i, lanes, kEverybody.data(), true);
    if (lanes == 0) return;
  }
  const int first = std::countr_zero(lanes);
  const uint32_t id = w.cells<uint32_t>(i.a)[first];
  if (id >= 16) w.fault(i, first, kIllegalInstruction, "barrier " + std::to_string(id) + " of 16");
  const uint32_t count = counted ? w.cells<uint32_t>(i.b)[first] : 0;
  if (counted && (count == 0 || count % kLanes != 0))
    w.fault(i, first, kIllegalInstruction,
            "a barrier of " + std::to_string(count) + " threads, no multiple of 32");
  const auto threads = static_cast<uint32_t>(std::popcount(lanes));
  // Of an aligned barrier with a count, whole warps count.
  const uint32_t arriving = counted && aligned ? kLanes : threads;
  if (kind == 1) {
    w.block->arrive(static_cast<uint8_t>(id), arriving, count, 0, 0);
    return;
  }
  uint32_t votes = 0;
  if (kind == 2) {
    const Mask p = w.predicate(i.c) ^ ((i.flags & 16) != 0 ? kAllLanes : 0);
    votes = static_cast<uint32_t>(std::popcount(p & lanes));
  }
  w.wait_at_barrier(lanes, static_cast<uint8_t>(id), i.d,
                    kind == 2 ? static_cast<uint8_t>(i.value) : 0);
  w.block->arrive(static_cast<uint8_t>(id), arriving, count, votes, threads);
}

void warp_barrier(Warp& w, const Instruction& i, Mask lanes) {
  if (together(w, i, lanes, i.a) != 0) ++w.epoch;
}

Mask shuffle_sources(int kind, const uint32_t* b, const uint32_t* c, uint32_t* sources) {
  Mask inside_mask = 0;
  const auto find = [&](auto step) {  // for all lanes, so that it vectorises
    for (uint32_t l = 0; l < kLanes; ++l) {
      const uint32_t segment = (c[l] >> 8) & 31;
      const uint32_t last = (l & segment) | (c[l] & 31 & ~segment);
      const auto [source, inside] = step(l, b[l] & 31, last, segment);
      sources[l] = inside ? source : l;
      inside_mask |= inside ? Mask{1} << l : 0;
    }
  };
  using Found = std::pair<uint32_t, bool>;
  switch (kind) {
    case 0:
      find([](uint32_t l, uint32_t n, uint32_t last, uint32_t) {
        return Found{l - n, static_cast<int32_t>(l - n) >= static_cast<int32_t>(last)};
      });
      break;
    case 1:
      find([](uint32_t l, uint32_t n, uint32_t last, uint32_t) {
        return Found{l + n, l + n <= last};
      });
      break;
    case 2:
      find([](uint32_t l, uint32_t n, uint32_t last, uint32_t) {
        return Found{l ^ n, (l ^ n) <= last};
      });
      break;
    default:
      find([](uint32_t l, uint32_t n, uint32_t last, uint32_t segment) {
        const uint32_t source = (l & segment) | (n & ~segment);
        return Found{source, source <= last};
      });
  }
  return inside_mask;
}

void shuffle(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.list[0]);
  if (lanes == 0) return;
  uint32_t found[kLanes];
  const uint32_t* sources = i.list + 1;
  Mask inside = i.list[1 + kLanes];
  if ((i.flags & 2) == 0) {
    inside = shuffle_sources(static_cast<int>(i.value), w.cells<uint32_t>(i.b),
                             w.cells<uint32_t>(i.c), found);
    sources = found;
  }
  const auto* a = w.cells<uint32_t>(i.a);
  uint32_t values[kLanes];
  for (int l = 0; l < kLanes; ++l) values[l] = a[sources[l]];
  const auto* member = w.cells<uint32_t>(i.list[0]);
  if (lanes != kAllLanes || !is_constant(i.list[0]) || member[0] != kAllLanes) {
    Mask taking_part = 0;
    for (uint32_t l = 0; l < kLanes; ++l)
      taking_part |= (((lanes & member[l]) >> sources[l]) & 1) << l;
    if (const Mask missing = lanes & ~taking_part; missing != 0) {
      const int l = std::countr_zero(missing);
      report_finding(
          w, i, l, "shfl",
          "takes the value of lane " + std::to_string(sources[l]) + ", which takes no part");
    }
  }
  auto* d = w.cells<uint32_t>(i.d);
  for (int l = 0; l < kLanes; ++l) d[l] = (lanes >> l) & 1 ? values[l] : d[l];
  if ((i.flags & 1) != 0) assign(w.predicate(i.e), inside, lanes);
  // Shuffles hand registers over; memory is not ordered by them.
}

void vote(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  if (lanes == 0) return;
  const Mask p = w.predicate(i.a) ^ ((i.flags & 1) != 0 ? kAllLanes : 0);
  each_team(w, lanes, i.b, [&](Mask team) {
    const Mask yes = p & team;
    if (i.value == 3) {
      auto* d = w.cells<uint32_t>(i.d);
      for (Mask rest = team; rest != 0; rest &= rest - 1) d[std::countr_zero(rest)] = yes;
    } else {
      const bool r = i.value == 0 ? yes == team : i.value == 1 ? yes != 0 : yes == 0 || yes == team;
      assign(w.predicate(i.d), r ? kAllLanes : 0, team);
    }
  });
}

void match(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  if (lanes == 0) return;
  const auto value = [&](int l) {
    return i.size == 8 ? w.cells<uint64_t>(i.a)[l] : w.cells<uint32_t>(i.a)[l];
  };
  uint32_t found[kLanes] = {};
  Mask agree = 0;
  each_team(w, lanes, i.b, [&](Mask team) {
    for (Mask rest = team; rest != 0; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      for (Mask other = team; other != 0; other &= other - 1) {
        const int o = std::countr_zero(other);
        if (value(o) == value(l)) found[l] |= Mask{1} << o;
      }
      if (i.value == 1) {  // all
        if (found[l] == team)
          agree |= Mask{1} << l;
        else
          found[l] = 0;
      }
    }
  });
  auto* d = w.cells<uint32_t>(i.d);
  for (Mask rest = lanes; rest != 0; rest &= rest - 1)
    d[std::countr_zero(rest)] = found[std::countr_zero(rest)];
  if ((i.flags & 1) != 0) assign(w.predicate(i.e), agree, lanes);
}

void redux(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  if (lanes == 0) return;
  const auto* a = w.cells<uint32_t>(i.a);
  auto* d = w.cells<uint32_t>(i.d);
  uint32_t results[kLanes];
  each_team(w, lanes, i.b, [&](Mask team) {
    uint32_t r = a[std::countr_zero(team)];
    for (Mask rest = team & (team - 1); rest != 0; rest &= rest - 1) {
      const uint32_t x = a[std::countr_zero(rest)];
      const auto s = static_cast<int32_t>(x);
      const auto t = static_cast<int32_t>(r);
      switch (i.value) {
        case 0:
          r += x;
          break;
        case 1:
          r = x < r ? x : r;
          break;
        case 2:
          r = x > r ? x : r;
          break;
        case 3:
          r = static_cast<uint32_t>(s < t ? s : t);
          break;
        case 4:
          r = static_cast<uint32_t>(s > t ? s : t);
          break;
        case 5:
          r &= x;
          break;
        case 6:
          r |= x;
          break;
        default:
          r ^= x;
          break;
      }
    }
    for (Mask rest = team; rest != 0; rest &= rest - 1) results[std::countr_zero(rest)] = r;
  });
  for (Mask rest = lanes; rest != 0; rest &= rest - 1)
    d[std::countr_zero(rest)] = results[std::countr_zero(rest)];
}

void active_mask(Warp& w, const Instruction& i, Mask lanes) {
  auto* d = w.cells<uint32_t>(i.d);
  for (Mask rest = lanes; rest != 0; rest &= rest - 1) d[std::countr_zero(rest)] = lanes;
}

void elect(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  if (lanes == 0) return;
  each_team(w, lanes, i.b, [&](Mask team) {
    const int leader = std::countr_zero(team);
    for (Mask rest = team; rest != 0; rest &= rest - 1)
      w.cells<uint32_t>(i.d)[std::countr_zero(rest)] = static_cast<uint32_t>(leader);
    assign(w.predicate(i.e), Mask{1} << leader, team);
  });
}

namespace {

uint64_t nanoseconds() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

}  // namespace

void clock32(Warp& w, const Instruction& i, Mask lanes) {
  const auto now = static_cast<uint32_t>(nanoseconds());
  for (Mask rest = lanes; rest != 0; rest &= rest - 1)
    w.cells<uint32_t>(i.d)[std::countr_zero(rest)] = now;
}
void clock64(Warp& w, const Instruction& i, Mask lanes) {
  const uint64_t now = nanoseconds();
  for (Mask rest = lanes; rest != 0; rest &= rest - 1)
    w.cells<uint64_t>(i.d)[std::countr_zero(rest)] = now;
}

namespace {

/// A parameter of a call, in the lane's local memory.
uint64_t call_parameter(Warp& w, const Instruction& i, int lane, int number, uint32_t size) {
  uint64_t value = 0;
  std::memcpy(&value, lane_bytes(w, i, Space::local, i.list[number], size, lane, false), size);
  return value;
}

std::string device_text(Warp& w, const Instruction& i, int lane, uint64_t address) {
  std::string text;
  for (; text.size() < 4096; ++address) {
    const char c = static_cast<char>(*lane_bytes(w, i, Space::generic, address, 1, lane, false));
    if (c == '\0') break;
    text += c;
  }
  return text;
}

}  // namespace

/// vprintf(format, arguments): integers of 4 or 8 bytes and doubles, each aligned to its size.
void print(Warp& w, const Instruction& i, Mask lanes) {
  for (Mask rest = lanes; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const std::string format = device_text(w, i, l, call_parameter(w, i, l, 0, 8));
    const uint64_t arguments = call_parameter(w, i, l, 1, 8);
    uint64_t at = 0;
    const auto next = [&](uint32_t size) {
      at = (at + size - 1) / size * size;
      uint64_t value = 0;
      std::memcpy(&value, lane_bytes(w, i, Space::generic, arguments + at, size, l, false), size);
      at += size;
      return value;
    };
    std::string out;
    for (size_t p = 0; p < format.size(); ++p) {
      if (format[p] != '%') {
        out += format[p];
        continue;
      }
      std::string spec = "%";
      bool wide = false;
      for (++p; p < format.size(); ++p) {
        const char c = format[p];
        if (c == '*')
          spec += std::to_string(static_cast<int32_t>(next(4)));
        else if (std::string_view("-+ #0123456789.").find(c) != std::string_view::npos)
          spec += c;
        else if (std::string_view("lzjt").find(c) != std::string_view::npos)
          wide = true;
        else if (c != 'h')
          break;
      }
      if (p >= format.size()) break;
      char text[512] = "";
      const char c = format[p];
      if (c == '%')
        std::snprintf(text, sizeof text, "%%");
      else if (c == 's')
        out += device_text(w, i, l, next(8));
      else if (c == 'p')
        std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(next(8)));
      else if (c == 'c')
        std::snprintf(text, sizeof text, (spec + c).c_str(), static_cast<int>(next(4)));
      else if (std::string_view("di").find(c) != std::string_view::npos) {
        const auto value = wide ? static_cast<long long>(next(8))
                                : static_cast<long long>(static_cast<int32_t>(next(4)));
        std::snprintf(text, sizeof text, (spec + "ll" + c).c_str(), value);
      } else if (std::string_view("uxXo").find(c) != std::string_view::npos) {
        std::snprintf(text, sizeof text, (spec + "ll" + c).c_str(),
                      static_cast<unsigned long long>(next(wide ? 8 : 4)));
      } else {
        std::snprintf(text, sizeof text, (spec + c).c_str(), std::bit_cast<double>(next(8)));
      }
      out += text;
    }
    std::fputs(out.c_str(), stdout);
  }
  std::fflush(stdout);
}

/// __assertfail(message, file, line, function, size of a character)
void assert_fail(Warp& w, const Instruction& i, Mask lanes) {
  const int l = std::countr_zero(lanes);
  const std::string message = device_text(w, i, l, call_parameter(w, i, l, 0, 8));
  const std::string file = device_text(w, i, l, call_parameter(w, i, l, 1, 8));
  const auto line = call_parameter(w, i, l, 2, 4);
  w.fault(i, l, kAssert,
          file + ":" + std::to_string(line) + ": assertion `" + message + "` failed");
}

/// mbarrier: a word of shared memory that counts arrivals: expected in bits 0-19, pending in 20-39,
/// phase in bit 63.
void mbarrier(Warp& w, const Instruction& i, Mask lanes) {
  for (Mask rest = lanes; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint64_t address =
        ((i.flags & 1) != 0 ? w.cells<uint64_t>(i.a)[l] : w.cells<uint32_t>(i.a)[l]) +
        static_cast<uint64_t>(i.value);
    const uint64_t generic = address < kWindow ? kSharedWindow + address : address;
    auto* word = reinterpret_cast<uint64_t*>(lane_bytes(w, i, Space::generic, generic, 8, l, true));
    const uint32_t kind = i.size;
    constexpr uint64_t kCount = 0xFFFFF;
    if (kind == 0) {
      const uint64_t n = w.cells<uint32_t>(i.b)[l];
      *word = n | n << 20;
    } else if (kind == 1) {  // arrive: the state before
      const uint64_t old = *word;
      const uint64_t count = i.b != 0 ? w.cells<uint32_t>(i.b)[l] : 1;
      uint64_t pending = (old >> 20) & kCount;
      if (pending < count)
        w.fault(i, l, kLaunchFailure, "more arrivals at an mbarrier than it expects");
      pending -= count;
      if (pending == 0)
        *word = (old & kCount) | (old & kCount) << 20 | ((old >> 63) ^ 1) << 63;
      else
        *word = (old & ~(kCount << 20)) | pending << 20;
      if (i.d != 0) w.cells<uint64_t>(i.d)[l] = old;
    } else {  // test: has the phase of that state, or of that parity, ended?
      const uint64_t phase =
          kind == 2 ? w.cells<uint64_t>(i.b)[l] >> 63 : w.cells<uint32_t>(i.b)[l] & 1;
      assign(w.predicate(i.d), (*word >> 63) != phase ? kAllLanes : 0, Mask{1} << l);
    }
  }
}

}  // namespace ptxe::control
