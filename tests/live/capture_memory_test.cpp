// What capturing a large process costs us in memory, and that the time the process stood still is
// told. How long that is, is measured in tests/bench.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "heapscan/acquire/capture.h"
#include "live/target.h"

namespace heapscan {
namespace {

using testing::resident_bytes;
using testing::Target;

constexpr const char* kMebibytes = "1536";

uint64_t peak_resident_bytes() {
  return std::strtoull(testing::status_field(::getpid(), "VmHWM").c_str(), nullptr, 10) * 1024;
}

TEST(LiveCaptureMemory, NeedsLittleMoreThanTheTargetHas) {
  Target target(PROGRAM_BIG_HEAP, {kMebibytes});
  ASSERT_TRUE(target.is_ready());
  const uint64_t resident = resident_bytes(target.pid());
  const auto begin = std::chrono::steady_clock::now();
  const Capture capture = capture_process(target.pid());
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(peak_resident_bytes(), resident + resident / 20 + (uint64_t{64} << 20));
  ASSERT_TRUE(capture.facts.pause_seconds.has_value());
  EXPECT_GT(*capture.facts.pause_seconds, 0);
  EXPECT_LT(*capture.facts.pause_seconds, whole.count());
}

}  // namespace
}  // namespace heapscan
