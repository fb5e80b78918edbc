// Fails a test in which a library waits or allocates: the executor has then seen more such calls
// than the program counts (Counters). Waits for an event are left out; TimeMark's are not counted.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "kernels/platform/device.h"

namespace derrd::test::hidden_calls {
namespace {

struct Calls {
  int64_t waits = 0;
  int64_t allocations = 0;
};

class HiddenCalls : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { before_ = hidden(); }
  void OnTestEnd(const testing::TestInfo&) override {
    const Calls after = hidden();
    EXPECT_EQ(after.waits, before_.waits) << "calls that wait, and that Counters misses";
    EXPECT_EQ(after.allocations, before_.allocations) << "allocations that Counters misses";
  }

  /// Calls that the executor has seen and the program has not counted.
  static Calls hidden() {
    static const auto seen =
        reinterpret_cast<void (*)(int64_t*, int64_t*)>(dlsym(RTLD_DEFAULT, "ptxExecutorCalls"));
    Calls calls;
    if (seen == nullptr) {
      ADD_FAILURE() << "this program does not run on the PTX executor";
      return calls;
    }
    seen(&calls.waits, &calls.allocations);
    const Counters counted = counters();
    return {calls.waits - counted.synchronizations, calls.allocations - counted.allocations};
  }

  Calls before_;
};

[[maybe_unused]] const bool listens = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new HiddenCalls);
  return true;
}();

}  // namespace
}  // namespace derrd::test::hidden_calls
