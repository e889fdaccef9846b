// What `watch` keeps of its looks, on a small heap.
#include <gtest/gtest.h>

#include "cli/watch_process.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

constexpr size_t kAllGroups = ~size_t{0};

// Twenty blocks of one kind that nothing holds, and one that is held.
Look some_look() {
  FakeHeap heap(glibc::families().back());
  heap.process.poke(FakeProcess::kProgramData + 0x100, heap.main().used(40));
  for (uint64_t i = 0; i < 20; ++i) {
    const Addr block = heap.main().used(56);
    heap.process.poke(block, i + 1);
    heap.process.poke(block + 16, 0x1234567890 + i);
  }
  heap.seal();
  SharedOptions options;
  Progress progress(false);
  return look_at_live_memory(
      options,
      [&] {
        Capture capture;
        capture.image = heap.process.build();
        return capture;
      },
      progress);
}

uint64_t bytes_of_rows(const ChangeReport& report) {
  uint64_t bytes = 0;
  for (const ChangeRow& row : report.rows) bytes += row.change.is.bytes;
  return bytes;
}

TEST(LookHistory, OfOneLookHasAllItsGroupsAndNoGrowth) {
  LookHistory history(true);
  EXPECT_FALSE(history.all_changes(kAllGroups).has_value());
  ASSERT_TRUE(history.add(some_look(), {}));
  EXPECT_FALSE(history.changes(kAllGroups).has_value());
  const auto all = history.all_changes(kAllGroups);
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->intervals, 0U);
  EXPECT_EQ(all->all.is_judged[static_cast<size_t>(Verdict::Definite)].blocks, 20U);
  EXPECT_EQ(bytes_of_rows(*all), all->all.is.bytes);
  EXPECT_EQ(history.all_changes(1)->rows.size(), 1U);
  EXPECT_EQ(history.all_changes(1)->left_out, all->rows.size() - 1);
}

TEST(LookHistory, OfTwoHasAlsoWhatDidNotChange) {
  LookHistory history(true);
  ASSERT_TRUE(history.add(some_look(), {}));
  ASSERT_TRUE(history.add(some_look(), {}));
  EXPECT_TRUE(history.changes(kAllGroups)->rows.empty());
  const auto all = history.all_changes(kAllGroups);
  EXPECT_EQ(all->intervals, 1U);
  EXPECT_EQ(bytes_of_rows(*all), all->all.is.bytes);
  EXPECT_EQ(all->all.growth(), 0);
}

}  // namespace
}  // namespace heapscan
