// Instructions that steer, wait, or talk to other lanes.

#include <fmt/format.h>
#include <fmt/printf.h>

#include <bit>
#include <cstdio>
#include <regex>
#include <string>

#include "tests/ptx_executor/machine.h"

namespace derrd::ptx::control {

namespace {

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
            fmt::format("the lane is not in its own member mask {}", member[l]));
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

void exit(Warp& w, const Instruction&, Mask lanes) { w.exit(lanes); }

void trap(Warp& w, const Instruction& i, Mask lanes) {
  w.fault(i, std::countr_zero(lanes), kLaunchFailure, "trap");
}

void nothing(Warp&, const Instruction&, Mask) {}

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
  if (id >= 16) w.fault(i, first, kIllegalInstruction, fmt::format("barrier {} of 16", id));
  const uint32_t count = counted ? w.cells<uint32_t>(i.b)[first] : 0;
  if (counted && (count == 0 || count % kLanes != 0))
    w.fault(i, first, kIllegalInstruction,
            fmt::format("a barrier of {} threads, no multiple of 32", count));
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
      report_finding(w, i, l, "shfl",
                     fmt::format("takes the value of lane {}, which takes no part", sources[l]));
    }
  }
  auto* d = w.cells<uint32_t>(i.d);
  for (int l = 0; l < kLanes; ++l) d[l] = (lanes >> l) & 1 ? values[l] : d[l];
  if ((i.flags & 1) != 0) assign(w.predicate(i.e), inside, lanes);
  // Shuffles hand registers over; memory is not ordered by them.
}

void vote(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  const Mask p = w.predicate(i.a) ^ ((i.flags & 1) != 0 ? kAllLanes : 0);
  each_team(w, lanes, i.b, [&](Mask team) {
    const Mask yes = p & team;
    if (i.value == 3) {
      each_lane(team, [&](int l) { w.cells<uint32_t>(i.d)[l] = yes; });
    } else {
      const bool r = i.value == 0 ? yes == team : i.value == 1 ? yes != 0 : yes == 0 || yes == team;
      assign(w.predicate(i.d), r ? kAllLanes : 0, team);
    }
  });
}

void match(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  const auto value = [&](int l) {
    return i.size == 8 ? w.cells<uint64_t>(i.a)[l] : w.cells<uint32_t>(i.a)[l];
  };
  uint32_t found[kLanes] = {};
  Mask agree = 0;
  each_team(w, lanes, i.b, [&](Mask team) {
    each_lane(team, [&](int l) {
      each_lane(team, [&](int o) { found[l] |= Mask{value(o) == value(l)} << o; });
      if (found[l] == team) agree |= Mask{1} << l;
    });
  });
  const bool all = i.value == 1;  // of match.all, the team or nothing
  each_lane(lanes, [&](int l) {
    w.cells<uint32_t>(i.d)[l] = all && ((agree >> l) & 1) == 0 ? 0 : found[l];
  });
  if ((i.flags & 1) != 0) assign(w.predicate(i.e), agree, lanes);
}

void redux(Warp& w, const Instruction& i, Mask lanes) {
  lanes = together(w, i, lanes, i.b);
  const auto* a = w.cells<uint32_t>(i.a);
  const auto combine = [&](uint32_t x, uint32_t y) {
    const auto s = static_cast<int32_t>(x), t = static_cast<int32_t>(y);
    const uint32_t results[] = {x + y,
                                std::min(x, y),
                                std::max(x, y),
                                static_cast<uint32_t>(std::min(s, t)),
                                static_cast<uint32_t>(std::max(s, t)),
                                x & y,
                                x | y,
                                x ^ y};
    return results[i.value];
  };
  uint32_t results[kLanes];
  each_team(w, lanes, i.b, [&](Mask team) {
    uint32_t r = a[std::countr_zero(team)];
    each_lane(team & (team - 1), [&](int l) { r = combine(r, a[l]); });
    each_lane(team, [&](int l) { results[l] = r; });
  });
  each_lane(lanes, [&](int l) { w.cells<uint32_t>(i.d)[l] = results[l]; });
}

void active_mask(Warp& w, const Instruction& i, Mask lanes) {
  each_lane(lanes, [&](int l) { w.cells<uint32_t>(i.d)[l] = lanes; });
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
  static const std::regex kSpecifier("%([-+ #0-9.]*)(hh|h|ll|l|z|j|t)?([a-zA-Z%])");
  for (; lanes != 0; lanes &= lanes - 1) {
    const int l = std::countr_zero(lanes);
    const std::string format = device_text(w, i, l, call_parameter(w, i, l, 0, 8));
    uint64_t at = call_parameter(w, i, l, 1, 8);
    const auto next = [&](uint32_t size) {
      at = (at + size - 1) / size * size + size;
      uint64_t value = 0;
      std::memcpy(&value, lane_bytes(w, i, Space::generic, at - size, size, l, false), size);
      return value;
    };
    std::string out;
    std::sregex_iterator match(format.begin(), format.end(), kSpecifier);
    auto rest = format.cbegin();
    for (; match != std::sregex_iterator(); rest = (*match++)[0].second) {
      out.append(rest, (*match)[0].first);
      const char kind = (*match)[3].str()[0];
      const std::string flags = "%" + (*match)[1].str();
      const bool wide = (*match)[2].matched && (*match)[2].str()[0] != 'h';
      if (kind == '%')
        out += '%';
      else if (kind == 's')
        out += fmt::sprintf(flags + "s", device_text(w, i, l, next(8)));
      else if (std::string_view("eEfFgGaA").find(kind) != std::string_view::npos)
        out += fmt::sprintf(flags + kind, std::bit_cast<double>(next(8)));
      else if (kind == 'd' || kind == 'i')
        out += fmt::sprintf(flags + "d", wide ? static_cast<int64_t>(next(8))
                                              : int64_t{static_cast<int32_t>(next(4))});
      else if (kind == 'c')
        out += static_cast<char>(next(4));
      else
        out += fmt::sprintf(flags + (kind == 'p' ? 'x' : kind), next(wide || kind == 'p' ? 8 : 4));
    }
    out.append(rest, format.cend());
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
  w.fault(i, l, kAssert, fmt::format("{}:{}: assertion `{}` failed", file, line, message));
}

}  // namespace derrd::ptx::control
