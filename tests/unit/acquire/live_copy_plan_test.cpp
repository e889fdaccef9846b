// What is copied of which mapping.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acquire/memory_copy.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Perms kReadWrite{true, true, false, false};
constexpr Perms kReadOnly{true, false, false, false};
constexpr Perms kShared{true, true, false, true};

AddrRange pages(uint64_t first, uint64_t count) {
  return AddrRange::sized(Addr(first * kPage), count * kPage);
}

Mapping mapping(AddrRange range, Perms perms, std::string path = "", uint64_t inode = 0) {
  Mapping m;
  m.range = range;
  m.perms = perms;
  m.path = std::move(path);
  m.inode = inode;
  return m;
}

PageRun present(AddrRange range) { return {range, true}; }
PageRun of_file(AddrRange range) { return {range, true, false, true}; }
PageRun swapped(AddrRange range) { return {range, false, true}; }

TEST(LiveCopyPlan, TreatmentByMapping) {
  const auto treat = [](Perms perms, const char* path, uint64_t inode = 0) {
    return treatment_of(mapping(pages(1, 1), perms, path, inode), nullptr);
  };
  EXPECT_EQ(treat(kReadWrite, "[heap]"), Treatment::Anonymous);
  EXPECT_EQ(treat({}, ""), Treatment::Anonymous);
  EXPECT_EQ(treat(kReadWrite, "/dev/zero", 5), Treatment::Anonymous);
  EXPECT_EQ(treat(kReadWrite, "/anon_hugepage (deleted)", 5), Treatment::Anonymous);
  EXPECT_EQ(treat(kReadOnly, "/lib/libc.so.6", 5), Treatment::Private);
  EXPECT_EQ(treat(kReadWrite, "/lib/libc.so.6", 5), Treatment::Private);
  EXPECT_EQ(treat(kShared, "/dev/shm/x", 5), Treatment::Shared);
  EXPECT_EQ(treat(kShared, "/memfd:x (deleted)", 5), Treatment::Shared);
  EXPECT_EQ(treat(kShared, "/dev/zero (deleted)", 5), Treatment::Shared);
  EXPECT_EQ(treat(kShared, "/SYSV00000000 (deleted)", 5), Treatment::Shared);
  EXPECT_EQ(treat({true, false, false, true}, "/var/cache/x", 5), Treatment::Ignore);
  EXPECT_EQ(treat(kShared, "/dev/dri/card0", 5), Treatment::Ignore);
  EXPECT_EQ(treat(kReadWrite, "/dev/mem", 5), Treatment::Ignore);
  EXPECT_EQ(treat(kShared, "anon_inode:[perf_event]", 5), Treatment::Ignore);
  EXPECT_EQ(treat(kShared, "anon_inode:[io_uring]", 5), Treatment::Shared);
  EXPECT_EQ(treat(kReadOnly, "[vvar]"), Treatment::Ignore);
  EXPECT_EQ(treat(kReadOnly, "[vvar_vclock]"), Treatment::Ignore);
  EXPECT_EQ(treat({false, false, true, false}, "[vsyscall]"), Treatment::Ignore);
  EXPECT_EQ(treat(kReadOnly, "[vdso]"), Treatment::Vdso);
  const MappingUse device{pages(1, 1), 0, 0, true};
  EXPECT_EQ(treatment_of(mapping(pages(1, 1), kReadWrite), &device), Treatment::Ignore);
}

TEST(LiveCopyPlan, AnonymousPagesThatHoldSomething) {
  PageRun zero = present(pages(4, 1));
  zero.zero = true;
  PageRun guard = swapped(pages(6, 1));
  guard.guard = true;
  const CopyPlan plan = plan_copy({mapping(pages(1, 8), kReadWrite)}, {},
                                  {present(pages(2, 2)), zero, swapped(pages(5, 1)), guard});
  ASSERT_EQ(plan.mappings.size(), 1U);
  EXPECT_TRUE(plan.mappings[0].stored);
  EXPECT_THAT(plan.mappings[0].copied, ElementsAre(pages(2, 2), pages(5, 1)));
  EXPECT_THAT(plan.resident, ElementsAre(pages(2, 3)));
  EXPECT_EQ(plan.swapped_bytes, kPage);
}

TEST(LiveCopyPlan, UntouchedMappingsAreNotStored) {
  const CopyPlan plan = plan_copy(
      {mapping(pages(1, 1 << 20), kReadWrite), mapping(pages(1 << 21, 4), kReadOnly, "/lib/x", 7)},
      {}, {of_file(pages(1 << 21, 4))});
  EXPECT_FALSE(plan.mappings[0].stored);
  EXPECT_FALSE(plan.mappings[1].stored) << "code that nobody changed is read from its file";
  EXPECT_THAT(plan.stored_runs(), IsEmpty());
}

TEST(LiveCopyPlan, PrivateFilesGiveTheirModifiedPages) {
  const CopyPlan plan = plan_copy(
      {mapping(pages(1, 4), kReadOnly, "/lib/x", 7), mapping(pages(5, 2), kReadWrite, "/lib/x", 7)},
      {}, {of_file(pages(1, 1)), present(pages(2, 1)), of_file(pages(5, 1))});
  EXPECT_TRUE(plan.mappings[0].stored);
  EXPECT_THAT(plan.mappings[0].copied, ElementsAre(pages(2, 1)));
  EXPECT_THAT(plan.mappings[0].clean, ElementsAre(pages(1, 1)));
  EXPECT_TRUE(plan.mappings[1].stored);
  EXPECT_THAT(plan.mappings[1].copied, IsEmpty());
  EXPECT_THAT(plan.stored_runs(), ElementsAre(pages(1, 6))) << "they adjoin";
}

TEST(LiveCopyPlan, ARunMayCrossMappings) {
  const CopyPlan plan =
      plan_copy({mapping(pages(1, 2), kReadWrite), mapping(pages(3, 2), kShared, "/dev/shm/x", 7)},
                {}, {present(pages(1, 4))});
  EXPECT_THAT(plan.mappings[0].copied, ElementsAre(pages(1, 2)));
  EXPECT_THAT(plan.mappings[1].copied, ElementsAre(pages(3, 2)));
  EXPECT_THAT(plan.copied(), ElementsAre(pages(1, 2), pages(3, 2)));
  EXPECT_EQ(plan.shared_bytes, 2 * kPage);
}

TEST(LiveCopyPlan, VdsoIsCopiedWholeOrNotAtAll) {
  const auto stored = [](uint64_t count) {
    return plan_copy({mapping(pages(1, 2), kReadOnly, "[vdso]")}, {}, {of_file(pages(1, count))})
        .mappings[0]
        .stored;
  };
  EXPECT_TRUE(stored(2));
  EXPECT_FALSE(stored(1));
}

}  // namespace
}  // namespace heapscan
