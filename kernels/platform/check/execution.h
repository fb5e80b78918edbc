#pragma once

// The checking executor, for tests. A block is 64 threads, two tiles of 32 lanes; each thread has a
// stack of its own and up to three blocks run at once. It reports, and aborts, on
//   - an index outside a view or a shared array,
//   - a read of an element of shared memory that this block has not written,
//   - a barrier or collective that not all lanes of its group reach.
// Under the thread sanitizer every lane is a thread of its own, so that races between lanes, tiles
// and blocks are reported too. What orders memory is what CUDA says does: sync(), and the begin and
// end of a launch. Shuffles, votes, reductions and scans do not.

#include <math.h>  // CUDA's functions without std::

#include <algorithm>
#include <cstdint>
#include <source_location>
#include <tuple>
#include <type_traits>

#include "kernels/platform/cpu/operators.h"
#include "kernels/platform/cpu/parallel.h"
#include "kernels/platform/device.h"
#include "kernels/platform/unit_range.h"
#include "kernels/platform/views.h"

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __shared__ static thread_local  // a block stays on one host thread, the only one it is on
#define __launch_bounds__(...)
#define __grid_constant__

namespace derrd {

constexpr int kBlockTiles = 2;

namespace check {

constexpr unsigned kTileLanes = 32;
constexpr unsigned kBlockThreads = kBlockTiles * kTileLanes;
constexpr int64_t kMaxBlocks = 3;

/// Position of the running lane.
struct Position {
  int64_t block;
  int64_t blocks;
  unsigned thread;
};
Position position();

/// A barrier of the block or of the lane's tile: waits for the other lanes, and orders memory.
void synchronize_block(std::source_location where);
void synchronize_tile(std::source_location where);

/// Value that a lane brings to a collective and takes from it: anything of up to 32 bytes.
struct Mail {
  uint64_t words[4];
};
using Combine = void (*)(Mail (&lanes)[kTileLanes], const void* context);
/// Waits until all lanes of the tile have come with their mail; the last one calls
/// combine(mail of all lanes, context), which replaces what was brought by what each takes away.
/// Does not order memory. `what` is the collective's name, for reports.
Mail exchange(const char* what, std::source_location where, Mail mine, Combine combine,
              const void* context);

/// The lanes' mail passes between them without an ordering that the sanitizer would know of.
#define DERRD_UNSEEN __attribute__((no_sanitize_thread))

template <class T>
DERRD_UNSEEN Mail seal(const T& value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(Mail));
  Mail mail{};
  __builtin_memcpy(&mail, &value, sizeof(T));
  return mail;
}
template <class T>
DERRD_UNSEEN T open(const Mail& mail) {
  T value;
  __builtin_memcpy(&value, &mail, sizeof(T));
  return value;
}

template <class T>
struct Shuffled {
  T value;
  unsigned source;
};
template <class T>
DERRD_UNSEEN void combine_shuffle(Mail (&lanes)[kTileLanes], const void*) {
  Shuffled<T> brought[kTileLanes];
  for (unsigned i = 0; i < kTileLanes; ++i) brought[i] = open<Shuffled<T>>(lanes[i]);
  for (unsigned i = 0; i < kTileLanes; ++i) lanes[i] = seal(brought[brought[i].source].value);
}
DERRD_UNSEEN inline void combine_ballot(Mail (&lanes)[kTileLanes], const void*) {
  uint32_t ballot = 0;
  for (unsigned i = 0; i < kTileLanes; ++i) ballot |= open<uint32_t>(lanes[i]) << i;
  for (unsigned i = 0; i < kTileLanes; ++i) lanes[i] = seal(ballot);
}
template <class T, class Op>
DERRD_UNSEEN void combine_reduce(Mail (&lanes)[kTileLanes], const void* context) {
  const Op& op = *static_cast<const Op*>(context);
  T values[kTileLanes];
  for (unsigned i = 0; i < kTileLanes; ++i) values[i] = open<T>(lanes[i]);
  for (unsigned half = kTileLanes / 2; half > 0; half /= 2) {
    for (unsigned i = 0; i < half; ++i) values[i] = op(values[i], values[i + half]);
  }
  for (unsigned i = 0; i < kTileLanes; ++i) lanes[i] = seal(values[0]);
}
/// Scan as CUDA's: in the same tree, with the operator's first argument from the later lanes.
template <class T, class Op>
DERRD_UNSEEN void combine_inclusive_scan(Mail (&lanes)[kTileLanes], const void* context) {
  const Op& op = *static_cast<const Op*>(context);
  T values[kTileLanes];
  for (unsigned i = 0; i < kTileLanes; ++i) values[i] = open<T>(lanes[i]);
  for (unsigned distance = 1; distance < kTileLanes; distance *= 2) {
    for (unsigned i = kTileLanes - 1; i >= distance; --i) {
      values[i] = op(values[i], values[i - distance]);
    }
  }
  for (unsigned i = 0; i < kTileLanes; ++i) lanes[i] = seal(values[i]);
}
template <class T>
DERRD_UNSEEN void combine_exclusive_sum(Mail (&lanes)[kTileLanes], const void*) {
  T sum = T(0);
  for (unsigned i = 0; i < kTileLanes; ++i) {
    const T value = open<T>(lanes[i]);
    lanes[i] = seal(sum);
    sum = sum + value;
  }
}
#undef DERRD_UNSEEN

/// Reports a shuffle from a lane that the tile does not have.
void check_source_lane(unsigned source);
/// Every element of shared memory carries the stamp of the block that wrote it last.
void mark_written(uint32_t* stamp);
void check_written(const uint32_t* stamp, int64_t index);
void check_shared_index(int64_t index, int64_t size);

/// Runs run(context) in every thread of `blocks` blocks; returns when all are done.
void run_kernel(const char* name, int64_t blocks, void (*run)(const void* context),
                const void* context);

}  // namespace check

namespace cg {

struct thread_block {
  static unsigned size() { return check::kBlockThreads; }
  static unsigned thread_rank() { return check::position().thread; }
  static void sync(std::source_location where = std::source_location::current()) {
    check::synchronize_block(where);
  }
};

template <unsigned kLanes>
struct thread_block_tile {
  static_assert(kLanes == check::kTileLanes);
  using Location = std::source_location;

  static unsigned size() { return check::kTileLanes; }
  static unsigned thread_rank() { return check::position().thread % check::kTileLanes; }
  static unsigned meta_group_rank() { return check::position().thread / check::kTileLanes; }
  static unsigned meta_group_size() { return kBlockTiles; }
  static void sync(Location where = Location::current()) { check::synchronize_tile(where); }
  template <class T>
  static T shfl(T value, unsigned source, Location where = Location::current()) {
    check::check_source_lane(source);
    return check::open<T>(check::exchange("shfl", where,
                                          check::seal(check::Shuffled<T>{value, source}),
                                          check::combine_shuffle<T>, nullptr));
  }
  static unsigned ballot(bool predicate, Location where = Location::current()) {
    return vote("ballot", predicate, where);
  }
  static bool any(bool predicate, Location where = Location::current()) {
    return vote("any", predicate, where) != 0;
  }
  static bool all(bool predicate, Location where = Location::current()) {
    return vote("all", predicate, where) == ~uint32_t{0};
  }

 private:
  static uint32_t vote(const char* what, bool predicate, Location where) {
    return check::open<uint32_t>(check::exchange(what, where, check::seal(uint32_t{predicate}),
                                                 check::combine_ballot, nullptr));
  }
};

inline thread_block this_thread_block() { return {}; }
template <unsigned kLanes>
thread_block_tile<kLanes> tiled_partition(thread_block) {
  return {};
}
template <class Tile, class T, class Op>
T reduce(Tile, T value, Op op, std::source_location where = std::source_location::current()) {
  return check::open<T>(
      check::exchange("reduce", where, check::seal(value), check::combine_reduce<T, Op>, &op));
}
template <class Tile, class T, class Op>
T inclusive_scan(Tile, T value, Op op,
                 std::source_location where = std::source_location::current()) {
  return check::open<T>(check::exchange("inclusive_scan", where, check::seal(value),
                                        check::combine_inclusive_scan<T, Op>, &op));
}
template <class Tile, class T>
T exclusive_scan(Tile, T value, std::source_location where = std::source_location::current()) {
  return check::open<T>(check::exchange("exclusive_scan", where, check::seal(value),
                                        check::combine_exclusive_sum<T>, nullptr));
}

}  // namespace cg

using WarpTile = cg::thread_block_tile<32>;
inline WarpTile warp_tile() { return {}; }

template <class T, class Op>
T ordered_inclusive_scan(const WarpTile& tile, T value, Op op,
                         std::source_location where = std::source_location::current()) {
  const auto swapped = [&](const T& later, const T& earlier) { return op(earlier, later); };
  return cg::inclusive_scan(tile, value, swapped, where);
}

inline StridedRange units_of(WarpTile, int64_t count) {
  const check::Position p = check::position();
  constexpr int64_t kTiles = kBlockTiles;
  return {p.block * kTiles + p.thread / check::kTileLanes, p.blocks * kTiles, count};
}
inline StridedRange units_of(cg::thread_block, int64_t count) {
  const check::Position p = check::position();
  return {p.block, p.blocks, count};
}
inline StridedRange units_of(SingleThread, int64_t count) {
  const check::Position p = check::position();
  constexpr int64_t kThreads = check::kBlockThreads;
  return {p.block * kThreads + p.thread, p.blocks * kThreads, count};
}

/// Stands for an element of a SharedArray and checks that it is written before it is read.
template <class T>
class SharedElement {
 public:
  struct Place {
    T* value;
    uint32_t* stamp;
    int64_t index;
  };
  explicit SharedElement(Place place) : place_(place) {}
  SharedElement(const SharedElement&) = default;

  operator T() const {
    check::check_written(place_.stamp, place_.index);
    return *place_.value;
  }
  SharedElement& operator=(T value) {
    check::mark_written(place_.stamp);
    *place_.value = value;
    return *this;
  }
  SharedElement& operator=(const SharedElement& other) { return *this = static_cast<T>(other); }
  SharedElement& operator+=(T value) { return *this = static_cast<T>(*this) + value; }
  SharedElement& operator-=(T value) { return *this = static_cast<T>(*this) - value; }
  SharedElement& operator*=(T value) { return *this = static_cast<T>(*this) * value; }
  SharedElement& operator|=(T value) { return *this = static_cast<T>(*this) | value; }
  SharedElement& operator++() { return *this += T(1); }

  T atomic_add(T value) {
    check::check_written(place_.stamp, place_.index);
    return __atomic_fetch_add(place_.value, value, __ATOMIC_RELAXED);
  }

 private:
  Place place_;
};

template <class T, int kSize>
class SharedArray {
 public:
  SharedElement<T> operator[](int64_t i) {
    check::check_shared_index(i, kSize);
    return SharedElement<T>({&elements_[i], &stamps_[i], i});
  }
  T operator[](int64_t i) const { return const_cast<SharedArray&>(*this)[i]; }

 private:
  static_assert(std::is_trivially_default_constructible_v<T>, "as CUDA asks of shared memory");
  T elements_[kSize];
  uint32_t stamps_[kSize];
};

/// Adds to an integer in shared or global memory; returns the old value. Integers only: a sum of
/// floats would depend on the order.
inline uint32_t atomic_add(SharedElement<uint32_t> target, uint32_t value) {
  return target.atomic_add(value);
}
inline uint32_t atomic_add(uint32_t& target, uint32_t value) {
  return __atomic_fetch_add(&target, value, __ATOMIC_RELAXED);
}

struct Geometry {
  int64_t blocks = 1;
};

/// Geometry for `units` work units of about `elements` scalar operations each, a tile, a block or a
/// thread per unit: every block finds work, and there are three at most.
inline Geometry tiles_for(int64_t units, int64_t /*elements*/) {
  constexpr int64_t kTiles = kBlockTiles;
  return {std::clamp<int64_t>((units + kTiles - 1) / kTiles, 1, check::kMaxBlocks)};
}
inline Geometry blocks_for(int64_t units, int64_t /*elements*/) {
  return {std::clamp<int64_t>(units, 1, check::kMaxBlocks)};
}
inline Geometry threads_for(int64_t units, int64_t /*elements*/ = 1) {
  constexpr int64_t kThreads = check::kBlockThreads;
  return {std::clamp<int64_t>((units + kThreads - 1) / kThreads, 1, check::kMaxBlocks)};
}

/// Runs `kernel` over the geometry. `name` is the operation's, for reports.
template <class... Parameters, class... Arguments>
void launch(const char* name, Geometry geometry, const Stream&, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  struct Call {
    const char* name;
    int64_t blocks;
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;

    void operator()() const {
      cpu::count_launch();
      check::run_kernel(
          name, blocks,
          [](const void* context) {
            const Call& c = *static_cast<const Call*>(context);
            std::apply(c.kernel, c.parameters);
          },
          this);
    }
  };
  const Call call{name, geometry.blocks, kernel, {static_cast<Parameters>(arguments)...}};
  if (!cpu::record(call)) call();
}

}  // namespace derrd
